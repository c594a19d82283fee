"""From a table as it comes to variables of mean zero and variance one, and back; with missing values, or without."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, Int, Num

from infotheory_dl._sharding import automatically_sharded
from infotheory_dl._validation import is_concrete, require_choice, require_rank, require_real
from infotheory_dl.corex._columns import named, varying
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Scalar

__all__ = [
    "Method",
    "Missing",
    "Preprocessing",
    "apply_preprocessing",
    "fit_preprocessing",
    "invert_preprocessing",
    "pairwise_root",
]

Method = Literal["standard", "outliers", "empirical", "none"]
Missing = Literal["refuse", "mean", "pairwise"]

_SOFT_LIMIT = 4.0


@concise
class Preprocessing(NamedTuple):
    """How a table becomes standardised variables: learned from training data, applied to any.

    Attributes:
      kept: the columns that are variables, ascending; None if all are.
      mean: what is subtracted from a variable first, in its own units.
      std: what it is divided by then.
      soft_limit: beyond this many standard deviations values are squashed; infinite where they are not.
      fill: what a missing value becomes.
      sorted_values: each variable's training values, ascending, NaN in place of missing ones at the end, where values
        become the normal quantiles of their ranks; else None.
      constants: what the inverse fills each column with that is not kept.
    """

    kept: Int[Array, " variables"] | None
    mean: Float[Array, " variables"]
    std: Float[Array, " variables"]
    soft_limit: Float[Array, ""]
    fill: Float[Array, " variables"]
    sorted_values: Float[Array, "samples variables"] | None
    constants: Float[Array, " columns"]


def fit_preprocessing(
    x: Num[AnyArray, "samples columns"],
    *,
    method: Method = "standard",
    missing: Missing = "refuse",
    missing_value: Scalar | None = None,
    on_constant: Literal["raise", "drop"] = "raise",
) -> Preprocessing:
    """Learns the means and standard deviations, or the ranks, of the columns of a table.

    Args:
      x: training data.
      method: "standard" (mean zero, variance one), "outliers" (that, and squashed smoothly to within 5 standard
        deviations), "empirical" (the normal quantiles of the ranks, averaged over ties) or "none" (left as it is: the
        variables have mean zero and variance one already).
      missing: whether to "refuse" missing values; "mean" and "pairwise" both take the moments of the observed ones.
      missing_value: a number that stands for a missing value; NaN always does.
      on_constant: whether columns that do not vary, or were never observed, "raise" an error or "drop" out.

    Returns:
      What `apply_preprocessing` and `invert_preprocessing` need.

    Raises:
      TypeError: if the table does not hold numbers.
      ValueError: if it is not a matrix of at least two samples, has infinite or unexpected missing values, or has
        constant columns, which are named.

    Source: Steeg et al., 2019, and its published code.
    """
    require_choice("method", method, ("standard", "outliers", "empirical", "none"))
    require_choice("on_constant", on_constant, ("raise", "drop"))
    values = _as_table(x, missing, missing_value)
    if len(values) < 2:
        raise ValueError(f"x must have at least 2 samples, got {len(values)}")
    mean, std = _observed_moments(values)
    kept = _varying_columns(mean, std, on_constant)
    constants, mean, std = mean, _take(mean, kept), _take(std, kept)
    zero, standardised = jnp.zeros_like(mean), method in ("standard", "outliers")
    return Preprocessing(
        kept=kept,
        mean=mean if standardised else zero,
        std=std if standardised else jnp.ones_like(std),
        soft_limit=jnp.asarray(_SOFT_LIMIT if method == "outliers" else jnp.inf, values.dtype),
        fill=mean if method == "none" else zero,
        sorted_values=jnp.sort(_take(values, kept), axis=0) if method == "empirical" else None,
        constants=constants,
    )


def apply_preprocessing(
    preprocessing: Preprocessing,
    x: Num[AnyArray, "samples columns"],
    *,
    missing: Missing = "refuse",
    missing_value: Scalar | None = None,
) -> Float[Array, "samples variables"]:
    """Standardises data as the training data were; nothing is learned from them.

    Args:
      preprocessing: of the training data.
      x: data with the same columns.
      missing, missing_value: as in `fit_preprocessing`; a missing value becomes the training mean.

    Returns:
      Standardised variables.

    Raises:
      TypeError, ValueError: as `fit_preprocessing`, or if the number of columns is another.
    """
    values = _as_table(x, missing, missing_value)
    columns = len(preprocessing.constants)
    if values.shape[1] != columns:
        raise ValueError(f"x must have the {columns} columns of the training data, got shape {values.shape}")
    return _standardise(preprocessing, values)


def invert_preprocessing(
    preprocessing: Preprocessing, standardised: Float[AnyArray, "samples variables"]
) -> Float[Array, "samples columns"]:
    """Takes standardised variables back to the units and columns of the training data.

    Args:
      preprocessing: of the training data.
      standardised: values as `apply_preprocessing` returns them.

    Returns:
      A table; columns that were dropped hold the one value that they had, or NaN if they were empty.
    """
    return _unstandardise(preprocessing, jnp.asarray(standardised))


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
    counts, root = _pairwise(jnp.asarray(standardised))
    if is_concrete(counts) and not bool(counts.all()):
        first, second = np.argwhere(np.asarray(counts) == 0)[0]
        raise ValueError(f"variables {first} and {second} were never observed together; use missing='mean'")
    return root


def _as_table(x: AnyArray, missing: str, missing_value: Scalar | None) -> Array:
    """The table as floating-point numbers, NaN where they are missing."""
    require_choice("missing", missing, ("refuse", "mean", "pairwise"))
    if not isinstance(x, jax.Array):
        x = np.asarray(x)
    require_real(x=x)
    require_rank("x", x, 2, "(samples, columns)")
    values = automatically_sharded(x)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        values = values.astype(float)
    if missing_value is not None:
        values = jnp.where(values == missing_value, jnp.nan, values)
    if is_concrete(values):
        infinite, empty = map(int, _count_infinite_and_missing(values))
        if infinite:
            raise ValueError(f"x has {infinite} of {values.size} entries that are infinite")
        if empty and missing == "refuse":
            raise ValueError(
                f"x has {empty} of {values.size} entries missing; allow them with missing='mean' or 'pairwise'"
            )
    return values


@jax.jit
def _standardise(preprocessing: Preprocessing, values: Array) -> Array:
    values = _take(values, preprocessing.kept)
    if preprocessing.sorted_values is not None:
        standardised = ndtri(_ranks(preprocessing.sorted_values, values))
    else:
        standardised = (values - preprocessing.mean) / preprocessing.std
        core = jnp.clip(standardised, -preprocessing.soft_limit, preprocessing.soft_limit)
        standardised = core + jnp.tanh(standardised - core)
    return jnp.where(jnp.isnan(values), preprocessing.fill, standardised)


@jax.jit
def _unstandardise(preprocessing: Preprocessing, standardised: Array) -> Array:
    if preprocessing.sorted_values is not None:
        values = _quantiles(preprocessing.sorted_values, ndtr(standardised))
    else:
        core = jnp.clip(standardised, -preprocessing.soft_limit, preprocessing.soft_limit)
        largest = 1 - max(1e-10, float(jnp.finfo(standardised.dtype).eps))
        values = core + jnp.arctanh(jnp.clip(standardised - core, -largest, largest))
        values = values * preprocessing.std + preprocessing.mean
    if preprocessing.kept is None:
        return values
    table = jnp.broadcast_to(preprocessing.constants, (len(standardised), len(preprocessing.constants)))
    return table.at[:, preprocessing.kept].set(values)


@jax.jit
def _count_infinite_and_missing(values: Array) -> tuple[Array, Array]:
    return jnp.isinf(values).sum(), jnp.isnan(values).sum()


@jax.jit
def _observed_moments(values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the observed values of each column; NaN where there are none."""
    observed = ~jnp.isnan(values)
    count = observed.sum(0)
    mean = jnp.where(observed, values, 0).sum(0) / count
    variance = jnp.where(observed, jnp.square(values - mean), 0).sum(0) / count
    return mean, jnp.sqrt(variance)


@jax.jit
def _pairwise(standardised: Array) -> tuple[Array, Array]:
    """In how many samples each pair was observed, and the rows that summarise its correlations."""
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


def _varying_columns(mean: Array, std: Array, on_constant: str) -> Array | None:
    varies = np.asarray(varying(mean, std))
    if not varies.any():
        raise ValueError(f"all {len(varies)} columns of x are constant or empty")
    if varies.all():
        return None
    if on_constant == "raise":
        raise ValueError(
            f"{(~varies).sum()} columns of x are constant or empty: {named(~varies)}; drop them with on_constant='drop'"
        )
    return jnp.asarray(np.flatnonzero(varies))


def _take(values: Array, kept: Array | None) -> Array:
    """The columns that are kept; no copy, and no move between devices, where all are."""
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


def _quantiles(sorted_values: Array, probabilities: Array) -> Array:
    """Values at these probabilities, linear between the training values."""

    def of_column(column: Array, probability: Array) -> Array:
        count = (~jnp.isnan(column)).sum()
        position = jnp.clip(probability * count - 0.5, 0, count - 1)
        below = jnp.floor(position).astype(int)
        above = jnp.minimum(below + 1, count - 1)
        return column[below] + (position - below) * (column[above] - column[below])

    return jax.vmap(of_column, 1, 1)(sorted_values, probabilities)
