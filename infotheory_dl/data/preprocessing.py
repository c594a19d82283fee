"""Inputs and targets as networks want them."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int, Real
from numpy.typing import DTypeLike

from infotheory_dl._validation import class_labels, require_choice, require_count, require_positive
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels

Per: TypeAlias = Literal["set", "channel", "pixel"]

_BLOCK_ENTRIES = 1 << 20


@concise
class Moments(NamedTuple):
    """Mean and standard deviation, as `standardize` takes them.

    Attributes:
      mean: of every pixel or channel, or one number; NaN where every value is missing.
      std: likewise; 1 where there is no variation.
    """

    mean: Float[np.ndarray, "..."]
    std: Float[np.ndarray, "..."]


def pixel_moments(x: Real[AnyArray, "examples *features"], *, per: Per = "set") -> Moments:
    """Mean and standard deviation of the inputs, in double precision whatever their dtype is.

    Offsets far larger than the spread, and spreads from 1e-200 to 1e200, cost nothing: what is summed are differences
    from the first example, and their squares in units of the largest. NaN stands for a missing value and is left out.

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
    # rows of values that are pooled, with an axis of those that are kept apart
    pooled = x.reshape(-1, *kept)
    origin = _first_known(pooled)
    count, total, reach = np.zeros(kept), np.zeros(kept), np.zeros(kept)
    for rows in _blocks(pooled):
        differences = rows - origin
        known = ~np.isnan(differences)
        count += known.sum(0)
        total += differences.sum(0, where=known)
        reach = np.fmax(reach, np.abs(differences).max(0, where=known, initial=0))
    with np.errstate(invalid="ignore"):
        mean = origin + total / np.where(count > 0, count, np.nan)
    unit, squares = np.where(reach > 0, reach, 1.0), np.zeros(kept)
    for rows in _blocks(pooled):
        deviations = (rows - mean) / unit
        squares += np.square(deviations).sum(0, where=~np.isnan(deviations))
    std = reach * np.sqrt(squares / np.maximum(count, 1))
    return Moments(np.asarray(mean), np.where(std > 0, std, 1.0))


def standardize(
    x: Real[AnyArray, "examples *features"],
    mean: float | Float[AnyArray, "..."],
    std: float | Float[AnyArray, "..."],
    *,
    scale: float = 1.0,
) -> Float[np.ndarray, "examples *features"]:
    """(x / scale - mean) / std, computed in double precision, in the dtype of x, or in float32 where x are integers.

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
    require_positive(std=std, scale=scale)
    x, mean, std = np.asarray(x), np.asarray(mean, float), np.asarray(std, float)
    standardized = np.empty(x.shape, x.dtype if np.issubdtype(x.dtype, np.floating) else np.float32)
    for rows, place in zip(_blocks(x), _blocks(standardized, copy=False), strict=True):
        place[...] = (rows / scale - mean) / std
    return standardized


def unstandardize(
    standardized: Float[AnyArray, "examples *features"],
    mean: float | Float[AnyArray, "..."],
    std: float | Float[AnyArray, "..."],
    *,
    scale: float = 1.0,
) -> Float[np.ndarray, "examples *features"]:
    """(standardized * std + mean) * scale, in double precision: what `standardize` was given.

    Args:
      standardized: of `standardize`.
      mean, std, scale: what it was given.

    Raises:
      ValueError: if the standard deviation or the scale is not positive.
    """
    require_positive(std=std, scale=scale)
    return (np.asarray(standardized, float) * np.asarray(std, float) + np.asarray(mean, float)) * scale


def one_hot(
    labels: AnyLabels, num_classes: int, *, dtype: DTypeLike = np.float32
) -> Float[np.ndarray, "examples classes"]:
    """1 in the column of the label, 0 elsewhere.

    Raises:
      ValueError: if a label lies outside [0, num_classes), naming the first.
    """
    return indicators(class_labels(labels, num_classes=num_classes).codes, num_classes, dtype)


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


def _blocks(x: np.ndarray, *, copy: bool = True) -> Iterator[np.ndarray]:
    """The examples in order, some at a time: in double precision, or as views where they are not copied."""
    step = max(1, _BLOCK_ENTRIES // max(1, x[:1].size))
    for start in range(0, len(x), step):
        yield x[start : start + step].astype(float) if copy else x[start : start + step]


def _first_known(rows: np.ndarray) -> np.ndarray:
    """The first value of each column that is not NaN; 0 where there is none."""
    first = rows[0].astype(float)
    for block in _blocks(rows):
        if not np.isnan(first).any():
            break
        known = np.take_along_axis(block, np.isnan(block).argmin(0)[None], axis=0)[0]
        first = np.where(np.isnan(first), known, first)
    return np.where(np.isnan(first), 0.0, first)
