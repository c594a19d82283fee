"""Points that are nearer to others than independent draws are: near-copies, with the probability of a false alarm."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from infotheory_dl._validation import edge, require_count, require_finite, require_rank
from infotheory_dl.information.neighbours._nearest import leading_directions, nearest, ordered
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

_COLUMNS = 64
_FEWEST_BEYOND = 3  # gaps that tell the scale of a gap
_DEGREES = 100  # how many gaps the scale is taken to be the mean of
_LOOKED_AT_CLOSELY = 0.01
_REDUCED_AT_ONCE = 4096


@concise
class NearCopies(NamedTuple):
    """How near the nearest neighbours of points are, for independent draws.

    Attributes:
      neighbour: place of the nearest other point.
      distance: to it.
      copies: how many neighbours stand before the gap that is least probable.
      p_value: probability of such a gap, or a greater one, among independent draws; times the number of gaps that were
        looked at, and at most 1. Zero for a point that is there twice.
    """

    neighbour: Int[np.ndarray, " points"]
    distance: Float[np.ndarray, " points"]
    copies: Int[np.ndarray, " points"]
    p_value: Float[np.ndarray, " points"]


@edge
def near_copies(
    points: Real[AnyArray, "points columns"],
    among: Real[AnyArray, "others columns"] | None = None,
    *,
    neighbours: int = 24,
    most_copies: int = 5,
) -> NearCopies:
    """Tells which points are copies of others up to small changes.

    The distances d_1 <= d_2 <= ... of a point to its nearest neighbours have the gaps i log(d_(i+1) / d_i). For
    independent draws of any smooth density these are independent and exponential, with one mean, which need not be
    known. A point with j copies has a great j-th gap. It is divided by the mean of the gaps beyond it, or by that of
    its neighbours, whichever is greater, and held against Fisher's F distribution of 2 and 200 degrees of freedom. A
    copy is nearer, too, than half of all points have their nearest neighbour.

    Draws of a distribution that gives single values positive probability are alike by chance; of these, such as rows of
    few categories, the p-values do not speak. What is told of families, such as several pictures of one thing, is that
    they are no independent draws.

    Args:
      points: in units in which distances mean something, such as standardized columns.
      among: the points to look for copies in, such as examples that were trained on; by default the others of `points`.
      neighbours: k, how many neighbours are looked at; at most a quarter of them all.
      most_copies: for up to how many copies of one point a gap is looked for.

    Returns:
      The nearest neighbour of every point and its p-value. Of more than 64 columns neighbours are found in the 64
      directions of most spread, and the p-value is the greater of that there and that of all columns.

    Raises:
      ValueError: if there are fewer than twenty points to look among, an entry is NaN or infinite, or the columns
        differ.

    Source: the gaps are those of Rényi, 1953; of intrinsic dimension Levina and Bickel, 2004, and Facco et al., 2017.
    """
    alike = among is None
    others = points if among is None else among
    for name, values in (("points", points), ("among", others)):
        require_rank(name, values, 2, "(points, columns)")
        require_finite(**{name: values})
    widths = np.shape(points)[1], np.shape(others)[1]
    if len(set(widths)) > 1:
        raise ValueError(f"points and among must have as many columns, got {widths[0]} and {widths[1]}")
    fewest = 4 * (2 + _FEWEST_BEYOND)
    if len(others) < fewest:
        raise ValueError(f"near-copies are told by the distances to {fewest} others or more, got {len(others)} points")
    require_count(2 + _FEWEST_BEYOND, neighbours=neighbours)
    require_count(1, most_copies=most_copies)
    count = min(neighbours, len(others) // 4)
    return copies_of(np.asarray(points), np.asarray(others), count, most_copies, alike=alike)


def copies_of(
    points: Real[np.ndarray, "points columns"],
    among: Real[np.ndarray, "others columns"],
    neighbours: int,
    most_copies: int,
    *,
    alike: bool,
) -> NearCopies:
    """The core of `near_copies`."""
    centre = among.mean(0, dtype=float)
    scale = max(float(np.max([among.max(0) - centre, centre - among.min(0)])), np.finfo(float).tiny)

    def reduced(values: Real[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
        single = np.empty(values.shape, np.float32)
        for first in range(0, len(values), _REDUCED_AT_ONCE):
            rows = slice(first, first + _REDUCED_AT_ONCE)
            single[rows] = (values[rows] - centre) / scale
        return single

    others = reduced(among)
    queries = others if alike else reduced(points)
    if points.shape[1] > _COLUMNS:
        directions = leading_directions(others, _COLUMNS)
        others = others @ directions
        queries = others if alike else queries @ directions
    found = nearest(queries, others, neighbours, alike=alike)
    gaps = _gaps(found.distances)
    tried = min(most_copies, gaps.shape[1] - _FEWEST_BEYOND)
    scale_of_gaps = _scales(gaps, tried, found.places if alike else None)
    p_values = _p_values(gaps[:, :tried], scale_of_gaps)
    copies = p_values.argmin(1) + 1
    at_gap = lambda values: np.take_along_axis(values, copies[:, None] - 1, 1)[:, 0]
    p_value = at_gap(p_values)
    # a point far from all others has gaps too
    p_value[at_gap(found.distances) > np.median(found.distances[:, 0])] = 1.0
    promising = np.flatnonzero(p_value < _LOOKED_AT_CLOSELY)
    if len(promising):
        # what is near in some directions may be far in others
        exact = ordered(points[promising], among, found.places[promising])
        again = _p_values(_gaps(exact.distances)[:, :tried], scale_of_gaps[promising])
        p_value[promising] = np.maximum(p_value[promising], again[np.arange(len(again)), copies[promising] - 1])
        found.places[promising] = exact.places
    nearest_of_all = ordered(points, among, found.places[:, :1])
    neighbour, distance = nearest_of_all.places[:, 0], nearest_of_all.distances[:, 0]
    return NearCopies(neighbour, distance, copies, np.where(distance == 0, 0.0, np.minimum(1, tried * p_value)))


def _gaps(distances: Float[np.ndarray, "points neighbours"]) -> Float[np.ndarray, "points gaps"]:
    """i log(d_(i+1) / d_i); none between equal distances."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.arange(1, distances.shape[1]) * np.diff(np.log(distances), axis=1)
    return np.where(np.diff(distances, axis=1) > 0, gaps, 0.0)


def _scales(
    gaps: Float[np.ndarray, "points gaps"], tried: int, neighbours: Int[np.ndarray, "points neighbours"] | None
) -> Float[np.ndarray, "points tried"]:
    """What a gap is measured by: the mean of those beyond it, or if it is more, of the neighbours' own.

    Few gaps may all be small by chance, which makes any other look great.
    """
    sums = gaps[:, ::-1].cumsum(1)[:, ::-1]
    own = sums[:, 1 : tried + 1] / (gaps.shape[1] - np.arange(1, tried + 1))
    beyond = sums[:, tried] / (gaps.shape[1] - tried)
    around = beyond.mean() if neighbours is None else beyond[neighbours].mean(1, keepdims=True)
    return np.maximum(own, around)


def _p_values(
    gaps: Float[np.ndarray, "points tried"], scales: Float[np.ndarray, "points tried"]
) -> Float[np.ndarray, "points tried"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(gaps > 0, gaps / scales, 0.0)
    # the survival function of F(2, 2 v) at r is (1 + r / v)^-v
    return np.exp(-_DEGREES * np.log1p(ratio / _DEGREES))
