"""The mathematics of linear CorEx for weights of one's own."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl._sharding import automatically_sharded
from infotheory_dl._validation import (
    edge,
    require_distributions,
    require_finite,
    require_rank,
    require_same_length,
    require_within,
)
from infotheory_dl.corex.correlations import (
    Correlations,
    add_noise,
    second_moment_product,
    unit_noise_correlations,
)
from infotheory_dl.corex.moments import FactorMoments, all_moments
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, FactorObjective
from infotheory_dl.types import AnyArray, Scalar


@edge
def factor_moments(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    *,
    noise: Scalar = 0.0,
    sample_weights: Float[AnyArray, " samples"] | None = None,
    objective: FactorObjective = CORRELATION_EXPLANATION,
) -> FactorMoments:
    """Computes all informations between factors and variables, in closed form.

    Args:
      weights: of factors of unit noise, Z_j = w_j x + noise of variance one.
      x: variables of mean zero and variance one.
      noise: standard deviation e, in [0, 1), of white noise mixed into the data: the second moment S of x becomes
        (1 - e²) S + e² I.
      sample_weights: of the samples, summing to one; equal by default.
      objective: what `total_correlation` and the loadings are of.

    Returns:
      The moments.

    Raises:
      ValueError: if the shapes do not fit, an entry is NaN or infinite, the sample weights are negative or do not sum
        to one, or the noise is not in [0, 1).

    Source: Steeg et al., 2019 (section 3).
    """
    _require(weights, x, noise, sample_weights)
    return _moments(jnp.asarray(weights), automatically_sharded(x), noise, sample_weights, objective)


@edge
def explained_total_correlation(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    *,
    noise: Scalar = 0.0,
    sample_weights: Float[AnyArray, " samples"] | None = None,
    objective: FactorObjective = CORRELATION_EXPLANATION,
) -> Float[Array, ""]:
    """Computes the total correlation that factors explain, the objective of linear CorEx, and nothing beside it.

    It is sum_i I_cal(X_i; Z) - sum_j I(Z_j; X), for modular factors a lower bound of the total correlation of the
    variables.

    Args:
      weights, x, noise, sample_weights: as in `factor_moments`.
      objective: what is computed in its place.

    Returns:
      The total correlation, or the other objective, nats.

    Raises:
      ValueError: as `factor_moments`.

    Source: Steeg et al., 2019 (section 3).
    """
    _require(weights, x, noise, sample_weights)
    return _explained(jnp.asarray(weights), automatically_sharded(x), noise, sample_weights, objective)


def _require(weights: AnyArray, x: AnyArray, noise: Scalar, sample_weights: AnyArray | None) -> None:
    require_rank("weights", weights, 2, "(factors, variables)")
    require_rank("x", x, 2, "(samples, variables)")
    if weights.shape[1] != x.shape[1]:
        raise ValueError(f"weights and x must be over the same variables, got shapes {weights.shape} and {x.shape}")
    require_finite(weights=weights, x=x)
    if sample_weights is not None:
        require_same_length(x=x, sample_weights=sample_weights)
        require_distributions(sample_weights=sample_weights)
    require_within("[0, 1)", noise=noise)


@jax.jit
def _moments(
    weights: Array, x: Array, noise: Scalar, sample_weights: Array | None, objective: FactorObjective
) -> FactorMoments:
    return all_moments(_correlations(weights, x, noise, sample_weights), objective)


@jax.jit
def _explained(
    weights: Array, x: Array, noise: Scalar, sample_weights: Array | None, objective: FactorObjective
) -> Array:
    return objective(_correlations(weights, x, noise, sample_weights))


def _correlations(weights: Array, x: Array, noise: Scalar, sample_weights: Array | None) -> Correlations:
    with jax.default_matmul_precision("highest"):
        product = add_noise(second_moment_product(weights, x, sample_weights=sample_weights), weights, noise)
        return unit_noise_correlations(weights, product)
