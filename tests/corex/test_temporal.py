"""Fits of T-CorEx: accuracy, penalties, learned weights, selection, changes, degenerate data, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.corex import temporal
from infotheory_dl.information import low_rank
from tests.conftest import reference

KEY = jax.random.key(0)


def expected_nll(model, covariances):
    """Of draws with mean zero and these covariances, under the estimates of the covariances alone; mean over periods."""
    estimates = np.asarray(jax.vmap(low_rank.to_dense)(temporal.covariances(model)), float)
    distances = np.trace(np.linalg.solve(estimates, covariances), axis1=1, axis2=2)
    size = covariances.shape[-1]
    return (size * np.log(2 * np.pi) + np.linalg.slogdet(estimates)[1] + distances).mean() / 2


@pytest.mark.parametrize(
    ("name", "settings", "published"),
    [
        ("sudden", {"decay": 0.3, "l1": 0.3}, "sudden_res_tcorex_l1_0.3_g_0.3"),
        ("smooth", {"decay": 0.5, "l1": 1.0}, "smooth_res_tcorex_l1_0.3_g_0.5"),
    ],
)
def test_held_out_likelihoods_are_the_published_ones_or_better(name, settings, published):
    case = reference("corex_e2e")
    covariances = case[f"{name}_cov"].astype(float)
    covariances = np.repeat(covariances, 10 // len(covariances), axis=0)
    model = temporal.fit(KEY, case[f"{name}_train"], 8, max_iterations=500, **settings)
    assert model.weights.dtype == jnp.float32
    assert expected_nll(model, covariances) < case[published]

