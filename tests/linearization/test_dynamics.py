"""Closed forms of training against training step by step, and leave-one-out predictions against refitting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infotheory_dl.linearization import (
    SingularKernelError,
    empirical_kernel,
    kernel_eigen,
    leave_one_out_predictions,
    linearize,
    response,
    select_weight_decay,
    trained_coefficients,
    trained_outputs,
    trained_params,
)
from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case

CASES = {"mlp": mlp_case, "cnn": cnn_case}


@pytest.mark.parametrize("case", CASES)
def test_trained_weights_and_outputs_equal_the_published_ones(case):
    apply_fn, params, arrays = CASES[case]()
    x, y, initial = arrays["X_train"], arrays["Y_train"], arrays["init_pred_train"]
    kernel = kernel_eigen(arrays["ntk"])
    for shift in arrays["l2s"]:
        for tag, time in (*((f"{kind}_t{t}", t) for kind in ("cont", "disc") for t in arrays["ts"]), ("inf", np.inf)):
            name = f"l2_{shift}_{tag}"
            training = {
                "time": time,
                "learning_rate": float(arrays["lr"]),
                "weight_decay": shift / len(x),
                "dynamics": "discrete" if tag.startswith("disc") else "continuous",
            }
            coefficients = trained_coefficients(kernel, initial, y, **training)
            weights = flatten(trained_params(apply_fn, params, x, coefficients, batch_size=5))
            expected = arrays[f"weights_{name}"]
            np.testing.assert_allclose(weights, expected, atol=1e-10 * abs(expected).max())
            predicted = trained_outputs(
                kernel, initial, y, arrays["ntk_test_train"], arrays["init_pred_test"], **training
            )
            expected = arrays[f"pred_test_{name}"]
            np.testing.assert_allclose(predicted, expected, atol=1e-10 * abs(expected).max())
            if shift == 0 and f"pred_train_{tag}" in arrays:
                expected = arrays[f"pred_train_{tag}"]
                fitted = trained_outputs(kernel, initial, y, **training)
                np.testing.assert_allclose(fitted, expected, atol=1e-10 * abs(expected).max())


def test_gradient_descent_on_the_linear_network_reaches_the_closed_form():
    apply_fn, params, arrays = mlp_case()
    x, y = jnp.asarray(arrays["X_train"]), jnp.asarray(arrays["Y_train"])
    linear = linearize(apply_fn, params)

    def loss(p):
        penalty = sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(p), jax.tree.leaves(params), strict=True))
        return jnp.sum((linear(p, x) - y) ** 2) / (2 * len(x)) + 0.03 / 2 * penalty

    descend = lambda _, p: jax.tree.map(lambda leaf, g: leaf - 0.1 * g, p, jax.grad(loss)(p))
    expected = jax.jit(lambda: jax.lax.fori_loop(0, 25, descend, params))()
    kernel = kernel_eigen(empirical_kernel(apply_fn, params, x))
    training = {"time": 25, "learning_rate": 0.1, "weight_decay": 0.03, "dynamics": "discrete"}
    coefficients = trained_coefficients(kernel, apply_fn(params, x), y, **training)
    np.testing.assert_allclose(flatten(trained_params(apply_fn, params, x, coefficients)), flatten(expected), rtol=1e-9)


@given(st.floats(1e-12, 1.9), st.integers(1, 10_000))
def test_the_response_of_descent_is_the_geometric_sum(reach, time):
    expected = sum((1 - reach) ** np.arange(time, dtype=float))
    result = response(np.array([reach]), time=time, rate=1.0, dynamics="discrete")
    np.testing.assert_allclose(result, [expected], rtol=1e-9)


def test_the_response_at_zero_is_its_limit():
    for dynamics in ("continuous", "discrete"):
        near, at = (response(np.array([mu]), time=50, rate=0.2, dynamics=dynamics) for mu in (1e-12, 0.0))
        np.testing.assert_allclose(near, at, rtol=1e-9)
        np.testing.assert_allclose(at, [10.0])


def test_the_response_keeps_its_digits_in_single_precision():
    mu = np.logspace(-7, 0, 50)
    for dynamics in ("continuous", "discrete"):
        exact = response(mu, time=2000, rate=0.4, dynamics=dynamics)
        single = response(mu.astype(np.float32), time=2000, rate=0.4, dynamics=dynamics)
        np.testing.assert_allclose(single, exact, rtol=5e-4)


def ridge_without(kernel, targets, shift, i, coupled):
    kept = np.delete(np.arange(len(kernel)), np.arange(i * coupled, (i + 1) * coupled))
    solved = np.linalg.solve(
        kernel[np.ix_(kept, kept)] + shift * np.eye(len(kept)), targets.reshape(len(kernel), -1)[kept]
    )
    return (kernel[i * coupled : (i + 1) * coupled, kept] @ solved).ravel()


@pytest.mark.parametrize("shared", [True, False])
def test_leave_one_out_predictions_equal_refitting(shared):
    n, k = 9, 3
    targets = np.random.default_rng(0).normal(size=(n, k))
    coupled = 1 if shared else k
    features = np.random.default_rng(1).normal(size=(n * coupled, 40))
    kernel = features @ features.T
    predictions = leave_one_out_predictions(kernel_eigen(kernel), targets, 0.4)
    expected = [ridge_without(kernel, targets, n * 0.4, i, coupled) for i in range(n)]
    np.testing.assert_allclose(predictions, expected, rtol=1e-9)


def test_the_selected_weight_decay_has_the_least_leave_one_out_error():
    features = np.random.default_rng(2).normal(size=(30, 12))
    targets = features[:, :1] + np.random.default_rng(3).normal(size=(30, 1))
    kernel = kernel_eigen(features @ features.T)
    error = lambda decay: float(np.sum((leave_one_out_predictions(kernel, targets, decay) - targets) ** 2))
    candidates = np.array([0.001, 0.3, 1.0, 3.0, 1000.0])
    assert select_weight_decay(kernel, targets, candidates) == min(candidates, key=error)
    chosen = float(select_weight_decay(kernel, targets))
    assert error(chosen) <= min(error(0.8 * chosen), error(0.1 * chosen), error(10 * chosen))


@pytest.mark.usefixtures("as_a_user_sees")
class TestBadInput:
    def test_kernels_that_are_none(self):
        with pytest.raises(ValueError, match=r"kernel must be square \(rows, rows\), got shape \(3, 4\)"):
            kernel_eigen(np.ones((3, 4)))
        with pytest.raises(ValueError, match="differs from its transpose by 1"):
            kernel_eigen(np.array([[1.0, 1.0], [0.0, 1.0]]))
        with pytest.raises(ValueError, match="kernel has 4 of 4 entries that are NaN"):
            kernel_eigen(np.full((2, 2), np.nan))

    def test_targets_that_do_not_fit(self):
        kernel = kernel_eigen(np.eye(6))
        with pytest.raises(ValueError, match=r"a kernel of 6 rows does not fit targets of shape \(4, 2\)"):
            leave_one_out_predictions(kernel, np.ones((4, 2)), 0.1)
        with pytest.raises(ValueError, match="targets has 1 of 6 entries that are NaN"):
            select_weight_decay(kernel, np.array([[np.nan], [1], [1], [1], [1], [1.0]]))

    def test_one_example(self):
        with pytest.raises(ValueError, match="at least 2 of them, got 1"):
            leave_one_out_predictions(kernel_eigen(np.eye(1)), np.ones((1, 1)), 0.1)

    def test_a_singular_kernel(self):
        kernel = kernel_eigen(np.ones((3, 3)))
        with pytest.raises(SingularKernelError, match="add weight decay, train for a finite time"):
            leave_one_out_predictions(kernel, np.ones((3, 1)), 0.0)
        with pytest.raises(SingularKernelError, match="add weight decay"):
            trained_coefficients(kernel, np.zeros((3, 1)), np.ones((3, 1)), time=np.inf, learning_rate=1.0)

    def test_candidates_that_are_no_weight_decays(self):
        with pytest.raises(ValueError, match="candidates must be positive"):
            select_weight_decay(kernel_eigen(np.eye(3)), np.ones((3, 1)), np.array([0.1, 0.0]))

    def test_a_kernel_of_zeros_chooses_no_weight_decay(self):
        with pytest.raises(SingularKernelError, match="a kernel of zeros tells no weight decay from another"):
            select_weight_decay(kernel_eigen(np.zeros((3, 3))), np.ones((3, 1)))

    def test_a_reference_kernel_alone(self):
        with pytest.raises(ValueError, match="needs initial_reference_outputs beside it"):
            trained_outputs(
                kernel_eigen(np.eye(3)), np.zeros((3, 1)), np.ones((3, 1)), np.ones((2, 3)), time=1, learning_rate=1.0
            )
