"""A fitted T-CorEx, and what it says: covariances, likelihoods, a forecast."""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from infotheory_dl import results
from infotheory_dl._validation import edge
from infotheory_dl.corex._temporal.periods import MissingInPeriods, Tables, Units, samples_like
from infotheory_dl.corex.moments import FactorMoments, estimated_covariance
from infotheory_dl.data.tables.numbers import ColumnNames
from infotheory_dl.information import low_rank
from infotheory_dl.information.low_rank import LowRankPlusDiagonal
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Scalar


@concise
class TemporalCorex(NamedTuple):
    """A fitted T-CorEx. A factor has one number in all periods.

    Attributes:
      weights: of factors of unit noise, Z_tj = weights_tj x + noise of variance one with x standardised, in descending
        order of the total correlations of all periods.
      moments: of these factors with the samples of each window, without noise on the data.
      mean: of each window, in the units of the variables.
      std: of each window.
      window_shares: of each period in each window, summing to one over the periods; learned, or as they were given.
      history: the objective after each step, of all stages of noise, less the penalties, nats.
      converged: whether the last stage settled within its steps.
      diverged: whether the fit stopped at something infinite or NaN, at the last finite weights, or a factor has lost
        its noise to rounding, because variables are copies of each other or samples are too few.
      columns: what the variables are called, None if they have no names.
    """

    weights: Float[Array, "periods factors variables"]
    moments: FactorMoments
    mean: Float[AnyArray, "periods variables"]
    std: Float[AnyArray, "periods variables"]
    window_shares: Float[Array, "windows periods"]
    history: Float[Array, " steps"]
    converged: Bool[Array, ""]
    diverged: Bool[Array, ""]
    columns: ColumnNames | None

    @property
    def mutual_informations(self) -> Float[Array, "periods factors variables"]:
        """Of each factor with each variable, nats."""
        return self.moments.mutual_informations


def covariances(model: TemporalCorex) -> LowRankPlusDiagonal:
    """Estimates mean and covariance of each period, in the units of the variables; positive definite from few samples.

    Args:
      model: the fit.

    Returns:
      The covariances along a leading axis of periods, for the functions of `infotheory_dl.information.low_rank` under
      `jax.vmap`.

    Source: Harutyunyan et al., 2019.
    """
    return estimated_covariance(model.moments.loadings, model.mean, model.std)


def forecast(model: TemporalCorex) -> LowRankPlusDiagonal:
    """Estimates mean and covariance of the period after the last.

    They are those of the last period: without samples of its own, the window of the next one weighs all samples as the
    last window does, and no change of the factors costs least. So it is under any decay and penalty.

    Args:
      model: the fit.

    Returns:
      The covariance.
    """
    return jax.tree.map(lambda leaf: leaf[-1], covariances(model))


@edge
def log_likelihood(
    model: TemporalCorex,
    periods: Tables,
    *,
    missing: MissingInPeriods = "refuse",
    missing_value: Scalar | None = None,
) -> Float[AnyArray, " periods"]:
    """Computes the mean log-density of the samples of each period under its Gaussian.

    Args:
      model: the fit.
      periods: other samples of the same periods, in the units of the training data.
      missing, missing_value: as in `fit`; a missing value counts as the mean of its period.

    Returns:
      For each period the mean over its samples, nats; NaN of a period that has none.

    Raises:
      TypeError: if a period does not hold numbers.
      ValueError: if there are not as many periods and variables as in the fit, variables have other names, or an entry
        is not finite.
    """
    mean, std = np.asarray(model.mean, float), np.asarray(model.std, float)
    units = Units(mean, np.zeros_like(mean), std, mean.dtype, model.columns)
    standardised, present = samples_like(units, periods, missing=missing, missing_value=missing_value)
    densities = mean_log_densities(model.moments.loadings, standardised, present)
    # in the units of the variables
    return np.asarray(densities) - np.log(std).sum(1)


@jax.jit
def mean_log_densities(
    loadings: Float[Array, "periods factors variables"],
    standardised: Float[Array, "periods rows variables"],
    present: Float[Array, "periods rows"],
) -> Float[Array, " periods"]:
    """The mean log-density of the standardised samples of each period, NaN where they are missing."""
    zero, one = jnp.zeros_like(loadings[:, 0]), jnp.ones_like(loadings[:, 0])
    points = jnp.nan_to_num(standardised, nan=0.0)
    densities = jax.vmap(low_rank.log_density)(estimated_covariance(loadings, zero, one), points)
    return (densities * present).sum(1) / present.sum(1)


def load(path: str | os.PathLike[str]) -> TemporalCorex:
    """Reads a fit from a file of `save`.

    Args:
      path: of the file.

    Returns:
      The fit.

    Raises:
      ValueError: if the file holds no such fit.
      OSError: if it cannot be opened.
    """
    return results.load(path, TemporalCorex)
