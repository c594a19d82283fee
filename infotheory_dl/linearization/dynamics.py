"""Training of a linearized network under squared error, in closed form, from one eigendecomposition of its kernel.

The loss is the mean over n examples of ½‖f(x) - y‖² plus (weight_decay / 2)‖w - w0‖². Full-batch descent reaches
w = w0 + Jᵀ a with a = -phi(K + n weight_decay) (f0 - y), where phi is the `response` below.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl._precision import in_double
from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_choice,
    require_finite,
    require_positive,
    require_rank,
)
from infotheory_dl.linearization.eigen import (
    ENTRIES,
    REMEDY,
    TOLERANCE,
    KernelEigen,
    SingularKernelError,
    require_eigen,
    require_invertible,
)
from infotheory_dl.linearization.kernels import transposed_jacobian_products
from infotheory_dl.types import AnyArray, ApplyFn, Params, Scalar

Dynamics = Literal["continuous", "discrete"]


@edge
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


@edge(half=False)
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
      SingularKernelError: if time is infinite, there is no weight decay and the kernel is singular; or if rounding of
        the kernel may change the outputs by more than a thousandth of the residuals. Neither under `jit` and the like.
    """
    residuals = jnp.asarray(initial_outputs) - targets
    return _trained(_coefficients, kernel, residuals, (), time, learning_rate, weight_decay, dynamics)


@edge(half=False)
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
    initial_outputs = jnp.asarray(initial_outputs)
    residuals = initial_outputs - targets
    settings = (time, learning_rate, weight_decay, dynamics)
    if reference_kernel is None:
        return _trained(_outputs, kernel, residuals, (initial_outputs,), *settings)
    if initial_reference_outputs is None:
        raise ValueError("a reference_kernel needs initial_reference_outputs beside it")
    return _trained(_reference_outputs, kernel, residuals, (reference_kernel, initial_reference_outputs), *settings)


def _trained(
    what: Callable[..., Array],
    kernel: KernelEigen,
    residuals: Float[Array, "examples outputs"],
    arrays: tuple[AnyArray, ...],
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar,
    dynamics: Dynamics,
) -> Float[Array, "... outputs"]:
    """What there is of the trained network, `what(coefficients, kernel, *arrays)`; checked."""
    _require_fitting(kernel, residuals)
    require_choice("dynamics", dynamics, ("continuous", "discrete"))
    is_infinite = is_concrete(time) and bool(np.isinf(time))
    if is_infinite:
        require_invertible(kernel, len(residuals) * weight_decay)
    result, reach, extent = in_double(
        functools.partial(_train, what, dynamics, is_infinite),
        kernel,
        residuals,
        (time, learning_rate, weight_decay),
        arrays,
        dtype=jnp.result_type(kernel.dtype, residuals, *arrays),
    )
    if kernel.rounding is not None and all(map(is_concrete, (kernel.rounding, reach, extent))):
        carried, allowed = ENTRIES * float(kernel.rounding) * float(reach), TOLERANCE * float(extent)
        if carried > allowed:
            raise SingularKernelError(
                f"rounding of the kernel in {kernel.dtype} may carry the trained outputs {carried / allowed:.3g} times"
                f" further than a thousandth of what there is to learn: {REMEDY}"
            )
    return result


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _train(
    what: Callable[..., Array],
    dynamics: Dynamics,
    is_infinite: bool,
    kernel: KernelEigen,
    residuals: Array,
    settings: tuple[Scalar, Scalar, Scalar],
    arrays: tuple[Array, ...],
) -> tuple[Array, Array, Array]:
    """The result, and the norms of the coefficients and of the residuals."""
    time, learning_rate, weight_decay = settings
    n = len(residuals)
    phi = response(
        kernel.eigenvalues + n * weight_decay,
        time=np.inf if is_infinite else time,
        rate=learning_rate / n,
        dynamics=dynamics,
    )
    solved = phi[:, None] * (kernel.eigenvectors.T @ _kernel_rows(kernel, residuals))
    coefficients = -(kernel.eigenvectors @ solved).reshape(residuals.shape)
    return what(coefficients, kernel, *arrays), jnp.linalg.norm(solved), jnp.linalg.norm(residuals)


def _coefficients(coefficients: Array, kernel: KernelEigen) -> Array:
    return coefficients


def _outputs(coefficients: Array, kernel: KernelEigen, initial_outputs: Array) -> Array:
    projected = kernel.eigenvectors.T @ _kernel_rows(kernel, coefficients)
    change = kernel.eigenvectors @ (kernel.eigenvalues[:, None] * projected)
    return initial_outputs + change.reshape(initial_outputs.shape)


def _reference_outputs(
    coefficients: Array, kernel: KernelEigen, reference_kernel: Array, initial_outputs: Array
) -> Array:
    return initial_outputs + (reference_kernel @ _kernel_rows(kernel, coefficients)).reshape(initial_outputs.shape)


@edge
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


@edge(half=False)
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
    return in_double(_left_out, kernel, targets, weight_decay, dtype=jnp.result_type(kernel.dtype, targets))


@jax.jit
def _left_out(kernel: KernelEigen, targets: Array, weight_decay: Scalar) -> Array:
    n = len(targets)
    residuals = _leave_one_out_residuals(kernel, _kernel_rows(kernel, targets), n * weight_decay, n)
    return targets - residuals.reshape(targets.shape)


@edge(half=False)
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
        candidates = candidate_weight_decays(kernel, n)
    dtype = jnp.result_type(kernel.dtype, targets)
    return in_double(_best_weight_decay, kernel, jnp.asarray(targets), jnp.asarray(candidates, float), dtype=dtype)


def candidate_weight_decays(kernel: KernelEigen, num_examples: int) -> Float[AnyArray, " candidates"]:
    """Those that shift the kernel by 1e-6 to 10 times its mean eigenvalue."""
    return np.logspace(-6, 1, 31) * kernel.eigenvalues.mean() / num_examples


@jax.jit
def _best_weight_decay(kernel: KernelEigen, targets: Array, candidates: Array) -> Array:
    n, rows = len(targets), _kernel_rows(kernel, targets)
    errors = lambda decay: jnp.square(_leave_one_out_residuals(kernel, rows, n * decay, n)).sum()
    return candidates[jnp.argmin(lax.map(errors, candidates))]


def _require_fitting(kernel: KernelEigen, targets: Float[AnyArray, "examples outputs"]) -> None:
    require_rank("targets", targets, 2, "(examples, outputs)")
    require_finite(targets=targets)
    require_eigen(kernel)
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
    eigenvalues, vectors = kernel.eigenvalues, kernel.eigenvectors
    blocks = vectors.reshape(num_examples, -1, len(eigenvalues))
    inverse = 1 / (eigenvalues + shift)
    solved = vectors @ (inverse[:, None] * (vectors.T @ rows))
    inverse_blocks = jnp.einsum("iaj,ibj->iab", blocks * inverse, blocks)
    if len(eigenvalues) < len(rows):
        # the rest of the space, where a kernel of low rank is zero
        solved += (rows - vectors @ (vectors.T @ rows)) / shift
        inverse_blocks += (
            jnp.eye(blocks.shape[1], dtype=blocks.dtype) - jnp.einsum("iaj,ibj->iab", blocks, blocks)
        ) / shift
    return jnp.linalg.solve(inverse_blocks, solved.reshape(num_examples, blocks.shape[1], -1))
