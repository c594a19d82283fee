"""Whole fits against the published ones, by every solver."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from infotheory_dl.corex import linear
from infotheory_dl.corex.correlations import independent_loadings
from infotheory_dl.corex.objectives import Objective
from infotheory_dl.corex.solvers import quasi_newton
from infotheory_dl.information import low_rank
from infotheory_dl.types import Scalar
from tests.conftest import reference

KEY = jax.random.key(0)


def of_unit_noise(weights, x):
    """The published weights of the quasi-Newton solver, which are those of normalized factors, in our units."""
    return weights / np.sqrt(1 - np.square(x @ weights.T).mean(0))[:, None]


def published_fit(tag, **settings):
    case = reference("corex_qn_fit")
    x = case["outl_x" if tag == "outl" else "x_raw"]
    published = {k[len(tag) + 1 :]: v for k, v in case.items() if k.startswith(tag + "_")}
    start = of_unit_noise(published["w0"], published["x_pre"])
    return linear.fit(KEY, x, 4, **{"noises": linear.NOISE_SCHEDULE, "initial_weights": start, **settings}), published


@pytest.mark.parametrize(
    ("tag", "settings"),
    [
        ("std", {}),
        ("outl", {"preprocessing": "published_outliers"}),
        ("emp", {"preprocessing": "empirical"}),
        ("noanneal", {"noises": None}),
    ],
)
def test_fits_follow_the_published_ones_to_the_last_iteration(tag, settings):
    model, published = published_fit(tag, **settings)
    assert model.converged
    assert not model.diverged
    np.testing.assert_allclose(model.history, published["TC_history"], rtol=1e-9)
    scale = np.sqrt(1 - model.moments.signal_shares)[:, None]
    np.testing.assert_allclose(scale * model.weights, published["ws"], rtol=1e-8)
    np.testing.assert_allclose(model.total_correlation, published["TC"], rtol=1e-9)
    np.testing.assert_allclose(model.total_correlations, published["TCs"], rtol=1e-9)
    np.testing.assert_allclose(model.mutual_informations, published["mis"], rtol=1e-7, atol=1e-10)
    np.testing.assert_array_equal(linear.clusters(model), published["clusters_mi"])
    np.testing.assert_array_equal(linear.clusters(model, by="weight"), published["clusters"])
    if "cov" in published:
        covariance = linear.covariance(model)
        np.testing.assert_allclose(low_rank.to_dense(covariance), published["cov"], rtol=1e-8, atol=1e-12)


class Readers(NamedTuple):
    """An objective that is not the library's: what factors tell of each variable, less synergy, less capacity."""

    synergy_weight: Scalar
    capacity_weight: Scalar

    def __call__(self, correlations):
        together = Objective(calibrated=None, joint=1.0, capacity=0.0)(correlations)
        synergy = together - Objective(capacity=0.0)(correlations)
        return together - self.synergy_weight * synergy - self.capacity_weight * correlations.informations.sum(-1)

    def loadings(self, correlations):
        return independent_loadings(correlations.variables)


def test_an_objective_of_another_type_is_fitted_by_the_same_solvers():
    model, published = published_fit("std", objective=Readers(1.0, 1.0))
    np.testing.assert_allclose(model.history, published["TC_history"], rtol=1e-9)
    np.testing.assert_allclose(low_rank.to_dense(linear.covariance(model)), published["cov"], rtol=1e-8, atol=1e-12)

    # its leaves may be an axis of fits, without and with synergy
    x = jnp.asarray(published["x_pre"])
    start = jnp.asarray(of_unit_noise(published["w0"], x))
    climb = lambda objective: quasi_newton.solve(
        x, start, jnp.zeros(1), objective=objective, tolerance=1e-5, max_iterations=200
    )
    solutions = jax.jit(jax.vmap(climb))(Readers(jnp.array([0.0, 1.0]), jnp.ones(2)))
    assert solutions.converged.all()
    for i, ours in enumerate((linear.OVERLAPPING, linear.CORRELATION_EXPLANATION)):
        reached = linear.factor_moments(solutions.weights[i], x, objective=ours).total_correlation
        np.testing.assert_allclose(solutions.history[i, solutions.num_iterations[i] - 1], reached, rtol=1e-9)


def test_transforms_predictions_and_likelihoods_of_new_data_are_the_published_ones():
    model, published = published_fit("std")
    x = reference("corex_qn_fit")["x_test"]
    factors = linear.transform(model, x)
    scale = np.sqrt(1 - model.moments.signal_shares)
    np.testing.assert_allclose(scale * factors, published["transform_test"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(linear.predict(model, factors), published["predict_test"], rtol=1e-8, atol=1e-12)
    log_density = low_rank.log_density(linear.covariance(model), x)
    np.testing.assert_allclose(-log_density.mean(), published["nll_test"], rtol=1e-9)


def test_the_fit_of_compressed_rows_has_the_moments_of_all_rows():
    model, _ = published_fit("std")
    x = reference("corex_qn_fit")["std_x_pre"]
    assert len(x) > x.shape[1]
    for compressed, whole in zip(model.moments, linear.factor_moments(model.weights, x), strict=True):
        np.testing.assert_allclose(compressed, whole, rtol=1e-9, atol=1e-12)


def test_the_published_overlapping_fit_is_followed_and_the_quasi_newton_solver_overtakes_it():
    case = reference("corex_qn_fit")
    start = {"overlapping": True, "initial_weights": case["syn_w0"]}
    published = linear.fit(KEY, case["x_raw"], 4, solver="fixed_point", **start)
    np.testing.assert_allclose(published.history, case["syn_TC_history"], rtol=1e-9)
    np.testing.assert_allclose(published.total_correlation, case["syn_TC"], rtol=1e-9)
    # the published clusters are by weights of factors of unit noise
    np.testing.assert_array_equal(np.abs(published.weights).argmax(0), case["syn_clusters"])
    np.testing.assert_array_equal(linear.clusters(published), case["syn_clusters_mi"])
    np.testing.assert_allclose(low_rank.to_dense(linear.covariance(published)), case["syn_cov"], rtol=1e-8, atol=1e-12)
    ours = linear.fit(KEY, case["x_raw"], 4, **start)
    assert ours.converged
    assert ours.total_correlation > published.total_correlation
    assert np.argmax(ours.history >= case["syn_TC"]) < len(published.history) / 4


def test_adam_without_sampling_finds_the_published_clusters_at_the_published_likelihood():
    case = reference("corex_adam")
    schedule = {"noises": linear.NOISE_SCHEDULE, "initial_weights": case["w0"]}
    model = linear.fit(KEY, case["x_raw"], 4, solver="adam", **schedule)
    assert model.converged
    assert adjusted_rand_score(linear.clusters(model), case["fit_clusters"]) == 1
    log_density = low_rank.log_density(linear.covariance(model), case["x_test"])
    np.testing.assert_allclose(-log_density.mean(), case["fit_nll_test_mean"], rtol=0.01)
    # it climbs the same hill as the quasi-Newton solver
    np.testing.assert_allclose(model.total_correlation, reference("corex_qn_fit")["std_TC"], rtol=1e-3)
    sampled = linear.fit(KEY, case["x_raw"], 4, solver="adam", sampled=True, max_iterations=400)
    assert adjusted_rand_score(linear.clusters(sampled), case["fit_clusters"]) == 1
