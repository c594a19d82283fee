"""Numbers to be predicted: targets out of line are told by networks trained without them."""

import csv
import json
import re

import jax
import numpy as np
import pytest

from infotheory_dl import audit, cli
from infotheory_dl.audit import regression
from infotheory_dl.audit.decisions import apply_to_targets
from infotheory_dl.audit.regression._run import _drawn_in
from infotheory_dl.audit.regression.targets import exchanged
from infotheory_dl.report import nats
from tests.files_page import columns_of

SIZE = 160
KEY = jax.random.key(0)


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(SIZE, 4))
    return x, 1000 + 50 * (2 * x[:, 0] + np.tanh(x[:, 1]) + 0.2 * random.normal(size=SIZE))


def run(x, y, **settings) -> audit.RegressionAudit:
    return audit.run_regression(KEY, x, y, num_networks=1, **settings)


@pytest.fixture(scope="module")
def planted() -> audit.RegressionAudit:
    x, y = made()
    y[:4] += [150, -150, 200, -250]
    return run(x, y)


def test_planted_targets_are_out_of_line_and_no_others(planted):
    residuals = planted.residuals
    assert np.flatnonzero(residuals.is_outlying).tolist() == [0, 1, 2, 3]
    assert residuals.told
    # the noise is 10, the rest what 160 examples leave open
    assert 9 < residuals.noise < 20
    np.testing.assert_allclose(residuals.predictions[:4], made()[1][:4], atol=60)


def test_predictions_are_those_of_a_fit_without_the_example(planted):
    """By the definition, with the kernel of the audit and the targets that its last fit was of."""
    x, y = made()
    clean = run(x, y)
    assert not clean.residuals.is_outlying.any()
    solution, centred = clean.solution, y - y.mean()
    predicted = clean.residuals.predictions - y.mean()
    # leave-one-out by leverage: a prediction with the example is (1 - h) of that without it and h of the target
    with_it = (1 - solution.leverage) * predicted + solution.leverage * centred
    np.testing.assert_allclose(solution.residuals[:, 0], centred - predicted, atol=1e-6 * np.abs(centred).max())
    assert np.square(centred - with_it).sum() < np.square(centred - predicted).sum()
    np.testing.assert_allclose(clean.information, solution.output_change / (2 * clean.residuals.noise**2))
    np.testing.assert_allclose(clean.residuals.explained, 1 - np.square(centred - predicted).mean() / y.var())


def test_units_of_the_targets_are_of_no_account(planted):
    x, y = made()
    y[:4] += [150, -150, 200, -250]
    other = run(x, 1e-6 * y - 3)
    np.testing.assert_allclose(other.residuals.standardized, planted.residuals.standardized, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(other.information, planted.information, rtol=1e-5)
    np.testing.assert_allclose(other.residuals.noise, 1e-6 * planted.residuals.noise, rtol=1e-5)


def test_inputs_that_tell_nothing_are_told():
    x, _ = made()
    result = run(x, np.random.default_rng(3).normal(size=SIZE))
    assert not result.residuals.told
    found = audit.regression_findings(result)[0]
    assert "tell nothing of the targets" in found
    better = "hardly better" if result.residuals.gain > 0 else "no better"
    assert f"{better} than their mean does ({nats(result.residuals.gain)} nats)" in found


@pytest.mark.parametrize("mistyped", [1e5, 1e12])
def test_one_mistyped_target_moves_neither_the_verdict_nor_what_else_is_found(planted, mistyped):
    x, y = made()
    y[:4] += [150, -150, 200, -250]
    y[4] = mistyped
    result = run(x, y)
    residuals = result.residuals
    assert np.flatnonzero(residuals.is_outlying).tolist() == [0, 1, 2, 3, 4]
    assert (residuals.told, residuals.in_line) == (True, True)
    np.testing.assert_allclose(residuals.explained, planted.residuals.explained, atol=0.01)
    np.testing.assert_allclose(residuals.error, planted.residuals.error, rtol=0.05)
    assert "of the variance of the targets in line" in audit.regression_findings(result)[0]


def test_a_mistyped_target_is_moved_to_the_others_before_the_first_fit_and_a_plain_set_is_left_alone():
    _, y = made()
    np.testing.assert_array_equal(_drawn_in(y), y)
    mistyped = np.append(y, [1e12, -1e9])
    np.testing.assert_array_equal(_drawn_in(mistyped), np.append(y, [y.max(), y.min()]))
    crowded = np.append(np.zeros(SIZE), 1e12)
    np.testing.assert_array_equal(_drawn_in(crowded), crowded)


def test_what_is_left_is_the_deviation_of_targets_in_line_from_their_predictions(planted):
    residuals = planted.residuals
    deviations = (planted.targets - residuals.predictions)[4:]
    np.testing.assert_allclose(residuals.error, np.sqrt(np.square(deviations).mean()))
    explained = 1 - np.square(deviations).mean() / planted.targets[4:].var()
    np.testing.assert_allclose(residuals.explained, explained)
    np.testing.assert_allclose(residuals.gain, -(SIZE - 4) / 2 * np.log(1 - explained))
    assert f"what is left has a standard deviation of {residuals.error:.5g}" in audit.regression_findings(planted)[0]


def test_where_half_of_the_targets_are_one_number_none_is_out_of_line_and_it_says_why():
    result = run(made()[0], (np.arange(SIZE) % 20 == 0).astype(float))
    residuals = result.residuals
    assert residuals.crowded
    assert not residuals.is_outlying.any()
    np.testing.assert_array_equal(residuals.p_value, 1)
    assert np.abs(residuals.standardized).max() < 10
    assert "Half of the targets or more have one value" in audit.regression_findings(result)[1]


def test_rounded_targets_are_not_known_better_than_their_rounding():
    """Two of 160 are 2, the others 0 and 1 in halves: not by the scale of what the predictions vary by."""
    y = np.random.default_rng(0).permutation(np.repeat([0.0, 1.0, 2.0], [79, 79, 2]))
    result = run(made()[0], y)
    assert not result.residuals.crowded
    assert not result.residuals.is_outlying.any()
    assert result.residuals.noise >= 1 / np.sqrt(12)


def test_exchanged_targets_are_known_and_mostly_found():
    x, y = made()
    result = run(x, y, flip=0.05)
    assert result.exchanged.sum() == 8
    np.testing.assert_array_equal(np.sort(result.targets), np.sort(y))
    assert result.detection[0].area_under_roc > 0.9
    np.testing.assert_array_equal(exchanged(KEY, y, 0.0), y)


def test_the_files_and_the_page_have_what_was_found(planted, tmp_path):
    page = audit.write_regression_report(planted, tmp_path, title="made", again="infotheory-dl again").read_text()
    for words in ("Suspected targets", "Out of line (4)", "Targets and predictions", "Beyond the targets", "Next"):
        assert words in page
    assert "infotheory-dl again" in page
    content = json.loads(re.search(r'id="suspects">(.*?)</script>', page)[1])
    assert content["classes"] is None
    assert len(content["rows"]) == 4 + 48
    place, _name, target, predicted, told, _, is_outlying, verdict, beside, looks = content["rows"][0]
    assert (target, predicted) == (planted.targets[place], float(f"{planted.residuals.predictions[place]:.6g}"))
    assert told.startswith(f"out of line: {planted.residuals.standardized[place]:.2f} sd, p = ".replace("-", "−"))
    assert (is_outlying, verdict) == (True, None)
    x = planted.examples.inputs
    near = min(range(4, SIZE), key=lambda i: np.square(x[i] - x[place]).sum())
    assert beside == [f"most like it, {planted.targets[near]:.4g}: {near}"]
    assert looks[0][0] == np.abs(x[place] - x[near]).argmax()
    with (tmp_path / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert set(rows[0]) <= columns_of("audit", "`scores.csv` of numbers")
    assert [row["outlying_target"] for row in rows[:5]] == ["1", "1", "1", "1", "0"]
    assert "4 targets are out of line" in " ".join(audit.regression_findings(planted))


def test_decisions_on_targets_are_applied_and_confirmed_ones_are_not_out_of_line(planted, tmp_path):
    x, y = made()
    y[:4] += [150, -150, 200, -250]
    lines = [f"0,{y[0]},keep,", f"1,{y[1]},relabel,1010.5", f"2,{y[2]},drop,"]
    (tmp_path / "decisions.csv").write_text("\n".join(["example,label,decision,new_label", *lines]))
    decisions = audit.read_decisions(tmp_path / "decisions.csv")
    examples, targets, left = apply_to_targets(planted.examples, planted.targets, decisions)
    assert examples.indices[:3].tolist() == [0, 1, 3]
    assert targets[:3].tolist() == [y[0], 1010.5, y[3]]
    assert np.flatnonzero(~left).tolist() == [2]
    assert examples.confirmed.sum() == 2
    # without the one that is dropped, which would make of every program another
    kept = decisions._replace(**{name: values[:2] for name, values in decisions._asdict().items()})
    result = run(x, y, decisions=[kept])
    assert not result.residuals.is_outlying[:2].any()
    assert result.residuals.is_outlying[2:4].all()
    with pytest.raises(ValueError, match=r"the decision on example 0 was made on the label .*, but it has 1000: give"):
        apply_to_targets(planted.examples, np.full(SIZE, 1000.0), decisions)
    wrong = decisions._replace(new_labels=("high", *decisions.new_labels[1:]))
    with pytest.raises(ValueError, match="example 0 is decided to be 'high', but targets are numbers"):
        apply_to_targets(planted.examples, planted.targets, wrong)


def test_the_command_audits_a_table(tmp_path, capsys, monkeypatch):
    x, y = made()
    np.savetxt(tmp_path / "my.csv", np.column_stack([x, y]), delimiter=",", header="a,b,c,d,price", comments="")
    arguments = ["audit", "--data", str(tmp_path / "my.csv"), "--label", "price", "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert "is it a quantity to be predicted? Then audit it by audit.run_regression, by --task regression" in (
        " ".join(capsys.readouterr().err.split())
    )
    cli.main([*arguments, "--task", "regression", "--num-networks", "1"])
    assert "of the variance of the targets" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array(["a", "b"] * 80), "y must be numbers to be predicted, got 'a': classes are audited without"),
        (np.ones(SIZE), "the 160 targets are all 1: there is nothing to predict"),
        (np.ones((SIZE, 2)), "y must be one number for each example, got shape"),
    ],
)
def test_what_are_no_targets_is_refused(y, message, as_a_user_sees):
    with pytest.raises(ValueError, match=message):
        run(made()[0], y)


def test_what_only_classes_have_is_refused(as_a_user_sees):
    with pytest.raises(ValueError, match="of the end of training: leave out time"):
        run(*made(), time=10.0)
    with pytest.raises(ValueError, match="trained trains classifiers: leave it out of an audit of numbers, --trained"):
        run(*made(), trained=True)


def test_the_room_has_one_face():
    assert set(regression.__all__) <= set(audit.__all__)
