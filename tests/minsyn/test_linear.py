"""Linear MinSyn against the published objective and fit, and what its weights do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from infotheory_dl import data
from infotheory_dl.corex import linear as corex
from infotheory_dl.information import synergy
from infotheory_dl.minsyn import evaluation, linear
from tests.conftest import reference

KEY = jax.random.key(0)
VALUE_AND_GRADIENT = jax.jit(jax.value_and_grad(linear.objective), static_argnames="calibrated")


@pytest.fixture(scope="module")
def case():
    return reference("minsyn_gaussian")


@pytest.mark.parametrize(("calibrated", "suffix"), [(True, ""), (False, "_ci")])
def test_objective_and_gradient_are_the_reference_ones(case, calibrated, suffix):
    value, gradient = VALUE_AND_GRADIENT(case["W"], case["X"], calibrated=calibrated)
    np.testing.assert_allclose(value, case[f"objective{suffix}"], rtol=1e-9)
    np.testing.assert_allclose(gradient, case[f"grad{suffix}"], rtol=1e-9, atol=1e-9)


def test_with_both_weights_one_it_is_the_objective_of_linear_corex(case):
    synergies = case["lin/S_cal"].sum()
    value = linear.objective(case["W"], case["X"])
    np.testing.assert_allclose(value, case["TC_XZ"] - case["TC_Z"] - synergies, rtol=1e-12)
    np.testing.assert_allclose(value, corex.explained_total_correlation(case["W"], case["X"]), rtol=1e-12)
    np.testing.assert_allclose(value, case["orig_TC"], rtol=1e-12)


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_weights_are_those_of_synergy_and_capacity(case, calibrated):
    """By the measures of `information.synergy`, for every variable."""
    weights, x = case["W"], case["X"]
    signal = weights @ x.T @ x @ weights.T / len(x)
    covariance = np.block([[x.T @ x, x.T @ x @ weights.T], [weights @ x.T @ x, len(x) * (signal + np.eye(3))]]) / len(x)
    measured = [synergy.gaussian(covariance[np.ix_(chosen, chosen)]) for chosen in ([i, 12, 13, 14] for i in range(12))]
    lost = sum(one.calibrated_synergy if calibrated else one.synergy for one in measured)
    capacity = np.log1p(np.diagonal(signal)).sum() / 2
    for synergy_weight, capacity_weight in ((0.0, 1.0), (0.5, 0.0), (2.0, 0.3)):
        of_weights = {"synergy_weight": synergy_weight, "capacity_weight": capacity_weight, "calibrated": calibrated}
        expected = sum(one.information for one in measured) - synergy_weight * lost - capacity_weight * capacity
        np.testing.assert_allclose(linear.objective(weights, x, **of_weights), expected, rtol=1e-10)


def test_weights_may_be_traced(case):
    by_weight = jax.jit(lambda weight: linear.objective(case["W"], case["X"], synergy_weight=weight))
    np.testing.assert_allclose(by_weight(1.0), case["objective"], rtol=1e-12)


@pytest.fixture(scope="module")
def fit(case):
    return linear.fit(KEY, case["X"], 3)


def test_the_fit_is_the_published_one_or_better(case, fit):
    assert fit.converged
    assert fit.total_correlation >= case["fit_TC"] - 0.01
    assert adjusted_rand_score(corex.clusters(fit), case["fit_clusters"]) == 1
    np.testing.assert_allclose(fit.total_correlation, linear.objective(fit.weights, case["X"]), rtol=1e-9)


def test_a_path_of_weights_goes_on_from_where_it_has_come_to(case):
    path = linear.fit(KEY, case["X"], 3, restarts=2, synergy_weight=(0.0, 1.0, 2.0))
    end = linear.objective(path.weights, case["X"], synergy_weight=2.0)
    np.testing.assert_allclose(path.total_correlation, end, rtol=1e-9)
    # from the end of the path nothing more is found
    on = linear.fit(KEY, case["X"], 3, synergy_weight=2.0, initial_weights=path.weights)
    np.testing.assert_allclose(on.total_correlation, end, atol=1e-4)
    assert len(on.history) < len(path.history)


def test_noise_that_stays_bounds_what_copies_are_worth(case):
    x = np.repeat(case["X"][:, :4], 3, axis=1)
    with pytest.warns(UserWarning, match=r"variables are copies of each other.*such as noise=0\.1"):
        assert linear.fit(KEY, x, 3, restarts=2, noises=(0.0,)).diverged
    bounded = linear.fit(KEY, x, 3, restarts=2, noise=0.1)
    assert bounded.converged
    # it is the optimum for variables that are mixed with such noise
    standardised = (x - x.mean(0)) / x.std(0)
    moments = corex.factor_moments(bounded.weights, standardised, noise=0.1)
    np.testing.assert_allclose(bounded.moments.correlations, moments.correlations, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(bounded.history[-1], moments.total_correlation, rtol=1e-6)
    again = linear.fit(KEY, x, 3, noise=0.1, initial_weights=bounded.weights)
    np.testing.assert_allclose(again.total_correlation, bounded.total_correlation, atol=1e-4)
    assert len(again.history) < 10


def test_units_offsets_and_constant_columns_make_no_difference(case, fit):
    x = case["X"] * np.logspace(-3, 3, 12) + 1e5
    table = np.insert(x, [0, 5], 7.0, axis=1)
    again = linear.fit(KEY, table, 3)
    np.testing.assert_array_equal(again.preprocessing.kept, np.delete(np.arange(14), [0, 6]))
    np.testing.assert_allclose(again.total_correlation, fit.total_correlation, atol=1e-4)
    np.testing.assert_allclose(corex.transform(again, table), corex.transform(fit, case["X"]), atol=1e-2)


def test_the_order_of_rows_and_columns_makes_no_difference(case, fit):
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(500), rng.permutation(12)
    again = linear.fit(KEY, case["X"][rows][:, columns], 3)
    np.testing.assert_allclose(again.total_correlation, fit.total_correlation, atol=1e-6)
    np.testing.assert_array_equal(corex.clusters(again), corex.clusters(fit)[columns])


def test_correlated_factors_are_recovered_group_by_group():
    for correlation in (0.0, 0.5, 0.8):
        truth = data.correlated_groups(jax.random.key(1), 24, 3, correlation=correlation)
        x = data.sample_latent_factors(jax.random.key(2), truth, 500)
        found = corex.clusters(linear.fit(KEY, x, 3, restarts=4))
        assert adjusted_rand_score(truth.parents, found) == 1


@pytest.mark.filterwarnings("ignore:the fit ended at something infinite")
@pytest.mark.parametrize("m", [3, 12])
def test_factors_of_words_are_letters(m):
    """As in the published experiment: every second pixel of fixed images, some of them copies of each other."""
    case, grid = reference("minsyn_words"), data.word_grid()
    pixels = data.words(grid.words).images[:, ::2, ::2].reshape(512, -1).astype(float)
    found = linear.fit(KEY, pixels[grid.valid], m)
    np.testing.assert_array_equal(found.preprocessing.kept, np.flatnonzero(case["keep"]))
    assert evaluation.factorial_purity(corex.transform(found, pixels), grid.labels).purity >= 0.99
    assert found.total_correlation >= 0.98 * case[f"m{m}/minsyn_TC"].max()


def test_of_things_that_are_grue_it_returns_colour_and_time():
    things = data.grue_bleen(KEY, 500, pixels=6, agreement=0.7)
    codes = corex.transform(linear.fit(KEY, things.x, 2, restarts=2), things.x)
    found = np.abs(np.corrcoef(codes.T, np.stack([things.colour, things.time, things.grue]))[:2, 2:])
    np.testing.assert_array_less(0.9, found[:, :2].max(0))
    assert set(found[:, :2].argmax(0)) == {0, 1}
    assert found[:, 2].max() < 0.2


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: linear.fit(KEY, x, 0), "num_factors must be at least 1, got 0"),
        (lambda x: linear.fit(KEY, x, 13), r"num_factors must lie in \[1, 12\], .*, got 13"),
        (lambda x: linear.fit(KEY, x, 2, restarts=0), "restarts must be at least 1, got 0"),
        (
            lambda x: linear.fit(KEY, x, 2, synergy_weight=-1.0),
            "synergy_weight must be finite and not negative",
        ),
        (lambda x: linear.fit(KEY, x, 2, synergy_weight=()), "synergy_weight must be a number or several, got none"),
        (lambda x: linear.fit(KEY, x, 2, overlapping=True), "overlapping is not a setting of MinSyn: synergy_weight"),
        (lambda x: linear.fit(KEY, x * np.nan, 2), "missing"),
        (lambda x: linear.objective(jnp.ones((2, 3)), x), r"over the same variables, got shapes \(2, 3\) and"),
        (
            lambda x: linear.objective(jnp.ones((2, 12)), x, capacity_weight=-1),
            "capacity_weight must be finite",
        ),
    ],
)
def test_what_cannot_be_is_refused(case, call, words):
    with pytest.raises(ValueError, match=words):
        call(case["X"])
