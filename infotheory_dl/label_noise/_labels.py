"""Labels as the losses of this room take them: classes, or a distribution over the classes for each example."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import (
    class_codes,
    class_labels,
    require_distributions,
    require_finite,
    require_not_empty,
    require_rank,
    require_same_shape,
)
from infotheory_dl.types import AnyArray, AnyLabels

Labels: TypeAlias = AnyLabels | Float[AnyArray, "examples classes"]
"""Classes, or soft labels: rows that are distributions."""


def checked_rows(
    logits: Float[AnyArray, "examples classes"], labels: Labels, *, name: str = "logits", distributions: bool = False
) -> tuple[Float[Array, "examples classes"], Float[Array, "examples classes"]]:
    """The logits and the labels as distributions, in the dtype of the logits.

    Raises:
      ValueError: if the logits are not a finite matrix of at least two classes, or are to be distributions and are not;
        or a label is neither a class nor a distribution over the classes, naming the first.
    """
    _require_rows(logits, name, distributions)
    logits = jnp.asarray(logits)
    labels = checked_labels(labels, *logits.shape)
    if labels.ndim == 2:
        return logits, jnp.asarray(labels, logits.dtype)
    return logits, jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)


def checked_pair(
    classifier_logits: Float[AnyArray, "examples classes"],
    other_logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    other: str = "predictor_logits",
) -> tuple[Float[Array, "examples classes"], Float[Array, "examples classes"], Float[Array, "examples classes"]]:
    """The logits of a classifier and of the network beside it, named by `other`, and the labels as distributions.

    Raises:
      ValueError: as `checked_rows`, or if the logits differ in shape.
    """
    classifier_logits, targets = checked_rows(classifier_logits, labels, name="classifier_logits")
    _require_rows(other_logits, other)
    require_same_shape(**{"classifier_logits": classifier_logits, other: other_logits})
    return classifier_logits, jnp.asarray(other_logits), targets


def checked_labels(labels: Labels, num_examples: int, num_classes: int) -> AnyArray:
    """Codes of classes, or soft labels as they are.

    Raises:
      ValueError: if a label is neither a class nor a distribution over the classes, naming the first.
    """
    if np.shape(labels) != (num_examples, num_classes):
        return class_codes(labels, num_classes=num_classes, num_examples=num_examples)
    require_distributions(1e-4, "labels are classes, or distributions over them", labels=labels)
    return jnp.asarray(labels)


def checked_probabilities(
    probabilities: Float[AnyArray, "examples classes"], *, name: str = "probabilities"
) -> Float[np.ndarray, "examples classes"]:
    """The probabilities as an array of NumPy, once their rows are distributions over at least two classes."""
    _require_rows(probabilities, name, distributions=True)
    return np.asarray(probabilities)


def checked_predictions(
    probabilities: Float[AnyArray, "examples classes"], labels: AnyLabels
) -> tuple[Float[np.ndarray, "examples classes"], Int[np.ndarray, " examples"]]:
    """Both as arrays of NumPy, once they are distributions and one class for each."""
    rows = checked_probabilities(probabilities)
    return rows, class_labels(labels, num_classes=rows.shape[1], num_examples=len(rows)).codes


def _require_rows(rows: AnyArray, name: str, distributions: bool = False) -> None:
    require_rank(name, rows, 2, "(examples, classes)")
    require_not_empty(**{name: rows})
    if np.shape(rows)[1] < 2:
        raise ValueError(f"{name} must be of at least 2 classes, got shape {np.shape(rows)}")
    if distributions:
        require_distributions(1e-4, "of logits take the softmax", **{name: rows})
    else:
        require_finite(**{name: rows})
