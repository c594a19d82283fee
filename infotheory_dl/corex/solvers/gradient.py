"""The gradient solver: Adam through the stages of noise, with a proximal step where absolute values have a cost.

The absolute value of a parameter has a corner at zero. Its proximal step in Adam's own metric is a soft threshold:
parameters that are not worth their cost are exactly zero. A subgradient step leaves them hovering about zero.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from infotheory_dl.corex.annealing import Solution, anneal
from infotheory_dl.types import Key, Scalar

# the published ones, which are those of PyTorch
_DECAYS = (0.9, 0.999)
_EPSILON = 1e-8
_WINDOW = 50


class GradientState(NamedTuple):
    """Where the solver is.

    Attributes:
      key: source of the sampled noise to come.
      weights: the parameters, a tree.
      gradient: of the smooth part of the loss at them.
      optimizer: state of Adam, one through all stages.
      recent: the objective after the last 100 steps of this stage, NaN before its first.
      objective: at the parameters, less their cost, nats.
      settled: whether its mean over 50 steps has stopped to change.
    """

    key: Key
    weights: PyTree[Float[Array, "..."]]
    gradient: PyTree[Float[Array, "..."]]
    optimizer: Any
    recent: Float[Array, " steps"]
    objective: Float[Array, ""]
    settled: Bool[Array, ""]


def solve(
    key: Key,
    objective: Callable[[Any, Key, Array], Array],
    start: PyTree[Float[Array, "..."]],
    noises: Float[Array, " stages"],
    *,
    tolerance: Scalar,
    max_iterations: int,
    learning_rate: Scalar,
    costs: PyTree | None = None,
) -> Solution:
    """Maximises an objective less the costs of the absolute values of its parameters.

    Args:
      key: source of randomness for the objective.
      objective: `objective(parameters, key, noise)`, nats.
      start: the parameters to start from.
      noises: standard deviation of the noise in each stage.
      tolerance: a stage has settled when the mean of the objective over 50 steps differs by less from the mean over the
        50 before, relatively.
      max_iterations: in each stage.
      learning_rate: of Adam.
      costs: of absolute values, a tree like the parameters of numbers or of arrays that broadcast; they take the
        proximal step.

    Returns:
      The solution, the parameters in place of its weights.

    Source: Kingma and Ba, 2015; Yun et al., 2021 (the proximal step); the published code of Harutyunyan et al., 2019.
    """
    optimizer = optax.scale_by_adam(*_DECAYS, eps=_EPSILON)

    def at(state: GradientState, noise: Array) -> GradientState:
        key, key_now = jax.random.split(state.key)
        value, gradient = jax.value_and_grad(objective)(state.weights, key_now, noise)
        if costs is not None:
            cost = jax.tree.map(lambda cost, values: (cost * jnp.abs(values)).sum(), costs, state.weights)
            value -= sum(jax.tree.leaves(cost))
        return state._replace(key=key, gradient=jax.tree.map(jnp.negative, gradient), objective=value)

    def enter(state: GradientState, noise: Array) -> GradientState:
        recent = jnp.full_like(state.recent, jnp.nan)
        return at(state, noise)._replace(recent=recent, settled=jnp.asarray(False))

    def advance(state: GradientState, noise: Array) -> GradientState:
        direction, moments = optimizer.update(state.gradient, state.optimizer)
        moved = jax.tree.map(lambda values, change: values - learning_rate * change, state.weights, direction)
        if costs is not None:
            # Adam's metric, by which it has divided the gradient
            squares = optax.tree.bias_correction(moments.nu, _DECAYS[1], moments.count)
            moved = jax.tree.map(
                lambda cost, values, square: soft_threshold(
                    values, learning_rate * cost / (jnp.sqrt(square) + _EPSILON)
                ),
                costs,
                moved,
                squares,
            )
        new = at(state._replace(weights=moved, optimizer=moments), noise)
        recent = jnp.append(state.recent[1:], new.objective)
        before, now = recent[:_WINDOW].mean(), recent[_WINDOW:].mean()
        return new._replace(recent=recent, settled=jnp.abs(now - before) < tolerance * jnp.abs(before))

    dtype = jax.tree.leaves(start)[0].dtype
    state = GradientState(
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
