"""How good predictions are: as the published implementation says, as scikit-learn says, and under resampling."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peers

from infotheory_dl import metrics
from tests.conftest import reference

CASE = reference("clinical_metrics")


@pytest.mark.parametrize("name", ["binary_smooth", "binary_ties"])
def test_measures_of_a_label_are_the_published_ones(name):
    found = metrics.binary(CASE[f"{name}/y"].astype(int), CASE[f"{name}/p"])
    for measure in ("auroc", "auprc", "minpse"):
        np.testing.assert_allclose(getattr(found, measure), CASE[f"{name}/{measure}"], atol=1e-9)
    np.testing.assert_allclose(found.accuracy, CASE[f"{name}/acc"], atol=1e-6)
    np.testing.assert_allclose(found.precision, [CASE[f"{name}/prec0"], CASE[f"{name}/prec1"]], atol=1e-6)
    np.testing.assert_allclose(found.recall, [CASE[f"{name}/rec0"], CASE[f"{name}/rec1"]], atol=1e-6)


def test_measures_of_several_labels_are_the_published_ones():
    found = metrics.multilabel(CASE["multilabel/y"].astype(int), CASE["multilabel/p"])
    np.testing.assert_allclose(found.per_label, CASE["multilabel/auc_scores"], atol=1e-9)
    for measure in ("micro", "macro", "weighted"):
        np.testing.assert_allclose(getattr(found, measure), CASE[f"multilabel/ave_auc_{measure}"], atol=1e-9)


def test_differences_of_numbers_are_the_published_ones():
    found = metrics.regression(CASE["regression/y"], np.maximum(CASE["regression/p"], 0))
    for measure, value in found._asdict().items():
        np.testing.assert_allclose(value, CASE[f"regression/{measure}"], rtol=1e-9)


def test_kappa_is_that_of_scikit_learn_and_the_named_number_of_classes_counts():
    random = np.random.default_rng(0)
    first = random.integers(0, 5, 300)
    second = np.clip(first + random.integers(-1, 2, 300), 0, 4)
    first, second = (np.where(codes >= 3, codes + 4, codes) for codes in (first, second))  # 3 to 6 do not occur
    expected = peers.cohen_kappa_score(first, second, weights="linear")
    np.testing.assert_allclose(metrics.cohen_kappa(first, second), expected, atol=1e-12)
    labels = list(range(9))
    expected = peers.cohen_kappa_score(first, second, weights="linear", labels=labels)
    np.testing.assert_allclose(metrics.cohen_kappa(first, second, num_classes=9), expected, atol=1e-12)


@settings(max_examples=20, derandomize=True)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=12, max_size=12))
def test_areas_are_those_of_scikit_learn_whatever_ties(pairs):
    labels = np.array([label for label, _ in pairs]).astype(int)
    labels[:2] = 0, 1
    probabilities = np.array([share for _, share in pairs]) / 8
    found = metrics.binary(labels, probabilities)
    precision, recall, _ = peers.precision_recall_curve(labels, probabilities)
    np.testing.assert_allclose(found.auroc, peers.roc_auc_score(labels, probabilities), atol=1e-12)
    np.testing.assert_allclose(found.auroc, metrics.area_under_roc(probabilities, labels), atol=1e-12)
    np.testing.assert_allclose(found.auprc, peers.auc(recall, precision), atol=1e-12)
    np.testing.assert_allclose(found.minpse, np.minimum(precision, recall).max(), atol=1e-12)


def test_a_resample_is_the_measure_of_the_examples_it_draws():
    labels, probabilities = CASE["binary_ties/y"][:30].astype(int), CASE["binary_ties/p"][:30]
    found = metrics.bootstrap_binary(jax.random.key(0), labels, probabilities, num_resamples=3)
    for place, key in enumerate(jax.random.split(jax.random.key(0), 3)):
        rows = np.asarray(jax.random.randint(key, (30,), 0, 30))
        expected = metrics.binary(labels[rows], probabilities[rows])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[place], other, atol=1e-12)


def test_intervals_are_the_published_ones_to_their_own_chance():
    labels, probabilities = CASE["binary_smooth/y"].astype(int), CASE["binary_smooth/p"]
    found = metrics.bootstrap_binary(jax.random.key(1), labels, probabilities, num_resamples=1000)
    for place, values in enumerate((found.auroc, found.auprc, found.minpse)):
        spread = CASE["bootstrap_binary/std"][place]
        np.testing.assert_allclose(np.mean(values), CASE["bootstrap_binary/mean"][place], atol=6 * spread / 1000**0.5)
        np.testing.assert_allclose(np.std(values), spread, rtol=6 / 2000**0.5)
        for percent in (2.5, 97.5):
            # the standard error of this quantile of a normal variable is 2.7 spreads over the root of the number
            expected = CASE[f"bootstrap_binary/p{percent}"][place]
            np.testing.assert_allclose(np.percentile(values, percent), expected, atol=6 * 2.7 * spread / 1000**0.5)


def test_patients_whose_samples_are_alike_widen_the_interval():
    labels, probabilities = CASE["binary_smooth/y"][:100].astype(int), CASE["binary_smooth/p"][:100]
    alike = [np.repeat(column, 10) for column in (labels, probabilities)]
    patients = np.repeat(np.arange(100), 10)
    of = lambda **settings: np.std(
        metrics.bootstrap_binary(jax.random.key(0), *alike, num_resamples=200, **settings).auroc
    )
    assert of(groups=patients) > 2.5 * of()


def test_a_resample_of_one_label_is_nan():
    found = metrics.bootstrap_binary(jax.random.key(0), [0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], num_resamples=50)
    assert 0 < np.isnan(found.auroc).sum() < 50


BAD = [
    (
        lambda: metrics.binary([0, 0], [0.1, 0.2]),
        "examples with and without the label, but all labels are 0",
    ),
    (lambda: metrics.binary([0, 2], [0.1, 0.2]), r"labels must be boolean or 0 and 1, got the values \[0, 2\]"),
    (lambda: metrics.binary([0, 1], [0.1, 1.2]), r"probabilities must lie in \[0, 1\]"),
    (lambda: metrics.binary([0, 1], [0.1, np.nan]), r"probabilities must lie in \[0, 1\]"),
    (lambda: metrics.binary([0, 1], [0.1]), "labels and probabilities must have one shape"),
    (lambda: metrics.multilabel([[0, 1], [1, 1]], [[0.1, 0.2], [0.1, 0.2]]), "but label 1 is 1"),
    (lambda: metrics.regression([1.0, np.inf], [1.0, 2.0]), "labels has 1 of 2 entries that are NaN or infinite"),
    (lambda: metrics.cohen_kappa([0, 1], [0, 3], num_classes=3), "second"),
    (
        lambda: metrics.bootstrap_binary(jax.random.key(0), [0, 1], [0.1, 0.2], groups=[1]),
        "labels and groups must have",
    ),
]


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(("call", "words"), BAD)
def test_what_cannot_be_measured_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
