import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from infotheory_dl.data import uniform_transition
from infotheory_dl.label_noise.information import (
    channel_capacity,
    fano_error,
    fano_information,
    memorized_information,
)
from tests.conftest import reference

PUBLISHED = reference("label_noise_fano")
CASES = sorted({key.split("/")[0] for key in PUBLISHED})


@pytest.mark.parametrize("case", CASES)
def test_the_fano_bound_is_the_exact_one_and_near_the_published_grid(case):
    published = {key.split("/")[1]: array for key, array in PUBLISHED.items() if key.startswith(f"{case}/")}
    error = fano_error(published["p"], published["mi_bits"], unit="bits")
    np.testing.assert_allclose(error, published["r0_exact"], rtol=0, atol=1e-9)
    # the grid starts at 0.001 and has a thousand points
    np.testing.assert_allclose(np.maximum(error, 1e-3), published["r0_original_grid"], atol=1e-3)


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100])
@pytest.mark.parametrize("chance", [0.0, 1e-3, 0.5, 0.99, 1.0])
def test_without_information_the_error_is_the_rate_of_uniform_noise(num_classes, chance):
    rate = chance * (1 - 1 / num_classes)
    error = fano_error(uniform_transition(num_classes, rate)[0], 0.0)
    np.testing.assert_allclose(error, rate, rtol=1e-12, atol=1e-15)


def test_with_the_entropy_of_the_labels_there_need_be_no_error():
    noise = uniform_transition(10, 0.4)[0]
    assert fano_error(noise, entropy(noise)) <= 1e-15
    assert fano_error(np.array([1.0, 0.0]), 0.0) == 0
    np.testing.assert_allclose(fano_information(noise, 0.0), entropy(noise), rtol=1e-12)


@settings(max_examples=15)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda weights: sum(weights) > 0.1), st.floats(0, 1))
def test_the_bound_holds_with_equality_and_information_is_its_inverse(weights, share):
    noise = np.array(weights) / sum(weights)
    information = share * entropy(noise)
    error = float(fano_error(noise, information))
    left = error * np.log(3) + entropy([error, 1 - error])
    np.testing.assert_allclose(left, entropy(noise) - information, atol=1e-12)
    np.testing.assert_allclose(fano_information(noise, error), information, atol=1e-12)


def test_a_bit_is_log_two_nats():
    noise = uniform_transition(10, 0.8)[0]
    bits = np.linspace(0, 3, 7)
    np.testing.assert_allclose(fano_error(noise, bits, unit="bits"), fano_error(noise, bits * np.log(2)), rtol=1e-12)
    np.testing.assert_allclose(
        fano_information(noise, bits / 4, unit="bits") * np.log(2), fano_information(noise, bits / 4), rtol=1e-12
    )


def test_the_bound_is_traced_in_the_precision_of_its_input():
    noise = jnp.asarray(uniform_transition(10, 0.8)[0], jnp.float32)
    information = jnp.linspace(0, 2, 6, dtype=jnp.float32).reshape(2, 3)
    error = jax.jit(fano_error)(noise, information)
    assert error.dtype == jnp.float32
    double = fano_error(np.asarray(noise, float), np.asarray(information, float))
    np.testing.assert_allclose(error, double, atol=1e-6)


def test_capacity_is_that_of_parallel_gaussian_channels():
    # one channel: half the logarithm of one plus the ratio of signal to noise
    np.testing.assert_allclose(channel_capacity(3.0, variance=1.0, dimension=1), np.log(2))
    norms = np.array([0.0, 1.0, 4.0])
    capacity = channel_capacity(norms, variance=0.5, dimension=6)
    np.testing.assert_allclose(capacity, 6 * channel_capacity(norms / 6, variance=0.5, dimension=1), rtol=1e-12)
    assert (capacity <= norms / (2 * 0.5)).all()
    many = channel_capacity(norms, variance=0.5, dimension=10**9)
    np.testing.assert_allclose(many, norms / (2 * 0.5), rtol=1e-8)


def test_a_classifier_that_knows_the_noise_remembers_nothing_and_a_memoriser_everything():
    transition = uniform_transition(5, 0.3)
    generator = np.random.default_rng(0)
    clean = generator.integers(0, 5, 400)
    noisy = np.array([generator.choice(5, p=transition[label]) for label in clean])
    truthful = -np.log(transition[clean, noisy])
    np.testing.assert_allclose(memorized_information(truthful, transition, clean, noisy), 0, atol=1e-9)
    label_entropy = 400 * entropy(transition[0])
    np.testing.assert_allclose(memorized_information(np.zeros(400), transition, clean), label_entropy)
    # the chance of the noise is what the two forms differ by
    difference = memorized_information(truthful, transition, clean)
    np.testing.assert_allclose(difference, label_entropy - truthful.sum(), rtol=1e-10)


def test_the_bound_on_memory_is_below_the_information_of_a_leaking_classifier():
    # the weights are the label behind a second noisy channel, the classifier its exact posterior: the bound is tight
    transition = np.array([[0.7, 0.3], [0.2, 0.8]])
    leak = np.array([[0.9, 0.1], [0.25, 0.75]])
    information = expected = careless = 0.0
    for clean in range(2):
        joint = transition[clean][:, None] * leak
        posterior = joint / joint.sum(0)
        information += (joint * np.log(posterior / transition[clean][:, None])).sum()
        for noisy, weight in np.ndindex(2, 2):
            arguments = transition, np.array([clean]), np.array([noisy])
            exact = -np.log(posterior[noisy, weight])
            expected += joint[noisy, weight] * memorized_information(np.array([exact]), *arguments)
            guess = -np.log(leak.T[weight, noisy])
            careless += joint[noisy, weight] * memorized_information(np.array([guess]), *arguments)
    np.testing.assert_allclose(expected, information, rtol=1e-12)
    assert careless < information


def test_runs_are_estimated_side_by_side():
    transition, clean = uniform_transition(3, 0.3), np.array([0, 1, 2, 2])
    losses = np.arange(8.0).reshape(2, 4)
    noisy = np.array([[0, 1, 2, 1], [1, 1, 2, 2]])
    both = jax.jit(memorized_information)(losses, transition, clean, noisy)
    single = [memorized_information(losses[run], transition, clean, noisy[run]) for run in range(2)]
    np.testing.assert_allclose(both, single, rtol=1e-12)


def test_bad_input_is_named(as_a_user_sees):
    noise = uniform_transition(4, 0.3)[0]
    with pytest.raises(ValueError, match=r"information must lie in \[0, 0.94\d+\], the entropy of the noise, got -0.1"):
        fano_error(noise, np.array([0.2, -0.1]))
    with pytest.raises(ValueError, match=r"the entropy of the noise, got 1.2"):
        fano_error(noise, 1.2)
    with pytest.raises(ValueError, match=r"noise_distribution must be a distribution, but adds up to 0\.9"):
        fano_error(np.array([0.5, 0.4]), 0.0)
    with pytest.raises(ValueError, match=r"noise_distribution has 1 of 2 entries that are NaN"):
        fano_error(np.array([np.nan, 0.4]), 0.0)
    with pytest.raises(ValueError, match="noise_distribution must be of at least 2 classes, got 1"):
        fano_error(np.array([1.0]), 0.0)
    with pytest.raises(ValueError, match="unknown unit 'bit'; choose one of 'nats', 'bits'"):
        fano_error(noise, 0.0, unit="bit")
    with pytest.raises(ValueError, match=r"error must lie in \[0, 1\], got 1.5"):
        fano_information(noise, 1.5)
    with pytest.raises(ValueError, match="information has 1 of 2 entries that are NaN"):
        fano_error(noise, np.array([np.nan, 0.1]))
    with pytest.raises(ValueError, match=r"variance must be positive, got 0.0"):
        channel_capacity(1.0, variance=0.0, dimension=1)
    with pytest.raises(ValueError, match=r"squared_norm must be finite and not negative, got -1.0"):
        channel_capacity(-1.0, variance=1.0, dimension=1)
    with pytest.raises(ValueError, match="dimension must be at least 1, got 0"):
        channel_capacity(1.0, variance=1.0, dimension=0)
    losses, clean = np.zeros(2), np.array([0, 1])
    with pytest.raises(ValueError, match=r"clean_labels must lie in \[0, 4\), got 4 at index 1"):
        memorized_information(losses, uniform_transition(4, 0.3), np.array([0, 4]))
    with pytest.raises(ValueError, match=r"noisy_labels must have the shape \(2,\), as the cross-entropies say, got"):
        memorized_information(losses, uniform_transition(4, 0.3), clean, np.array([0]))
    with pytest.raises(ValueError, match="the transition excludes the noisy label 1 of class 0 at index 0"):
        memorized_information(losses, np.eye(4), clean, np.array([1, 1]))
