"""Closed-form runs against training the linear model on each selection by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.fcmi.linearized import linearized_runs
from infotheory_dl.fcmi.supersample import draw_selection, enumerate_selections
from infotheory_dl.linearization import SingularKernelError, kernel_eigen, trained_outputs

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(12, 7))  # n = 6
INITIAL = RANDOM.normal(size=(12, 2))
TARGETS = RANDOM.normal(size=(12, 2))
SELECTION = np.asarray(draw_selection(jax.random.key(0), 11, 6))


def trained_rows(run):
    return np.arange(0, 12, 2) + SELECTION[run]


def test_ridge_regression_on_each_selection():
    kernel = FEATURES @ FEATURES.T
    outputs = linearized_runs(kernel, INITIAL, TARGETS, SELECTION, time=np.inf, weight_decay=0.3, batch_size=4)
    assert outputs.shape == (11, 12, 2)
    for run in range(11):
        x = FEATURES[trained_rows(run)]
        residuals = (TARGETS - INITIAL)[trained_rows(run)]
        weights = np.linalg.solve(x.T @ x + 6 * 0.3 * np.eye(7), x.T @ residuals)
        np.testing.assert_allclose(outputs[run], INITIAL + FEATURES @ weights, rtol=1e-10, atol=1e-12)


def test_gradient_flow_on_each_selection():
    kernel = FEATURES @ FEATURES.T
    outputs = linearized_runs(kernel, INITIAL, TARGETS, SELECTION, time=20, learning_rate=0.1, weight_decay=0.05)
    for run in range(11):
        x, rows = FEATURES[trained_rows(run)], trained_rows(run)
        # w' = -(A w - b) / n: w(t) = A^-1 (1 - exp(-rate t A)) b
        values, vectors = np.linalg.eigh(x.T @ x / 6 + 0.05 * np.eye(7))
        progress = -np.expm1(-0.1 * 20 * values) / values
        weights = vectors @ (progress[:, None] * (vectors.T @ (x.T @ (TARGETS - INITIAL)[rows] / 6)))
        np.testing.assert_allclose(outputs[run], INITIAL + FEATURES @ weights, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [{"time": 7.0, "learning_rate": 0.2}, {"time": np.inf, "weight_decay": 0.1}])
def test_a_kernel_between_all_outputs(settings):
    features = RANDOM.normal(size=(24, 30))
    kernel = features @ features.T
    outputs = linearized_runs(kernel, INITIAL, TARGETS, SELECTION, **settings)
    for run in (0, 10):
        rows = trained_rows(run)
        places = (2 * rows[:, None] + np.arange(2)).ravel()
        expected = trained_outputs(
            kernel_eigen(kernel[np.ix_(places, places)]),
            INITIAL[rows],
            TARGETS[rows],
            kernel[:, places],
            INITIAL,
            **{"learning_rate": 1.0, **settings},
        )
        np.testing.assert_allclose(outputs[run], expected, rtol=1e-9, atol=1e-11)


def test_at_infinite_time_without_weight_decay_the_training_examples_are_fitted():
    kernel = FEATURES @ FEATURES.T + np.eye(12)
    outputs = linearized_runs(kernel, INITIAL, TARGETS, SELECTION, time=np.inf)
    for run in range(11):
        np.testing.assert_allclose(outputs[run, trained_rows(run)], TARGETS[trained_rows(run)], atol=1e-12)


def test_no_number_of_runs_at_once_changes_the_outputs():
    kernel = FEATURES @ FEATURES.T
    selection = enumerate_selections(6)
    settings = {"time": 3.0, "learning_rate": 0.1}
    many, few = (linearized_runs(kernel, INITIAL, TARGETS, selection, batch_size=size, **settings) for size in (64, 5))
    np.testing.assert_allclose(many, few, rtol=1e-12)


def test_the_outputs_can_be_differentiated():
    def outputs(weight_decay):
        return linearized_runs(jnp.asarray(kernel), INITIAL, TARGETS, SELECTION, time=np.inf, weight_decay=weight_decay)

    kernel = FEATURES @ FEATURES.T
    slope = jax.jacfwd(outputs)(0.2)
    np.testing.assert_allclose(slope, (outputs(0.2 + 1e-5) - outputs(0.2 - 1e-5)) / 2e-5, atol=1e-6)


def test_what_does_not_fit_is_refused(as_a_user_sees):
    kernel = FEATURES @ FEATURES.T
    with pytest.raises(ValueError, match=r"selections of 6 rows need .* of 12 entries .* got shapes \(11, 2\)"):
        linearized_runs(kernel, INITIAL[1:], TARGETS[1:], SELECTION, time=1.0)
    with pytest.raises(ValueError, match="kernel has 1 of 144 entries"):
        linearized_runs(
            np.where(np.arange(144).reshape(12, 12) == 5, np.nan, kernel), INITIAL, TARGETS, SELECTION, time=1
        )
    with pytest.raises(SingularKernelError, match="add weight decay, train for a finite time"):
        linearized_runs(kernel, INITIAL, TARGETS, SELECTION, time=np.inf)
