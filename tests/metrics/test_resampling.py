"""The bootstrap against the published one, and what it costs the second time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import metrics
from tests.conftest import reference

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=200)
POSITIVES = (SCORES + 2 * RNG.normal(size=200)) > 1


def test_bootstrapped_accuracy_spreads_as_the_published_one_does():
    published = reference("label_noise_bootstrap")
    right = published["pred"].argmax(1) == published["target"]
    np.testing.assert_allclose(right.mean(), published["point"])
    resamples = int(published["n_iters"])
    accuracies = metrics.bootstrap(jax.random.key(0), jnp.mean, right, num_resamples=resamples)
    assert accuracies.shape == (resamples,)
    standard_error = published["std"] * np.sqrt(2 / resamples)
    np.testing.assert_allclose(accuracies.mean(), published["mean"], atol=3 * standard_error)
    np.testing.assert_allclose(accuracies.std(), published["std"], rtol=0.15)
    np.testing.assert_allclose(accuracies.std(), np.sqrt(right.mean() * (1 - right.mean()) / 300), rtol=0.15)


def test_a_bootstrap_draws_the_columns_together():
    scores, keys = jnp.asarray(SCORES), jax.random.key(1)
    np.testing.assert_allclose(
        metrics.bootstrap(keys, metrics.pearson_correlation, scores, 2 * scores, num_resamples=5), 1, rtol=1e-12
    )
    areas = metrics.bootstrap(keys, metrics.area_under_roc, SCORES, POSITIVES, num_resamples=200)
    np.testing.assert_allclose(areas.mean(), metrics.area_under_roc(SCORES, POSITIVES), atol=3 * areas.std())


def test_a_second_bootstrap_of_a_measure_compiles_nothing():
    traces = []

    def mean(values):
        traces.append(values.shape)
        return values.mean()

    first, again, other = (
        metrics.bootstrap(jax.random.key(seed), mean, SCORES + shift, num_resamples=5)
        for seed, shift in ((0, 0), (0, 0), (1, 1))
    )
    assert traces == [(200,)]
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(other - 1, first)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.bootstrap(jax.random.key(0), jnp.mean, np.ones(3), np.ones(2)), r"got lengths \[3, 2\]"),
        (lambda: metrics.bootstrap(jax.random.key(0), jnp.mean, np.ones(3), num_resamples=0), "at least 1, got 0"),
    ],
)
def test_impossible_input_is_refused_in_words(as_a_user_sees, call, message):
    with pytest.raises(ValueError, match=message):
        call()
