"""Training to convergence that is kept up to date while examples come and go: one decomposition at the start, no other.

With B = (K + shift)⁻¹ the trained coefficients are -B (f0 - y). When examples leave or arrive, B changes by a matrix of
the rank of their rows: O(rows²) for each of them, where a decomposition takes O(rows³).

The shift stays. It weighs the penalty on the weights against the summed loss, as a prior of given strength does: what
the examples say accumulates. A shift that followed their number would move every eigenvalue, and no update of low rank
does that.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from infotheory_dl._precision import in_double
from infotheory_dl._validation import edge, is_concrete, require_finite, require_shape
from infotheory_dl.linearization import KernelEigen, SingularKernelError
from infotheory_dl.results import concise
from infotheory_dl.sample_information._leave_one_out import LeaveOneOut, mean_square
from infotheory_dl.sample_information.problem import (
    Problem,
    checked_indices,
    checked_problem,
    checked_residuals,
    require_examples,
)
from infotheory_dl.sample_information.removal import Training, checked_solver
from infotheory_dl.types import AnyArray, Scalar

__all__ = ["Converged", "coefficients", "converged", "detach", "keep", "leave_one_out", "with_examples", "without"]


@concise
class Converged(NamedTuple):
    """A linearized network trained to convergence.

    Attributes:
      inverse: B, over (n k) or n rows; with a leading axis of outputs if each has its own kernel.
      residuals: initial outputs minus targets, f0 - y.
      shift: of the kernel, n weight_decay for the n examples of the start.
      reference_products: K* B for the kernel K* between reference inputs and examples, None without reference inputs;
        times y - f0 it is the change of their outputs by training.
    """

    inverse: Float[Array, "*outputs rows rows"]
    residuals: Float[Array, "examples outputs"]
    shift: Float[Array, ""]
    reference_products: Float[Array, "*outputs reference_rows rows"] | None


@edge(half=False)
def converged(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    reference_kernel: Float[AnyArray, "..."] | None = None,
    *,
    weight_decay: Scalar = 0.0,
) -> Converged:
    """Trains a linearized network to convergence, O(rows³), ready to gain and lose examples.

    Args:
      kernel, initial_outputs, targets, reference_kernel: as in `sample_information.leave_one_out`. An ill-conditioned
        kernel is best given in double precision: the updates lose nothing, but what its inverse lacks stays lacking.
      weight_decay: penalty on the mean loss over these n examples; the shift n weight_decay stays when they change.

    Returns:
      The state.

    Raises:
      ValueError: if shapes do not fit, an argument holds NaN or infinity, or weight_decay is negative.
      TypeError: if targets are labels and not floating-point columns.
      SingularKernelError: if there is no weight decay and the kernel is singular.
    """
    problem = checked_problem(kernel, initial_outputs, targets, reference_kernel)
    checked_solver(problem.kernel, len(targets), 1, Training(np.inf, 1.0, weight_decay))
    return trained(problem, weight_decay)


@jax.jit
@jax.default_matmul_precision("highest")
def coefficients(state: Converged) -> Float[Array, "examples outputs"]:
    """Computes the training coefficients a, of weights w0 + Jᵀ a."""
    solved = -state.inverse @ _columns(state, state.residuals)
    return solved[..., 0].T if state.inverse.ndim == 3 else solved.reshape(state.residuals.shape)


def without(state: Converged, examples: Sequence[int] | Int[AnyArray, " removed"]) -> Converged:
    """Takes examples out of the training, O(rows²) for each of their rows.

    Args:
      state: of `converged`, `without` or `with_examples`.
      examples: their indices among those present.

    Returns:
      The state for the others, in their order.

    Raises:
      ValueError: if an example is absent or named twice, or none is left.
    """
    n = len(state.residuals)
    examples = checked_indices("examples", examples, n)
    if len(examples) == n:
        raise ValueError(f"without all {n} examples there is nothing to train on")
    return keep(detach(state, examples), np.setdiff1d(np.arange(n), examples))


@edge(half=False)
def with_examples(
    state: Converged,
    cross_kernel: Float[AnyArray, "*outputs new_rows rows"],
    own_kernel: Float[AnyArray, "*outputs new_rows new_rows"],
    initial_outputs: Float[AnyArray, "new outputs"],
    targets: Float[AnyArray, "new outputs"],
    reference_kernel: Float[AnyArray, "*outputs reference_rows new_rows"] | None = None,
) -> Converged:
    """Brings new examples into the training, O(rows²) for each of their rows.

    Args:
      state: of `converged`, `without` or `with_examples`.
      cross_kernel: between the new examples (rows) and those present (columns), laid out like the kernel of the start.
      own_kernel: of the new examples.
      initial_outputs, targets: of the new examples.
      reference_kernel: between the reference inputs and the new examples, needed if the state has reference inputs.

    Returns:
      The state for all of them, the new ones last.

    Raises:
      ValueError: if shapes do not fit or an argument holds NaN or infinity.
      TypeError: if targets are labels and not floating-point columns.
      SingularKernelError: if there is no weight decay and the new examples add no dimension, as duplicates do.
    """
    residuals = checked_residuals(initial_outputs, targets)
    if residuals.shape[1] != state.residuals.shape[1]:
        raise ValueError(f"targets must have {state.residuals.shape[1]} columns, got shape {residuals.shape}")
    if (reference_kernel is None) != (state.reference_products is None):
        raise ValueError("a reference_kernel goes with a state that was given one, and only with such a state")
    batch, rows = state.inverse.shape[:-2], state.inverse.shape[-1]
    new_rows = len(residuals) * _coupled(state)
    kernels = [("cross_kernel", cross_kernel, (new_rows, rows)), ("own_kernel", own_kernel, (new_rows, new_rows))]
    if reference_kernel is not None and state.reference_products is not None:
        kernels.append(("reference_kernel", reference_kernel, (state.reference_products.shape[-2], new_rows)))
    for name, values, shape in kernels:
        require_shape(name, values, batch + shape, f"for {len(residuals)} new examples")
        require_finite(**{name: values})

    attached, pivots, scale = _attach(state, cross_kernel, own_kernel, residuals, reference_kernel)
    if is_concrete(pivots) and not pivots > attached.inverse.shape[-1] * jnp.finfo(pivots.dtype).eps * scale:
        raise SingularKernelError(
            f"the kernel of the new examples is singular or indefinite in {pivots.dtype} given those present: start"
            " with weight decay, or leave duplicate examples out"
        )
    return attached


def leave_one_out(state: Converged) -> LeaveOneOut:
    """Computes what each example tells the network, from the state alone: nothing is solved but k by k blocks.

    Args:
      state: of `converged`, `without` or `with_examples`.

    Returns:
      The fields of `sample_information.leave_one_out` at infinite time, with regularization "fixed".

    Raises:
      ValueError: if there are fewer than two examples.
    """
    require_examples(len(state.residuals))
    return _leave_one_out(state)


@edge
@jax.jit
@jax.default_matmul_precision("highest")
def detach(state: Converged, examples: Int[AnyArray, " removed"]) -> Converged:
    """Replaces examples in place by such as have nothing to do with any other, nor anything to fit.

    The others then train as if without them: their inverse is B - B_G (B_GG)⁻¹ B_Gᵀ. To do this once more changes
    nothing, and shapes stay, so that one program serves removal after removal.
    """
    rows = _rows(state, examples)
    factor = jnp.linalg.cholesky(state.inverse[..., rows[:, None], rows])
    whitened = solve_triangular(factor, state.inverse[..., rows, :], lower=True)
    present = jnp.ones(state.inverse.shape[-1], state.inverse.dtype).at[rows].set(0)
    inverse = (state.inverse - whitened.mT @ whitened) * present[:, None] * present + jnp.diag(1 - present)
    products = state.reference_products
    if products is not None:
        own = solve_triangular(factor, products[..., rows].mT, lower=True)
        products = (products - own.mT @ whitened) * present
    return Converged(inverse, state.residuals.at[examples].set(0), state.shift, products)


@edge
@jax.jit
def keep(state: Converged, examples: Int[AnyArray, " kept"]) -> Converged:
    """The state of some examples, where those that are dropped have been detached."""
    rows = _rows(state, examples)
    products = None if state.reference_products is None else state.reference_products[..., rows]
    return Converged(state.inverse[..., rows[:, None], rows], state.residuals[examples], state.shift, products)


def trained(problem: Problem, weight_decay: Scalar) -> Converged:
    """The core of `converged`."""
    return in_double(_trained, problem, weight_decay, dtype=problem.dtype)


@jax.jit
@jax.default_matmul_precision("highest")
def _trained(problem: Problem, weight_decay: Scalar) -> Converged:
    eigenvalues, vectors = map(jnp.asarray, (problem.kernel.eigenvalues, problem.kernel.eigenvectors))
    shift = jnp.asarray(problem.num_examples * weight_decay, eigenvalues.dtype)
    rows, rank = vectors.shape[-2:]
    inverse = (vectors / (eigenvalues + shift)[..., None, :]) @ vectors.mT
    if rank < rows:
        # the rest of the space, where a kernel of low rank is zero
        inverse += (jnp.eye(rows, dtype=vectors.dtype) - vectors @ vectors.mT) / shift
    products = None if problem.reference_kernel is None else jnp.asarray(problem.reference_kernel) @ inverse
    return Converged(inverse, problem.residuals, shift, products)


@jax.jit
@jax.default_matmul_precision("highest")
def _attach(
    state: Converged, cross_kernel: Array, own_kernel: Array, residuals: Array, reference_kernel: Array | None
) -> tuple[Converged, Float[Array, ""], Float[Array, ""]]:
    """The inverse by Schur's complement; its smallest pivot and the scale of the new examples beside it."""
    inverse, stacked, shift, products = state
    identity = jnp.broadcast_to(jnp.eye(own_kernel.shape[-1], dtype=inverse.dtype), own_kernel.shape)
    own = (own_kernel + own_kernel.mT) / 2 + shift * identity
    explained = inverse @ cross_kernel.mT
    factor = jnp.linalg.cholesky(own - cross_kernel @ explained)
    whitened = solve_triangular(factor, explained.mT, lower=True)
    half = solve_triangular(factor, identity, lower=True)
    across = -whitened.mT @ half
    inverse = _block(inverse + whitened.mT @ whitened, across, half.mT @ half)
    if products is not None and reference_kernel is not None:
        # what the reference inputs share with the new examples beyond those present
        beyond = (reference_kernel - products @ cross_kernel.mT) @ half.mT
        products = jnp.concatenate([products - beyond @ whitened, beyond @ half], axis=-1)
    pivots = jnp.square(jnp.diagonal(factor, axis1=-2, axis2=-1))
    scale = jnp.diagonal(own, axis1=-2, axis2=-1).max()
    return Converged(inverse, jnp.concatenate([stacked, residuals]), shift, products), pivots.min(), scale


@jax.jit
@jax.default_matmul_precision("highest")
def _leave_one_out(state: Converged) -> LeaveOneOut:
    inverse, residuals, shift, products = state
    (n, k), coupled, batch = residuals.shape, _coupled(state), inverse.shape[:-2]
    rows = inverse.reshape(*batch, n, coupled, -1)
    # B_ii, and (B K B)_ii = B_ii - shift (B B)_ii
    own = jnp.diagonal(inverse.reshape(*batch, n, coupled, n, coupled), axis1=-4, axis2=-2)
    own = jnp.moveaxis(own, -1, -3)
    metric = own - shift * jnp.einsum("...iar,...ibr->...iab", rows, rows)

    solved = -inverse @ _columns(state, residuals)
    unfitted = jnp.linalg.solve(own, solved.reshape(*batch, n, coupled, -1))
    # rounding may leave the squared norm of a vanishing change below zero
    weight_change = jnp.maximum(jnp.sum(unfitted * (metric @ unfitted), axis=(-2, -1)), 0).reshape(-1, n).sum(0)
    changes = None
    if products is not None:
        blocks = products.reshape(*batch, -1, n, coupled)
        changes = -jnp.einsum("...mia,...iap->...imp", blocks, unfitted)
        changes = jnp.moveaxis(changes[..., 0], 0, -1) if batch else changes.reshape(n, -1, k)
    left = jnp.moveaxis(unfitted[..., 0, 0], 0, -1) if batch else unfitted.reshape(n, k)
    return LeaveOneOut(weight_change, mean_square(changes), changes, left)


def _coupled(state: Converged) -> int:
    """How many outputs of one example the kernel couples: all of them or one."""
    return state.inverse.shape[-1] // len(state.residuals)


def _rows(state: Converged, examples: Int[AnyArray, " examples"]) -> Int[Array, " rows"]:
    coupled = _coupled(state)
    return (jnp.asarray(examples)[:, None] * coupled + jnp.arange(coupled)).ravel()


def _columns(state: Converged, values: Float[Array, "examples outputs"]) -> Float[Array, "*outputs rows problems"]:
    """Lays values out as the kernel acts on them."""
    return values.T[..., None] if state.inverse.ndim == 3 else values.reshape(state.inverse.shape[-1], -1)


def _block(first: Array, across: Array, last: Array) -> Array:
    upper = jnp.concatenate([first, across], axis=-1)
    return jnp.concatenate([upper, jnp.concatenate([across.mT, last], axis=-1)], axis=-2)
