"""The quasi-Newton solver: one product with the data for each iteration, however many steps the line search tries.

The product of the weights with the second moment of the data is carried along. It is linear in the weights, so that
its change along the search direction, once known, gives it after any step. Inside, factors are normalized: it is
their metric that makes the Hessian simple.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex.annealing import Solution, anneal, settles
from infotheory_dl.corex.correlations import (
    Correlations,
    add_noise,
    correlations_from_gram,
    normalized_correlations,
    second_moment_product,
)
from infotheory_dl.corex.moments import noise_floor
from infotheory_dl.corex.objectives import FactorObjective
from infotheory_dl.types import Scalar

_SUFFICIENT_INCREASE = 0.1
_SMALLEST_STEP = 1e-10
LARGEST_SHARE = 0.999
_INITIAL_SHARE = 0.01
# rounding of the carried product grows like the root of the iterations: this often it is computed anew
_REFRESH = 50


class QuasiNewtonState(NamedTuple):
    """Where the solver is.

    Attributes:
      weights: of normalized factors.
      product: weights @ S, with S the second moment of the data, without noise.
      noise: the level at which the weights were last scaled.
      objective: at the weights and the noise, nats.
      settled: whether the last iteration changed it by less than the tolerance.
    """

    weights: Float[Array, "factors variables"]
    product: Float[Array, "factors variables"]
    noise: Float[Array, ""]
    objective: Float[Array, ""]
    settled: Bool[Array, ""]


class Direction(NamedTuple):
    """Where the line search looks.

    Attributes:
      gradient: g, with -g S_e the gradient of the objective at the noise e.
      update: change of the weights at step size one.
      update_product: update @ S, without noise.
      slope: derivative of the objective along the update; positive but for rounding.
      informations: of the factors where it begins, nats.
    """

    gradient: Float[Array, "factors variables"]
    update: Float[Array, "factors variables"]
    update_product: Float[Array, "factors variables"]
    slope: Float[Array, ""]
    informations: Float[Array, " factors"]


def solve(
    x: Float[Array, "samples variables"],
    initial_weights: Float[Array, "factors variables"],
    noises: Float[Array, " stages"],
    *,
    objective: FactorObjective,
    tolerance: Scalar,
    max_iterations: int,
) -> Solution:
    """Maximises the objective over the weights of factors of unit noise.

    Args:
      x: standardised data.
      initial_weights: where to start; rows of zeros stand for no factor, and stay zero.
      noises: standard deviation of the noise in each stage.
      objective: what is maximised; its leaves may be traced.
      tolerance: a stage has settled when an iteration changes the objective by less, in nats.
      max_iterations: in each stage.

    Returns:
      The solution.

    Source: Steeg et al., 2019, and its published code.
    """
    # the published start is of the data without noise; a single stage goes on from weights of its own noise
    start = initial_weights / jnp.sqrt(1 + _signal(initial_weights, x, noises[0] if len(noises) == 1 else 0.0))
    zero = jnp.zeros_like(start)
    solution = anneal(
        lambda state, noise: enter_stage(state, x, noise, objective),
        lambda state, noise: advance(state, x, noise, objective, tolerance),
        QuasiNewtonState(start, zero, noises[0], zero[0, 0], jnp.asarray(False)),
        noises,
        max_iterations=max_iterations,
        refresh=_REFRESH,
    )
    weights = solution.weights
    # where rounding hides the noise, less than what counts as lost
    left = jnp.maximum(1 - _signal(weights, x, noises[-1]), noise_floor(weights.dtype) / 2)
    return solution._replace(weights=weights / jnp.sqrt(left))


def enter_stage(
    state: QuasiNewtonState, x: Float[Array, "samples variables"], noise: Float[Array, ""], objective: FactorObjective
) -> QuasiNewtonState:
    """Computes the product anew, and scales rows so that a change of the noise leaves every signal below one."""
    weights = state.weights
    product = second_moment_product(weights, x)
    signal_at = lambda level: (weights * add_noise(product, weights, level)).sum(-1)
    signal = signal_at(noise)
    # the published thousandths leave room for rounding below the old signal
    kept = jnp.floor(1000 * jnp.sqrt(_ratio(signal_at(state.noise), signal))) / 1000
    scale = jnp.where(noise == state.noise, 1, kept)
    scale = jnp.where(scale**2 * signal < 1, scale, jnp.sqrt(_ratio(LARGEST_SHARE, signal)))[:, None]
    weights, product = scale * weights, scale * product
    return QuasiNewtonState(
        weights, product, noise, objective(_correlations_at(weights, product, noise)), jnp.asarray(False)
    )


def scaled_start(
    weights: Float[Array, "factors variables"], x: Float[Array, "samples variables"]
) -> Float[Array, "factors variables"]:
    """Scales random weights of factors of unit noise to the published start: a hundredth of the variance is signal."""
    return weights * jnp.sqrt(_ratio(_INITIAL_SHARE / (1 - _INITIAL_SHARE), _signal(weights, x)))


def advance(
    state: QuasiNewtonState,
    x: Float[Array, "samples variables"],
    noise: Float[Array, ""],
    objective: FactorObjective,
    tolerance: Scalar,
) -> QuasiNewtonState:
    """Takes one step along the search direction, the first of 1, 1/2, 1/4, … that increases the objective enough."""
    direction = search_direction(state, x, noise, objective)
    after = lambda step: (
        state.weights + step * direction.update,
        state.product + step * direction.update_product,
    )

    # one long step must not take a factor to where rounding hides its noise: it could not come back
    most = jnp.maximum(direction.informations + jnp.log(2), -jnp.log(4 * noise_floor(state.weights.dtype)) / 2)

    def halve(trial: tuple[Array, Array]) -> tuple[Array, Array]:
        step = trial[0] / 2
        correlations = _correlations_at(*after(step), noise)
        inside = (correlations.informations <= most).all()
        return step, jnp.where(inside, objective(correlations), -jnp.inf)

    def rejected(trial: tuple[Array, Array]) -> Array:
        step, value = trial
        # negated, so that a value that is NaN, outside the domain of the objective, is rejected too
        enough = value >= state.objective + _SUFFICIENT_INCREASE * step * direction.slope
        return ~(enough & jnp.isfinite(value) & (direction.slope > 0)) & (step > _SMALLEST_STEP)

    two = jnp.full((), 2, state.weights.dtype)
    step, value = lax.while_loop(rejected, halve, (two, jnp.full_like(two, -jnp.inf)))
    accepted = step > _SMALLEST_STEP
    keep = lambda new, old: jnp.where(accepted, new, old)
    weights, product = map(keep, after(step), (state.weights, state.product))
    value = keep(value, state.objective)
    return QuasiNewtonState(weights, product, noise, value, settles(value, state.objective, tolerance))


def search_direction(
    state: QuasiNewtonState, x: Float[Array, "samples variables"], noise: Float[Array, ""], objective: FactorObjective
) -> Direction:
    """Multiplies the gradient by about the inverse Hessian: identity plus rank one for each factor, in the metric S_e.

    It is positive definite whatever the objective, so that the update is a direction of ascent.
    """
    weights, product = state.weights, state.product
    correlations = add_noise(product, weights, noise)
    gram = weights @ correlations.T
    value = lambda correlations, gram: objective(correlations_from_gram(correlations, gram))
    by_correlations, by_gram = jax.grad(value, (0, 1))(correlations, gram)
    gradient = -by_correlations - (by_gram + by_gram.T) @ weights

    left = 1 - jnp.diagonal(gram)
    # a factor without noise has no finite information: where rounding begins to hide the noise, it moves no more
    left = jnp.where(left > noise_floor(left.dtype), left, 0)
    along = 2 / (1 + jnp.diagonal(gram)) * (correlations * gradient).sum(-1)
    update = -left[:, None] * (gradient - along[:, None] * weights)
    # from the update itself: built from the carried product, it would multiply the rounding in that at every step
    update_product = second_moment_product(update, x)
    slope = -(gradient * add_noise(update_product, update, noise)).sum()
    return Direction(gradient, update, update_product, slope, correlations_from_gram(correlations, gram).informations)


def _correlations_at(weights: Array, product: Array, noise: Array) -> Correlations:
    return normalized_correlations(weights, add_noise(product, weights, noise))


def _signal(weights: Array, x: Array, noise: Scalar = 0.0) -> Array:
    """w S_e wᵀ of each factor, as a column."""
    return (weights * add_noise(second_moment_product(weights, x), weights, noise)).sum(-1, keepdims=True)


def _ratio(numerator: Array | float, denominator: Array) -> Array:
    """The quotient, and one for rows of zeros."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), 1)
