"""Nodes that are drawn to train on, to choose by and to measure on."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from infotheory_dl._validation import edge, require_count
from infotheory_dl.data._draws import draw_per_class
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key


@concise
class Split(NamedTuple):
    """Masks of nodes, none of which share any.

    Attributes:
      train: to train on.
      validation: to choose by.
      test: to measure on.
    """

    train: Bool[np.ndarray, " nodes"]
    validation: Bool[np.ndarray, " nodes"]
    test: Bool[np.ndarray, " nodes"]


@edge
def split_by_class(
    key: Key,
    labels: Int[AnyArray, " nodes"],
    *,
    per_class: int = 20,
    num_validation: int = 500,
    num_test: int = 1000,
) -> Split:
    """Draws equally many nodes of every class to train on, and of the others to choose by and to measure on.

    Args:
      key: source of randomness.
      labels: classes; nodes of -1 are in no part.
      per_class: nodes of each class to train on.
      num_validation: nodes to choose by.
      num_test: nodes to measure on.

    Raises:
      ValueError: if a class, or the graph, has too few nodes of known classes.

    Source: Abu-El-Haija et al., 2019 (100 of each class in its table of random splits).
    """
    require_count(1, per_class=per_class, num_validation=num_validation, num_test=num_test)
    codes, known = _known(labels)
    counts = np.bincount(codes[known])
    if np.min(counts, initial=per_class) < per_class:
        raise ValueError(
            f"per_class must be at most the {np.min(counts)} nodes of the smallest class, {np.argmin(counts)}, got"
            f" {per_class}"
        )
    left = len(known) - per_class * len(counts)
    if num_validation + num_test > left:
        raise ValueError(f"num_validation and num_test must be at most {left} nodes, got {num_validation + num_test}")
    train_key, rest_key = jax.random.split(key)
    train = known[draw_per_class(train_key, codes[known], np.full(len(counts), per_class))]
    rest = np.setdiff1d(known, train)
    rest = rest[np.asarray(jax.random.permutation(rest_key, len(rest)))]
    return _masks(len(codes), train, rest[:num_validation], rest[num_validation : num_validation + num_test])


@edge
def split_by_shares(
    key: Key, labels: Int[AnyArray, " nodes"], *, shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
) -> Split:
    """Draws nodes of known classes to train on, to choose by and to measure on, by their shares.

    Args:
      key: source of randomness.
      labels: classes; nodes of -1 are in no part.
      shares: of the three parts, positive, of at most one together.

    Raises:
      ValueError: if the shares are none, or leave a part empty.

    Source: Abu-El-Haija et al., 2019 (thirds, for graphs of every homophily).
    """
    codes, known = _known(labels)
    ends = np.round(np.cumsum(shares) * len(known)).astype(int)
    if len(shares) != 3 or min(shares) <= 0 or sum(shares) > 1 + 1e-9:
        raise ValueError(f"shares must be three positive numbers of at most 1 together, got {shares}")
    if (np.diff(ends, prepend=0) < 1).any():
        raise ValueError(f"shares must leave no part empty, got {shares} of {len(known)} nodes of known classes")
    order = known[np.asarray(jax.random.permutation(key, len(known)))]
    return _masks(len(codes), *np.split(order[: ends[-1]], ends[:-1]))


def _known(labels: AnyArray) -> tuple[np.ndarray, np.ndarray]:
    codes = np.asarray(labels)
    known = np.flatnonzero(codes >= 0)
    if not len(known):
        raise ValueError("labels must be known of some nodes, got -1 of all")
    return codes, known


def _masks(num_nodes: int, *parts: np.ndarray) -> Split:
    return Split(*(np.isin(np.arange(num_nodes), part) for part in parts))
