import jax
import jax.numpy as jnp
import numpy as np
import optax

from infotheory_dl import networks
from infotheory_dl.label_noise import early_learning
from infotheory_dl.label_noise.losses import early_learning_regularization
from infotheory_dl.training import train

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(10, 4))
LABELS = (INPUTS @ RANDOM.normal(size=(4, 3))).argmax(1)
PARAMS = {"weight": jnp.asarray(RANDOM.normal(size=(4, 3)))}


def linear(params, inputs):
    return inputs @ params["weight"]


def test_a_training_is_the_plain_loop_with_a_memory():
    system = early_learning(linear, optax.sgd(0.3), num_examples=10, num_classes=3, weight=2.0, momentum=0.6)
    training = train(KEY, system.step, system.init(PARAMS), (INPUTS, LABELS), num_epochs=2, batch_size=4)
    order = lambda state, batch, key: (state, {"rows": batch.indices})
    batches = train(KEY, order, PARAMS, (INPUTS,), num_epochs=2, batch_size=4).metrics["rows"]

    def loss(params, batch, rows):
        logits = linear(params, INPUTS[batch])
        losses, rows = early_learning_regularization(logits, LABELS[batch], rows, weight=2.0, momentum=0.6)
        return losses.mean(), rows

    params, memory = PARAMS, np.zeros((10, 3))
    for epoch in np.asarray(batches):
        # ten examples make batches of four, four and two
        for batch, size in zip(epoch, (4, 4, 2), strict=True):
            chosen = batch[:size]
            gradient, memory[chosen] = jax.grad(loss, has_aux=True)(params, chosen, memory[chosen])
            params = jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient)
    np.testing.assert_allclose(training.state.network.params["weight"], params["weight"], rtol=1e-12)
    np.testing.assert_allclose(training.state.memory, memory, rtol=1e-12)


def test_a_network_with_batch_norm_keeps_its_moments_and_is_evaluated():
    network = networks.MLP(outputs=3, widths=(5,), batch_norm=True)
    variables = network.init(KEY, jnp.asarray(INPUTS))
    system = early_learning(network, optax.adam(1e-2), num_examples=10, num_classes=3)
    state = train(KEY, system.step, system.init(variables), (INPUTS, LABELS), num_epochs=1).state
    moments = state.network.collections["batch_stats"]
    assert any(
        (a != b).any() for a, b in zip(jax.tree.leaves(moments), jax.tree.leaves(variables["batch_stats"]), strict=True)
    )
    logits = network.apply(state.network.variables, INPUTS)
    report = system.evaluate(state, (INPUTS, LABELS))
    np.testing.assert_allclose(report["loss"], optax.softmax_cross_entropy(logits, np.eye(3)[LABELS]).mean())
