"""Examples that are unlike all others."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from infotheory_dl.metrics.tails import outliers_of
from infotheory_dl.results import concise

RATE = 0.05
_FEWEST = 20


@concise
class Outlying(NamedTuple):
    """How far every example is from all others, as the audit's model sees it.

    Attributes:
      leverage: how much of its own prediction an example makes, in [0, 1).
      p_value: probability that an example is so far from the others where their distances have a tail of a power law.
      is_outlying: which are, at an expected share of 5 % false ones among them.
    """

    leverage: Float[np.ndarray, " examples"]
    p_value: Float[np.ndarray, " examples"]
    is_outlying: Bool[np.ndarray, " examples"]


def find_outlying(leverage: Float[np.ndarray, " examples"]) -> Outlying:
    """Finds the examples whose leverage stands out.

    With h the leverage, h / (1 - h) is that of an example which is not trained on: its squared distance to what the
    others span. `metrics.outliers` is asked of its logarithm.
    """
    bounded = np.clip(leverage, np.finfo(float).tiny, 1 - np.finfo(float).eps)
    if len(bounded) < _FEWEST:
        return Outlying(leverage, np.ones(len(bounded)), np.zeros(len(bounded), bool))
    found = outliers_of(np.log(bounded) - np.log1p(-bounded), "upper", RATE)
    return Outlying(leverage, found.p_values, found.is_outlier)
