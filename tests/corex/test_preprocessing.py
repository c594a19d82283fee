"""Standardisation against the published code and SciPy, its inverse, missing values, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from infotheory_dl.corex.preprocessing import (
    apply_preprocessing,
    fit_preprocessing,
    invert_preprocessing,
    pairwise_root,
)
from tests.conftest import reference


@pytest.mark.parametrize(
    ("tag", "table", "method"),
    [("std", "x_raw", "standard"), ("outl", "outl_x", "outliers"), ("emp", "x_raw", "empirical")],
)
def test_training_data_are_standardised_as_published(tag, table, method):
    case = reference("corex_qn_fit")
    preprocessing = fit_preprocessing(case[table], method=method)
    standardised = apply_preprocessing(preprocessing, case[table])
    np.testing.assert_allclose(standardised, case[f"{tag}_x_pre"], rtol=1e-10, atol=1e-12)


def test_squashing_and_its_inverse_are_the_published_ones():
    case = reference("corex_qn_fit")
    preprocessing = fit_preprocessing(np.array([[-1.0], [1.0]]), method="outliers")
    squashed = apply_preprocessing(preprocessing, case["g_in"][:, None])
    np.testing.assert_allclose(squashed[:, 0], case["g_out"], rtol=1e-12)
    np.testing.assert_allclose(invert_preprocessing(preprocessing, squashed)[:, 0], case["ginv_out"], rtol=1e-12)


@pytest.mark.parametrize("method", ["standard", "outliers", "empirical", "none"])
def test_the_inverse_takes_training_data_back(method):
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1, 10, 100] + [0, 5, 1000]
    preprocessing = fit_preprocessing(x, method=method)
    np.testing.assert_allclose(invert_preprocessing(preprocessing, apply_preprocessing(preprocessing, x)), x, rtol=1e-8)


def test_ranks_of_ties_are_averaged_and_new_values_take_theirs_among_the_training_data():
    x = np.array([[3.0], [1.0], [3.0], [7.0]])
    preprocessing = fit_preprocessing(x, method="empirical")
    expected = stats.norm.ppf((stats.rankdata(x[:, 0]) - 0.5) / 4)
    np.testing.assert_allclose(apply_preprocessing(preprocessing, x)[:, 0], expected, rtol=1e-10)
    new = apply_preprocessing(preprocessing, np.array([[2.0], [100.0], [-100.0]]))
    np.testing.assert_allclose(new[:, 0], stats.norm.ppf([1 / 4, 3.5 / 4, 0.5 / 4]), rtol=1e-10)


def test_missing_values_become_the_mean_as_published_and_the_table_stays_as_it_was():
    case = reference("corex_qn_fit")
    x = case["miss_x"].copy()
    preprocessing = fit_preprocessing(x, missing="mean", missing_value=-1e6)
    standardised = apply_preprocessing(preprocessing, x, missing="mean", missing_value=-1e6)
    np.testing.assert_allclose(standardised, case["miss_x_pre"], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(x, case["miss_x"])

    holes = np.where(x == -1e6, np.nan, x)
    np.testing.assert_array_equal(
        apply_preprocessing(fit_preprocessing(holes, missing="mean"), holes, missing="mean"), standardised
    )
    # of new data the training mean, whatever their own
    new = np.full((2, 24), np.nan)
    np.testing.assert_array_equal(apply_preprocessing(preprocessing, new, missing="mean"), np.zeros((2, 24)))


@pytest.mark.parametrize(("method", "filled"), [("outliers", 0.0), ("empirical", 0.0), ("none", 2.0)])
def test_a_missing_value_is_the_middle_of_its_column_after_any_preprocessing(method, filled):
    x = np.array([[1.0], [3.0], [np.nan], [2.0]])
    preprocessing = fit_preprocessing(x, method=method, missing="mean")
    standardised = apply_preprocessing(preprocessing, x, missing="mean")
    assert standardised[2, 0] == filled
    assert np.isfinite(standardised).all()


def test_pairwise_correlations_are_over_the_samples_that_have_both():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 1)) + 0.7 * rng.normal(size=(200, 5))
    x[rng.random(x.shape) < 0.2] = np.nan
    preprocessing = fit_preprocessing(x, missing="pairwise")
    standardised = (x - np.nanmean(x, 0)) / np.nanstd(x, 0)
    root = np.asarray(pairwise_root(standardised))
    both = lambda i, j: x[~np.isnan(x[:, i] + x[:, j])]
    expected = [[np.corrcoef(both(i, j).T)[i, j] for j in range(5)] for i in range(5)]
    np.testing.assert_allclose(root.T @ root / 5, expected, rtol=1e-10)
    np.testing.assert_allclose(preprocessing.std, np.nanstd(x, 0), rtol=1e-12)


def test_pairwise_correlations_that_contradict_each_other_become_possible_ones():
    nan = np.nan
    # 1 agrees with 2 and 2 with 3, but 1 and 3 disagree: no three variables do that
    x = np.array([[1, 1, nan], [-1, -1, nan], [nan, 1, 1], [nan, -1, -1], [1, nan, -1], [-1, nan, 1]])
    root = np.asarray(pairwise_root(x))
    np.testing.assert_allclose(np.diag(root.T @ root) / 3, 1)


def test_constant_and_empty_columns_are_dropped_and_come_back():
    x = np.column_stack([[1.0, 2.0, 4.0], [5.0, 5.0, 5.0], [np.nan] * 3, [0.0, 3.0, 1.0]])
    preprocessing = fit_preprocessing(x, missing="mean", on_constant="drop")
    standardised = apply_preprocessing(preprocessing, x, missing="mean")
    np.testing.assert_array_equal(preprocessing.kept, [0, 3])
    np.testing.assert_allclose(standardised, (x - x.mean(0))[:, [0, 3]] / x.std(0)[[0, 3]])
    np.testing.assert_allclose(invert_preprocessing(preprocessing, standardised), x, atol=1e-12)


def test_integers_are_numbers_and_single_precision_stays_single():
    counts = np.array([[0, 3], [2, 1], [5, 0]], np.int8)
    assert apply_preprocessing(fit_preprocessing(counts), counts).dtype == jnp.float64
    single = jnp.asarray(counts, jnp.float32)
    for method in ("standard", "outliers", "empirical", "none"):
        preprocessing = fit_preprocessing(single, method=method)
        standardised = apply_preprocessing(preprocessing, single)
        assert standardised.dtype == invert_preprocessing(preprocessing, standardised).dtype == jnp.float32


def test_a_constant_far_from_zero_is_constant_in_single_precision_too(as_a_user_sees):
    x = np.column_stack([np.arange(5.0), np.full(5, 12345.678)]).astype(np.float32)
    x[2, 1] = np.nextafter(x[2, 1], np.inf, dtype=np.float32)
    with pytest.raises(ValueError, match="1 columns of x are constant or empty: 1;"):
        fit_preprocessing(x)


@pytest.mark.parametrize(
    ("x", "settings", "error", "message"),
    [
        (np.zeros(3), {}, ValueError, r"x must have 2 axes \(samples, columns\), got shape \(3,\)"),
        (np.ones((1, 3)), {}, ValueError, "x must have at least 2 samples, got 1"),
        (np.array([["a", "b"]]), {}, TypeError, "x must hold real numbers, got <U1"),
        (np.array([[None, 1.0]]), {}, TypeError, "x must hold real numbers, got object: convert it"),
        (np.array([[1.0, np.nan], [2, 3]]), {}, ValueError, "x has 1 of 4 entries missing; allow them with missing="),
        (np.array([[1, -1], [2, 3]]), {"missing_value": -1}, ValueError, "x has 1 of 4 entries missing"),
        (np.array([[1.0, np.inf], [2, 3]]), {"missing": "mean"}, ValueError, "x has 1 of 4 entries that are infinite"),
        (np.array([[1.0, 5, 7], [2, 5, 7]]), {}, ValueError, "2 columns of x are constant or empty: 1, 2; drop them"),
        (np.ones((2, 20)), {"on_constant": "drop"}, ValueError, "all 20 columns of x are constant or empty"),
        (np.eye(2), {"method": "robust"}, ValueError, "unknown method 'robust'; choose one of 'standard', 'outliers'"),
        (np.eye(2), {"missing": "drop"}, ValueError, "unknown missing 'drop'; choose one of 'refuse', 'mean'"),
        (np.eye(2), {"on_constant": "keep"}, ValueError, "unknown on_constant 'keep'"),
    ],
)
def test_what_cannot_be_standardised_is_refused_in_words(as_a_user_sees, x, settings, error, message):
    with pytest.raises(error, match=message):
        fit_preprocessing(x, **settings)


def test_other_columns_than_those_of_the_training_data_are_refused(as_a_user_sees):
    preprocessing = fit_preprocessing(np.eye(3))
    with pytest.raises(ValueError, match=r"x must have the 3 columns of the training data, got shape \(2, 4\)"):
        apply_preprocessing(preprocessing, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="variables 0 and 1 were never observed together; use missing='mean'"):
        pairwise_root(np.array([[1, np.nan], [-1, np.nan], [np.nan, 1], [np.nan, -1]]))


def test_standardisation_works_under_jit():
    x = np.random.default_rng(2).normal(size=(6, 3))
    preprocessing = fit_preprocessing(x)
    np.testing.assert_allclose(
        jax.jit(apply_preprocessing)(preprocessing, x), apply_preprocessing(preprocessing, x), rtol=1e-12
    )
