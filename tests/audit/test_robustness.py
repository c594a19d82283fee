"""Classifiers that ignore wrong labels beside the audit: real ones, and some whose findings are known."""

import csv
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from infotheory_dl import audit, label_noise, networks
from infotheory_dl.audit import robustness
from infotheory_dl.audit.robustness import COMPARED_METHODS, compare_robust
from tests.audit.conftest import SETTINGS

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def robust(digits) -> audit.AuditResult:
    settings = {**SETTINGS, "num_networks": 1, "sweep": 0, "runs": 0, "seeds": 0, "robust": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robustness, "_STEPS", 400)  # enough for so few examples
        return audit.run(KEY, *digits, **settings)


@pytest.fixture
def known(result, monkeypatch) -> audit.AuditResult:
    """An audit with methods of which the first names the ten lowest margins, the second nothing, the last the flips."""
    margins, flipped = result.scores.margins, result.examples.flipped
    findings = {
        "cross_entropy": (-margins, np.argsort(margins)[:10]),
        "limit_laplace": (margins, np.array([], int)),
        "leave_one_out": (flipped.astype(float), np.flatnonzero(flipped)),
    }
    keys = []

    def fit_robust(key, x, y, *, method, **settings):
        keys.append(key)
        suspicion, noisy_ids = findings[method]
        return SimpleNamespace(suspicion=suspicion, noisy_ids=noisy_ids)

    monkeypatch.setattr(label_noise, "fit_robust", fit_robust)
    monkeypatch.setattr(label_noise, "score", lambda fit, x, y: len(fit.noisy_ids) / 100)
    network = networks.small_classifier((64,), 10)
    found = compare_robust(KEY, network, networks.wide_layer((64,)), result.examples, margins, result.label_errors)
    assert keys == [KEY] * 3
    return result._replace(robustness=found)


def test_what_the_methods_name_is_measured_by_the_audit_and_by_the_flips(known):
    found, flipped, margins = known.robustness, known.examples.flipped, known.scores.margins
    np.testing.assert_array_equal(found.suspected, known.label_errors.wrong > 0.5)
    lowest = np.argsort(margins)[:10]
    np.testing.assert_array_equal(np.flatnonzero(found.candidates[0]), np.sort(lowest))
    np.testing.assert_array_equal(found.accuracy, [0.1, 0, 0.1])
    np.testing.assert_allclose(found.agreement, [1, -1, spearmanr(flipped, -margins).statistic], rtol=1e-12)
    np.testing.assert_allclose(found.overlap, [found.suspected[lowest].mean(), np.nan, found.suspected[flipped].mean()])
    np.testing.assert_allclose(found.precision, [flipped[lowest].mean(), np.nan, 1])
    np.testing.assert_allclose(found.recall, [flipped[lowest].sum() / flipped.sum(), 0, 1])
    assert [one.method for one in found.detection] == list(COMPARED_METHODS)
    assert found.detection[0][1:] == known.detection[0][1:]
    assert found.detection[2].average_precision == 1


def test_trained_classifiers_find_the_flips(robust):
    found, flipped = robust.robustness, robust.examples.flipped
    assert found.accuracy.min() > 0.7
    assert found.agreement.min() > 0.4
    for suspicion, candidates, one in zip(found.suspicion, found.candidates, found.detection, strict=True):
        assert one.area_under_roc == pytest.approx(roc_auc_score(flipped, suspicion))
        assert one.average_precision == pytest.approx(average_precision_score(flipped, suspicion))
        assert one.area_under_roc > 0.8
        assert candidates.sum() < 50
        predicted = suspicion < 0.5
        assert not (candidates & predicted).any()
    # a plain classifier that has learned all labels by heart names none of them; the others do
    assert (found.candidates[1:].sum(1) > 0).all()


def test_the_report_shows_who_suspects_what(known, tmp_path):
    text = audit.write_report(known, tmp_path).read_text(encoding="utf-8")
    assert "a network trained by LIMIT is right on 0\u00a0% of the held-out examples" in text
    assert '<tr><td class="text">labels taken to be wrong</td><td>10</td><td>0</td><td>10</td>' in text
    assert "of these, flipped</td><td>90\u00a0%</td><td>—</td><td>100\u00a0%</td>" in text
    assert "Suspected by all three and by the audit" not in text
    assert "Suspected by the audit, not by all three" in text
    assert '<span class="number">plain, leave-one-out</span>' in text
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = {int(row["example"]): row for row in csv.DictReader(file)}
    for i, index in enumerate(known.examples.indices):
        for method, suspicion, candidates in zip(COMPARED_METHODS, *known.robustness[1:3], strict=True):
            assert float(rows[index][f"{method}_suspicion"]) == suspicion[i]
            assert bool(int(rows[index][f"{method}_candidate"])) == candidates[i]


def test_tables_without_flips_show_it_too(known, tmp_path):
    examples = known.examples._replace(
        x=known.examples.x.reshape(100, -1), true_labels=known.examples.labels, feature_names=tuple(map(str, range(64)))
    )
    unrated = known.robustness._replace(detection=None, precision=None, recall=None)
    plain = known._replace(examples=examples, detection=None, robustness=unrated)
    text = audit.write_report(plain, tmp_path).read_text(encoding="utf-8")
    assert '<th class="text" scope="col">suspected by</th>' in text
    assert '<td class="text">plain, leave-one-out</td>' in text
    assert "of these, by the audit too" in text
    assert "of these, flipped" not in text


def test_an_audit_that_was_not_asked_has_no_such_section(result, tmp_path):
    assert result.robustness is None
    text = audit.write_report(result, tmp_path).read_text(encoding="utf-8")
    assert "LIMIT" not in text
    assert "suspicion" not in (tmp_path / "scores.csv").read_text()
