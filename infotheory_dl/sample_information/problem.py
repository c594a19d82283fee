"""What examples are removed from: the kernel, the residuals and the references of a training, checked and laid out."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import (
    is_concrete,
    require_distinct,
    require_finite,
    require_indices,
    require_not_empty,
    require_rank,
    require_same_shape,
)
from infotheory_dl.linearization import KernelEigen, kernel_eigen
from infotheory_dl.linearization.eigen import require_eigen
from infotheory_dl.types import AnyArray, Scalar


class Problem(NamedTuple):
    """A checked problem: one kernel over (n k) or n rows, and the rest laid out for it.

    Attributes:
      kernel: decomposed; with a leading axis of outputs if each has its own.
      residuals: initial outputs minus targets.
      reference_kernel: between reference rows and training rows, or None.
      num_examples: how many examples the loss is the mean of; fewer than there are rows for, where some stand for none.
    """

    kernel: KernelEigen
    residuals: Float[Array, "examples outputs"]
    reference_kernel: Float[AnyArray, "*outputs reference_rows rows"] | None
    num_examples: Any

    @property
    def dtype(self) -> np.dtype:
        """The precision of what is given, and of results."""
        given = [array for array in (self.residuals, self.reference_kernel) if array is not None]
        return jnp.result_type(self.kernel.dtype, *given)


def checked_problem(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    reference_kernel: Float[AnyArray, "..."] | None,
) -> Problem:
    """Checks what the user gives and decomposes the kernel if that is not done yet."""
    residuals = checked_residuals(initial_outputs, targets)
    n, k = targets.shape
    require_examples(n)
    if isinstance(kernel, KernelEigen):
        require_eigen(kernel)
    else:
        kernel = kernel_eigen(kernel)
    shape = kernel.eigenvectors.shape[:-1]
    if shape not in ((n * k,), (n,), (k, n)):
        raise ValueError(
            f"a kernel of shape {kernel.eigenvectors.shape} does not fit targets of shape {targets.shape}: expected"
            f" ({n * k}, {n * k}) for all outputs, ({n}, {n}) shared by them, or ({k}, {n}, {n}), one for each"
        )
    if reference_kernel is not None:
        require_finite(reference_kernel=reference_kernel)
        per_reference = shape[-1] // n
        fits = reference_kernel.shape[-1:] == shape[-1:] and reference_kernel.shape[:-2] == shape[:-1]
        if not fits or reference_kernel.shape[-2] == 0 or reference_kernel.shape[-2] % per_reference:
            raise ValueError(
                f"reference_kernel must have the columns of the kernel, {shape[-1]}, and {per_reference} rows for"
                f" each reference input, got shape {reference_kernel.shape}"
            )
    return Problem(kernel, residuals, reference_kernel, n)


def checked_residuals(
    initial_outputs: Float[AnyArray, "examples outputs"], targets: Float[AnyArray, "examples outputs"]
) -> Float[Array, "examples outputs"]:
    """Checks outputs and targets, and returns their difference."""
    given = {"initial_outputs": initial_outputs, "targets": targets}
    for name, values in given.items():
        require_rank(name, values, 2, "(examples, outputs)")
    require_same_shape(**given)
    require_finite(**given)
    return jnp.asarray(initial_outputs) - targets


def checked_indices(name: str, indices: Any, num_examples: int) -> Int[np.ndarray, " indices"]:
    """Checks that indices name different examples, at least one."""
    checked = np.asarray(indices)
    require_rank(name, checked, 1, "(indices,)")
    require_not_empty(**{name: checked})
    require_indices(num_examples, **{name: checked})
    require_distinct(**{name: checked})
    return checked


def require_examples(num_examples: Scalar) -> None:
    """Raises a ValueError if there are too few to leave one out."""
    if is_concrete(num_examples) and num_examples < 2:
        raise ValueError(f"leaving an example out needs at least 2 of them, got {num_examples}")
