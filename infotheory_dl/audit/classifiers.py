"""Classical classifiers, cross-validated: what people use today to find wrong labels.

Each was not fitted to the fold of the example that it speaks of; `data.stratified_folds` draws the folds.
"""

import warnings
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import linear_models

Rows = Float[np.ndarray, "examples features"]
Labels = Int[np.ndarray, " examples"]


def logistic_regression(
    rows: Rows, labels: Labels, folds: Labels, *, inverse_penalty: float
) -> Float[np.ndarray, "examples classes"]:
    """Probabilities by logistic regression with an L2 penalty.

    Args:
      rows: inputs, standardized.
      labels: given labels.
      folds: of the examples.
      inverse_penalty: the C of scikit-learn.
    """
    l2 = 1 / (inverse_penalty * len(rows) * (1 - 1 / (folds.max() + 1)))
    num_classes = int(labels.max()) + 1
    return np.asarray(linear_models.cross_validated_probabilities(rows, labels, folds, num_classes=num_classes, l2=l2))


def nearest_neighbours(
    rows: Rows, labels: Labels, folds: Labels, *, neighbours: int = 10
) -> Float[np.ndarray, "examples classes"]:
    """Probabilities by nearest neighbours, weighted by their distance."""
    from sklearn.neighbors import KNeighborsClassifier

    return out_of_fold(KNeighborsClassifier(neighbours, weights="distance"), rows, labels, folds)


def support_vectors(rows: Rows, labels: Labels, folds: Labels) -> Float[np.ndarray, "examples classes"]:
    """Votes by support vectors with radial basis functions; of two classes the negative and the decision itself."""
    from sklearn.svm import SVC

    return out_of_fold(SVC(), rows, labels, folds, output="decision_function")


def out_of_fold(
    classifier: Any,
    rows: Rows,
    labels: Labels,
    folds: Labels,
    *,
    output: Literal["predict_proba", "decision_function"] = "predict_proba",
) -> Float[np.ndarray, "examples classes"]:
    """What a classifier of scikit-learn, fitted to the other folds, says of every example and class.

    A class that the other folds lack has probability zero, or a vote less than any other.
    """
    from sklearn.base import clone

    outputs = np.zeros((len(rows), labels.max() + 1))
    for fold in range(folds.max() + 1):
        own = folds == fold
        known = np.unique(labels[~own])
        told = np.ones((own.sum(), 1))
        if len(known) > 1:
            with warnings.catch_warnings():
                # a fit that stops early leaves a weaker classifier
                warnings.simplefilter("ignore")
                told = getattr(clone(classifier).fit(rows[~own], labels[~own]), output)(rows[own])
        told = np.stack([-told, told], axis=1) if told.ndim == 1 else told
        if output == "decision_function":
            outputs[own] = told.min(1, keepdims=True) - 1
        outputs[np.ix_(own, known)] = told
    return outputs
