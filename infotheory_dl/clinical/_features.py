"""What linear models see of a stay: six statistics of seven windows of each channel, by prefix sums."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, require_choice, require_indices, require_shape
from infotheory_dl.clinical._series import Series
from infotheory_dl.clinical.channels import CHANNELS, NUM_CHANNELS
from infotheory_dl.types import AnyArray

Period: TypeAlias = Literal["all", "first4days", "first8days", "last12hours", "first25percent", "first50percent"]
FeatureSet: TypeAlias = Literal["all", "len", "all_but_len"]

_EPSILON = 1e-6
_ROUNDING = 1e-7
STATISTICS = ("min", "max", "mean", "std", "skew", "len")
# whether from the beginning of the period or back from its end, and percent of it
WINDOWS = ((True, 100), (True, 10), (True, 25), (True, 50), (False, 10), (False, 25), (False, 50))
# begin and end, of the first and the last measurement of a channel; some go on beyond the last
_PERIODS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "all": lambda first, last: (first, last),
    "first4days": lambda first, last: (first, first + 96.0),
    "first8days": lambda first, last: (first, first + 192.0),
    "last12hours": lambda first, last: (last - 12.0, last),
    "first25percent": lambda first, last: (first, first + (last - first) * 25 / 100),
    "first50percent": lambda first, last: (first, first + (last - first) * 50 / 100),
}
_STATISTICS_OF = {"all": range(6), "len": [5], "all_but_len": range(5)}
# samples at a time: what they need stays within a few hundred MB
_SAMPLES_AT_A_TIME = 20_000


class _Runs(NamedTuple):
    """Measurements by stay, channel and time.

    Attributes:
      hours: of each.
      begin: where those of each stay and channel begin, (stays, channels).
      end: where they end.
      shift: the mean of each stay and channel, which is taken from the values so that powers stay accurate.
      sums: of the values of a stay and channel up to each, and of their squares and cubes.
      least: of 2^k values from i on, for each k; `greatest` likewise.
    """

    hours: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    shift: np.ndarray
    sums: np.ndarray
    least: list[np.ndarray]
    greatest: list[np.ndarray]


@edge
def features(
    series: Series,
    *,
    stay: Int[AnyArray, " samples"] | None = None,
    end: Float[AnyArray, " samples"] | None = None,
    period: Period = "all",
    statistics: FeatureSet = "all",
) -> np.ndarray:
    """Computes the 714 features of the benchmark's linear models.

    Args:
      series: of `read_series` or `as_series`.
      stay: the stay of each sample; default each stay once.
      end: hours that each sample sees; default all.
      period: of these hours.
      statistics: "all" six, the number of measurements "len", or "all_but_len".

    Returns:
      float32, (samples, channels x windows x statistics); NaN where a window has no measurement.

    Raises:
      ValueError: if a setting is unknown, a stay does not exist, or the lengths differ.

    Source: Harutyunyan et al., 2019 (linear baselines).
    """
    require_choice("period", period, tuple(_PERIODS))
    require_choice("statistics", statistics, tuple(_STATISTICS_OF))
    num_stays = len(series.offsets) - 1
    stays = np.arange(num_stays) if stay is None else np.asarray(stay, int)
    require_indices(num_stays, stay=stays)
    ends = np.full(len(stays), np.inf) if end is None else np.asarray(end, float)
    require_shape("end", ends, stays.shape, "one for each sample")
    runs = _runs(series)
    parts = [
        _of_samples(runs, stays[first : first + _SAMPLES_AT_A_TIME], ends[first : first + _SAMPLES_AT_A_TIME], period)
        for first in range(0, len(stays), _SAMPLES_AT_A_TIME)
    ]
    shape = len(stays), NUM_CHANNELS, len(WINDOWS), len(STATISTICS)
    found = np.concatenate(parts) if parts else np.zeros(shape, np.float32)
    chosen = list(_STATISTICS_OF[statistics])
    return found[..., chosen].reshape(len(stays), NUM_CHANNELS * len(WINDOWS) * len(chosen))


def _runs(series: Series) -> _Runs:
    order = np.lexsort((series.hours, series.channel, series.stay))
    group = (series.stay * NUM_CHANNELS + series.channel)[order]
    values = _ordinal(series)[order]
    counts = np.bincount(group, minlength=(len(series.offsets) - 1) * NUM_CHANNELS)
    end = np.cumsum(counts)
    shift = np.bincount(group, values, len(counts)) / np.maximum(1, counts)
    centred = values - shift[group]
    place = np.arange(len(values)) - (end - counts)[group]
    sums = _running(np.stack([centred, centred**2, centred**3], -1), place)
    least, greatest = [values], [values]
    while 2 ** len(least) <= max(1, int(np.max(counts, initial=0))):
        half = 2 ** (len(least) - 1)
        for table, choose in ((least, np.minimum), (greatest, np.maximum)):
            table.append(
                choose(table[-1], np.concatenate([table[-1][half:], np.repeat(table[-1][-1:], half)])[: len(values)])
            )
    shape = -1, NUM_CHANNELS
    return _Runs(
        series.hours[order],
        (end - counts).reshape(shape),
        end.reshape(shape),
        shift.reshape(shape),
        sums,
        least,
        greatest,
    )


def _running(terms: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Sums within each run, by doubling: their errors grow with the logarithm of its length, and end with it."""
    sums, step = terms, 1
    while step <= place.max(initial=0):
        before = np.concatenate([np.zeros_like(sums[:step]), sums[:-step]])
        sums = sums + np.where((place >= step)[:, None], before, 0)
        step *= 2
    return sums


def _ordinal(series: Series) -> np.ndarray:
    """Values, with the numbers of linear models for categories."""
    values = np.array(series.value, float)
    for place, channel in enumerate(CHANNELS):
        if channel.categories:
            mine = series.channel == place
            values[mine] = np.array(list(channel.categories.values()), float)[values[mine].astype(int)]
    return values


def _of_samples(runs: _Runs, stays: np.ndarray, ends: np.ndarray, period: str) -> np.ndarray:
    """(samples, channels, windows, statistics), single precision."""
    begin, limit = runs.begin[stays], runs.end[stays]
    limit = _search(runs.hours, begin, limit, ends[:, None] + _EPSILON, after=True)
    last_place = len(runs.hours) - 1
    first, last = runs.hours[np.minimum(begin, last_place)], runs.hours[np.clip(limit - 1, 0, last_place)]
    low, high = _PERIODS[period](first, last)

    found = np.empty((*begin.shape, len(WINDOWS), len(STATISTICS)), np.float32)
    for place, (from_first, share) in enumerate(WINDOWS):
        length = (high - low) * share / 100
        left, right = (low, low + length) if from_first else (high - length, high)
        start = _search(runs.hours, begin, limit, left - _EPSILON, after=True)
        stop = _search(runs.hours, begin, limit, right + _EPSILON)
        found[:, :, place] = _statistics(runs, runs.shift[stays], begin, start, stop)
    return found


def _statistics(runs: _Runs, shift: np.ndarray, begin: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    count = np.maximum(0, stop - start)
    has = count > 0
    safe = np.maximum(1, count)
    up_to = lambda place: np.where((place > begin)[..., None], runs.sums[np.maximum(place, 1) - 1], 0)
    moments = (up_to(stop) - up_to(np.minimum(start, stop))) / safe[..., None]
    mean = moments[..., 0]
    least, greatest = _extreme(runs.least, start, count, np.minimum), _extreme(runs.greatest, start, count, np.maximum)
    varies = least < greatest
    variance = np.where(varies, np.maximum(moments[..., 1] - mean**2, 0), 0)
    third = moments[..., 2] - 3 * mean * moments[..., 1] + 2 * mean**3
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = np.where(variance > 0, third / variance**1.5, 0)
    # of a symmetric window only rounding is left, which a model that standardises would make large
    skew = np.where(np.abs(skew) > _ROUNDING, skew, 0)
    mean = np.where(varies, mean + shift, least)
    columns = np.stack([least, greatest, mean, np.sqrt(variance), skew, count], -1)
    return np.where(has[..., None], columns, np.nan)


def _extreme(table: list[np.ndarray], start: np.ndarray, count: np.ndarray, choose: np.ufunc) -> np.ndarray:
    """The least or greatest of the values from a place on: of two runs of a power of two that cover them."""
    level = np.maximum(0, np.frexp(np.maximum(1, count))[1] - 1)
    stacked = np.stack(table)
    last = stacked.shape[1] - 1
    second = np.clip(start + count - (1 << level), 0, last)
    return choose(stacked[level, np.clip(start, 0, last)], stacked[level, second])


def _search(
    hours: np.ndarray, begin: np.ndarray, end: np.ndarray, limit: np.ndarray, *, after: bool = False
) -> np.ndarray:
    """The first place in [begin, end) whose hour is not below the limit, or, `after`, above it; many at a time."""
    low, high = begin.copy(), np.maximum(begin, end)
    while (open_ := low < high).any():
        middle = (low + high) // 2
        at = hours[np.minimum(middle, len(hours) - 1)]
        below = (at <= limit) if after else (at < limit)
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low
