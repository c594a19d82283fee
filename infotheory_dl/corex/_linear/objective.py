"""What the gradient solver maximises for linear CorEx: the objective in closed form, or over draws as published."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl.corex.correlations import (
    add_noise,
    independent_loadings,
    second_moment_product,
    unit_noise_correlations,
)
from infotheory_dl.corex.objectives import FactorObjective
from infotheory_dl.types import AnyArray, Key, Scalar

_SMALLEST_RESIDUAL = 1e-8


def exact_objective(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    noise: Scalar,
    objective: FactorObjective,
) -> Float[Array, ""]:
    """The objective at weights of factors of unit noise, with all noise integrated out."""
    product = add_noise(second_moment_product(weights, x), weights, noise)
    return objective(unit_noise_correlations(weights, product))


def drawn_objective(
    key: Key, weights: Float[AnyArray, "factors variables"], x: Float[AnyArray, "samples variables"], noise: Scalar
) -> Float[Array, ""]:
    """`sampled_objective` at draws from the key."""
    key_variables, key_factors = jax.random.split(key)
    variable_noise = jax.random.normal(key_variables, x.shape, x.dtype)
    factor_noise = jax.random.normal(key_factors, (len(x), len(weights)), x.dtype)
    return sampled_objective(weights, x, variable_noise, factor_noise, noise)


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
    residuals = noisy - standardised @ independent_loadings(standardised.T @ noisy / len(x))
    errors = jnp.maximum(jnp.square(residuals).mean(0), _SMALLEST_RESIDUAL)
    return -(jnp.log(errors).sum() + jnp.log(variances).sum()) / 2
