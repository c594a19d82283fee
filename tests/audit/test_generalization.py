"""The bound on the gap of the linearized network, against runs solved one by one."""

from collections import Counter

import jax
import numpy as np
import pytest

from infotheory_dl import audit
from infotheory_dl.audit import generalization
from infotheory_dl.audit.generalization import bound_generalization
from infotheory_dl.fcmi import draw_selection

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(14, 9))
KERNEL = FEATURES @ FEATURES.T
LABELS = RANDOM.integers(0, 3, 14)
SETTINGS = {"runs": 6, "time": np.inf, "learning_rate": 1.0, "weight_decay": 0.1}


def of_places(kernel):
    return lambda rows, columns: kernel[np.ix_(rows, columns)]


def information(codes, selection):
    """Of two discrete variables by the definition, in nats."""
    runs = len(codes)
    of_codes, of_selection, joint = Counter(codes), Counter(selection), Counter(zip(codes, selection, strict=True))
    return sum(k / runs * np.log(runs * k / (of_codes[c] * of_selection[s])) for (c, s), k in joint.items())


def predict(entries, selection):
    """Classes of all entries after ridge regression on the selected half."""
    rows = entries[2 * np.arange(len(selection)) + selection]
    shifted = KERNEL[np.ix_(rows, rows)] + len(rows) * 0.1 * np.eye(len(rows))
    return (KERNEL[np.ix_(entries, rows)] @ np.linalg.solve(shifted, np.eye(3)[LABELS[rows]] - 1 / 3)).argmax(1)


def test_the_bound_is_that_of_runs_solved_one_by_one():
    found = bound_generalization(KEY, of_places(KERNEL), LABELS, 3, **SETTINGS)
    (entries,) = found.entries
    assert found.train_size == 7
    np.testing.assert_array_equal(np.sort(entries), np.arange(14))
    selection = np.asarray(draw_selection(jax.random.split(KEY)[1], 6, 7, design="antithetic"))
    predictions = np.stack([predict(entries, s) for s in selection])
    pairs = [list(map(tuple, predictions[:, 2 * i : 2 * i + 2])) for i in range(7)]
    expected = [information(pairs[i], selection[:, i].tolist()) for i in range(7)]
    np.testing.assert_allclose(found.pair_information[entries[::2]], expected, atol=1e-12)
    np.testing.assert_allclose(found.pair_information[entries[1::2]], expected, atol=1e-12)
    own = [information(predictions[:, j].tolist(), selection[:, j // 2].tolist()) for j in range(14)]
    np.testing.assert_allclose(found.own_information[entries], own, atol=1e-12)
    np.testing.assert_allclose(found.bound, np.mean(np.sqrt(2 * np.array(expected))))

    errors = predictions != LABELS[entries]
    trained = np.stack([selection == 0, selection == 1], axis=-1).reshape(6, 14)
    np.testing.assert_allclose(found.gap, errors[~trained].mean() - errors[trained].mean())


def test_what_is_learned_by_heart_comes_first():
    # every example tells of itself alone, and without it the first class is predicted
    labels = np.array([0] * 8 + [1] * 6)
    found = bound_generalization(KEY, of_places(np.eye(14)), labels, 2, **SETTINGS)
    np.testing.assert_allclose(found.own_information, np.log(2) * labels, atol=1e-12)
    pairs = labels[found.entries].reshape(-1, 2)
    memorised = found.most_memorised(14)
    assert len(memorised) == pairs.any(axis=1).sum()
    assert labels[memorised].all()
    assert len(found.most_memorised(2)) == 2
    np.testing.assert_allclose(found.bound, pairs.any(axis=1).mean() * np.sqrt(2 * np.log(2)))
    np.testing.assert_allclose(found.gap, labels[found.entries].mean())


def test_many_examples_are_split_into_several_sets(monkeypatch):
    monkeypatch.setattr(generalization, "_MOST_ROWS", 3)
    found = bound_generalization(KEY, of_places(KERNEL), LABELS, 3, **SETTINGS)
    assert found.entries.shape == (3, 4)
    assert len(np.unique(found.entries)) == 12
    outside = np.setdiff1d(np.arange(14), found.entries)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.pair_information)), outside)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.own_information)), outside)
    assert found.bound.shape == (3,)


def test_runs_in_pieces_are_the_same_runs(monkeypatch):
    whole = bound_generalization(KEY, of_places(KERNEL), LABELS, 3, **SETTINGS)
    monkeypatch.setattr(generalization, "_OUTPUTS_AT_ONCE", 2 * 14 * 3)
    pieces = bound_generalization(KEY, of_places(KERNEL), LABELS, 3, **SETTINGS)
    np.testing.assert_array_equal(pieces.pair_information, whole.pair_information)


def test_the_audit_bounds_the_gap_of_its_own_network(result):
    found = result.generalization
    assert found.runs == 100
    assert found.train_size == 50
    assert 0 < found.gap[0] < found.bound[0] < np.sqrt(2 * np.log(2))
    # wrong labels are learned by heart
    flipped = result.examples.flipped
    assert found.own_information[flipped].mean() > 2 * found.own_information[~flipped].mean()


def test_the_report_shows_the_bound_and_the_most_memorised(result, tmp_path):
    text = audit.write_report(result, tmp_path).read_text(encoding="utf-8")
    assert "Does it generalize?" in text
    assert "1 set of 50 pairs. On each, 100 runs" in text
    assert f'alt="example {result.examples.indices[result.generalization.most_memorised(1)[0]]}"' in text
    without = audit.write_report(result._replace(generalization=None), tmp_path).read_text(encoding="utf-8")
    assert "Does it generalize?" not in without
    assert "pair_information" not in (tmp_path / "scores.csv").read_text()


@pytest.mark.parametrize("runs", [-2, 3])
def test_runs_come_in_pairs(runs, as_a_user_sees):
    with pytest.raises(ValueError, match=f"runs must be an even number, .* or 0, got {runs}"):
        audit.run(KEY, FEATURES, LABELS, runs=runs)
