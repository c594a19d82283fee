"""Adam with a proximal step, through the stages of noise: the solver of T-CorEx.

An L1 penalty on the change of the weights is a sum of absolute values of increments. With the increments as parameters,
each of these values has one parameter, and the proximal step in Adam's own metric is a soft threshold: changes
that the data do not ask for are exactly zero. A subgradient step leaves them hovering about zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex.annealing import Solution, anneal
from infotheory_dl.types import Key, Scalar

_DECAYS = (0.9, 0.999)
_WINDOW = 50


class Parameters(NamedTuple):
    """What is learned.

    Attributes:
      weights: of factors of unit noise, of each period; or of the first, and their increments after it.
      logits: of a sample of each period in each window; None where the sample weights are given.
    """

    weights: Float[Array, "periods factors variables"]
    logits: Float[Array, "windows periods"] | None

    @property
    def dtype(self) -> jnp.dtype:
        """Of the weights."""
        return self.weights.dtype


class State(NamedTuple):
    """Where the solver is.

    Attributes:
      key: source of the sampled noise to come.
      weights: the parameters.
      gradient: of the smooth part of the loss at them.
      optimizer: state of Adam, one through all stages.
      recent: the objective after the last 100 steps of this stage, NaN before its first.
      objective: at the parameters, less the penalties.
      settled: whether its mean over 50 steps has stopped to change.
    """

    key: Key
    weights: Parameters
    gradient: Parameters
    optimizer: Any
    recent: Float[Array, " steps"]
    objective: Float[Array, ""]
    settled: Bool[Array, ""]


def solve(
    key: Key,
    objective: Callable[[Parameters, Key, Array], Array],
    start: Parameters,
    noises: Float[Array, " stages"],
    *,
    tolerance: Scalar,
    max_iterations: int,
    learning_rate: Scalar,
    l1: Scalar,
) -> Solution:
    """Maximises an objective less l1 times the absolute sum of all weights but those of the first period.

    Args:
      key: source of randomness for the objective.
      objective: `objective(parameters, key, noise)`, smooth.
      start: where to start.
      noises: standard deviation of the noise in each stage.
      tolerance: a stage has settled when the mean of the objective over 50 steps differs by less from the mean over the
        50 before, relatively.
      max_iterations: in each stage.
      learning_rate: of Adam.
      l1: penalty, of which Adam takes the proximal step.

    Returns:
      The solution, with the parameters in place of weights.

    Source: Kingma and Ba, 2015; Yun et al., 2021 (the proximal step); the published code of Harutyunyan et al., 2019.
    """
    optimizer = optax.scale_by_adam(*_DECAYS)

    def at(state: State, noise: Array) -> State:
        key, key_now = jax.random.split(state.key)
        value, gradient = jax.value_and_grad(objective)(state.weights, key_now, noise)
        penalty = l1 * jnp.abs(state.weights.weights[1:]).sum()
        return state._replace(key=key, gradient=jax.tree.map(jnp.negative, gradient), objective=value - penalty)

    def enter(state: State, noise: Array) -> Any:
        recent = jnp.full_like(state.recent, jnp.nan)
        return at(state, noise)._replace(recent=recent, settled=jnp.asarray(False))

    def advance(state: State, noise: Array) -> Any:
        direction, moments = optimizer.update(state.gradient, state.optimizer)
        moved = jax.tree.map(lambda value, change: value - learning_rate * change, state.weights, direction)
        # Adam's metric, by which it has divided the gradient
        metric = jnp.sqrt(optax.tree.bias_correction(moments.nu.weights[1:], _DECAYS[1], moments.count)) + 1e-8
        increments = soft_threshold(moved.weights[1:], jnp.asarray(learning_rate * l1 / metric))
        moved = moved._replace(weights=moved.weights.at[1:].set(increments))
        new = at(state._replace(weights=moved, optimizer=moments), noise)
        recent = jnp.append(state.recent[1:], new.objective)
        before, now = recent[:_WINDOW].mean(), recent[_WINDOW:].mean()
        return new._replace(recent=recent, settled=jnp.abs(now - before) < tolerance * jnp.abs(before))

    dtype = start.weights.dtype
    state = State(
        key=key,
        weights=start,
        gradient=jax.tree.map(jnp.zeros_like, start),
        optimizer=optimizer.init(start),
        recent=jnp.full(2 * _WINDOW, jnp.nan, dtype),
        objective=jnp.zeros((), dtype),
        settled=jnp.asarray(False),
    )
    return anneal(enter, advance, state, noises, max_iterations=max_iterations, refresh=max_iterations)


def soft_threshold(values: Float[Array, "..."], threshold: Float[Array, "..."]) -> Float[Array, "..."]:
    """Moves values towards zero by the threshold, and to zero from within it."""
    return jnp.sign(values) * jnp.maximum(jnp.abs(values) - threshold, 0)
