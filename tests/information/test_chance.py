"""Permutation nulls and intervals against closed forms, and by how often they hold."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from infotheory_dl.information import copula, discrete, neighbours
from infotheory_dl.information.chance import halving_interval, permutation_null

KEY = jax.random.key(0)


def chain(seed, samples, strength):
    """x and y that depend on each other through z alone."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(samples, 1))
    return strength * z + random.normal(size=z.shape), strength * z + random.normal(size=z.shape), z


def test_a_null_is_that_of_the_discrete_estimator():
    random = np.random.default_rng(0)
    codes, selection = random.integers(0, 3, (40, 5)), random.integers(0, 2, (40, 5))
    estimate = lambda codes, selection: discrete.mutual_information(codes, selection, num_codes=3)
    null = permutation_null(KEY, estimate, codes, selection, num_permutations=400)
    other = discrete.permutation_null(KEY, codes, selection, num_codes=3, num_permutations=400)
    np.testing.assert_allclose(null.information, other.information, rtol=1e-12)
    np.testing.assert_allclose(null.mean, other.mean, atol=0.006)
    np.testing.assert_allclose(null.p_value, other.p_value, atol=0.12)


def test_what_depends_has_the_least_p_value_and_what_does_not_any():
    x, y, _ = chain(1, 100, 1.0)
    null = permutation_null(KEY, neighbours.mutual_information, x, y, num_permutations=39)
    assert null.p_value == 1 / 40
    assert abs(null.mean) < 0.05
    np.testing.assert_allclose(null.debiased, null.information - null.mean, rtol=1e-12)
    p_values = [
        permutation_null(KEY, copula.mutual_information, *chain(seed, 40, 0.0)[:2], num_permutations=19).p_value
        for seed in range(40)
    ]
    # uniform on 1/20, ..., 1, whose mean has a standard error of .046
    np.testing.assert_allclose(np.mean(p_values), 0.525, atol=0.14)


def test_what_is_given_keeps_its_part():
    """Of a chain x - z - y all permutations together find a dependence, those within cells of z do not."""
    x, y, z = chain(2, 400, 1.0)
    estimate = lambda x, y, z: copula.mutual_information(x, y)
    assert permutation_null(KEY, estimate, x, y, given=z, num_permutations=39).p_value > 0.05
    assert permutation_null(KEY, copula.mutual_information, x, y, num_permutations=39).p_value == 1 / 40
    direct = permutation_null(KEY, neighbours.conditional_mutual_information, x, y + x, given=z, num_permutations=19)
    assert direct.p_value == 1 / 20


def test_frames_lists_and_names_are_permuted_as_arrays_are():
    x, y, z = chain(7, 40, 1.0)
    names = np.where(z[:, 0] > 0, "high", "low")
    null = lambda x, y: permutation_null(KEY, neighbours.mutual_information, x, y, num_permutations=3)
    np.testing.assert_array_equal(null(pd.DataFrame(x), y.tolist()).mean, null(x, y).mean)
    mixed = lambda labels: halving_interval(KEY, neighbours.mixed_mutual_information, x, labels, num_halvings=3)
    np.testing.assert_array_equal(mixed(pd.Series(names)).interval, mixed((names == "low").astype(int)).interval)
    np.testing.assert_array_equal(mixed(names.tolist()).interval, mixed(names).interval)


def test_labels_that_are_given_are_strata():
    labels = np.array(["a", "b", "b"])[np.arange(60) % 3]
    seen = []

    def estimate(x, y, given):
        seen.append(x)
        return jnp.zeros(())

    permutation_null(KEY, estimate, np.arange(60)[:, None], np.zeros((60, 1)), given=labels, num_permutations=3)
    assert len(seen) == 4
    for x in seen:
        np.testing.assert_array_equal(np.sort(x[:, 0]), np.arange(60))
        np.testing.assert_array_equal(labels[x[:, 0]], labels)
    assert (seen[1] != seen[2]).any()


def test_nearly_the_same_values_are_in_cells_of_eight_samples_or_more():
    given = np.random.default_rng(3).normal(size=(100, 2))
    seen = []
    estimate = lambda x, y, given: seen.append(x[:, 0]) or jnp.zeros(())
    permutation_null(KEY, estimate, np.arange(100)[:, None], np.zeros((100, 1)), given=given, num_permutations=300)
    partners = (np.stack(seen)[:, :, None] == np.arange(100)).any(0)
    sizes = partners.sum(1)
    # 100 samples are halved three times
    assert set(sizes.tolist()) <= {12, 13}
    first = np.argsort(given[:, 0])
    assert not partners[np.ix_(first[:50], first[50:])].any()


def test_the_standard_error_of_a_mean_is_what_it_is_known_to_be():
    values = np.random.default_rng(4).exponential(size=51)
    interval = halving_interval(KEY, jnp.mean, values, num_halvings=2000)
    np.testing.assert_allclose(interval.standard_error, values.std(ddof=1) / np.sqrt(51), rtol=0.04)
    np.testing.assert_allclose(interval.information, values.mean(), rtol=1e-12)
    np.testing.assert_allclose(interval.mean_of_halves, values.mean(), rtol=0.01)
    reach = 1.959964 * interval.standard_error
    np.testing.assert_allclose(interval.interval, values.mean() + np.array([-reach, reach]), rtol=1e-6)
    narrow = halving_interval(KEY, jnp.mean, values, num_halvings=10, level=0.5)
    np.testing.assert_allclose(np.ptp(narrow.interval), 2 * 0.674490 * narrow.standard_error, rtol=1e-5)


@pytest.mark.parametrize("estimate", [neighbours.mutual_information, copula.mutual_information])
def test_the_standard_error_is_that_over_draws(estimate):
    draws = [chain(seed, 200, 1.0)[:2] for seed in range(40)]
    spread = np.std([estimate(x, y) for x, y in draws])
    errors = [halving_interval(KEY, estimate, x, y, num_halvings=10).standard_error for x, y in draws[:10]]
    np.testing.assert_allclose(np.mean(errors), spread, rtol=0.35)


def test_both_trace():
    x, y, z = chain(5, 30, 1.0)
    null = lambda x, y, z: permutation_null(KEY, copula.mutual_information, x, y, num_permutations=5)
    np.testing.assert_allclose(jax.jit(null)(x, y, z).mean, null(x, y, z).mean, atol=1e-12)
    of_key = lambda key: permutation_null(key, copula.mutual_information, x, y, num_permutations=5).mean
    np.testing.assert_allclose(jax.jit(of_key)(KEY), of_key(KEY), atol=1e-12)
    interval = lambda x, y: halving_interval(KEY, copula.mutual_information, x, y, num_halvings=3)
    np.testing.assert_allclose(jax.jit(interval)(x, y).interval, interval(x, y).interval, atol=1e-12)
    within = lambda x, y, z: permutation_null(KEY, lambda x, y, z: (x * y).mean(), x, y, given=z, num_permutations=5)
    np.testing.assert_allclose(jax.jit(within)(x, y, z).mean, within(x, y, z).mean, atol=1e-12)


def test_a_warning_of_an_estimator_is_said_once():
    x, labels = np.random.default_rng(6).normal(size=(40, 1)), np.array(["rare"] * 2 + ["often"] * 38)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        permutation_null(KEY, neighbours.mixed_mutual_information, x, labels, num_permutations=5)
    assert len([warning for warning in told if "rare (2)" in str(warning.message)]) == 1


def test_bad_settings_are_named(as_a_user_sees):
    x = np.zeros((10, 1))
    with pytest.raises(ValueError, match="num_permutations must be at least 1, got 0"):
        permutation_null(KEY, copula.mutual_information, x, x, num_permutations=0)
    with pytest.raises(ValueError, match="x, y and given must have one length, got 10, 10 and 9"):
        permutation_null(KEY, copula.mutual_information, x, x, given=x[:9])
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), got 1"):
        halving_interval(KEY, copula.mutual_information, x, x, level=1)
    with pytest.raises(ValueError, match="the number of samples must be at least 4, got 3"):
        halving_interval(KEY, copula.mutual_information, x[:3], x[:3])
