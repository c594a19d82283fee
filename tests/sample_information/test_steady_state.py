"""The steady state against the published covariance and scores, and against a long simulated descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import linalg

from infotheory_dl.information import gaussian
from infotheory_dl.sample_information.steady_state import (
    sgd_steady_state,
    steady_state_divergence,
    steady_state_information,
)
from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case


def steady_state_of(case, tag, **settings):
    """The published setting: curvature of the summed loss at the initial weights, and no learning rate."""
    apply_fn, params, arrays = case
    n = len(arrays["X_train"])
    _, unravel = ravel_pytree(params)
    settings = {"learning_rate": 1.0, "batch_size": n, "weight_decay": float(arrays["sgd_l2s"][0]) / n} | settings
    final = unravel(jnp.asarray(arrays[f"weights_{tag}"]))
    return sgd_steady_state(apply_fn, final, arrays["X_train"], arrays["Y_train"], curvature_params=params, **settings)


@pytest.mark.parametrize("make_case", [mlp_case, cnn_case])
@pytest.mark.parametrize("end", ["disc_t100", "inf"])
def test_scores_equal_the_published_ones(make_case, end):
    case = make_case()
    tag = f"l2_{case.arrays['sgd_l2s'][0]}_{end}"
    scores = steady_state_information(steady_state_of(case, tag), case.arrays[f"si_weights_vec_{tag}"])
    np.testing.assert_allclose(scores, case.arrays[f"si_weights_sgd_{tag}"], rtol=1e-7)


def test_the_covariance_solves_the_equation_with_the_published_gradient_noise():
    case = cnn_case()
    arrays, tag, n = case.arrays, "l2_0.3_inf", len(case.arrays["X_train"])
    state = steady_state_of(case, tag, learning_rate=0.1, batch_size=2, jitter=0.0)
    covariance = state.basis @ state.covariance @ state.basis.T
    curvature = (arrays["jac_train"].T @ arrays["jac_train"] + 0.3 * np.eye(len(covariance))) / n
    noise = 0.1 / 2 * arrays[f"sgd_cov_{tag}"]
    np.testing.assert_allclose(curvature @ covariance + covariance @ curvature, noise, atol=1e-13)


def linear(params, inputs):
    return inputs @ params["weight"]


def linear_problem(n=40, d=3):
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(n, d)), rng.normal(size=(n, 1))
    weight, *_ = np.linalg.lstsq(inputs, targets, rcond=None)
    return {"weight": jnp.asarray(weight)}, inputs, targets


def test_it_is_the_covariance_of_a_long_descent():
    params, inputs, targets = linear_problem()
    learning_rate, batch_size = 0.01, 4

    def step(weight, rows):
        x, y = jnp.asarray(inputs)[rows], jnp.asarray(targets)[rows]
        weight = weight - learning_rate * x.T @ (x @ weight - y) / batch_size
        return weight, weight[:, 0]

    rows = np.random.default_rng(1).integers(0, len(inputs), (400_000, batch_size))
    _, path = jax.lax.scan(step, params["weight"], rows)
    state = sgd_steady_state(linear, params, inputs, targets, learning_rate=learning_rate, batch_size=batch_size)
    expected = np.cov(path[5000:].T)
    covariance = state.basis @ state.covariance @ state.basis.T
    np.testing.assert_allclose(covariance, expected, atol=0.1 * np.abs(expected).max())


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_subspace_is_the_marginal_of_the_full_state(weight_decay):
    case = cnn_case()
    tag, size = "l2_0.3_inf", case.arrays["jac_train"].shape
    part = steady_state_of(case, tag, noise="subspace", weight_decay=weight_decay, jitter=0.0)
    assert part.basis.shape == size[::-1]
    curvature = np.asarray(
        part.basis.T @ (case.arrays["jac_train"].T @ case.arrays["jac_train"] / size[0] @ part.basis)
    )
    noise = part.basis.T @ case.arrays[f"sgd_cov_{tag}"] @ part.basis / size[0]
    expected = linalg.solve_continuous_lyapunov(curvature + weight_decay * np.eye(size[0]), noise)
    np.testing.assert_allclose(part.covariance, expected, atol=1e-9 * np.abs(expected).max())


def test_the_subspace_leaves_out_what_duplicates_add():
    params, inputs, targets = linear_problem(n=2, d=5)
    inputs, targets = np.concatenate([inputs, inputs]), np.concatenate([targets, targets + 1])
    state = sgd_steady_state(linear, params, inputs, targets, learning_rate=0.1, batch_size=1, noise="subspace")
    change = jnp.asarray(np.random.default_rng(1).normal(size=(1, 5)))
    orthonormal = np.linalg.svd(inputs[:2], full_matrices=False)[2]
    residuals = inputs @ params["weight"] - targets
    gradients = residuals * inputs @ orthonormal.T
    covariance = linalg.solve_continuous_lyapunov(
        orthonormal @ inputs.T @ inputs @ orthonormal.T / 4, 0.1 * np.cov(gradients.T, bias=True)
    )
    coordinates = orthonormal @ change[0]
    expected = coordinates @ np.linalg.solve(covariance, coordinates)
    np.testing.assert_allclose(steady_state_information(state, change), [expected], rtol=1e-5)


def test_changes_enter_as_trees_or_as_rows_and_nats_are_half():
    case = mlp_case()
    state = steady_state_of(case, "l2_0.5_inf")
    rng = np.random.default_rng(0)
    trees = jax.tree.map(lambda leaf: rng.normal(size=(3, *leaf.shape)), case.params)
    rows = steady_state_information(state, flatten(trees, leading=1))
    np.testing.assert_allclose(steady_state_information(state, trees, scale="nats"), rows / 2, rtol=1e-12)


def test_divergence_is_that_of_the_dense_gaussians_and_reduces_to_nats_for_one_state():
    case = mlp_case()
    state, other = (steady_state_of(case, tag, jitter=1e-6) for tag in ("l2_0.5_inf", "l2_0.5_disc_t100"))
    change = jnp.asarray(1e-3 * np.random.default_rng(0).normal(size=74))
    dense = [s.basis @ s.covariance @ s.basis.T for s in (state, other)]
    expected = gaussian.kl_divergence(jnp.zeros(74), dense[0], change, dense[1])
    np.testing.assert_allclose(steady_state_divergence(state, other, change), expected, rtol=1e-6)
    np.testing.assert_allclose(
        steady_state_divergence(state, state, change), steady_state_information(state, change[None], scale="nats")[0]
    )


def test_states_without_each_example_come_from_one_vmap():
    params, inputs, targets = linear_problem(n=6)
    kept = np.stack([np.delete(np.arange(6), i) for i in range(6)])
    state = lambda rows: sgd_steady_state(
        linear, params, jnp.asarray(inputs)[rows], jnp.asarray(targets)[rows], learning_rate=0.1, batch_size=1
    )
    batched = jax.vmap(state)(jnp.asarray(kept))
    alone = state(kept[3])
    dense = lambda s: s.basis @ s.covariance @ s.basis.T
    np.testing.assert_allclose(dense(jax.tree.map(lambda leaf: leaf[3], batched)), dense(alone), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_decay": 0.0}, r"singular: 10 outputs of examples do not determine 159 parameters.*noise='subspace'"),
        ({"batch_size": 0}, "batch_size must be positive, got 0"),
        ({"learning_rate": -1.0}, r"learning_rate must be positive, got -1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and not negative"),
        ({"noise": "diagonal"}, "unknown noise 'diagonal'; choose one of 'full', 'subspace'"),
    ],
)
def test_impossible_settings_are_refused_in_words(as_a_user_sees, settings, message):
    with pytest.raises(ValueError, match=message):
        steady_state_of(cnn_case(), "l2_0.3_inf", **settings)


def test_a_covariance_without_jitter_is_refused_in_words():
    case = cnn_case()
    state = steady_state_of(case, "l2_0.3_inf", jitter=0.0)
    with pytest.raises(ValueError, match="not positive definite in float64: give the steady state more jitter"):
        steady_state_information(state, case.arrays["si_weights_vec_l2_0.3_inf"])
    with pytest.raises(ValueError, match="must have 159 parameters like the steady state, got 3"):
        steady_state_information(steady_state_of(case, "l2_0.3_inf"), np.ones((2, 3)))
