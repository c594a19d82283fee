"""Confident learning and suspicion without checks: for code that has checked its arrays, or made them itself.

Probabilities are rows of distributions, labels are codes, both of NumPy where they are not said to be of JAX. The
public functions of the same names, in `transition` and `detection`, say what is computed.
"""

from typing import Literal, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from infotheory_dl.data._draws import apportion
from infotheory_dl.metrics.labels import margins

Filter: TypeAlias = Literal[
    "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_is_not_given"
]


def gradient_distance(
    predicted: Float[Array, "examples classes"], targets: Float[Array, "examples classes"]
) -> Float[Array, " examples"]:
    """Takes labels as distributions, of JAX."""
    return jnp.linalg.norm(predicted - targets, axis=-1)


def ids_by_score(scores: Real[np.ndarray, " examples"]) -> Int[np.ndarray, " examples"]:
    """All ids, the most suspect first."""
    return np.argsort(-scores.astype(float), kind="stable")


def confident_classes(
    rows: Float[np.ndarray, "examples classes"], given: Int[np.ndarray, " examples"]
) -> Int[np.ndarray, " examples"]:
    """Says nothing of labels that no example has."""
    counts = np.bincount(given, minlength=rows.shape[1])
    own = np.take_along_axis(rows, given[:, None], axis=1)[:, 0]
    totals = np.bincount(given, weights=own, minlength=rows.shape[1])
    thresholds = np.where(counts > 0, totals / np.maximum(counts, 1), np.inf)
    # equal probabilities must reach their own mean in spite of its rounding
    confident = rows >= thresholds - 1e-6
    return np.where(confident.any(1), np.where(confident, rows, -1).argmax(1), -1)


def confident_joint(
    rows: Float[np.ndarray, "examples classes"], given: Int[np.ndarray, " examples"], *, calibrate: bool = True
) -> Float[np.ndarray, "classes classes"]:
    """As the public function."""
    classes = confident_classes(rows, given)
    num_classes = rows.shape[1]
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (given[classes >= 0], classes[classes >= 0]), 1)
    if not calibrate:
        return counts
    return rows_or_identity(counts) * np.bincount(given, minlength=num_classes)[:, None]


def rows_or_identity(counts: Float[np.ndarray, "classes classes"]) -> Float[np.ndarray, "classes classes"]:
    """The rows as distributions; those without a count as rows of the identity."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), np.eye(len(counts)))


def noisy_ids(
    rows: Float[np.ndarray, "examples classes"], given: Int[np.ndarray, " examples"], filter: Filter
) -> Int[np.ndarray, " noisy"]:
    """As the public function, whose filters these are."""
    if filter == "predicted_is_not_given":
        wrong = rows.argmax(1) != given
    elif filter == "confident_learning":
        confident = confident_classes(rows, given)
        wrong = (confident >= 0) & (confident != given)
    else:
        by_pair, by_class = _prune(rows, given)
        wrong = {"prune_by_noise_rate": by_pair, "prune_by_class": by_class, "both": by_pair & by_class}[filter]
    is_given = given[:, None] == np.arange(rows.shape[1])
    order = ids_by_score(-np.asarray(margins(jnp.asarray(rows), jnp.asarray(is_given))))
    return order[wrong[order]]


def _prune(rows: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The examples that are pruned by noise rate, and by class."""
    by_pair, by_class = np.zeros((2, len(given)), bool)
    for label, counts in enumerate(confident_joint(rows, given)):
        members = np.flatnonzero(given == label)
        counts = apportion(counts, len(members))
        own = rows[members, label]
        by_class[members[np.argsort(own, kind="stable")[: len(members) - counts[label]]]] = True
        for other in np.flatnonzero(np.arange(len(counts)) != label):
            order = np.argsort(own - rows[members, other], kind="stable")
            by_pair[members[order[: counts[other]]]] = True
    return by_pair, by_class
