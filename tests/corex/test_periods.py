"""Periods: how they are cut, weighed and standardised, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.corex import temporal
from infotheory_dl.corex._temporal.periods import as_samples, decay_logits, window_reach, windows_of
from tests.conftest import reference


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


def test_windows_have_the_weighted_moments_of_their_samples():
    rng = np.random.default_rng(0)
    tables = [1e3 * t + rng.normal(size=(n, 4)) for t, n in enumerate([3, 1, 5])]
    samples = as_samples(tables)
    windows = windows_of(samples, decay_logits(0.4, window_reach(samples.present, None)))
    rows = np.concatenate(tables)
    period = np.repeat([0, 1, 2], [3, 1, 5])
    for t in range(3):
        weights = 0.4 ** np.abs(period - t)
        mean = np.average(rows, axis=0, weights=weights)
        np.testing.assert_allclose(windows.mean[t], mean, rtol=1e-10)
        std = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
        np.testing.assert_allclose(windows.std[t], std, rtol=1e-10)
        np.testing.assert_allclose(windows.values[t, : len(tables[t])], (tables[t] - mean) / std, rtol=1e-7)
        flat = windows.sample_weights[t][samples.present > 0]
        np.testing.assert_allclose(flat, weights / weights.sum(), rtol=1e-10)
    np.testing.assert_array_equal(windows.values[1, 1:], 0)
    np.testing.assert_array_equal(windows.sample_weights[:, 1, 1:], 0)


@pytest.mark.parametrize(("decay", "share"), [(0.0, [0, 1, 0]), (1.0, [3 / 9, 1 / 9, 5 / 9])])
def test_without_decay_all_samples_count_alike_and_with_full_decay_only_their_own_period(decay, share):
    samples = as_samples([np.ones((n, 2)) for n in (3, 1, 5)])
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
    assert as_samples([np.ones((2, 3), np.int8), np.ones((1, 3), np.int64)]).values.dtype == jnp.float64
    samples = as_samples([np.ones((2, 3), np.float32)])
    assert samples.values.dtype == samples.present.dtype == jnp.float32


@pytest.mark.parametrize(
    ("periods", "error", "message"),
    [
        ([], ValueError, "periods must have at least one period, got none"),
        ([["a", "b"]], TypeError, r"periods\[0\] must hold real numbers, got <U1"),
    ],
)
def test_what_is_not_a_series_of_periods_is_refused_in_words(as_a_user_sees, periods, error, message):
    with pytest.raises(error, match=message):
        as_samples([np.asarray(table) for table in periods])


KEY = jax.random.key(0)
X = np.random.default_rng(5).normal(size=(6, 4))


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        ([X, X[:, :3]], r"periods must all have the same variables, got the shapes \(6, 4\), \(6, 3\)"),
        ([X, X[0]], r"periods\[1\] must have 2 axes \(samples, variables\), got shape \(4,\)"),
        ([X, X[:0], X, X[:0]], "periods must all have samples, got none in 1, 3"),
        ([X, np.where(X > 1, np.nan, X)], r"periods\[1\] has \d of 24 entries that are NaN or infinite"),
        ([X[:1]], "periods must have at least 2 samples in all, got 1"),
    ],
)
def test_periods_that_do_not_fit_each_other_are_refused_in_words(as_a_user_sees, periods, message):
    with pytest.raises(ValueError, match=message):
        temporal.fit(KEY, periods, 2)
