"""Baselines that are trained on the other folds."""

import jax
import numpy as np
import pytest

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


def test_few_examples_of_every_class_have_no_baseline():
    assert cross_validated_suspicion(jax.random.key(0), np.eye(8), np.arange(8) % 2) == {}
