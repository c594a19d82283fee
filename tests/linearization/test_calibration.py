"""The model of label noise: sharpness, class frequencies, and the rate of wrong labels with its interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from infotheory_dl.linearization import calibrate
from infotheory_dl.linearization.calibration import expected_doubtful, probabilities


def drawn(error_rate, *, sharpness=3.0, bias=(0.0, 0.0, 0.0, 0.0), num_examples=4000, seed=0):
    """Predictions, and labels that the model gives them."""
    rng = np.random.default_rng(seed)
    predictions = rng.normal(size=(num_examples, len(bias)))
    true = (sharpness * predictions + bias + rng.gumbel(size=predictions.shape)).argmax(1)
    wrong = rng.random(num_examples) < error_rate
    labels = (true + wrong * rng.integers(1, len(bias), num_examples)) % len(bias)
    return predictions, labels


def loss_of(predictions, labels, sharpness, bias, rate):
    """The mean negative log-likelihood, written out."""
    num_classes = predictions.shape[1]
    logits = sharpness * predictions + bias
    true = np.exp(logits - logits.max(1, keepdims=True))
    true /= true.sum(1, keepdims=True)
    of_label = true[np.arange(len(labels)), labels]
    return -np.log((1 - rate) * of_label + rate / (num_classes - 1) * (1 - of_label)).mean()


def test_rate_sharpness_and_class_frequencies_are_found_without_a_true_label():
    bias = np.array([1.5, 0.0, -0.5, -1.0])
    predictions, labels = drawn(0.3, bias=bias, num_examples=5000)
    fit = calibrate(predictions, labels)
    assert fit.told
    np.testing.assert_allclose(fit.sharpness, 3.0, rtol=0.1)
    np.testing.assert_allclose(fit.bias - fit.bias.mean(), bias, atol=0.25)
    np.testing.assert_allclose(fit.error_rate, 0.3, atol=0.03)
    assert fit.interval[0] < 0.3 < fit.interval[1]
    assert np.ptp(fit.interval) < 0.08
    np.testing.assert_allclose(fit.transition.sum(1), 1, rtol=1e-12)
    true = probabilities(predictions, fit)
    np.testing.assert_allclose(true.sum(1), 1, rtol=1e-12)
    likelihood = (true @ fit.transition)[np.arange(len(labels)), labels]
    np.testing.assert_allclose(fit.loss, -np.log(likelihood).mean(), rtol=1e-12)


def test_the_gain_is_that_of_a_logistic_regression_over_class_frequencies():
    predictions, labels = drawn(0.2, bias=(0.5, -0.5), num_examples=400, seed=1)
    fit = calibrate(predictions, labels)
    difference = (predictions[:, 0] - predictions[:, 1])[:, None]
    regression = LogisticRegression(C=np.inf, tol=1e-10).fit(difference, labels)
    likelihood = np.take_along_axis(regression.predict_proba(difference), labels[:, None], axis=1)
    share = np.bincount(labels) / 400
    np.testing.assert_allclose(fit.gain, np.log(likelihood).sum() - np.log(share[labels]).sum(), atol=1e-2)
    np.testing.assert_allclose(fit.gain, 400 * fit.gain_per_example, rtol=1e-12)


def test_no_other_numbers_fit_better():
    predictions, labels = drawn(0.2, bias=(0.5, -0.5), num_examples=400, seed=1)
    fit = calibrate(predictions, labels)
    best = min(
        loss_of(predictions, labels, sharpness, np.array([bias, 0.0]), rate)
        for sharpness in np.linspace(1, 6, 11)
        for bias in np.linspace(-1, 3, 17)
        for rate in np.linspace(0, 0.49, 25)
    )
    # a penalty keeps them finite; it costs less than a hundredth of a nat over all labels
    assert fit.loss <= best + 1e-2 / len(labels)


def test_the_interval_is_that_of_the_profile_likelihood():
    predictions, labels = drawn(0.2, bias=(0.5, -0.5), num_examples=400, seed=1)
    fit = calibrate(predictions, labels)
    for end in fit.interval:
        profile = minimize(lambda at, end=end: loss_of(predictions, labels, at[0], np.array([at[1], 0.0]), end), [3, 1])
        # half of the quantile of chi-squared with one degree of freedom
        assert len(labels) * (profile.fun - fit.loss) == pytest.approx(1.92, abs=0.02)


def test_intervals_cover_the_rate():
    covered = []
    for seed in range(40):
        predictions, labels = drawn(0.15, sharpness=2.0, bias=(1.5, 0.0, -1.5), num_examples=250, seed=seed)
        low, high = calibrate(predictions, labels).interval
        covered.append(low <= 0.15 <= high)
    assert np.mean(covered) >= 0.9


def test_errors_that_go_to_one_class_are_seen_as_such():
    rng = np.random.default_rng(0)
    predictions = rng.normal(size=(1500, 4))
    true = (6 * predictions + rng.gumbel(size=predictions.shape)).argmax(1)
    labels = np.where(rng.random(1500) < 0.2, (true + 1) % 4, true)
    fit = calibrate(predictions, labels)
    assert fit.interval[0] < (labels != true).mean() < fit.interval[1]
    next_class = np.roll(np.eye(4), 1, axis=1)
    np.testing.assert_allclose((fit.transition * next_class).sum(1), 0.2, atol=0.06)
    assert (fit.transition * (1 - next_class - np.eye(4))).max() < 0.05


def test_errors_of_a_rule_may_hide_where_classes_overlap():
    """Where two labels in five go to the next class, predictions of the labels alone say so and nothing more."""
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(3), 200)
    labels = (true + (rng.random(600) < 0.4)) % 3
    of_labels = 0.6 * np.eye(3) + 0.4 * np.roll(np.eye(3), 1, axis=1)
    fit = calibrate(np.log(0.9 * of_labels[true] + 0.1 / 3) + 0.3 * rng.normal(size=(600, 3)), labels)
    assert fit.systematic_rate >= max(0.3, fit.interval[1])
    apart = calibrate(np.eye(3)[true] + 0.1 * rng.normal(size=(600, 3)), true)
    assert apart.systematic_rate < 0.02


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (0.95, 0.05), (0.7, 0.2, 0.1), (0.1,) * 10])
def test_of_predictions_that_know_nothing_no_rate_is_told(shares):
    gains = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        labels = rng.choice(len(shares), 250, p=shares)
        labels[: len(shares)] = np.arange(len(shares))
        fit = calibrate(rng.normal(size=(250, len(shares))), labels)
        gains.append(fit.gain)
        assert fit.told == (fit.gain >= 5)
        if not fit.told:
            assert np.isnan(fit.error_rate)
            np.testing.assert_array_equal(fit.interval, [0, 1])
            assert fit.systematic_rate == 1
    assert np.mean(np.array(gains) >= 5) <= 0.025


def test_left_out_means_of_the_others_are_no_signal():
    # a class is rarer among the others of its own examples, so that these predictions speak against every label
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    others = (np.bincount(labels) - np.eye(3)[labels]) / 199
    fit = calibrate(others, labels)
    assert not fit.told
    assert fit.gain == 0
    frequencies = np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(probabilities(others, fit), np.tile(frequencies, (200, 1)), rtol=1e-6)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 100), st.sampled_from([1e-6, 0.3, 1.0, 1e5]), st.floats(-100, 100), st.sampled_from([0.0, 0.2]))
def test_units_offsets_and_orders_do_not_matter(seed, scale, offset, error_rate):
    predictions, labels = drawn(error_rate, bias=(1.0, 0.0, -1.0), num_examples=120, seed=seed)
    fit = calibrate(predictions, labels)
    rng = np.random.default_rng(seed)
    rows, classes = rng.permutation(120), rng.permutation(3)
    moved = (scale * (predictions + offset))[rows][:, classes]
    other = calibrate(moved, np.argsort(classes)[labels[rows]])
    assert other.told == fit.told
    np.testing.assert_allclose(other.error_rate, fit.error_rate, atol=1e-6)
    np.testing.assert_allclose(other.interval, fit.interval, atol=1e-6)
    np.testing.assert_allclose(other.gain, fit.gain, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scale * other.sharpness, fit.sharpness, rtol=1e-4)
    np.testing.assert_allclose(
        probabilities(moved, other), probabilities(predictions, fit)[rows][:, classes], atol=1e-4
    )


@pytest.mark.parametrize("value", [0.0, 1 / 3, 1e6])
def test_constant_predictions_tell_nothing(value):
    labels = np.array([0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 1, 0])
    fit = calibrate(np.full((12, 3), value), labels)
    assert not fit.told
    assert fit.sharpness == 0
    assert fit.gain == 0
    np.testing.assert_allclose(np.exp(fit.bias), np.bincount(labels) / 12)


def test_classes_that_are_apart_have_a_bounded_sharpness():
    labels = np.arange(60) % 3
    fit = calibrate(np.eye(3)[labels], labels)
    assert fit.told
    assert fit.error_rate == 0
    assert 1 < fit.sharpness < 1000
    np.testing.assert_allclose(fit.gain, 60 * np.log(3), rtol=0.01)
    # with none wrong of 60 the rate is below 1.92 nats / 60
    assert fit.interval[0] == 0
    np.testing.assert_allclose(fit.interval[1], 1 - np.exp(-1.92 / 60), rtol=0.1)


def test_few_examples_one_class_and_classes_without_labels_are_no_trouble():
    assert not calibrate(np.eye(2), np.array([0, 1])).told
    alone = calibrate(np.random.default_rng(0).normal(size=(20, 3)), np.zeros(20, int))
    assert not alone.told
    np.testing.assert_array_equal(alone.bias, [0, -np.inf, -np.inf])
    labels = np.arange(10) % 2 * 2
    absent = calibrate(np.eye(3)[labels], labels)
    assert absent.told
    assert absent.bias[1] == -np.inf
    np.testing.assert_array_equal(probabilities(np.eye(3)[labels], absent)[:, 1], 0)


@pytest.mark.usefixtures("as_a_user_sees")
def test_labels_must_fit_the_predictions():
    predictions = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got 2 at index 2"):
        calibrate(predictions, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="predictions has 6 of 6 entries"):
        calibrate(predictions * np.nan, np.array([0, 1, 1]))


def test_as_many_labels_are_expected_to_be_doubtful_as_the_model_draws():
    predictions, labels = drawn(0.0, bias=(0.5, 0.0, -0.5, 0.0), num_examples=20_000)
    fit = calibrate(predictions, labels)
    expected = expected_doubtful(predictions, fit.sharpness, fit.bias)
    assert expected == pytest.approx((predictions.argmax(1) != labels).sum(), rel=0.05)
    whole = probabilities(predictions, fit)
    assert expected == pytest.approx((1 - whole[np.arange(20_000), predictions.argmax(1)]).sum(), rel=1e-9)
