"""Moments of columns in which outliers have no part."""

import numpy as np
from jaxtyping import Float, Real

from infotheory_dl._differences import differences

SOFT_LIMIT = 4.0
"""Beyond so many standard deviations values are squashed, smoothly, to within one more."""

# turn the median and the mean absolute deviation of a Gaussian into its standard deviation
_OF_MEDIAN = 1.482602218505602
_OF_MEAN = (np.pi / 2) ** 0.5
_BLOCK_ENTRIES = 1 << 20


def robust_moments(
    values: Real[np.ndarray, "samples variables"],
) -> tuple[
    Float[np.ndarray, " variables"],
    Float[np.ndarray, " variables"],
    Float[np.ndarray, " variables"],
    Float[np.ndarray, "two variables"],
]:
    """Mean and standard deviation of the variables after their outliers are squashed.

    Squashing is by the median and the median absolute deviation; or by the mean absolute deviation where more than half
    of the values are one number, of which the median one is zero.

    Args:
      values: NaN where they are missing; every variable varies.

    Returns:
      The mean, the standard deviation, what the mean has beyond double precision, and where squashing starts, below and
      above the mean, in standard deviations.
    """
    width = max(1, _BLOCK_ENTRIES // len(values))
    parts = [_of_some(values[:, start : start + width]) for start in range(0, values.shape[1], width)]
    mean, std, remainder, limits = zip(*parts, strict=True)
    return np.concatenate(mean), np.concatenate(std), np.concatenate(remainder), np.concatenate(limits, axis=1)


def _of_some(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    ascending = np.sort(values, axis=0)
    count = (~np.isnan(ascending)).sum(0)
    # from a value in the middle, so that outliers do not round what lies there
    origin = np.take_along_axis(ascending, (count[None] - 1) // 2, axis=0)[0].astype(float)
    deviations = differences(values, origin)
    centre = _median(deviations, count)
    distances = np.abs(deviations - centre)
    scale = _OF_MEDIAN * _median(distances, count)
    scale = np.where(scale > 0, scale, _OF_MEAN * np.nanmean(distances, axis=0))
    with np.errstate(over="ignore"):
        robust = (deviations - centre) / scale
    core = np.clip(robust, -SOFT_LIMIT, SOFT_LIMIT)
    squashed = core + np.tanh(robust - core)
    shift, spread = np.nanmean(squashed, axis=0), np.nanstd(squashed, axis=0)
    offset = centre + scale * shift
    mean = origin + offset
    limits = np.stack([(-SOFT_LIMIT - shift) / spread, (SOFT_LIMIT - shift) / spread])
    return mean, scale * spread, (origin - mean) + offset, limits


def _median(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Of what is not NaN in each column."""
    ascending = np.sort(values, axis=0)
    at = lambda places: np.take_along_axis(ascending, places[None], axis=0)[0]
    return (at((count - 1) // 2) + at(count // 2)) / 2
