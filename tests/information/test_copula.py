"""Gaussian-copula information against closed forms, the Gaussian information of the scores, and degenerate columns."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import digamma

from infotheory_dl.information import gaussian
from infotheory_dl.information.copula import conditional_mutual_information, mutual_information, normal_scores

COVARIANCE = np.array([[1.0, 0.6, 0.3], [0.6, 1.0, 0.4], [0.3, 0.4, 1.0]])
TABLE = np.random.default_rng(0).multivariate_normal(np.zeros(3), COVARIANCE, size=2000)
X, Y, Z = np.split(TABLE, 3, axis=1)
GROUPS = np.array([0]), np.array([1, 2])
ONE_EACH = np.array([0]), np.array([1]), np.array([2])


def test_scores_are_quantiles_of_mean_ranks():
    column = np.array([3, 1, 1, 2**62 + 1, 2**62])
    expected = stats.norm.ppf(np.array([3, 1.5, 1.5, 5, 4]) / 6)
    np.testing.assert_allclose(normal_scores(column[:, None])[:, 0], expected, rtol=1e-12)


def test_gaussians_have_their_closed_form_whatever_monotone_function_is_taken_of_them():
    first = -np.log(1 - 0.6**2) / 2
    np.testing.assert_allclose(mutual_information(X, Y), first, atol=0.04)
    np.testing.assert_allclose(mutual_information(np.exp(5 * X), Y**3), mutual_information(X, Y), rtol=1e-12)
    np.testing.assert_allclose(mutual_information(-X, Y), mutual_information(X, Y), rtol=1e-9)
    both = gaussian.mutual_information(COVARIANCE, *GROUPS)
    np.testing.assert_allclose(mutual_information(X, np.hstack([Y, Z])), both, atol=0.04)
    known = gaussian.conditional_mutual_information(COVARIANCE, *ONE_EACH)
    np.testing.assert_allclose(conditional_mutual_information(X, Y, Z), known, atol=0.04)


def test_it_is_the_gaussian_information_of_the_scores_less_its_bias():
    scores = np.cov(np.asarray(normal_scores(TABLE[:30])), rowvar=False)
    bias = lambda d, freedom: sum(digamma((freedom - i) / 2) for i in range(d)) / 2
    expected = gaussian.mutual_information(scores, *GROUPS) - bias(1, 29) - bias(2, 29) + bias(3, 29)
    observed = mutual_information(X[:30], np.hstack([Y, Z])[:30])
    np.testing.assert_allclose(observed, expected, rtol=1e-10)
    # what is known takes its degrees of freedom
    expected = gaussian.conditional_mutual_information(scores, *ONE_EACH) - 2 * bias(1, 28) + bias(2, 28)
    np.testing.assert_allclose(conditional_mutual_information(X[:30], Y[:30], Z[:30]), expected, rtol=1e-10)


def test_independent_variables_have_no_information_on_average():
    random = np.random.default_rng(1)
    estimates = jax.jit(jax.vmap(mutual_information))(
        random.normal(size=(400, 20, 3)), random.normal(size=(400, 20, 3))
    )
    np.testing.assert_allclose(estimates.mean(), 0, atol=4 * estimates.std() / 20)


def test_columns_that_add_nothing_change_nothing():
    expected = mutual_information(X, Y)
    for redundant in (np.ones_like(X), X, -2 * X):
        np.testing.assert_allclose(mutual_information(np.hstack([X, redundant]), Y), expected, rtol=1e-9)
        np.testing.assert_allclose(
            conditional_mutual_information(X, Y, np.hstack([Z, Z])), conditional_mutual_information(X, Y, Z), rtol=1e-9
        )
    assert mutual_information(np.ones_like(X), Y) == 0
    np.testing.assert_allclose(conditional_mutual_information(X, Y, X), 0, atol=1e-12)


def test_what_determines_the_other_tells_infinitely_much():
    assert mutual_information(X, np.exp(X)) == np.inf
    assert mutual_information(X.astype(np.float32), np.hstack([Y, -X]).astype(np.float32)) == np.inf


@settings(max_examples=15, derandomize=True, deadline=None)
@given(
    exponent=st.integers(-200, 200),
    offset=st.floats(-1e3, 1e3),
    order=st.permutations(range(40)),
    dtype=st.sampled_from([np.int8, np.int64, np.float32, float]),
)
def test_units_dtypes_and_the_order_of_samples_do_not_matter(exponent, offset, order, dtype):
    x, y = (np.round(40 * column[:40]).astype(dtype) for column in (X, Y))
    expected = mutual_information(np.round(40 * X[:40]), np.round(40 * Y[:40]))
    np.testing.assert_allclose(mutual_information(x[order], y[order]), expected, rtol=1e-5)
    if dtype is float:
        changed = (x[order] + offset) * 10.0**exponent
        np.testing.assert_allclose(mutual_information(changed, y[order]), expected, rtol=1e-10)


def test_bad_samples_are_named(as_a_user_sees):
    with pytest.raises(ValueError, match="of 4 columns needs at least 6 samples, got 5: take fewer columns"):
        mutual_information(TABLE[:5], X[:5])
    with pytest.raises(ValueError, match="x and y must have one length, got 2000 and 5"):
        mutual_information(X, Y[:5])
    with pytest.raises(ValueError, match="samples has 1 of 5 entries that are NaN or infinite"):
        normal_scores(np.array([[0, 1, 2, 3, np.nan]]).T)
