import jax
import numpy as np
import pytest

from infotheory_dl.data import corrupt_labels, per_class_transition
from infotheory_dl.label_noise.transition import (
    confident_classes,
    confident_joint,
    estimate_noise,
    estimate_transition,
)
from tests.conftest import reference

PUBLISHED = reference("label_noise_noise")


def random_predictions(seed, examples=600, classes=4):
    """Noisy labels, and probabilities that know the clean ones more or less."""
    generator = np.random.default_rng(seed)
    clean = generator.integers(0, classes, examples)
    transition = per_class_transition(np.linspace(0.1, 0.4, classes))
    labels = corrupt_labels(jax.random.key(seed), clean, transition).labels
    logits = 2.5 * np.eye(classes)[clean] + generator.normal(size=(examples, classes))
    return np.asarray(jax.nn.softmax(logits)), labels, clean


@pytest.mark.parametrize("case", range(3))
def test_anchor_points_are_the_published_ones_without_and_with_the_defect(case):
    logits = PUBLISHED[f"fw_T/{case}/logits"]
    probabilities = np.asarray(jax.nn.softmax(logits))
    kept = probabilities.copy()
    ours = estimate_transition(probabilities)
    np.testing.assert_allclose(ours, PUBLISHED[f"fw_T/{case}/T_clean"], atol=1e-12)
    theirs = estimate_transition(probabilities, compat=True)
    np.testing.assert_allclose(theirs, PUBLISHED[f"fw_T/{case}/T_original"], atol=1e-12)
    np.testing.assert_array_equal(probabilities, kept)


def test_a_classifier_that_knows_the_noise_gives_the_transition_away():
    transition = per_class_transition(np.array([0.1, 0.3, 0.2]))
    probabilities = transition[np.arange(300) % 3]
    # one outlier for each class, more certain than any label can be
    probabilities = np.concatenate([probabilities, np.eye(3)])
    np.testing.assert_allclose(estimate_transition(probabilities, percentile=99.9), transition, atol=1e-12)


def test_the_confident_joint_is_its_definition():
    probabilities, labels, _ = random_predictions(0, 60)
    thresholds = [probabilities[labels == j, j].mean() for j in range(4)]
    counts = np.zeros((4, 4))
    for row, label in zip(probabilities, labels, strict=True):
        above = [j for j in range(4) if row[j] >= thresholds[j]]
        if above:
            counts[label, max(above, key=lambda j: row[j])] += 1
    np.testing.assert_array_equal(confident_joint(probabilities, labels, calibrate=False), counts)
    calibrated = counts / counts.sum(1, keepdims=True) * np.bincount(labels)[:, None]
    np.testing.assert_allclose(confident_joint(probabilities, labels), calibrated, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_joint_and_noise_matrices_are_those_of_cleanlab(seed):
    count = pytest.importorskip("cleanlab.count")
    probabilities, labels, _ = random_predictions(seed)
    raw = count.compute_confident_joint(labels, probabilities, calibrate=False)
    np.testing.assert_array_equal(confident_joint(probabilities, labels, calibrate=False), raw)
    # there the calibrated counts are rounded to whole numbers
    rounded = count.compute_confident_joint(labels, probabilities)
    assert np.abs(confident_joint(probabilities, labels) - rounded).max() < 1
    prior, noise, inverse = count.estimate_latent(confident_joint(probabilities, labels), labels)
    estimate = estimate_noise(probabilities, labels)
    np.testing.assert_allclose(estimate.prior, prior, rtol=1e-9)
    np.testing.assert_allclose(estimate.transition, noise.T, rtol=1e-9)
    np.testing.assert_allclose(estimate.inverse, inverse.T, rtol=1e-9)


def test_the_estimate_is_near_the_noise_and_consistent():
    probabilities, labels, clean = random_predictions(0, 20000)
    estimate = estimate_noise(probabilities, labels)
    np.testing.assert_allclose(estimate.transition, per_class_transition(np.linspace(0.1, 0.4, 4)), atol=0.05)
    np.testing.assert_allclose(estimate.prior, np.bincount(clean) / 20000, atol=0.03)
    np.testing.assert_allclose(estimate.joint.sum(1), np.bincount(labels) / 20000, rtol=1e-12)
    np.testing.assert_allclose(estimate.prior[:, None] * estimate.transition, estimate.joint.T, rtol=1e-12)


def test_equal_probabilities_reach_their_own_mean():
    probabilities = np.tile([0.1, 0.7, 0.2], (10, 1))
    np.testing.assert_array_equal(confident_classes(probabilities, np.arange(10) % 3), 1)


def test_confidence_needs_the_mean_probability_of_the_class():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.3, 0.7]])
    # thresholds: 0.75 for class 0, 0.55 for class 1
    np.testing.assert_array_equal(confident_classes(probabilities, np.array([0, 0, 1, 1])), [0, -1, -1, 1])


def test_an_absent_class_is_reported_and_stays_as_it_is():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0]])
    with pytest.warns(UserWarning, match=r"no example has one of the labels \[2\]: nothing is said of them"):
        estimate = estimate_noise(probabilities, np.array([0, 1, 1]))
    np.testing.assert_allclose(estimate.transition[2], [0, 0, 1])
    np.testing.assert_allclose(estimate.inverse[2], [0, 0, 1])
    np.testing.assert_allclose(estimate.joint.sum(), 1)


def test_bad_input_is_named(as_a_user_sees):
    probabilities = np.full((3, 2), 0.5)
    with pytest.raises(ValueError, match=r"row 1 of probabilities must be a distribution, but adds up to 1\.2"):
        estimate_transition(np.array([[0.5, 0.5], [0.5, 0.7]]))
    with pytest.raises(ValueError, match=r"percentile must lie in \[0, 100\], got 101"):
        estimate_transition(probabilities, percentile=101)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got -1 at index 2"):
        confident_joint(probabilities, np.array([0, 1, -1]))
    with pytest.raises(ValueError, match=r"labels must be whole numbers or names of classes, got 0\.5 at index 0"):
        confident_joint(probabilities, np.array([0.5, 1.0, 1.0]))
    with pytest.raises(ValueError, match="labels must be one for each of the 3 examples, got 2"):
        estimate_noise(probabilities, np.array([0, 1]))
    with pytest.raises(ValueError, match="probabilities has 1 of 6 entries that are NaN or infinite"):
        estimate_noise(np.array([[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5]]), np.array([0, 1, 1]))
