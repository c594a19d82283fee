"""Rows that follow one another are held against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.information.chance import permutation_null
from infotheory_dl.metrics import serial_correlation


def by_definition(values, groups):
    products = squares = 0.0
    for group in np.unique(groups):
        rows = values[groups == group] - values[groups == group].mean(0)
        products += (rows[1:] * rows[:-1]).sum()
        squares += (rows**2).sum()
    return products / squares


def test_it_equals_its_definition():
    random = np.random.default_rng(0)
    values, groups = random.normal(size=(40, 3)) + 1e4, random.integers(-2, 3, 40)
    np.testing.assert_allclose(serial_correlation(values, groups), by_definition(values, groups), rtol=1e-7)
    np.testing.assert_allclose(serial_correlation(values), by_definition(values, np.zeros(40)), rtol=1e-7)
    jitted = jax.jit(serial_correlation)(jnp.asarray(values), jnp.asarray(groups))
    np.testing.assert_allclose(jitted, by_definition(values, groups), rtol=1e-7)


def test_rows_that_repeat_have_half_in_common_and_constants_nothing():
    values = np.repeat(np.random.default_rng(1).normal(size=(2000, 2)), 2, axis=0)
    assert abs(float(serial_correlation(values)) - 0.5) < 0.03
    assert serial_correlation(np.full((10, 2), 0.1)) == 0


def test_permutations_tell_repeats_from_chance_at_their_level():
    random = np.random.default_rng(2)
    groups = random.integers(0, 3, 60)
    within = lambda x, y, given: serial_correlation(x, given)

    def p_value(values, seed):
        null = permutation_null(jax.random.key(seed), within, values, groups, given=groups, num_permutations=19)
        return float(null.p_value)

    shifted = lambda: random.normal(size=(60, 2)) + 5 * groups[:, None]
    assert np.mean([p_value(shifted(), seed) <= 0.05 for seed in range(40)]) <= 0.125
    assert p_value(np.cumsum(random.normal(size=(60, 2)), axis=0), 0) == 0.05


def test_wrong_calls_are_told(as_a_user_sees):
    with pytest.raises(ValueError, match="values"):
        serial_correlation(np.full((3, 1), np.nan))
    with pytest.raises(ValueError, match="groups"):
        serial_correlation(np.ones((3, 1)), np.zeros(2, int))
