"""Discrete information against published values, brute force, resampling by hand and closed forms."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl.information.discrete import (
    ESTIMATORS,
    conditional_mutual_information,
    entropy,
    information_from_counts,
    joint_codes,
    joint_counts,
    mutual_information,
    permutation_null,
    ranks,
)
from tests.conftest import reference

CASES = reference("fcmi_mi_sgld")


def draws(seed, runs=30, rows=12, num_codes=4):
    rng = np.random.default_rng(seed)
    return rng.integers(0, num_codes, (runs, rows)), rng.integers(0, 2, (runs, rows))


def by_definition(codes, selection):
    runs = len(codes)
    joint = Counter(zip(codes.tolist(), selection.tolist(), strict=True))
    code, chosen = Counter(codes.tolist()), Counter(selection.tolist())
    return sum(count / runs * np.log(count * runs / (code[c] * chosen[s])) for (c, s), count in joint.items())


def test_plugin_equals_the_published_implementation():
    for case in ("mi0", "mi1", "mi2", "mi3", "mi5"):
        codes, selection = CASES[f"{case}_y"][:, None], CASES[f"{case}_x"][:, None]
        information = mutual_information(
            codes,
            selection,
            num_codes=int(CASES[f"{case}_ny"]),
            num_selections=int(CASES[f"{case}_nx"]),
        )
        np.testing.assert_allclose(information, [CASES[f"{case}_mi"]], atol=1e-12)


@pytest.mark.parametrize("num_codes", [4, 1000])
def test_plugin_equals_its_definition_with_few_codes_and_with_more_than_runs(num_codes):
    codes, selection = draws(0, num_codes=num_codes)
    expected = [by_definition(codes[:, row], selection[:, row]) for row in range(12)]
    information = mutual_information(codes, selection, num_codes=num_codes)
    np.testing.assert_allclose(information, expected, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.uint64])
def test_codes_of_any_width_are_the_same_codes(dtype):
    codes, selection = draws(3, runs=300, rows=2, num_codes=120)
    expected = mutual_information(codes, selection, num_codes=1000)
    narrow = mutual_information(codes.astype(dtype), selection.astype(dtype), num_codes=1000)
    np.testing.assert_allclose(narrow, expected, rtol=1e-14)
    np.testing.assert_array_equal(ranks(codes.astype(dtype)), ranks(codes))
    assert ranks(codes).max() > 127
    np.testing.assert_array_equal(joint_codes(codes.astype(dtype), num_codes=120), joint_codes(codes, num_codes=120))


def test_codes_beyond_32_bits_are_told_apart_in_single_precision_too():
    codes, selection = draws(4)
    far = codes.astype(np.int64) * 2**33 + 2**40
    with jax.enable_x64(False):
        expected = mutual_information(codes, selection, num_codes=4)
        np.testing.assert_allclose(mutual_information(far, selection, num_codes=2**41), expected, rtol=1e-5)
        np.testing.assert_array_equal(ranks(far), ranks(codes))
        key = jax.random.key(0)
        nulls = [
            permutation_null(key, c, selection, num_codes=n, num_permutations=5) for c, n in ((codes, 4), (far, 2**41))
        ]
        np.testing.assert_allclose(nulls[1].mean, nulls[0].mean, rtol=1e-5)


def test_conditional_information_is_the_sum_of_joint_entropies():
    codes, selection = draws(5, num_codes=3)
    given = draws(6, num_codes=4)[0]
    given[:, 0] = 2
    conditional = conditional_mutual_information(codes, selection, given, num_codes=3, num_given=4)
    joint_entropy = lambda *columns: entropy(np.unique(np.stack(columns), axis=1, return_counts=True)[1])
    expected = [
        joint_entropy(c, g) + joint_entropy(s, g) - joint_entropy(c, s, g) - joint_entropy(g)
        for c, s, g in zip(codes.T, selection.T, given.T, strict=True)
    ]
    np.testing.assert_allclose(conditional, expected, atol=1e-12)
    # what never varies takes nothing away
    np.testing.assert_allclose(conditional[:1], mutual_information(codes[:, :1], selection[:, :1], num_codes=3))


def test_conditional_information_is_the_mean_over_the_values_of_what_is_given():
    codes, selection = draws(7, num_codes=3)
    given = np.arange(30) % 3
    strata = [
        mutual_information(codes, selection, num_codes=3, estimator="miller_madow", valid=given == value)
        for value in range(3)
    ]
    settings = {"num_codes": 3, "num_given": 5, "estimator": "miller_madow"}
    conditional = conditional_mutual_information(codes, selection, given[:, None], **settings)
    np.testing.assert_allclose(conditional, np.mean(strata, axis=0), atol=1e-14)
    traced = jax.jit(lambda *draws: conditional_mutual_information(*draws, **settings))
    np.testing.assert_allclose(traced(codes, selection, given[:, None]), conditional, rtol=1e-12)


def test_known_marginal_is_the_jensen_shannon_divergence_of_the_codes_given_each_selection():
    codes, selection = draws(1)
    first, second = (
        np.stack([np.bincount(codes[selection[:, row] == s, row], minlength=4) for row in range(12)]) for s in (0, 1)
    )
    first, second = first / first.sum(1, keepdims=True), second / second.sum(1, keepdims=True)
    shannon = lambda p: -(p * np.log(np.where(p > 0, p, 1))).sum(1)
    expected = shannon((first + second) / 2) - (shannon(first) + shannon(second)) / 2
    information = mutual_information(codes, selection, num_codes=4, estimator="known_marginal")
    np.testing.assert_allclose(information, expected, atol=1e-14)


def test_jackknife_equals_leaving_out_every_run():
    codes, selection = draws(2, runs=9)
    full = mutual_information(codes, selection, num_codes=4)
    left_out = [
        mutual_information(np.delete(codes, run, 0), np.delete(selection, run, 0), num_codes=4) for run in range(9)
    ]
    expected = np.maximum(9 * full - 8 * np.mean(left_out, axis=0), 0)
    information = mutual_information(codes, selection, num_codes=4, estimator="jackknife")
    np.testing.assert_allclose(information, expected, atol=1e-13)


def test_miller_madow_takes_the_occupied_cells_for_the_alphabet():
    # 8 runs: three codes, both selections, five occupied cells
    codes, selection = np.array([[0, 0, 0, 1, 1, 2, 2, 2]]).T, np.array([[0, 0, 1, 0, 1, 1, 1, 1]]).T
    plugin = mutual_information(codes, selection, num_codes=5)
    corrected = mutual_information(codes, selection, num_codes=5, estimator="miller_madow")
    np.testing.assert_allclose(corrected, plugin - (5 - 2 - 3 + 1) / 16, atol=1e-15)


def test_entropy_corrections_equal_their_formulas():
    counts = np.array([5, 3, 1, 0])
    plugin = -np.log(np.array([5, 3, 1]) / 9) @ np.array([5, 3, 1]) / 9
    np.testing.assert_allclose(entropy(counts), plugin, rtol=1e-15)
    np.testing.assert_allclose(entropy(counts, "miller_madow"), plugin + 2 / 18, rtol=1e-15)
    left_out = [entropy(counts - np.eye(4, dtype=int)[code]) for code in (0, 1, 2)]
    expected = 9 * plugin - 8 * np.dot(np.array([5, 3, 1]) / 9, left_out)
    np.testing.assert_allclose(entropy(counts, "jackknife"), expected, rtol=1e-14)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_constants_tell_exactly_nothing_and_a_memoriser_one_bit(estimator):
    selection = np.array([[0], [1]] * 10)
    constant = mutual_information(np.full((20, 1), 3), selection, num_codes=4, estimator=estimator)
    assert constant[0] == 0
    memorised = mutual_information(3 * selection, selection, num_codes=4, estimator=estimator)
    # a corrected estimate of one bit, from 20 draws, is higher by the bias that it takes for granted
    atol = 1e-14 if estimator in ("plugin", "known_marginal") else 0.03
    np.testing.assert_allclose(memorised, [np.log(2)], atol=atol)


def test_independent_codes_tell_exactly_nothing_in_single_precision_too():
    # every code 5 times with each selection: 10 / 30 and 1 / 2 do not multiply without rounding
    codes, selection = np.repeat(np.arange(3), 10)[:, None], np.tile([0, 1], 15)[:, None]
    assert mutual_information(codes, selection, num_codes=3)[0] == 0
    counts = joint_counts(codes, selection, num_codes=3).astype(jnp.float32)
    information = information_from_counts(counts)
    assert information.dtype == jnp.float32
    assert information[0] == 0


def test_bias_of_unstable_predictions_is_that_of_chance():
    # two codes, independent of the selection: E I = 1 / (2 runs), E sqrt(2 I) = sqrt(2 / (pi runs)), to first order
    codes, selection = draws(3, runs=400, rows=3000, num_codes=2)
    plugin = mutual_information(codes, selection, num_codes=2)
    np.testing.assert_allclose(plugin.mean(), 1 / 800, rtol=0.1)
    np.testing.assert_allclose(jnp.sqrt(2 * plugin).mean(), np.sqrt(2 / np.pi / 400), rtol=0.05)
    null = permutation_null(jax.random.key(0), codes, selection, num_codes=2, num_permutations=20)
    np.testing.assert_allclose(null.mean.mean(), 1 / 800, rtol=0.1)


def test_permutations_give_uniform_p_values_without_information_and_small_ones_with_it():
    codes, selection = draws(4, runs=40, rows=100)
    null = permutation_null(jax.random.key(0), codes, selection, num_codes=4, num_permutations=99)
    assert 0.4 < null.p_value.mean() < 0.6
    np.testing.assert_allclose(null.debiased, np.maximum(null.information - null.mean, 0))
    memorised = permutation_null(jax.random.key(0), selection, selection, num_codes=2, num_permutations=99)
    np.testing.assert_allclose(memorised.p_value, 0.01)


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ESTIMATORS))
def test_names_of_codes_order_of_runs_and_excluded_runs_do_not_matter(seed, estimator):
    codes, selection = draws(seed, runs=10, rows=4, num_codes=5)
    rng = np.random.default_rng(seed)
    expected = mutual_information(codes, selection, num_codes=5, estimator=estimator)
    names, order, valid = rng.permutation(5), rng.permutation(10), np.arange(13) % 13 < 10
    renamed = mutual_information(names[codes][order], 1 - selection[order], num_codes=5, estimator=estimator)
    np.testing.assert_allclose(renamed, expected, atol=1e-14)
    padded = (np.concatenate([array, rng.integers(0, 2, (3, 4))]) for array in (codes, selection))
    excluded = mutual_information(*padded, num_codes=5, estimator=estimator, valid=valid)
    np.testing.assert_allclose(excluded, expected, atol=1e-14)


def test_it_traces_maps_and_broadcasts_the_selection():
    codes, selection = draws(5)
    expected = jnp.stack([mutual_information(codes, selection[:, [row]], num_codes=4) for row in (0, 1)])
    estimate = jax.jit(jax.vmap(lambda column: mutual_information(codes, column, num_codes=4)))
    np.testing.assert_allclose(estimate(selection.T[:2, :, None]), expected, atol=1e-15)


def test_joint_codes_agree_where_all_variables_do():
    codes = draws(6, runs=50, rows=3, num_codes=3)[0]
    joint = joint_codes(codes, num_codes=3)
    agree = (codes[:, None] == codes).all(-1)
    np.testing.assert_array_equal(joint[:, None] == joint, agree)
    assert joint.max() < 50
    np.testing.assert_array_equal(joint_codes(10**6 * codes, num_codes=2 * 10**6 + 1), joint)


def test_bad_draws_are_named(as_a_user_sees):
    codes, selection = draws(7)
    with pytest.raises(ValueError, match="needs at least 2 runs, got 1"):
        mutual_information(CASES["mi4_y"][:, None], CASES["mi4_x"][:, None], num_codes=2)
    with pytest.raises(ValueError, match="needs at least 2 runs, got 1"):
        mutual_information(codes, selection, num_codes=4, valid=np.arange(30) == 3)
    with pytest.raises(ValueError, match=r"codes must lie in \[0, 3\), got 3 at index \("):
        mutual_information(codes, selection, num_codes=3)
    with pytest.raises(ValueError, match=r"selection must lie in \[0, 2\), got 2 at index \(0, 0\)"):
        mutual_information(codes, np.full_like(selection, 2), num_codes=4)
    with pytest.raises(ValueError, match=r"broadcast to the shape of codes \(30, 12\), got \(30, 5\)"):
        mutual_information(codes, selection[:, :5], num_codes=4)
    with pytest.raises(ValueError, match="unknown estimator 'plug'; choose one of 'plugin', 'known_marginal', 'miller"):
        mutual_information(codes, selection, num_codes=4, estimator="plug")
    with pytest.raises(ValueError, match=r"valid must have the shape \(30,\), one entry for each run, got \(5,\)"):
        mutual_information(codes, selection, num_codes=4, valid=np.ones(5, bool))
    with pytest.raises(ValueError, match=r"codes must have 2 axes \(runs, rows\), got shape \(30,\)"):
        mutual_information(codes[:, 0], selection, num_codes=4)
    with pytest.raises(ValueError, match="num_permutations must be at least 1, got 0"):
        permutation_null(jax.random.key(0), codes, selection, num_codes=4, num_permutations=0)
    with pytest.raises(ValueError, match=r"given must lie in \[0, 2\), got 2 at index \(0, 0\)"):
        conditional_mutual_information(codes, selection, np.full((30, 1), 2), num_codes=4)
    with pytest.raises(
        ValueError, match=r"given must have or broadcast to the shape of codes \(30, 12\), got \(30, 2\)"
    ):
        conditional_mutual_information(codes, selection, np.zeros((30, 2), int), num_codes=4)
