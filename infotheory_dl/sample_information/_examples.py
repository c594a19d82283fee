"""Losses and gradients example by example, in blocks, for the scores that are built from them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from infotheory_dl._validation import require_finite, require_floating
from infotheory_dl.types import AnyArray, ApplyFn, Params

Loss: TypeAlias = Callable[[Any, Any], Any]
"""The loss of one example, `loss(outputs, target) -> scalar`, with its outputs as a vector."""


def squared_error(outputs: Float[AnyArray, " outputs"], target: Float[AnyArray, " outputs"]) -> Float[Array, ""]:
    """Half the squared distance between the outputs of one example and its target."""
    return jnp.sum((outputs - target) ** 2) / 2


def example_gradient(apply_fn: ApplyFn, loss: Loss, params: Params, example: AnyArray, target: AnyArray) -> Params:
    """The gradient of the loss of one example."""
    return jax.grad(lambda p: loss(apply_fn(p, example[None])[0], target))(params)


def map_examples(function: Callable[..., Any], arrays: tuple[Any, ...], batch_size: int) -> Any:
    """Applies a function of one example to all of them, `batch_size` at once."""
    return jax.lax.map(lambda rows: function(*rows), arrays, batch_size=batch_size)


def sum_blocks(function: Callable[..., Any], arrays: tuple[Any, ...], batch_size: int) -> Any:
    """Adds up a function of blocks of examples, `batch_size` in each but the last."""
    n = len(arrays[0])
    if n <= batch_size:
        return function(*arrays)

    def add(total: Any, block: list[Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(*block)), None

    whole = n - n % batch_size
    blocks = [array[:whole].reshape(-1, batch_size, *array.shape[1:]) for array in arrays]
    shapes = jax.eval_shape(function, *(block[0] for block in blocks))
    total, _ = jax.lax.scan(add, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes), blocks)
    return total if whole == n else add(total, [array[whole:] for array in arrays])[0]


def as_rows(tree: PyTree[Float[AnyArray, "..."]], axes: int = 1) -> Float[Array, "... parameters"]:
    """Joins the leaves of a tree like the parameters to vectors, behind the first `axes` axes that they share."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return jnp.concatenate([leaf.reshape(*leaf.shape[:axes], -1) for leaf in leaves], axis=-1)


def checked_examples(
    apply_fn: ApplyFn, params: Params, inputs: AnyArray, targets: AnyArray, loss: Loss = squared_error
) -> tuple[Array, Array]:
    """Checks a training set against the network and the loss, and returns it as arrays of JAX."""
    require_floating(params=params)
    require_finite(params=params, inputs=inputs, targets=targets)
    if len(inputs) == 0 or len(inputs) != len(targets):
        raise ValueError(f"inputs and targets must be as many, and not none, got {len(inputs)} and {len(targets)}")
    outputs = jax.eval_shape(apply_fn, params, inputs)
    if len(outputs.shape) != 2 or outputs.shape[0] != len(inputs):
        raise ValueError(f"apply_fn must return ({len(inputs)} examples, outputs), got shape {outputs.shape}")
    if loss is squared_error and outputs.shape != np.shape(targets):
        raise ValueError(
            f"squared error needs targets (examples, outputs) like the outputs {outputs.shape}, got shape"
            f" {np.shape(targets)}; class labels must be one-hot"
        )
    return jnp.asarray(inputs), jnp.asarray(targets)
