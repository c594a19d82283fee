"""Whether a fit is more than chance, and that no order, unit or container of a table makes a difference."""

import functools

import jax
import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl.corex import linear
from infotheory_dl.corex._linear import significance
from infotheory_dl.information import low_rank

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(size=(40, 6))
MODULES = np.repeat(RANDOM.gamma(2.0, size=(40, 2)), 3, axis=1) + 0.7 * RANDOM.gamma(2.0, size=(40, 6))


def test_noise_is_called_noise_and_modules_are_not():
    of_noise, of_modules = (linear.total_correlation_test(KEY, x, 2, num_permutations=19) for x in (NOISE, MODULES))
    assert of_noise.p_value > 0.05
    assert of_modules.p_value == 1 / 20
    assert of_modules.excess > 0.7 * of_modules.total_correlation
    np.testing.assert_allclose(of_modules.total_correlation, of_modules.model.total_correlation)
    # the best factor of noise is no more than the best of its permutations; both modules are
    assert of_noise.factor_p_values.min() > 0.05
    np.testing.assert_array_equal(of_modules.factor_p_values, 1 / 20)
    assert (of_modules.factor_null < of_modules.model.total_correlations.min()).all()
    # permuted columns of the one are like the other
    spread = 4 * of_noise.null.std()
    np.testing.assert_allclose(of_modules.null.mean(), of_noise.null.mean(), atol=spread)
    assert abs(of_noise.excess) < spread


def test_the_null_has_the_gaps_of_the_table():
    holes = np.where(np.random.default_rng(1).random(MODULES.shape) < 0.1, np.nan, MODULES)
    for missing in ("mean", "pairwise"):
        found = linear.total_correlation_test(KEY, holes, 2, num_permutations=19, missing=missing)
        assert found.p_value == 1 / 20
        assert np.isfinite(found.null).all()


def test_permuted_tables_side_by_side_are_those_one_after_the_other(monkeypatch):
    one_by_one = linear.total_correlation_test(KEY, MODULES, 2, num_permutations=19)
    # as on an accelerator
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    significance._null.clear_cache()
    side_by_side = linear.total_correlation_test(KEY, MODULES, 2, num_permutations=19)
    significance._null.clear_cache()
    np.testing.assert_allclose(side_by_side.null, one_by_one.null, rtol=1e-8)


def test_impossible_tests_are_refused_in_words(as_a_user_sees):
    with pytest.raises(ValueError, match="num_permutations must be at least 1, got 0"):
        linear.total_correlation_test(KEY, NOISE, 2, num_permutations=0)
    with pytest.raises(ValueError, match="the fits of a test start at random; leave initial_weights out"):
        linear.total_correlation_test(KEY, NOISE, 2, initial_weights=np.ones((2, 6)))


@functools.cache
def expected():
    return linear.fit(KEY, MODULES, 2)


@given(seed=st.integers(0, 100), exponent=st.integers(-150, 150), offset=st.sampled_from([0.0, 5.0, 1e9]))
@settings(max_examples=12, derandomize=True)
def test_orders_units_and_offsets_change_no_fit(seed, exponent, offset):
    random = np.random.default_rng(seed)
    rows, columns = random.permutation(40), random.permutation(6)
    signs = random.choice([-1.0, 1.0], 6)
    unit = signs * 10.0 ** (exponent if offset == 0 else 0)
    model, found = expected(), linear.fit(KEY, (unit * MODULES + offset)[rows][:, columns], 2)
    np.testing.assert_allclose(found.total_correlation, model.total_correlation, rtol=1e-5)
    assert (np.diff(found.total_correlations) <= 0).all()
    assert (np.asarray(found.moments.correlations**3).sum(1) > 0).all()
    # each factor has a sign of its own, and each variable that of its unit
    correlations = np.asarray(model.moments.correlations * signs)[:, columns]
    correlations *= np.sign((correlations**3).sum(1, keepdims=True))
    np.testing.assert_allclose(found.moments.correlations, correlations, atol=2e-3)
    np.testing.assert_array_equal(linear.clusters(found), np.asarray(linear.clusters(model))[columns])


def test_what_holds_the_table_changes_no_fit():
    names = list("abcdef")
    whole = np.round(100 * MODULES).astype(np.int64)
    model = linear.fit(KEY, whole.astype(float), 2)
    frame = pandas.DataFrame(whole, columns=names)
    tables = [whole, whole.astype(np.uint16), whole.tolist(), frame, polars.from_pandas(frame), frame.astype("Int64")]
    for table in [*tables, dict(frame.items()), whole + 2**60]:
        found = linear.fit(KEY, table, 2)
        np.testing.assert_allclose(found.weights, model.weights, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(linear.transform(found, table), linear.transform(model, whole), atol=1e-8)
    named = linear.fit(KEY, frame, 2)
    assert named.preprocessing.columns.names == tuple(names)
    np.testing.assert_array_equal(linear.transform(named, frame[names[::-1]]), linear.transform(named, frame))
    half = linear.fit(KEY, MODULES.astype(np.float16), 2)
    np.testing.assert_allclose(half.total_correlation, expected().total_correlation, rtol=1e-2)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e9), (1e200, 0.0), (1e-200, 0.0)])
def test_units_beyond_single_precision_are_kept_where_double_precision_is_off(scale, offset):
    x = scale * MODULES + offset
    with jax.enable_x64(False):
        plain, model = linear.fit(KEY, MODULES, 2), linear.fit(KEY, x, 2)
        assert model.weights.dtype == np.float32
        assert model.converged
        np.testing.assert_allclose(model.total_correlation, plain.total_correlation, rtol=1e-4)
        np.testing.assert_allclose(model.preprocessing.mean, x.mean(0), rtol=1e-14)
        factors = linear.transform(model, x)
        predicted = (linear.predict(model, factors) - offset) / scale
        np.testing.assert_allclose(predicted, linear.predict(plain, linear.transform(plain, MODULES)), atol=1e-2)
        densities = low_rank.log_density(linear.covariance(model), x) + 6 * np.log(scale)
        np.testing.assert_allclose(densities, low_rank.log_density(linear.covariance(plain), MODULES), atol=1e-2)
        if scale == 1:
            dense = low_rank.to_dense(linear.covariance(plain))
            np.testing.assert_allclose(low_rank.to_dense(linear.covariance(model)), dense, rtol=1e-2, atol=1e-3)
        else:
            with pytest.raises(ValueError, match=r"the variance of variable 0, whose scale is .* is beyond double"):
                low_rank.to_dense(linear.covariance(model))
