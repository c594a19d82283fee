"""Our systems of the benchmark, on the paper's networks: each is made once, so that it is compiled once."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from benchmarks.label_noise.published import GRADIENT_WEIGHT_DECAY, Method
from infotheory_dl import networks, training
from infotheory_dl.label_noise import early_learning
from infotheory_dl.label_noise.limit import limit
from infotheory_dl.label_noise.losses import cross_entropy
from infotheory_dl.networks.layers import Implementation
from infotheory_dl.types import Key, Scalar

NUM_CLASSES = 10
MNIST = (28, 28, 1)
ADAM = optax.adam(1e-3)


def pair(shape: tuple[int, ...], implementation: Implementation = "auto") -> tuple[nn.Module, nn.Module]:
    """The paper's classifier and predictor for MNIST; for smaller images small networks."""
    if min(shape[:2]) < 28:
        return (networks.small_classifier(shape, NUM_CLASSES),) * 2
    cnn = functools.partial(
        networks.four_layer_cnn, NUM_CLASSES, width=128, batch_norm=True, implementation=implementation
    )
    return cnn(), cnn(head_batch_norm=True)


@functools.cache
def make_system(
    method: Method,
    shape: tuple[int, ...] = MNIST,
    *,
    implementation: Implementation = "auto",
    evaluation_batch_size: int | None = None,
) -> training.System:
    """Cross-entropy, or LIMIT with Laplacian gradients; `init(key, gradient_weight_decay)` draws an initial state."""
    modules = pair(shape, implementation)
    if method == "cross-entropy":
        system = training.supervised(modules[0], ADAM, cross_entropy, evaluation_batch_size=evaluation_batch_size)
    else:
        system = limit(*modules, ADAM, distribution="laplace", evaluation_batch_size=evaluation_batch_size)

    @jax.jit
    def init(key: Key, gradient_weight_decay: Scalar = GRADIENT_WEIGHT_DECAY) -> Any:
        variables = [
            module.init(initial, jnp.zeros((1, *shape)))
            for module, initial in zip(modules, jax.random.split(key), strict=True)
        ]
        if method == "cross-entropy":
            return system.init(variables[0])
        return system.init(*variables, gradient_weight_decay=gradient_weight_decay)

    return system._replace(init=init)


@functools.cache
def make_early_learning(shape: tuple[int, ...], num_examples: int) -> training.System:
    """Early-learning regularization of the classifier; `init(key)` draws an initial state."""
    classifier, _ = pair(shape)
    system = early_learning(classifier, ADAM, num_examples=num_examples, num_classes=NUM_CLASSES)
    return system._replace(init=jax.jit(lambda key: system.init(classifier.init(key, jnp.zeros((1, *shape))))))
