"""Which values stand out of the others, by a scale that outliers do not carry."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Real

from infotheory_dl._validation import edge, require_choice, require_finite, require_rank, require_within
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

Tail = Literal["both", "upper"]

_FEWEST = 20
# a tail begins at the third quartile of the deviations on its side, and its scale is told by the next eighth of them
_BEGINS, _HALF = 0.75, 0.875
# of a median, beside a mean of exponential values
_EFFICIENCY = np.log(2) ** 2


@concise
class Outliers(NamedTuple):
    """Values beside the distribution of the others.

    Attributes:
      p_values: probability that a value lies as far out where the tail goes on as it begins; 1 of values that are not
        in a tail.
      is_outlier: which are outliers, at the rate of false discoveries that was asked for.
      centre: the median.
      low, high: values beyond which all are outliers; infinite where none is.
    """

    p_values: Float[np.ndarray, " values"]
    is_outlier: Bool[np.ndarray, " values"]
    centre: float
    low: float
    high: float


@edge
def outliers(values: Real[AnyArray, " values"], *, tail: Tail = "both", rate: float = 0.05) -> Outliers:
    """Tells which values are too far out to be of the distribution that the others have.

    On either side of the median the tail begins at the third quartile of the deviations. From there on it is taken to
    fall exponentially, as those of a normal distribution or thinner ones do at least. Its scale is told by half of what
    is beyond, so that outliers in an eighth of a side move it by little. Of the p-values the rule of Benjamini and
    Hochberg chooses.

    Args:
      values: such as residuals.
      tail: "both", or "upper" where great values alone are looked for.
      rate: expected share of false ones among the outliers, in (0, 1). Where no value is an outlier, the probability
        that one is called so. Both hold for tails that are exponential, are less for thinner and more for heavier ones.

    Returns:
      The outliers, with their p-values.

    Raises:
      ValueError: if there are fewer than 20 values, one is NaN or infinite, or a setting is out of its range.

    Source: Benjamini and Hochberg, 1995; Pickands, 1975, for tails beyond a threshold.
    """
    require_rank("values", values, 1, "(values,)")
    require_finite(values=values)
    require_choice("tail", tail, ("both", "upper"))
    require_within("(0, 1)", rate=rate)
    if len(values) < _FEWEST:
        raise ValueError(f"values must be at least {_FEWEST}, as the scale of fewer cannot be told, got {len(values)}")
    return outliers_of(np.asarray(values, float), tail, rate)


def outliers_of(values: Float[np.ndarray, " values"], tail: Tail, rate: float, *, least: float = 0.0) -> Outliers:
    """The core of `outliers`; `least` is below what no tail falls, such as the rounding of the values."""
    from scipy.stats import false_discovery_control

    centre = float(np.median(values))
    p_values = np.ones(len(values))
    for sign in (1, -1) if tail == "both" else (1,):
        side = np.flatnonzero(sign * (values - centre) > 0)
        if len(side):
            # of all values where one tail is looked at, and of those on a side where both are
            share = len(side) / len(values) if tail == "upper" else 1.0
            p_values[side] = share * _tail_probabilities(sign * (values[side] - centre), least)
    is_outlier = false_discovery_control(p_values) <= rate
    above, below = values[is_outlier & (values > centre)], values[is_outlier & (values < centre)]
    return Outliers(
        p_values,
        is_outlier,
        centre,
        low=float(below.max()) if len(below) else -np.inf,
        high=float(above.min()) if len(above) else np.inf,
    )


def _tail_probabilities(deviations: Float[np.ndarray, " side"], least: float) -> Float[np.ndarray, " side"]:
    """Of positive deviations, how probable one as great is; 1 below the tail."""
    begins, half = np.quantile(deviations, (_BEGINS, _HALF))
    scale = max(least, (half - begins) / np.log(2))
    if scale == 0:
        return np.ones(len(deviations))
    # the scale is known as well as from the mean of so many: hence no exponential, but what is expected of one
    degrees = _EFFICIENCY * max(2.0, (1 - _BEGINS) * len(deviations))
    beyond = np.maximum(0, deviations - begins) / scale
    falling = (1 - _BEGINS) * (1 + beyond / degrees) ** -degrees
    return np.where(deviations > begins, falling, 1.0)
