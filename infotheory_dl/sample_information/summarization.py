"""Which examples to leave out first, so that the others tell the network what all of them told it."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import edge, require_choice, require_within
from infotheory_dl.linearization import KernelEigen, kernel_eigen
from infotheory_dl.linearization.eigen import composed
from infotheory_dl.results import concise
from infotheory_dl.sample_information import online
from infotheory_dl.sample_information._leave_one_out import mean_square
from infotheory_dl.sample_information.problem import Problem, checked_problem
from infotheory_dl.sample_information.removal import Training, TrainingSettings, checked_solver, remove
from infotheory_dl.types import AnyArray, Key

Strategy = Literal["iterative", "bottom", "top", "random"]
Score = Literal["output_change", "weight_change"]

# The published rounds end there; what is left is ordered by its last scores.
_REMOVED_BY_ROUNDS = 0.95


@concise
class Summary(NamedTuple):
    """An order in which to remove examples.

    Attributes:
      order: indices of all n examples, the first to remove first; at a removal ratio, `order[int(ratio * n):]` stay.
      sizes: how many examples each round scored.
    """

    order: Int[Array, " examples"]
    sizes: Int[Array, " rounds"]


@edge(half=False)
def summarize(
    kernel: Float[AnyArray, "..."] | KernelEigen,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    reference_kernel: Float[AnyArray, "..."] | None = None,
    *,
    strategy: Strategy = "iterative",
    score: Score = "output_change",
    fraction: float = 0.05,
    key: Key | None = None,
    **training: Unpack[TrainingSettings],
) -> Summary:
    """Orders examples by what they tell a linearized network, to keep only the last of them.

    Args:
      kernel, initial_outputs, targets, reference_kernel: as in `leave_one_out`.
      strategy: "iterative" scores, removes the least informative fraction of those left, and scores again, until 95 %
        are removed; "bottom" removes the least informative first, "top" the most informative, both by one scoring of
        all; "random" by none.
      score: "output_change", which needs a reference_kernel, or "weight_change".
      fraction: that a round removes, rounded down, but at least one example.
      key: of the random order.
      **training: time, learning_rate, ... of `leave_one_out`. The loss is the mean over the examples that are left.
        With regularization "fixed" the penalty on their summed loss stays that of all, with "rescaled" it follows
        their number.

    Returns:
      The order. At infinite time with "fixed" regularization all rounds follow from one decomposition, else each takes
      one.

    Raises:
      ValueError: if shapes do not fit, an argument holds NaN or infinity, or a setting is out of its range or missing.
      TypeError: if targets are labels and not floating-point columns.
      StepSizeError: if gradient descent diverges, in any round: fewer examples make larger steps.
      SingularKernelError: if time is infinite, there is no weight decay and the kernel is singular.

    Source: Harutyunyan et al., 2021 (section 5.3, data summarization).
    """
    require_choice("strategy", strategy, ("iterative", "bottom", "top", "random"))
    require_choice("score", score, ("output_change", "weight_change"))
    n = len(targets)
    if strategy == "random":
        if key is None:
            raise ValueError("strategy='random' needs a key")
        return Summary(jax.random.permutation(key, n), jnp.zeros(0, int))
    require_within("(0, 1)", fraction=fraction)
    if score == "weight_change":
        reference_kernel = None
    elif reference_kernel is None:
        raise ValueError("score='output_change' needs a reference_kernel; without one there is score='weight_change'")
    problem = checked_problem(kernel, initial_outputs, targets, reference_kernel)
    return summarized(problem, Training(**training), strategy, score, fraction)


def summarized(
    problem: Problem,
    setting: Training,
    strategy: Literal["iterative", "bottom", "top"],
    score: Score = "output_change",
    fraction: float = 0.05,
) -> Summary:
    """The core of `summarize`."""
    n = len(problem.residuals)
    solver = checked_solver(problem.kernel, n, 1, setting)
    state: online.Converged | _Remaining
    if solver.infinite and setting.regularization == "fixed":
        state = online.trained(problem, setting.weight_decay)
        method = _Method(functools.partial(_score_converged, score), online.detach, online.keep)
    else:
        state = _Remaining(composed(problem.kernel), problem.residuals, problem.reference_kernel)
        method = _Method(functools.partial(_score_decomposed, score, problem, setting), _stay, _keep)
    order, sizes = _remove_in_rounds(state, method, n, fraction if strategy == "iterative" else 1.0)
    return Summary(jnp.asarray(order[::-1] if strategy == "top" else order), jnp.asarray(sizes))


def summarized_features(
    features: Float[np.ndarray, "examples features"],
    targets: Float[np.ndarray, "examples outputs"],
    shift: float,
    fraction: float = 0.05,
) -> Int[np.ndarray, " examples"]:
    """The order of "iterative" rounds for ridge regression on explicit features, by the output change for all examples.

    The penalty on the summed loss stays, as by "fixed". A round takes a product of the features that are left with a
    square matrix, so that n examples cost some 20 such products of all.

    Args:
      features: of all examples; a column of ones is added for the intercept, which is not penalised.
      targets: y.
      shift: of the moments, n weight_decay.
      fraction: that a round removes.

    Returns:
      Indices, the first to remove first.
    """
    n, dtype = len(features), features.dtype
    rows = np.concatenate([features, np.ones((n, 1), dtype)], axis=1)
    penalty = np.append(np.full(features.shape[1], shift), 0.0)
    references = (rows.T @ rows / n).astype(float)
    left, order = np.arange(n), []
    while len(left):
        own, y = rows[left], targets[left].astype(dtype)
        count = max(1, int(fraction * len(left) * (1 + 1e-12)))
        if len(left) <= (1 - _REMOVED_BY_ROUNDS) * n or len(left) < 3:
            count = len(left)
        inverse = np.linalg.inv((own.T @ own).astype(float) + np.diag(penalty))
        solved = own @ inverse.astype(dtype)
        remaining = 1 - (solved * own).sum(1)
        residuals = (y - solved @ (own.T @ y)) / np.maximum(remaining, np.finfo(dtype).eps)[:, None]
        influence = ((solved @ references.astype(dtype)) * solved).sum(1)
        leaving = np.argsort(influence * np.square(residuals).sum(1), kind="stable")[:count]
        order.append(left[leaving])
        left = np.delete(left, leaving)
    return np.concatenate(order)


class _Method(NamedTuple):
    """What a sequence of removals takes.

    Attributes:
      score: of a state and of which of its examples are present, their scores.
      detach: makes a state in which some examples no longer act, in the same shapes.
      keep: makes the smaller state of some examples.
    """

    score: Callable[[Any, np.ndarray], Array]
    detach: Callable[[Any, np.ndarray], Any]
    keep: Callable[[Any, np.ndarray], Any]


def _remove_in_rounds(state: Any, method: _Method, num_examples: int, fraction: float) -> tuple[np.ndarray, list[int]]:
    """The order of removal, and how many examples were present in each round.

    A program compiled for each size would cost more than the rounds. So examples that leave are detached and their rows
    stay, until only half of the rows are in use.
    """
    order: list[np.ndarray] = []
    sizes: list[int] = []
    examples = np.arange(num_examples)
    present = np.ones(num_examples, bool)
    remaining, widest = num_examples, 0
    while remaining > 1:
        sizes.append(remaining)
        scores = np.where(present, np.asarray(method.score(state, present)), np.inf)
        done = num_examples - remaining >= _REMOVED_BY_ROUNDS * num_examples
        # rounding must not turn 0.29 * 100 into 28
        count = remaining if done else max(1, int(fraction * remaining * (1 + 1e-12)))
        leaving = np.argsort(scores, kind="stable")[:count]
        order.append(examples[leaving])
        widest = max(widest, count)
        # to detach once more those who left keeps one shape for all rounds
        padding = np.flatnonzero(~present)[: widest - count]
        present[leaving] = False
        remaining -= count
        if remaining:
            state = method.detach(state, np.concatenate([leaving, padding]))
        if 0 < 2 * remaining <= len(examples):
            kept = np.flatnonzero(present)
            state, examples, present, widest = method.keep(state, kept), examples[kept], present[kept], 0
    return np.concatenate([*order, examples[present]]), sizes


@functools.partial(jax.jit, static_argnums=0)
def _score_converged(score: Score, state: online.Converged, present: Bool[AnyArray, " examples"]) -> Array:
    return getattr(online.leave_one_out(state), score)


class _Remaining(NamedTuple):
    """What a round at finite time decomposes anew, as far as the examples are present.

    Fewer examples make larger steps on the summed loss, which moves all poles of the response. So no resolvent of one
    round is one of the next, and there is nothing that an update of low rank could keep.
    """

    kernel: Float[Array, "*outputs rows rows"]
    residuals: Float[Array, "examples outputs"]
    reference_kernel: Float[AnyArray, "*outputs reference_rows rows"] | None


def _score_decomposed(
    score: Score, problem: Problem, training: Training, state: _Remaining, present: Bool[np.ndarray, " examples"]
) -> Array:
    n, remaining = problem.num_examples, int(present.sum())
    if training.regularization == "fixed":
        training = training._replace(weight_decay=training.weight_decay * n / remaining)
    if remaining < n:
        kernel, residuals, reference_kernel = _mask(state, present)
        problem = Problem(kernel_eigen(kernel), residuals, reference_kernel, remaining)
    removal = remove(problem, np.arange(len(present))[:, None], training)
    scores = removal.weight_change if score == "weight_change" else mean_square(removal.output_changes)
    assert scores is not None
    return scores


@jax.jit
def _mask(state: _Remaining, present: Bool[AnyArray, " examples"]) -> _Remaining:
    """Gives absent examples nothing in common with any other and nothing to fit.

    Their eigenvalue is the mean diagonal of the others, which lies within the others' spectrum.
    """
    rows = jnp.repeat(present, state.kernel.shape[-1] // len(present))
    within = jnp.where(rows[:, None] & rows, state.kernel, 0)
    mean = jnp.trace(within, axis1=-2, axis2=-1) / rows.sum()
    kernel = within + mean[..., None, None] * jnp.diag(~rows)
    reference_kernel = None if state.reference_kernel is None else jnp.where(rows, state.reference_kernel, 0)
    return _Remaining(kernel, jnp.where(present[:, None], state.residuals, 0), reference_kernel)


def _stay(state: _Remaining, examples: Int[np.ndarray, " leaving"]) -> _Remaining:
    """Nothing to do before the next scoring, which masks whoever is absent."""
    return state


def _keep(state: _Remaining, examples: Int[np.ndarray, " kept"]) -> _Remaining:
    coupled = state.kernel.shape[-1] // len(state.residuals)
    rows = (examples[:, None] * coupled + np.arange(coupled)).ravel()
    reference_kernel = None if state.reference_kernel is None else state.reference_kernel[..., rows]
    return _Remaining(state.kernel[..., rows[:, None], rows], state.residuals[examples], reference_kernel)
