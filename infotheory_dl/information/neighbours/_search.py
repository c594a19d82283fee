"""Where the neighbours of samples are: by a tree on the host or by all pairs in JAX, behind one interface."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_BATCH = 1024  # samples whose distances to all others are held at once


class Search(NamedTuple):
    """How neighbours are looked for; an estimator is a formula of these.

    Groups are whole numbers, one for each sample: samples are neighbours of those in their group only, and a sample in
    a negative group of none.

    Attributes:
      numpy: the library whose arrays it works on.
      digamma: of its arrays.
      kth_distances: `kth_distances(points, k, groups=None)`, the distance of each sample to the k-th nearest other one.
      counts_within: `counts_within(points, radii, groups=None)`, how many samples, itself among them, are within the
        radius of each, or on it.
    """

    numpy: Any
    digamma: Callable[[Any], Any]
    kth_distances: Callable[..., Any]
    counts_within: Callable[..., Any]


def _tree_kth_distances(points: np.ndarray, k: int, groups: np.ndarray | None = None) -> np.ndarray:
    distances = np.full(len(points), np.inf)
    for rows in _members(points, groups):
        distances[rows] = _tree(points[rows]).query(points[rows], [k + 1], p=np.inf, workers=-1)[0][:, 0]
    return distances


def _tree_counts_within(points: np.ndarray, radii: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    counts = np.zeros(len(points))
    for rows in _members(points, groups):
        counts[rows] = _counts_of_group(points[rows], radii[rows])
    return counts


def _counts_of_group(points: np.ndarray, radii: np.ndarray) -> np.ndarray:
    if points.shape[1] == 1:
        return _counts_on_a_line(points[:, 0], radii)
    return _tree(points).query_ball_point(points, radii, p=np.inf, workers=-1, return_length=True)


def _counts_on_a_line(values: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """The same of one column, by bisection: a tree takes ten times as long."""
    ordered = np.sort(values)
    first = np.searchsorted(ordered, values - radii)
    last = np.searchsorted(ordered, values + radii, side="right")
    bounded = np.concatenate([[-np.inf], ordered, [np.inf]])
    # bisection has rounded the ends, where what counts are the differences
    while True:
        before, behind = values - bounded[first] <= radii, bounded[last + 1] - values <= radii
        first_is_far, last_is_far = values - bounded[first + 1] > radii, bounded[last] - values > radii
        if not (before | behind | first_is_far | last_is_far).any():
            return last - first
        first += first_is_far.astype(int) - before
        last += behind.astype(int) - last_is_far


def _members(points: np.ndarray, groups: np.ndarray | None) -> list[Any]:
    if groups is None:
        return [slice(None)]
    return [np.flatnonzero(groups == group) for group in np.unique(groups[groups >= 0])]


def _tree(points: np.ndarray) -> Any:
    from scipy.spatial import cKDTree

    # where many samples are the same, halves of equal size are not to be had
    return cKDTree(points, balanced_tree=False)


def _tree_digamma(values: Any) -> Any:
    from scipy.special import digamma

    return digamma(values)


def _all_kth_distances(points: jax.Array, k: int, groups: jax.Array | None = None) -> jax.Array:
    def of_one(sample: tuple[jax.Array, jax.Array]) -> jax.Array:
        distances = _distances(points, groups, *sample)

        def next_larger(_: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            last, reached, kth = state
            distance = jnp.where(distances > last, distances, jnp.inf).min()
            return distance, (distances <= distance).sum(), jnp.where(reached <= k, distance, kth)

        # the smallest of all is the distance of the sample to itself; to sort takes ten times as long
        none = jnp.asarray(-1.0, points.dtype)
        return lax.fori_loop(0, k + 1, next_larger, (none, jnp.asarray(0), none))[2]

    return lax.map(of_one, (points, _or_one_group(points, groups)), batch_size=_BATCH)


def _all_counts_within(points: jax.Array, radii: jax.Array, groups: jax.Array | None = None) -> jax.Array:
    def of_one(sample: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        point, group, radius = sample
        return (_distances(points, groups, point, group) <= radius).sum()

    counts = lax.map(of_one, (points, _or_one_group(points, groups), radii), batch_size=_BATCH)
    return counts.astype(points.dtype)


def _or_one_group(points: jax.Array, groups: jax.Array | None) -> jax.Array:
    return jnp.zeros(len(points), int) if groups is None else groups


def _distances(points: jax.Array, groups: jax.Array | None, point: jax.Array, group: jax.Array) -> jax.Array:
    distances = jnp.abs(points - point).max(-1)
    return distances if groups is None else jnp.where((groups == group) & (group >= 0), distances, jnp.inf)


TREE = Search(np, _tree_digamma, _tree_kth_distances, _tree_counts_within)
ALL_PAIRS = Search(jnp, jax.scipy.special.digamma, _all_kth_distances, _all_counts_within)
