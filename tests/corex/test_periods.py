"""Periods: how they are cut, weighed and standardised, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas
import polars
import pytest

from infotheory_dl.corex import temporal
from infotheory_dl.corex._temporal.periods import as_samples, decay_logits, window_reach, windows_of
from tests.conftest import reference

KEY = jax.random.key(0)
X = np.random.default_rng(5).normal(size=(6, 4))


@pytest.mark.parametrize(("name", "stride"), [("one", 1), ("half", 3), ("full", None)])
def test_a_series_is_cut_as_published(name, stride):
    case = reference("corex_tools")
    series = np.arange(46.0).reshape(23, 2)
    periods = temporal.make_periods(series, 6, stride)
    np.testing.assert_array_equal(periods.starts, case[f"bucket_{name}_start"])
    np.testing.assert_array_equal([len(table) for table in periods.tables], case[f"bucket_{name}_len"])
    np.testing.assert_array_equal(periods.nearest, case[f"bucket_{name}_index"])
    np.testing.assert_array_equal(periods.tables[1], series[periods.starts[1] : periods.starts[1] + 6])
    np.testing.assert_array_equal(periods.tables[-1][-1], series[-1])


@pytest.mark.parametrize(
    "index", [np.arange(20) * 0.5, pandas.date_range("2020", periods=20), list("abcdefghijklmnopqrst")]
)
def test_a_data_frame_is_cut_by_position_whatever_its_index_is(index):
    series = np.arange(40.0).reshape(20, 2)
    for cut in (
        temporal.make_periods(pandas.DataFrame(series, index=index, columns=["a", "b"]), 6),
        temporal.make_periods(polars.DataFrame(series), 6),
    ):
        assert [len(table) for table in cut.tables] == [6, 6, 8]
        np.testing.assert_array_equal(cut.tables[2], series[12:])


def test_periods_are_a_sequence_of_tables(as_a_user_sees):
    for series in (pandas.DataFrame(X), {"a": [1.0, 2.0]}, temporal.make_periods(X, 2)):
        with pytest.raises(TypeError, match=r"periods must be a sequence of tables, .*: a series is cut"):
            temporal.fit(KEY, series, 2)


def moments_of(tables, decay, **settings):
    samples, units = as_samples(tables, **settings)
    windows = windows_of(samples, decay_logits(decay, window_reach(samples.present, None)))
    return (*units.given(windows.mean, windows.std), np.asarray(windows.values))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_levels_and_units_of_any_size_leave_the_windows_as_they_are(dtype):
    rng = np.random.default_rng(0)
    tables = [rng.integers(0, 100, (n, 3)) for n in (8, 5, 9)]
    expected = moments_of([table.astype(float) for table in tables], 0.4)
    offset = 2**24 - 100 if dtype == np.float32 else 2**60 + 1
    mean, std, values = moments_of([(table + offset).astype(dtype) for table in tables], 0.4)
    np.testing.assert_allclose(std, expected[1], rtol=1e-5)
    np.testing.assert_allclose(values, expected[2], rtol=1e-4, atol=1e-5)
    for unit in (1e200, 1e-200):
        mean, std, values = moments_of([unit * table for table in tables], 0.4)
        np.testing.assert_allclose(mean / unit, expected[0], rtol=1e-12)
        np.testing.assert_allclose(std / unit, expected[1], rtol=1e-12)


def test_a_break_far_larger_than_the_spread_leaves_the_windows_on_both_sides_their_own():
    rng = np.random.default_rng(0)
    tables = [(rng.normal(size=(20, 2)) + (1e5 if t > 5 else 0)).astype(np.float32) for t in range(12)]
    values = moments_of(tables, 1e-8)[2]
    single = (np.asarray(tables[1], float) - tables[1].mean(0, dtype=float)) / tables[1].std(0, dtype=float)
    np.testing.assert_allclose(values[1], single, atol=1e-3)


def test_missing_values_become_the_means_of_their_periods():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(n, 3)) + t for t, n in enumerate([40, 30, 50])]
    holes = [np.where(rng.random(table.shape) < 0.3, np.nan, table) for table in tables]
    mean, std, values = moments_of(holes, 0.0, missing="mean")
    for t, table in enumerate(holes):
        np.testing.assert_allclose(mean[t], np.nanmean(table, 0), rtol=1e-10)
        np.testing.assert_allclose(std[t], np.nanstd(table, 0), rtol=1e-10)
        np.testing.assert_array_equal(values[t, : len(table)][np.isnan(table)], 0)
        np.testing.assert_allclose(np.square(values[t, : len(table)]).mean(0), 1, rtol=1e-10)
    marked = [np.where(np.isnan(table), -99, table) for table in holes]
    for found, expected in zip(
        moments_of(marked, 0.0, missing="mean", missing_value=-99), (mean, std, values), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_variable_without_a_value_in_a_period_has_the_moments_of_the_others():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(20, 2)) + t for t in range(4)]
    short = [table.copy() for table in tables]
    short[0][:, 1] = short[1][:, 1] = np.nan
    mean, std, values = moments_of(short, 0.5, missing="mean")
    # the first variable is as it was; the second, in the window of the first period, is that of periods 2 and 3
    expected = moments_of(tables, 0.5)
    np.testing.assert_allclose(mean[:, 0], expected[0][:, 0], rtol=1e-12)
    rows, weights = np.concatenate(tables[2:])[:, 1], np.repeat([0.25, 0.125], 20)
    np.testing.assert_allclose(mean[0, 1], np.average(rows, weights=weights), rtol=1e-12)
    np.testing.assert_allclose(std[0, 1] ** 2, np.average((rows - mean[0, 1]) ** 2, weights=weights), rtol=1e-10)
    np.testing.assert_array_equal(values[:2, :, 1], 0)


def test_windows_have_the_weighted_moments_of_their_samples():
    rng = np.random.default_rng(0)
    tables = [1e3 * t + rng.normal(size=(n, 4)) for t, n in enumerate([3, 1, 5])]
    samples, units = as_samples(tables)
    windows = windows_of(samples, decay_logits(0.4, window_reach(samples.present, None)))
    found_mean, found_std = units.given(windows.mean, windows.std)
    rows = np.concatenate(tables)
    period = np.repeat([0, 1, 2], [3, 1, 5])
    for t in range(3):
        weights = 0.4 ** np.abs(period - t)
        mean = np.average(rows, axis=0, weights=weights)
        np.testing.assert_allclose(found_mean[t], mean, rtol=1e-10)
        std = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
        np.testing.assert_allclose(found_std[t], std, rtol=1e-10)
        np.testing.assert_allclose(windows.values[t, : len(tables[t])], (tables[t] - mean) / std, rtol=1e-7)
        flat = windows.sample_weights[t][samples.present > 0]
        np.testing.assert_allclose(flat, weights / weights.sum(), rtol=1e-10)
    np.testing.assert_array_equal(windows.values[1, 1:], 0)
    np.testing.assert_array_equal(windows.sample_weights[:, 1, 1:], 0)


@pytest.mark.parametrize(("decay", "share"), [(0.0, [0, 1, 0]), (1.0, [3 / 9, 1 / 9, 5 / 9])])
def test_without_decay_all_samples_count_alike_and_with_full_decay_only_their_own_period(decay, share):
    samples, _ = as_samples([np.ones((n, 2)) for n in (3, 1, 5)])
    windows = windows_of(samples, decay_logits(decay, window_reach(samples.present, None)))
    np.testing.assert_allclose(windows.sample_weights[1].sum(1), share, rtol=1e-12)


def test_a_window_reaches_as_far_as_it_needs_for_its_samples():
    present = (np.arange(6) < np.array([[2], [6], [1], [1], [3]])).astype(float)
    np.testing.assert_array_equal(window_reach(present, 6), [1, 0, 1, 2, 3])
    np.testing.assert_array_equal(window_reach(present, 13), [4, 3, 2, 3, 4])
    np.testing.assert_array_equal(window_reach(present, 14), [5, 5, 5, 5, 5])
    logits = np.asarray(decay_logits(0.5, np.array([1, 0, 2])))
    np.testing.assert_array_equal(np.isfinite(logits), [[1, 1, 0], [0, 1, 0], [1, 1, 1]])


def test_whole_numbers_are_numbers_and_single_precision_stays_single():
    assert as_samples([np.ones((2, 3), np.int8), np.ones((1, 3), np.int64)])[0].values.dtype == jnp.float64
    for dtype in (np.float32, np.float16):
        samples, _ = as_samples([np.ones((2, 3), dtype)])
        assert samples.values.dtype == samples.present.dtype == jnp.float32


@pytest.mark.parametrize(
    ("periods", "error", "message"),
    [
        ([], ValueError, "periods must have at least one period, got none"),
        ([[["a", "b"]]], TypeError, r"periods\[0\] must hold real numbers, got <U1"),
    ],
)
def test_what_is_not_a_series_of_periods_is_refused_in_words(as_a_user_sees, periods, error, message):
    with pytest.raises(error, match=message):
        as_samples([np.asarray(table) for table in periods])


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        ([X, X[:, :3]], r"periods must all have the same variables, got the shapes \(6, 4\), \(6, 3\)"),
        ([X, X[0]], r"periods\[1\] must have 2 axes \(samples, columns\), got shape \(4,\)"),
        (X, r"periods\[0\] must have 2 axes .* got shape \(4,\): a series is cut by make_periods"),
        ([X[:0], X[:0]], "periods must have samples, got none in all 2"),
        ([{"a": X[:, 0], "b": X[:, 1]}, {"a": X[:, 0], "c": X[:, 1]}], r"periods\[1\] lacks column 'b'"),
        ([X, np.where(X > 1, np.nan, X)], r"periods\[1\] has \d of 24 entries .* in the variables .*; allow them"),
        ([X[:1]], "periods must have at least 2 samples in all, got 1"),
    ],
)
def test_periods_that_do_not_fit_each_other_are_refused_in_words(as_a_user_sees, periods, message):
    with pytest.raises(ValueError, match=message):
        temporal.fit(KEY, periods, 2)
