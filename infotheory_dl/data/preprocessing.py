"""Inputs and targets as networks want them."""

from typing import Literal, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int, Real
from numpy.typing import DTypeLike

from infotheory_dl._moments import observed_moments, standardized
from infotheory_dl._validation import class_labels, edge, require_choice, require_count, require_positive
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels

Per: TypeAlias = Literal["set", "channel", "pixel"]

_CHANNELS = (1, 3, 4)


@concise
class Moments(NamedTuple):
    """Mean and standard deviation, as `standardize` takes them.

    Attributes:
      mean: of every pixel or channel, or one number; NaN where every value is missing.
      std: likewise; 1 where there is no variation.
      remainder: what the mean has beyond double precision, of whole numbers above 2**53 or where an offset is large.
    """

    mean: Float[np.ndarray, "..."]
    std: Float[np.ndarray, "..."]
    remainder: Float[np.ndarray, "..."]


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape holds images whose channels, by their number, are the axis after the examples."""
    return len(shape) == 4 and shape[1] in _CHANNELS and shape[3] not in _CHANNELS


@edge
def pixel_moments(x: Real[AnyArray, "examples *features"], *, per: Per = "set") -> Moments:
    """Mean and standard deviation of the inputs, in double precision whatever their dtype is.

    Offsets far larger than the spread, whole numbers of 64 bits and spreads from 1e-200 to 1e200 cost nothing: what is
    summed are differences from the first example, exact for whole numbers, and their squares in units of the largest.
    NaN stands for a missing value and is left out.

    Args:
      x: inputs, channels last.
      per: "set" pools all pixels of all examples, "channel" keeps the last axis apart, "pixel", for images and for the
        columns of a table, pools the examples only.

    Raises:
      ValueError: if `per` is unknown, or there is no example.
    """
    require_choice("per", per, ("set", "channel", "pixel"))
    x = np.asarray(x)
    if not x.size:
        raise ValueError(f"moments need at least one example, got x of shape {x.shape}")
    kept = {"set": (), "channel": x.shape[-1:], "pixel": x.shape[1:]}[per]
    mean, std, remainder, _ = observed_moments(x.reshape(-1, *kept))
    return Moments(mean, np.where(std > 0, std, 1.0), remainder)


@edge
def standardize(
    x: Real[AnyArray, "examples *features"],
    mean: float | Float[AnyArray, "..."],
    std: float | Float[AnyArray, "..."],
    remainder: float | Float[AnyArray, "..."] = 0.0,
    *,
    scale: float = 1.0,
    dtype: DTypeLike | None = None,
) -> Float[np.ndarray, "examples *features"]:
    """(x / scale - mean) / std, computed in double precision before any cast.

    The papers' MNIST is `standardize(x, 0.456, 0.224, scale=255)`; by the data themselves,
    `standardize(x, *pixel_moments(x))`.

    Args:
      x: inputs.
      mean: what to subtract, after scaling.
      std: what to divide by, after scaling.
      remainder: what the mean has beyond double precision.
      scale: what to divide by first, such as the largest value of a pixel.
      dtype: of the result; by default that of x, or float32 where x are integers.

    Raises:
      ValueError: if the standard deviation or the scale is not positive.
    """
    require_positive(std=std, scale=scale)
    x = np.asarray(x)
    mean, std, remainder = (np.asarray(np.multiply(part, scale, dtype=float)) for part in (mean, std, remainder))
    if dtype is None:
        dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.float32
    return standardized(x, mean, std, remainder, dtype)


def network_inputs(
    x: Real[AnyArray, "examples *features"], moments: Moments
) -> Float[np.ndarray, "examples *features"]:
    """Standardized inputs in double precision where x are and jax has it, else in single precision."""
    x = np.asarray(x)
    floating = np.issubdtype(x.dtype, np.floating)
    dtype = jax.dtypes.canonicalize_dtype(np.promote_types(x.dtype, np.float32) if floating else np.float32)
    return standardize(x, *moments, dtype=dtype)


@edge
def unstandardize(
    standardized: Float[AnyArray, "examples *features"],
    mean: float | Float[AnyArray, "..."],
    std: float | Float[AnyArray, "..."],
    remainder: float | Float[AnyArray, "..."] = 0.0,
    *,
    scale: float = 1.0,
) -> Float[np.ndarray, "examples *features"]:
    """(standardized * std + mean) * scale, in double precision: what `standardize` was given.

    Args:
      standardized: of `standardize`.
      mean, std, remainder, scale: what it was given.

    Raises:
      ValueError: if the standard deviation or the scale is not positive.
    """
    require_positive(std=std, scale=scale)
    deviations = np.asarray(standardized, float) * np.asarray(std, float) + np.asarray(remainder, float)
    return (deviations + np.asarray(mean, float)) * scale


@edge
def one_hot(
    labels: AnyLabels, num_classes: int, *, dtype: DTypeLike = np.float32
) -> Float[np.ndarray, "examples classes"]:
    """1 in the column of the label, 0 elsewhere.

    Raises:
      ValueError: if a label lies outside [0, num_classes), naming the first.
    """
    return indicators(class_labels(labels, num_classes=num_classes).codes, num_classes, dtype)


@edge
def targets(
    labels: AnyLabels,
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
    require_count(2, num_classes=num_classes)
    codes = class_labels(labels, num_classes=num_classes).codes
    columns = centred_targets(codes, num_classes, dtype=dtype) if centered else indicators(codes, num_classes, dtype)
    return columns[:, 1:] if num_classes == 2 else columns


def indicators(
    codes: Int[AnyArray, " examples"], num_classes: int, dtype: DTypeLike
) -> Float[np.ndarray, "examples classes"]:
    """The core of `one_hot`."""
    return (np.asarray(codes)[:, None] == np.arange(num_classes)).astype(dtype)


def centred_targets(
    codes: Int[AnyArray, " examples"], num_classes: int, *, dtype: DTypeLike = np.float64
) -> Float[np.ndarray, "examples classes"]:
    """One-hot rows minus 1/num_classes, a column for each class always, of codes that are known to be sound."""
    rows = indicators(codes, num_classes, dtype)
    return rows - rows.dtype.type(1 / num_classes)
