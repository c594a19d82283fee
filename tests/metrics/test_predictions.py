"""How good predictions are: as the published implementation says, as scikit-learn says, and under resampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peers
from sklearn.calibration import calibration_curve

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


COLUMNS = {
    "binary": (metrics.binary, (CASE["binary_ties/y"][:30].astype(int), CASE["binary_ties/p"][:30]), {}),
    "multilabel": (
        metrics.multilabel,
        (np.arange(30)[:, None] // [1, 2] % 2, np.arange(60).reshape(30, 2) ** 2 % 11 / 10),
        {},
    ),
    "regression": (metrics.regression, (CASE["regression/y"][:30], CASE["regression/p"][:30]), {}),
    "kappa of all classes": (metrics.cohen_kappa, (np.arange(30) % 4, np.arange(30) % 5), {"num_classes": 6}),
    "kappa of those that occur": (metrics.cohen_kappa, (np.arange(30) % 4, np.arange(30) ** 2 % 9), {}),
    "calibration": (metrics.calibration, (CASE["binary_ties/y"][:30].astype(int), CASE["binary_ties/p"][:30]), {}),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_resample_is_the_measure_of_the_examples_it_draws(name):
    measure, columns, options = COLUMNS[name]
    found = metrics.bootstrap(jax.random.key(0), measure, *columns, num_resamples=3, **options)
    for place, key in enumerate(jax.random.split(jax.random.key(0), 3)):
        rows = np.asarray(jax.random.randint(key, (30,), 0, 30))
        expected = measure(*(column[rows] for column in columns), **options)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one[place], other, atol=1e-12)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_weight_is_how_often_an_example_is_there(name):
    measure, columns, options = COLUMNS[name]
    weights = np.arange(30) % 3
    found = measure(*columns, weights=weights, **options)
    expected = measure(*(np.repeat(column, weights, axis=0) for column in columns), **options)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-12), found, expected)


def test_long_sums_do_not_drift_in_single_precision():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 50_000)
    probabilities = (0.2 * labels + 0.8 * random.random(50_000)).astype(np.float32)
    with jax.enable_x64(False):
        key = jax.random.key(0)
        rows = np.asarray(jax.random.randint(jax.random.split(key, 1)[0], (50_000,), 0, 50_000))
        found = metrics.bootstrap(key, metrics.binary, labels, probabilities, num_resamples=1)
    expected = metrics.binary(labels[rows], probabilities[rows])
    np.testing.assert_allclose([found.auroc[0], found.auprc[0]], expected[:2], rtol=3e-7)


def test_patients_are_drawn_with_all_that_is_theirs():
    measure, columns, _ = COLUMNS["regression"]
    patients = np.array(["b", "a", "c"])[np.arange(30) % 3]
    found = metrics.bootstrap(jax.random.key(0), measure, *columns, groups=patients, num_resamples=3)
    for place, key in enumerate(jax.random.split(jax.random.key(0), 3)):
        drawn = np.asarray(jax.random.randint(key, (3,), 0, 3))
        rows = np.concatenate([np.flatnonzero(patients == "abc"[patient]) for patient in drawn])
        expected = measure(*(column[rows] for column in columns))
        np.testing.assert_allclose([values[place] for values in found], expected, atol=1e-12)


def test_the_spread_of_a_difference_is_that_of_each_resample():
    random = np.random.default_rng(0)
    labels = random.normal(size=40)
    first, second = labels + random.normal(size=40), labels + random.normal(size=40)
    key = jax.random.key(0)
    one, other = (
        metrics.bootstrap(key, metrics.regression, labels, model, num_resamples=50) for model in (first, second)
    )
    found = metrics.difference(key, metrics.regression, labels, first, second, num_resamples=50)
    np.testing.assert_allclose(found.mse, one.mse - other.mse, atol=1e-12)
    summary = metrics.spread(found, level=0.9)
    np.testing.assert_allclose(summary.mean.mse, np.mean(found.mse), atol=1e-12)
    np.testing.assert_allclose(summary.std.mse, np.std(found.mse), atol=1e-12)
    np.testing.assert_allclose(
        [summary.low.mse, summary.median.mse, summary.high.mse], np.quantile(found.mse, [0.05, 0.5, 0.95])
    )


def test_subgroups_are_measured_as_if_each_were_alone():
    measure, columns, _ = COLUMNS["binary"]
    groups = np.where(np.arange(30) < 12, "F", "M")
    found = metrics.subgroups(measure, *columns, groups=groups)
    assert found.names == ("F", "M")
    np.testing.assert_array_equal(found.sizes, [12, 18])
    for place, name in enumerate(found.names):
        expected = measure(*(column[groups == name] for column in columns))
        for one, other in zip(found.measures, expected, strict=True):
            np.testing.assert_allclose(one[place], other, atol=1e-12)


@pytest.mark.parametrize("bins", ["width", "quantile"])
def test_calibration_is_that_of_scikit_learn(bins):
    labels, probabilities = CASE["binary_smooth/y"].astype(int), CASE["binary_smooth/p"]
    found = metrics.calibration(labels, probabilities, bins=bins, num_bins=7)
    strategy = {"width": "uniform", "quantile": "quantile"}[bins]
    observed, predicted = calibration_curve(labels, probabilities, n_bins=7, strategy=strategy)
    full = np.asarray(found.share) > 0
    np.testing.assert_allclose(found.observed[full], observed, atol=1e-12)
    np.testing.assert_allclose(found.predicted[full], predicted, atol=1e-12)
    np.testing.assert_allclose(found.brier, peers.brier_score_loss(labels, probabilities), atol=1e-12)
    np.testing.assert_allclose(found.ece, found.share[full] @ np.abs(observed - predicted), atol=1e-12)


def test_calibration_of_classes_is_that_of_the_likeliest():
    random = np.random.default_rng(0)
    shares, labels = random.dirichlet(np.ones(3), 50), random.integers(0, 3, 50)
    found = metrics.calibration(labels, shares)
    right = shares.argmax(1) == labels
    expected = metrics.calibration(right.astype(int), shares.max(1))
    np.testing.assert_allclose(found.ece, expected.ece, atol=1e-12)
    np.testing.assert_allclose(found.brier, np.square(shares - np.eye(3)[labels]).sum(1).mean(), atol=1e-12)


def test_intervals_are_the_published_ones_to_their_own_chance():
    labels, probabilities = CASE["binary_smooth/y"].astype(int), CASE["binary_smooth/p"]
    found = metrics.spread(metrics.bootstrap(jax.random.key(1), metrics.binary, labels, probabilities))
    for place, measure in enumerate(("auroc", "auprc", "minpse")):
        deviation = CASE["bootstrap_binary/std"][place]
        of = lambda way, measure=measure: float(getattr(getattr(found, way), measure))
        np.testing.assert_allclose(of("mean"), CASE["bootstrap_binary/mean"][place], atol=6 * deviation / 1000**0.5)
        np.testing.assert_allclose(of("std"), deviation, rtol=6 / 2000**0.5)
        for percent, end in ((2.5, "low"), (97.5, "high")):
            # the standard error of this quantile of a normal variable is 2.7 deviations over the root of the number
            expected = CASE[f"bootstrap_binary/p{percent}"][place]
            np.testing.assert_allclose(of(end), expected, atol=6 * 2.7 * deviation / 1000**0.5)


def test_patients_whose_samples_are_alike_widen_the_interval():
    labels, probabilities = CASE["binary_smooth/y"][:100].astype(int), CASE["binary_smooth/p"][:100]
    alike = [np.repeat(column, 10) for column in (labels, probabilities)]
    patients = np.repeat(np.arange(100), 10)
    of = lambda **given: np.std(
        metrics.bootstrap(jax.random.key(0), metrics.binary, *alike, num_resamples=200, **given).auroc
    )
    assert of(groups=patients) > 2.5 * of()


def test_resamples_of_one_label_are_told_and_left_out():
    with pytest.warns(UserWarning, match="of 50 resamples have one class only: what needs both is NaN there"):
        found = metrics.bootstrap(
            jax.random.key(0), metrics.binary, [0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], num_resamples=50
        )
    assert 0 < np.isnan(found.auroc).sum() < 50
    np.testing.assert_allclose(metrics.spread(found).mean.auroc, 1)


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
    (lambda: metrics.binary([0, 1, 1], [0.1, 0.2, 0.3], weights=[0, 1, 1]), "but all labels are 1"),
    (lambda: metrics.regression([0.0, 1.0], [0.1, 0.2], weights=[0, 0]), "weights must be positive somewhere"),
    (lambda: metrics.regression([0.0, 1.0], [0.1, 0.2], weights=[-1, 1]), "weights must be finite and not negative"),
    (
        lambda: metrics.bootstrap(jax.random.key(0), jnp.mean, [0.1, 0.2], groups=[0, 1]),
        "groups and weights are for the measures binary, calibration, cohen_kappa",
    ),
    (
        lambda: metrics.subgroups(jnp.mean, [0.1, 0.2], groups=[0, 1]),
        "subgroups are measured by binary, calibration, cohen_kappa, multilabel, regression, got",
    ),
    (lambda: metrics.calibration([0, 1], [0.1, 0.2], bins="equal"), "unknown bins 'equal'; choose one of 'width'"),
    (lambda: metrics.calibration([0, 3], [[0.1, 0.9], [0.5, 0.5]]), "labels"),
    (lambda: metrics.spread(np.zeros(3), level=1.0), r"level must lie in \(0, 1\)"),
    (
        lambda: metrics.bootstrap(jax.random.key(0), metrics.binary, [0, 1], [0.1, 0.2], groups=[1]),
        "columns and groups must have one length",
    ),
]


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(("call", "words"), BAD)
def test_what_cannot_be_measured_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
