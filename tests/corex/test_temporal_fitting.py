"""Properties of fits of T-CorEx: starts, programs, degenerate data, and what is refused."""

import jax
import numpy as np
import pandas
import pytest

from infotheory_dl.corex import linear, temporal
from infotheory_dl.corex._settings import keyword_defaults
from infotheory_dl.corex._temporal import fitting, program
from tests.corex.series import SERIES, SHORT

KEY = jax.random.key(0)


def test_of_one_period_the_fit_is_that_of_linear_corex():
    x = SERIES[0]
    start = np.random.default_rng(1).normal(size=(3, 12)) / 12
    settings = {"noises": (0.36, 0.0), "max_iterations": 60, "learning_rate": 0.01}
    model = temporal.fit(KEY, [x], 3, initial_weights=start, **settings)
    alone = linear.fit(KEY, x, 3, solver="adam", initial_weights=start, **settings)
    np.testing.assert_allclose(model.history, alone.history, rtol=1e-9)
    np.testing.assert_allclose(model.weights[0], alone.weights, rtol=1e-7, atol=1e-10)
    for ours, theirs in zip(model.moments, alone.moments, strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-7, atol=1e-9)
    covariance = jax.tree.map(lambda leaf: leaf[0], temporal.covariances(model))
    for ours, theirs in zip(covariance, linear.covariance(alone), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def test_a_key_gives_one_result_and_settings_that_are_values_share_a_program():
    first = temporal.fit(KEY, SERIES, 3, **SHORT, l1=0.1)
    compiled = program.run._cache_size()
    again = temporal.fit(KEY, SERIES, 3, **SHORT, l1=0.1)
    np.testing.assert_array_equal(first.weights, again.weights)
    temporal.fit(KEY, [x + 1 for x in SERIES], 3, **SHORT, l1=0.2, l2=0.1, decay=0.7, learning_rate=0.1)
    assert program.run._cache_size() == compiled
    totals = first.moments.total_correlations.sum(0)
    assert (np.diff(totals) <= 0).all()


def test_a_window_ends_where_it_has_enough_samples():
    model = temporal.fit(KEY, SERIES, 3, **SHORT, max_window_samples=25)
    np.testing.assert_array_equal(model.window_shares > 0, [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_a_start_from_linear_corex_or_an_earlier_fit_needs_fewer_steps():
    cold = temporal.fit(KEY, SERIES, 3, **SHORT)
    warm = temporal.fit(KEY, SERIES, 3, **SHORT | {"warm_start": True})
    assert warm.history[0] > cold.history[0] + 1
    earlier = temporal.fit(KEY, SERIES, 3, initial_weights=cold.weights, max_iterations=SHORT["max_iterations"])
    np.testing.assert_allclose(earlier.history[0], cold.history[-1], rtol=1e-2)


def test_sampled_fits_come_near_exact_ones():
    exact, sampled = (temporal.fit(KEY, SERIES, 3, sampled=sampled, **SHORT) for sampled in (False, True))
    scores = [float(temporal.log_likelihood(model, SERIES).mean()) for model in (exact, sampled)]
    np.testing.assert_allclose(*scores, atol=0.5)


def test_fewer_samples_than_factors_stay_finite_and_lost_noise_is_told():
    x = np.random.default_rng(0).normal(size=(1, 2, 12)).astype(np.float32)
    careful = temporal.fit(KEY, x, 8, **SHORT)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(careful))
    assert not careful.diverged
    rash = temporal.fit(KEY, x, 8, **SHORT, learning_rate=3.0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(rash))
    assert rash.diverged
    assert not rash.converged


def copied():
    """The series in single precision, with near copies of three variables."""
    x = np.stack([np.concatenate([x, x[:, :3]], 1)[:24] for x in SERIES])
    return (x + 1e-4 * np.random.default_rng(0).normal(size=x.shape)).astype(np.float32)


def test_a_fit_ends_at_the_last_finite_weights():
    model = temporal.fit(KEY, copied(), 3, **SHORT, learning_rate=1e20)
    assert model.diverged
    assert not model.converged
    assert len(model.history) < 10
    assert np.isfinite(model.history).all()
    assert np.isfinite(model.weights).all()


def test_empty_periods_gaps_and_names_go_through_a_fit():
    gaps = [
        np.where(np.random.default_rng(t).random(table.shape) < 0.1, np.nan, table) for t, table in enumerate(SERIES)
    ]
    names = list("abcdefghijkl")
    tables = [pandas.DataFrame(table, columns=names) for table in (gaps[0], gaps[1][:0], gaps[2], gaps[3])]
    model = temporal.fit(KEY, tables, 3, decay=0.4, l1=0.1, missing="mean", **SHORT)
    assert not model.diverged
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model))
    # the empty period is explained from its neighbours, and stands between them
    explained = np.asarray(model.moments.total_correlation)
    assert explained[1] > 0.5 * min(explained[0], explained[2])
    reversed_names = [table[names[::-1]] for table in tables]
    likelihoods = temporal.log_likelihood(model, tables, missing="mean")
    assert np.isnan(likelihoods).tolist() == [False, True, False, False]
    np.testing.assert_allclose(temporal.log_likelihood(model, reversed_names, missing="mean"), likelihoods)
    chosen = temporal.select(KEY, tables, 3, tables, decay=(0.4,), l1=(0.1,), missing="mean", **SHORT)
    np.testing.assert_allclose(chosen.scores[0, 0, 0], np.nanmean(likelihoods), rtol=1e-6)
    with pytest.raises(ValueError, match=r"periods\[0\] lacks column 'a' of the training data"):
        temporal.log_likelihood(model, [table.rename(columns={"a": "z"}) for table in tables], missing="mean")
    with pytest.raises(ValueError, match="the window of period 1 has no samples; widen the window"):
        temporal.fit(KEY, tables, 3, decay=0.0, missing="mean", **SHORT)


def test_the_order_of_rows_and_columns_and_the_signs_of_units_change_no_fit():
    model = temporal.fit(KEY, SERIES, 3, l1=0.3, **SHORT)
    random = np.random.default_rng(0)
    columns, signs = random.permutation(12), random.choice([-1, 1], 12)
    tables = [(signs * table)[random.permutation(len(table))][:, columns] for table in SERIES]
    found = temporal.fit(KEY, tables, 3, l1=0.3, **SHORT)
    np.testing.assert_allclose(found.history, model.history, rtol=1e-8)
    correlations = np.asarray(model.moments.correlations * signs)[..., columns]
    correlations *= np.sign((correlations**3).sum((0, 2)))[:, None]
    np.testing.assert_allclose(found.moments.correlations, correlations, atol=1e-6)
    np.testing.assert_array_equal(temporal.clusters(found), np.asarray(temporal.clusters(model))[:, columns])


def test_units_and_offsets_of_a_series_change_nothing_but_means_and_standard_deviations():
    expected = temporal.fit(KEY, SERIES, 3, l1=0.3, **SHORT)
    for scale, offset in ((1e200, 0.0), (1e-200, 0.0), (1.0, 1e9)):
        tables = [scale * table + offset for table in SERIES]
        model = temporal.fit(KEY, tables, 3, l1=0.3, **SHORT)
        np.testing.assert_allclose(model.moments.total_correlation, expected.moments.total_correlation, rtol=1e-4)
        np.testing.assert_allclose(model.std / scale, expected.std, rtol=1e-5)
        densities = temporal.log_likelihood(expected, SERIES) - 12 * np.log(scale)
        np.testing.assert_allclose(temporal.log_likelihood(model, tables), densities, rtol=1e-4)


def test_copies_of_a_variable_survive_in_single_precision():
    model = temporal.fit(KEY, copied(), 3, **SHORT)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model))
    clusters = np.asarray(temporal.clusters(model))
    np.testing.assert_array_equal(clusters[:, :3], clusters[:, 12:])


X = np.random.default_rng(5).normal(size=(2, 6, 4))


@pytest.mark.parametrize(
    ("num_factors", "settings", "message"),
    [
        (0, {}, "num_factors must be at least 1, got 0"),
        (5, {}, r"num_factors must lie in \[1, 4\], the number of variables, got 5"),
        (2, {"decay": 1.5}, r"decay must lie in \[0, 1\], got 1.5"),
        (2, {"l1": -1.0}, "l1 must be finite and not negative, got -1.0"),
        (2, {"l2": -1.0}, "l2 must be finite and not negative, got -1.0"),
        (2, {"tolerance": 0.0}, "tolerance must be positive, got 0.0"),
        (2, {"noises": (0.5,)}, r"noises must end with 0, got \[0.5\]"),
        (2, {"max_iterations": 0}, "max_iterations must be at least 1, got 0"),
        (2, {"max_window_samples": 0}, "max_window_samples must be at least 1, got 0"),
        (2, {"smoothed": "means"}, "unknown smoothed 'means'; choose one of 'weights', 'mutual_informations', 'cov"),
        (2, {"l1_step": "exact"}, "unknown l1_step 'exact'; choose one of 'proximal', 'subgradient'"),
        (2, {"l1_step": "proximal", "smoothed": "covariances"}, "a proximal step is known for changes of the weights"),
        (
            2,
            {"initial_weights": np.ones((3, 4))},
            r"initial_weights must have the shape \(2, 2, 4\) or \(2, 4\), got \(3, 4\)",
        ),
        (2, {"initial_weights": np.full((2, 4), np.nan)}, "initial_weights has 8 of 8 entries that are NaN"),
    ],
)
def test_impossible_settings_are_refused_in_words(as_a_user_sees, num_factors, settings, message):
    with pytest.raises(ValueError, match=message):
        temporal.fit(KEY, X, num_factors, **settings)


def test_matrices_of_too_many_variables_are_refused_unless_more_are_allowed(as_a_user_sees):
    x = np.random.default_rng(0).normal(size=(2, 2, 4097))
    message = "matrices of 4097 by 4097, more than 4096; smooth the weights instead, or raise max_smoothed_covariance"
    with pytest.raises(ValueError, match=message):
        temporal.fit(KEY, x, 2, smoothed="covariances")
    settings = keyword_defaults(temporal.fit) | {"smoothed": "covariances", "max_smoothed_covariance": 4097}
    of_rates = program.TemporalRates._fields
    setup, *_ = fitting.prepare(x, 2, **{name: value for name, value in settings.items() if name not in of_rates})
    assert setup.smoothed == "covariances"


def test_constant_variables_are_named_with_their_window(as_a_user_sees):
    x = X.copy()
    x[1, :, [0, 3]] = 7.0
    message = r"2 variables are constant in the window of period 1: 0, 3; leave them out, or widen the window"
    with pytest.raises(ValueError, match=message):
        temporal.fit(KEY, x, 2, decay=0.0)
    with pytest.raises(ValueError, match=message):
        temporal.select(KEY, x, 2, x, decay=(0.5, 0.0))
