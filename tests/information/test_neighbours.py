"""Nearest-neighbour information against closed forms, peers, and its definition, sample by sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import digamma

from infotheory_dl.information.neighbours import (
    conditional_mutual_information,
    entropy,
    mixed_mutual_information,
    mutual_information,
)


def gaussian_pair(seed, samples, correlation):
    covariance = [[1, correlation], [correlation, 1]]
    return np.random.default_rng(seed).multivariate_normal([0, 0], covariance, size=samples)


def in_units(x):
    """Each column in units of its spread: what nine tenths of the deviations from the median are within."""
    deviations = np.abs(x - np.median(x, axis=0))
    return x / [np.quantile(column[column > 0], 0.9, method="inverted_cdf") for column in deviations.T]


def all_distances(x):
    return np.abs(x[:, None] - x).max(-1)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_gaussians_have_their_closed_forms(correlation):
    pair = gaussian_pair(0, 1500, correlation)
    information = -np.log(1 - correlation**2) / 2
    np.testing.assert_allclose(mutual_information(pair[:, :1], pair[:, 1:]), information, atol=0.07)
    np.testing.assert_allclose(entropy(pair), np.log(2 * np.pi * np.e) - information, atol=0.07)
    other = np.random.default_rng(1).normal(size=(1500, 1))
    # the other variable adds to both what it shares with neither
    conditional = conditional_mutual_information(pair[:, :1] + other, pair[:, 1:] - other, other)
    np.testing.assert_allclose(conditional, information, atol=0.07)


def test_information_equals_its_definition():
    x, y = np.split(in_units(gaussian_pair(1, 40, 0.7)), 2, axis=1)
    distances = all_distances(x), all_distances(y)
    radius = np.sort(np.maximum(*distances), axis=1)[:, 3:4]
    counts = [(d < radius).sum(1) - 1 for d in distances]
    expected = digamma(3) + digamma(40) - sum(digamma(c + 1) for c in counts).mean()
    np.testing.assert_allclose(mutual_information(x, y), expected, rtol=1e-12)


def test_conditional_information_equals_its_definition():
    random = np.random.default_rng(2)
    x, y, z = (in_units(random.normal(size=(40, columns))) for columns in (1, 2, 2))
    x, y = in_units(x + z[:, :1]), in_units(y + z[:, 1:])
    radius = np.sort(all_distances(np.hstack([x, y, z])), axis=1)[:, 3:4]
    counts = [(all_distances(np.hstack(group)) < radius).sum(1) for group in ((x, z), (y, z), (z,))]
    expected = digamma(3) - (digamma(counts[0]) + digamma(counts[1]) - digamma(counts[2])).mean()
    np.testing.assert_allclose(conditional_mutual_information(x, y, z), expected, rtol=1e-12)


def test_entropies_of_both_make_the_mixed_information():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 60)
    x = rng.normal(size=(60, 1)) + labels[:, None]
    expected = entropy(x) - sum((labels == c).mean() * entropy(x[labels == c]) for c in range(3))
    np.testing.assert_allclose(mixed_mutual_information(x, labels), expected, rtol=1e-12)


def test_the_estimator_of_ross_equals_its_definition():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 60)
    x = in_units(rng.normal(size=(60, 2)) + labels[:, None])
    distances, alike = all_distances(x), labels[:, None] == labels
    radius = np.sort(np.where(alike, distances, np.inf), axis=1)[:, 3:4]
    nearer = (distances < radius).sum(1)
    expected = digamma(60) + digamma(3) - (digamma(alike.sum(1)) + digamma(nearer)).mean()
    np.testing.assert_allclose(mixed_mutual_information(x, labels, estimator="ross"), expected, rtol=1e-12)
    # without ties that of Gao is the same, but for the logarithm of the number of samples
    gao = mixed_mutual_information(x, labels, estimator="gao")
    np.testing.assert_allclose(gao, expected + np.log(60) - digamma(60), rtol=1e-12)


def test_the_estimator_of_gao_counts_ties():
    """Against its definition, in whole numbers that are in units of their spread already."""
    rng = np.random.default_rng(4)
    x, y = rng.integers(-1, 2, (50, 1)), rng.integers(-1, 2, (50, 1))
    y[:20] = x[:20]
    distances, x_distances, y_distances = all_distances(np.hstack([x, y])), all_distances(x), all_distances(y)
    radius = np.sort(distances, axis=1)[:, 3]
    terms = [
        digamma((distances[i] == 0).sum()) - digamma((x_distances[i] == 0).sum()) - digamma((y_distances[i] == 0).sum())
        if radius[i] == 0
        else digamma(3) - digamma((x_distances[i] < radius[i]).sum()) - digamma((y_distances[i] < radius[i]).sum())
        for i in range(50)
    ]
    assert (radius == 0).any()
    expected = np.log(50) + np.mean(terms)
    for scale in (1, 0.1):
        observed = mutual_information(x * scale + 0.3, y, estimator="gao")
        np.testing.assert_allclose(observed, expected, rtol=1e-12)


def test_gao_of_a_variable_that_is_discrete_and_continuous_by_turns():
    """Half of the pairs are equal signs, the other half a Gaussian pair: the integral over both parts."""
    rng = np.random.default_rng(5)
    signs = np.repeat(rng.choice([-5.0, 5.0], (2000, 1)), 2, axis=1)
    pairs = np.where(rng.random((2000, 1)) < 0.5, signs, gaussian_pair(6, 2000, 0.8))
    # the part that a pair is of is known from either of its members, and adds a bit
    expected = np.log(2) + (np.log(2) - np.log(1 - 0.8**2) / 2) / 2
    np.testing.assert_allclose(mutual_information(pairs[:, :1], pairs[:, 1:], estimator="gao"), expected, atol=0.07)


@pytest.mark.parametrize("estimator", ["entropies", "ross", "gao"])
def test_mixed_information_of_shifted_gaussians_is_the_integral_of_their_densities(estimator):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 1500)
    x = rng.normal(size=(1500, 1)) + 2 * labels[:, None]
    mixture = lambda v: (stats.norm.pdf(v) + stats.norm.pdf(v, 2)) / 2
    expected = integrate.quad(lambda v: -mixture(v) * np.log(mixture(v)), -8, 10)[0] - stats.norm.entropy()
    np.testing.assert_allclose(mixed_mutual_information(x, labels, estimator=estimator), expected, atol=0.07)


def test_excluded_samples_do_not_matter():
    rng = np.random.default_rng(4)
    x, labels, valid = rng.normal(size=(50, 2)), rng.integers(0, 2, 50), np.arange(50) < 40
    expected = mixed_mutual_information(x[:40], labels[:40])
    x[40:] *= 1e6
    np.testing.assert_allclose(mixed_mutual_information(x, labels, valid=valid), expected, rtol=1e-12)
    traced = jax.jit(lambda labels: mixed_mutual_information(x, labels, valid=valid))
    np.testing.assert_allclose(traced(labels), expected, rtol=1e-12)


def test_rare_labels_are_left_out_with_their_names():
    rng = np.random.default_rng(5)
    x, names = rng.normal(size=(60, 1)), np.array(["a"] * 2 + ["b"] * 3 + ["c"] * 25 + ["d"] * 30)
    with pytest.warns(
        UserWarning, match=r"left out 5 of 60 samples, .* than the 3 neighbours to look at: a \(2\), b \(3\)"
    ):
        information = mixed_mutual_information(x, names)
    np.testing.assert_allclose(information, mixed_mutual_information(x[5:], names[5:]), rtol=1e-12)
    with pytest.warns(UserWarning, match=r"a \(2\); fewer neighbours keep them"):
        mixed_mutual_information(x, names, neighbours=2)
    with pytest.raises(
        ValueError, match=r"every label has no more samples than the 40 .*: a \(2\), b \(3\), c \(25\), d"
    ):
        mixed_mutual_information(x, names, neighbours=40)
    codes = jnp.asarray(np.unique(names, return_inverse=True)[1])
    assert jnp.isnan(jax.jit(mixed_mutual_information)(x, codes))


def test_more_than_k_equal_samples_have_an_entropy_of_minus_infinity_and_say_so():
    tied = np.repeat(np.arange(5.0), 8)[:, None]
    with pytest.warns(UserWarning, match="more than 3 samples are the same, .* to rounded values add noise"):
        assert entropy(tied) == -jnp.inf
    with pytest.warns(UserWarning, match="or a column does not vary"):
        assert entropy(np.hstack([np.random.default_rng(0).normal(size=(40, 1)), np.ones((40, 1))])) == -jnp.inf
    assert jnp.isfinite(entropy(tied, key=jax.random.key(0)))
    assert jnp.isfinite(entropy(tied.astype(np.float32), key=jax.random.key(0)))


def test_bad_samples_are_named(as_a_user_sees):
    x = np.zeros((10, 1))
    with pytest.raises(ValueError, match=r"x must have 2 axes \(samples, variables\), got shape \(10,\)"):
        mutual_information(x[:, 0], x)
    with pytest.raises(ValueError, match=r"neighbours must lie in \[1, 2\], fewer than the samples, got 3"):
        entropy(x[:3])
    with pytest.raises(ValueError, match="x and y must have one length, got 10 and 9"):
        mutual_information(x, x[:9])
    with pytest.raises(ValueError, match="x, y and given must have one length, got 10, 10 and 9"):
        conditional_mutual_information(x, x, x[:9])
    with pytest.raises(ValueError, match="labels must be one for each of the 10 examples, got 9"):
        mixed_mutual_information(x, np.zeros(9, int))
    with pytest.raises(ValueError, match="x has 10 of 10 entries that are NaN"):
        mixed_mutual_information(np.full((10, 1), np.nan), np.zeros(10, int))
    with pytest.raises(ValueError, match="unknown estimator 'best'; choose one of 'kraskov', 'gao'"):
        mutual_information(x, x, estimator="best")
    with pytest.raises(ValueError, match="unknown estimator 'best'; choose one of 'entropies', 'ross', 'gao'"):
        mixed_mutual_information(x, np.zeros(10, int), estimator="best")
