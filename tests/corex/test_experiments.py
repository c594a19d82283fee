"""What the experiments compare with and measure by: the time-varying graphical lasso, losses, portfolios."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.covariance import graphical_lasso

from experiments.corex import baselines as baselines
from experiments.corex import markets as markets

SAMPLES = np.random.default_rng(0).normal(size=(3, 40, 6)) @ np.random.default_rng(1).normal(size=(6, 6))


def correlations():
    return jnp.asarray(np.stack([np.corrcoef(x.T) for x in SAMPLES]))


def test_without_a_cost_of_change_every_period_is_the_graphical_lasso():
    found = baselines.time_varying_graphical_lasso(correlations(), 0.2, 0.0, num_iterations=2000)
    for inverse, correlation in zip(found, correlations(), strict=True):
        _, expected = graphical_lasso(np.asarray(correlation), 0.2, tol=1e-8, enet_tol=1e-12, max_iter=1000)
        np.testing.assert_allclose(inverse, expected, atol=1e-4)


def test_a_large_cost_of_change_leaves_the_graphical_lasso_of_the_mean():
    found = baselines.time_varying_graphical_lasso(correlations(), 0.1, 100.0, num_iterations=20000)
    _, expected = graphical_lasso(np.asarray(correlations().mean(0)), 0.1, tol=1e-8, enet_tol=1e-12, max_iter=1000)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-3)


def test_the_loss_is_the_mean_negative_log_density():
    covariances = np.stack([np.cov(x.T) + np.eye(6) for x in SAMPLES])
    expected = [-stats.multivariate_normal(np.zeros(6), c).logpdf(x) for c, x in zip(covariances, SAMPLES, strict=True)]
    np.testing.assert_allclose(
        baselines.gaussian_loss(covariances, baselines.second_moments(SAMPLES)), np.mean(expected), rtol=1e-12
    )


def test_periods_are_the_last_days_each_day_in_one_split():
    series = np.arange(50.0)[:, None]
    splits = markets.shuffled_periods(series, (4, 2, 1), 3, np.random.default_rng(0))
    assert [part.shape for part in splits] == [(3, 4, 1), (3, 2, 1), (3, 1, 1)]
    periods = np.concatenate(splits, axis=1)[..., 0]
    np.testing.assert_array_equal(np.sort(periods), np.arange(28.0, 49).reshape(3, 7))


def test_portfolios_have_the_least_variance_that_their_return_allows():
    pytest.importorskip("cvxpy")
    mean, covariance = np.array([0.1, 0.5, -0.2, 0.3]), np.cov(SAMPLES[0, :, :4].T)
    for value, shares in zip([0.0, 0.4], markets.frontier(mean, covariance, np.array([0.0, 0.4])), strict=True):
        found = optimize.minimize(
            lambda x: x @ covariance @ x,
            np.full(4, 0.25),
            bounds=4 * [(0, 1)],
            constraints=[
                {"type": "eq", "fun": lambda x: x.sum() - 1},
                {"type": "ineq", "fun": lambda x, value=value: mean @ x - value},
            ],
            method="SLSQP",
            tol=1e-12,
        )
        np.testing.assert_allclose(shares, found.x, atol=1e-4)
