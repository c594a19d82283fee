"""Baselines that are trained on the other folds."""

import jax
import numpy as np
import pytest
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from infotheory_dl.audit.classifiers import out_of_fold
from infotheory_dl.audit.detection import cross_validated_suspicion
from infotheory_dl.metrics import area_under_roc


@pytest.mark.parametrize("num_examples", [10, 200])
def test_baselines_suspect_the_labels_that_were_flipped(num_examples):
    rng = np.random.default_rng(0)
    true = np.arange(num_examples) % 2
    flipped = np.arange(num_examples) % 10 == 3
    inputs = 4.0 * true[:, None] + rng.normal(size=(num_examples, 3))
    suspicion = cross_validated_suspicion(jax.random.key(0), inputs, np.where(flipped, 1 - true, true))
    assert set(suspicion) == {"logistic regression", "nearest neighbours", "support vectors"}
    for scores in suspicion.values():
        assert area_under_roc(scores, flipped) > 0.95


def test_a_class_that_the_other_folds_lack_leaves_the_rest_as_it_is():
    rng = np.random.default_rng(0)
    labels = np.r_[np.arange(60) % 2, 3]  # one example of the last class, none of the one before
    inputs = 4.0 * (labels[:, None] == np.arange(4)) + rng.normal(size=(61, 4))
    suspicion = cross_validated_suspicion(jax.random.key(0), inputs, labels)
    assert set(suspicion) == {"logistic regression", "nearest neighbours", "support vectors"}
    for scores in suspicion.values():
        assert np.isfinite(scores).all()
        # who never saw its class does not find it
        assert scores[-1] > 0
        assert (scores[:-1] < 0).mean() > 0.9


def test_votes_and_probabilities_are_those_of_scikit_learn_where_all_folds_have_all_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    rows, folds = 2.0 * np.eye(3)[labels] + rng.normal(size=(60, 3)), np.arange(60) // 12
    for classifier, output in ((SVC(), "decision_function"), (KNeighborsClassifier(5), "predict_proba")):
        expected = cross_val_predict(classifier, rows, labels, cv=PredefinedSplit(folds), method=output)
        np.testing.assert_allclose(out_of_fold(classifier, rows, labels, folds, output=output), expected)


def test_two_classes_of_which_a_fold_has_one_alone():
    labels = np.r_[np.zeros(9, int), 1]
    outputs = out_of_fold(SVC(), np.arange(10.0)[:, None], labels, np.arange(10) // 5, output="decision_function")
    assert (outputs[:5, 0] == -outputs[:5, 1]).all()
    np.testing.assert_array_equal(outputs[5:], [[1, 0]] * 5)


def test_few_examples_of_every_class_have_no_baseline():
    assert cross_validated_suspicion(jax.random.key(0), np.eye(8), np.arange(8) % 2) == {}
