"""From a table as it comes to variables of mean zero and variance one, and back; with missing values, or without.

What is known is standardised on the host, in double precision, before any cast to the precision of the fit.
"""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, Int, Real

from infotheory_dl._moments import observed_moments
from infotheory_dl._sharding import automatically_sharded, placed_like
from infotheory_dl._validation import edge, is_concrete, require_choice
from infotheory_dl.corex._columns import named, varying, working_dtype
from infotheory_dl.corex._outliers import SOFT_LIMIT, robust_moments
from infotheory_dl.data.preprocessing import standardize, unstandardize
from infotheory_dl.data.tables.numbers import ColumnNames, Numbers, as_numbers, with_gaps
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyTable, Scalar

__all__ = [
    "Missing",
    "Preprocessing",
    "PreprocessingName",
    "apply_preprocessing",
    "fit_preprocessing",
    "invert_preprocessing",
    "pairwise_root",
]

PreprocessingName = Literal["standard", "outliers", "published_outliers", "empirical", "none"]
Missing = Literal["refuse", "mean", "pairwise"]

_NAMES = ("standard", "outliers", "published_outliers", "empirical", "none")


@concise
class Preprocessing(NamedTuple):
    """How a table becomes standardised variables: learned from training data, applied to any.

    Attributes:
      kept: the columns that are variables, ascending; None if all are.
      mean: what is subtracted from a variable first, in its own units.
      std: what it is divided by then.
      remainder: what the mean has beyond double precision.
      soft_limits: below the first and above the second, in standard deviations, values are squashed; None where they
        are not.
      stretch: what a variable is multiplied by at last: where missing values are filled in, what brings its second
        moment back to one; else one.
      fill: what a missing value becomes.
      sorted_values: each variable's training values, ascending, NaN in place of missing ones at the end, where values
        become the normal quantiles of their ranks; else None.
      constants: what the inverse fills each column with that is not kept.
      columns: what the columns are called, None if they have no names.
    """

    kept: Int[AnyArray, " variables"] | None
    mean: Float[AnyArray, " variables"]
    std: Float[AnyArray, " variables"]
    remainder: Float[AnyArray, " variables"]
    soft_limits: Float[AnyArray, "two variables"] | None
    stretch: Float[AnyArray, " variables"]
    fill: Float[AnyArray, " variables"]
    sorted_values: Real[AnyArray, "samples variables"] | None
    constants: Float[AnyArray, " columns"]
    columns: ColumnNames | None


@edge
def fit_preprocessing(
    x: AnyTable,
    *,
    preprocessing: PreprocessingName = "standard",
    missing: Missing = "refuse",
    missing_value: Scalar | None = None,
    on_constant: Literal["raise", "drop"] = "raise",
) -> Preprocessing:
    """Learns the means and standard deviations, or the ranks, of the columns of a table.

    All of it is computed on the host, in double precision from differences, whatever the dtype of the table is: units
    and offsets make no difference.

    Args:
      x: training data, one row for each sample; of a DataFrame the names of the columns are kept.
      preprocessing: "standard" (mean zero, variance one); "outliers" (outliers squashed smoothly, beyond 4 standard
        deviations to within 5, where the median and the median absolute deviation say what a standard deviation is,
        so that outliers have no part in it; then mean zero, variance one); "published_outliers" (the mean and the
        standard deviation, outliers included, say it); "empirical" (the normal quantiles of the ranks, averaged over
        ties); or "none" (left as it is: the variables have mean zero and variance one already).
      missing: whether to "refuse" missing values; "mean" and "pairwise" both take the moments of the observed ones.
        With "mean", a variable is stretched so that its second moment is one with the missing values filled in.
      missing_value: a number that stands for a missing value; NaN always does.
      on_constant: whether columns that do not vary, or were never observed, "raise" an error or "drop" out.

    Returns:
      What `apply_preprocessing` and `invert_preprocessing` need.

    Raises:
      TypeError: if the table does not hold numbers.
      ValueError: if it is not a matrix of at least two samples, has infinite or unexpected missing values, or has
        constant columns, which are named.

    Source: Steeg et al., 2019, and its published code ("published_outliers").
    """
    require_choice("preprocessing", preprocessing, _NAMES)
    require_choice("on_constant", on_constant, ("raise", "drop"))
    values, columns = _as_table(x, missing, missing_value)
    values = np.asarray(values)
    if len(values) < 2:
        raise ValueError(f"x must have at least 2 samples, got {len(values)}")
    mean, std, remainder, count = observed_moments(values)
    kept = _varying_columns(mean, std, count, values.dtype, columns, on_constant)
    constants, count = mean, _take(count, kept)
    mean, std, remainder = (_take(part, kept) for part in (mean, std, remainder))
    soft_limits, zero, one = None, np.zeros_like(mean), np.ones_like(mean)
    if preprocessing == "outliers":
        mean, std, remainder, soft_limits = robust_moments(_take(values, kept))
    elif preprocessing == "published_outliers":
        soft_limits = np.stack([-SOFT_LIMIT * one, SOFT_LIMIT * one])
    unscaled = preprocessing in ("empirical", "none")
    filled = missing == "mean" and preprocessing != "none"
    return Preprocessing(
        kept=kept,
        mean=zero if unscaled else mean,
        std=one if unscaled else std,
        remainder=zero if unscaled else remainder,
        soft_limits=soft_limits,
        stretch=np.sqrt(len(values) / count) if filled else one,
        fill=mean if preprocessing == "none" else zero,
        sorted_values=np.sort(_take(values, kept), axis=0) if preprocessing == "empirical" else None,
        constants=constants,
        columns=columns,
    )


@edge
def apply_preprocessing(
    preprocessing: Preprocessing,
    x: AnyTable,
    *,
    missing: Missing = "refuse",
    missing_value: Scalar | None = None,
) -> Float[Array, "samples variables"]:
    """Standardises data as the training data were; nothing is learned from them.

    Args:
      preprocessing: of the training data.
      x: data with the same columns; of a DataFrame in any order, if those of the training data had names.
      missing, missing_value: as in `fit_preprocessing`; a missing value becomes the training mean.

    Returns:
      Standardised variables, in double precision where x is and jax has it, else in single precision.

    Raises:
      TypeError, ValueError: as `fit_preprocessing`, or if the number or the names of the columns are others.
    """
    values, _ = _as_table(x, missing, missing_value, preprocessing.columns)
    num_columns = len(preprocessing.constants)
    if values.shape[1] != num_columns:
        raise ValueError(f"x must have the {num_columns} columns of the training data, got shape {values.shape}")
    if not all(map(is_concrete, jax.tree.leaves((preprocessing, values)))):
        return _standardise(preprocessing, automatically_sharded(values))
    known, dtype = _take(np.asarray(values), preprocessing.kept), working_dtype(values.dtype)
    if preprocessing.sorted_values is not None:
        standardised = _ranks_on_host(np.asarray(preprocessing.sorted_values), known).astype(dtype)
    else:
        moments = (preprocessing.mean, preprocessing.std, preprocessing.remainder)
        standardised = standardize(known, *moments, dtype=dtype)
    return _finish(placed_like(standardised, x), *_ends(preprocessing))


@edge
def invert_preprocessing(
    preprocessing: Preprocessing, standardised: Float[AnyArray, "samples variables"]
) -> Float[AnyArray, "samples columns"]:
    """Takes standardised variables back to the units and columns of the training data.

    Args:
      preprocessing: of the training data.
      standardised: values as `apply_preprocessing` returns them.

    Returns:
      A table of NumPy in double precision, as units may be beyond single precision; under a transformation of JAX one
      like the variables. Columns that were dropped hold the one value that they had, or NaN if they were empty.
    """
    standardised = jnp.asarray(standardised)
    if not all(map(is_concrete, jax.tree.leaves((preprocessing, standardised)))):
        return _unstandardise(preprocessing, standardised)
    variables = np.asarray(_begin(standardised, *_ends(preprocessing)), float)
    if preprocessing.sorted_values is not None:
        variables = _quantiles(np.asarray(preprocessing.sorted_values, float), variables, np)
    else:
        moments = (preprocessing.mean, preprocessing.std, preprocessing.remainder)
        variables = unstandardize(variables, *moments)
    if preprocessing.kept is None:
        return variables
    table = np.tile(preprocessing.constants, (len(variables), 1))
    table[:, preprocessing.kept] = variables
    return table


@edge
def pairwise_root(standardised: Float[AnyArray, "samples variables"]) -> Float[Array, "variables variables"]:
    """Summarises data with missing values by as many complete rows as variables, with their pairwise correlations.

    Filling in means makes correlations too small. Here every one is over the samples in which both variables were
    observed. The matrix of them may have negative eigenvalues: these become zero, and the diagonal one again. Nothing
    else in this room needs a matrix of variables by variables.

    Args:
      standardised: variables of mean zero and variance one, NaN where missing.

    Returns:
      Rows r with rᵀr / variables the pairwise correlations.

    Raises:
      ValueError: if two variables were never observed together, naming them.
    """
    counts, root = counts_and_root(jnp.asarray(standardised))
    if is_concrete(counts) and not bool(counts.all()):
        first, second = np.argwhere(np.asarray(counts) == 0)[0]
        raise ValueError(f"variables {first} and {second} were never observed together; use missing='mean'")
    return root


def _as_table(x: AnyTable, missing: str, missing_value: Scalar | None, known: ColumnNames | None = None) -> Numbers:
    """The table as numbers, NaN where they are missing."""
    require_choice("missing", missing, ("refuse", "mean", "pairwise"))
    numbers = as_numbers(x, known=known)
    if not is_concrete(numbers.values):
        values = numbers.values
        values = values if jnp.issubdtype(values.dtype, jnp.floating) else values.astype(float)
        return Numbers(values if missing_value is None else jnp.where(values == missing_value, jnp.nan, values), None)
    if numbers.values.dtype.kind == "V":
        # NumPy knows bfloat16 and its like by their bytes only
        numbers = numbers._replace(values=np.asarray(numbers.values.astype(jnp.float32)))
    if missing_value is not None:
        numbers = with_gaps(numbers, missing_value)
    values = np.asarray(numbers.values)
    if values.dtype.kind == "f":
        total = values.size
        unknown = total - np.count_nonzero(np.isfinite(values))
        if unknown:
            infinite, empty = np.isinf(values), np.isnan(values)
            if infinite.any():
                where = named(np.atleast_1d(infinite.any(0)), numbers.columns)
                raise ValueError(f"x has {infinite.sum()} of {total} entries that are infinite, in the columns {where}")
            if missing == "refuse":
                where = named(np.atleast_1d(empty.any(0)), numbers.columns)
                raise ValueError(
                    f"x has {empty.sum()} of {total} entries missing, in the columns {where}; allow them with"
                    " missing='mean' or 'pairwise'"
                )
    return numbers


@jax.jit
def _standardise(preprocessing: Preprocessing, values: Array) -> Array:
    """The whole of it where something is traced."""
    values = _take(values, preprocessing.kept)
    if preprocessing.sorted_values is not None:
        standardised = jnp.where(jnp.isnan(values), jnp.nan, _ranks(jnp.asarray(preprocessing.sorted_values), values))
    else:
        standardised = (values - preprocessing.mean - preprocessing.remainder) / preprocessing.std
    return _finish(standardised.astype(values.dtype), *_ends(preprocessing))


def _ends(preprocessing: Preprocessing) -> tuple[Any, Any, Any, bool]:
    """What `_finish` and `_begin` take."""
    soft_limits, stretch, fill = preprocessing.soft_limits, preprocessing.stretch, preprocessing.fill
    return soft_limits, stretch, fill, preprocessing.sorted_values is not None


@functools.partial(jax.jit, static_argnames="ranked")
def _finish(standardised: Array, soft_limits: Any, stretch: Any, fill: Any, ranked: bool) -> Array:
    """What follows on mean zero and variance one, or on ranks as probabilities."""
    finished = ndtri(standardised) if ranked else standardised
    if soft_limits is not None:
        low, high, width = _limits(soft_limits)
        core = jnp.clip(finished, low, high)
        finished = core + width * jnp.tanh((finished - core) / width)
    return jnp.where(jnp.isnan(standardised), fill, finished * stretch).astype(standardised.dtype)


@functools.partial(jax.jit, static_argnames="ranked")
def _begin(standardised: Array, soft_limits: Any, stretch: Any, fill: Any, ranked: bool) -> Array:
    """The inverse of `_finish`."""
    values = standardised / stretch
    if soft_limits is not None:
        low, high, width = _limits(soft_limits)
        core = jnp.clip(values, low, high)
        largest = 1 - max(1e-10, float(jnp.finfo(standardised.dtype).eps))
        values = core + width * jnp.arctanh(jnp.clip((values - core) / width, -largest, largest))
    return (ndtr(values) if ranked else values).astype(standardised.dtype)


@jax.jit
def _unstandardise(preprocessing: Preprocessing, standardised: Array) -> Array:
    values = _begin(standardised, *_ends(preprocessing))
    if preprocessing.sorted_values is not None:
        values = _quantiles(jnp.asarray(preprocessing.sorted_values, values.dtype), values, jnp)
    else:
        values = values * preprocessing.std + preprocessing.remainder + preprocessing.mean
    if preprocessing.kept is None:
        return values
    table = jnp.broadcast_to(preprocessing.constants, (len(standardised), len(preprocessing.constants)))
    return table.at[:, preprocessing.kept].set(values)


def _limits(soft_limits: AnyArray) -> tuple[Any, Any, Any]:
    """Where squashing starts, and one standard deviation before squashing."""
    low, high = soft_limits
    return low, high, (high - low) / (2 * SOFT_LIMIT)


@jax.jit
def counts_and_root(
    standardised: Float[Array, "samples variables"],
) -> tuple[Float[Array, "variables variables"], Float[Array, "variables variables"]]:
    """The core of `pairwise_root`: in how many samples each pair was observed, and the rows."""
    missing = jnp.isnan(standardised)
    filled, observed = jnp.where(missing, 0, standardised), (~missing).astype(standardised.dtype)
    counts = observed.T @ observed
    # moments of the row's variable over the samples that have the column's, too
    known = jnp.maximum(counts, 1)
    mean = filled.T @ observed / known
    variance = jnp.square(filled).T @ observed / known - jnp.square(mean)
    scale = jnp.sqrt(jnp.maximum(variance * variance.T, 0))
    covariance = filled.T @ filled / known - mean * mean.T
    correlation = jnp.where(scale > 0, covariance / jnp.where(scale > 0, scale, 1), 0)
    eigenvalues, eigenvectors = jnp.linalg.eigh(correlation)
    root = jnp.sqrt(jnp.maximum(eigenvalues, 0))[:, None] * eigenvectors.T
    return counts, root / jnp.sqrt(jnp.square(root).mean(0))


def _varying_columns(
    mean: np.ndarray,
    std: np.ndarray,
    count: np.ndarray,
    dtype: Any,
    columns: ColumnNames | None,
    on_constant: str,
) -> Int[np.ndarray, " variables"] | None:
    varies = varying(mean, std, dtype)
    if varies.all():
        return None
    empty = count == 0
    faults = {"constant": ~varies & ~empty, "without a value": empty}
    told = " and ".join(f"{fault}: {named(where, columns)}" for fault, where in faults.items() if where.any())
    if not varies.any():
        raise ValueError(f"no column of x varies; columns are {told}")
    if on_constant == "raise":
        raise ValueError(
            f"{(~varies).sum()} columns of x do not vary, and share nothing with others; columns are {told};"
            " on_constant='drop' leaves them out"
        )
    return np.flatnonzero(varies)


def _take(values: Any, kept: Any | None) -> Any:
    """The columns that are kept; no copy where all are."""
    return values if kept is None else values[..., kept]


def _ranks(sorted_values: Array, values: Array) -> Array:
    """Where values lie among the training values, as a probability strictly inside (0, 1)."""
    count = (~jnp.isnan(sorted_values)).sum(0)
    search = lambda side: jax.vmap(lambda column, v: jnp.searchsorted(column, v, side=side), 1, 1)(
        sorted_values, values
    )
    # of a training value: (average rank - 1/2) / count
    below = (search("left") + search("right")) / 2
    return jnp.clip(below, 0.5, count - 0.5).astype(values.dtype) / count


def _ranks_on_host(sorted_values: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The same in double precision, NaN where values are."""
    ranks = np.empty(values.shape)
    for place, column in enumerate(sorted_values.T):
        known = column[~np.isnan(column)]
        below = [np.searchsorted(known, values[:, place], side) for side in ("left", "right")]
        ranks[:, place] = np.clip(np.mean(below, axis=0), 0.5, len(known) - 0.5) / len(known)
    return np.where(np.isnan(values), np.nan, ranks)


def _quantiles(sorted_values: Any, probabilities: Any, xp: Any) -> Any:
    """Values at these probabilities, linear between the training values."""
    count = (~xp.isnan(sorted_values)).sum(0)
    position = xp.clip(probabilities * count - 0.5, 0, count - 1)
    below = xp.floor(position).astype(int)
    at = lambda places: xp.take_along_axis(sorted_values, places, axis=0)
    lower, upper = at(below), at(xp.minimum(below + 1, count - 1))
    return lower + (position - below) * (upper - lower)
