"""Inputs and targets as networks want them."""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int, Real
from numpy.typing import DTypeLike

from infotheory_dl._validation import require_choice
from infotheory_dl.data._labels import require_labels
from infotheory_dl.types import AnyArray

Per: TypeAlias = Literal["set", "channel", "pixel"]


class Moments(NamedTuple):
    """Mean and standard deviation, as `standardize` takes them.

    Attributes:
      mean: of every pixel or channel, or one number.
      std: likewise; 1 where there is no variation.
    """

    mean: Float[np.ndarray, "..."]
    std: Float[np.ndarray, "..."]


def pixel_moments(x: Real[AnyArray, "examples *features"], *, per: Per = "set") -> Moments:
    """Mean and standard deviation of the inputs.

    Args:
      x: inputs, channels last.
      per: "set" pools all pixels of all examples, "channel" keeps the last axis apart, "pixel" pools the examples only.

    Raises:
      ValueError: if `per` is unknown.
    """
    require_choice("per", per, ("set", "channel", "pixel"))
    x = np.asarray(x)
    axes = {"set": None, "channel": tuple(range(x.ndim - 1)), "pixel": 0}[per]
    std = x.std(axis=axes)
    return Moments(np.asarray(x.mean(axis=axes)), np.where(std > 0, std, 1.0))


def standardize(
    x: Real[AnyArray, "examples *features"],
    mean: float | Float[AnyArray, "..."],
    std: float | Float[AnyArray, "..."],
    *,
    scale: float = 1.0,
) -> Float[np.ndarray, "examples *features"]:
    """(x / scale - mean) / std, in the dtype of x, or in float32 where x are integers.

    The papers' MNIST is `standardize(x, 0.456, 0.224, scale=255)`; by the data themselves,
    `standardize(x, *pixel_moments(x))`.

    Args:
      x: inputs.
      mean: what to subtract, after scaling.
      std: what to divide by, after scaling.
      scale: what to divide by first, such as the largest value of a pixel.

    Raises:
      ValueError: if the standard deviation or the scale is not positive.
    """
    if not np.all(np.asarray(std) > 0) or scale <= 0:
        raise ValueError(f"std and scale must be positive, got std {std} and scale {scale}")
    x = np.asarray(x)
    dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.dtype(np.float32)
    return (x.astype(dtype) / dtype.type(scale) - np.asarray(mean, dtype)) / np.asarray(std, dtype)


def one_hot(
    labels: Int[AnyArray, " examples"], num_classes: int, *, dtype: DTypeLike = np.float32
) -> Float[np.ndarray, "examples classes"]:
    """1 in the column of the label, 0 elsewhere.

    Raises:
      ValueError: if a label lies outside [0, num_classes), naming the first.
    """
    return (require_labels(labels, num_classes)[:, None] == np.arange(num_classes)).astype(dtype)


def targets(
    labels: Int[AnyArray, " examples"],
    num_classes: int,
    *,
    centered: bool = False,
    dtype: DTypeLike = np.float32,
) -> Float[np.ndarray, "examples outputs"]:
    """Regression targets of a classification: {0, 1} in one column for two classes, one-hot beyond.

    Args:
      labels: labels in [0, num_classes).
      num_classes: number of classes, at least 2.
      centered: whether to subtract 1/num_classes, so that balanced classes have targets of mean zero.
      dtype: of the targets.

    Raises:
      ValueError: if there are fewer than two classes, or a label lies outside [0, num_classes), naming the first.
    """
    if num_classes < 2:
        raise ValueError(f"targets need at least 2 classes, got {num_classes}")
    columns = one_hot(labels, num_classes, dtype=dtype)
    columns = columns[:, 1:] if num_classes == 2 else columns
    return columns - columns.dtype.type(1 / num_classes) if centered else columns
