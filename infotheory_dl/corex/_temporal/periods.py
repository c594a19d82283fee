"""Periods of a time series: cut, stored as one array, weighed in each other's windows, and standardised."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from infotheory_dl._moments import observed_moments
from infotheory_dl._sharding import placed_like
from infotheory_dl._validation import edge, is_concrete, require_choice, require_rank, require_within
from infotheory_dl.corex._columns import named, varying, working_dtype
from infotheory_dl.data.preprocessing import standardize
from infotheory_dl.data.tables.columns import is_frame
from infotheory_dl.data.tables.numbers import ColumnNames, Numbers, as_numbers, with_gaps
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyTable, Scalar

Tables: TypeAlias = Sequence[AnyTable] | Num[AnyArray, "periods samples variables"]
"""One table of samples for each period, with as many samples as it has; or an array where all have equally many."""

MissingInPeriods: TypeAlias = Literal["refuse", "mean"]


@concise
class Periods(NamedTuple):
    """A series cut into periods.

    Attributes:
      tables: the rows of each period, in the container of the series.
      starts: index of the first row of each.
      nearest: for each row of the series the period whose middle is nearest to it, the first of two.
    """

    tables: tuple[AnyTable, ...]
    starts: Int[np.ndarray, " periods"]
    nearest: Int[np.ndarray, " times"]


class Samples(NamedTuple):
    """Periods as one array, the shorter ones filled up, in units of their own; see `Units`.

    Attributes:
      values: deviations from the level of their period; zero in the filling, and where they are missing.
      present: 1 for a sample and 0 for filling.
      levels: of the periods; whole where they and their remainders are added.
      level_remainders: what they have beyond the precision of the fit.
      observed: 1 where a variable has a value in a period; None where all have.
      empty: whether a period has no samples; None where all have some.
    """

    values: Float[Array, "periods rows variables"]
    present: Float[Array, "periods rows"]
    levels: Float[Array, "periods variables"]
    level_remainders: Float[Array, "periods variables"]
    observed: Float[Array, "periods variables"] | None
    empty: Bool[Array, " periods"] | None


class Units(NamedTuple):
    """What samples are in units of, known on the host in double precision.

    Attributes:
      level: the mean of each period; where it has no value of a variable, that of the nearest period that has.
      remainder: what it has beyond double precision.
      unit: of each variable, or of each in each period: the largest deviation among spreads and levels.
      dtype: what the numbers came in.
      columns: what the variables are called, None if they have no names.
    """

    level: Float[np.ndarray, "periods variables"]
    remainder: Float[np.ndarray, "periods variables"]
    unit: Float[np.ndarray, "*periods variables"]
    dtype: Any
    columns: ColumnNames | None

    def given(
        self, mean: Float[AnyArray, "periods variables"], std: Float[AnyArray, "periods variables"]
    ) -> tuple[Float[np.ndarray, "periods variables"], Float[np.ndarray, "periods variables"]]:
        """Means and standard deviations of windows in the units that the data came in."""
        mean, std = np.asarray(mean, float), np.asarray(std, float)
        return self.level + (self.unit * mean + self.remainder), self.unit * std


@concise
class Windows(NamedTuple):
    """Standardised samples of all periods, and how each period's window weighs them.

    Attributes:
      mean: of each window, from the level of its period, in units of the samples.
      std: of each window, in these units.
      values: (x - mean) / std with mean and std of the period that the sample belongs to; zero in the filling, and
        where a variable has no value in the period.
      own_weights: of the samples of a period in their mean; zero in the filling.
      sample_weights: of all samples in each window, summing to one; zero in the filling.
      empty: whether a period has no samples; None where all have some.
    """

    mean: Float[Array, "periods variables"]
    std: Float[Array, "periods variables"]
    values: Float[Array, "periods rows variables"]
    own_weights: Float[Array, "periods rows"]
    sample_weights: Float[Array, "windows periods rows"]
    empty: Bool[Array, " periods"] | None


@edge
def make_periods(series: AnyTable, window: int, stride: int | None = None) -> Periods:
    """Cuts a series into periods of equal length; the last takes what is left at the end.

    Args:
      series: one row for each time; a DataFrame is cut by position, whatever its index is.
      window: rows in a period.
      stride: rows from the start of one to the start of the next; by default the window, so that none overlap.

    Returns:
      The periods.

    Raises:
      ValueError: if the series is not a matrix, the window does not fit into it, or the stride is not in [1, window].

    Source: the published code of Harutyunyan et al., 2019.
    """
    require_rank("series", series, 2, "(times, variables)")
    times = len(series)
    require_within(f"[1, {times}]", "the rows of the series", window=window)
    stride = window if stride is None else stride
    require_within(f"[1, {window}]", "the window", stride=stride)
    starts = np.arange(0, times - window + 1, stride)
    ends = np.append(starts[:-1] + window, times)
    middles = (starts + ends - 1) / 2
    nearest = np.abs(np.arange(times)[:, None] - middles).argmin(1)
    # pandas cuts by the labels of a float index
    by_position: Any = getattr(series, "iloc", series)
    return Periods(tuple(by_position[start:end] for start, end in zip(starts, ends, strict=True)), starts, nearest)


def as_samples(
    periods: Tables,
    name: str = "periods",
    *,
    missing: MissingInPeriods = "refuse",
    missing_value: Scalar | None = None,
) -> tuple[Samples, Units]:
    """Checks the periods and stores them as one array, centred and scaled on the host in double precision.

    A missing value becomes the mean of its period, and the others are stretched so that the variance of the period is
    that of the observed ones.

    Args:
      periods: one table for each.
      name: what errors call them.
      missing, missing_value: as in `fit`.

    Returns:
      The samples, on the devices of the periods, and their units.

    Raises:
      TypeError: if a period does not hold numbers, or the periods are one table.
      ValueError: if there are no periods, one is not a matrix, they have different variables, an entry is infinite, or
        missing where that is not allowed.
    """
    tables = _tables(periods, name, missing, missing_value)
    values = [np.asarray(table.values) for table in tables]
    dtype = np.result_type(*values)
    means, stds, remainders, counts = (np.stack(part) for part in zip(*map(_moments_of_period, values), strict=True))
    for part in (means, remainders):
        part[...] = np.take_along_axis(part, _nearest_known(counts > 0), axis=0)
    deviations = (means - means[0]) + (remainders - remainders[0])
    unit = np.maximum(np.abs(deviations), stds).max(0)
    units = Units(means, remainders, np.where(unit > 0, unit, 1.0), dtype, tables[0].columns)
    working = working_dtype(dtype)
    levels = deviations / units.unit
    high = levels.astype(working)
    num_rows = np.array([len(table) for table in values])
    observed, empty = counts > 0, num_rows == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.where(observed, np.sqrt(num_rows[:, None] / counts), 1.0)
    samples = Samples(
        values=_stacked(tables, units, stretch, working),
        present=_present(num_rows, working),
        levels=jnp.asarray(high),
        level_remainders=jnp.asarray((levels - high).astype(working)),
        observed=None if observed[~empty].all() else jnp.asarray(observed, working),
        empty=jnp.asarray(empty) if empty.any() else None,
    )
    return samples, units


def samples_like(
    units: Units,
    periods: Tables,
    name: str = "periods",
    *,
    missing: MissingInPeriods = "refuse",
    missing_value: Scalar | None = None,
) -> tuple[Float[Array, "periods rows variables"], Float[Array, "periods rows"]]:
    """Checks other samples of the periods of a fit, and brings them into its units; see `as_samples`.

    Returns:
      Their deviations from the level of each period, NaN where they are missing, and which are samples.
    """
    tables = _tables(periods, name, missing, missing_value, units.columns)
    given, expected = (len(tables), tables[0].values.shape[1]), units.level.shape
    if given != expected:
        raise ValueError(
            f"{name} must be of the fit's {expected[0]} periods and {expected[1]} variables, got {given[0]} of"
            f" {given[1]}"
        )
    working = working_dtype(np.result_type(*(table.values.dtype for table in tables)))
    num_rows = np.array([len(table.values) for table in tables])
    return _stacked(tables, units, np.ones(expected), working, gap=np.nan), _present(num_rows, working)


def window_reach(present: Float[AnyArray, "periods rows"], max_samples: int | None) -> Int[np.ndarray, " windows"]:
    """How many periods to each side a window reaches: the fewest that give it `max_samples`, or all."""
    counts = np.asarray(present).sum(1)
    period = np.arange(len(counts))
    if max_samples is None:
        return np.full(len(counts), len(counts))
    before = np.append(0, counts.cumsum())
    first, end = np.maximum(period[:, None] - period, 0), np.minimum(period[:, None] + period + 1, len(counts))
    enough = before[end] - before[first] >= max_samples
    return np.where(enough.any(1), enough.argmax(1), len(counts))


def decay_logits(decay: Scalar, reach: Int[AnyArray, " windows"]) -> Float[Array, "windows periods"]:
    """Logits of samples whose weight falls by the factor `decay` from one period to the next, up to the reach."""
    distance = _distances(len(reach))
    # of the window's own period the logit is zero, also where the decay is
    logits = jnp.where(distance == 0, 0, np.maximum(distance, 1) * jnp.log(decay))
    return jnp.where(distance <= jnp.asarray(reach)[:, None], logits, -jnp.inf)


def windows_of(samples: Samples, logits: Float[Array, "windows periods"]) -> Windows:
    """Weighs the samples of all periods in each window by the softmax of their logits, and standardises by the window.

    Args:
      samples: of all periods.
      logits: of a sample of each period in each window.

    Returns:
      The windows.
    """
    values, present = samples.values, samples.present
    counts = present.sum(1)
    own_weights = present / jnp.maximum(counts, 1)[:, None]
    shares = jax.nn.softmax(logits + jnp.log(counts), axis=1)
    spreads = (own_weights[..., None] * jnp.square(values)).sum(1)

    def moments_of(window: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        share, level, remainder = window
        # from the level of the window's own period: a difference of large numbers would lose what varies in a series
        # with a trend or a break
        away = samples.levels - level + (samples.level_remainders - remainder)
        mean_of = lambda of_periods: jnp.einsum("s,sp->p", share, of_periods)
        if samples.observed is not None:
            # of a variable only periods that have it say what its moments are
            known = share[:, None] * samples.observed
            mean_of = lambda of_periods: (known / known.sum(0) * of_periods).sum(0)
        mean = mean_of(away)
        return mean, jnp.sqrt(mean_of(spreads + jnp.square(away - mean)))

    mean, std = jax.lax.map(moments_of, (shares, samples.levels, samples.level_remainders))
    known = present[..., None] if samples.observed is None else present[..., None] * samples.observed[:, None]
    standardised = known * (values - mean[:, None]) / std[:, None]
    return Windows(mean, std, standardised, own_weights, shares[..., None] * own_weights, samples.empty)


def require_varying(
    mean: Float[np.ndarray, "periods variables"], std: Float[np.ndarray, "periods variables"], units: Units
) -> None:
    """Raises a ValueError that names the variables that do not vary in a window, and the window."""
    varies = varying(mean, std, units.dtype)
    if varies.all():
        return
    t = int(np.argmax(~varies.all(1)))
    empty, remedy = np.isnan(std[t]), "widen the window with a larger decay or cap"
    if empty.all():
        raise ValueError(f"the window of period {t} has no samples; {remedy}")
    fault, where = ("without a value", empty) if empty.any() else ("constant", ~varies[t])
    raise ValueError(
        f"{where.sum()} variables are {fault} in the window of period {t}: {named(where, units.columns)}; leave them"
        f" out, or {remedy}"
    )


def _tables(
    periods: Tables, name: str, missing: str, missing_value: Scalar | None, known: ColumnNames | None = None
) -> list[Numbers]:
    """The tables as numbers of the same variables, NaN where they are missing."""
    require_choice("missing", missing, ("refuse", "mean"))
    remedy = "a series is cut by make_periods(series, window).tables"
    one_table = not isinstance(periods, list | tuple) and is_frame(periods)
    if one_table or isinstance(periods, Periods) or not hasattr(periods, "__len__"):
        raise TypeError(f"{name} must be a sequence of tables, one for each, got {type(periods).__name__}: {remedy}")
    if len(periods) == 0:
        raise ValueError(f"{name} must have at least one period, got none")
    if np.ndim(periods[0]) == 1 and not is_frame(periods[0]):
        raise ValueError(f"{name}[0] must have 2 axes (samples, variables), got shape {np.shape(periods[0])}: {remedy}")
    tables: list[Numbers] = []
    for t, table in enumerate(periods):
        numbers = as_numbers(table, name=f"{name}[{t}]", known=known)
        if not is_concrete(numbers.values):
            raise TypeError(f"{name}[{t}] is traced; a fit of T-CorEx is a program of its own")
        known = known or numbers.columns
        tables.append(numbers if missing_value is None else with_gaps(numbers, missing_value))
    shapes = [table.values.shape for table in tables]
    if len({variables for _, variables in shapes}) > 1:
        raise ValueError(f"{name} must all have the same variables, got the shapes {', '.join(map(str, shapes))}")
    if not any(samples for samples, _ in shapes):
        raise ValueError(f"{name} must have samples, got none in all {len(shapes)}")
    for t, table in enumerate(tables):
        values = np.asarray(table.values)
        unknown = np.isinf(values) if missing == "mean" else ~np.isfinite(values)
        if unknown.any():
            allowed = "" if np.isinf(values).any() else "; allow them with missing='mean'"
            raise ValueError(
                f"{name}[{t}] has {unknown.sum()} of {values.size} entries that are NaN or infinite, in the variables"
                f" {named(unknown.any(0), table.columns)}{allowed}"
            )
    return tables


def _moments_of_period(values: np.ndarray) -> tuple[np.ndarray, ...]:
    if len(values):
        mean, std, remainder, count = observed_moments(values)
        return np.nan_to_num(mean), std, np.nan_to_num(remainder), count
    nothing = np.zeros(values.shape[1])
    return nothing, nothing, nothing, nothing


def _nearest_known(observed: np.ndarray) -> np.ndarray:
    """For each period and variable the nearest period that has a value, the first of two; itself where none has."""
    periods = np.arange(len(observed))
    far = 2 * len(observed)
    nearest = np.empty(observed.shape, int)
    for t in periods:
        nearest[t] = np.where(observed, np.abs(periods - t)[:, None], far).argmin(0)
    return np.where(observed.any(0), nearest, periods[:, None])


def _stacked(tables: Sequence[Numbers], units: Units, stretch: np.ndarray, dtype: Any, *, gap: float = 0.0) -> Array:
    """Deviations of all periods as one array, zero in the filling, and the gap where values are missing."""
    most = max(len(table.values) for table in tables)
    filled = []
    for t, table in enumerate(tables):
        values = np.asarray(table.values)
        unit = (units.unit if units.unit.ndim == 1 else units.unit[t]) / stretch[t]
        deviations = np.zeros((most, values.shape[1]), dtype)
        of_values = standardize(values, units.level[t], unit, units.remainder[t], dtype=dtype)
        deviations[: len(values)] = np.nan_to_num(of_values, copy=False, nan=gap)
        filled.append(placed_like(deviations, table.values))
    return jnp.stack(filled)


def _present(num_rows: np.ndarray, dtype: Any) -> Array:
    return jnp.asarray(np.arange(num_rows.max()) < num_rows[:, None], dtype)


def _distances(num_periods: int) -> np.ndarray:
    """Between all pairs of periods, in periods."""
    return np.abs(np.subtract.outer(np.arange(num_periods), np.arange(num_periods)))
