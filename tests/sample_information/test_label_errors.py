import numpy as np
import pytest

from infotheory_dl.sample_information import find_label_errors


def draw_labels(error_rate, sharpness=8.0, num_examples=6000, num_classes=4, seed=0):
    """Predictions, given labels and true labels from the model that is fitted."""
    rng = np.random.default_rng(seed)
    predictions = rng.dirichlet(np.full(num_classes, 0.2), num_examples)
    weights = np.exp(sharpness * predictions)
    cumulative = (weights / weights.sum(1, keepdims=True)).cumsum(1)
    true_labels = (rng.random((num_examples, 1)) > cumulative).sum(1)
    shifts = np.where(rng.random(num_examples) < error_rate, rng.integers(1, num_classes, num_examples), 0)
    return predictions, (true_labels + shifts) % num_classes, true_labels


@pytest.mark.parametrize("error_rate", [0.05, 0.3])
def test_the_fit_recovers_the_model_that_drew_the_labels(error_rate):
    predictions, labels, _ = draw_labels(error_rate)
    errors = find_label_errors(predictions, labels)
    assert errors.error_rate == pytest.approx(error_rate, abs=0.02)
    assert errors.sharpness == pytest.approx(8, rel=0.12)


def test_probabilities_are_those_of_bayes_rule():
    predictions, labels, _ = draw_labels(0.2, num_examples=50)
    errors = find_label_errors(predictions, labels)
    for i in range(50):
        weights = np.exp(errors.sharpness * predictions[i])
        prior = weights / weights.sum()
        likelihood = np.full(4, errors.error_rate / 3)
        likelihood[labels[i]] = 1 - errors.error_rate
        posterior = prior * likelihood / (prior @ likelihood)
        assert errors.wrong[i] == pytest.approx(1 - posterior[labels[i]], abs=1e-12)
        suggested = predictions[i].argmax()
        expected = 0 if suggested == labels[i] else posterior[suggested]
        assert errors.repairable[i] == pytest.approx(expected, abs=1e-12)


def test_as_many_repairs_are_right_as_expected():
    predictions, labels, true_labels = draw_labels(0.2)
    errors = find_label_errors(predictions, labels, precision=0.9)
    right = (errors.suggested == true_labels)[errors.repaired].mean()
    assert errors.repaired.sum() > 400
    assert errors.expected_precision >= 0.9
    assert right == pytest.approx(errors.expected_precision, abs=0.03)
    # wrong labels are as many among all as their probabilities say
    assert errors.wrong.mean() == pytest.approx((labels != true_labels).mean(), abs=0.02)


def test_the_threshold_is_the_highest_that_keeps_the_precision():
    predictions, labels, _ = draw_labels(0.2, num_examples=400)
    errors = find_label_errors(predictions, labels, precision=0.9)
    given = predictions[np.arange(400), labels]
    others = np.where(np.arange(4) == labels[:, None], -np.inf, predictions).max(1)
    margins = given - others
    np.testing.assert_array_equal(errors.repaired, margins < errors.threshold)
    counts = [k for k in range(1, 401) if errors.repairable[np.argsort(margins)[:k]].mean() >= 0.9]
    assert errors.repaired.sum() == max(counts)


def test_right_labels_are_left_alone():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    errors = find_label_errors(np.eye(3)[labels] + 0.05 * rng.normal(size=(300, 3)), labels)
    assert errors.error_rate < 1e-3
    assert not errors.repaired.any()
    assert errors.threshold == -np.inf
    assert np.isnan(errors.expected_precision)


def test_a_precision_that_is_no_share_is_an_error():
    with pytest.raises(ValueError, match=r"precision must lie in \(0, 1\), got 1.0"):
        find_label_errors(np.eye(2), np.array([0, 1]), precision=1.0)
