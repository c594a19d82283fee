"""A fitted linear CorEx, and what it says: factors of new data, predictions, the covariance."""

import os
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl import results
from infotheory_dl._validation import edge, require_rank
from infotheory_dl.corex.moments import FactorMoments, estimated_covariance
from infotheory_dl.corex.preprocessing import Missing, Preprocessing, apply_preprocessing, invert_preprocessing
from infotheory_dl.information.low_rank import LowRankPlusDiagonal
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyTable, Scalar


@concise
class LinearCorex(NamedTuple):
    """A fitted linear CorEx. Its variables are the columns of the table that the preprocessing kept.

    Attributes:
      weights: of factors of unit noise, Z_j = weights_j x + noise of variance one with x standardised, in descending
        order of the total correlations.
      moments: of these factors with the training data; with the noise on the data that the last stage of the fit has.
      preprocessing: of the training data.
      history: the objective after each iteration, of all stages of noise, nats.
      converged: whether the last stage settled within its iterations.
      diverged: whether the fit stopped at something infinite or NaN, at the last finite weights, or a factor has lost
        its noise to rounding, because variables are copies of each other or samples are too few.
    """

    weights: Float[Array, "factors variables"]
    moments: FactorMoments
    preprocessing: Preprocessing
    history: Float[Array, " iterations"]
    converged: Bool[Array, ""]
    diverged: Bool[Array, ""]

    @property
    def total_correlation(self) -> Float[Array, ""]:
        """The objective, for modular factors a lower bound of the total correlation of the variables, nats."""
        return self.moments.total_correlation

    @property
    def total_correlations(self) -> Float[Array, " factors"]:
        """Of the variables, explained by each factor, nats."""
        return self.moments.total_correlations

    @property
    def mutual_informations(self) -> Float[Array, "factors variables"]:
        """Of each factor with each variable, nats."""
        return self.moments.mutual_informations


@edge
def transform(
    model: LinearCorex,
    x: AnyTable,
    *,
    missing: Missing = "refuse",
    missing_value: Scalar | None = None,
) -> Float[Array, "samples factors"]:
    """Computes the factors of data, less their noise.

    Args:
      model: the fit.
      x: data with the columns of the training data; if these had names, in any order.
      missing, missing_value: as in `fit`; a missing value counts as the training mean.

    Returns:
      The mean of each factor given each sample.

    Raises:
      TypeError, ValueError: if x is not such a table.
    """
    values = apply_preprocessing(model.preprocessing, x, missing=missing, missing_value=missing_value)
    return values @ model.weights.T


@edge
def predict(model: LinearCorex, factors: Float[AnyArray, "samples factors"]) -> Float[AnyArray, "samples columns"]:
    """Predicts data from their factors by linear regression, in the units of the training data.

    Args:
      model: the fit.
      factors: as `transform` returns them.

    Returns:
      A table with the columns of the training data, of NumPy and in double precision.

    Raises:
      ValueError: if the number of factors is another.
    """
    require_rank("factors", factors, 2, "(samples, factors)")
    if factors.shape[1] != len(model.weights):
        raise ValueError(f"factors must have {len(model.weights)} columns, got shape {factors.shape}")
    standardised = factors * jnp.sqrt(1 - model.moments.signal_shares)
    return invert_preprocessing(model.preprocessing, standardised @ model.moments.regression)


def covariance(model: LinearCorex) -> LowRankPlusDiagonal:
    """Estimates the mean and the covariance of the variables, in their units; positive definite from any few samples.

    Every pair of variables is correlated through the factors alone: the correlations are AᵀA with A the loadings, off a
    diagonal of ones. After "empirical" preprocessing the units are those of normal quantiles.

    Args:
      model: the fit.

    Returns:
      The covariance, for the functions of `infotheory_dl.information.low_rank`.

    Source: Steeg et al., 2019.
    """
    return estimated_covariance(model.moments.loadings, model.preprocessing.mean, model.preprocessing.std)


def load(path: str | os.PathLike[str]) -> LinearCorex:
    """Reads a fit from a file of `save`.

    Args:
      path: of the file.

    Returns:
      The fit.

    Raises:
      ValueError: if the file holds no such fit.
      OSError: if it cannot be opened.
    """
    return results.load(path, LinearCorex)
