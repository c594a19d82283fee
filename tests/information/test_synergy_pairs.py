"""All pairs at once are the pairs one by one, and what their p-values say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl.information import synergy

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 5)) @ RANDOM.normal(size=(5, 5))
STATES = RANDOM.integers(0, 3, size=(300, 4))
TARGETS = np.stack([(STATES[:, 0] + STATES[:, 1]) % 3, RANDOM.integers(0, 2, 300)], axis=1)


def test_gaussian_pairs_are_those_one_by_one():
    found = synergy.gaussian_pairs(X[:, :2], X[:, 2:])
    np.testing.assert_array_equal(found.pairs, [[0, 1], [0, 2], [1, 2]])
    for target in range(2):
        for place, pair in enumerate(found.pairs):
            alone = synergy.gaussian_from_samples(X[:, [target]], X[:, 2 + pair])
            for name in ("information", "whole_minus_sum", "synergy", "calibrated_synergy"):
                np.testing.assert_allclose(getattr(found, name)[target, place], getattr(alone, name)[0], rtol=1e-9)
            np.testing.assert_allclose(found.informations[target, place], alone.informations[0], rtol=1e-9)
    np.testing.assert_allclose(found.partial_synergy, found.information - found.informations.max(-1), rtol=1e-12)
    assert not found.near_copies.any()


def test_pairs_of_states_are_those_one_by_one():
    found = synergy.discrete_pairs(TARGETS, STATES)
    for target in range(2):
        for place, pair in enumerate(found.pairs):
            alone = synergy.discrete_from_samples(TARGETS[:, target], STATES[:, pair])
            for ours, theirs in (
                (found.information, alone.estimate.information),
                (found.synergy, alone.estimate.synergy),
                (found.calibrated_synergy, alone.estimate.mismatched_synergy),
                (found.whole_minus_sum, alone.estimate.whole_minus_sum),
            ):
                np.testing.assert_allclose(ours[target, place], theirs, atol=1e-9)
            np.testing.assert_allclose(found.samples_per_cell[target, place], alone.samples_per_cell)
    # the sum of two of them, modulo 3, is told by both together alone
    best = int(found.synergy[0].argmax())
    np.testing.assert_array_equal(found.pairs[best], [0, 1])
    np.testing.assert_allclose(found.synergy[0, best], found.information[0, best], rtol=0.02)
    assert found.p_values[0, best] < 1e-50
    assert np.delete(found.p_values[0], best).min() > 1e-3


def test_p_values_are_those_of_a_regression_and_a_partial_correlation():
    stats, linear_model = pytest.importorskip("scipy.stats"), pytest.importorskip("sklearn.linear_model")
    x, first, second = X[:, 0], X[:, 1], X[:, 2]
    found = synergy.gaussian_pairs(X[:, :1], X[:, 1:3])
    fit = lambda y, z: linear_model.LinearRegression().fit(z, y)
    sources = np.stack([first, second], axis=1)
    explained = fit(x, sources).score(sources, x)
    of_nothing = stats.f.sf(explained / 2 / ((1 - explained) / 57), 2, 57)
    residuals = [one - fit(one, x[:, None]).predict(x[:, None]) for one in (first, second)]
    partial = stats.pearsonr(*residuals)[0]
    of_independence = 2 * stats.t.sf(abs(partial) * np.sqrt(57 / (1 - partial**2)), 57)
    np.testing.assert_allclose(found.p_values, max(of_nothing, of_independence), rtol=1e-8)


def test_chance_is_told_no_more_often_than_it_should_be():
    noise = RANDOM.normal(size=(200, 40))
    found = synergy.gaussian_pairs(RANDOM.normal(size=(200, 1)), noise)
    assert (found.p_values <= 0.05).mean() < 0.05
    # with sources that tell something, but independently
    told = synergy.gaussian_pairs(noise.sum(1)[:, None] + 20 * RANDOM.normal(size=(200, 1)), noise)
    assert (told.p_values <= 0.05).mean() < 0.06
    # states, one source of which tells something, with five samples in each cell
    states = RANDOM.integers(0, 3, size=(135, 40))
    target = np.where(RANDOM.random(135) < 0.6, states[:, 0], RANDOM.integers(0, 3, 135))
    of_states = synergy.discrete_pairs(target[:, None], states)
    assert (of_states.p_values[0, (of_states.pairs == 0).any(1)] <= 0.05).mean() < 0.11


def test_whether_pairs_tell_more_or_less_than_both_sources_is_told_by_its_standard_error():
    correlations = np.array([[1, 0.5, 0.1], [0.5, 1, 0.3], [0.1, 0.3, 1]])
    among, across = correlations[1:, 1:], correlations[0, 1:]
    precisions = np.linalg.inv(correlations) + np.eye(3)
    for kept in ((1, 2), (0, 1), (0, 2)):
        precisions[np.ix_(kept, kept)] -= np.linalg.inv(correlations[np.ix_(kept, kept)])
    variance = np.trace(np.linalg.matrix_power(precisions @ correlations, 2)) / 2
    whole = -np.log(1 - across @ np.linalg.solve(among, across)) / 2 + np.log(1 - across**2).sum() / 2
    # samples with exactly these correlations
    drawn = RANDOM.normal(size=(400, 3))
    scores = np.linalg.qr(drawn - drawn.mean(0))[0] @ np.linalg.cholesky(correlations).T
    found = synergy.gaussian_pairs(scores[:, :1], scores[:, 1:])
    np.testing.assert_allclose(found.whole_minus_sum, whole, rtol=1e-9)
    np.testing.assert_allclose(found.whole_minus_sum_z, whole / np.sqrt(variance / 400), rtol=1e-9)

    counts = 2 * np.array([[[7, 2], [3, 4]], [[1, 5], [6, 8]]])
    target, *sources = np.repeat(np.indices(counts.shape).reshape(3, -1), counts.ravel(), axis=1)
    p = counts / counts.sum()
    of = lambda *axes: np.log(p.sum(axes, keepdims=True))
    pointwise = of() + of(1, 2) + of(0, 2) + of(0, 1) - of(0) - of(1) - of(2)
    mean = (p * pointwise).sum()
    error = np.sqrt((p * (pointwise - mean) ** 2).sum() / counts.sum())
    found = synergy.discrete_pairs(target[:, None], np.stack(sources, axis=1))
    np.testing.assert_allclose(found.whole_minus_sum, mean, atol=1e-12)
    np.testing.assert_allclose(found.whole_minus_sum_z, (mean - 1 / (2 * counts.sum())) / error, rtol=1e-9)


def test_a_source_that_another_echoes_is_not_taken_for_synergy():
    first = RANDOM.normal(size=(200, 200))
    echo = 0.3 * first + np.sqrt(1 - 0.3**2) * RANDOM.normal(size=first.shape)
    target = 0.4 * first + np.sqrt(1 - 0.4**2) * RANDOM.normal(size=first.shape)
    found = [
        synergy.gaussian_pairs(target[:, [draw]], np.stack([first[:, draw], echo[:, draw]], axis=1))
        for draw in range(len(first))
    ]
    z, whole, p_values = (
        np.array([getattr(one, name).item() for one in found])
        for name in ("whole_minus_sum_z", "whole_minus_sum", "p_values")
    )
    # the sign alone errs
    assert ((p_values < 0.05) & (whole > 0)).mean() > 0.08
    assert ((p_values < 0.05) & (z > 1.96)).mean() < 0.025


@given(seed=st.integers(0, 100), rank=st.booleans())
@settings(max_examples=8, derandomize=True)
def test_units_orders_and_names_of_states_change_no_pair(seed, rank):
    random = np.random.default_rng(seed)
    order, columns = random.permutation(60), random.permutation(3)
    unit = random.choice([-1.0, 1.0], 3) * 10.0 ** random.uniform(-3, 3, 3)
    plain = synergy.gaussian_pairs(X[:, :2], X[:, 2:], rank_gaussianize=rank)
    moved = synergy.gaussian_pairs(
        (X[:, :2] * 7 + 1)[order], (X[:, 2:] * unit + 5)[order][:, columns], rank_gaussianize=rank
    )
    place = {frozenset(pair): i for i, pair in enumerate(plain.pairs.tolist())}
    back = [place[frozenset(columns[pair].tolist())] for pair in moved.pairs]
    np.testing.assert_allclose(moved.synergy, plain.synergy[:, back], rtol=1e-6, atol=1e-12)
    renamed = np.stack([random.permutation(3)[column] for column in STATES.T], axis=1)
    for name in ("synergy", "information", "p_values"):
        ours, others = (getattr(synergy.discrete_pairs(TARGETS, table), name) for table in (STATES, renamed))
        np.testing.assert_allclose(others, ours, atol=1e-9)


def test_copies_are_flagged():
    twice = np.stack([X[:, 0], X[:, 1], 2 - 3 * X[:, 0]], axis=1)
    with pytest.warns(UserWarning, match="1 pairs of sources are near copies, such as 0 and 2"):
        found = synergy.gaussian_pairs(X[:, 3:4], twice)
    np.testing.assert_array_equal(found.near_copies, [False, True, False])
    assert np.isfinite(found.synergy).all()
    states = np.stack([STATES[:, 0], STATES[:, 1], (STATES[:, 0] + 1) % 3], axis=1)
    with pytest.warns(UserWarning, match="near copies"):
        assert synergy.discrete_pairs(TARGETS, states).near_copies.tolist() == [False, True, False]


def test_a_source_that_is_the_target_leaves_no_synergy():
    found = synergy.gaussian_pairs(X[:, :1], np.stack([5 - 2 * X[:, 0], X[:, 1]], axis=1))
    np.testing.assert_array_equal(found.p_values, 1)
    assert found.synergy[0, 0] < 1e-6
    states = synergy.discrete_pairs(STATES[:, :1], STATES[:, :2])
    np.testing.assert_allclose(states.synergy, 0, atol=1e-12)
    assert states.p_values[0, 0] == 1


@pytest.mark.usefixtures("as_a_user_sees")
def test_impossible_pairs_are_refused_in_words():
    with pytest.raises(ValueError, match="pairs need at least 2 sources and 5 samples, got 1 and 60"):
        synergy.gaussian_pairs(X[:, :1], X[:, :1])
    with pytest.raises(ValueError, match=r"states of sources must lie in \[0, 63\], got 0 to 70: merge some"):
        synergy.discrete_pairs(TARGETS, np.where(STATES == 2, 70, STATES))
    with pytest.raises(ValueError, match="targets and sources must have one length, got 300 and 60"):
        synergy.discrete_pairs(TARGETS, STATES[:60])
    with pytest.warns(UserWarning, match="pairs have fewer than 5 samples for each joint state"):
        synergy.discrete_pairs(TARGETS[:40], STATES[:40])
