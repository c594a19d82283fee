"""Wrong labels on purpose, with the knowledge of which they are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import (
    class_labels,
    edge,
    is_concrete,
    require_count,
    require_distributions,
    require_finite,
    require_positive,
    require_same_length,
    require_within,
)
from infotheory_dl.data._draws import apportion, draw_by_inversion, draw_per_class
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels, Key

CIFAR10_PAIRS: Mapping[int, int] = MappingProxyType({9: 1, 2: 0, 4: 7, 3: 5})
"""Classes of CIFAR-10 that are alike: trucks for automobiles, birds for aeroplanes, deer for horses, cats for dogs."""


@concise
class NoisyLabels(NamedTuple):
    """Labels after corruption.

    Attributes:
      labels: the noisy labels.
      flipped: which labels differ from the clean ones.
    """

    labels: Int[np.ndarray, " examples"]
    flipped: Bool[np.ndarray, " examples"]


@concise
class InstanceNoise(NamedTuple):
    """Labels after a corruption that depends on the inputs.

    Attributes:
      labels: the noisy labels.
      flipped: which labels differ from the clean ones.
      distributions: what each noisy label was drawn from.
    """

    labels: Int[np.ndarray, " examples"]
    flipped: Bool[np.ndarray, " examples"]
    distributions: Float[np.ndarray, "examples classes"]


@edge
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
    require_count(2, num_classes=num_classes)
    require_within("[0, 1]", rate=rate)
    drawn = np.full((num_classes, num_classes), 1 / num_classes)
    if not include_own:
        drawn = (1 - np.eye(num_classes)) / (num_classes - 1)
    return (1 - rate) * np.eye(num_classes) + rate * drawn


@edge
def pairwise_transition(
    num_classes: int, rate: float, *, pairs: Mapping[int, int] | None = None
) -> Float[np.ndarray, "classes classes"]:
    """Transition matrix of labels that are taken, with probability `rate`, for one other class.

    Args:
      num_classes: number of classes, at least 2.
      rate: probability of the mistake, in [0, 1].
      pairs: which class is taken for which, such as `CIFAR10_PAIRS`; others stay. By default
        class c is taken for c + 1, and the last for 0.

    Returns:
      T[i, j] = p(noisy label j | clean label i).

    Raises:
      ValueError: if the rate lies outside [0, 1], there are fewer than two classes, or a pair names a class that is
        not there.
    """
    require_count(2, num_classes=num_classes)
    require_within("[0, 1]", rate=rate)
    pairs = {c: (c + 1) % num_classes for c in range(num_classes)} if pairs is None else pairs
    outside = [pair for pair in pairs.items() if not set(pair) <= set(range(num_classes))]
    if outside:
        raise ValueError(f"pairs must lie in [0, {num_classes}), got {outside[0][0]}: {outside[0][1]}")
    transition = np.eye(num_classes)
    for clean, noisy in pairs.items():
        transition[clean] = (1 - rate) * np.eye(num_classes)[clean] + rate * np.eye(num_classes)[noisy]
    return transition


@edge
def cifar10_transition(rate: float, *, num_classes: int = 10) -> Float[np.ndarray, "classes classes"]:
    """Transition matrix of the asymmetric noise of CIFAR-10: five classes stay, cats are taken for dogs but not back.

    Args:
      rate: probability of the mistake, in [0, 1].
      num_classes: of the data, which must be 10.

    Returns:
      T[i, j] = p(noisy label j | clean label i), by `CIFAR10_PAIRS`.

    Raises:
      ValueError: if the rate lies outside [0, 1], or the classes are not 10.

    Source: Patrini et al., 2017, with cats and dogs in one direction as in Harutyunyan et al., 2020.
    """
    if num_classes != 10:
        raise ValueError(f"the pairs of CIFAR-10 are of 10 classes, got {num_classes}")
    return pairwise_transition(num_classes, rate, pairs=CIFAR10_PAIRS)


@edge
def per_class_transition(rates: Float[AnyArray, " classes"]) -> Float[np.ndarray, "classes classes"]:
    """Transition matrix of labels that are replaced, each class at its own rate, by one of the others, all alike.

    Args:
      rates: probability of a wrong label, of every clean class, in [0, 1].

    Returns:
      T[i, j] = p(noisy label j | clean label i).

    Raises:
      ValueError: if a rate lies outside [0, 1] or there are fewer than two classes.
    """
    rates = np.asarray(rates, float)
    require_count(2, num_classes=len(rates))
    require_within("[0, 1]", rates=rates)
    own = np.eye(len(rates))
    return (1 - rates[:, None]) * own + rates[:, None] * (1 - own) / (len(rates) - 1)


@edge
def corrupt_labels(
    key: Key,
    labels: AnyLabels,
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
    clean = class_labels(labels, num_classes=num_classes).codes
    key_choice, key_label = jax.random.split(key)

    if exact:
        elsewhere = transition * (1 - np.eye(num_classes))
        expected = np.bincount(clean, minlength=num_classes) * elsewhere.sum(axis=1)
        chosen = draw_per_class(key_choice, clean, apportion(expected, int(expected.sum() + 0.5)))
        noisy = clean.copy()
        noisy[chosen] = _draw(key_label, elsewhere[clean[chosen]])
    else:
        noisy = _draw(key_label, transition[clean])
    return NoisyLabels(noisy, noisy != clean)


@edge
def corrupt_by_instance(
    key: Key,
    inputs: Float[AnyArray, "examples *features"],
    labels: AnyLabels,
    num_classes: int,
    rate: float,
    *,
    spread: float = 0.1,
) -> InstanceNoise:
    """Draws noisy labels that depend on the inputs, as a person's mistakes do.

    Example i has a rate of its own, q_i from a normal distribution around `rate`, cut off at 0 and 1. With this
    probability its label becomes another class, by the softmax over the others of the flattened input times a random
    standard normal matrix that belongs to its clean class. Inputs of large norm are therefore always taken for one
    class.

    Args:
      key: source of randomness.
      inputs: standardized.
      labels: clean labels in [0, num_classes).
      num_classes: number of classes, at least 2.
      rate: of the noise, in [0, 1]; its mean is drawn to 1/2 by as much as is cut off.
      spread: standard deviation of the rates before they are cut off, positive.

    Returns:
      The noisy labels, which of them are flipped, and their distributions.

    Raises:
      ValueError: if the rate lies outside [0, 1], the spread is not positive, the lengths differ, or a label is not a
        class, naming the first.

    Source: Xia et al., 2020 (algorithm 2).
    """
    require_count(2, num_classes=num_classes)
    require_within("[0, 1]", rate=rate)
    require_positive(spread=spread)
    require_same_length(inputs=inputs, labels=labels)
    clean = class_labels(labels, num_classes=num_classes).codes
    require_finite(inputs=inputs)
    rows = np.asarray(inputs).reshape(len(clean), -1)
    key_rate, key_matrix, key_label = jax.random.split(key, 3)

    bounds = (0 - rate) / spread, (1 - rate) / spread
    rates = rate + spread * np.asarray(jax.random.truncated_normal(key_rate, *bounds, clean.shape, jnp.float32))
    scores = np.empty((len(clean), num_classes))
    for label in range(num_classes):
        shape = rows.shape[1], num_classes
        matrix = np.asarray(jax.random.normal(jax.random.fold_in(key_matrix, label), shape, jnp.float32))
        scores[clean == label] = rows[clean == label] @ matrix
    own = np.arange(num_classes) == clean[:, None]
    weights = np.where(own, 0, np.exp(scores - np.max(scores, axis=1, keepdims=True, where=~own, initial=-np.inf)))
    elsewhere = weights / weights.sum(axis=1, keepdims=True)
    distributions = np.where(own, 1 - rates[:, None], rates[:, None] * elsewhere)
    noisy = _draw(key_label, distributions)
    return InstanceNoise(noisy, noisy != clean, distributions)


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
    require_distributions(1e-6, transition=transition)
    return np.asarray(transition, float) if is_concrete(transition) else transition


def _draw(key: Key, weights: np.ndarray) -> np.ndarray:
    """One column for every row, with probability in proportion to the weights."""
    cumulative = weights.cumsum(axis=1)
    # named, so that the draw is the same with and without double precision
    uniform = np.asarray(jax.random.uniform(key, (len(weights),), jnp.float32))
    return draw_by_inversion(cumulative, uniform * cumulative[:, -1])
