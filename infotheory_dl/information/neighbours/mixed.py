"""Mutual information of a continuous variable and a discrete one by nearest neighbours."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real, Shaped

from infotheory_dl._validation import class_labels, edge, is_concrete, require_choice, require_shape, warn
from infotheory_dl.information._tables import result_dtype
from infotheory_dl.information.neighbours._samples import (
    as_tables,
    estimate,
    scaled,
    without_ties,
)
from infotheory_dl.information.neighbours._search import Search
from infotheory_dl.information.neighbours.continuous import within
from infotheory_dl.types import AnyArray, AnyLabels, Key

MixedEstimator = Literal["entropies", "ross", "gao"]


@edge
def mixed_mutual_information(
    x: Real[AnyArray, "samples variables"],
    labels: AnyLabels,
    *,
    neighbours: int = 3,
    estimator: MixedEstimator = "entropies",
    valid: Bool[AnyArray, " samples"] | None = None,
    key: Key | None = None,
) -> Float[Array, ""]:
    """Estimates the mutual information of a continuous variable and a discrete one.

    Args:
      x: independent draws of the continuous variable, which may have values of positive probability, such as zeros.
      labels: the discrete variable, drawn together with it.
      neighbours: as in `entropy`.
      estimator: "entropies", H(x) - H(x | label); "ross", which counts the samples that are nearer than the k-th of the
        same label; or "gao", the same without noise, with ties counted as such.
      valid: samples that count, all of them by default.
      key: of the noise that breaks ties, as in `mutual_information`.

    Returns:
      The estimate in nats, which may be negative. Zero if x or the label does not vary. Samples whose label has no more
      samples than there are neighbours are left out. Under `jit` and `vmap`, where nothing can be said of them, such a
      label makes the estimate NaN.

    Raises:
      ValueError: if the numbers of samples differ, every label is too rare, or as in `mutual_information`.
      TypeError: as in `entropy`.

    Warns:
      UserWarning: if labels are left out, with their names and numbers of samples.

    Source: Kozachenko and Leonenko, 1987, for both entropies; Ross, 2014; Gao, Kannan, Oh and Viswanath, 2017.
    """
    require_choice("estimator", estimator, tuple(_FORMULAS))
    (table,) = as_tables(neighbours, x=x)
    if valid is not None:
        require_shape("valid", valid, (len(table),), "one entry for each sample")
    if is_concrete(labels):
        labels, names = class_labels(labels, num_examples=len(table))
        if is_concrete(valid):
            counts = np.ones(len(table), bool) if valid is None else np.asarray(valid)
            valid = _frequent(labels, names, counts, neighbours)
    valid = np.ones(len(table), bool) if valid is None else valid
    return estimate(_FORMULAS[estimator], neighbours, key, table, labels, valid, dtype=result_dtype(x))


def _frequent(
    codes: Int[np.ndarray, " samples"],
    names: Shaped[np.ndarray, " labels"],
    valid: Bool[np.ndarray, " samples"],
    neighbours: int,
) -> Bool[np.ndarray, " samples"]:
    """The samples that count and whose label has more samples than neighbours; says which labels have not."""
    sizes = np.bincount(codes[valid], minlength=len(names))
    frequent = sizes > neighbours
    rare = np.flatnonzero((sizes > 0) & ~frequent)
    listed = ", ".join(f"{names[label]!s} ({sizes[label]})" for label in rare[:10])
    listed += ", …" if len(rare) > 10 else ""
    rule = f"no more samples than the {neighbours} neighbours to look at"
    if not frequent.any():
        raise ValueError(f"every label has {rule}: {listed or 'none counts'}; take fewer neighbours, or unite labels")
    if len(rare):
        warn(
            f"left out {sizes[rare].sum()} of {valid.sum()} samples, whose labels have {rule}: {listed}; fewer"
            " neighbours keep them"
        )
    return valid & frequent[codes]


def _entropies(search: Search, neighbours: int, key: Key | None, x: Any, labels: Any, valid: Any) -> Any:
    numpy = search.numpy
    points, everyone, alike, sizes = _prepared(search, key, x, labels, valid)
    # samples that noise has put on one level of the dtype are a level apart
    least = float(numpy.finfo(points.dtype).eps)
    radii, radii_alike = (
        numpy.maximum(search.kth_distances(points, neighbours, groups), least) for groups in (everyone, alike)
    )
    terms = points.shape[1] * (numpy.log(radii) - numpy.log(radii_alike)) - search.digamma(sizes)
    return _mean(search, neighbours, search.digamma(1.0 * valid.sum()) + terms, sizes, valid, points)


def _ross(search: Search, neighbours: int, key: Key | None, x: Any, labels: Any, valid: Any) -> Any:
    numpy, digamma = search.numpy, search.digamma
    points, everyone, alike, sizes = _prepared(search, key, x, labels, valid)
    radii = numpy.nextafter(search.kth_distances(points, neighbours, alike), 0)
    nearer = digamma(search.counts_within(points, radii, everyone))
    terms = digamma(1.0 * valid.sum()) + digamma(float(neighbours)) - digamma(sizes) - nearer
    return _mean(search, neighbours, terms, sizes, valid, points)


def _gao(search: Search, neighbours: int, key: Key | None, x: Any, labels: Any, valid: Any) -> Any:
    numpy, digamma = search.numpy, search.digamma
    points, everyone, alike, sizes = _prepared(search, key, x, labels, valid, ties=True)
    distances = search.kth_distances(points, neighbours, alike)
    tied = search.counts_within(points, numpy.zeros_like(distances), alike)
    nearer = digamma(search.counts_within(points, within(search, points, distances), everyone))
    repeats = digamma(numpy.where(distances == 0, tied, float(neighbours)))
    terms = numpy.log(1.0 * valid.sum()) + repeats - digamma(sizes) - nearer
    return _mean(search, neighbours, terms, sizes, valid, points)


_FORMULAS = {"entropies": _entropies, "ross": _ross, "gao": _gao}


def _prepared(
    search: Search, key: Key | None, x: Any, labels: Any, valid: Any, *, ties: bool = False
) -> tuple[Any, Any, Any, Any]:
    """The points; groups of all that count, and of those with one label; and how many have the label of each."""
    numpy = search.numpy
    variable = scaled(search, x, valid)
    points = variable.values if ties else without_ties(search, key, variable)
    alike = numpy.where(valid, labels, -1)
    ordered = numpy.sort(alike)
    sizes = numpy.searchsorted(ordered, alike, side="right") - numpy.searchsorted(ordered, alike, side="left")
    return points, numpy.where(valid, 0, -1), alike, sizes.astype(points.dtype)


def _mean(search: Search, neighbours: int, terms: Any, sizes: Any, valid: Any, points: Any) -> Any:
    """The mean over the samples that count; NaN where a label is too rare, and zero where nothing varies."""
    numpy = search.numpy
    terms = numpy.where(sizes > neighbours, terms, numpy.nan)
    information = numpy.where(valid, terms, 0).sum() / valid.sum()
    varies = (numpy.where(valid[:, None], points, 0) != 0).any()
    return numpy.where(varies, information, 0)
