"""Periods of a time series: cut, stored as one array, weighed in each other's windows, and standardised."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from infotheory_dl._sharding import automatically_sharded
from infotheory_dl._validation import is_concrete, require_finite, require_rank, require_real, require_within
from infotheory_dl.corex._columns import named, varying
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Scalar

Tables: TypeAlias = Sequence[Num[AnyArray, "_ variables"]] | Num[AnyArray, "periods samples variables"]
"""One table of samples for each period, with as many samples as it has; or an array where all have equally many."""


@concise
class Periods(NamedTuple):
    """A series cut into periods.

    Attributes:
      tables: the rows of each period.
      starts: index of the first row of each.
      nearest: for each row of the series the period whose middle is nearest to it, the first of two.
    """

    tables: tuple[Num[AnyArray, "_ variables"], ...]
    starts: Int[np.ndarray, " periods"]
    nearest: Int[np.ndarray, " times"]


class Samples(NamedTuple):
    """Periods as one array, the shorter ones filled up.

    Attributes:
      values: rows beyond the samples of a period are zero.
      present: 1 for a sample and 0 for filling.
    """

    values: Float[Array, "periods rows variables"]
    present: Float[Array, "periods rows"]


@concise
class Windows(NamedTuple):
    """Standardised samples of all periods, and how each period's window weighs them.

    Attributes:
      mean: of each window, in the units of the variables.
      std: of each window.
      values: (x - mean) / std with mean and std of the period that the sample belongs to; zero in the filling.
      own_weights: of the samples of a period in their mean; zero in the filling.
      sample_weights: of all samples in each window, summing to one; zero in the filling.
    """

    mean: Float[Array, "periods variables"]
    std: Float[Array, "periods variables"]
    values: Float[Array, "periods rows variables"]
    own_weights: Float[Array, "periods rows"]
    sample_weights: Float[Array, "windows periods rows"]


def make_periods(series: Num[AnyArray, "times variables"], window: int, stride: int | None = None) -> Periods:
    """Cuts a series into periods of equal length; the last takes what is left at the end.

    Args:
      series: one row for each time.
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
    return Periods(tuple(series[start:end] for start, end in zip(starts, ends, strict=True)), starts, nearest)


def as_samples(periods: Tables, name: str = "periods") -> Samples:
    """Checks the periods and stores them as one array.

    Args:
      periods: one table for each.
      name: what errors call them.

    Returns:
      The samples, on the devices of the periods.

    Raises:
      TypeError: if a period does not hold numbers.
      ValueError: if there are no periods, one is not a matrix or is empty, they have different variables, or an entry
        is NaN or infinite.
    """
    if len(periods) == 0:
        raise ValueError(f"{name} must have at least one period, got none")
    tables = [table if isinstance(table, jax.Array) else np.asarray(table) for table in periods]
    for t, table in enumerate(tables):
        require_real(**{f"{name}[{t}]": table})
        require_rank(f"{name}[{t}]", table, 2, "(samples, variables)")
    shapes = [table.shape for table in tables]
    if len({variables for _, variables in shapes}) > 1:
        raise ValueError(f"{name} must all have the same variables, got the shapes {', '.join(map(str, shapes))}")
    empty = [t for t, (samples, _) in enumerate(shapes) if samples == 0]
    if empty:
        raise ValueError(f"{name} must all have samples, got none in {', '.join(map(str, empty))}")
    require_finite(**{name: tables})
    dtype = jnp.result_type(*tables)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    most = max(samples for samples, _ in shapes)
    fill_up = lambda table: jnp.pad(automatically_sharded(table).astype(dtype), ((0, most - len(table)), (0, 0)))
    present = np.arange(most) < np.array([[samples] for samples, _ in shapes])
    return Samples(jnp.stack([fill_up(table) for table in tables]), jnp.asarray(present, dtype))


def samples_like(shape: tuple[int, ...], periods: Tables, name: str = "periods") -> Samples:
    """Checks other samples of the periods of a fit; `shape` is (periods, variables) of that. See `as_samples`."""
    samples = as_samples(periods, name)
    given = len(samples.values), samples.values.shape[2]
    if given != shape:
        raise ValueError(
            f"{name} must be of the fit's {shape[0]} periods and {shape[1]} variables, got {given[0]} of {given[1]}"
        )
    return samples


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
    values, present = samples
    counts = present.sum(1)
    own_weights = present / counts[:, None]
    shares = jax.nn.softmax(logits + jnp.log(counts), axis=1)
    means = (own_weights[..., None] * values).sum(1)
    spreads = (own_weights[..., None] * jnp.square(values - means[:, None])).sum(1)
    mean = shares @ means
    # about the window's own mean: a difference of large squares would lose what varies in a series with a trend
    between = (shares[..., None] * jnp.square(means - mean[:, None])).sum(1)
    std = jnp.sqrt(shares @ spreads + between)
    standardised = present[..., None] * (values - mean[:, None]) / std[:, None]
    return Windows(mean, std, standardised, own_weights, shares[..., None] * own_weights)


def require_varying(mean: Float[Array, "periods variables"], std: Float[Array, "periods variables"]) -> None:
    """Raises a ValueError that names the variables that are constant in a window, and the window."""
    if not is_concrete(std):
        return
    constant = ~np.asarray(varying(mean, std))
    if constant.any():
        t = int(np.argmax(constant.any(1)))
        raise ValueError(
            f"{constant[t].sum()} variables are constant in the window of period {t}: {named(constant[t])}; leave them"
            " out, or widen the window with a larger decay or cap"
        )


def _distances(num_periods: int) -> np.ndarray:
    """Between all pairs of periods, in periods."""
    return np.abs(np.subtract.outer(np.arange(num_periods), np.arange(num_periods)))
