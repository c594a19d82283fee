"""The published iteration of the overlapping mode, a damped fixed point: slow but simple, no line search."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex.annealing import Solution, anneal, settles
from infotheory_dl.corex.correlations import add_noise, second_moment_product, unit_noise_correlations
from infotheory_dl.corex.objectives import OVERLAPPING, SMALLEST_RESIDUAL
from infotheory_dl.types import Scalar

DAMPING = 0.1


class FixedPointState(NamedTuple):
    """Where the solver is.

    Attributes:
      weights: of factors of unit noise.
      product: of the weights with the second moment of the noisy data.
      objective: at the weights, nats.
      settled: whether the last iteration changed it by less than the tolerance.
    """

    weights: Float[Array, "factors variables"]
    product: Float[Array, "factors variables"]
    objective: Float[Array, ""]
    settled: Bool[Array, ""]


def solve(
    x: Float[Array, "samples variables"],
    initial_weights: Float[Array, "factors variables"],
    noises: Float[Array, " stages"],
    *,
    tolerance: Scalar,
    max_iterations: int,
) -> Solution:
    """Maximises sum_i I(X_i; Z) - sum_j I(Z_j; X) over the weights of factors of unit noise.

    Args:
      x, initial_weights, noises, tolerance, max_iterations: as of `quasi_newton.solve`.

    Returns:
      The solution.

    Source: the published code of Steeg et al., 2019.
    """

    def at(weights: Array, noise: Array) -> FixedPointState:
        product = add_noise(second_moment_product(weights, x), weights, noise)
        value = OVERLAPPING(unit_noise_correlations(weights, product))
        return FixedPointState(weights, product, value, jnp.asarray(False))

    def advance(state: FixedPointState, noise: Array) -> FixedPointState:
        new = at(update(state.weights, state.product), noise)
        return new._replace(settled=settles(new.objective, state.objective, tolerance))

    zero = jnp.zeros_like(initial_weights)
    start = FixedPointState(initial_weights, zero, zero[0, 0], jnp.asarray(False))
    enter = lambda state, noise: at(state.weights, noise)
    return anneal(enter, advance, start, noises, max_iterations=max_iterations, refresh=max_iterations)


def update(
    weights: Float[Array, "factors variables"], product: Float[Array, "factors variables"]
) -> Float[Array, "factors variables"]:
    """Moves the weights a tenth of the way to where each factor is the best reader of what the others leave."""
    variance = product @ weights.T + jnp.eye(len(weights), dtype=weights.dtype)
    regression = jnp.linalg.solve(variance, product)
    residuals = jnp.maximum(1 - (regression * product).sum(0), SMALLEST_RESIDUAL)
    precise = regression / residuals
    overlap = precise @ regression.T
    others = overlap - jnp.diag(jnp.diagonal(overlap))
    return (1 - DAMPING) * weights + DAMPING * (precise - others @ weights)
