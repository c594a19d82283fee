"""The training set of the scores that are built from losses and gradients of single examples."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from infotheory_dl._validation import require_finite, require_floating, require_not_empty, require_same_length
from infotheory_dl.training import half_squared_error
from infotheory_dl.types import AnyArray, ApplyFn, Params

Loss: TypeAlias = Callable[[Any, Any], Any]
"""The loss of one example, `loss(outputs, target) -> scalar`, with its outputs as a vector."""


def loss_of_example(apply_fn: ApplyFn, loss: Loss) -> Callable[[Params, Any, Any], Any]:
    """The loss of one example as a function of the parameters, its input and its target."""
    return lambda params, example, target: loss(apply_fn(params, example[None])[0], target)


def as_rows(tree: PyTree[Float[AnyArray, "..."]], axes: int = 1) -> Float[Array, "... parameters"]:
    """Joins the leaves of a tree like the parameters to vectors, behind the first `axes` axes that they share."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return jnp.concatenate([leaf.reshape(*leaf.shape[:axes], -1) for leaf in leaves], axis=-1)


def checked_examples(
    apply_fn: ApplyFn, params: Params, inputs: AnyArray, targets: AnyArray, loss: Loss = half_squared_error
) -> tuple[Array, Array]:
    """Checks a training set against the network and the loss, and returns it as arrays of JAX."""
    require_floating(params=params)
    require_finite(params=params, inputs=inputs, targets=targets)
    require_not_empty(inputs=inputs)
    require_same_length(inputs=inputs, targets=targets)
    outputs = jax.eval_shape(apply_fn, params, inputs)
    if len(outputs.shape) != 2 or outputs.shape[0] != len(inputs):
        raise ValueError(f"apply_fn must return ({len(inputs)} examples, outputs), got shape {outputs.shape}")
    if loss is half_squared_error and outputs.shape != np.shape(targets):
        raise ValueError(
            f"squared error needs targets (examples, outputs) like the outputs {outputs.shape}, got shape"
            f" {np.shape(targets)}; class labels must be one-hot"
        )
    return jnp.asarray(inputs), jnp.asarray(targets)
