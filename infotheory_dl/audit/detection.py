"""How well scores find the labels that were flipped on purpose, beside what people use today."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl.metrics import area_under_roc, average_precision, label_margins, precision_at
from infotheory_dl.types import AnyArray

_FOLDS = 5


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


def rate_detection(
    scores: Mapping[str, Float[AnyArray, " examples"]], flipped: Bool[AnyArray, " examples"]
) -> tuple[Detection, ...]:
    """Rates scores, larger for more suspect labels, by the flips that are known."""
    count = int(np.sum(flipped))
    measures = (area_under_roc, average_precision, lambda values, truth: precision_at(values, truth, count))
    return tuple(
        Detection(name, *(float(measure(values, flipped)) for measure in measures)) for name, values in scores.items()
    )


def cross_validated_suspicion(
    inputs: Float[np.ndarray, "examples *features"], labels: Int[np.ndarray, " examples"], *, seed: int = 0
) -> dict[str, Float[np.ndarray, " examples"]]:
    """Suspects labels by classifiers of scikit-learn that were trained on other folds of the examples.

    Args:
      inputs: standardized.
      labels: given labels.
      seed: of the folds.

    Returns:
      For each classifier, minus the margin of the given label: in probability, for support vectors in votes. Nothing
      where no class has an example for each fold.

    Source: Northcutt et al., 2021 (normalized margin of cross-validated probabilities).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    if np.max(np.bincount(labels)) < _FOLDS:
        return {}
    neighbours = min(10, len(labels) // 2)
    classifiers = {
        "logistic regression": (LogisticRegression(C=0.1, max_iter=300), "predict_proba"),
        "nearest neighbours": (KNeighborsClassifier(neighbours, weights="distance"), "predict_proba"),
        "support vectors": (SVC(), "decision_function"),
    }
    rows = inputs.reshape(len(inputs), -1)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    suspicion = {}
    for name, (classifier, method) in classifiers.items():
        with warnings.catch_warnings():
            # a class with fewer examples than folds, or a fit that stops early, leaves a weaker baseline
            warnings.simplefilter("ignore")
            outputs = cross_val_predict(classifier, rows, labels, cv=folds, method=method)
        if outputs.ndim == 1:
            outputs = np.stack([-outputs, outputs], axis=1)
        suspicion[name] = -np.asarray(label_margins(outputs, labels))
    return suspicion
