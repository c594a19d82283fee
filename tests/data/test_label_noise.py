import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl.data import (
    CIFAR10_PAIRS,
    cifar10_transition,
    corrupt_by_instance,
    corrupt_labels,
    pairwise_transition,
    per_class_transition,
    uniform_transition,
)
from tests.conftest import reference

PUBLISHED = reference("label_noise_noise")


@st.composite
def labels_and_transition(draw):
    classes = draw(st.integers(2, 5))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=60))
    weights = draw(
        st.lists(st.lists(st.integers(0, 5), min_size=classes, max_size=classes), min_size=classes, max_size=classes)
    )
    # a row of zeros is a label that is never wrong
    weights = np.array([row if any(row) else np.eye(classes)[i] for i, row in enumerate(weights)], float)
    return np.array(labels), weights / weights.sum(axis=1, keepdims=True)


def test_uniform_noise_goes_to_the_other_classes_or_to_all():
    others = uniform_transition(4, 0.3)
    np.testing.assert_allclose(np.diag(others), 0.7)
    np.testing.assert_allclose(others[~np.eye(4, dtype=bool)], 0.1)
    everywhere = uniform_transition(4, 0.4, include_own=True)
    np.testing.assert_allclose(np.diag(everywhere), 0.7)
    np.testing.assert_allclose(everywhere, others)


def test_pairwise_noise_goes_to_the_next_class_or_along_the_given_pairs():
    np.testing.assert_allclose(pairwise_transition(3, 0.2), [[0.8, 0.2, 0], [0, 0.8, 0.2], [0.2, 0, 0.8]])
    transition = pairwise_transition(10, 0.4, pairs=CIFAR10_PAIRS)
    for clean in range(10):
        noisy = CIFAR10_PAIRS.get(clean, clean)
        expected = 0.6 * np.eye(10)[clean] + 0.4 * np.eye(10)[noisy]
        np.testing.assert_allclose(transition[clean], expected)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith(("uniform", "pair"))])
def test_transitions_are_the_published_ones(name):
    kind, *classes, rate = name.split("/")
    ours = uniform_transition(int(classes[0]), float(rate)) if kind == "uniform" else cifar10_transition(float(rate))
    np.testing.assert_allclose(ours, PUBLISHED[name], atol=1e-12)


def test_every_class_can_have_a_rate_of_its_own():
    np.testing.assert_allclose(per_class_transition(np.array([0, 0.4, 1])), [[1, 0, 0], [0.2, 0.6, 0.2], [0.5, 0.5, 0]])
    np.testing.assert_allclose(per_class_transition(np.full(7, 0.3)), uniform_transition(7, 0.3))


def test_noise_by_instance_follows_its_distributions_which_follow_the_inputs():
    key, classes = jax.random.key(0), 4
    inputs = np.random.default_rng(0).normal(size=(6000, 2, 3)) / 2
    labels = np.arange(6000) % classes
    noise = corrupt_by_instance(key, inputs, labels, classes, 0.3)
    own = noise.distributions[np.arange(6000), labels]
    np.testing.assert_allclose(noise.distributions.sum(axis=1), 1)
    # rates: normal, 0.3 and 0.1, with hardly anything to cut off
    np.testing.assert_allclose(1 - own.mean(), 0.3, atol=5 * 0.1 / np.sqrt(6000))
    np.testing.assert_allclose(own.std(), 0.1, rtol=0.1)
    np.testing.assert_array_equal(noise.flipped, noise.labels != labels)
    counts, expected = np.bincount(noise.labels, minlength=classes), noise.distributions.sum(axis=0)
    np.testing.assert_allclose(counts, expected, atol=5 * np.sqrt(6000 / 4))

    # within a class the odds of two others are linear in the input
    chosen = labels == 0
    odds = np.log(noise.distributions[chosen, 1] / noise.distributions[chosen, 2])
    features = inputs[chosen].reshape(chosen.sum(), -1)
    residuals = np.linalg.lstsq(features, odds)[1]
    assert residuals < 1e-9
    again = corrupt_by_instance(key, inputs, labels, classes, 0.3)
    np.testing.assert_array_equal(again.labels, noise.labels)


def test_the_rates_of_instances_are_cut_off_at_zero_and_one():
    inputs, labels = np.ones((500, 1)), np.zeros(500, int)
    own = corrupt_by_instance(jax.random.key(0), inputs, labels, 2, 0.0, spread=0.5).distributions[:, 0]
    assert own.max() <= 1
    # half a normal distribution, of which next to nothing lies beyond 1
    np.testing.assert_allclose(1 - own.mean(), 0.5 * np.sqrt(2 / np.pi), atol=0.06)


@settings(deadline=None, max_examples=50)
@given(labels_and_transition(), st.booleans(), st.integers(0, 2**32 - 1))
def test_only_possible_labels_occur_and_the_mask_is_true(case, exact, seed):
    labels, transition = case
    noisy = corrupt_labels(jax.random.key(seed), labels, transition, exact=exact)
    assert (transition[labels, noisy.labels] > 0).all()
    np.testing.assert_array_equal(noisy.flipped, noisy.labels != labels)
    assert noisy.labels.dtype == labels.dtype


@settings(deadline=None, max_examples=50)
@given(labels_and_transition(), st.integers(0, 2**32 - 1))
def test_an_exact_number_of_labels_flips_in_all_and_in_every_class(case, seed):
    labels, transition = case
    flipped = corrupt_labels(jax.random.key(seed), labels, transition, exact=True).flipped
    expected = np.bincount(labels, minlength=len(transition)) * (1 - np.diag(transition))
    assert abs(flipped.sum() - expected.sum()) <= 0.5 + 1e-9
    assert np.abs(np.bincount(labels[flipped], minlength=len(transition)) - expected).max() < 1


def test_one_in_ten_labels_is_exactly_one_in_ten():
    labels = np.arange(1000) % 7
    noisy = corrupt_labels(jax.random.key(0), labels, uniform_transition(7, 0.1), exact=True)
    assert noisy.flipped.sum() == 100


@pytest.mark.parametrize("exact", [False, True])
def test_transition_frequencies_are_those_of_the_matrix(exact):
    transition = np.array([[0.7, 0.3, 0.0], [0.1, 0.5, 0.4], [0.25, 0.25, 0.5]])
    labels = np.repeat(np.arange(3), 4000)
    noisy = corrupt_labels(jax.random.key(0), labels, transition, exact=exact).labels
    frequencies = np.stack([np.bincount(noisy[labels == clean], minlength=3) / 4000 for clean in range(3)])
    np.testing.assert_allclose(frequencies, transition, atol=5 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize("exact", [False, True])
def test_every_example_of_a_class_is_as_likely_to_flip(exact):
    labels = np.array([0] * 5 + [1] * 5)
    flips = [
        corrupt_labels(jax.random.key(seed), labels, uniform_transition(2, 0.4), exact=exact).flipped
        for seed in range(500)
    ]
    np.testing.assert_allclose(np.mean(flips, axis=0), 0.4, atol=5 * np.sqrt(0.24 / 500))


def test_a_key_gives_the_same_labels_in_single_and_double_precision():
    labels = np.arange(500) % 10
    corrupt = lambda: corrupt_labels(jax.random.key(3), labels, uniform_transition(10, 0.5)).labels
    double = corrupt()
    with jax.enable_x64(False):
        np.testing.assert_array_equal(corrupt(), double)


def test_what_is_not_a_distribution_or_a_label_is_named(as_a_user_sees):
    key, labels = jax.random.key(0), np.array([0, 1])
    with pytest.raises(ValueError, match=r"row 1 of transition must be a distribution, but adds up to 1\.1"):
        corrupt_labels(key, labels, np.array([[1.0, 0.0], [0.5, 0.6]]))
    with pytest.raises(ValueError, match=r"row 0 of transition must be a distribution, but has -0\.5 in it"):
        corrupt_labels(key, labels, np.array([[1.5, -0.5], [0.5, 0.5]]))
    with pytest.raises(ValueError, match=r"transition has 1 of 4 entries that are NaN or infinite"):
        corrupt_labels(key, labels, np.array([[1.0, 0.0], [np.nan, 0.5]]))
    with pytest.raises(
        ValueError, match=r"transition must be a square matrix of at least 2 classes, got shape \(2, 3\)"
    ):
        corrupt_labels(key, labels, np.ones((2, 3)) / 3)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got 2 at index 1"):
        corrupt_labels(key, np.array([0, 2]), uniform_transition(2, 0.1))
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\], got 1.5"):
        uniform_transition(3, 1.5)
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        pairwise_transition(1, 0.1)
    with pytest.raises(ValueError, match=r"pairs must lie in \[0, 3\), got 9: 1"):
        pairwise_transition(3, 0.1, pairs=CIFAR10_PAIRS)
    with pytest.raises(ValueError, match="the pairs of CIFAR-10 are of 10 classes, got 100"):
        cifar10_transition(0.2, num_classes=100)
    with pytest.raises(ValueError, match=r"rates must lie in \[0, 1\], got -0.1"):
        per_class_transition(np.array([0.2, -0.1]))
    with pytest.raises(ValueError, match="inputs and labels must have one length, got 3 and 2"):
        corrupt_by_instance(key, np.zeros((3, 1)), labels, 2, 0.1)
    with pytest.raises(ValueError, match="spread must be positive, got 0"):
        corrupt_by_instance(key, np.zeros((2, 1)), labels, 2, 0.1, spread=0)
