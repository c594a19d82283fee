"""How many factors: by how the fits explain the data, or other data."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import edge
from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex._linear.programs import LinearRates, LinearSetup, fit_starts, model_of, moments_of, prepare
from infotheory_dl.corex._settings import (
    PRECISION,
    QUASI_NEWTON_ITERATIONS,
    TOLERANCE,
    require_ascent,
    require_num_factors,
    require_stages,
)
from infotheory_dl.corex.annealing import NOISE_SCHEDULE
from infotheory_dl.corex.moments import estimated_covariance
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, OVERLAPPING
from infotheory_dl.corex.preprocessing import Missing, PreprocessingName, apply_preprocessing
from infotheory_dl.information import low_rank
from infotheory_dl.results import concise
from infotheory_dl.types import AnyTable, Key, Scalar

# of the best score
_NEXT_TO_NOTHING = 1e-3


@concise
class FactorSelection(NamedTuple):
    """How well different numbers of factors do.

    Attributes:
      num_factors: the number that was chosen.
      candidates: the numbers that were tried.
      scores: of each; see `choose_num_factors`.
      model: the fit with the chosen number.
    """

    num_factors: int
    candidates: Int[np.ndarray, " candidates"]
    scores: Float[np.ndarray, " candidates"]
    model: LinearCorex


@edge
def choose_num_factors(
    key: Key,
    x: AnyTable,
    candidates: Sequence[int],
    *,
    validation: AnyTable | None = None,
    overlapping: bool = False,
    preprocessing: PreprocessingName = "standard",
    missing: Missing = "refuse",
    missing_value: Scalar | None = None,
    max_iterations: int = QUASI_NEWTON_ITERATIONS,
    tolerance: Scalar = TOLERANCE,
    precision: str = PRECISION,
) -> FactorSelection:
    """Fits with several numbers of factors, as one program, and chooses one.

    Args:
      key: source of randomness for the starts.
      x: training data.
      candidates: numbers of factors, ascending.
      validation: other data with the same columns. With them a score is their mean log-density, and the best is chosen.
        Without, it is the total correlation with each variable given to one factor, and the best before the first
        that falls by 5 % below the best so far is chosen, as published; of those that come within a thousandth of it,
        with factors that explain next to nothing, the fewest. A fit that is not finite has the score -inf.
      overlapping, preprocessing, missing, missing_value, max_iterations, tolerance, precision: as in `fit`.

    Returns:
      The choice, all scores and the fit.

    Raises:
      TypeError, ValueError: as `fit`; ValueError if the candidates do not ascend, or if validation data are given with
        preprocessing of outliers or by ranks, after which the log-density is not that of the data.
    """
    numbers = np.asarray(candidates)
    if numbers.ndim != 1 or len(numbers) == 0 or (np.diff(numbers) <= 0).any():
        raise ValueError(f"candidates must be numbers of factors in ascending order, got {list(candidates)}")
    if validation is not None and preprocessing in ("outliers", "published_outliers", "empirical"):
        raise ValueError(f"no log-density follows from {preprocessing!r} preprocessing; choose without validation data")
    setup = LinearSetup(max_iterations=max_iterations, precision=precision)
    rates = LinearRates(OVERLAPPING if overlapping else CORRELATION_EXPLANATION, tolerance)
    noises = (0.0,) if overlapping else NOISE_SCHEDULE
    require_stages(noises, max_iterations)
    require_ascent(tolerance=tolerance, learning_rate=rates.learning_rate)
    prepared, rows = prepare(x, preprocessing, missing, missing_value, "raise", precision)
    for number in numbers[[0, -1]]:
        require_num_factors(int(number), rows.values.shape[1])
    # a row of zeros is no factor and stays one: every start has as many rows as the largest
    active = jnp.asarray(np.arange(numbers[-1]) < numbers[:, None])
    fits = fit_starts(key, rows, None, active, jnp.asarray(noises, rows.values.dtype), setup, rates)
    if validation is None:
        scores = _finite(fits.moments.total_correlation_no_overlap)
        best_so_far = np.maximum.accumulate(scores)
        falls = np.flatnonzero(scores < best_so_far - 0.05 * np.abs(best_so_far))
        before = scores[: falls[0]] if len(falls) else scores
        chosen = int(np.argmax(before >= before.max() - _NEXT_TO_NOTHING * abs(before.max())))
    else:
        points = apply_preprocessing(prepared, validation, missing=missing, missing_value=missing_value)
        scores = _finite(_log_likelihoods(fits.moments.loadings, points / prepared.stretch))
        # in the units of the variables
        scores -= np.log(prepared.std).sum()
        chosen = int(np.argmax(scores))
    model = model_of(fits, chosen, prepared)
    weights = model.weights[: numbers[chosen]]
    with jax.default_matmul_precision(precision):
        model = model._replace(weights=weights, moments=moments_of(weights, rows.values, rates.objective))
    return FactorSelection(int(numbers[chosen]), numbers, scores, model)


def _finite(scores: Array) -> Float[np.ndarray, " candidates"]:
    return np.where(np.isfinite(scores), scores, -np.inf)


@jax.jit
def _log_likelihoods(loadings: Array, points: Array) -> Array:
    """The mean log-density of standardised points under the estimate from each of the loadings."""
    zero, one = jnp.zeros(points.shape[1], points.dtype), jnp.ones(points.shape[1], points.dtype)
    estimate = lambda loadings: estimated_covariance(loadings, zero, one)
    return jax.vmap(lambda loadings: low_rank.log_density(estimate(loadings), points).mean())(loadings)
