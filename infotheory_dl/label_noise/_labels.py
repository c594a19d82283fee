"""Labels as the losses of this room take them: classes, or a distribution over the classes for each example."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from infotheory_dl._validation import is_concrete, require_finite, require_rank
from infotheory_dl.types import AnyArray

Labels: TypeAlias = Integer[AnyArray, " examples"] | Float[AnyArray, "examples classes"]
"""Integer classes, or soft labels: rows that are distributions."""


def checked_rows(
    logits: Float[AnyArray, "examples classes"], labels: Labels, *, name: str = "logits"
) -> tuple[Float[Array, "examples classes"], Float[Array, "examples classes"]]:
    """The logits and the labels as distributions, in the dtype of the logits.

    Raises:
      ValueError: if the logits are not a finite matrix of at least two classes, or a label is neither a class nor a
        distribution over the classes, naming the first.
    """
    require_rank(name, logits, 2, "(examples, classes)")
    require_finite(**{name: logits})
    logits = jnp.asarray(logits)
    num_examples, num_classes = logits.shape
    if num_classes < 2:
        raise ValueError(f"{name} must be of at least 2 classes, got shape {logits.shape}")
    soft = jnp.issubdtype(labels.dtype, jnp.floating)
    expected = logits.shape if soft else (num_examples,)
    if labels.shape != expected or not (soft or jnp.issubdtype(labels.dtype, jnp.integer)):
        raise ValueError(
            f"labels must be integers of shape ({num_examples},) or distributions of shape {logits.shape},"
            f" got {labels.dtype} of shape {labels.shape}"
        )
    if is_concrete(labels):
        require_classes(np.asarray(labels), num_classes)
    return logits, jnp.asarray(labels, logits.dtype) if soft else jax.nn.one_hot(
        labels, num_classes, dtype=logits.dtype
    )


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
    other_logits, _ = checked_rows(other_logits, labels, name=other)
    if classifier_logits.shape != other_logits.shape:
        raise ValueError(
            f"classifier_logits and {other} must have one shape, got {classifier_logits.shape} and {other_logits.shape}"
        )
    return classifier_logits, other_logits, targets


def require_probabilities(
    probabilities: Float[AnyArray, "examples classes"], *, name: str = "probabilities"
) -> Float[np.ndarray, "examples classes"]:
    """The probabilities as an array of NumPy, once their rows are distributions over at least two classes."""
    require_rank(name, probabilities, 2, "(examples, classes)")
    require_finite(**{name: probabilities})
    probabilities = np.asarray(probabilities)
    if probabilities.shape[0] < 1 or probabilities.shape[1] < 2:
        raise ValueError(f"{name} must be of an example and two classes at least, got shape {probabilities.shape}")
    _require_sound(_are_distributions(probabilities), f"{name} must be distributions", probabilities)
    return probabilities


def require_classes(labels: np.ndarray, num_classes: int) -> None:
    """Raises a ValueError that names the first label that is neither a class nor a distribution over the classes."""
    if labels.ndim == 1:
        _require_sound((labels >= 0) & (labels < num_classes), f"labels must lie in [0, {num_classes})", labels)
    else:
        _require_sound(_are_distributions(labels), "soft labels must be distributions over the classes", labels)


def _are_distributions(rows: np.ndarray) -> np.ndarray:
    # float32 sums a thousand classes to a few units of 1e-6
    return (rows >= 0).all(1) & (np.abs(rows.sum(1, dtype=float) - 1) <= 1e-4)


def _require_sound(sound: np.ndarray, expected: str, values: np.ndarray) -> None:
    if not sound.all():
        first = int(np.argmin(sound))
        raise ValueError(f"{expected}, got {values[first].tolist()} at index {first}")
