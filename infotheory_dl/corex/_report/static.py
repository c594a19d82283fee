"""What the factors of a table are, and what of them is more than chance."""

from collections.abc import Callable
from typing import NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl.corex import linear
from infotheory_dl.corex._linear.selection import FactorSelection
from infotheory_dl.corex._linear.significance import TotalCorrelationTest
from infotheory_dl.corex._report.reading import Columns
from infotheory_dl.corex.moments import estimated_covariance
from infotheory_dl.corex.preprocessing import Missing, PreprocessingName, apply_preprocessing
from infotheory_dl.information import low_rank
from infotheory_dl.types import Key

CHANCE = 0.05
"""What is as likely as this by chance is not told."""

_FIRST_TRIED = 10
# of all pairs of columns, for which an eigendecomposition for each permuted table is a matter of moments
_PAIRWISE_UP_TO = 200
# nats for each column at which a stage of a fit ends: what is told has three digits
_TOLERANCE = 3e-6


class _Settings(TypedDict):
    """What all fits to a table have in common."""

    preprocessing: PreprocessingName
    missing: Missing
    tolerance: float


class Explanation(NamedTuple):
    """The factors of a table. Arrays over columns and rows are in the order of the table.

    Attributes:
      columns: of the table.
      test: of the fit, with the fit.
      selection: how the number of factors was chosen; of several searches the last. None where it was given.
      significant: whether each factor explains more than the best factor of columns that share nothing.
      factor_of: the factor of each column; -1 where no significant one tells more of it than by chance.
      factors: their means given each row.
      correlations: of the columns, from the rows that have both.
      log_densities: of each row under the fit, all columns in standard deviations, nats.
      deviations: of each row, how far the column is from what the factors say that is farthest, in standard deviations.
      deviating: which column that is.
      missing: what became of missing values.
    """

    columns: Columns
    test: TotalCorrelationTest
    selection: FactorSelection | None
    significant: Bool[np.ndarray, " factors"]
    factor_of: Int[np.ndarray, " columns"]
    factors: Float[np.ndarray, "rows factors"]
    correlations: Float[np.ndarray, "columns columns"]
    log_densities: Float[np.ndarray, " rows"]
    deviations: Float[np.ndarray, " rows"]
    deviating: Int[np.ndarray, " rows"]
    missing: Missing

    @property
    def is_chance(self) -> bool:
        """Whether columns that share nothing would give as much."""
        return self.test.p_value > CHANCE or not self.significant.any()

    def ordered(self) -> tuple[Int[np.ndarray, " columns"], list[int]]:
        """The columns factor by factor, those told most first, and at last those of none; and how many are in each."""
        informations = np.asarray(self.test.model.mutual_informations)
        group = np.where(self.factor_of < 0, len(informations), self.factor_of)
        order = np.lexsort((-informations[self.factor_of, np.arange(len(group))], group))
        _, sizes = np.unique(group, return_counts=True)
        return order, sizes.tolist()


def explain(
    key: Key,
    columns: Columns,
    *,
    num_factors: int | None,
    preprocessing: PreprocessingName,
    missing: Missing | None,
    num_restarts: int,
    num_permutations: int,
    on_stage: Callable[[str], None],
) -> Explanation:
    """Finds the factors of a table.

    Args:
      key: source of randomness.
      columns: of `read_columns`.
      num_factors: None where it is to be chosen.
      preprocessing, missing, num_restarts: as in `linear.fit`; missing values are left out of pairs by default, and
        of many columns become the mean.
      num_permutations: as in `linear.total_correlation_test`.
      on_stage: is told what is being done.

    Returns:
      What was found.

    Raises:
      ValueError: as `linear.fit`.
    """
    gaps = bool(np.isnan(columns.values).any())
    if missing is None:
        missing = "refuse" if not gaps else "pairwise" if len(columns.names) <= _PAIRWISE_UP_TO else "mean"
    settings = _Settings(preprocessing=preprocessing, missing=missing, tolerance=_TOLERANCE * len(columns.names))
    key_selection, key_test = jax.random.split(key)
    selection = None
    if num_factors is None:
        on_stage("choosing the number of factors")
        selection = _choose(key_selection, columns.values, settings)
        num_factors = selection.num_factors
    on_stage("fitting the table, and tables of columns that share nothing")
    test = linear.total_correlation_test(
        key_test,
        columns.values,
        num_factors,
        num_restarts=num_restarts,
        num_permutations=num_permutations,
        **settings,
    )
    model = test.model
    significant = test.factor_p_values <= CHANCE
    standardised = apply_preprocessing(model.preprocessing, columns.values, missing=missing)
    factors = linear.transform(model, columns.values, missing=missing)
    log_densities, deviations = _of_rows(model, standardised, factors)
    known = np.where(np.isnan(columns.values), 0, deviations)
    farthest = np.abs(known).argmax(1)
    return Explanation(
        columns=columns,
        test=test,
        selection=selection,
        significant=significant,
        factor_of=_assigned(model, significant, columns),
        factors=np.asarray(factors),
        correlations=_correlations(np.where(np.isnan(columns.values), np.nan, standardised)),
        log_densities=np.asarray(log_densities),
        deviations=np.take_along_axis(known, farthest[:, None], axis=1)[:, 0],
        deviating=farthest,
        missing=missing,
    )


def _choose(key: Key, values: np.ndarray, settings: _Settings) -> FactorSelection:
    """Among few numbers of factors first, and among more while the most are the best."""
    least, most, limit = 1, min(_FIRST_TRIED, values.shape[1]), min(values.shape[1], 2 * len(values))
    while True:
        found = linear.choose_num_factors(key, values, range(least, most + 1), **settings)
        if found.num_factors < most or most >= limit:
            return found
        least, most = most, min(2 * most, limit)


def _assigned(model: linear.LinearCorex, significant: np.ndarray, columns: Columns) -> Int[np.ndarray, " columns"]:
    """The significant factor that tells most of each column, if it tells more than any would by chance."""
    from scipy.stats import chi2

    informations = np.where(significant[:, None], np.asarray(model.mutual_informations), -np.inf)
    best = informations.argmax(0)
    count = (~np.isnan(columns.values)).sum(0)
    # of independent variables twice the information and the number of rows is chi squared
    threshold = chi2.isf(CHANCE / informations.size, 1) / (2 * count)
    return np.where(informations.max(0) > threshold, best, -1)


def _of_rows(
    model: linear.LinearCorex, standardised: jax.Array, factors: jax.Array
) -> tuple[jax.Array, Float[np.ndarray, "rows columns"]]:
    """The log-density of each row, and how far each of its columns is from what the factors say."""
    moments = model.moments
    zero, one = jnp.zeros_like(standardised[0]), jnp.ones_like(standardised[0])
    log_densities = low_rank.log_density(estimated_covariance(moments.loadings, zero, one), standardised)
    told = factors * jnp.sqrt(1 - moments.signal_shares) @ moments.regression
    return log_densities, np.asarray((standardised - told) / jnp.sqrt(moments.residual_variances))


def _correlations(standardised: np.ndarray) -> Float[np.ndarray, "columns columns"]:
    """Of each pair over the rows that have both; NaN where there are none."""
    known = (~np.isnan(standardised)).astype(float)
    filled = np.nan_to_num(standardised)
    if known.all():
        return np.corrcoef(filled, rowvar=False)
    count = known.T @ known
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = filled.T @ known / count
        variance = np.square(filled).T @ known / count - mean**2
        correlations = (filled.T @ filled / count - mean * mean.T) / np.sqrt(variance * variance.T)
    return np.clip(correlations, -1, 1)
