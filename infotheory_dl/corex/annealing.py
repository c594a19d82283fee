"""The loop of every solver: noise on the data falls stage by stage, and each stage runs until it has settled."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Scalar

NOISE_SCHEDULE = (0.6, 0.36, 0.216, 0.1296, 0.07776, 0.046656, 0.0)
"""The published standard deviations of the noise, 0.6 to the powers of 1 to 6 and then none."""


class SolverState(Protocol):
    """What the loop asks of the state of a solver, a pytree."""

    @property
    def weights(self) -> PyTree[Float[Array, "..."]]:
        """Where it is."""

    @property
    def objective(self) -> Float[Array, ""]:
        """The objective there, nats."""

    @property
    def settled(self) -> Bool[Array, ""]:
        """Whether the stage is done."""


class EndOfStage(TypedDict):
    """When a stage ends: settings that every solver has."""

    tolerance: Scalar
    max_iterations: int


@concise
class Solution(NamedTuple):
    """Where a solver has come to.

    Attributes:
      weights: the last finite ones, of factors of unit noise; or the tree of what the gradient solver learns.
      history: the objective after each iteration, nats, NaN beyond the last.
      num_iterations: iterations done, of all stages.
      converged: whether the last stage settled within its iterations.
      diverged: whether an iteration ended in something infinite or NaN; nothing was done after it.
    """

    weights: PyTree[Float[Array, "..."]]
    history: Float[Array, "*restarts iterations"]
    num_iterations: Int[Array, "*restarts"]
    converged: Bool[Array, "*restarts"]
    diverged: Bool[Array, "*restarts"]


def first_entries(history: Float[Array, " most"], count: Int[AnyArray, ""]) -> Float[Array, " count"]:
    """What was recorded, cut on the host: on the device, every number of entries would be a program of its own."""
    return jax.device_put(np.asarray(history)[: int(count)])


def settles(value: Float[Array, ""], previous: Float[Array, ""], tolerance: Scalar) -> Bool[Array, ""]:
    """Whether two values of the objective differ by less than the tolerance, or than the rounding of the larger."""
    rounding = 4 * jnp.finfo(value.dtype).eps * jnp.abs(value)
    return jnp.abs(value - previous) < jnp.maximum(tolerance, rounding)


class _Progress(NamedTuple):
    state: Any
    history: Array
    total: Array
    stage: Array
    iteration: Array
    converged: Array
    diverged: Array


def anneal(
    enter: Callable[[Any, Array], SolverState],
    advance: Callable[[Any, Array], SolverState],
    state: Any,
    noises: Float[Array, " stages"],
    *,
    max_iterations: int,
    refresh: int,
) -> Solution:
    """Runs a solver through the stages, as one program with no value leaving the device.

    Args:
      enter: `enter(state, noise)` prepares the state for a stage. It is called again after every `refresh` iterations,
        to replace what has gathered rounding errors.
      advance: `advance(state, noise)` is one iteration.
      state: where to start.
      noises: standard deviation of the noise in each stage.
      max_iterations: in each stage.
      refresh: iterations between two calls of `enter`.

    Returns:
      The solution.
    """
    num_stages = len(noises)

    def iterate(progress: _Progress) -> _Progress:
        new = advance(progress.state, noises[progress.stage])
        finite = jnp.isfinite(new.objective)
        state = jax.tree.map(lambda after, before: jnp.where(finite, after, before), new, progress.state)
        return progress._replace(
            state=state,
            history=progress.history.at[progress.total].set(jnp.where(finite, new.objective, jnp.nan)),
            total=progress.total + finite,
            iteration=progress.iteration + 1,
            diverged=~finite,
        )

    def stage_ended(progress: _Progress) -> Array:
        return progress.state.settled | progress.diverged | (progress.iteration >= max_iterations)

    def run_segment(progress: _Progress) -> _Progress:
        end = progress.iteration + refresh
        progress = progress._replace(state=enter(progress.state, noises[progress.stage]))
        progress = lax.while_loop(lambda now: ~stage_ended(now) & (now.iteration < end), iterate, progress)
        ended = stage_ended(progress)
        return progress._replace(
            stage=progress.stage + ended,
            iteration=jnp.where(ended, 0, progress.iteration),
            converged=progress.state.settled & ~progress.diverged,
        )

    start = _Progress(
        state=state,
        history=jnp.full(num_stages * max_iterations, jnp.nan, state.objective.dtype),
        total=jnp.asarray(0),
        stage=jnp.asarray(0),
        iteration=jnp.asarray(0),
        converged=jnp.asarray(False),
        diverged=jnp.asarray(False),
    )
    end = lax.while_loop(lambda now: (now.stage < num_stages) & ~now.diverged, run_segment, start)
    return Solution(end.state.weights, end.history, end.total, end.converged, end.diverged)
