"""Penalties of T-CorEx on change, and learned sample weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.corex import temporal
from infotheory_dl.corex._temporal.periods import as_samples, windows_of
from infotheory_dl.corex.solvers import gradient
from tests.corex.series import SERIES, SHORT

KEY = jax.random.key(0)


def drift(model, of):
    return float(jnp.abs(jnp.diff(of(model), axis=0)).sum())


def test_the_proximal_step_finds_a_better_and_sparser_optimum_than_the_subgradient():
    settings = SHORT | {"l1": 1.0, "decay": 0.2}
    proximal = temporal.fit(KEY, SERIES, 3, **settings)
    subgradient = temporal.fit(KEY, SERIES, 3, l1_step="subgradient", **settings)
    assert proximal.history[-1] > subgradient.history[-1]
    unchanged = [float((jnp.diff(model.weights, axis=0) == 0).mean()) for model in (proximal, subgradient)]
    assert unchanged[0] > 0.3
    assert unchanged[1] == 0


def test_a_large_penalty_leaves_one_set_of_weights():
    model = temporal.fit(KEY, SERIES, 3, **SHORT, l1=1e4)
    np.testing.assert_array_equal(model.weights, np.broadcast_to(model.weights[:1], model.weights.shape))


def test_the_soft_threshold_is_the_proximal_map_of_the_absolute_value():
    values = jnp.linspace(-2, 2, 41)
    ours = gradient.soft_threshold(values, jnp.full(41, 0.7))
    grid = np.linspace(-2, 2, 4001)
    brute = grid[np.argmin((grid - np.asarray(values)[:, None]) ** 2 / 2 + 0.7 * np.abs(grid), axis=1)]
    np.testing.assert_allclose(ours, brute, atol=1e-3)


@pytest.mark.parametrize(
    ("smoothed", "of"),
    [
        ("weights", lambda model: model.weights),
        ("mutual_informations", lambda model: model.mutual_informations),
        (
            "covariances",
            lambda model: jnp.einsum("tmp,tmq->tpq", model.moments.loadings, model.moments.loadings),
        ),
    ],
)
def test_penalties_make_smooth_what_they_are_of(smoothed, of):
    settings = SHORT | {"smoothed": smoothed, "l1_step": "subgradient", "decay": 0.2}
    free, l1, l2 = (
        drift(temporal.fit(KEY, SERIES, 3, **settings, **cost), of) for cost in ({}, {"l1": 3.0}, {"l2": 10.0})
    )
    assert l1 < 0.7 * free
    assert l2 < 0.7 * free


def test_sample_weights_are_learned_and_kept_from_concentrating():
    given = temporal.fit(KEY, SERIES, 3, **SHORT)
    free, dear = (
        temporal.fit(KEY, SERIES, 3, **SHORT, learn_sample_weights=True, concentration=concentration)
        for concentration in (0.0, 100.0)
    )
    assert free.history[-1] > given.history[-1] + 0.5
    for model in (free, dear):
        np.testing.assert_allclose(model.window_shares.sum(1), 1, rtol=1e-12)
        assert np.abs(model.window_shares - given.window_shares).max() > 0.1
    assert dear.window_shares.max() < free.window_shares.max() - 0.2
    # means and standard deviations are those of the learned windows
    samples, units = as_samples(SERIES)
    windows = windows_of(samples, jnp.log(free.window_shares / samples.present.sum(1)))
    mean, std = units.given(windows.mean, windows.std)
    np.testing.assert_allclose(free.mean, mean, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(free.std, std, rtol=1e-8)
