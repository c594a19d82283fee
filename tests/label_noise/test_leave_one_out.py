"""Targets from the labels of all others, and what noisy ones tell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.label_noise import leave_one_out_targets, target_information
from infotheory_dl.linearization import feature_eigen, kernel_eigen, leave_one_out_predictions
from infotheory_dl.metrics import area_under_roc


def clusters(num_examples=120, num_classes=3, error_rate=0.4, seed=0):
    """Points around the corners of a simplex; their kernel; noisy and clean labels."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, num_classes, num_examples)
    x = np.eye(num_classes)[clean] + 0.3 * rng.normal(size=(num_examples, num_classes))
    wrong = rng.random(num_examples) < error_rate
    labels = np.where(wrong, (clean + rng.integers(1, num_classes, num_examples)) % num_classes, clean)
    return x @ x.T + 0.1 * np.eye(num_examples), labels, clean


def test_targets_are_what_a_regression_on_the_others_predicts():
    kernel, labels, _ = clusters(num_examples=30)
    targets = leave_one_out_targets(kernel_eigen(kernel), labels, 3)
    shift = 30 * targets.weight_decay
    for i in range(30):
        others = np.arange(30) != i
        centred = np.eye(3)[labels[others]] - 1 / 3
        solved = np.linalg.solve(kernel[np.ix_(others, others)] + shift * np.eye(29), centred)
        np.testing.assert_allclose(targets.predictions[i], kernel[i, others] @ solved, atol=1e-10)
    exponentials = np.exp(targets.calibration.sharpness * targets.predictions + targets.calibration.bias)
    np.testing.assert_allclose(targets.probabilities, exponentials / exponentials.sum(1, keepdims=True), atol=1e-12)


def test_a_target_does_not_depend_on_the_label_of_its_example():
    kernel, labels, _ = clusters(num_examples=30)
    decays = np.array([0.01])
    eigen = kernel_eigen(kernel)
    before = leave_one_out_targets(eigen, labels, 3, weight_decays=decays)
    for i in (0, 17):
        changed = labels.copy()
        changed[i] = (labels[i] + 1) % 3
        after = leave_one_out_targets(eigen, changed, 3, weight_decays=decays)
        np.testing.assert_allclose(after.predictions[i], before.predictions[i], atol=1e-12)
        assert abs(after.predictions - before.predictions).max() > 1e-3


def test_targets_are_better_than_the_labels_and_the_share_of_wrong_ones_is_found():
    kernel, labels, clean = clusters(num_examples=600)
    targets = leave_one_out_targets(kernel_eigen(kernel), labels, 3)
    assert (targets.probabilities.argmax(1) == clean).mean() > 0.9
    np.testing.assert_allclose(targets.calibration.error_rate, 0.4, atol=0.05)
    suspicion = 1 - targets.probabilities[np.arange(600), labels]
    assert area_under_roc(suspicion, labels != clean) > 0.9


def test_a_kernel_of_low_rank_serves_as_well():
    kernel, labels, _ = clusters()
    features = np.linalg.cholesky(kernel)
    low, full = feature_eigen(features[:, :50]), kernel_eigen(features[:, :50] @ features[:, :50].T)
    np.testing.assert_allclose(
        leave_one_out_targets(low, labels, 3).probabilities,
        leave_one_out_targets(full, labels, 3).probabilities,
        atol=1e-6,
    )


def test_noise_is_added_to_the_predictions_before_they_are_sharpened():
    kernel, labels, _ = clusters()
    eigen, decays = kernel_eigen(kernel), np.array([0.01])
    plain = leave_one_out_targets(eigen, labels, 3, weight_decays=decays)
    noisy = leave_one_out_targets(eigen, labels, 3, weight_decays=decays, standard_deviation=0.2, key=jax.random.key(0))
    draws = (noisy.predictions - plain.predictions) / 0.2
    np.testing.assert_allclose([draws.mean(), draws.std()], [0, 1], atol=0.15)


def exact_information(matrix, distributions, deviation, num_draws=20_000):
    """I(y ; M y + noise) of every label configuration, by Monte Carlo; and with the first label alone unknown."""
    rng = np.random.default_rng(0)
    n, k = distributions.shape
    configurations = np.stack(np.meshgrid(*[np.arange(k)] * n, indexing="ij"), -1).reshape(-1, n)
    weights = np.prod(distributions[np.arange(n), configurations], axis=1)
    means = (matrix @ np.eye(k)[configurations]).reshape(len(configurations), -1)

    def information(weights, means):
        chosen = rng.choice(len(weights), num_draws, p=weights)
        draws = means[chosen] + deviation * rng.normal(size=(num_draws, means.shape[1]))
        log_likelihoods = -np.square(draws[:, None] - means).sum(-1) / (2 * deviation**2)
        own = log_likelihoods[np.arange(num_draws), chosen]
        ratios = -np.log((np.exp(log_likelihoods - own[:, None]) * weights).sum(1))
        return ratios.mean(), ratios.std() / num_draws**0.5

    first = (configurations[:, 1:] == 0).all(1)
    return information(weights, means), information(weights[first] / weights[first].sum(), means[first])


@pytest.mark.parametrize("deviation", [0.3, 1.0, 4.0])
def test_noisy_targets_tell_no_more_than_the_bound(deviation):
    kernel, _, _ = clusters(num_examples=4, num_classes=2)
    eigen = kernel_eigen(kernel)
    distributions = np.random.default_rng(1).dirichlet([2, 2], 4)
    bound = target_information(eigen, distributions, weight_decay=0.1, standard_deviation=deviation)
    matrix = np.asarray(leave_one_out_predictions(eigen, jnp.eye(4), 0.1))
    (total, error), (of_first, error_of_first) = exact_information(matrix, distributions, deviation)
    assert total <= bound.total + 4 * error
    assert of_first <= bound.per_example[0] + 4 * error_of_first
    if deviation == 4.0:  # where the noise is loud, Gaussian inputs are nearly as good as any: with two classes, half
        np.testing.assert_allclose(total, bound.total, atol=5 * error + 0.1 * float(bound.total))


def test_bounds_fall_with_the_noise_and_vanish_for_certain_labels():
    kernel, _, clean = clusters(num_examples=20)
    eigen = kernel_eigen(kernel)
    noisy = np.full((20, 3), 0.1) + 0.7 * np.eye(3)[clean]
    totals = [
        target_information(eigen, noisy, weight_decay=0.1, standard_deviation=deviation).total
        for deviation in (0.1, 1.0, 10.0)
    ]
    assert totals[0] > totals[1] > totals[2] > 0
    certain = target_information(eigen, np.eye(3)[clean], weight_decay=0.1, standard_deviation=0.1)
    np.testing.assert_allclose(certain.total, 0, atol=1e-12)
    np.testing.assert_allclose(certain.per_example, 0, atol=1e-12)


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    kernel, labels, _ = clusters(num_examples=6)
    eigen = kernel_eigen(kernel)
    with pytest.raises(ValueError, match="kernel must have a row for each of 5 labels, got 6"):
        leave_one_out_targets(eigen, labels[:5], 3)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\), got 7 at index 2"):
        leave_one_out_targets(eigen, np.array([0, 1, 7, 0, 1, 2]), 3)
    with pytest.raises(ValueError, match=r"weight_decays must be positive, got 0\.0 at index 1"):
        leave_one_out_targets(eigen, labels, 3, weight_decays=np.array([0.1, 0.0]))
    with pytest.raises(ValueError, match="noise on the targets needs a key"):
        leave_one_out_targets(eigen, labels, 3, standard_deviation=1.0)
    with pytest.raises(ValueError, match="standard_deviation must be finite and not negative, got -1"):
        leave_one_out_targets(eigen, labels, 3, standard_deviation=-1.0)
    with pytest.raises(ValueError, match="standard_deviation must be positive, got 0"):
        target_information(eigen, np.full((6, 2), 0.5), weight_decay=0.1, standard_deviation=0.0)
    with pytest.raises(ValueError, match="kernel must have a row for each of 5 distributions, got 6"):
        target_information(eigen, np.full((5, 2), 0.5), weight_decay=0.1, standard_deviation=1.0)
