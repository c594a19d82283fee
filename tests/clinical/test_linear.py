"""The linear baselines and the classes of lengths, as they were published and as scikit-learn fits them."""

import numpy as np
import pytest
from sklearn import metrics as peers
from sklearn.linear_model import LogisticRegression

from infotheory_dl import clinical
from tests.conftest import reference


def test_the_demo_has_the_published_probabilities_of_death(demo):
    case = reference("clinical_lr_e2e")
    samples = {part: clinical.read(demo, "mortality", part) for part in ("train", "validation", "test")}
    tables = {part: clinical.features(clinical.read_series(of_part)) for part, of_part in samples.items()}
    penalty, inverse = clinical.LINEAR_PENALTIES["mortality"]
    model = clinical.fit_linear(tables["train"], samples["train"].labels, penalty=penalty, inverse_penalty=inverse)
    np.testing.assert_array_equal(model.kept, case["kept_columns"])
    for part, theirs in (("train", "train"), ("validation", "val"), ("test", "test")):
        found = dict(zip(samples[part].names, np.asarray(clinical.predict_linear(model, tables[part])), strict=True))
        names = [name.removesuffix("_timeseries.csv") for name in case[f"{theirs}/names"].tolist()]
        np.testing.assert_allclose([found[name] for name in names], case[f"{theirs}/prob"], atol=2e-3)


def drawn(seed=0):
    random = np.random.default_rng(seed)
    table = random.normal(3, 2, (60, 5))
    labels = (table[:, :3] + random.normal(0, 1, (60, 3)) > 3).astype(int)
    table[random.random(table.shape) < 0.2] = np.nan
    table[:, 3], table[:, 4] = np.nan, 7.0  # never observed, and always the same
    return table, labels


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_several_labels_are_fitted_as_scikit_learn_fits_each(penalty):
    table, labels = drawn()
    model = clinical.fit_linear(table, labels, penalty=penalty, inverse_penalty=0.1)
    found = clinical.predict_linear(model, table)
    np.testing.assert_array_equal(model.kept, [0, 1, 2, 4])
    filled = np.where(np.isnan(table), np.nanmean(table[:, [0, 1, 2, 0, 4]], axis=0), table)[:, [0, 1, 2]]
    columns = (filled - filled.mean(0)) / filled.std(0)
    settings = {"l2": {"tol": 1e-10}, "l1": {"l1_ratio": 1, "solver": "saga", "tol": 1e-10, "max_iter": 100_000}}
    for place in range(3):
        peer = LogisticRegression(C=0.1, **settings[penalty]).fit(columns, labels[:, place])
        np.testing.assert_allclose(found[:, place], peer.predict_proba(columns)[:, 1], atol=1e-5)
    one = clinical.fit_linear(table, labels[:, 0], penalty=penalty, inverse_penalty=0.1)
    np.testing.assert_allclose(clinical.predict_linear(one, table), found[:, 0], atol=1e-7)


def test_the_penalty_that_is_best_on_other_data_is_chosen():
    data, others = drawn(), drawn(1)
    penalties = (("l2", 0.1), ("l1", 0.1), ("l2", 1e-4))
    found = clinical.select_linear(*data, *others, penalties=penalties)
    assert found.penalties == penalties
    for place, (penalty, inverse) in enumerate(penalties):
        model = clinical.fit_linear(*data, penalty=penalty, inverse_penalty=inverse)
        shown = clinical.predict_linear(model, others[0])
        np.testing.assert_allclose(found.scores[place], peers.roc_auc_score(others[1], shown), atol=1e-9)
        if place == found.scores.argmax():
            assert (found.penalty, found.inverse_penalty) == (penalty, inverse)
            np.testing.assert_allclose(clinical.predict_linear(found.model, others[0]), shown, atol=1e-7)
    flat = clinical.select_linear(*data, *others, penalties=penalties, score=lambda labels, shown: -shown.max())
    assert flat.inverse_penalty == 1e-4


def test_classes_and_errors_of_lengths_are_the_published_ones():
    case = reference("clinical_metrics")
    labels = case["regression/y"]
    for buckets in ("custom", "log"):
        np.testing.assert_array_equal(
            clinical.length_classes(labels, buckets=buckets), case[f"regression/y_bin_{buckets}"]
        )
        hours = clinical.class_lengths(case["custom/prob"].argmax(1), buckets=buckets)
        np.testing.assert_allclose(hours, case[f"{buckets}/estimate_hours"])
        found = clinical.length_error(labels, hours)
        for measure, value in found._asdict().items():
            np.testing.assert_allclose(value, case[f"{buckets}/{measure}"], rtol=1e-9, atol=1e-9)
    found = clinical.length_error(labels, case["regression/p"])
    for measure, value in found._asdict().items():
        np.testing.assert_allclose(value, case[f"regression/{measure}"], rtol=1e-9, atol=1e-9)


def test_days_are_closed_on_the_left():
    np.testing.assert_array_equal(
        clinical.length_classes([0, 23.9, 24, 191.9, 192, 335, 336, 5000]), [0, 0, 1, 7, 8, 8, 9, 9]
    )


TABLE, LABELS = drawn()
BAD = [
    (lambda: clinical.fit_linear(TABLE, LABELS[:5]), "table and labels must have one length, got 60 and 5"),
    (lambda: clinical.fit_linear(TABLE, LABELS + 1), r"labels must be boolean or 0 and 1, got the values \[1, 2\]"),
    (lambda: clinical.fit_linear(TABLE[:, 3:4], LABELS), "none of the 1 features is ever observed"),
    (lambda: clinical.fit_linear(TABLE, LABELS, inverse_penalty=0.0), "inverse_penalty must be positive"),
    (lambda: clinical.select_linear(TABLE, LABELS, TABLE, LABELS, penalties=()), "there must be a penalty at least"),
    (
        lambda: clinical.select_linear(TABLE, LABELS, TABLE, LABELS, penalties=(("l3", 1.0),)),
        "unknown penalty 'l3'; choose one of 'l2', 'l1'",
    ),
    (
        lambda: clinical.select_linear(TABLE, LABELS, TABLE[:3], 0 * LABELS[:3], penalties=(("l2", 0.1),)),
        "no label varies in the validation data: give a score",
    ),
    (lambda: clinical.length_classes([-1.0]), "hours must be finite and not negative"),
    (lambda: clinical.class_lengths([10]), "classes"),
    (lambda: clinical.length_error([1.0], [np.nan]), "predictions has 1 of 1 entries that are NaN or infinite"),
]


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(("call", "words"), BAD)
def test_wrong_input_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
