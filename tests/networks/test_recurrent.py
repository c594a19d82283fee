"""The layer of long short-term memory beside its definition, written plainly step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from infotheory_dl.networks import LSTM

EXAMPLES, STEPS, INPUTS = 3, 6, 5
GROUPS = ((0, 2), (1,), (3, 4))
LAYERS = {
    "one": LSTM(4, gate="sigmoid"),
    "both directions": LSTM(4, bidirectional=True),
    "groups": LSTM(4, bidirectional=True, groups=GROUPS),
}


def drawn():
    random = np.random.default_rng(0)
    steps = random.random((EXAMPLES, STEPS)) < 0.7
    return jnp.asarray(random.normal(0, 2, (EXAMPLES, STEPS, INPUTS))), jnp.asarray(steps)


def plainly(sigmoid, kernel, recurrent, bias, inputs, steps):
    """Outputs of one sequence, step by step."""
    output = state = np.zeros(recurrent.shape[0])
    outputs = []
    for row, moves in zip(inputs, steps, strict=True):
        if moves:
            enter, keep, cell, leave = np.split(row @ kernel + output @ recurrent + bias, 4)
            state = sigmoid(keep) * state + sigmoid(enter) * np.tanh(cell)
            output = sigmoid(leave) * np.tanh(state)
        outputs.append(output)
    return np.array(outputs)


@pytest.fixture(scope="module")
def variables():
    inputs, _ = drawn()
    weights = {name: jax.jit(layer.init)(jax.random.key(1), inputs) for name, layer in LAYERS.items()}
    return jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(jnp.arange(leaf.size).reshape(leaf.shape)), weights)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_definition(name, variables):
    layer, params = LAYERS[name], variables[name]["params"]
    inputs, steps = drawn()
    found = jax.jit(layer.apply)(variables[name], inputs, steps=steps)
    hard = lambda x: np.clip(0.2 * x + 0.5, 0, 1)
    sigmoid = hard if layer.gate == "hard_sigmoid" else lambda x: 1 / (1 + np.exp(-x))
    groups = layer.groups or (tuple(range(INPUTS)),)
    for example in range(EXAMPLES):
        expected, first = [], 0
        for place, group in enumerate(groups):
            rows = slice(first, first := first + len(group))
            for direction, order in (("forward", 1), ("backward", -1))[: 1 + layer.bidirectional]:
                kernel, recurrent, bias = (
                    np.asarray(params[f"{direction}_{part}"]) for part in ("kernel", "recurrent_kernel", "bias")
                )
                outputs = plainly(
                    sigmoid,
                    kernel[rows],
                    recurrent[place],
                    bias[place],
                    np.asarray(inputs)[example, ::order, list(group)].T,
                    np.asarray(steps)[example, ::order],
                )
                expected.append(outputs[::order])
        np.testing.assert_allclose(found[example], np.concatenate(expected, axis=1), atol=1e-12)


def test_derivatives_are_those_of_the_outputs(variables):
    inputs, steps = drawn()
    layer = LAYERS["groups"]
    outputs = jax.jit(lambda variables, inputs: jnp.sin(layer.apply(variables, inputs, steps=steps)))
    check_grads(outputs, (variables["groups"], inputs), order=1, modes=["fwd", "rev"])


def test_each_gate_drops_the_same_inputs_at_all_steps():
    layer = LSTM(1, dropout=0.5)
    inputs = jnp.ones((400, 2, 1))
    variables = {
        "params": {
            "forward_kernel": jnp.array([[1.0, 0.0, 1.0, 0.0]]),
            "forward_recurrent_kernel": jnp.zeros((1, 1, 4)),
            "forward_bias": jnp.zeros((1, 4)),
        }
    }
    apply = jax.jit(layer.apply, static_argnames="train")
    found = np.asarray(apply(variables, inputs, train=True, rngs={"dropout": jax.random.key(0)}))[..., 0]
    # kept inputs are doubled; where the cell's is dropped nothing enters
    entered = np.array([0.5 * np.tanh(0.0), 0.5 * np.tanh(2.0), 0.9 * np.tanh(2.0)])
    first = 0.5 * np.tanh(entered)
    second = 0.5 * np.tanh(1.5 * entered)
    case = np.abs(found[:, :1] - first).argmin(1)
    np.testing.assert_allclose(found, np.stack([first, second], axis=1)[case], atol=1e-12)
    np.testing.assert_allclose(np.bincount(case) / len(case), [0.5, 0.25, 0.25], atol=0.07)
    np.testing.assert_allclose(apply(variables, inputs)[:, 0, 0], 0.5 * np.tanh(0.7 * np.tanh(1.0)), rtol=1e-12)


def test_weights_begin_as_those_of_keras(variables):
    layer = LSTM(40, groups=(tuple(range(50)), tuple(range(50, 60))))
    params = jax.jit(layer.init)(jax.random.key(0), jnp.ones((1, 1, 60)))["params"]
    for rows, width in ((slice(50), 50), (slice(50, 60), 10)):
        limit = np.sqrt(6 / (width + 160))
        kernel = np.abs(params["forward_kernel"][rows])
        assert 0.95 * limit < kernel.max() <= limit
    recurrent = params["forward_recurrent_kernel"]
    np.testing.assert_allclose(recurrent @ recurrent.mT, np.broadcast_to(np.eye(40), (2, 40, 40)), atol=1e-12)
    np.testing.assert_array_equal(params["forward_bias"], np.repeat([[0, 1, 0, 0]] * 2, 40, axis=1))


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("settings", "inputs", "steps", "words"),
    [
        ({"bidirectional": True}, jnp.ones((1, 2, 3)), None, "two directions need an even number of features, got 3"),
        ({"gate": "relu"}, jnp.ones((1, 2, 3)), None, "gate"),
        ({"dropout": 1.0}, jnp.ones((1, 2, 3)), None, "dropout must lie in"),
        ({}, jnp.ones((2, 3)), None, r"inputs must have .*\(examples, steps, inputs\)"),
        ({}, jnp.ones((1, 2, 3)), jnp.ones((2, 1), bool), "steps"),
    ],
)
def test_wrong_input_is_told(settings, inputs, steps, words):
    with pytest.raises(ValueError, match=words):
        LSTM(3, **settings).init(jax.random.key(0), inputs, steps=steps)
