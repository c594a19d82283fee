"""Weights of examples: those of one are none, those of zero leave examples out, and trainings differentiate by them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl.training import half_squared_error, masked_mean, supervised, train, train_many, unrolled
from infotheory_dl.training.unrolling import segments

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
INPUTS, TARGETS = RANDOM.normal(size=(12, 4)), RANDOM.normal(size=(12, 2))
DATA = (INPUTS, TARGETS)
START = {"weight": jnp.asarray(RANDOM.normal(size=(4, 2))), "bias": jnp.zeros(2)}
OPTIMIZER = optax.sgd(0.1, momentum=0.9)
FOUR_BATCHES = {"num_epochs": 3, "batch_size": 5}


def network(params, inputs):
    return jnp.tanh(inputs @ params["weight"]) + params["bias"]


def system_of(weighting="rescaled"):
    return supervised(network, OPTIMIZER, half_squared_error, weighting=weighting)


def assert_trees(actual, expected, rtol=0.0):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol), actual, expected)


@pytest.mark.parametrize("weighting", ["rescaled", "fixed"])
def test_weights_of_one_change_no_bit(weighting):
    system = system_of(weighting)
    plain = train(KEY, system.step, system.init(START), DATA, **FOUR_BATCHES)
    ones = train(KEY, system.step, system.init(START), DATA, weights=np.ones(12), **FOUR_BATCHES)
    assert_trees((ones.state, ones.metrics), (plain.state, plain.metrics))


def test_weights_of_zero_leave_examples_out():
    system, kept = system_of(), np.array([0, 1, 3, 4, 6, 8, 9, 11])
    start = system.init(START)
    weights = np.isin(np.arange(12), kept).astype(float)
    expected = train(KEY, system.step, start, DATA, num_epochs=4, subset=kept)
    assert_trees(train(KEY, system.step, start, DATA, num_epochs=4, weights=weights).state, expected.state, rtol=1e-12)
    # the batch keeps its size: eight of twelve examples pull by two thirds
    fixed = system_of("fixed")
    first = train(KEY, fixed.step, start, DATA, num_epochs=1, weights=weights).state
    whole = train(KEY, system.step, start, DATA, num_epochs=1, subset=kept).state
    shorter = jax.tree.map(lambda before, after: before + (after - before) * 8 / 12, START, whole.params)
    assert_trees(first.params, shorter, rtol=1e-12)


def test_each_model_has_weights_of_its_own():
    system, weights = system_of(), RANDOM.uniform(size=(3, 12))
    starts = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), system.init(START))
    keys = jax.random.split(KEY, 3)
    together = train_many(keys, system.step, starts, DATA, weights=weights, **FOUR_BATCHES)
    for i in range(3):
        alone = train(keys[i], system.step, system.init(START), DATA, weights=weights[i], **FOUR_BATCHES)
        assert_trees(jax.tree.map(lambda leaf, i=i: leaf[i], together.state), alone.state)


@pytest.mark.parametrize("settings", [FOUR_BATCHES, {"num_epochs": 7}])
def test_an_unrolled_training_is_the_training(settings):
    system, weights = system_of(), RANDOM.uniform(size=12)
    start = system.init(START)
    expected = train(KEY, system.step, start, DATA, weights=weights, **settings).state
    assert_trees(unrolled(KEY, system.step, start, DATA, weights, **settings), expected, rtol=1e-12)


def test_steps_are_cut_into_few_segments():
    for num_steps in [*range(1, 200), 997, 1000, 40_000]:
        count, length = segments(num_steps)
        assert count * length >= num_steps > (count - 1) * length
        assert count + length <= 2.2 * np.sqrt(num_steps) + 1


def test_a_reverse_pass_of_a_thousand_steps_keeps_fewer_than_a_hundred_states():
    size = 20_000

    def step(state, batch, key):
        return jnp.tanh(state + batch.weights.mean()), {}

    def total(weights):
        return unrolled(KEY, step, jnp.zeros(size), (INPUTS,), weights, num_epochs=1000).sum()

    compiled = jax.jit(jax.grad(total)).lower(jnp.ones(12)).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 100 * size * 8


def test_a_weighted_mean_is_over_the_weights_or_over_the_examples():
    values, mask = jnp.array([1.0, 2.0, jnp.nan, 4.0]), jnp.array([1, 1, 0, 1], bool)
    weights = jnp.array([1, 0, 1, 0.5])
    np.testing.assert_allclose(masked_mean(values, mask, weights), 3 / 1.5, rtol=1e-15)
    np.testing.assert_allclose(masked_mean(values, mask, weights, weighting="fixed"), 1, rtol=1e-15)
    assert masked_mean(values, mask, jnp.zeros(4)) == 0
    assert np.isfinite(jax.grad(lambda w: masked_mean(values, mask, w))(jnp.array([0.0, 0.0, 1.0, 0.0]))[:2]).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(11), r"weights must be of the 12 examples of the data, got 11"),
        (-np.ones(12), "weights must be finite and not negative, got -1.0"),
        (np.full(12, np.nan), "weights must be finite and not negative, got nan"),
    ],
)
def test_impossible_weights_are_refused(weights, message):
    system = system_of()
    with pytest.raises(ValueError, match=message):
        train(KEY, system.step, system.init(START), DATA, num_epochs=1, weights=weights)
