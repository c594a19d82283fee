import numpy as np
import pytest

from infotheory_dl.linearization import kernel_eigen, leave_one_out_predictions
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


def posterior_of(errors, predictions, labels, rate):
    """Bayes' rule, written out for errors that are all alike."""
    num_examples, num_classes = predictions.shape
    posterior = np.zeros_like(predictions)
    for i in range(num_examples):
        weights = np.exp(errors.sharpness * predictions[i] + errors.bias)
        prior = weights / weights.sum()
        likelihood = np.full(num_classes, rate / (num_classes - 1))
        likelihood[labels[i]] = 1 - rate
        posterior[i] = prior * likelihood / (prior @ likelihood)
    return posterior


def test_probabilities_are_those_of_bayes_rule():
    predictions, labels, _ = draw_labels(0.2, num_examples=300)
    errors = find_label_errors(predictions, labels)
    posterior = posterior_of(errors, predictions, labels, errors.error_rate)
    np.testing.assert_allclose(errors.wrong, 1 - posterior[np.arange(300), labels], atol=1e-10)
    np.testing.assert_array_equal(errors.suggested, predictions.argmax(1))


def test_repairs_go_by_the_lowest_rate_that_the_labels_allow():
    predictions, labels, _ = draw_labels(0.2, num_examples=300)
    errors = find_label_errors(predictions, labels)
    contradicted = errors.suggested != labels
    at_the_estimate = posterior_of(errors, predictions, labels, errors.error_rate)
    suggested = at_the_estimate[np.arange(300), errors.suggested]
    assert (errors.repairable[contradicted] < suggested[contradicted]).all()
    np.testing.assert_array_equal(errors.repairable[~contradicted], 0)


def test_as_many_repairs_are_right_as_expected():
    predictions, labels, true_labels = draw_labels(0.2)
    errors = find_label_errors(predictions, labels, precision=0.9)
    right = (errors.suggested == true_labels)[errors.repaired].mean()
    assert errors.repaired.sum() > 400
    assert errors.expected_precision >= 0.9
    # as it goes by the lowest rate of wrong labels, it is a bound
    assert errors.expected_precision - 0.02 < right < errors.expected_precision + 0.06
    # wrong labels are as many among all as their probabilities say
    assert errors.wrong.mean() == pytest.approx((labels != true_labels).mean(), abs=0.02)


def test_the_threshold_is_the_highest_that_keeps_the_precision():
    predictions, labels, _ = draw_labels(0.2, num_examples=400, seed=1)
    errors = find_label_errors(predictions, labels, precision=0.9)
    assert errors.repaired.any()
    given = predictions[np.arange(400), labels]
    others = np.where(np.arange(4) == labels[:, None], -np.inf, predictions).max(1)
    margins = given - others
    # a suggestion that is rather wrong is none, however right the others are
    np.testing.assert_array_equal(errors.repaired, (margins < errors.threshold) & (errors.repairable > 0.5))
    counts = [k for k in range(1, 401) if errors.repairable[np.argsort(margins)[:k]].mean() >= 0.9]
    assert (margins < errors.threshold).sum() == max(counts)


def test_right_labels_are_left_alone():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    errors = find_label_errors(np.eye(3)[labels] + 0.05 * rng.normal(size=(300, 3)), labels)
    assert errors.told
    assert errors.error_rate < 1e-3
    assert errors.interval[1] < 0.02
    assert not errors.repaired.any()
    assert errors.threshold == -np.inf
    assert np.isnan(errors.expected_precision)


@pytest.mark.parametrize("num_classes", [2, 10])
def test_of_predictions_that_know_nothing_no_label_is_called_wrong(num_classes):
    rng = np.random.default_rng(1)
    predictions, labels = rng.normal(size=(400, num_classes)), rng.integers(0, num_classes, 400)
    errors = find_label_errors(predictions, labels)
    assert not errors.told
    assert errors.gain < 5
    assert np.isnan(errors.error_rate)
    np.testing.assert_array_equal(errors.interval, [0, 1])
    assert np.isnan(errors.wrong).all()
    assert np.isnan(errors.repairable).all()
    assert not errors.repaired.any()
    assert np.isnan(errors.expected_precision)
    np.testing.assert_array_equal(errors.suggested, predictions.argmax(1))


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_a_rare_class_is_not_repaired_away(shift):
    repaired = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        labels = (np.arange(250) < 50).astype(int)
        x = rng.normal(size=(250, 5))
        x[:, 0] += shift * labels
        kernel = kernel_eigen(np.exp(-np.square(x[:, None] - x).sum(-1) / 10))
        targets = np.eye(2)[labels] - 0.5
        predictions = leave_one_out_predictions(kernel, targets, 0.02) + 0.5
        errors = find_label_errors(predictions, labels)
        assert not errors.told or errors.interval[0] == 0
        repaired.append(errors.repaired.sum())
    assert sum(repaired) == 0


def test_a_class_keeps_one_of_its_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1000, 2)) * 5
    true = logits.argmax(1)
    labels = np.where(rng.random(1000) < 0.2, 1 - true, true)
    # of a class with one example, the others say that there is none
    labels[7] = 2
    predictions = np.concatenate([logits / 10, np.full((1000, 1), -2.0)], axis=1)
    errors = find_label_errors(predictions, labels)
    assert errors.repaired.sum() > 50
    assert not errors.repaired[7]


def test_a_precision_that_is_no_share_is_an_error():
    with pytest.raises(ValueError, match=r"precision must lie in \(0, 1\), got 1.0"):
        find_label_errors(np.eye(2), np.array([0, 1]), precision=1.0)


def test_the_only_example_of_its_class_takes_no_part_in_the_repairs_of_others():
    predictions, labels, _ = draw_labels(0.1, sharpness=12, num_examples=600)
    alone = find_label_errors(predictions, labels)
    # the most contradicted of all
    with_another = np.pad(predictions, ((0, 1), (0, 1)))
    with_another[-1] = [1, 0, 0, 0, -1]
    errors = find_label_errors(with_another, np.append(labels, 4))
    assert not errors.repaired[-1]
    assert alone.repaired.sum() > 50
    assert errors.repaired.sum() == pytest.approx(alone.repaired.sum(), rel=0.1)
