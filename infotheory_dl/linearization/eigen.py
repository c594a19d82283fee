"""Kernels by their eigendecomposition, and what their rounding decides."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._precision import in_double, is_double_off
from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_finite,
    require_square,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Scalar

TOLERANCE = 1e-3
"""What rounding of a kernel may do to results."""

ENTRIES = 4
"""How many roundings of its largest entry a kernel is allowed: its entries are sums of many terms."""

REMEDY = (
    "give the kernel in float64 (jax.config.update('jax_enable_x64', True) computes it so), add weight decay, train"
    " for a shorter time, or remove examples that are nearly the same"
)
"""What to do where rounding decides."""


class SingularKernelError(ValueError):
    """A kernel whose rounding decides the answer, such as one without an inverse where training to convergence asks it.

    Rounding does not tell two examples that are nearly the same from two that are equal. Where their labels contradict
    each other, and neither the end of training nor weight decay comes first, what becomes of them depends on it.
    """


@concise
class KernelEigen(NamedTuple):
    """The eigendecomposition of a kernel: everything about time, weight decay and targets follows from it cheaply.

    Outside of `jit` and the like it is in double precision whatever the precision of the kernel, in arrays of NumPy
    where double precision is off in JAX: scores are small differences of large numbers.

    Attributes:
      eigenvalues: non-negative, ascending; of a kernel of low rank only those that may differ from zero.
      eigenvectors: columns, in the same order; orthonormal, or zero beside an eigenvalue of zero.
      rounding: how far rounding of its entries may carry the kernel along any direction, in the precision of the
        kernel, which is that of later results; None if that is not known.
    """

    eigenvalues: Float[AnyArray, "*batch rank"]
    eigenvectors: Float[AnyArray, "*batch rows rank"]
    rounding: Float[AnyArray, "*batch"] | None = None

    @property
    def dtype(self) -> np.dtype:
        """The precision of the kernel, as far as JAX has it: that of results."""
        return jax.dtypes.canonicalize_dtype((self.eigenvalues if self.rounding is None else self.rounding).dtype)


@edge(half=False)
def kernel_eigen(kernel: Float[AnyArray, "*batch rows rows"]) -> KernelEigen:
    """Decomposes a kernel once, O(rows³).

    Args:
      kernel: symmetric and positive semi-definite, in single or double precision, which later results shall have; or a
        stack of them.

    Returns:
      The decomposition. Eigenvalues that rounding has made negative are zero.

    Raises:
      ValueError: if the kernel is not square, not symmetric, holds NaN or infinity, or has a negative eigenvalue that
        rounding does not explain. Under `jit` and the like nothing is known of the eigenvalues, and such are zero.
      TypeError: if it is of half precision.
    """
    require_kernel(kernel)
    return eigen_of(kernel)


def require_kernel(kernel: Float[AnyArray, "*batch rows rows"], name: str = "kernel") -> None:
    """Raises a ValueError if it is not square, finite and symmetric."""
    require_square(name, kernel)
    require_finite(**{name: kernel})
    if is_concrete(kernel):
        # also where a function that is being traced holds the kernel as a constant
        with jax.ensure_compile_time_eval():
            kernel = jnp.asarray(kernel)
            asymmetry, scale = jnp.abs(kernel - jnp.swapaxes(kernel, -1, -2)).max(), jnp.abs(kernel).max()
        if float(asymmetry) > 1e-3 * float(scale):
            raise ValueError(f"{name} must be symmetric, but differs from its transpose by {asymmetry:.3g}")


def eigen_of(kernel: Float[AnyArray, "*batch rows rows"], made_in: np.dtype | None = None) -> KernelEigen:
    """The core of `kernel_eigen`, which refuses an indefinite kernel only.

    Args:
      kernel: as there.
      made_in: the precision in which its entries were computed, where they are held in a better one: by its rounding
        eigenvalues may be negative.
    """
    if not jnp.issubdtype(kernel.dtype, jnp.floating):
        kernel = kernel.astype(float)
    eigenvalues, eigenvectors = _kept(in_double(_symmetric_eigen, kernel, dtype=np.float64))
    require_semidefinite(eigenvalues, kernel.dtype if made_in is None else made_in)
    return KernelEigen(eigenvalues.clip(0), eigenvectors, rounding_of(kernel))


def eigen_of_features(features: Float[Array, "rows features"]) -> KernelEigen:
    """The core of `features.feature_eigen`."""
    eps = float(jnp.finfo(features.dtype).eps)
    eigenvalues, eigenvectors = _kept(in_double(functools.partial(_feature_eigen, eps), features, dtype=np.float64))
    return KernelEigen(eigenvalues, eigenvectors, eps * (features**2).sum(-1).max())


def _kept(eigen: Any) -> Any:
    """A decomposition as it can leave double precision: in arrays of NumPy, where JAX has it off."""
    return jax.tree.map(np.asarray, eigen) if is_double_off() and all(map(is_concrete, eigen)) else eigen


def decomposed(kernel: Float[Array, "*batch rows rows"]) -> KernelEigen:
    """The same in the precision of the kernel and without any check, for code that is traced."""
    eigenvalues, eigenvectors = _symmetric_eigen(kernel)
    return KernelEigen(eigenvalues.clip(0), eigenvectors, rounding_of(kernel))


def composed(eigen: KernelEigen) -> Float[Array, "*batch rows rows"]:
    """The kernel of a decomposition, in its precision."""
    return in_double(_composed, eigen, dtype=jnp.result_type(eigen.dtype))


@jax.jit
def _composed(eigen: KernelEigen) -> Array:
    vectors = eigen.eigenvectors
    return jnp.matmul(vectors * eigen.eigenvalues[..., None, :], jnp.swapaxes(vectors, -1, -2), precision="highest")


@jax.jit
def _symmetric_eigen(kernel: Array) -> tuple[Array, Array]:
    eigenvalues, eigenvectors = jnp.linalg.eigh((kernel + jnp.swapaxes(kernel, -1, -2)) / 2)
    return eigenvalues, eigenvectors


@functools.partial(jax.jit, static_argnums=0)
@jax.default_matmul_precision("highest")
def _feature_eigen(eps: float, features: Array) -> tuple[Array, Array]:
    rows, width = features.shape
    if width >= rows:
        eigenvalues, vectors = _symmetric_eigen(features @ features.T)
        return eigenvalues.clip(0), vectors
    eigenvalues, directions = _symmetric_eigen(features.T @ features)
    present = eigenvalues > width * eps * eigenvalues.max()
    vectors = jnp.where(present, features @ directions * jax.lax.rsqrt(jnp.where(present, eigenvalues, 1)), 0)
    return jnp.where(present, eigenvalues, 0), vectors


def rounding_of(kernel: Float[AnyArray, "*batch rows rows"]) -> Float[AnyArray, "*batch"]:
    """The rounding of the largest entry of a kernel."""
    largest: Any = abs(kernel)
    rounding = float(jnp.finfo(kernel.dtype).eps) * largest.max((-2, -1))
    return rounding if isinstance(kernel, jax.Array) else np.asarray(rounding)


def require_semidefinite(eigenvalues: Float[AnyArray, "*batch rows"], dtype: Any, name: str = "kernel") -> None:
    """Raises a ValueError if an eigenvalue is further below zero than rounding in that precision carries it."""
    if not is_concrete(eigenvalues):
        return
    spectra = np.asarray(eigenvalues)
    # entries that are sums of many terms are off by more than their own rounding
    allowed = 100 * spectra.shape[-1] ** 0.5 * float(jnp.finfo(dtype).eps) * np.abs(spectra).max(-1)
    least = spectra.min(-1)
    if (least < -allowed).any():
        worst = np.unravel_index(np.argmin(least + allowed), least.shape)
        raise ValueError(
            f"{name} must be positive semi-definite, but its eigenvalues range from {least[worst]:.3g} to"
            f" {spectra[worst].max():.3g}, and rounding in {dtype} explains {-allowed[worst]:.2g} at most: it is no"
            " kernel J Jᵀ of features; distances, for one, become a kernel by exp(-distances**2 / scale)"
        )


def require_invertible(kernel: KernelEigen, shift: Scalar) -> None:
    """Raises a SingularKernelError where the smallest shifted eigenvalue is lost in the rounding of the kernel."""
    if not all(map(is_concrete, (*jax.tree.leaves(kernel), shift))):
        return
    rows, rank = kernel.eigenvectors.shape[-2:]
    spectra = np.atleast_2d(kernel.eigenvalues)
    smallest = float(shift) + (spectra.min(-1) if rank == rows else np.zeros(len(spectra)))
    largest = float(shift) + spectra.max(-1)
    lost = rows**0.5 * float(jnp.finfo(kernel.eigenvalues.dtype).eps) * largest
    if kernel.rounding is not None:
        # a hundredth is all that may then remain unknown
        lost = np.maximum(lost, 100 * np.atleast_1d(kernel.rounding))
    if (smallest <= lost).any():
        worst = int(np.argmin(smallest - lost))
        raise SingularKernelError(
            f"training to convergence needs an invertible kernel, but its eigenvalues range from {smallest[worst]:.3g}"
            f" to {largest[worst]:.3g} in {kernel.dtype}: add weight decay, train for a finite time, or remove"
            " duplicate examples"
        )


def require_eigen(kernel: KernelEigen) -> None:
    """Raises a ValueError if a decomposition is not finite, or that of an indefinite kernel."""
    require_finite(kernel=kernel)
    require_semidefinite(kernel.eigenvalues, kernel.dtype)
