"""Draws of examples and of labels."""

import jax
import numpy as np

from infotheory_dl.types import Key


def apportion(quotas: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers that add up to the total, each less than one away from its quota (largest remainders)."""
    whole = np.floor(quotas + 1e-9).astype(int)
    largest = np.argsort(whole - quotas, kind="stable")[: total - whole.sum()]
    whole[largest] += 1
    return whole


def draw_per_class(key: Key, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Indices of `sizes[c]` examples of every class c, drawn without replacement, in random order."""
    order = np.asarray(jax.random.permutation(key, len(labels)))
    shuffled = labels[order]
    by_class = np.argsort(shuffled, kind="stable")
    counts = np.bincount(labels, minlength=len(sizes))
    rank = np.empty(len(labels), int)
    rank[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[rank < sizes[shuffled]]


def draw_by_inversion(cumulative: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The column of every row whose interval of the cumulative weights holds the uniform number."""
    return (cumulative[:, :-1] <= uniform[:, None]).sum(axis=1)
