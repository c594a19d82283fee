"""What the published code of MixHop does in a step, plainly: features written out, and a forward pass for each part.

Features are made dense in every step, every power of a layer starts from the layer's inputs, and the accuracies on the
nodes to choose by and to measure on take a pass each.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

POWERS = (0, 1, 2)


class Citations(NamedTuple):
    """The arrays of a graph, as the published code holds them.

    Attributes:
      receivers, senders, weights: entries of the normalised adjacency.
      rows, columns: of the features that are one.
      labels: of the nodes.
      masks: of the nodes to train on, to choose by and to measure on.
    """

    receivers: Any
    senders: Any
    weights: Any
    rows: Any
    columns: Any
    labels: Any
    masks: tuple[Any, Any, Any]


def initial_params(shape: tuple[int, int], widths: tuple[tuple[int, ...], ...], num_classes: int) -> Any:
    """Kernels of two layers, the offset between them, and the weights of the segments."""
    random = np.random.default_rng(0)

    def kernel(inputs: int, outputs: int) -> np.ndarray:
        limit = np.sqrt(6 / (inputs + outputs))
        return random.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)

    hidden = sum(widths[0])
    return {
        "first": [kernel(shape[1], width) for width in widths[0]],
        "second": [kernel(hidden, width) for width in widths[1]],
        "offset": np.zeros(hidden, np.float32),
        "weights": np.zeros(sum(widths[1]) // num_classes, np.float32),
    }


@functools.partial(jax.jit, static_argnums=(0, 1))
def step(shape: tuple[int, int], num_classes: int, params: Any, key: Any, given: Citations) -> Any:
    """The parameters after a step of the released settings of Cora."""

    def loss(params: Any) -> Any:
        logits = forward(shape, num_classes, params, given, key)
        known = jnp.where(given.masks[0], given.labels, 0)
        entropies = optax.softmax_cross_entropy_with_integer_labels(logits, known)
        kernels = params["first"] + params["second"]
        squares = sum(jnp.square(kernel).sum() for kernel in kernels)
        columns = sum(jnp.sqrt(jnp.square(kernel).sum(0) + 1e-12).sum() for kernel in kernels)
        penalties = 5e-3 * (squares + columns) + 1e-3 * jnp.square(params["weights"]).mean()
        return jnp.where(given.masks[0], entropies, 0).sum() / given.masks[0].sum() + penalties

    return jax.tree.map(lambda value, slope: value - slope, params, jax.grad(loss)(params))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def accuracy(shape: tuple[int, int], num_classes: int, part: int, params: Any, given: Citations) -> Any:
    """The accuracy on the nodes of one part."""
    is_right = forward(shape, num_classes, params, given, None).argmax(1) == given.labels
    return (is_right & given.masks[part]).sum() / given.masks[part].sum()


def forward(shape: tuple[int, int], num_classes: int, params: Any, given: Citations, key: Any) -> Any:
    """Logits of all nodes; with dropout if there is a key."""
    keys: Any = (None, None) if key is None else jax.random.split(key)
    values = jnp.ones(len(given.rows), jnp.float32)
    if key is not None:
        values = jnp.where(jax.random.bernoulli(keys[0], 0.5, values.shape), values / 0.5, 0)
    x = jnp.zeros(shape, jnp.float32).at[given.rows, given.columns].set(values)
    x = x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(1, keepdims=True), 1e-12))

    hidden = layer(given, x, params["first"])
    mean, variance = hidden.mean(0), hidden.var(0)
    hidden = jax.nn.relu((hidden - mean) * jax.lax.rsqrt(variance + 1e-3) + params["offset"])
    if key is not None:
        hidden = jnp.where(jax.random.bernoulli(keys[1], 0.1, hidden.shape), hidden / 0.1, 0)
    columns = layer(given, hidden, params["second"])
    segments = columns.reshape(len(columns), -1, num_classes)
    return (segments * jax.nn.softmax(params["weights"])[:, None]).sum(1)


def layer(given: Citations, inputs: Any, kernels: list[Any]) -> Any:
    """Powers of the adjacency, each from the inputs, times the kernels."""
    columns = []
    for power, kernel in zip(POWERS, kernels, strict=True):
        propagated = inputs
        for _ in range(power):
            messages = given.weights[:, None] * propagated[given.senders]
            propagated = jax.ops.segment_sum(messages, given.receivers, len(inputs))
        columns.append(propagated @ kernel)
    return jnp.concatenate(columns, axis=1)
