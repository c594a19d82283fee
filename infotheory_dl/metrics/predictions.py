"""How good predictions are: probabilities of one label or several, numbers, and ordered classes."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Real

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_count,
    require_finite,
    require_indices,
    require_not_empty,
    require_rank,
    require_same_length,
    require_same_shape,
    require_within,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key


@concise
class Binary(NamedTuple):
    """How good probabilities of one label are.

    Attributes:
      auroc: area under the receiver operating characteristic.
      auprc: area under the curve of precision over recall, by trapezoids, from precision 1 at recall 0.
      minpse: the greatest, over thresholds, of the lesser of precision and recall.
      accuracy: at probability above one half, as the next two.
      precision: of those that are called 0, and 1.
      recall: of those that are 0, and 1.
    """

    auroc: Float[Array, "*resamples"]
    auprc: Float[Array, "*resamples"]
    minpse: Float[Array, "*resamples"]
    accuracy: Float[Array, "*resamples"]
    precision: Float[Array, "*resamples 2"]
    recall: Float[Array, "*resamples 2"]


@concise
class Multilabel(NamedTuple):
    """Areas under the receiver operating characteristic of several labels.

    Attributes:
      per_label: of each.
      macro: their mean.
      micro: of all pairs of example and label together.
      weighted: their mean with the number of positives as weights.
    """

    per_label: Float[Array, " labels"]
    macro: Float[Array, ""]
    micro: Float[Array, ""]
    weighted: Float[Array, ""]


@concise
class Regression(NamedTuple):
    """How far predicted numbers are off.

    Attributes:
      mad: mean absolute difference.
      mse: mean squared difference.
      mape: 100 times the mean absolute difference over the label plus `offset`.
    """

    mad: Float[Array, ""]
    mse: Float[Array, ""]
    mape: Float[Array, ""]


@edge
def binary(
    labels: Bool[AnyArray, " examples"] | Integer[AnyArray, " examples"], probabilities: Real[AnyArray, " examples"]
) -> Binary:
    """Measures how good the probabilities of a label are.

    Args:
      labels: 0 or 1.
      probabilities: of label 1.

    Raises:
      ValueError: if the lengths differ, a label is not 0 or 1, one of them does not occur, or a probability is not in
        [0, 1].

    Source: Harutyunyan et al., 2019 (metrics).
    """
    labels, probabilities = _checked("labels", labels, probabilities, 1)
    return _binary(labels, probabilities)


@edge
def bootstrap_binary(
    key: Key,
    labels: Bool[AnyArray, " examples"] | Integer[AnyArray, " examples"],
    probabilities: Real[AnyArray, " examples"],
    *,
    groups: Integer[AnyArray, " examples"] | None = None,
    num_resamples: int = 1000,
) -> Binary:
    """Measures the same of as many examples, drawn with replacement, again and again.

    The examples are sorted once: a resample is how often each is drawn.

    Args:
      key: source of randomness.
      labels: 0 or 1.
      probabilities: of label 1.
      groups: of the examples that are drawn together, such as those of a patient, as whole numbers; as many groups are
        drawn. By default each example is drawn by itself, which makes intervals too narrow where examples of one
        patient are alike.
      num_resamples: how often.

    Returns:
      The measures, with an axis of resamples; NaN where a resample has one label only.

    Raises:
      ValueError: as of `binary`, or if `groups` is not as long, or there is no resample.

    Source: Efron, 1979; Field and Welsh, 2007 (clusters).
    """
    labels, probabilities = _checked("labels", labels, probabilities, 1)
    require_count(1, num_resamples=num_resamples)
    codes = np.arange(len(labels))
    if groups is not None:
        require_same_length(labels=labels, groups=groups)
        codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    return _resampled(num_resamples, int(np.max(codes)) + 1, key, labels, probabilities, jnp.asarray(codes))


@edge
def multilabel(
    labels: Bool[AnyArray, "examples labels"] | Integer[AnyArray, "examples labels"],
    probabilities: Real[AnyArray, "examples labels"],
) -> Multilabel:
    """Measures how good the probabilities of several labels are.

    Args:
      labels: 0 or 1.
      probabilities: of the labels.

    Raises:
      ValueError: if the shapes differ, a label is not 0 or 1, is the same for all examples, or a probability is not in
        [0, 1].

    Source: Harutyunyan et al., 2019 (metrics).
    """
    labels, probabilities = _checked("labels", labels, probabilities, 2)
    return _multilabel(labels, probabilities)


@edge
def regression(
    labels: Real[AnyArray, " examples"], predictions: Real[AnyArray, " examples"], *, offset: float = 0.1
) -> Regression:
    """Measures how far predicted numbers are off.

    Args:
      labels: the right numbers, such as hours.
      predictions: of them.
      offset: is added to the labels that relative differences are divided by.

    Raises:
      ValueError: if the lengths differ, or a number is NaN or infinite.
    """
    require_same_shape(labels=labels, predictions=predictions)
    require_rank("labels", labels, 1, "(examples,)")
    require_not_empty(labels=labels)
    require_finite(labels=labels, predictions=predictions)
    difference = jnp.asarray(labels, float) - jnp.asarray(predictions, float)
    relative = jnp.abs(difference / (jnp.asarray(labels) + offset))
    return Regression(jnp.abs(difference).mean(), jnp.square(difference).mean(), 100 * relative.mean())


@edge
def cohen_kappa(
    first: Integer[AnyArray, " examples"],
    second: Integer[AnyArray, " examples"],
    *,
    num_classes: int | None = None,
) -> Float[Array, ""]:
    """Measures how far two assignments of ordered classes agree beyond chance; a disagreement counts by its distance.

    Args:
      first: classes of the examples.
      second: classes of the same examples.
      num_classes: classes there are; by default distances are counted in classes that occur, as scikit-learn does.

    Returns:
      Cohen's kappa with linear weights: 1 for agreement, 0 for chance; NaN if all are of one class.

    Raises:
      ValueError: if the lengths differ, or a class is not in [0, num_classes).

    Source: Cohen, 1968.
    """
    require_same_shape(first=first, second=second)
    require_rank("first", first, 1, "(examples,)")
    require_not_empty(first=first)
    if num_classes is None:
        _, codes = np.unique(np.stack([np.asarray(first), np.asarray(second)]), return_inverse=True)
        first, second = codes.reshape(2, -1)
        num_classes = int(np.max(codes)) + 1
    require_count(1, num_classes=num_classes)
    require_indices(num_classes, first=first, second=second)
    return _kappa(num_classes, jnp.asarray(first), jnp.asarray(second))


@functools.partial(jax.jit, static_argnums=0)
def _kappa(num_classes: int, first: Int[Array, " examples"], second: Int[Array, " examples"]) -> Float[Array, ""]:
    table = jnp.zeros((num_classes, num_classes)).at[first, second].add(1.0)
    expected = jnp.outer(table.sum(1), table.sum(0)) / len(first)
    places = jnp.arange(num_classes)
    distance = jnp.abs(places[:, None] - places)
    return 1 - (distance * table).sum() / (distance * expected).sum()


def _ordered(labels: Array, probabilities: Array) -> tuple[Array, Array, Array, Array]:
    """Labels and probabilities from the highest on, their places, and of each the last of those that tie with it."""
    order = jnp.argsort(-probabilities)
    falling = -probabilities[order]
    return labels[order], probabilities[order], order, jnp.searchsorted(falling, falling, side="right") - 1


def _weighted(labels: Array, probabilities: Array, order: Array, last: Array, weights: Array) -> Binary:
    """The measures of examples that count so often each; weights in the order of the examples."""
    weights = weights[order]
    found, false = jnp.cumsum(weights * labels)[last], jnp.cumsum(weights * ~labels)[last]
    positives, negatives = found[-1], false[-1]
    recall, fallout = found / positives, false / negatives
    # before anything is called positive, precision is one
    precision = jnp.where(found + false > 0, found / (found + false), 1)
    called = probabilities > 0.5
    table = jnp.stack([(weights * (labels == truth) * (called == call)).sum() for truth in (0, 1) for call in (0, 1)])
    table = table.reshape(2, 2)
    values = Binary(
        auroc=_area(fallout, recall, 0.0),
        auprc=_area(recall, precision, 1.0),
        minpse=jnp.minimum(precision, recall).max(),
        accuracy=jnp.trace(table) / table.sum(),
        precision=jnp.where(table.sum(0) > 0, jnp.diag(table) / table.sum(0), 0),
        recall=jnp.diag(table) / table.sum(1),
    )
    has_both = (positives > 0) & (negatives > 0)
    return jax.tree.map(lambda value: jnp.where(has_both, value, jnp.nan), values)


def _area(x: Array, y: Array, start: float) -> Array:
    """Under a curve from (0, start) on, by trapezoids."""
    before = jnp.concatenate([jnp.full(1, start, y.dtype), y[:-1]])
    return jnp.sum(jnp.diff(x, prepend=0) * (y + before)) / 2


@functools.partial(jax.jit, static_argnums=(0, 1))
def _resampled(
    num_resamples: int, num_groups: int, key: Key, labels: Array, probabilities: Array, groups: Array
) -> Binary:
    ordered = _ordered(labels, probabilities)

    def resample(key: Key) -> Binary:
        drawn = jax.random.randint(key, (num_groups,), 0, num_groups)
        counts = jnp.zeros(num_groups, probabilities.dtype).at[drawn].add(1)
        return _weighted(*ordered, counts[groups])

    return jax.lax.map(resample, jax.random.split(key, num_resamples), batch_size=64)


@jax.jit
def _binary(labels: Bool[Array, " examples"], probabilities: Float[Array, " examples"]) -> Binary:
    return _weighted(*_ordered(labels, probabilities), jnp.ones_like(probabilities))


@jax.jit
def _multilabel(labels: Bool[Array, "examples labels"], probabilities: Float[Array, "examples labels"]) -> Multilabel:
    def area(labels: Array, probabilities: Array) -> Array:
        return _binary(labels, probabilities).auroc

    per_label = jax.vmap(area, in_axes=1)(labels, probabilities)
    shares = labels.sum(0) / labels.sum()
    return Multilabel(per_label, per_label.mean(), area(labels.ravel(), probabilities.ravel()), per_label @ shares)


def _checked(name: str, labels: AnyArray, probabilities: AnyArray, rank: int) -> tuple[Array, Array]:
    require_same_shape(labels=labels, probabilities=probabilities)
    require_rank(name, labels, rank, "(examples,)" if rank == 1 else "(examples, labels)")
    require_not_empty(labels=labels)
    require_within("[0, 1]", probabilities=probabilities)
    if is_concrete(labels):
        values = np.asarray(labels)
        if not np.isin(values, (0, 1)).all():
            raise ValueError(f"labels must be boolean or 0 and 1, got the values {np.unique(values)[:5].tolist()}")
        constant = (values == values[0]).all(0)
        if constant.any():
            which = "all labels are" if rank == 1 else f"label {int(np.argmax(constant))} is"
            value = int(np.asarray(values[0]).ravel()[np.argmax(constant)])
            raise ValueError(f"an area needs examples with and without the label, but {which} {value}")
    return jnp.asarray(labels).astype(bool), jnp.asarray(probabilities, float)
