"""Reports of the synergy of representations, against the measures of single variables, and their pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl import data, minsyn
from infotheory_dl.information import gaussian, synergy
from tests.conftest import reference

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    return codes, codes @ rng.normal(size=(3, 6)) + rng.normal(size=(300, 6))


def test_maps_are_the_measures_of_every_variable(samples):
    codes, x = samples
    found = minsyn.synergy_report(codes, x.reshape(300, 2, 3))
    expected = synergy.gaussian_from_samples(x, codes)
    assert found.synergy.shape == (2, 3)
    assert found.informations.shape == found.hidden.shape == (3, 2, 3)
    for name in ("information", "synergy", "independent_information", "calibrated_synergy", "whole_minus_sum"):
        np.testing.assert_allclose(getattr(found, name).ravel(), getattr(expected, name), rtol=1e-9)
    np.testing.assert_allclose(found.informations.reshape(3, 6), expected.informations.T, rtol=1e-9)
    np.testing.assert_allclose(found.synergy_share, expected.synergy.sum() / expected.information.sum(), rtol=1e-9)
    assert found.measure == "S_CI of Gaussians"


def test_what_hiding_a_factor_loses_is_the_information_that_it_adds(samples):
    codes, x = samples
    found = minsyn.synergy_report(codes, x)
    for factor in range(3):
        others = np.delete(codes, factor, axis=1)
        without = synergy.gaussian_from_samples(x, others).information
        np.testing.assert_allclose(found.hidden[factor], found.information - without, rtol=1e-8, atol=1e-12)
    covariance = np.cov(np.column_stack([x[:, 0], codes]).T)
    conditional = gaussian.conditional_mutual_information(covariance, [0], [1], [2, 3])
    np.testing.assert_allclose(found.hidden[0, 0], conditional, rtol=1e-8)


def test_units_offsets_dtypes_and_constants_make_no_difference(samples):
    codes, x = samples
    found = minsyn.synergy_report(codes, x)
    moved = minsyn.synergy_report(1e6 + 1e-3 * codes, np.column_stack([x * 1e3, np.ones(300)]))
    np.testing.assert_allclose(moved.synergy[:6], found.synergy, rtol=1e-6)
    assert moved.information[6] == moved.synergy[6] == 0
    whole = np.round(1000 * x).astype(int)
    as_floats, as_integers = (minsyn.synergy_report(codes, kind) for kind in (whole.astype(float), whole))
    np.testing.assert_allclose(as_integers.synergy, as_floats.synergy, rtol=1e-9)
    monotone = minsyn.synergy_report(np.exp(codes), x**3, measure="rank_gaussian")
    by_ranks = minsyn.synergy_report(codes, x, measure="rank_gaussian")
    np.testing.assert_allclose(monotone.synergy, by_ranks.synergy, rtol=1e-9)


@settings(max_examples=5, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_orders_and_signs_of_samples_factors_and_variables_make_no_difference(samples, seed):
    codes, x = samples
    rng = np.random.default_rng(seed)
    rows, factors, variables = rng.permutation(300), rng.permutation(3), rng.permutation(6)
    signs = rng.choice([-1, 1], 3)
    for measure in ("gaussian", "rank_gaussian"):
        found = minsyn.synergy_report(codes, x, measure=measure)
        again = minsyn.synergy_report((signs * codes)[rows][:, factors], x[rows][:, variables], measure=measure)
        np.testing.assert_allclose(again.synergy, found.synergy[variables], rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(again.hidden, found.hidden[factors][:, variables], rtol=1e-7, atol=1e-10)


def test_exclusive_or_is_all_synergy_and_counts_see_it():
    drawn = data.grue_bleen(KEY, 4000, pixels=1, flip=0.0)
    codes = np.column_stack([drawn.grue, drawn.time])
    x = np.column_stack([drawn.colour, drawn.time])
    found = minsyn.synergy_report(codes, x, measure="discrete")
    assert abs(found.synergy[0] / found.information[0] - 1) < 0.02
    np.testing.assert_allclose(found.information, np.log(2), rtol=1e-2)
    np.testing.assert_allclose(found.synergy[1], 0, atol=1e-3)
    # whichever is hidden, the colour is lost
    np.testing.assert_allclose(found.hidden[:, 0], np.log(2), rtol=1e-2)
    assert np.abs(minsyn.synergy_report(codes, x).information[0]) < 0.01
    plain = minsyn.synergy_report(x, x, measure="discrete")
    np.testing.assert_allclose(plain.synergy, 0, atol=1e-3)


def test_counts_of_all_variables_are_those_of_each():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 3, (2000, 2))
    x = np.column_stack([codes.sum(1), codes[:, 0] % 2, rng.integers(0, 2, 2000)])
    found = minsyn.synergy_report(codes, x, measure="discrete", bins=5)
    for place, target in enumerate(x.T):
        expected = synergy.discrete_from_samples(target, codes).estimate
        np.testing.assert_allclose(found.information[place], expected.information, rtol=1e-9)
        np.testing.assert_allclose(found.synergy[place], expected.synergy, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.calibrated_synergy[place], expected.mismatched_synergy, atol=1e-6)
        np.testing.assert_allclose(found.hidden[1, place], expected.information - expected.informations[0], atol=1e-9)
    cut = minsyn.synergy_report(rng.normal(size=(2000, 1)), x, measure="discrete", bins=3)
    assert cut.information.shape == (3,)
    np.testing.assert_allclose(cut.hidden[0], cut.information)


def test_near_copies_are_flagged_and_named(samples):
    codes, x = samples
    copied = np.column_stack([codes, codes[:, 1] + 1e-3 * np.random.default_rng(2).normal(size=300)])
    with pytest.warns(UserWarning, match="sources 1 and 3 are near copies"):
        found = minsyn.synergy_report(copied, x)
    assert found.near_copies.tolist() == [False, True, False, True]
    again = minsyn.synergy_report(np.array([[0, 0, 1]] * 50 + [[1, 1, 1]] * 50), x[:100] > 0, measure="discrete")
    assert again.near_copies.tolist() == [True, True, False]


def test_few_samples_for_each_joint_state_are_told(samples):
    codes, x = samples
    with pytest.warns(UserWarning, match="300 samples for 256 joint states are fewer than 5 each"):
        minsyn.synergy_report(codes, x, measure="discrete")


def test_a_report_is_drawn_with_the_measure_that_it_shows(samples):
    codes, x = samples
    for shape in ((6,), (2, 3), (2, 3, 1)):
        figure = minsyn.draw_synergy(minsyn.synergy_report(codes, x.reshape(300, *shape)))
        assert figure.get_suptitle().startswith("S_CI of Gaussians: ")
        titles = [axes.get_title() for axes in figure.axes]
        assert titles[:5] == ["information", "synergy", *(f"lost without Z{place}" for place in range(3))]


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_rotation_maximises_the_objective_of_its_codes(samples, calibrated):
    codes, x = samples
    found = minsyn.rotate(KEY, codes, x, noise=0.0, synergy_weight=0.7, calibrated=calibrated)
    assert found.converged
    np.testing.assert_allclose(found.codes, (codes - found.mean) @ found.matrix.T, atol=1e-10)
    np.testing.assert_allclose(np.std(found.codes, 0), 1, rtol=1e-9)

    def objective(codes):
        told = minsyn.synergy_report(codes, x)
        lost = told.calibrated_synergy if calibrated else told.synergy
        return told.information.sum() - 0.7 * lost.sum() + np.linalg.slogdet(np.corrcoef(np.asarray(codes).T))[1] / 2

    np.testing.assert_allclose(found.objective, objective(found.codes), rtol=1e-8)
    np.testing.assert_allclose(found.initial_objective, objective(codes), rtol=1e-8)
    assert found.objective > found.initial_objective
    # no step of any map leads further up
    for direction in np.random.default_rng(3).normal(size=(4, 3, 3)):
        assert objective(found.codes @ (np.eye(3) + 1e-3 * direction)) <= found.objective + 1e-9


def test_a_rotation_finds_correlated_factors_in_any_mixture_of_them():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(400, 3)) @ np.linalg.cholesky(0.6 + 0.4 * np.eye(3)).T
    x = np.repeat(factors, 8, axis=1) + 0.5 * rng.normal(size=(400, 24))
    mixed = factors @ rng.normal(size=(3, 3)) + 5
    found = minsyn.rotate(KEY, mixed, x)
    among = np.abs(np.corrcoef(found.codes.T, factors.T)[:3, 3:])
    # that codes share something costs too, which keeps them a little apart
    assert among.max(1).min() > 0.97
    assert sorted(among.argmax(1).tolist()) == [0, 1, 2]
    assert minsyn.synergy_report(found.codes, x).synergy_share < minsyn.synergy_report(mixed, x).synergy_share
    # whichever codes of the same information were given
    again = minsyn.rotate(KEY, mixed @ rng.normal(size=(3, 3)) * 1e3, x)
    np.testing.assert_allclose(again.objective, found.objective, rtol=1e-6)
    np.testing.assert_allclose(again.codes, found.codes, atol=1e-3)


def test_a_rotation_of_principal_components_of_words_parts_their_letters():
    case = reference("minsyn_words")
    grid = data.word_grid()
    images = data.words(grid.words).images[:, ::2, ::2].reshape(512, -1)[:, case["keep"]]
    x = (images - case["mean"]) / case["std"]
    components = x @ np.linalg.svd(x[grid.valid] - x[grid.valid].mean(0), full_matrices=False)[2][:6].T
    found = minsyn.rotate(KEY, components[grid.valid], x[grid.valid], restarts=4)
    codes = (components - found.mean) @ found.matrix.T
    purity = minsyn.evaluation.factorial_purity(codes, grid.labels).purity
    assert minsyn.evaluation.factorial_purity(components, grid.labels).purity < 0.75
    assert purity > 0.93


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda z, x: minsyn.synergy_report(z[:5], x), "codes and x"),
        (lambda z, x: minsyn.synergy_report(z * np.nan, x), "codes"),
        (lambda z, x: minsyn.synergy_report(z[:3], x[:3]), "more samples than codes are needed, got 3 of 3"),
        (lambda z, x: minsyn.synergy_report(z @ np.ones((3, 2)), x), "codes must be positive definite, .* follow from"),
        (
            lambda z, x: minsyn.synergy_report(z, x, measure="mutual"),
            "unknown measure 'mutual'; choose",
        ),
        (lambda z, x: minsyn.synergy_report(z, x, bins=1), "bins must be at least 2, got 1"),
        (
            lambda z, x: minsyn.synergy_report(np.tile(z, 9), x, measure="discrete", bins=2),
            r"268435456 joint states, more than 16777216: take fewer factors",
        ),
        (lambda z, x: minsyn.rotate(KEY, z, x, restarts=0), "restarts must be at least 1, got 0"),
        (lambda z, x: minsyn.rotate(KEY, z * [0, 1, 1], x), r"codes must vary, and \[0\] do not: leave these out"),
        (lambda z, x: minsyn.rotate(KEY, z, x, capacity_weight=0.0), "capacity_weight must be positive"),
        (lambda z, x: minsyn.rotate(KEY, z, x, noise=1.0), r"noise must lie in \[0, 1\), got 1\.0"),
        (lambda z, x: minsyn.rotate(KEY, z, x[:9]), "x and codes"),
    ],
)
def test_what_cannot_be_told_is_refused(samples, call, words):
    with pytest.raises(ValueError, match=words):
        call(*samples)


def test_a_search_that_has_not_settled_says_so(samples):
    codes, x = samples
    with pytest.warns(UserWarning, match="did not settle in 1 iterations"):
        minsyn.rotate(KEY, codes, jnp.asarray(x), max_iterations=1)
