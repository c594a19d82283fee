"""Training of a linearized network under squared error, in closed form, from one eigendecomposition of its kernel.

The loss is the mean over n examples of ½‖f(x) - y‖² plus (weight_decay / 2)‖w - w0‖². Full-batch descent reaches
w = w0 + Jᵀ a with a = -phi(K + n weight_decay) (f0 - y), where phi is the `response` below.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl._validation import (
    is_concrete,
    require_choice,
    require_finite,
    require_positive,
    require_rank,
    require_square,
)
from infotheory_dl.linearization.kernels import transposed_jacobian_products
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, ApplyFn, Params, Scalar

Dynamics = Literal["continuous", "discrete"]


class SingularKernelError(ValueError):
    """Training to convergence asks for the inverse of a kernel that has none."""


@concise
class KernelEigen(NamedTuple):
    """The eigendecomposition of a kernel: everything about time, weight decay and targets follows from it cheaply.

    Attributes:
      eigenvalues: non-negative, ascending; of a kernel of low rank only those that may differ from zero.
      eigenvectors: columns, in the same order; orthonormal, or zero beside an eigenvalue of zero.
    """

    eigenvalues: Float[Array, "*batch rank"]
    eigenvectors: Float[Array, "*batch rows rank"]


def kernel_eigen(kernel: Float[AnyArray, "*batch rows rows"]) -> KernelEigen:
    """Decomposes a kernel once, O(rows³).

    Args:
      kernel: symmetric and positive semi-definite, in the precision that later results shall have; or a stack of them.

    Returns:
      The decomposition. Eigenvalues that rounding has made negative are zero.

    Raises:
      ValueError: if the kernel is not square, not symmetric, or holds NaN or infinity.
    """
    require_kernel(kernel)
    return decomposed(jnp.asarray(kernel))


def require_kernel(kernel: Float[AnyArray, "*batch rows rows"]) -> None:
    """Raises a ValueError if it is not square, finite and symmetric."""
    require_square("kernel", kernel)
    require_finite(kernel=kernel)
    if is_concrete(kernel):
        # also where a function that is being traced holds the kernel as a constant
        with jax.ensure_compile_time_eval():
            kernel = jnp.asarray(kernel)
            asymmetry, scale = jnp.abs(kernel - jnp.swapaxes(kernel, -1, -2)).max(), jnp.abs(kernel).max()
        if float(asymmetry) > 1e-3 * float(scale):
            raise ValueError(f"kernel must be symmetric, but differs from its transpose by {asymmetry:.3g}")


def decomposed(kernel: Float[Array, "*batch rows rows"]) -> KernelEigen:
    """The core of `kernel_eigen`."""
    eigenvalues, eigenvectors = jnp.linalg.eigh((kernel + jnp.swapaxes(kernel, -1, -2)) / 2)
    return KernelEigen(jnp.maximum(eigenvalues, 0), eigenvectors)


def response(
    eigenvalues: Float[AnyArray, "..."], *, time: Scalar, rate: Scalar, dynamics: Dynamics = "continuous"
) -> Float[Array, "..."]:
    """Computes how far training has gone along each eigenvector, phi(mu).

    (1 - exp(-rate time mu)) / mu for gradient flow, (1 - (1 - rate mu)^time) / mu for gradient descent; at mu = 0 their
    limit rate time, and at infinite time 1 / mu.

    Args:
      eigenvalues: mu, non-negative, weight decay included.
      time: number of steps, or infinity.
      rate: step size on the summed loss, learning_rate / n.
      dynamics: "continuous" (gradient flow) or "discrete" (gradient descent).

    Returns:
      phi(mu), in the shape of the eigenvalues.

    Source: Harutyunyan et al., 2021 (section 4).
    """
    require_choice("dynamics", dynamics, ("continuous", "discrete"))
    mu = jnp.asarray(eigenvalues)
    if is_concrete(time) and np.isinf(time):
        return 1 / mu
    positive = jnp.where(mu > 0, mu, 1)
    if dynamics == "continuous":
        progress = -jnp.expm1(-rate * time * positive)
    else:
        # log1p keeps the digits of small rate * mu, which 1 - (1 - rate mu)^time would cancel away
        small = rate * positive < 0.5
        slow = -jnp.expm1(time * jnp.log1p(-rate * jnp.where(small, positive, 0)))
        sign = 1 - 2 * jnp.mod(time, 2)
        base = 1 - rate * positive
        fast = 1 - jnp.where(base < 0, sign, 1) * jnp.abs(base) ** time
        progress = jnp.where(small, slow, fast)
    return jnp.where(mu > 0, progress / positive, rate * time)


def trained_coefficients(
    kernel: KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    *,
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar = 0.0,
    dynamics: Dynamics = "continuous",
) -> Float[Array, "examples outputs"]:
    """Computes the coefficients a of the trained weights w0 + Jᵀ a.

    Args:
      kernel: of the training examples, (n k) rows, or n rows where all outputs share one kernel.
      initial_outputs: f0, at w0.
      targets: y.
      time: number of steps, or infinity.
      learning_rate: step size on the mean loss.
      weight_decay: penalty on the mean loss.
      dynamics: "continuous" or "discrete".

    Returns:
      The coefficients, one for each output of each example; for a kernel of low rank, the part that moves the weights.

    Raises:
      ValueError: if the shapes do not fit.
      SingularKernelError: if time is infinite, there is no weight decay and the kernel is singular.
    """
    residuals = jnp.asarray(initial_outputs) - targets
    _require_fitting(kernel, residuals)
    return _coefficients(kernel, residuals, time, learning_rate, weight_decay, dynamics)


def _coefficients(
    kernel: KernelEigen,
    residuals: Float[Array, "examples outputs"],
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar,
    dynamics: Dynamics,
) -> Float[Array, "examples outputs"]:
    n = len(residuals)
    if is_concrete(time) and np.isinf(time):
        require_invertible(kernel, n * weight_decay)
    shifted = kernel.eigenvalues + n * weight_decay
    phi = response(shifted, time=time, rate=learning_rate / n, dynamics=dynamics)
    coefficients = -kernel.eigenvectors @ (phi[:, None] * (kernel.eigenvectors.T @ _kernel_rows(kernel, residuals)))
    return coefficients.reshape(residuals.shape)


def trained_outputs(
    kernel: KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    reference_kernel: Float[AnyArray, "reference_rows rows"] | None = None,
    initial_reference_outputs: Float[AnyArray, "references outputs"] | None = None,
    *,
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar = 0.0,
    dynamics: Dynamics = "continuous",
) -> Float[Array, "... outputs"]:
    """Predicts with the trained linear network, f0 + K a.

    Args:
      kernel: of the training examples.
      initial_outputs: f0 on them.
      targets: y.
      reference_kernel: between the reference inputs (rows) and the training examples (columns); the training
        examples themselves by default.
      initial_reference_outputs: f0 on the reference inputs.
      time, learning_rate, weight_decay, dynamics: as in `trained_coefficients`, which see for the errors too.

    Returns:
      Outputs of the reference inputs, or of the training examples.
    """
    residuals = jnp.asarray(initial_outputs) - targets
    _require_fitting(kernel, residuals)
    coefficients = _coefficients(kernel, residuals, time, learning_rate, weight_decay, dynamics)
    rows = _kernel_rows(kernel, coefficients)
    if reference_kernel is None:
        change = kernel.eigenvectors @ (kernel.eigenvalues[:, None] * (kernel.eigenvectors.T @ rows))
        return jnp.asarray(initial_outputs) + change.reshape(targets.shape)
    if initial_reference_outputs is None:
        raise ValueError("a reference_kernel needs initial_reference_outputs beside it")
    change = jnp.asarray(reference_kernel) @ rows
    return jnp.asarray(initial_reference_outputs) + change.reshape(initial_reference_outputs.shape)


def trained_params(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    coefficients: Float[AnyArray, "examples outputs"],
    *,
    batch_size: int | None = None,
) -> Params:
    """Computes the trained weights w0 + Jᵀ a.

    Args:
      apply_fn: the network.
      params: w0.
      inputs: the training examples.
      coefficients: a, of `trained_coefficients`.
      batch_size: examples at once, all of them by default.

    Returns:
      Parameters with the structure of `params`.
    """
    change = transposed_jacobian_products(
        apply_fn, params, inputs, jnp.asarray(coefficients)[None], batch_size=batch_size
    )
    return jax.tree.map(lambda leaf, difference: leaf + difference[0], params, change)


def leave_one_out_predictions(
    kernel: KernelEigen, targets: Float[AnyArray, "examples outputs"], weight_decay: Scalar
) -> Float[Array, "examples outputs"]:
    """Predicts every example from all the others, by kernel ridge regression: no refitting, O(rows²).

    y_i - f_-i(x_i) = (B_ii)⁻¹ (B y)_i with B = (K + n weight_decay)⁻¹.

    Args:
      kernel: of the examples, (n k) rows, or n rows where all outputs share one kernel.
      targets: y; predictions start from zero outputs.
      weight_decay: penalty on the mean loss.

    Returns:
      The prediction for each example from the network trained to convergence on the others.

    Raises:
      ValueError: if the shapes do not fit or there are fewer than two examples.
      SingularKernelError: if there is no weight decay and the kernel is singular.

    Source: Allen, 1974 (PRESS); Rasmussen and Williams, 2006 (section 5.4.2).
    """
    _require_fitting(kernel, targets)
    require_invertible(kernel, len(targets) * weight_decay)
    return left_out_predictions(kernel, jnp.asarray(targets), weight_decay)


def left_out_predictions(
    kernel: KernelEigen, targets: Float[Array, "examples outputs"], weight_decay: Scalar
) -> Float[Array, "examples outputs"]:
    """The core of `leave_one_out_predictions`."""
    rows = _kernel_rows(kernel, targets)
    residuals = _leave_one_out_residuals(kernel, rows, len(targets) * weight_decay, len(targets))
    return targets - residuals.reshape(targets.shape)


def select_weight_decay(
    kernel: KernelEigen,
    targets: Float[AnyArray, "examples outputs"],
    candidates: Float[AnyArray, " candidates"] | None = None,
) -> Float[Array, ""]:
    """Chooses the weight decay whose leave-one-out predictions have the least squared error.

    Args:
      kernel: of the examples, (n k) rows, or n rows where all outputs share one kernel.
      targets: y.
      candidates: positive weight decays to choose from; by default 31 that shift the kernel by 1e-6 to 10 times its
        mean eigenvalue.

    Returns:
      The best candidate.

    Raises:
      ValueError: if the shapes do not fit, there are fewer than two examples, or a candidate is not positive.
    """
    _require_fitting(kernel, targets)
    n, mean_eigenvalue = len(targets), kernel.eigenvalues.mean()
    if candidates is not None:
        require_positive(candidates=candidates)
    elif is_concrete(mean_eigenvalue) and mean_eigenvalue <= 0:
        raise SingularKernelError("a kernel of zeros tells no weight decay from another: the outputs never change")
    else:
        candidates = jnp.logspace(-6, 1, 31) * mean_eigenvalue / n
    rows = _kernel_rows(kernel, jnp.asarray(targets))

    def squared_error(weight_decay: Array) -> Array:
        return jnp.square(_leave_one_out_residuals(kernel, rows, n * weight_decay, n)).sum()

    candidates = jnp.asarray(candidates, rows.dtype)
    return candidates[jnp.argmin(lax.map(squared_error, candidates))]


def require_invertible(kernel: KernelEigen, shift: Scalar) -> None:
    """Raises a SingularKernelError where the smallest shifted eigenvalue is lost in the rounding of the largest."""
    eigenvalues, eigenvectors = kernel
    if not (is_concrete(eigenvalues) and is_concrete(shift)):
        return
    rows, rank = eigenvectors.shape[-2:]
    spectrum = np.asarray(eigenvalues)
    smallest = float(shift) + (float(spectrum.min()) if rank == rows else 0.0)
    largest = float(shift) + float(spectrum.max())
    if smallest <= rows**0.5 * jnp.finfo(eigenvalues.dtype).eps * largest:
        raise SingularKernelError(
            f"training to convergence needs an invertible kernel, but its eigenvalues range from {smallest:.3g} to"
            f" {largest:.3g} in {eigenvalues.dtype}: add weight decay, train for a finite time, or remove duplicate"
            " examples"
        )


def _require_fitting(kernel: KernelEigen, targets: Float[AnyArray, "examples outputs"]) -> None:
    require_rank("targets", targets, 2, "(examples, outputs)")
    require_finite(targets=targets)
    n, k = targets.shape
    rows = kernel.eigenvectors.shape[-2]
    if n < 2:
        raise ValueError(f"leaving an example out needs at least 2 of them, got {n}")
    if rows not in (n, n * k):
        raise ValueError(f"a kernel of {rows} rows does not fit targets of shape {targets.shape}: n or n k rows")


def _kernel_rows(kernel: KernelEigen, values: Float[Array, "examples outputs"]) -> Float[Array, "rows problems"]:
    """Lays values out for the kernel: one problem over all outputs, or one for each where they share the kernel."""
    return values.reshape(kernel.eigenvectors.shape[-2], -1)


def _leave_one_out_residuals(kernel: KernelEigen, rows: Array, shift: Scalar, num_examples: int) -> Array:
    eigenvalues, vectors = kernel
    blocks = vectors.reshape(num_examples, -1, len(eigenvalues))
    inverse = 1 / (eigenvalues + shift)
    solved = vectors @ (inverse[:, None] * (vectors.T @ rows))
    inverse_blocks = jnp.einsum("iaj,ibj->iab", blocks * inverse, blocks)
    if len(eigenvalues) < len(rows):
        # the rest of the space, where a kernel of low rank is zero
        solved += (rows - vectors @ (vectors.T @ rows)) / shift
        inverse_blocks += (jnp.eye(blocks.shape[1]) - jnp.einsum("iaj,ibj->iab", blocks, blocks)) / shift
    return jnp.linalg.solve(inverse_blocks, solved.reshape(num_examples, blocks.shape[1], -1))
