import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import FeatureStream, SingularKernelError, feature_moments, ridge_leave_one_out
from infotheory_dl.linearization.ridge import fitted, least_error, left_out_rows, principal_coordinates, refitted
from tests.devices import run_on_eight_devices

N, D = 30, 5
DEVICES = """
import jax
import numpy as np
from infotheory_dl.linearization import FeatureStream, ridge_leave_one_out

assert len(jax.devices()) == 8
rng = np.random.default_rng(0)
features, targets = rng.normal(size=(30, 5)).astype(np.float32), rng.normal(size=(30, 2)).astype(np.float32)
stream = FeatureStream(features, batch_size=11)
block = next(stream.blocks())
assert len(block.features.sharding.device_set) == 8
found = ridge_leave_one_out(stream, targets, weight_decay=0.1)
rows = np.concatenate([features, np.ones((30, 1))], axis=1).astype(float)
hat = rows @ np.linalg.inv(rows.T @ rows + np.diag([3.0] * 5 + [0.0])) @ rows.T
np.testing.assert_allclose(found.residuals, (targets - hat @ targets) / (1 - np.diag(hat))[:, None], atol=1e-5)
"""


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    # an offset that dwarfs the spread, as of features that are never negative
    return rng.normal(size=(N, D)) + 20, rng.normal(size=(N, 3))


def refit(features, targets, shift):
    """Weights and intercept by the normal equations."""
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    penalty = np.diag([shift] * features.shape[1] + [0.0])
    solved = np.linalg.solve(rows.T @ rows + penalty, rows.T @ targets)
    return solved[:-1], solved[-1]


def without(problem, i, shift=N * 0.3):
    others = np.arange(N) != i
    return refit(problem[0][others], problem[1][others], shift)


def test_predictions_are_those_of_a_fit_to_all_others(problem):
    found = ridge_leave_one_out(*problem, weight_decay=0.3)
    for i in range(N):
        weights, intercept = without(problem, i)
        np.testing.assert_allclose(problem[1][i] - problem[0][i] @ weights - intercept, found.residuals[i], rtol=1e-9)
    assert found.weight_decay == 0.3


def test_the_leverage_is_the_weight_of_the_own_target(problem):
    features, targets = problem
    found = ridge_leave_one_out(*problem, weight_decay=0.3)
    moved = targets + np.eye(N)[:, [4]]
    outputs = [
        features[4] @ weights + intercept
        for weights, intercept in (refit(features, y, N * 0.3) for y in (targets, moved))
    ]
    np.testing.assert_allclose(outputs[1] - outputs[0], found.leverage[4], rtol=1e-9)


def test_single_precision_in_blocks_is_double_precision_to_its_rounding(problem):
    exact = ridge_leave_one_out(*problem, weight_decay=0.3)
    features, targets = (values.astype(np.float32) for values in problem)
    stream = FeatureStream(features, batch_size=7)
    found = ridge_leave_one_out(stream, targets, weight_decay=0.3)
    np.testing.assert_allclose(found.residuals, exact.residuals, atol=2e-4)
    np.testing.assert_allclose(found.leverage, exact.leverage, atol=2e-5)


@pytest.mark.parametrize("hold", [False, True])
def test_features_that_a_function_makes_are_those_that_are_given(problem, hold):
    features, targets = problem
    inputs, shift = features.reshape(N, D, 1) - 1, jnp.ones(D)
    stream = FeatureStream(inputs, lambda params, x: x[..., 0] + params, shift, batch_size=8, hold=hold)
    found = ridge_leave_one_out(stream, targets, weight_decay=0.3)
    beside = FeatureStream(
        inputs[:, :2], lambda params, x: x[..., 0] + 1, beside=features[:, 2:], batch_size=8, hold=hold
    )
    np.testing.assert_allclose(
        ridge_leave_one_out(beside, targets, weight_decay=0.3).residuals, found.residuals, rtol=1e-9
    )
    np.testing.assert_allclose(beside.take(np.array([29, 3])), features[[29, 3]])
    np.testing.assert_allclose(found.residuals, ridge_leave_one_out(*problem, weight_decay=0.3).residuals, rtol=1e-9)
    np.testing.assert_allclose(stream.take(np.array([29, 3])), features[[29, 3]])


def test_the_weight_decay_is_that_of_the_least_leave_one_out_error(problem):
    features, targets = problem
    signal = features @ np.ones((D, 1)) + targets[:, :1]
    chosen = ridge_leave_one_out(features, signal)
    error = lambda decay: np.square(ridge_leave_one_out(features, signal, weight_decay=decay).residuals).sum()
    others = [error(chosen.weight_decay * factor) for factor in (0.1, 0.5, 2, 10)]
    assert error(chosen.weight_decay) < min(others)


def test_of_many_outputs_mixtures_tell_the_weight_decay(problem):
    features = problem[0]
    rng = np.random.default_rng(2)
    targets = features @ rng.normal(size=(D, 300)) + 3 * rng.normal(size=(N, 300))
    error = lambda decay: np.square(ridge_leave_one_out(features, targets, weight_decay=decay).residuals).sum()
    chosen = ridge_leave_one_out(features, targets).weight_decay
    assert error(chosen) <= 1.01 * min(error(chosen * factor) for factor in 10.0 ** np.arange(-2, 2.1, 0.5))
    stream, moments = FeatureStream(features), feature_moments(features)
    assert least_error(stream, moments, targets, chosen) == pytest.approx(error(chosen) / targets.size, rel=0.1)


def test_changes_of_weights_and_outputs_are_those_of_fits_without_the_example(problem):
    features, targets = problem
    moments, stream = feature_moments(features), FeatureStream(features)
    fit = fitted(stream, moments, targets, 0.3)
    inverse = 1 / (moments.eigenvalues + N * 0.3)
    references = features[:4] + 1
    rows = left_out_rows(
        stream, moments, fit, targets, weightings=inverse[:, None] ** 2, references=references, leading=2
    )
    squares = np.square(rows.residuals).sum(1)
    weights, intercept = refit(features, targets, N * 0.3)
    for i in (0, 11):
        other, other_intercept = without(problem, i)
        assert rows.sums[i, 0] * squares[i] == pytest.approx(np.square(other - weights).sum(), rel=1e-8)
        change = references @ (other - weights) + other_intercept - intercept
        assert rows.on_references[i] * squares[i] == pytest.approx(np.square(change).sum(1).mean(), rel=1e-8)
    np.testing.assert_allclose(rows.coordinates, principal_coordinates(stream, moments, 2), rtol=1e-12)
    # other targets share all but the residuals
    others = np.sin(7 * targets)
    again = refitted(rows, stream, moments, fitted(stream, moments, others, 0.3), others)
    np.testing.assert_allclose(again.residuals, ridge_leave_one_out(features, others, weight_decay=0.3).residuals)
    assert again.leverage is rows.leverage


@pytest.mark.parametrize("weight_decay", [None, 0.3])
def test_of_fewer_examples_than_features_the_moments_are_those_of_the_examples(weight_decay):
    rng = np.random.default_rng(1)
    features, targets = rng.normal(size=(N, 40)) + 3, rng.normal(size=(N, 2))
    moments = feature_moments(features)
    assert moments.eigenvectors.shape == (40, N - 1)
    found = ridge_leave_one_out(features, targets, weight_decay=weight_decay)
    for i in (0, 17):
        weights, intercept = without((features, targets), i, N * found.weight_decay)
        np.testing.assert_allclose(targets[i] - features[i] @ weights - intercept, found.residuals[i], rtol=1e-8)
    with pytest.raises(SingularKernelError, match="features that depend on one another need weight_decay > 0"):
        ridge_leave_one_out(features, targets, weight_decay=0.0)
    alike = ridge_leave_one_out(np.ones((N, 40)), targets, weight_decay=0.3)
    np.testing.assert_allclose(alike.residuals, N / (N - 1) * (targets - targets.mean(0)))


def test_principal_coordinates_keep_distances(problem):
    features = problem[0]
    coordinates = principal_coordinates(FeatureStream(features), feature_moments(features), D)
    distances = lambda rows: np.square(rows[:, None] - rows).sum(2)
    np.testing.assert_allclose(distances(coordinates), distances(features), atol=1e-9)
    spread = coordinates.std(0)
    np.testing.assert_array_equal(spread, np.sort(spread)[::-1])


def test_features_that_say_nothing_more_need_weight_decay(problem):
    features = np.concatenate([problem[0], problem[0][:, :1]], axis=1)
    with pytest.raises(SingularKernelError, match=r"give weight decay|need weight_decay > 0"):
        ridge_leave_one_out(features[:6], problem[1][:6], weight_decay=0.0)


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_does_not_fit_is_told(problem):
    with pytest.raises(ValueError, match="features of 30 examples need as many targets, got 29"):
        ridge_leave_one_out(problem[0], problem[1][1:])
    with pytest.raises(ValueError, match=r"weight_decay must be finite and not negative, got -1.0"):
        ridge_leave_one_out(*problem, weight_decay=-1.0)
    with pytest.raises(ValueError, match="features must be a row for each example"):
        FeatureStream(problem[0], lambda params, x: x.sum(1), ())
    with pytest.raises(ValueError, match="at least 2 examples, got 1"):
        feature_moments(problem[0][:1])


def test_devices_share_the_blocks():
    run_on_eight_devices(DEVICES)
