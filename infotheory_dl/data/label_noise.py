"""Wrong labels on purpose, with the knowledge of which they are."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import is_concrete
from infotheory_dl.data._labels import apportion, draw_per_class, require_labels
from infotheory_dl.types import AnyArray, Key


class NoisyLabels(NamedTuple):
    """Labels after corruption.

    Attributes:
      labels: the noisy labels.
      flipped: which labels differ from the clean ones.
    """

    labels: Int[np.ndarray, " examples"]
    flipped: Bool[np.ndarray, " examples"]


def uniform_transition(
    num_classes: int, rate: float, *, include_own: bool = False
) -> Float[np.ndarray, "classes classes"]:
    """Transition matrix of labels that are replaced with probability `rate` by one drawn uniformly.

    Args:
      num_classes: number of classes, at least 2.
      rate: probability of a replacement, in [0, 1].
      include_own: whether the new label is drawn from all classes, so that only rate * (1 - 1/num_classes) of the
        labels change, instead of from the others.

    Returns:
      T[i, j] = p(noisy label j | clean label i).

    Raises:
      ValueError: if the rate lies outside [0, 1] or there are fewer than two classes.
    """
    _require_rate(num_classes, rate)
    drawn = np.full((num_classes, num_classes), 1 / num_classes)
    if not include_own:
        drawn = (1 - np.eye(num_classes)) / (num_classes - 1)
    return (1 - rate) * np.eye(num_classes) + rate * drawn


def pairwise_transition(
    num_classes: int, rate: float, *, pairs: Mapping[int, int] | None = None
) -> Float[np.ndarray, "classes classes"]:
    """Transition matrix of labels that are taken, with probability `rate`, for one other class.

    Args:
      num_classes: number of classes, at least 2.
      rate: probability of the mistake, in [0, 1].
      pairs: which class is taken for which, such as {9: 1, 2: 0, 4: 7, 3: 5} for CIFAR-10; others stay. By default
        class c is taken for c + 1, and the last for 0.

    Returns:
      T[i, j] = p(noisy label j | clean label i).

    Raises:
      ValueError: if the rate lies outside [0, 1], there are fewer than two classes, or a pair names a class that is
        not there.
    """
    _require_rate(num_classes, rate)
    pairs = {c: (c + 1) % num_classes for c in range(num_classes)} if pairs is None else pairs
    outside = [pair for pair in pairs.items() if not set(pair) <= set(range(num_classes))]
    if outside:
        raise ValueError(f"pairs must lie in [0, {num_classes}), got {outside[0][0]}: {outside[0][1]}")
    transition = np.eye(num_classes)
    for clean, noisy in pairs.items():
        transition[clean] = (1 - rate) * np.eye(num_classes)[clean] + rate * np.eye(num_classes)[noisy]
    return transition


def corrupt_labels(
    key: Key,
    labels: Int[AnyArray, " examples"],
    transition: Float[AnyArray, "classes classes"],
    *,
    exact: bool = False,
) -> NoisyLabels:
    """Draws a noisy label for every clean one: p(noisy j | clean i) = transition[i, j].

    Args:
      key: source of randomness.
      labels: clean labels in [0, classes).
      transition: rows are distributions over the noisy labels.
      exact: whether the number of flipped labels is its expectation, rounded, for every class (to less than one away)
        and in all, instead of being random. Each label's probabilities are the same up to that rounding.

    Returns:
      The noisy labels and which of them are flipped.

    Raises:
      ValueError: if the transition is not a square matrix of distributions, or a label is not one of its rows, naming
        the first.
    """
    transition = np.asarray(require_transition(transition))
    num_classes = len(transition)
    clean = require_labels(labels, num_classes)
    key_choice, key_label = jax.random.split(key)

    if exact:
        elsewhere = transition * (1 - np.eye(num_classes))
        expected = np.bincount(clean, minlength=num_classes) * elsewhere.sum(axis=1)
        chosen = draw_per_class(key_choice, clean, apportion(expected, int(expected.sum() + 0.5)))
        noisy = clean.copy()
        noisy[chosen] = _draw(key_label, elsewhere[clean[chosen]])
    else:
        noisy = _draw(key_label, transition[clean]).astype(clean.dtype)
    return NoisyLabels(noisy, noisy != clean)


def require_transition(
    transition: Float[AnyArray, "classes classes"], *, num_classes: int | None = None
) -> Float[AnyArray, "classes classes"]:
    """The transition, of NumPy in double precision unless it is traced, once it is a matrix of distributions.

    Args:
      transition: T[i, j] = p(noisy label j | clean label i).
      num_classes: what its size must be; by default any.

    Raises:
      ValueError: if it is not square and of this size, or a row is not a distribution to 1e-6, naming the first.
    """
    shape = np.shape(transition)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
        raise ValueError(f"transition must be a square matrix of at least 2 classes, got shape {shape}")
    if num_classes not in (None, shape[0]):
        raise ValueError(f"transition must have one row for each of the {num_classes} classes, got shape {shape}")
    if not is_concrete(transition):
        return transition
    transition = np.asarray(transition, float)
    sound = (transition >= 0).all(axis=1) & (np.abs(transition.sum(axis=1) - 1) <= 1e-6)
    if not sound.all():
        row = int(np.argmin(sound))
        raise ValueError(f"row {row} of transition must be a distribution, got {transition[row].tolist()}")
    return transition


def _draw(key: Key, weights: np.ndarray) -> np.ndarray:
    """One column for every row, with probability in proportion to the weights, by inversion."""
    cumulative = weights.cumsum(axis=1)
    # named, so that the draw is the same with and without double precision
    uniform = np.asarray(jax.random.uniform(key, (len(weights), 1), jnp.float32))
    return (cumulative <= uniform * cumulative[:, -1:]).sum(axis=1)


def _require_rate(num_classes: int, rate: float) -> None:
    if num_classes < 2:
        raise ValueError(f"label noise needs at least 2 classes, got {num_classes}")
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate must lie in [0, 1], got {rate}")
