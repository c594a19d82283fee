"""Removing examples from a linearized training: every removal follows from one eigendecomposition of the kernel.

With R = (zeta + K)⁻¹ and r = f0 - y, the solution of (zeta + K) x = r without the rows and columns of a group G is R
r - R_G (R_GG)⁻¹ (R r)_G, by Schur's complement. The response of training is a sum of such resolvents over few poles
zeta, so that nothing of the size of the kernel is made for any group.
"""

import functools
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Inexact, Int

from infotheory_dl._blocks import map_examples
from infotheory_dl._precision import in_double
from infotheory_dl._validation import (
    is_concrete,
    require_choice,
    require_not_negative,
    require_positive,
    require_within,
)
from infotheory_dl.linearization import Dynamics, KernelEigen, SingularKernelError, response
from infotheory_dl.linearization.eigen import ENTRIES, REMEDY, TOLERANCE, require_invertible
from infotheory_dl.results import concise
from infotheory_dl.sample_information.contour import response_poles
from infotheory_dl.sample_information.problem import Problem
from infotheory_dl.types import AnyArray, Scalar

Regularization = Literal["fixed", "rescaled"]

_FEWEST_STEPS_OF_A_CONTOUR = 8
_CHUNK_BYTES = 2**26


class StepSizeError(ValueError):
    """Gradient descent diverges with this learning rate."""


@concise
class Training(NamedTuple):
    """How the linearized network is trained.

    Attributes:
      time: number of full-batch steps, or infinity.
      learning_rate: step size on the mean loss.
      weight_decay: penalty on the mean loss, towards the initial weights.
      dynamics: "continuous" (gradient flow) or "discrete" (gradient descent).
      regularization: without some examples, the sum over the others is penalized as much as before ("fixed", as
        published), or their mean is ("rescaled", as retraining does).
    """

    time: Any
    learning_rate: Any
    weight_decay: Any = 0.0
    dynamics: Dynamics = "continuous"
    regularization: Regularization = "fixed"


class TrainingAtAnyTime(TypedDict):
    """The settings of a `Training`, as the functions that score take them, but for its time."""

    learning_rate: Scalar
    weight_decay: NotRequired[Scalar]
    dynamics: NotRequired[Dynamics]
    regularization: NotRequired[Regularization]


class TrainingSettings(TrainingAtAnyTime):
    """The settings of a `Training`, as the functions that score take them."""

    time: Scalar


@concise
class Removal(NamedTuple):
    """What changes when each of several groups of examples is left out, (without it) minus (with all).

    Attributes:
      weight_change: squared norm of the change of the weights.
      output_changes: change of the outputs on the reference inputs, None without any.
      residuals: targets of the group minus the predictions for it without it.
      reach: squared norm of the change of the training coefficients: how fast `weight_change` follows an eigenvalue of
        the kernel.
      coefficients: change of the training coefficients a, of weights w0 + Jᵀ a, in the eigenbasis of the kernel, if
        asked for.
    """

    weight_change: Float[Array, " groups"]
    output_changes: Float[Array, "groups references outputs"] | None
    residuals: Float[Array, "groups members outputs"]
    reach: Float[Array, " groups"]
    coefficients: Float[Array, "groups problems rank"] | None


def remove(
    problem: Problem,
    groups: Int[AnyArray, "groups members"],
    training: Training,
    *,
    keep_coefficients: bool = False,
    dtype: Any = None,
) -> Removal:
    """Leaves each group out in turn; the groups have one size.

    Args:
      problem: of `checked_problem`.
      groups: indices of examples.
      training: how the network is trained.
      keep_coefficients: whether to return the changes of the coefficients, as large as the kernel for each problem.
      dtype: of the changes; default that of the problem. Double precision goes on in `in_double` alone, where it is
        off.

    Returns:
      The changes.

    Raises:
      ValueError: if a setting is out of its range, or a group holds all examples.
      StepSizeError: if gradient descent diverges.
      SingularKernelError: if time is infinite, there is no weight decay and the kernel is singular; or if rounding of
        the kernel decides a score.
    """
    solver = checked_solver(problem.kernel, problem.num_examples, groups.shape[1], training)
    removal = in_double(
        functools.partial(_remove_all, solver, keep_coefficients),
        jnp.asarray(groups),
        (training.time, training.learning_rate, training.weight_decay, problem.num_examples),
        problem.kernel,
        problem.residuals,
        problem.reference_kernel,
        dtype=problem.dtype if dtype is None else dtype,
    )
    _require_determined(problem.kernel, groups, removal)
    return removal


def _remove_all(
    solver: "Solver",
    keep_coefficients: bool,
    groups: Int[Array, "groups members"],
    settings: tuple[Scalar, Scalar, Scalar, Scalar],
    kernel: KernelEigen,
    residuals: Float[Array, "examples outputs"],
    reference_kernel: Float[Array, "*outputs reference_rows rows"] | None,
) -> Removal:
    core = functools.partial(_remove, groups, *settings, solver=solver, keep_coefficients=keep_coefficients)
    if kernel.eigenvalues.ndim == 1:
        coupled = len(kernel.eigenvectors) // len(residuals)
        return core(kernel, residuals.reshape(len(residuals), coupled, -1), reference_kernel)
    # one kernel for each output: as many independent problems
    references_axis = None if reference_kernel is None else 0
    each = jax.vmap(core, in_axes=(0, 0, references_axis))(kernel, residuals.T[:, :, None, None], reference_kernel)
    return Removal(
        each.weight_change.sum(0),
        None if reference_kernel is None else jnp.moveaxis(each.output_changes.squeeze(-1), 0, -1),
        jnp.moveaxis(each.residuals.squeeze(-1), 0, -1),
        each.reach.sum(0),
        jnp.moveaxis(each.coefficients.squeeze(2), 0, 1) if keep_coefficients else None,
    )


def _require_determined(kernel: KernelEigen, groups: Int[AnyArray, "groups members"], removal: Removal) -> None:
    """Raises a SingularKernelError if rounding of the kernel decides the score of a group.

    A kernel that is off by epsilon along the change c of the coefficients moves ‖Jᵀ c‖² by about epsilon ‖c‖². A score
    that is small beside the others may be off by as much as a common one.
    """
    if kernel.rounding is None or not all(map(is_concrete, (kernel.rounding, *jax.tree.leaves(removal)))):
        return
    scores = np.asarray(removal.weight_change, float)
    carried = ENTRIES * float(np.max(kernel.rounding)) * np.asarray(removal.reach, float)
    allowed = TOLERANCE * np.maximum(scores, np.median(scores))
    worst = int(np.argmax(carried - allowed))
    if carried[worst] > allowed[worst]:
        which = ", ".join(map(str, np.asarray(groups)[worst][:5]))
        raise SingularKernelError(
            f"rounding of the kernel in {kernel.dtype} may carry the weight change without example {which},"
            f" {scores[worst]:.3g}, by {carried[worst]:.2g}: {REMEDY}"
        )


class Solver(NamedTuple):
    """What of a training changes the program, not only its numbers."""

    infinite: bool
    recursion: bool
    dynamics: Dynamics
    regularization: Regularization


def checked_solver(kernel: KernelEigen, num_examples: Scalar, num_removed: int, training: Training) -> Solver:
    """Checks the settings, as far as their values are known, and chooses how to solve."""
    time, learning_rate, weight_decay, dynamics, regularization = training
    require_choice("dynamics", dynamics, ("continuous", "discrete"))
    require_choice("regularization", regularization, ("fixed", "rescaled"))
    remaining = num_examples - num_removed
    if is_concrete(remaining) and remaining < 1:
        raise ValueError(f"a group of {num_removed} leaves none of the {num_examples} examples to train on")
    require_within("(0, inf]", "a number of steps", time=time)
    require_positive(learning_rate=learning_rate)
    require_not_negative(weight_decay=weight_decay)

    infinite = is_concrete(time) and bool(np.isinf(time))
    known = all(map(is_concrete, (kernel.eigenvalues, learning_rate, weight_decay, num_examples)))
    shift = num_examples * weight_decay
    if infinite and known:
        require_invertible(kernel, shift)
    if dynamics == "continuous" or not (known and is_concrete(time)):
        return Solver(infinite, False, dynamics, regularization)

    if not infinite and time != int(time):
        raise ValueError(f"gradient descent takes a whole number of steps, got time={time}")
    largest = float(np.asarray(kernel.eigenvalues).max() + shift)
    reach = float(learning_rate) / remaining * largest
    if reach >= 2:
        raise StepSizeError(
            f"gradient descent diverges with learning_rate={learning_rate}: the largest eigenvalue of the kernel is"
            f" {largest:.4g}, so stay below {2 * remaining / largest:.4g}"
        )
    # the contour encloses 1 - rate mu in [0, 1]; what lies elsewhere must have died out
    dies_out = abs(1 - reach) ** float(time) < jnp.finfo(kernel.eigenvalues.dtype).eps
    recursion = not infinite and (time < _FEWEST_STEPS_OF_A_CONTOUR or not (reach <= 1 or dies_out))
    return Solver(infinite, recursion, dynamics, regularization)


@functools.partial(jax.jit, static_argnames=("solver", "keep_coefficients"))
def _remove(
    groups: Int[Array, "groups members"],
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar,
    num_examples: Scalar,
    kernel: KernelEigen,
    residuals: Float[Array, "examples coupled problems"],
    reference_kernel: Float[Array, "reference_rows rows"] | None,
    *,
    solver: Solver,
    keep_coefficients: bool,
) -> Removal:
    """The mathematics of `remove`: outputs are `coupled` by the kernel, or independent `problems` that share it."""
    eigenvalues, eigenvectors = kernel.eigenvalues, kernel.eigenvectors
    _, coupled, problems = residuals.shape
    num_rows, rank = eigenvectors.shape
    remaining = num_examples - groups.shape[1]
    time = jnp.inf if solver.infinite else time
    rate = learning_rate / remaining
    shifted = eigenvalues + num_examples * weight_decay
    left_shift = (num_examples if solver.regularization == "fixed" else remaining) * weight_decay
    left = eigenvalues + left_shift
    rows_of = eigenvectors.reshape(len(residuals), coupled, rank)

    with jax.default_matmul_precision("highest"):
        initial = jnp.einsum("xcj,xcp->pj", rows_of, residuals)
        full = -response(shifted, time=time, rate=learning_rate / num_examples, dynamics=solver.dynamics) * initial
        undiminished = -response(left, time=time, rate=rate, dynamics=solver.dynamics) * initial
        references = None if reference_kernel is None else reference_kernel @ eigenvectors
        if solver.recursion:
            descend = functools.partial(_descend_without, kernel, left_shift, residuals, time, rate)
        else:
            poles = response_poles(time=time, rate=rate, dynamics=solver.dynamics, dtype=left.dtype)
            resolvents = 1 / (poles.locations[:, None] + left)
            # a kernel of low rank is zero on the rest of the space
            rest = 1 / (poles.locations + left_shift) if rank < num_rows else None

        def remove_one(members: Int[Array, " members"]) -> Removal:
            rows = rows_of[members].reshape(-1, rank)
            if solver.recursion:
                change = descend(members) - full
            else:
                # the difference of responses is taken before the small correction for the rows of the group is added
                own = residuals[members].reshape(len(rows), problems)
                change = (undiminished - full) + _schur_correction(rows, own, initial, resolvents, rest, poles.weights)
            predicted = jnp.einsum("aj,pj->ap", rows, eigenvalues * (full + change)).reshape(-1, coupled, problems)
            unfitted = -(residuals[members] + predicted).reshape(len(members), coupled * problems)
            weight_change = jnp.sum(eigenvalues * change**2)
            output_changes = None
            if references is not None:
                output_changes = jnp.einsum("rj,pj->rp", references, change).reshape(-1, coupled * problems)
            reach = jnp.sum(change**2)
            return Removal(weight_change, output_changes, unfitted, reach, change if keep_coefficients else None)

        width = groups.shape[1] * coupled
        chunk = _CHUNK_BYTES // (eigenvalues.itemsize * rank * (min(width, 32) ** 2 + problems * (width + 2)))
        return map_examples(remove_one, (groups,), max(1, chunk))


def _schur_correction(
    rows: Float[Array, "removed rank"],
    residuals: Float[Array, "removed problems"],
    initial: Float[Array, "problems rank"],
    resolvents: Inexact[Array, "poles rank"],
    rest: Inexact[Array, " poles"] | None,
    pole_weights: Inexact[Array, " poles"],
) -> Float[Array, "problems rank"]:
    """Sums R_G (R_GG)⁻¹ (R r)_G over the poles, in the eigenbasis."""
    if len(rows) <= 32:
        pairs = rows[:, None] * rows[None]
        inverse_blocks = jnp.moveaxis(_times(pairs, resolvents.T), -1, 0)
    else:
        inverse_blocks = jnp.einsum("aj,kj,bj->kab", rows, resolvents, rows)
    right = jnp.einsum("ajp,kj->kap", rows[:, :, None] * initial.T, resolvents)
    if rest is not None:
        inverse_blocks += rest[:, None, None] * (jnp.eye(len(rows), dtype=rows.dtype) - rows @ rows.T)
        right += rest[:, None, None] * (residuals - rows @ initial.T)
    solved = pole_weights[:, None, None] * jnp.linalg.solve(inverse_blocks, right)
    # 2 Re of a product, from real products
    spread = 2 * jnp.einsum("kap,kj->apj", solved.real, resolvents.real)
    if jnp.iscomplexobj(resolvents):
        spread -= 2 * jnp.einsum("kap,kj->apj", solved.imag, resolvents.imag)
    return jnp.einsum("apj,aj->pj", spread, rows)


def _times(real: Array, matrix: Array) -> Array:
    """A real array times a matrix that may be complex, without complex products."""
    if not jnp.iscomplexobj(matrix):
        return real @ matrix
    return lax.complex(real @ matrix.real, real @ matrix.imag)


def _descend_without(
    kernel: KernelEigen, shift: Scalar, residuals: Array, time: Scalar, rate: Scalar, members: Array
) -> Float[Array, "problems rank"]:
    """Gradient descent on the coefficients of all examples but the members, returned in the eigenbasis."""
    num_examples, _, problems = residuals.shape
    eigenvalues, vectors = kernel.eigenvalues, kernel.eigenvectors
    kept = jnp.ones((num_examples, 1, 1), residuals.dtype).at[members].set(0)

    def step(_: Array, coefficients: Array) -> Array:
        fitted = vectors @ (eigenvalues[:, None] * (vectors.T @ coefficients.reshape(-1, problems)))
        gradient = fitted.reshape(residuals.shape) + shift * coefficients + residuals
        return kept * (coefficients - rate * gradient)

    coefficients = lax.fori_loop(0, jnp.asarray(time, int), step, jnp.zeros_like(residuals))
    return (vectors.T @ coefficients.reshape(-1, problems)).T
