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


_ROUNDING = 1e-6


def gradient_distance(
    predicted: Float[Array, "examples classes"], targets: Float[Array, "examples classes"]
) -> Float[Array, " examples"]:
    """Takes labels as distributions, of JAX."""
    return jnp.linalg.norm(predicted - targets, axis=-1)


def ids_by_score(scores: Real[np.ndarray, " examples"]) -> Int[np.ndarray, " examples"]:
    """All ids, the most suspect first."""
    return np.argsort(-scores.astype(float), kind="stable")


def confident_classes(
    rows: Float[np.ndarray, "examples classes"], given: Int[np.ndarray, " examples"], *, paper: bool = True
) -> Int[np.ndarray, " examples"]:
    """Says nothing of labels that no example has.

    Where several classes are confident, the most likely one of them counts; beside the paper, the most likely of all.
    """
    counts = np.bincount(given, minlength=rows.shape[1])
    own = np.take_along_axis(rows, given[:, None], axis=1)[:, 0]
    totals = np.bincount(given, weights=own, minlength=rows.shape[1])
    thresholds = np.where(counts > 0, totals / np.maximum(counts, 1), np.inf)
    # equal probabilities must reach their own mean in spite of its rounding, and a probability of zero reaches none
    confident = rows >= np.maximum(thresholds, 2 * _ROUNDING) - _ROUNDING
    several = confident.sum(1, keepdims=True) > 1
    candidates = confident if paper else confident | several
    return np.where(confident.any(1), np.where(candidates, rows, -1).argmax(1), -1)


def confident_joint(
    rows: Float[np.ndarray, "examples classes"], given: Int[np.ndarray, " examples"], *, calibrate: bool = True
) -> Float[np.ndarray, "classes classes"]:
    """As the public function."""
    counts = _counts(given, confident_classes(rows, given), rows.shape[1])
    if not calibrate:
        return counts
    return rows_or_identity(counts) * np.bincount(given, minlength=rows.shape[1])[:, None]


def rows_or_identity(counts: Float[np.ndarray, "classes classes"]) -> Float[np.ndarray, "classes classes"]:
    """The rows as distributions; those without a count as rows of the identity."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), np.eye(len(counts)))


def noisy_ids(
    rows: Float[np.ndarray, "examples classes"],
    given: Int[np.ndarray, " examples"],
    filter: Filter,
    *,
    paper: bool = False,
) -> Int[np.ndarray, " noisy"]:
    """As the public function, whose filters these are."""
    predicted_other = rows.argmax(1) != given
    if filter == "predicted_is_not_given":
        wrong = predicted_other
    elif filter == "confident_learning":
        confident = confident_classes(rows, given, paper=paper)
        wrong = (confident >= 0) & (confident != given)
    else:
        by_pair, by_class = _prune(rows, given, paper)
        wrong = {"prune_by_noise_rate": by_pair, "prune_by_class": by_class, "both": by_pair & by_class}[filter]
    if not paper:
        wrong = wrong & predicted_other
    is_given = given[:, None] == np.arange(rows.shape[1])
    order = ids_by_score(-np.asarray(margins(jnp.asarray(rows), jnp.asarray(is_given))))
    return order[wrong[order]]


def _prune(rows: np.ndarray, given: np.ndarray, paper: bool) -> tuple[np.ndarray, np.ndarray]:
    """The examples that are pruned by noise rate, and by class."""
    by_pair, by_class = np.zeros((2, len(given)), bool)
    for label, counts in enumerate(_whole_counts(rows, given, paper)):
        members = np.flatnonzero(given == label)
        if len(members) < 2 and not paper:
            continue  # a class keeps an example
        own = rows[members, label]
        by_class[members[np.argsort(own, kind="stable")[: len(members) - counts[label]]]] = True
        for other in np.flatnonzero(counts * (np.arange(len(counts)) != label)):
            order = np.argsort(own - rows[members, other], kind="stable")
            by_pair[members[order[: counts[other]]]] = True
    return by_pair, by_class


def _whole_counts(rows: np.ndarray, given: np.ndarray, paper: bool) -> Int[np.ndarray, "classes classes"]:
    """The calibrated joint in whole numbers, each row as many as the examples with its label.

    Beside the paper, of every class one example at least is confidently right, and one at least stays so after
    rounding; the others of its row then give way, all by the same part.
    """
    sizes = np.bincount(given, minlength=rows.shape[1])
    if paper:
        joint = confident_joint(rows, given)
        return np.stack([apportion(quotas, int(size)) for quotas, size in zip(joint, sizes, strict=True)])
    classes = confident_classes(rows, given, paper=False)
    counts = _counts(given, classes, rows.shape[1])
    np.fill_diagonal(counts, np.maximum(np.diagonal(counts), 1))
    joint = counts / counts.sum(1, keepdims=True) * sizes[:, None]
    whole = np.stack([_rounded(quotas) for quotas in joint])
    right = np.diagonal(whole)
    others = np.maximum(np.count_nonzero(whole, axis=1) - 1, 1)
    short = np.maximum(1 - right, 0) / others
    whole = np.maximum(whole - short[:, None], 0).astype(int)
    np.fill_diagonal(whole, np.maximum(right, 1))
    return whole


def _counts(given: np.ndarray, classes: np.ndarray, num_classes: int) -> Float[np.ndarray, "classes classes"]:
    """How often each label (rows) stands beside each confident class (columns)."""
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (given[classes >= 0], classes[classes >= 0]), 1)
    return counts


def _rounded(quotas: np.ndarray) -> Int[np.ndarray, " classes"]:
    """The quotas rounded, those that were furthest from it the other way, so that their sum stays."""
    whole = np.rint(quotas)
    surplus = int(np.rint(whole.sum() - quotas.sum()))
    order = np.argsort(quotas - whole, kind="stable")
    if surplus > 0:
        whole[order[:surplus]] -= 1
    elif surplus < 0:
        whole[order[surplus:]] += 1
    return whole.astype(int)
