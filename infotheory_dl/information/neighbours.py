"""Entropy and mutual information of continuous variables, in nats, from distances to nearest neighbours.

Distances are Chebyshev's. The estimates are consistent but not bounds: they may be negative, and too low or too high.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma
from jaxtyping import Array, Bool, Float, Int, Shaped

from infotheory_dl._validation import (
    class_labels,
    is_concrete,
    require_count,
    require_finite,
    require_rank,
    require_same_length,
    require_shape,
)
from infotheory_dl.types import AnyArray, AnyLabels, Key

__all__ = ["entropy", "mixed_mutual_information", "mutual_information"]

_BATCH = 1024  # samples whose distances to all others are held at once


def entropy(
    samples: Float[AnyArray, "samples variables"], *, neighbours: int = 3, key: Key | None = None
) -> Float[Array, ""]:
    """Estimates the differential entropy of a continuous variable.

    Args:
      samples: independent draws.
      neighbours: k, how many neighbours are looked at; fewer mean less bias and more variance.
      key: source of a noise that breaks ties, of 1e-10 or, in single precision, about 1e-5 of the largest value; no
        noise by default. Ties of more than k samples give minus infinity.

    Returns:
      The entropy in nats, which may be negative.

    Raises:
      ValueError: if a sample is NaN or infinite, or there are no more samples than neighbours.

    Source: Kozachenko and Leonenko, 1987.
    """
    points = _points("samples", samples, neighbours, key)
    count, variables = points.shape
    radius = _per_sample(lambda point: _kth_smallest(_distances(points, point), neighbours), points)
    return digamma(count) - digamma(neighbours) + variables * (jnp.log(2.0) + jnp.log(radius).mean())


def mutual_information(
    x: Float[AnyArray, "samples x_variables"],
    y: Float[AnyArray, "samples y_variables"],
    *,
    neighbours: int = 3,
    key: Key | None = None,
) -> Float[Array, ""]:
    """Estimates the mutual information of two continuous variables.

    Args:
      x, y: independent draws of the pair.
      neighbours, key: as in `entropy`.

    Returns:
      The estimate in nats, which may be negative.

    Raises:
      ValueError: if the numbers of samples differ, or as in `entropy`.

    Source: Kraskov, Stögbauer and Grassberger, 2004 (first estimator).
    """
    require_same_length(x=x, y=y)
    keys = (None, None) if key is None else jax.random.split(key)
    x, y = _points("x", x, neighbours, keys[0]), _points("y", y, neighbours, keys[1])

    def marginal_counts(pair: tuple[Array, Array]) -> Array:
        x_distances, y_distances = _distances(x, pair[0]), _distances(y, pair[1])
        radius = _kth_smallest(jnp.maximum(x_distances, y_distances), neighbours)
        # the sample itself, at distance zero, is the one that the estimator adds
        within = jnp.stack([(x_distances < radius).sum(), (y_distances < radius).sum()])
        return digamma(jnp.maximum(within, 1).astype(x.dtype)).sum()

    return digamma(neighbours) + digamma(len(x)) - _per_sample(marginal_counts, (x, y)).mean()


def mixed_mutual_information(
    x: Float[AnyArray, "samples variables"],
    labels: AnyLabels,
    *,
    neighbours: int = 3,
    valid: Bool[AnyArray, " samples"] | None = None,
    key: Key | None = None,
) -> Float[Array, ""]:
    """Estimates the mutual information of a continuous variable and a discrete one, H(x) - H(x | label).

    Args:
      x: independent draws of the continuous variable.
      labels: the discrete variable, drawn together with it.
      neighbours, key: as in `entropy`.
      valid: samples that count, all of them by default.

    Returns:
      The estimate in nats, which may be negative. NaN, with a warning, where a label has no more samples than
      neighbours.

    Raises:
      ValueError: if the numbers of samples differ, or as in `entropy`.

    Source: Kozachenko and Leonenko, 1987, for both entropies.
    """
    points = _points("x", x, neighbours, key)
    if valid is not None:
        require_shape("valid", valid, (len(points),), "one entry for each sample")
    valid = jnp.ones(len(points), bool) if valid is None else jnp.asarray(valid)
    if is_concrete(labels):
        labels, names = class_labels(labels, num_examples=len(points))
        if is_concrete(valid):
            _warn_of_rare(labels[np.asarray(valid)], names, neighbours)
    labels = jnp.asarray(labels)

    def term(sample: tuple[Array, Array]) -> Array:
        point, label = sample
        distances = jnp.where(valid, _distances(points, point), jnp.inf)
        same = valid & (labels == label)
        radius = _kth_smallest(distances, neighbours)
        radius_within = _kth_smallest(jnp.where(same, distances, jnp.inf), neighbours)
        size = same.sum().astype(points.dtype)
        expansion = points.shape[1] * (jnp.log(radius) - jnp.log(radius_within)) - digamma(size)
        return jnp.where(size > neighbours, expansion, jnp.nan)

    terms = _per_sample(term, (points, labels))
    return digamma(valid.sum().astype(points.dtype)) + jnp.mean(terms, where=valid)


def _warn_of_rare(labels: Int[np.ndarray, " samples"], names: Shaped[np.ndarray, " labels"], neighbours: int) -> None:
    classes, sizes = np.unique(labels, return_counts=True)
    if (sizes <= neighbours).any():
        warnings.warn(
            f"label {names[classes[np.argmin(sizes)]]} has {np.min(sizes)} samples, no more than the {neighbours}"
            " neighbours to look at: the information is NaN",
            stacklevel=3,
        )


def _per_sample(function, samples) -> Array:
    return lax.map(function, samples, batch_size=_BATCH)


def _distances(points: Array, point: Array) -> Array:
    return jnp.abs(points - point).max(-1)


def _kth_smallest(distances: Array, k: int) -> Array:
    """The k-th smallest distance to another sample: the smallest of all is that of the sample to itself."""
    return -lax.top_k(-distances, k + 1)[0][k]


def _points(name: str, samples: AnyArray, neighbours: int, key: Key | None) -> Array:
    require_rank(name, samples, 2, "(samples, variables)")
    require_count(1, len(samples) - 1, "fewer than the samples", neighbours=neighbours)
    require_finite(**{name: samples})
    points = jnp.asarray(samples)
    if key is None:
        return points
    # a few digits above the rounding, so that the noise itself does not tie
    amplitude = jnp.maximum(1e-10, jnp.finfo(points.dtype).eps ** 0.75 * jnp.abs(points).max())
    return points + amplitude * jax.random.uniform(key, points.shape, points.dtype)
