"""How well a score ranks: detection of the positives by it, and its correlation with another score."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Integer, Real

from infotheory_dl._validation import edge, is_concrete, require_count, require_finite
from infotheory_dl.types import AnyArray

Labels: TypeAlias = Bool[AnyArray, " examples"] | Integer[AnyArray, " examples"]
"""True or 1 where the example is a positive."""


@edge
def area_under_roc(scores: Real[AnyArray, " examples"], positives: Labels) -> Float[jax.Array, ""]:
    """Probability that a random positive scores above a random negative; ties count one half.

    Args:
      scores: larger means more likely positive.
      positives: which examples are to be found.

    Returns:
      The area under the receiver operating characteristic, in [0, 1]; 1/2 is chance.

    Raises:
      ValueError: if the lengths differ, a score is NaN or infinite, a label is not 0 or 1, or one class is empty.

    Source: Hanley and McNeil, 1982 (the Mann-Whitney form).
    """
    scores, positives = _checked(scores, positives)
    if is_concrete(positives) and bool(positives.all()):
        raise ValueError("area_under_roc needs a negative as well, got positives only")
    order = jnp.argsort(scores)
    ordered = scores[order]
    negatives = _cumulative(~positives[order])
    below = negatives[jnp.searchsorted(ordered, scores)]
    at_or_below = negatives[jnp.searchsorted(ordered, scores, side="right")]
    fraction = (below + at_or_below) / (2 * negatives[-1]).astype(_float(scores))
    return jnp.mean(fraction, where=positives)


@edge
def average_precision(scores: Real[AnyArray, " examples"], positives: Labels) -> Float[jax.Array, ""]:
    """Mean over the positives of the precision among all examples that score at least as high.

    Args:
      scores: larger means more likely positive.
      positives: which examples are to be found.

    Returns:
      The average precision, in (0, 1]; the fraction of positives is chance. It is the sum of precision times
      gain in recall over the distinct thresholds, without interpolation.

    Raises:
      ValueError: if the lengths differ, a score is NaN or infinite, a label is not 0 or 1, or no example is positive.
    """
    scores, positives = _checked(scores, positives)
    order = jnp.argsort(scores)
    ordered = scores[order]
    below = jnp.searchsorted(ordered, scores)
    found = _cumulative(positives[order])
    precision = (found[-1] - found[below]) / (scores.size - below).astype(_float(scores))
    return jnp.mean(precision, where=positives)


@edge
def precision_at(scores: Real[AnyArray, " examples"], positives: Labels, count: int) -> Float[jax.Array, ""]:
    """Fraction of positives among the `count` highest scores.

    Args:
      scores: larger means more likely positive.
      positives: which examples are to be found.
      count: how many examples are looked at.

    Returns:
      The precision, in [0, 1]. Ties at the last place enter by their mean: the expectation when they are
      ordered at random.

    Raises:
      ValueError: if the lengths differ, a score is NaN or infinite, a label is not 0 or 1, no example is positive,
        or `count` is not in [1, examples].
    """
    scores, positives = _checked(scores, positives)
    require_count(1, scores.size, "the number of examples", count=count)
    last = jnp.sort(scores)[scores.size - count]
    above, tied = scores > last, scores == last
    places = count - above.sum()
    found = (above & positives).sum() + places * jnp.mean(positives, where=tied, dtype=_float(scores))
    return found / count


@edge
def pearson_correlation(x: Real[AnyArray, " examples"], y: Real[AnyArray, " examples"]) -> Float[jax.Array, ""]:
    """Correlation of two scores over the examples.

    Args:
      x: one score.
      y: the other score.

    Returns:
      Pearson's correlation, in [-1, 1]; NaN if one of the scores is constant.

    Raises:
      ValueError: if the lengths differ, there are fewer than two examples, or a score is NaN or infinite.
    """
    x, y = _checked_pair(x, y)
    return _correlation(x.astype(_float(x)), y.astype(_float(y)))


@edge
def spearman_correlation(x: Real[AnyArray, " examples"], y: Real[AnyArray, " examples"]) -> Float[jax.Array, ""]:
    """Correlation of the ranks of two scores over the examples; tied scores share their mean rank.

    Args:
      x: one score.
      y: the other score.

    Returns:
      Spearman's correlation, in [-1, 1]; NaN if one of the scores is constant.

    Raises:
      ValueError: if the lengths differ, there are fewer than two examples, or a score is NaN or infinite.
    """
    x, y = _checked_pair(x, y)
    return _correlation(_centred_ranks(x), _centred_ranks(y))


def _correlation(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.clip(jnp.vdot(_unit_deviation(x), _unit_deviation(y)), -1, 1)


def _unit_deviation(x: jax.Array) -> jax.Array:
    deviation = x - x.mean()
    # scores span many magnitudes: without this their squares overflow or vanish in single precision
    deviation = deviation / jnp.abs(deviation).max()
    return deviation / jnp.linalg.norm(deviation)


def _centred_ranks(x: jax.Array) -> jax.Array:
    ordered = jnp.sort(x)
    below, above = jnp.searchsorted(ordered, x), x.size - jnp.searchsorted(ordered, x, side="right")
    return (below - above).astype(_float(x)) / 2


def _cumulative(mask: jax.Array) -> jax.Array:
    """Entry i counts the first i of the mask."""
    return jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(mask)])


def _float(scores: jax.Array) -> jnp.dtype:
    return jnp.result_type(scores, float)


def _checked(scores: AnyArray, positives: AnyArray) -> tuple[jax.Array, jax.Array]:
    if np.ndim(scores) != 1 or np.shape(scores) != np.shape(positives):
        shapes = f"{np.shape(scores)} and {np.shape(positives)}"
        raise ValueError(f"scores and positives must be vectors of one length, got shapes {shapes}")
    require_finite(scores=scores)
    if is_concrete(positives):
        values = np.unique(np.asarray(positives))
        if not np.isin(values, (0, 1)).all():
            raise ValueError(f"positives must be boolean or 0 and 1, got the values {values[:5].tolist()}")
        if not values.any():
            raise ValueError(f"at least one of the {np.size(positives)} examples must be positive, got none")
    return jnp.asarray(scores), jnp.asarray(positives).astype(bool)


def _checked_pair(x: AnyArray, y: AnyArray) -> tuple[jax.Array, jax.Array]:
    if np.ndim(x) != 1 or np.shape(x) != np.shape(y):
        raise ValueError(f"the scores must be vectors of one length, got shapes {np.shape(x)} and {np.shape(y)}")
    if np.size(x) < 2:
        raise ValueError(f"a correlation needs at least 2 examples, got {np.size(x)}")
    require_finite(x=x, y=y)
    return jnp.asarray(x), jnp.asarray(y)
