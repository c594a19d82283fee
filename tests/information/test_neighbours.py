"""Nearest-neighbour information against closed forms and against its definition, sample by sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import digamma

from infotheory_dl.information.neighbours import entropy, mixed_mutual_information, mutual_information


def gaussian_pair(seed, samples, correlation):
    covariance = [[1, correlation], [correlation, 1]]
    return np.random.default_rng(seed).multivariate_normal([0, 0], covariance, size=samples)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_gaussians_have_their_closed_forms(correlation):
    pair = gaussian_pair(0, 1500, correlation)
    information = -np.log(1 - correlation**2) / 2
    np.testing.assert_allclose(mutual_information(pair[:, :1], pair[:, 1:]), information, atol=0.07)
    np.testing.assert_allclose(entropy(pair), np.log(2 * np.pi * np.e) - information, atol=0.07)


def test_information_equals_its_definition():
    pair = gaussian_pair(1, 40, 0.7)
    distances = np.abs(pair[:, None] - pair)
    radius = np.sort(distances.max(-1), axis=1)[:, 3]
    counts = (distances < radius[:, None, None]).sum(1) - 1
    expected = digamma(3) + digamma(40) - digamma(counts + 1).sum(1).mean()
    np.testing.assert_allclose(mutual_information(pair[:, :1], pair[:, 1:]), expected, rtol=1e-12)


def test_mixed_information_is_the_difference_of_entropies():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 60)
    x = rng.normal(size=(60, 2)) + labels[:, None]
    expected = entropy(x) - sum((labels == c).mean() * entropy(x[labels == c]) for c in range(3))
    np.testing.assert_allclose(mixed_mutual_information(x, labels), expected, rtol=1e-12)


def test_mixed_information_of_shifted_gaussians_is_the_integral_of_their_densities():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 1500)
    x = rng.normal(size=(1500, 1)) + 2 * labels[:, None]
    mixture = lambda v: (stats.norm.pdf(v) + stats.norm.pdf(v, 2)) / 2
    expected = integrate.quad(lambda v: -mixture(v) * np.log(mixture(v)), -8, 10)[0] - stats.norm.entropy()
    np.testing.assert_allclose(mixed_mutual_information(x, labels), expected, atol=0.07)


def test_excluded_samples_do_not_matter():
    rng = np.random.default_rng(4)
    x, labels, valid = rng.normal(size=(50, 1)), rng.integers(0, 2, 50), np.arange(50) < 40
    expected = mixed_mutual_information(x[:40], labels[:40])
    np.testing.assert_allclose(mixed_mutual_information(x, labels, valid=valid), expected, rtol=1e-12)


def test_a_class_with_no_more_samples_than_neighbours_is_nan_and_warns():
    x, labels = np.random.default_rng(5).normal(size=(20, 1)), np.array([1, 1, 1] + [0] * 17)
    with pytest.warns(UserWarning, match="label 1 has 3 samples, no more than the 3 neighbours"):
        assert jnp.isnan(mixed_mutual_information(x, labels))
    assert jnp.isfinite(mixed_mutual_information(x, labels, neighbours=2))


def test_ties_are_minus_infinity_and_a_key_breaks_them():
    tied = np.repeat(np.arange(5.0), 8)[:, None]
    assert entropy(tied) == -jnp.inf
    assert jnp.isfinite(entropy(tied, key=jax.random.key(0)))
    assert jnp.isfinite(entropy(tied.astype(np.float32), key=jax.random.key(0)))


def test_it_follows_single_precision_and_traces():
    pair = gaussian_pair(6, 100, 0.5)
    single = jax.jit(mutual_information)(pair[:, :1].astype(np.float32), pair[:, 1:].astype(np.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, mutual_information(pair[:, :1], pair[:, 1:]), atol=1e-5)


def test_bad_samples_are_named(as_a_user_sees):
    x = np.zeros((10, 1))
    with pytest.raises(ValueError, match=r"x must have 2 axes \(samples, variables\), got shape \(10,\)"):
        mutual_information(x[:, 0], x)
    with pytest.raises(ValueError, match=r"neighbours must lie in \[1, 2\], fewer than the samples, got 3"):
        entropy(x[:3])
    with pytest.raises(ValueError, match="x and y must have one length, got 10 and 9"):
        mutual_information(x, x[:9])
    with pytest.raises(ValueError, match="labels must be one for each of the 10 examples, got 9"):
        mixed_mutual_information(x, np.zeros(9, int))
    with pytest.raises(ValueError, match="x has 10 of 10 entries that are NaN"):
        mixed_mutual_information(np.full((10, 1), np.nan), np.zeros(10, int))
