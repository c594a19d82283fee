"""Folds in which every class has its share."""

import jax
import numpy as np
from jaxtyping import Int

from infotheory_dl._validation import edge, require_count
from infotheory_dl.types import AnyArray, Key


@edge
def stratified_folds(key: Key, labels: Int[AnyArray, " examples"], num_folds: int) -> Int[np.ndarray, " examples"]:
    """Draws the fold of every example; each fold has its share of every class.

    Args:
      key: source of randomness.
      labels: classes.
      num_folds: number of folds, at least 2.

    Returns:
      The folds, in [0, num_folds). They differ by one at most in size, and in the examples of each class.

    Raises:
      ValueError: if the folds are fewer than 2 or more than the examples.
    """
    labels = np.asarray(labels)
    require_count(2, len(labels), "the number of examples", num_folds=num_folds)
    order = np.asarray(jax.random.permutation(key, len(labels)))
    folds = np.empty(len(labels), int)
    # dealt out class by class, as cards are
    folds[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(labels)) % num_folds
    return folds


def stratified_order(key: Key, labels: Int[np.ndarray, " examples"]) -> Int[np.ndarray, " examples"]:
    """The examples in random order, but so that every stretch of it holds all classes in proportion."""
    order = np.asarray(jax.random.permutation(key, len(labels)))
    shuffled = labels[order]
    by_class = np.argsort(shuffled, kind="stable")
    _, places, counts = np.unique(shuffled[by_class], return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    quantiles = (np.arange(len(labels)) - starts[places] + 0.5) / counts[places]
    return order[by_class[np.argsort(quantiles, kind="stable")]]
