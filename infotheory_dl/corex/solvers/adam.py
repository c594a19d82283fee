"""The gradient solver: Adam on the weights of factors of unit noise, with moments in closed form or sampled."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex.annealing import Solution, anneal
from infotheory_dl.corex.moments import (
    Objective,
    add_noise,
    bound,
    loadings,
    second_moment_product,
    unit_noise_correlations,
)
from infotheory_dl.types import AnyArray, Key, Scalar

_WINDOW = 50
_SMALLEST_RESIDUAL = 1e-8


class State(NamedTuple):
    """Where the solver is.

    Attributes:
      key: source of the sampled noise to come.
      weights: of factors of unit noise.
      gradient: of the loss at the weights.
      optimizer: state of Adam, one through all stages.
      recent: the objective after the last 100 steps of this stage, NaN before its first.
      objective: at the weights, nats, less the penalty.
      settled: whether its mean over 50 steps has stopped to change.
    """

    key: Key
    weights: Float[Array, "factors variables"]
    gradient: Float[Array, "factors variables"]
    optimizer: optax.OptState
    recent: Float[Array, " steps"]
    objective: Float[Array, ""]
    settled: Bool[Array, ""]


def solve(
    key: Key,
    x: Float[Array, "samples variables"],
    initial_weights: Float[Array, "factors variables"],
    noises: Float[Array, " stages"],
    *,
    objective: Objective,
    tolerance: Scalar,
    max_iterations: int,
    learning_rate: Scalar,
    l1: Scalar,
    sampled: bool,
) -> Solution:
    """Maximises the objective less l1 times the absolute sum of the weights.

    Args:
      key: source of randomness; unused unless `sampled`.
      x: standardised data.
      initial_weights: where to start.
      noises: standard deviation of the noise in each stage.
      objective: what is maximised; where `sampled`, the default one.
      tolerance: a stage has settled when the mean of the objective over 50 steps differs by less from the mean over the
        50 before, relatively.
      max_iterations: in each stage.
      learning_rate: of Adam.
      l1: penalty on the weights.
      sampled: whether the noise is drawn in every step, as published, instead of integrated out.

    Returns:
      The solution, with weights of factors of unit noise.

    Source: Harutyunyan et al., 2019, and its published code.
    """
    optimizer = optax.adam(learning_rate)

    def loss(weights: Array, key: Key, noise: Array) -> Array:
        if not sampled:
            return -exact_objective(weights, x, noise, objective) + l1 * jnp.abs(weights).sum()
        key_variables, key_factors = jax.random.split(key)
        variable_noise = jax.random.normal(key_variables, x.shape, x.dtype)
        factor_noise = jax.random.normal(key_factors, (len(x), len(weights)), x.dtype)
        value = sampled_objective(weights, x, variable_noise, factor_noise, noise)
        return -value + l1 * jnp.abs(weights).sum()

    def at(state: State, noise: Array) -> State:
        key, key_now = jax.random.split(state.key)
        value, gradient = jax.value_and_grad(loss)(state.weights, key_now, noise)
        return state._replace(key=key, gradient=gradient, objective=-value)

    def enter(state: State, noise: Array) -> State:
        recent = jnp.full(2 * _WINDOW, jnp.nan, x.dtype)
        return at(state, noise)._replace(recent=recent, settled=jnp.asarray(False))

    def advance(state: State, noise: Array) -> State:
        change, optimizer_state = optimizer.update(state.gradient, state.optimizer)
        new = at(state._replace(weights=state.weights + change, optimizer=optimizer_state), noise)
        recent = jnp.append(state.recent[1:], new.objective)
        before, now = recent[:_WINDOW].mean(), recent[_WINDOW:].mean()
        settled = jnp.abs(now - before) < tolerance * jnp.abs(before + 1e-6)
        return new._replace(recent=recent, settled=settled)

    start = State(
        key=key,
        weights=initial_weights,
        gradient=jnp.zeros_like(initial_weights),
        optimizer=optimizer.init(initial_weights),
        recent=jnp.full(2 * _WINDOW, jnp.nan, x.dtype),
        objective=jnp.zeros((), x.dtype),
        settled=jnp.asarray(False),
    )
    return anneal(enter, advance, start, noises, max_iterations=max_iterations, refresh=max_iterations)


def exact_objective(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    noise: Scalar,
    objective: Objective,
) -> Float[Array, ""]:
    """The objective at weights of factors of unit noise, with all noise integrated out."""
    product = add_noise(second_moment_product(weights, x), weights, noise)
    return bound(unit_noise_correlations(weights, product), objective)


def sampled_objective(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    variable_noise: Float[AnyArray, "samples variables"],
    factor_noise: Float[AnyArray, "samples factors"],
    noise: Scalar,
) -> Float[Array, ""]:
    """The default objective with its moments taken over draws, noisy and of a bias of the order factors / samples.

    Args:
      weights: of factors of unit noise.
      x: standardised data.
      variable_noise, factor_noise: standard normal draws.
      noise: standard deviation of the noise on the variables.

    Returns:
      The objective, nats.

    Source: the published code of Harutyunyan et al., 2019.
    """
    noisy = jnp.sqrt(1 - noise**2) * x + noise * variable_noise
    factors = noisy @ weights.T + factor_noise
    variances = jnp.square(factors).mean(0)
    standardised = factors / jnp.sqrt(variances)
    residuals = noisy - standardised @ loadings(standardised.T @ noisy / len(x))
    errors = jnp.maximum(jnp.square(residuals).mean(0), _SMALLEST_RESIDUAL)
    return -(jnp.log(errors).sum() + jnp.log(variances).sum()) / 2
