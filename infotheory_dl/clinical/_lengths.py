"""Lengths of stay as ten ordered classes, and what a prediction of them is worth."""

from typing import Literal, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from infotheory_dl import metrics
from infotheory_dl._validation import edge, require_choice, require_finite, require_indices, require_not_negative
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

Buckets: TypeAlias = Literal["custom", "log"]

# days: the last class is of two weeks and more
_EDGES = 24.0 * np.array([1, 2, 3, 4, 5, 6, 7, 8, 14])
NUM_CLASSES = 10
# hours, of the published training set
_MEANS = {
    "custom": np.array(
        [
            *(11.450379, 35.070846, 59.206531, 83.382723, 107.487817),
            *(131.579534, 155.643957, 179.660558, 254.306624, 585.325890),
        ]
    ),
    "log": np.array(
        [
            *(0.611848, 2.587614, 6.977417, 16.465430, 37.053745),
            *(81.816438, 182.303159, 393.334856, 810.964040, 1715.702848),
        ]
    ),
}


@concise
class LengthError(NamedTuple):
    """How far predicted lengths of stay are off.

    Attributes:
      kappa: linear-weighted agreement of the "custom" classes.
      mad: mean absolute difference, hours.
      mse: mean squared difference.
      mape: mean absolute difference in percent of the label and a tenth of an hour.
    """

    kappa: Float[Array, ""]
    mad: Float[Array, ""]
    mse: Float[Array, ""]
    mape: Float[Array, ""]


@edge
def length_classes(hours: Real[AnyArray, " examples"], *, buckets: Buckets = "custom") -> Int[np.ndarray, " examples"]:
    """The class, 0 to 9, of each length of stay.

    Args:
      hours: not negative.
      buckets: "custom", of days up to eight, then to two weeks, and more; or "log", of equal width in the logarithm.

    Raises:
      ValueError: if a length is negative, infinite or NaN, or there are no such buckets.

    Source: Harutyunyan et al., 2019 (length of stay).
    """
    require_choice("buckets", buckets, tuple(_MEANS))
    require_not_negative(hours=hours)
    lengths = np.asarray(hours, float)
    if buckets == "custom":
        return np.searchsorted(_EDGES, lengths, side="right")
    return np.clip((NUM_CLASSES * np.log(lengths + 1) / 8).astype(int), 0, NUM_CLASSES - 1)


def classes_of_lengths(hours: Float[Array, "*examples"]) -> Int[Array, "*examples"]:
    """The core of `length_classes` where values are traced, of "custom" buckets."""
    return jnp.searchsorted(jnp.asarray(_EDGES, hours.dtype), hours, side="right")


@edge
def class_lengths(classes: Int[AnyArray, " examples"], *, buckets: Buckets = "custom") -> Float[Array, " examples"]:
    """The mean hours of each class in the published training set, by which a predicted class becomes a length.

    Args:
      classes: 0 to 9.
      buckets: as in `length_classes`.

    Raises:
      ValueError: if a class is not 0 to 9, or there are no such buckets.
    """
    require_choice("buckets", buckets, tuple(_MEANS))
    require_indices(NUM_CLASSES, classes=classes)
    return jnp.asarray(_MEANS[buckets][np.asarray(classes)])


@edge
def length_error(
    labels: Real[AnyArray, " examples"],
    predictions: Real[AnyArray, " examples"],
    *,
    every_class: bool = False,
) -> LengthError:
    """Measures how far predicted lengths of stay are off.

    Args:
      labels: hours.
      predictions: of them; negative ones count as zero.
      every_class: whether the distance of classes counts all ten; the published one counts those that occur.

    Raises:
      ValueError: if the lengths differ, a number is not finite, or a label is negative.

    Source: Harutyunyan et al., 2019 (metrics).
    """
    require_finite(predictions=predictions)
    clipped = np.maximum(np.asarray(predictions, float), 0)
    differences = metrics.regression(labels, clipped)
    codes = (length_classes(hours) for hours in (labels, clipped))
    return LengthError(metrics.cohen_kappa(*codes, num_classes=NUM_CLASSES if every_class else None), *differences)
