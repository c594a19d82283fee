"""Ranking metrics against scikit-learn and SciPy, with and without ties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from infotheory_dl import metrics

RNG = np.random.default_rng(0)
CONTINUOUS = RNG.normal(size=200)
TIED = np.round(CONTINUOUS, 0)
POSITIVES = (CONTINUOUS + 2 * RNG.normal(size=200)) > 1


@pytest.mark.parametrize("scores", [CONTINUOUS, TIED, TIED.astype(int)])
def test_detection_equals_scikit_learn(scores):
    expected = sklearn_metrics.roc_auc_score(POSITIVES, scores)
    np.testing.assert_allclose(metrics.area_under_roc(scores, POSITIVES), expected, rtol=1e-14)
    expected = sklearn_metrics.average_precision_score(POSITIVES, scores)
    np.testing.assert_allclose(metrics.average_precision(scores, POSITIVES.astype(int)), expected, rtol=1e-14)


@pytest.mark.parametrize("scores", [CONTINUOUS, TIED])
def test_correlations_equal_scipy(scores):
    other = np.round(scores + RNG.normal(size=200), 1)
    np.testing.assert_allclose(metrics.pearson_correlation(scores, other), stats.pearsonr(scores, other)[0], rtol=1e-13)
    np.testing.assert_allclose(
        metrics.spearman_correlation(scores, other), stats.spearmanr(scores, other)[0], rtol=1e-13
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=8, max_size=8))
def test_precision_at_is_the_expectation_over_random_orders_of_ties(rows):
    scores, positives = map(np.array, zip(*rows, strict=True))
    positives[0] = True
    rng = np.random.default_rng(1)
    shuffled = np.stack([rng.permutation(8) for _ in range(2000)])
    best = np.take_along_axis(shuffled, np.argsort(-scores[shuffled], axis=1, kind="stable")[:, :3], axis=1)
    np.testing.assert_allclose(metrics.precision_at(scores, positives, 3), positives[best].mean(), atol=0.06)


def test_precision_at_without_ties_counts_the_top():
    top = np.argsort(-CONTINUOUS)[:20]
    np.testing.assert_allclose(metrics.precision_at(CONTINUOUS, POSITIVES, 20), POSITIVES[top].mean(), rtol=1e-14)


def test_all_metrics_run_under_jit_and_vmap_in_single_precision():
    scores = jnp.stack([jnp.asarray(CONTINUOUS, jnp.float32), jnp.asarray(TIED, jnp.float32)])
    for metric in [
        metrics.area_under_roc,
        metrics.average_precision,
        lambda s, p: metrics.precision_at(s, p, 20),
        lambda s, p: metrics.pearson_correlation(s, p.astype(jnp.float32)),
        lambda s, p: metrics.spearman_correlation(s, p.astype(jnp.float32)),
    ]:
        batched = jax.jit(jax.vmap(metric, in_axes=(0, None)))(scores, jnp.asarray(POSITIVES))
        assert batched.dtype == jnp.float32
        np.testing.assert_allclose(batched, [metric(row, jnp.asarray(POSITIVES)) for row in scores], rtol=1e-5)


def test_correlation_does_not_overflow_and_a_constant_has_none():
    np.testing.assert_allclose(metrics.pearson_correlation(1e200 * CONTINUOUS, -1e-200 * CONTINUOUS), -1, rtol=1e-14)
    assert np.isnan(metrics.pearson_correlation(np.ones(4), np.arange(4.0)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.area_under_roc(np.ones(3), np.ones(3, bool)), "needs a negative as well"),
        (lambda: metrics.average_precision(np.ones(3), np.zeros(3, bool)), "of the 3 examples must be positive"),
        (lambda: metrics.area_under_roc(np.ones(3), np.array([0, 1, 2])), r"0 and 1, got the values \[0, 1, 2\]"),
        (lambda: metrics.area_under_roc(np.ones(3), np.zeros(2, bool)), r"one length, got shapes \(3,\) and \(2,\)"),
        (lambda: metrics.area_under_roc(np.array([0.0, np.nan]), np.array([0, 1])), "scores has 1 of 2 entries"),
        (lambda: metrics.precision_at(np.ones(3), np.array([0, 1, 1]), 4), r"in \[1, 3\].*got 4"),
        (lambda: metrics.pearson_correlation(np.ones(1), np.ones(1)), "at least 2 examples, got 1"),
        (lambda: metrics.spearman_correlation(np.ones(2), np.array([1, np.inf])), "y has 1 of 2 entries"),
    ],
)
def test_impossible_input_is_refused_in_words(as_a_user_sees, call, message):
    with pytest.raises(ValueError, match=message):
        call()
