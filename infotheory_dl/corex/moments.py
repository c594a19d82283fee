"""All that follows from the correlations of factors and variables: informations, predictions, the covariance."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex.correlations import Correlations, pairwise_informations, sum_over_factors, whitening
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, SMALLEST_RESIDUAL, FactorObjective
from infotheory_dl.information.low_rank import LowRankPlusDiagonal
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray


@concise
class FactorMoments(NamedTuple):
    """What factors and variables share, in any units of the factors. Informations are in nats.

    Attributes:
      correlations: of each factor with each variable.
      factor_correlations: among the factors, with ones on the diagonal.
      signal_shares: the part of each factor's variance that is not noise; below one.
      mutual_informations: I(Z_j; X_i).
      factor_informations: I(Z_j; X).
      variable_informations: I(X_i; Z).
      regression: coefficients that predict the variables from factors of variance one, linearly and best.
      residual_variances: of the variables given the factors.
      loadings: A in the estimate I - diag(AᵀA) + AᵀA of the correlations of the variables.
      total_correlations: of the variables that each factor explains, sum_i I(Z_j; X_i) - I(Z_j; X).
      total_correlation: the objective; of modular factors a lower bound of the variables' total correlation.
      total_correlation_no_overlap: with each variable given to one factor, sum_i max_j I(Z_j; X_i) - sum_j I(Z_j; X).
      total_correlation_direct: sum_i I(X_i; Z) - sum_j I(Z_j; X).
      additivity: sum_i (sum_j I(Z_j; X_i) - I(X_i; Z)), zero where the factors tell different things.
    """

    correlations: Float[Array, "*batch factors variables"]
    factor_correlations: Float[Array, "*batch factors factors"]
    signal_shares: Float[Array, "*batch factors"]
    mutual_informations: Float[Array, "*batch factors variables"]
    factor_informations: Float[Array, "*batch factors"]
    variable_informations: Float[Array, "*batch variables"]
    regression: Float[Array, "*batch factors variables"]
    residual_variances: Float[Array, "*batch variables"]
    loadings: Float[Array, "*batch factors variables"]
    total_correlations: Float[Array, "*batch factors"]
    total_correlation: Float[Array, "*batch"]
    total_correlation_no_overlap: Float[Array, "*batch"]
    total_correlation_direct: Float[Array, "*batch"]
    additivity: Float[Array, "*batch"]


def all_moments(correlations: Correlations, objective: FactorObjective = CORRELATION_EXPLANATION) -> FactorMoments:
    """Everything that follows from the correlations; see `FactorMoments`."""
    rho, factors, factor_informations = correlations
    whitened_by = whitening(factors)
    whitened = whitened_by @ rho
    residuals = jnp.maximum(1 - sum_over_factors(jnp.square(whitened)), SMALLEST_RESIDUAL)
    mutual = pairwise_informations(rho)
    variable_informations = -jnp.log(residuals) / 2
    capacity = factor_informations.sum(-1)
    return FactorMoments(
        correlations=rho,
        factor_correlations=factors,
        signal_shares=-jnp.expm1(-2 * factor_informations),
        mutual_informations=mutual,
        factor_informations=factor_informations,
        variable_informations=variable_informations,
        regression=jnp.swapaxes(whitened_by, -1, -2) @ whitened,
        residual_variances=residuals,
        loadings=objective.loadings(correlations),
        total_correlations=mutual.sum(-1) - factor_informations,
        total_correlation=objective(correlations),
        total_correlation_no_overlap=mutual.max(-2).sum(-1) - capacity,
        total_correlation_direct=variable_informations.sum(-1) - capacity,
        additivity=mutual.sum((-2, -1)) - variable_informations.sum(-1),
    )


def noise_floor(dtype: jnp.dtype) -> float:
    """The part of a factor's variance, if its noise is no more, that rounding begins to hide."""
    return 64 * float(jnp.finfo(dtype).eps)


def noise_is_lost(moments: FactorMoments) -> Bool[Array, ""]:
    """Whether rounding hides the noise of a factor, because variables are copies of each other or samples too few."""
    # negated, so that noise that is NaN is lost too
    return ~((1 - moments.signal_shares).min() > noise_floor(moments.signal_shares.dtype))


def estimated_covariance(
    loadings: Float[Array, "*batch factors variables"],
    mean: Float[AnyArray, "*batch variables"],
    std: Float[AnyArray, "*batch variables"],
) -> LowRankPlusDiagonal:
    """The covariance, in the units of `std`, of variables that are correlated through their loadings alone."""
    unshared = 1 - jnp.square(loadings).sum(-2)
    sign = jnp.ones(loadings.shape[:-2], loadings.dtype)
    return LowRankPlusDiagonal(loadings, unshared, std, mean, sign)
