"""How good predictions are: probabilities of one label or several, numbers, and ordered classes."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, Real

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_count,
    require_finite,
    require_indices,
    require_not_empty,
    require_rank,
    require_same_shape,
    require_within,
)
from infotheory_dl.metrics._weighing import Falling, Weighing, curves, falling, measured, require_weights
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray


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

    per_label: Float[Array, "*resamples labels"]
    macro: Float[Array, "*resamples"]
    micro: Float[Array, "*resamples"]
    weighted: Float[Array, "*resamples"]


@concise
class Regression(NamedTuple):
    """How far predicted numbers are off.

    Attributes:
      mad: mean absolute difference.
      mse: mean squared difference.
      mape: 100 times the mean absolute difference over the label plus `offset`.
    """

    mad: Float[Array, "*resamples"]
    mse: Float[Array, "*resamples"]
    mape: Float[Array, "*resamples"]


@edge
def binary(
    labels: Bool[AnyArray, " examples"] | Integer[AnyArray, " examples"],
    probabilities: Real[AnyArray, " examples"],
    *,
    weights: Real[AnyArray, " examples"] | None = None,
) -> Binary:
    """Measures how good the probabilities of a label are.

    Args:
      labels: 0 or 1.
      probabilities: of label 1.
      weights: how much each example counts, 0 to leave it out; default all alike.

    Raises:
      ValueError: if the lengths differ, a label is not 0 or 1, one of them does not occur, a probability is not in
        [0, 1], or a weight is negative.

    Source: Harutyunyan et al., 2019 (metrics).
    """
    return measured(BINARY, labels, probabilities, weights=weights)


@edge
def multilabel(
    labels: Bool[AnyArray, "examples labels"] | Integer[AnyArray, "examples labels"],
    probabilities: Real[AnyArray, "examples labels"],
    *,
    weights: Real[AnyArray, " examples"] | None = None,
) -> Multilabel:
    """Measures how good the probabilities of several labels are.

    Args:
      labels: 0 or 1.
      probabilities: of the labels.
      weights: how much each example counts; default all alike.

    Raises:
      ValueError: if the shapes differ, a label is not 0 or 1, is the same for all examples, a probability is not in
        [0, 1], or a weight is negative.

    Source: Harutyunyan et al., 2019 (metrics).
    """
    return measured(MULTILABEL, labels, probabilities, weights=weights)


@edge
def regression(
    labels: Real[AnyArray, " examples"],
    predictions: Real[AnyArray, " examples"],
    *,
    weights: Real[AnyArray, " examples"] | None = None,
    offset: float = 0.1,
) -> Regression:
    """Measures how far predicted numbers are off.

    Args:
      labels: the right numbers, such as hours.
      predictions: of them.
      weights: how much each example counts; default all alike.
      offset: is added to the labels that relative differences are divided by.

    Raises:
      ValueError: if the lengths differ, a number is NaN or infinite, or a weight is negative.
    """
    return measured(REGRESSION, labels, predictions, weights=weights, offset=offset)


@edge
def cohen_kappa(
    first: Integer[AnyArray, " examples"],
    second: Integer[AnyArray, " examples"],
    *,
    weights: Real[AnyArray, " examples"] | None = None,
    num_classes: int | None = None,
) -> Float[Array, ""]:
    """Measures how far two assignments of ordered classes agree beyond chance; a disagreement counts by its distance.

    Args:
      first: classes of the examples.
      second: classes of the same examples.
      weights: how much each example counts; default all alike.
      num_classes: classes there are; by default distances are counted in classes that occur, as scikit-learn does.

    Returns:
      Cohen's kappa with linear weights: 1 for agreement, 0 for chance; NaN if all are of one class.

    Raises:
      ValueError: if the lengths differ, a class is not in [0, num_classes), or a weight is negative.

    Source: Cohen, 1968.
    """
    return measured(KAPPA, first, second, weights=weights, num_classes=num_classes)


def checked_labels(
    labels: AnyArray, probabilities: AnyArray, *, weights: AnyArray | None = None, rank: int = 1, both: bool = True
) -> tuple[Array, Array]:
    """Checks labels and their probabilities, and returns them as arrays of JAX.

    Args:
      labels: 0 or 1.
      probabilities: of the label or the labels.
      weights: of the examples.
      rank: 1 of one label, 2 of several.
      both: whether both labels must occur.
    """
    require_same_shape(labels=labels, probabilities=probabilities)
    require_rank("labels", labels, rank, "(examples,)" if rank == 1 else "(examples, labels)")
    require_not_empty(labels=labels)
    require_within("[0, 1]", probabilities=probabilities)
    require_weights(weights, labels)
    if is_concrete(labels):
        values = np.asarray(labels)
        if not np.isin(values, (0, 1)).all():
            raise ValueError(f"labels must be boolean or 0 and 1, got the values {np.unique(values)[:5].tolist()}")
        if weights is not None and is_concrete(weights):
            values = values[np.asarray(weights) > 0]
        constant = (values == values[0]).all(0)
        if both and constant.any():
            which = "all labels are" if rank == 1 else f"label {int(np.argmax(constant))} is"
            value = int(np.asarray(values[0]).ravel()[np.argmax(constant)])
            raise ValueError(f"an area needs examples with and without the label, but {which} {value}")
    return jnp.asarray(labels).astype(bool), jnp.asarray(probabilities, float)


def _binary(examples: Falling, weights: Float[Array, " examples"]) -> Binary:
    areas = curves(examples, weights)
    ordered = weights[examples.order]
    share = lambda truth, call: (
        ordered @ ((examples.labels == truth) & (examples.is_called == call)).astype(weights.dtype)
    )
    table = jnp.stack([share(truth, call) for truth in (False, True) for call in (False, True)]).reshape(2, 2)
    right, called = jnp.diag(table), table.sum(0)
    at_half = (right.sum() / table.sum(), jnp.where(called > 0, right / called, 0), right / table.sum(1))
    nowhere = jnp.isnan(areas.auroc)
    return Binary(*areas, *(jnp.where(nowhere, jnp.nan, value) for value in at_half))


def _several(labels: Bool[Array, "examples labels"], scores: Float[Array, "examples labels"]) -> tuple[Any, ...]:
    """Of each label, and of all pairs of example and label."""
    example = jnp.arange(labels.size) // labels.shape[1]
    return labels, jax.vmap(falling, in_axes=1)(labels, scores), falling(labels.ravel(), scores.ravel()), example


def _multilabel(prepared: tuple[Any, ...], weights: Float[Array, " examples"]) -> Multilabel:
    labels, each, pairs, example = prepared
    per_label = jax.vmap(lambda examples: curves(examples, weights).auroc)(each)
    positives = weights @ labels.astype(weights.dtype)
    micro = curves(pairs, weights[example]).auroc
    return Multilabel(per_label, per_label.mean(), micro, per_label @ positives / positives.sum())


def _checked_numbers(
    labels: AnyArray, predictions: AnyArray, *, weights: AnyArray | None = None, offset: float = 0.1
) -> tuple[Array, Array]:
    require_same_shape(labels=labels, predictions=predictions)
    require_rank("labels", labels, 1, "(examples,)")
    require_not_empty(labels=labels)
    require_finite(labels=labels, predictions=predictions, offset=offset)
    require_weights(weights, labels)
    return jnp.asarray(labels, float), jnp.asarray(predictions, float)


def _differences(labels: Array, predictions: Array, offset: float = 0.1) -> Float[Array, "examples 3"]:
    difference = jnp.abs(labels - predictions)
    return jnp.stack([difference, jnp.square(difference), 100 * difference / jnp.abs(labels + offset)], axis=1)


def _checked_classes(
    first: AnyArray, second: AnyArray, *, weights: AnyArray | None = None, num_classes: int | None = None
) -> tuple[Array, Array, Array]:
    """The classes as codes, and of each class whether distances count it even where it does not occur."""
    require_same_shape(first=first, second=second)
    require_rank("first", first, 1, "(examples,)")
    require_not_empty(first=first)
    require_weights(weights, first)
    require_count(1, num_classes=num_classes)
    if num_classes is None:
        _, codes = np.unique(np.stack([np.asarray(first), np.asarray(second)]), return_inverse=True)
        first, second = codes.reshape(2, -1)
        return jnp.asarray(first), jnp.asarray(second), jnp.zeros(int(codes.max()) + 1, bool)
    require_indices(num_classes, first=first, second=second)
    return jnp.asarray(first), jnp.asarray(second), jnp.ones(num_classes, bool)


def _classes(first: Array, second: Array, counted: Array, num_classes: int | None = None) -> tuple[Array, ...]:
    return first, second, counted


def _kappa(classes: tuple[Array, ...], weights: Float[Array, " examples"]) -> Float[Array, ""]:
    first, second, counted = classes
    table = jnp.zeros((len(counted), len(counted)), weights.dtype).at[first, second].add(weights)
    rows, columns = table.sum(1), table.sum(0)
    places = jnp.cumsum(counted | (rows + columns > 0))
    distance = jnp.abs(places[:, None] - places)
    return 1 - (distance * table).sum() * table.sum() / (distance * jnp.outer(rows, columns)).sum()


def _always(result: Any) -> Bool[Array, "*resamples"]:
    return jnp.ones_like(jax.tree.leaves(result)[0], bool)


BINARY = Weighing(checked_labels, falling, _binary, lambda found: ~jnp.isnan(found.auroc))
MULTILABEL = Weighing(
    functools.partial(checked_labels, rank=2), _several, _multilabel, lambda found: ~jnp.isnan(found.per_label).any(-1)
)
REGRESSION = Weighing(
    _checked_numbers, _differences, lambda rows, weights: Regression(*(weights @ rows / weights.sum())), _always
)
KAPPA = Weighing(_checked_classes, _classes, _kappa, lambda found: ~jnp.isnan(found))
