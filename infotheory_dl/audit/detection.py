"""How well scores find the labels that were flipped on purpose, beside what people use today."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import edge
from infotheory_dl.audit import classifiers
from infotheory_dl.data import stratified_folds
from infotheory_dl.metrics import area_under_roc, average_precision, label_margins, precision_at
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key

OWN_SCORES = ("margin", "weight change", "output change")
"""The audit's own scores of a label, by the names that they have among detections; it goes by the first."""

_FOLDS = 5


@concise
class Detection(NamedTuple):
    """How well one score finds the flipped labels.

    Attributes:
      method: name of the score.
      area_under_roc: probability that a flipped label scores above another one.
      average_precision: mean precision over the flipped labels.
      precision: share of flipped labels among the highest scores, as many as there are flips.
    """

    method: str
    area_under_roc: float
    average_precision: float
    precision: float


def of_audit(found: Iterable[Detection]) -> Detection:
    """The one by the score that the audit goes by."""
    return next(detection for detection in found if detection.method == OWN_SCORES[0])


@edge
def rate_detection(
    scores: Mapping[str, Float[AnyArray, " examples"]], flipped: Bool[AnyArray, " examples"]
) -> tuple[Detection, ...]:
    """Rates scores, larger for more suspect labels, by the flips that are known."""
    count = int(np.sum(flipped))
    measures = (area_under_roc, average_precision, lambda values, truth: precision_at(values, truth, count))
    return tuple(
        Detection(name, *(float(measure(values, flipped)) for measure in measures)) for name, values in scores.items()
    )


@edge
def cross_validated_suspicion(
    key: Key, inputs: Float[np.ndarray, "examples *features"], labels: Int[np.ndarray, " examples"]
) -> dict[str, Float[np.ndarray, " examples"]]:
    """Suspects labels by classical classifiers that were fitted to other folds of the examples.

    Args:
      key: source of randomness of the folds.
      inputs: standardized.
      labels: given labels.

    Returns:
      For each classifier, minus the margin of the given label: in probability, for support vectors in votes. Nothing
      where no class has an example for each fold.

    Source: Northcutt et al., 2021 (normalized margin of cross-validated probabilities).
    """
    labels = np.unique(labels, return_inverse=True)[1]
    if np.max(np.bincount(labels)) < _FOLDS:
        return {}
    rows = inputs.reshape(len(inputs), -1)
    folds = stratified_folds(key, labels, _FOLDS)
    neighbours = min(10, len(labels) // 2)
    outputs = {
        "logistic regression": classifiers.logistic_regression(rows, labels, folds, inverse_penalty=0.1),
        "nearest neighbours": classifiers.nearest_neighbours(rows, labels, folds, neighbours=neighbours),
        "support vectors": classifiers.support_vectors(rows, labels, folds),
    }
    return {name: -np.asarray(label_margins(values, labels)) for name, values in outputs.items()}
