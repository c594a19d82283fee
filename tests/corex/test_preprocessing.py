"""Standardisation against the published code and SciPy, its inverse, missing values, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from infotheory_dl.corex.preprocessing import (
    apply_preprocessing,
    fit_preprocessing,
    invert_preprocessing,
    pairwise_root,
)
from tests.conftest import reference


@pytest.mark.parametrize(
    ("tag", "table", "name"),
    [("std", "x_raw", "standard"), ("outl", "outl_x", "published_outliers"), ("emp", "x_raw", "empirical")],
)
def test_training_data_are_standardised_as_published(tag, table, name):
    case = reference("corex_qn_fit")
    preprocessing = fit_preprocessing(case[table], preprocessing=name)
    standardised = apply_preprocessing(preprocessing, case[table])
    np.testing.assert_allclose(standardised, case[f"{tag}_x_pre"], rtol=1e-10, atol=1e-12)


def test_squashing_and_its_inverse_are_the_published_ones():
    case = reference("corex_qn_fit")
    preprocessing = fit_preprocessing(np.array([[-1.0], [1.0]]), preprocessing="published_outliers")
    squashed = apply_preprocessing(preprocessing, case["g_in"][:, None])
    np.testing.assert_allclose(squashed[:, 0], case["g_out"], rtol=1e-12)
    np.testing.assert_allclose(invert_preprocessing(preprocessing, squashed)[:, 0], case["ginv_out"], rtol=1e-12)


@pytest.mark.parametrize("name", ["standard", "outliers", "published_outliers", "empirical", "none"])
def test_the_inverse_takes_training_data_back(name):
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1, 10, 100] + [0, 5, 1000]
    preprocessing = fit_preprocessing(x, preprocessing=name)
    np.testing.assert_allclose(invert_preprocessing(preprocessing, apply_preprocessing(preprocessing, x)), x, rtol=1e-8)


def test_ranks_of_ties_are_averaged_and_new_values_take_theirs_among_the_training_data():
    x = np.array([[3.0], [1.0], [3.0], [7.0]])
    preprocessing = fit_preprocessing(x, preprocessing="empirical")
    expected = stats.norm.ppf((stats.rankdata(x[:, 0]) - 0.5) / 4)
    np.testing.assert_allclose(apply_preprocessing(preprocessing, x)[:, 0], expected, rtol=1e-10)
    new = apply_preprocessing(preprocessing, np.array([[2.0], [100.0], [-100.0]]))
    np.testing.assert_allclose(new[:, 0], stats.norm.ppf([1 / 4, 3.5 / 4, 0.5 / 4]), rtol=1e-10)


def test_missing_values_become_the_mean_as_published_and_the_table_stays_as_it_was():
    case = reference("corex_qn_fit")
    x = case["miss_x"].copy()
    preprocessing = fit_preprocessing(x, missing="mean", missing_value=-1e6)
    standardised = apply_preprocessing(preprocessing, x, missing="mean", missing_value=-1e6)
    # the published ones have a second moment below one, that of what was observed
    stretch = np.sqrt(len(x) / (x != -1e6).sum(0))
    np.testing.assert_allclose(standardised, stretch * case["miss_x_pre"], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(x, case["miss_x"])

    holes = np.where(x == -1e6, np.nan, x)
    np.testing.assert_array_equal(
        apply_preprocessing(fit_preprocessing(holes, missing="mean"), holes, missing="mean"), standardised
    )
    # of new data the training mean, whatever their own
    new = np.full((2, 24), np.nan)
    np.testing.assert_array_equal(apply_preprocessing(preprocessing, new, missing="mean"), np.zeros((2, 24)))


@pytest.mark.parametrize(("name", "filled"), [("outliers", 0.0), ("empirical", 0.0), ("none", 2.0)])
def test_a_missing_value_is_the_middle_of_its_column_after_any_preprocessing(name, filled):
    x = np.array([[1.0], [3.0], [np.nan], [2.0]])
    preprocessing = fit_preprocessing(x, preprocessing=name, missing="mean")
    standardised = apply_preprocessing(preprocessing, x, missing="mean")
    assert standardised[2, 0] == filled
    assert np.isfinite(standardised).all()


@pytest.mark.parametrize("name", ["standard", "outliers"])
def test_filled_columns_have_mean_zero_and_variance_one(name):
    x = np.random.default_rng(0).normal(size=(50, 4)) * 3 + 100
    x[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    preprocessing = fit_preprocessing(x, preprocessing=name, missing="mean")
    standardised = np.asarray(apply_preprocessing(preprocessing, x, missing="mean"))
    np.testing.assert_allclose(standardised.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(standardised).mean(0), 1, rtol=1e-12)
    back = invert_preprocessing(preprocessing, standardised)
    np.testing.assert_allclose(back[~np.isnan(x)], x[~np.isnan(x)], rtol=1e-10)
    if name == "standard":
        np.testing.assert_allclose(preprocessing.std, np.nanstd(x, 0), rtol=1e-12)


def test_outliers_have_no_part_in_what_is_an_outlier():
    x = np.random.default_rng(0).normal(size=(200, 2))
    clean = np.asarray(apply_preprocessing(fit_preprocessing(x, preprocessing="outliers"), x))
    spoiled = x.copy()
    spoiled[:3, 0] = [1e6, -1e300, 1e9]
    standardised = np.asarray(apply_preprocessing(fit_preprocessing(spoiled, preprocessing="outliers"), spoiled))
    # but for the scale, in which what is left of them counts
    assert np.corrcoef(standardised[3:, 0], clean[3:, 0])[0, 1] > 0.999
    np.testing.assert_array_equal(standardised[:, 1], clean[:, 1])
    assert np.abs(standardised).max() < 5.2
    np.testing.assert_allclose(np.square(standardised).mean(0), 1, rtol=1e-12)
    # of the published one an outlier decides the unit of all others
    published = fit_preprocessing(spoiled, preprocessing="published_outliers")
    assert np.abs(apply_preprocessing(published, spoiled)[3:, 0]).max() < 0.1


def test_a_column_of_which_most_is_one_number_has_outliers_too():
    x = np.zeros((40, 1))
    x[:12, 0] = np.arange(1, 13)
    standardised = np.asarray(apply_preprocessing(fit_preprocessing(x, preprocessing="outliers"), x))
    np.testing.assert_allclose(np.square(standardised).mean(0), 1, rtol=1e-12)
    assert (np.diff(standardised[:12, 0]) > 0).all()


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
    for name in ("standard", "outliers", "empirical", "none"):
        preprocessing = fit_preprocessing(single, preprocessing=name)
        standardised = apply_preprocessing(preprocessing, single)
        assert standardised.dtype == jnp.float32
        # units may be beyond single precision
        assert invert_preprocessing(preprocessing, standardised).dtype == np.float64
    assert apply_preprocessing(fit_preprocessing(counts.astype(np.float16)), counts.astype(np.float16)).dtype == "f4"


def test_a_constant_far_from_zero_is_constant_in_single_precision_too(as_a_user_sees):
    x = np.column_stack([np.arange(5.0), np.full(5, 12345.678)]).astype(np.float32)
    x[2, 1] = np.nextafter(x[2, 1], np.inf, dtype=np.float32)
    with pytest.raises(ValueError, match="1 columns of x do not vary, and share nothing with others; columns are"):
        fit_preprocessing(x)
    # a double precision knows better
    fit_preprocessing(x.astype(float))
    fit_preprocessing(2**24 + np.array([[0, 1, 2, 5, 9]], np.float32).T)


@pytest.mark.parametrize(
    ("x", "settings", "error", "message"),
    [
        (np.zeros(3), {}, ValueError, r"x must have 2 axes \(samples, columns\), got shape \(3,\)"),
        (np.ones((1, 3)), {}, ValueError, "x must have at least 2 samples, got 1"),
        (np.array([["a", "b"]]), {}, TypeError, "x must hold real numbers, got <U1"),
        (np.array([[None, 1.0]]), {}, TypeError, "x must hold real numbers, got object: convert it"),
        (
            {"a": [1, 2], "b": ["u", "v"]},
            {},
            TypeError,
            "column 'b' of x must hold real numbers, got text: leave it out",
        ),
        ({"a": [1, 2], "b": [3, np.inf]}, {}, ValueError, "column 'b' has 1 of 2 values that are infinite"),
        ({"a": [1, 2], "b": [3, 3]}, {}, ValueError, "columns are constant: 'b';"),
        (np.array([[1.0, np.nan], [2, 3]]), {}, ValueError, "x has 1 of 4 entries missing, in the columns 1; allow"),
        (np.array([[1, -1], [2, 3]]), {"missing_value": -1}, ValueError, "x has 1 of 4 entries missing"),
        (np.array([[1.0, np.inf], [2, 3]]), {"missing": "mean"}, ValueError, "x has 1 of 4 entries that are infinite"),
        (np.array([[1.0, 5, 7], [2, 5, 7]]), {}, ValueError, "columns are constant: 1, 2; on_constant='drop'"),
        ([[np.nan, 1], [np.nan, 2]], {"missing": "mean"}, ValueError, "columns are without a value: 0; on_constant"),
        (np.ones((2, 20)), {"on_constant": "drop"}, ValueError, "columns are constant: 0, 1"),
        (
            np.eye(2),
            {"preprocessing": "robust"},
            ValueError,
            "unknown preprocessing 'robust'; choose one of 'standard'",
        ),
        (np.eye(2) + 1j, {}, TypeError, "x must hold real numbers, got complex128"),
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


@pytest.mark.parametrize("name", ["standard", "outliers", "empirical"])
def test_standardisation_works_under_jit(name):
    x = np.random.default_rng(2).normal(size=(6, 3))
    preprocessing = fit_preprocessing(pandas.DataFrame(x, columns=list("abc")), preprocessing=name)
    standardised = jax.jit(apply_preprocessing)(preprocessing, x)
    np.testing.assert_allclose(standardised, apply_preprocessing(preprocessing, x), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(invert_preprocessing)(preprocessing, standardised), x, rtol=1e-8)


@given(exponent=st.integers(-200, 200), offset=st.sampled_from([0.0, -3.0, 1e9]), seed=st.integers(0, 3))
@settings(max_examples=20, derandomize=True)
def test_units_and_orders_change_no_standardised_value(exponent, offset, seed):
    random = np.random.default_rng(seed)
    x, rows, columns = random.normal(size=(12, 3)), random.permutation(12), random.permutation(3)
    unit = 10.0**exponent
    for name in ("standard", "outliers", "empirical"):
        find = lambda x, name=name: np.asarray(apply_preprocessing(fit_preprocessing(x, preprocessing=name), x))
        expected = find(x)
        np.testing.assert_allclose(find(unit * x), expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(find(x + offset), expected, atol=1e-5 if offset == 1e9 else 1e-9)
        np.testing.assert_allclose(find(x[rows][:, columns]), expected[rows][:, columns], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float16, np.float32, bool])
@pytest.mark.parametrize("name", ["standard", "outliers", "empirical"])
def test_what_holds_the_numbers_changes_no_standardised_value(dtype, name):
    numbers = np.random.default_rng(0).integers(0, 2 if dtype is bool else 100, (30, 3)).astype(dtype)
    double = numbers.astype(float)
    preprocessing = fit_preprocessing(double, preprocessing=name)
    expected = apply_preprocessing(preprocessing, double)
    tables = [numbers, jnp.asarray(numbers), numbers.tolist(), pandas.DataFrame(numbers), polars.DataFrame(double)]
    for x in tables:
        np.testing.assert_allclose(
            apply_preprocessing(fit_preprocessing(x, preprocessing=name), x), expected, atol=1e-5
        )
    nullable = pandas.DataFrame(numbers, columns=list("abc")).convert_dtypes()
    of_names = fit_preprocessing(nullable, preprocessing=name)
    np.testing.assert_allclose(apply_preprocessing(of_names, nullable[list("cab")]), expected, atol=1e-5)


def test_whole_numbers_of_64_bits_do_not_wrap():
    steps = np.random.default_rng(0).integers(0, 9, (20, 3))
    large = steps + np.array([2**31, 2**53 + 1, 2**62 + 1])
    preprocessing = fit_preprocessing(large)
    np.testing.assert_allclose(apply_preprocessing(preprocessing, large), (steps - steps.mean(0)) / steps.std(0))
    # beside missing values they would be rounded
    with pytest.raises(ValueError, match="column '1' has whole numbers that differ by less than double precision"):
        fit_preprocessing(large, missing="mean", missing_value=int(large[0, 0]))


def test_columns_are_known_by_their_names():
    x = pandas.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), columns=["a", "b", "c"])
    preprocessing = fit_preprocessing(x)
    expected = apply_preprocessing(preprocessing, x)
    for others in (x[["c", "a", "b"]], polars.from_pandas(x[["b", "c", "a"]]), x.to_numpy()):
        np.testing.assert_allclose(apply_preprocessing(preprocessing, others), expected)
    with pytest.raises(ValueError, match="x lacks column 'b' of the training data; did you mean 'B'"):
        apply_preprocessing(preprocessing, x.rename(columns={"b": "B"}))
    with pytest.raises(ValueError, match="x has column 'd' that the training data lack; leave out what they lack"):
        apply_preprocessing(preprocessing, x.assign(d=1.0))
