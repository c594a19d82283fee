"""The reference cases of MixHop in the forms of this room."""

import functools

import jax.numpy as jnp
import numpy as np

from infotheory_dl import mixhop
from tests.conftest import reference


@functools.cache
def small():
    return reference("mixhop_small")


@functools.cache
def graph():
    return mixhop.normalize(small()["A"])


def mask():
    return np.isin(np.arange(24), small()["train_idx"])


def layers(prefix, *names):
    """Kernels by power of the layers with these names."""
    arrays = small()
    return {
        f"layer_{place}": {f"power_{j}": jnp.asarray(arrays[f"{prefix}/{name}/{j}"]) for j in range(3)}
        for place, name in enumerate(names)
    }


def weighted_sum_params(prefix):
    """The parameters, or the gradient, of the network with a weighted sum."""
    return {
        **layers(prefix, "W1", "W2"),
        "norm_0": {"offset": jnp.asarray(small()[f"{prefix}/beta1"])},
        "head": {"weights": jnp.asarray(small()[f"{prefix}/q"])},
    }


def dense_params(prefix):
    """The parameters, or the gradient, of the network of three layers with a dense head."""
    return {
        **layers(prefix, "W1", "W2", "W3"),
        "norm_0": {"offset": jnp.asarray(small()[f"{prefix}/beta1"])},
        "norm_2": {"offset": jnp.asarray(small()[f"{prefix}/beta3"])},
        "head": {"kernel": jnp.asarray(small()[f"{prefix}/Wo"])},
    }


def tower_params(towers, head):
    """The parameters, or the gradient, of two replicas of towers on the powers 0 to 3."""
    arrays = small()
    kernel = lambda name, power: jnp.stack([arrays[f"{towers}/{replica}/{power}/{name}"] for replica in range(2)])
    offsets = [arrays[f"{towers}/{replica}/{power}/beta"] for replica in range(2) for power in range(4)]
    names = {"q": "weights", "Wo": "kernel", "bo": "bias"}
    return {
        "layer_0": {f"power_{power}": kernel("W1", power) for power in range(4)},
        "layer_1": {f"power_{power}": kernel("W2", power) for power in range(4)},
        "norm_0": {"offset": jnp.concatenate(offsets)},
        "head": {names[name]: jnp.asarray(arrays[f"{head}/{name}"]) for name in names if f"{head}/{name}" in arrays},
    }
