"""Moments and objective against the published code, their definitions, and each other's units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.corex import linear
from infotheory_dl.corex.correlations import (
    Correlations,
    add_noise,
    normalized_correlations,
    second_moment_product,
    unit_noise_correlations,
)
from infotheory_dl.corex.moments import all_moments
from infotheory_dl.corex.objectives import OVERLAPPING, Objective
from infotheory_dl.information.gaussian import mutual_information, total_correlation
from tests.conftest import reference

MOMENTS = jax.jit(all_moments)
PUBLISHED_NAMES = {
    "correlations": "rho",
    "factor_correlations": "ry",
    "signal_shares": "uj",
    "mutual_informations": "MI",
    "factor_informations": "I(Y_j ; X)",
    "variable_informations": "I(X_i ; Y)",
    "residual_variances": "X_i^2 | Y",
    "total_correlations": "TCs",
    "total_correlation": "TC",
    "total_correlation_no_overlap": "TC_no_overlap",
    "additivity": "additivity",
}


@pytest.mark.parametrize(("stage", "noise", "weights"), [("e0", 0.6, "w0"), ("e1", 0.36, "anneal_w_after")])
def test_moments_are_the_published_ones(stage, noise, weights):
    case = reference("corex_qn_steps")
    published = lambda name: case[f"{stage}_m0_{name}"]
    # the published weights are those of normalized factors
    of_unit_noise = case[weights] / np.sqrt(1 - published("uj"))[:, None]
    moments = linear.factor_moments(of_unit_noise, case["x"], noise=noise)
    for field, name in PUBLISHED_NAMES.items():
        np.testing.assert_allclose(getattr(moments, field), published(name), rtol=1e-10, atol=1e-14, err_msg=field)
    np.testing.assert_allclose(moments.regression.T, published("X_i Z_j"), rtol=1e-10, atol=1e-14)
    variance = 1 / (1 - moments.signal_shares)
    np.testing.assert_allclose(variance, published("Y_j^2"), rtol=1e-10)
    np.testing.assert_allclose((moments.correlations.T * np.sqrt(variance)), published("X_i Y_j"), rtol=1e-10)
    np.testing.assert_allclose(moments.loadings, published("rhoinvrho") / (1 + published("Si")), rtol=1e-10)
    # the published array lacks the sum over factors
    expected = published("I(X_i ; Y)").sum() - published("I(Y_j ; X)").sum()
    np.testing.assert_allclose(moments.total_correlation_direct, expected, rtol=1e-10)
    total = linear.explained_total_correlation(of_unit_noise, case["x"], noise=noise)
    np.testing.assert_allclose(total, published("TC"), rtol=1e-10)


def test_moments_of_the_overlapping_mode_are_the_published_ones():
    case = reference("corex_qn_steps")
    product = second_moment_product(case["syn_w0"], case["x"])
    moments = MOMENTS(unit_noise_correlations(case["syn_w0"], product), OVERLAPPING)
    for name in ("rho", "ry", "MI", "X_i^2 | Y", "TCs", "additivity", "TC"):
        field = {published: ours for ours, published in PUBLISHED_NAMES.items()}[name]
        np.testing.assert_allclose(getattr(moments, field), case[f"syn_m0_{name}"], rtol=1e-10, err_msg=field)
    covariance = case["syn_m0_X_i Z_j"] @ case["syn_m0_X_i Y_j"].T
    np.testing.assert_allclose(moments.loadings.T @ moments.loadings, covariance, rtol=1e-10, atol=1e-14)


def test_both_units_of_a_factor_have_the_same_correlations():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(30, 6)), 0.3 * rng.normal(size=(3, 6))
    product = second_moment_product(weights, x)
    unit = unit_noise_correlations(weights, product)
    scale = 1 / np.sqrt(1 + (weights * product).sum(1, keepdims=True))
    for ours, expected in zip(normalized_correlations(scale * weights, scale * product), unit, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-10)


def joint_correlation(correlations):
    """Of all factors and one variable, as one matrix, for each variable."""
    rho, factors, _ = map(np.asarray, correlations)
    return np.stack([np.block([[factors, r[:, None]], [r[None], np.ones((1, 1))]]) for r in rho.T])


def test_informations_are_those_of_the_joint_gaussian():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 7)) + rng.normal(size=(40, 7))
    x /= np.sqrt((x**2).mean(0))
    weights = 0.1 * rng.normal(size=(3, 7))
    correlations = unit_noise_correlations(weights, second_moment_product(weights, x))
    moments, joints = MOMENTS(correlations), joint_correlation(correlations)
    factors, variable = np.arange(3), np.array([3])
    together = mutual_information(joints, factors, variable)
    np.testing.assert_allclose(moments.variable_informations, together, rtol=1e-10)
    for factor in factors:
        alone = mutual_information(joints, factors[[factor]], variable)
        np.testing.assert_allclose(moments.mutual_informations[factor], alone, rtol=1e-10)
    # the factors are independent given X, so that I(Z; X) = sum_j I(Z_j; X) - TC(Z)
    information = moments.factor_informations.sum() - total_correlation(moments.factor_correlations)
    expected = np.linalg.slogdet(np.eye(3) + weights @ x.T @ x @ weights.T / 40)[1] / 2
    np.testing.assert_allclose(information, expected, rtol=1e-10)


def test_of_a_modular_model_the_objective_is_at_most_its_total_correlation_and_nears_it():
    # one parent: x_i = sqrt(1/2) z + noise, so that averaging many children recovers z
    gaps = []
    for variables in (10, 1000):
        covariance = np.full((variables, variables), 0.5) + 0.5 * np.eye(variables)
        root = np.linalg.cholesky(covariance).T * np.sqrt(variables)
        # of the factor's variance 0.998 are signal
        weights = np.ones((1, variables)) * np.sqrt(0.998 / 0.002 / covariance.sum())
        gaps.append(total_correlation(covariance) - linear.explained_total_correlation(weights, root))
    assert gaps[0] > 0
    assert 0 < gaps[1] < 3.5


def test_each_term_of_the_objective_is_what_its_reader_learns():
    rng = np.random.default_rng(2)
    rho = rng.uniform(-0.6, 0.6, (3, 5))
    factors = np.array([[1, 0.3, -0.2], [0.3, 1, 0.1], [-0.2, 0.1, 1]])
    correlations = Correlations(jnp.asarray(rho), jnp.asarray(factors), jnp.zeros(3))
    slopes = rho / (1 - rho**2)
    gain = (rho * slopes).sum(0)
    reading = slopes / (1 + gain)
    error = 1 - 2 * (reading * rho).sum(0) + np.einsum("ji,jk,ki->i", reading, factors, reading)
    nothing = {"calibrated": None, "capacity": 0.0}
    np.testing.assert_allclose(Objective(capacity=0.0)(correlations), -np.log(error).sum() / 2, rtol=1e-10)
    # the expected log of N(x; reading, 1 / (1 + gain)) / N(x; 0, 1)
    uncalibrated = (np.log(1 + gain) - (1 + gain) * error + 1).sum() / 2
    np.testing.assert_allclose(Objective(**nothing, uncalibrated=1.0)(correlations), uncalibrated, rtol=1e-10)
    joint = -np.log(1 - np.einsum("ji,jk,ki->i", rho, np.linalg.inv(factors), rho)).sum() / 2
    np.testing.assert_allclose(Objective(**nothing, joint=2.0)(correlations), 2 * joint, rtol=1e-10)


def test_sample_weights_are_repeated_samples_and_leading_axes_are_separate_fits():
    rng = np.random.default_rng(3)
    x, weights = rng.normal(size=(4, 5)), 0.1 * rng.normal(size=(2, 3, 5))
    counts = np.array([[1, 0, 2, 1], [3, 1, 0, 0]])
    product = second_moment_product(weights, x, sample_weights=counts / 4)
    batched = MOMENTS(unit_noise_correlations(weights, product))
    for period, count in enumerate(counts):
        alone = linear.factor_moments(weights[period], np.repeat(x, count, axis=0))
        for one, many in zip(alone, batched, strict=True):
            np.testing.assert_allclose(many[period], one, rtol=1e-10)
        given = linear.factor_moments(weights[period], x, sample_weights=count / 4)
        np.testing.assert_allclose(given.total_correlation, alone.total_correlation, rtol=1e-10)


def test_the_objective_is_differentiable():
    case = reference("corex_qn_steps")

    def by_normalized(weights):
        signal = (weights * add_noise(second_moment_product(weights, case["x"]), weights, 0.6)).sum(1)
        of_unit_noise = weights / jnp.sqrt(1 - signal)[:, None]
        return linear.explained_total_correlation(of_unit_noise, case["x"], noise=0.6)

    gradient = jax.jit(jax.grad(by_normalized))(case["w0"])
    np.testing.assert_allclose(gradient, -case["e0_s0_Sgrad"], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("weights", "x", "settings", "message"),
    [
        (np.zeros(3), np.eye(3), {}, r"weights must have 2 axes \(factors, variables\), got shape \(3,\)"),
        (np.zeros((1, 3)), np.zeros(3), {}, r"x must have 2 axes \(samples, variables\), got shape \(3,\)"),
        (np.zeros((1, 3)), np.eye(4), {}, r"over the same variables, got shapes \(1, 3\) and \(4, 4\)"),
        (np.zeros((1, 2)), np.full((2, 2), np.nan), {}, "x has 4 of 4 entries that are NaN or infinite"),
        (np.zeros((1, 2)), np.eye(2), {"sample_weights": np.ones(2)}, "sample_weights must be a distr.*adds up to 2"),
        (
            np.zeros((1, 2)),
            np.eye(2),
            {"sample_weights": np.ones(3)},
            "x and sample_weights must have one length",
        ),
        (np.zeros((1, 2)), np.eye(2), {"noise": 1.0}, r"noise must lie in \[0, 1\), got 1.0"),
    ],
)
def test_impossible_weights_are_refused_in_words(as_a_user_sees, weights, x, settings, message):
    with pytest.raises(ValueError, match=message):
        linear.factor_moments(weights, x, **settings)
