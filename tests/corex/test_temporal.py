"""Accuracy of T-CorEx on the published synthetic series, choice of its settings, and what a fit says."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import adjusted_rand_score

from infotheory_dl.corex import temporal
from infotheory_dl.information import low_rank
from tests.conftest import reference

KEY = jax.random.key(0)


def expected_nll(model, covariances):
    """Of draws with mean zero, under the estimates of the covariances alone; mean over periods."""
    estimates = np.asarray(jax.vmap(low_rank.to_dense)(temporal.covariances(model)), float)
    distances = np.trace(np.linalg.solve(estimates, covariances), axis1=1, axis2=2)
    size = covariances.shape[-1]
    return (size * np.log(2 * np.pi) + np.linalg.slogdet(estimates)[1] + distances).mean() / 2


def covariances_of(name):
    covariances = reference("corex_e2e")[f"{name}_cov"].astype(float)
    return np.repeat(covariances, 10 // len(covariances), axis=0)


def test_estimates_before_and_after_a_sudden_change_are_better_than_the_published_ones():
    case = reference("corex_e2e")
    model = temporal.fit(KEY, case["sudden_train"], 8, decay=0.3, l1=0.3, max_iterations=500)
    assert model.weights.dtype == jnp.float32
    assert expected_nll(model, covariances_of("sudden")) < case["sudden_res_tcorex_l1_0.3_g_0.3"]
    blocks = np.repeat(np.arange(8), 16)
    scores = [adjusted_rand_score(blocks, period) for period in np.asarray(temporal.clusters(model))]
    assert np.mean(scores) > 0.9

    # the change is between periods 4 and 5, and neighbours that are alike share all weights
    moved = np.asarray(jnp.diff(model.weights, axis=0) != 0).mean((1, 2))
    assert moved.argmax() == 4
    assert moved.sum() < 0.5


def test_the_chosen_penalty_estimates_a_smooth_change_better_than_the_published_one():
    case = reference("corex_e2e")
    train, validation = case["smooth_train"], case["smooth_val"]
    chosen = temporal.select(KEY, train, 8, validation, decay=(0.5,), l1=(0.3, 1.0), max_iterations=300)
    assert (chosen.decay, chosen.l1, chosen.l2) == (0.5, 1.0, 0.0)
    assert expected_nll(chosen.model, covariances_of("smooth")) < case["smooth_res_tcorex_l1_0.3_g_0.5"]
    assert chosen.scores.shape == (1, 2, 1)
    score = temporal.log_likelihood(chosen.model, validation).mean()
    np.testing.assert_allclose(chosen.scores[0, 1, 0], score, rtol=1e-5)
