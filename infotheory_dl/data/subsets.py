"""Parts of a data set, as pure functions of its arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int, Shaped

from infotheory_dl._validation import edge, require_count, require_same_length
from infotheory_dl.data._draws import apportion, draw_per_class
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key


@concise
class Subset(NamedTuple):
    """A part of a data set.

    Attributes:
      x: inputs of the chosen examples.
      y: their labels.
      indices: their places in the set that they were chosen from.
    """

    x: Shaped[np.ndarray, "chosen *features"]
    y: Int[np.ndarray, " chosen"]
    indices: Int[np.ndarray, " chosen"]


@edge
def select_classes(
    x: Shaped[AnyArray, "examples *features"], y: Int[AnyArray, " examples"], classes: Sequence[int]
) -> Subset:
    """Keeps the examples of some classes and labels them 0, 1, … in the order in which the classes are given.

    Args:
      x: inputs.
      y: labels.
      classes: labels to keep, such as (4, 9), which then are 0 and 1.

    Returns:
      The examples of these classes, in the order of the set.

    Raises:
      ValueError: if a class is given twice, or has no examples.
    """
    chosen, labels = np.asarray(classes), np.asarray(y)
    if chosen.size == 0 or len(set(classes)) != chosen.size:
        raise ValueError(f"classes must be different labels, got {tuple(classes)}")
    matches = labels[:, None] == chosen
    for label, present in zip(classes, matches.any(axis=0), strict=True):
        if not present:
            raise ValueError(f"no example has the label {label}; the labels are {np.unique(labels).tolist()}")
    indices = np.flatnonzero(matches.any(axis=1))
    return Subset(np.asarray(x)[indices], matches[indices].argmax(axis=1).astype(labels.dtype), indices)


@edge
def first(x: Shaped[AnyArray, "examples *features"], y: Int[AnyArray, " examples"], size: int) -> Subset:
    """Keeps the first `size` examples.

    Raises:
      ValueError: if there are fewer.
    """
    require_same_length(x=x, y=y)
    require_count(1, len(y), "the number of examples", size=size)
    return _take(x, y, np.arange(size))


@edge
def random_subset(
    key: Key,
    x: Shaped[AnyArray, "examples *features"],
    y: Int[AnyArray, " examples"],
    size: int,
    *,
    stratified: bool = False,
) -> Subset:
    """Draws examples without replacement.

    Args:
      key: source of randomness.
      x: inputs.
      y: labels.
      size: number of examples to draw.
      stratified: whether every class keeps its share of the set, up to less than one example.

    Returns:
      The examples in the order in which they were drawn: without strata, a smaller subset is the head of a larger one.

    Raises:
      ValueError: if there are fewer than `size` examples.
    """
    require_same_length(x=x, y=y)
    require_count(1, len(y), "the number of examples", size=size)
    if stratified:
        _, codes, counts = np.unique(np.asarray(y), return_inverse=True, return_counts=True)
        indices = draw_per_class(key, codes, apportion(counts * size / len(y), size))
    else:
        indices = np.asarray(jax.random.permutation(key, len(y)))[:size]
    return _take(x, y, indices)


@edge
def train_validation_split(
    key: Key,
    x: Shaped[AnyArray, "examples *features"],
    y: Int[AnyArray, " examples"],
    *,
    validation_fraction: float = 0.2,
    stratified: bool = False,
) -> tuple[Subset, Subset]:
    """Parts the examples at random into a training set and a validation set.

    Args:
      key: source of randomness.
      x: inputs.
      y: labels.
      validation_fraction: share of the examples that go to the validation set, in (0, 1).
      stratified: whether every class keeps its share of the set in both, up to less than one example.

    Returns:
      The training set and the validation set, both in random order.

    Raises:
      ValueError: if the share leaves either of them empty.
    """
    size = round(validation_fraction * len(y))
    if not 0 < size < len(y):
        raise ValueError(f"a validation share of {validation_fraction} of {len(y)} examples leaves one part empty")
    drawn_key, order_key = jax.random.split(key)
    held_out = random_subset(drawn_key, x, y, size, stratified=stratified)
    rest = np.setdiff1d(np.arange(len(y)), held_out.indices)
    return _take(x, y, rest[np.asarray(jax.random.permutation(order_key, len(rest)))]), held_out


def _take(x: AnyArray, y: AnyArray, indices: np.ndarray) -> Subset:
    return Subset(np.asarray(x)[indices], np.asarray(y)[indices], indices)
