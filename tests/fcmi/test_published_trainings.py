"""Trainings of the published CNN, step by step, against PyTorch in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infotheory_dl import training
from infotheory_dl.fcmi import training_rows
from tests.conftest import reference
from tests.fcmi.published_network import (
    CROSS_ENTROPY,
    network,
    pixels,
    published_arrays,
    variables,
    without_idle_biases,
)

ADAM = optax.adam(1e-3)


def states_in_order(arrays, num_steps):
    """The state after every step on consecutive batches, and the losses before them."""
    cnn = network(arrays)
    system = training.supervised(cnn, ADAM, CROSS_ENTROPY)
    state = system.init(variables(arrays))
    size = int(arrays["batch_size"])
    step = jax.jit(system.step)
    for number in range(num_steps):
        rows = slice(number * size, (number + 1) * size)
        data = pixels(arrays["images_u8"][rows]), arrays["labels"][rows].astype(int)
        batch = training.Batch(data, jnp.ones(size, bool), jnp.arange(size))
        state, metrics = step(state, batch, jax.random.key(number))
        yield state, metrics["loss"], np.asarray(cnn.apply(state.variables, pixels(arrays["eval_images_u8"])))


def test_twelve_steps_of_adam_on_a_narrow_network():
    arrays = reference("fcmi_traj_narrow")
    for number, (state, loss, logits) in enumerate(states_in_order(arrays, 12)):
        np.testing.assert_allclose(loss, arrays["loss"][number], rtol=1e-12)
        np.testing.assert_allclose(logits, arrays["eval_logits"][number], atol=1e-10)
        expected = variables(arrays, f"step{number + 1}")
        jax.tree.map(
            lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-9),
            without_idle_biases(state.variables),
            without_idle_biases(expected),
        )


def test_four_steps_of_adam_on_the_published_network():
    arrays = reference("fcmi_traj_full")
    steps = list(states_in_order(arrays, 4))
    for number, (_, loss, logits) in enumerate(steps):
        np.testing.assert_allclose(loss, arrays["loss"][number], rtol=1e-12)
        np.testing.assert_allclose(logits, arrays["eval_logits"][number], atol=1e-10)
    for name, ours in published_arrays(steps[-1][0].variables).items():
        if "conv" in name and "bias" in name:
            continue  # moved by rounding alone
        np.testing.assert_allclose(np.linalg.norm(ours), arrays[f"finalnorm/{name}"], rtol=1e-10)
        if f"final/{name}" in arrays:
            np.testing.assert_allclose(ours, arrays[f"final/{name}"], atol=1e-10)


def test_fifteen_epochs_on_each_of_eight_selections():
    arrays = reference("fcmi_e2e")
    cnn, selection = network(arrays), arrays["masks"]
    system = training.supervised(cnn, ADAM, CROSS_ENTROPY)
    images = pixels(arrays["images_u8"])
    trained = training.train_many(
        jax.random.split(jax.random.key(0), len(selection)),
        system.step,
        jax.tree.map(lambda leaf: jnp.stack([leaf] * len(selection)), system.init(variables(arrays))),
        (images, arrays["labels"].astype(int)),
        num_epochs=int(arrays["epochs"]),
        batch_size=training.minibatches(24, int(arrays["batch_size"]), shuffle=False),
        subsets=np.asarray(training_rows(selection)),
    )
    logits = jax.lax.map(lambda variables: cnn.apply(variables, images), trained.state.variables)
    np.testing.assert_allclose(logits, arrays["logits"], atol=1e-8)
    np.testing.assert_allclose(trained.metrics["loss"].mean(-1), arrays["loss_per_epoch"], rtol=1e-10)


def test_single_precision_follows_double_precision():
    arrays = reference("fcmi_traj_narrow")
    cnn = network(arrays)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), variables(arrays))
    system = training.supervised(cnn, ADAM, CROSS_ENTROPY)
    data = arrays["images_u8"][..., None], arrays["labels"].astype(int)
    schedule = training.minibatches(len(arrays["labels"]), int(arrays["batch_size"]), shuffle=False)
    trained = training.train(
        jax.random.key(0), system.step, system.init(single), data, num_epochs=1, batch_size=schedule
    )
    assert trained.metrics["loss"].dtype == jnp.float32
    np.testing.assert_allclose(trained.metrics["loss"][0], arrays["loss"], rtol=2e-4)
