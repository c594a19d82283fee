"""The nearest neighbours of many points in Euclidean distance, of all or of a group, by products of matrices."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._blocks import map_blocks

_GROUPS = 4096  # points that are compared with at once; of each group of those a step apart the nearest is kept
_QUERIES = 1024
_ITERATIONS = 3
_OVERSAMPLED = 16
_DISTANCES_AT_ONCE = 2**24


class Neighbours(NamedTuple):
    """The nearest points of some others.

    Attributes:
      places: of the points, the nearest first.
      distances: to them.
    """

    places: Int[np.ndarray, "queries neighbours"]
    distances: Float[np.ndarray, "queries neighbours"]


def nearest(
    queries: Float[np.ndarray, "queries columns"],
    points: Float[np.ndarray, "points columns"],
    neighbours: int,
    *,
    alike: bool,
) -> Neighbours:
    """Finds the nearest points of every query; the nearest of all is always found.

    Up to 4096 points all of the nearest are found. Of more points each belongs to one of 4096 groups, by its place, of
    which the nearest alone is kept: sixteen neighbours are all found but for one in thirty times.

    Args:
      queries, points: of moderate size and centred: they are compared in single precision, and the distances to those
        that were chosen computed in double.
      neighbours: how many.
      alike: whether query i is point i, which is no neighbour of itself.
    """
    groups = min(len(points), _GROUPS)
    rounds = -(-len(points) // groups)
    filled = np.zeros((rounds * groups, points.shape[1]), np.float32)
    filled[: len(points)] = points
    # a place that is filled up is never the nearest
    squares = np.full(rounds * groups, np.inf, np.float32)
    squares[: len(points)] = np.square(filled[: len(points)]).sum(1)
    own = np.arange(len(queries), dtype=np.int32) if alike else np.full(len(queries), -1, np.int32)
    places = np.asarray(
        _nearest_places(
            neighbours,
            jnp.asarray(queries, jnp.float32),
            jnp.asarray(own),
            jnp.asarray(filled.reshape(rounds, groups, -1)),
            jnp.asarray(squares.reshape(rounds, groups)),
        )
    )
    return ordered(queries, points, places)


def ordered(
    queries: Float[np.ndarray, "queries columns"],
    points: Float[np.ndarray, "points columns"],
    places: Int[np.ndarray, "queries neighbours"],
) -> Neighbours:
    """Some points of each query by their distance, which is computed in double precision."""
    distances = np.empty(places.shape)
    step = max(1, 2**22 // (places.shape[1] * max(1, queries.shape[1])))
    for first in range(0, len(queries), step):
        rows = slice(first, first + step)
        difference = points[places[rows]].astype(float) - queries[rows, None]
        distances[rows] = np.sqrt(np.einsum("qnc,qnc->qn", difference, difference))
    order = np.argsort(distances, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(places, order, 1), np.take_along_axis(distances, order, 1))


def nearest_of_groups(
    points: Float[np.ndarray, "points columns"],
    groups: Int[np.ndarray, " points"],
    preferred: Bool[np.ndarray, " points"],
    members: Int[np.ndarray, " members"],
    of_group: Int[np.ndarray, " members"],
) -> Int[np.ndarray, " members"]:
    """For some of the points the place of the nearest other point of a group.

    In NumPy, as every group has a number of points of its own, which would be a program of its own.

    Args:
      points: all of them.
      groups: of each.
      preferred: points to be taken; where a group has no other of them, any of its points will do.
      members: places of the points in question.
      of_group: for each, in which group to look.

    Returns:
      A place for each member, never its own; -1 where the group has no other point.
    """
    found = np.full(len(members), -1)
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], np.arange(max(groups.max(), of_group.max(initial=0)) + 2))
    for group in np.unique(of_group).tolist():
        own = order[first[group] : first[group + 1]]
        asked = np.flatnonzero(of_group == group)
        for candidates in (own[preferred[own]], own):
            asked = asked[found[asked] < 0]
            if len(candidates) and len(asked):
                found[asked] = _nearest_other(points, members[asked], candidates)
    return found


def _nearest_other(
    points: Float[np.ndarray, "points columns"],
    members: Int[np.ndarray, " members"],
    candidates: Int[np.ndarray, " candidates"],
) -> Int[np.ndarray, " members"]:
    rows = points[candidates]
    squares = np.einsum("ij,ij->i", rows, rows)
    found = np.empty(len(members), int)
    step = max(1, _DISTANCES_AT_ONCE // len(candidates))
    for start in range(0, len(members), step):
        some = members[start : start + step]
        # the square of the member itself is the same for all candidates
        distances = squares - 2 * points[some] @ rows.T
        distances[some[:, None] == candidates] = np.inf
        least = distances.argmin(1)
        known = np.isfinite(distances[np.arange(len(some)), least])
        found[start : start + step] = np.where(known, candidates[least], -1)
    return found


@functools.partial(jax.jit, static_argnums=0)
@jax.default_matmul_precision("highest")
def _nearest_places(
    neighbours: int,
    queries: Float[Array, "queries columns"],
    own: Int[Array, " queries"],
    points: Float[Array, "rounds groups columns"],
    squares: Float[Array, "rounds groups"],
) -> Int[Array, "queries neighbours"]:
    rounds, groups, _ = points.shape

    def of_block(block: Float[Array, "block columns"], own: Int[Array, " block"]) -> Int[Array, "block neighbours"]:
        own_group, own_round = own % groups, own // groups

        def closer(best: tuple[Array, Array], one: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
            least, at = best
            number, members, sizes = one
            squared = sizes - 2 * block @ members.T
            # elsewhere out of range, and dropped
            column = jnp.where(own_round == number, own_group, groups)
            squared = squared.at[jnp.arange(len(block)), column].set(jnp.inf, mode="drop")
            return (jnp.minimum(least, squared), jnp.where(squared < least, number, at)), None

        start = (jnp.full((len(block), groups), jnp.inf, block.dtype), jnp.zeros((len(block), groups), jnp.int32))
        (least, at), _ = lax.scan(closer, start, (jnp.arange(rounds, dtype=jnp.int32), points, squares))
        _, chosen = lax.top_k(-least, neighbours)
        return jnp.take_along_axis(at, chosen, 1) * groups + chosen

    return map_blocks(of_block, (queries, own), _QUERIES)


def leading_directions(
    points: Float[np.ndarray, "points columns"], count: int
) -> Float[np.ndarray, "columns directions"]:
    """Orthonormal directions in which centred points spread most, nearly: by products with the points alone."""
    start = np.random.default_rng(0).normal(size=(points.shape[1], count + _OVERSAMPLED)).astype(points.dtype)
    for _ in range(_ITERATIONS):
        start = np.linalg.qr(points.T @ (points @ start))[0]
    _, _, turn = np.linalg.svd(points @ start, full_matrices=False)
    return start @ turn[:count].T
