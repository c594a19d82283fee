"""Means and standard deviations on the host, in double precision whatever the dtype."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real
from numpy.typing import DTypeLike

from infotheory_dl._differences import differences

# what is in work at once lies in the caches
_BLOCK_ENTRIES = 1 << 17
# of differences and their squares in units of the largest there is room beyond
_LARGEST_SPREAD = 2.0**1000


class ObservedMoments(NamedTuple):
    """What is known of each column.

    Attributes:
      mean: NaN where every value is missing.
      std: 0 where there is no variation.
      remainder: what the mean has beyond double precision.
      num_known: how many values there are.
    """

    mean: Float[np.ndarray, "..."]
    std: Float[np.ndarray, "..."]
    remainder: Float[np.ndarray, "..."]
    num_known: Float[np.ndarray, "..."]


def observed_moments(rows: Real[np.ndarray, "rows *kept"]) -> ObservedMoments:
    """Mean and standard deviation over the rows, NaN left out, in three passes and in memory for few of them."""
    origin = _first_known(rows)
    count, total, reach = np.full(origin.shape, float(len(rows))), np.zeros(origin.shape), np.zeros(origin.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _blocks(rows):
            known, gaps = _known(differences(block, origin))
            count -= 0 if gaps is None else gaps.sum(0)
            total += known.sum(0)
            reach = np.maximum(reach, np.abs(known, out=known).max(0))
    if not np.isfinite(total).all() and not np.isinf(rows).any():
        # differences beyond the range of double precision
        mean, std, remainder, count = observed_moments(rows / 4)
        return ObservedMoments(4 * mean, 4 * std, 4 * remainder, count)
    with np.errstate(invalid="ignore"):
        offset = total / np.where(count > 0, count, np.nan)
    unit, squares = np.where(reach > 0, reach, 1.0), np.zeros(origin.shape)
    for block in _blocks(rows):
        deviations = _known((differences(block, origin) - offset) / unit)[0]
        squares += np.square(deviations, out=deviations).sum(0)
    mean = np.asarray(origin + offset)
    std = np.asarray(reach * np.sqrt(squares / np.maximum(count, 1)))
    return ObservedMoments(mean, std, np.asarray((origin - mean) + offset), count)


def standardized(
    x: Real[np.ndarray, "rows *features"],
    mean: Float[np.ndarray, "..."],
    std: Float[np.ndarray, "..."],
    remainder: Float[np.ndarray, "..."],
    dtype: DTypeLike,
) -> Float[np.ndarray, "rows *features"]:
    """(x - mean) / std of what `observed_moments` says, computed in double precision before any cast."""
    result = np.empty(x.shape, dtype)
    if (std > _LARGEST_SPREAD).any():
        x, mean, std, remainder = x / 4, mean / 4, std / 4, remainder / 4
    for block, place in zip(_blocks(x), _blocks(result), strict=True):
        place[...] = (differences(block, mean) - remainder) / std
    return result


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """The examples in order, as views of some at a time."""
    step = max(1, _BLOCK_ENTRIES // max(1, x[:1].size))
    for start in range(0, len(x), step):
        yield x[start : start + step]


def _known(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The values, 0 in place of NaN, and where these were; None if nowhere."""
    gaps = np.isnan(values)
    return (np.where(gaps, 0.0, values), gaps) if gaps.any() else (values, None)


def _first_known(rows: np.ndarray) -> np.ndarray:
    """The first value of each column that is not NaN, in double precision; 0 where there is none."""
    first = rows[0].astype(float)
    for block in _blocks(rows):
        if not np.isnan(first).any():
            break
        known = np.take_along_axis(block, np.isnan(block).argmin(0)[None], axis=0)[0]
        first = np.where(np.isnan(first), known, first)
    return np.where(np.isnan(first), 0.0, first)
