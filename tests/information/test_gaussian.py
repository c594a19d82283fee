"""Gaussian information against SciPy, an integral of the densities, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from infotheory_dl.information.gaussian import (
    conditional_mutual_information,
    entropy,
    kl_divergence,
    mutual_information,
    total_correlation,
)


def random_gaussian(seed, variables=5):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(variables, variables))
    return rng.normal(size=variables), factor @ factor.T + 0.1 * np.eye(variables)


def test_divergence_equals_its_formula():
    (mean, covariance), (other_mean, other_covariance) = random_gaussian(0), random_gaussian(1)
    precision, shift = np.linalg.inv(other_covariance), other_mean - mean
    logs = np.linalg.slogdet(other_covariance)[1] - np.linalg.slogdet(covariance)[1]
    expected = (np.trace(precision @ covariance) - 5 + shift @ precision @ shift + logs) / 2
    np.testing.assert_allclose(kl_divergence(mean, covariance, other_mean, other_covariance), expected, rtol=1e-12)


def test_divergence_of_one_variable_is_the_integral_of_the_densities():
    first, second = stats.norm(0.3, 0.8), stats.norm(-0.2, 1.5)
    expected, _ = integrate.quad(lambda x: first.pdf(x) * (first.logpdf(x) - second.logpdf(x)), -9, 9)
    divergence = kl_divergence(np.array([0.3]), np.array([[0.64]]), np.array([-0.2]), np.array([[2.25]]))
    np.testing.assert_allclose(divergence, expected, rtol=1e-9)


def test_divergence_of_near_equal_covariances_does_not_cancel():
    mean, covariance = random_gaussian(2, variables=50)
    # KL(N(0, (1 + e) S) || N(0, S)) = 50 (e - log(1 + e)) / 2 = 12.5 e^2 up to third order
    divergence = kl_divergence(mean, (1 + 1e-6) * covariance, mean, covariance)
    np.testing.assert_allclose(divergence, 12.5e-12, rtol=1e-3)


def test_divergence_broadcasts_over_means_and_covariances():
    mean, covariance = random_gaussian(3)
    others = [random_gaussian(seed) for seed in (4, 5, 6)]
    means, covariances = (np.stack(parts) for parts in zip(*others, strict=True))
    batched = jax.jit(kl_divergence)(mean, covariance, means, covariances)
    np.testing.assert_allclose(batched, [kl_divergence(mean, covariance, *other) for other in others], rtol=1e-12)


def test_entropy_equals_scipy_and_follows_single_precision():
    mean, covariance = random_gaussian(7)
    expected = stats.multivariate_normal(mean, covariance).entropy()
    np.testing.assert_allclose(entropy(np.stack([covariance, covariance])), [expected, expected], rtol=1e-12)
    single = entropy(jnp.asarray(covariance, jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, expected, rtol=1e-5)


def test_mutual_information_of_groups_is_the_entropies_that_they_share():
    _, covariance = random_gaussian(8)
    first, second = np.array([3, 0]), np.array([4, 1])
    both = np.concatenate([first, second])
    alone = [entropy(covariance[np.ix_(group, group)]) for group in (first, second, both)]
    shared = mutual_information(np.stack([covariance, 4 * covariance]), first, second)
    np.testing.assert_allclose(shared, [alone[0] + alone[1] - alone[2]] * 2, rtol=1e-12)
    np.testing.assert_allclose(mutual_information(covariance, second, first), shared[0], rtol=1e-12)


def test_conditional_information_follows_the_chain_rule():
    _, covariance = random_gaussian(10)
    first, second, given = np.array([3, 0]), np.array([4]), np.array([1, 2])
    known = conditional_mutual_information(np.stack([covariance, 4 * covariance]), first, second, given)
    both = mutual_information(covariance, first, np.concatenate([second, given]))
    np.testing.assert_allclose(known, [both - mutual_information(covariance, first, given)] * 2, rtol=1e-11)


def test_total_correlation_is_the_sum_of_the_entropies_less_that_of_all():
    _, covariance = random_gaussian(9)
    alone = sum(entropy(covariance[i : i + 1, i : i + 1]) for i in range(5))
    np.testing.assert_allclose(total_correlation(covariance), alone - entropy(covariance), rtol=1e-12)
    assert total_correlation(np.diag([1.0, 2.0, 3.0])) == 0


@pytest.mark.parametrize("units", [1e-40, 1e15, 1e100])
def test_units_beyond_single_precision_cost_nothing_in_it(units):
    mean, covariance = random_gaussian(11)
    other_mean, other_covariance = random_gaussian(12)
    scales = np.array([units, 1, 1 / units, 1, units])
    change = np.outer(scales, scales)
    first, second = np.array([0, 1]), np.array([2, 4])
    expected = kl_divergence(mean, covariance, other_mean, other_covariance)
    with jax.enable_x64(False):
        changed = covariance * change
        grown = entropy(changed) - np.log(scales).sum()
        np.testing.assert_allclose(grown, entropy(covariance), rtol=1e-4)
        np.testing.assert_allclose(total_correlation(changed), total_correlation(covariance), rtol=1e-5)
        shared = mutual_information(covariance, first, second)
        np.testing.assert_allclose(mutual_information(changed, first, second), shared, rtol=1e-5)
        divergence = kl_divergence(mean * scales, changed, other_mean * scales, other_covariance * change)
        np.testing.assert_allclose(divergence, expected, rtol=1e-4)
        offset = 1e9
        moved = kl_divergence(mean + offset, covariance, other_mean + offset, other_covariance)
        np.testing.assert_allclose(moved, expected, rtol=1e-4)


def test_weak_dependence_does_not_cancel():
    correlation = np.array([[1, 1e-9], [1e-9, 1]])
    np.testing.assert_allclose(mutual_information(correlation, np.array([0]), np.array([1])), 5e-19, rtol=1e-6)
    np.testing.assert_allclose(total_correlation(correlation), 5e-19, rtol=1e-6)


@pytest.mark.parametrize("second", [[1, 2], [3, 5], [-1]])
def test_groups_of_variables_must_be_distinct_and_there(as_a_user_sees, second):
    with pytest.raises(ValueError, match=r"the groups must be distinct variables in \[0, 5\), got \[0 1\]"):
        mutual_information(np.eye(5), np.array([0, 1]), np.array(second))
    with pytest.raises(ValueError, match=r"the groups must be distinct variables in \[0, 5\), got \[0 1\] and \[4\]"):
        conditional_mutual_information(np.eye(5), np.array([0, 1]), np.array([4]), np.array(second))


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (-np.eye(2), "covariance must be positive definite"),
        (np.ones((2, 3)), r"covariance must be square .* got shape \(2, 3\)"),
        (np.full((2, 2), np.nan), "covariance has 4 of 4 entries"),
        (np.eye(3), r"over the same variables, got sizes \[2, 3\]"),
    ],
)
def test_impossible_covariances_are_refused_in_words(as_a_user_sees, covariance, message):
    with pytest.raises(ValueError, match=message):
        kl_divergence(np.zeros(2), covariance, np.zeros(2), np.eye(2))
