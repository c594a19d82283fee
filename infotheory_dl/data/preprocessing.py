"""Inputs and targets as networks want them."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int, Real
from numpy.typing import DTypeLike

from infotheory_dl._differences import differences
from infotheory_dl._validation import class_labels, edge, require_choice, require_count, require_positive
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels

Per: TypeAlias = Literal["set", "channel", "pixel"]

# what is in work at once lies in the caches
_BLOCK_ENTRIES = 1 << 17
# of differences and their squares in units of the largest there is room beyond
_LARGEST_SPREAD = 2.0**1000
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


class ObservedMoments(NamedTuple):
    """The same before anything is put in the place of a standard deviation of zero, and how many values there are."""

    mean: Float[np.ndarray, "..."]
    std: Float[np.ndarray, "..."]
    remainder: Float[np.ndarray, "..."]
    num_known: Float[np.ndarray, "..."]


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


def observed_moments(rows: Real[np.ndarray, "rows *kept"]) -> ObservedMoments:
    """The core of `pixel_moments`: over the rows, in three passes and in memory for few of them."""
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
    mean, std, remainder = (np.asarray(part, float) * scale for part in (mean, std, remainder))
    if dtype is None:
        dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.float32
    standardized = np.empty(x.shape, dtype)
    if (std > _LARGEST_SPREAD).any():
        x, mean, std, remainder = x / 4, mean / 4, std / 4, remainder / 4
    for block, place in zip(_blocks(x), _blocks(standardized), strict=True):
        place[...] = (differences(block, mean) - remainder) / std
    return standardized


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
