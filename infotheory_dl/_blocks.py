"""Functions of many examples, some at a time: the loop over blocks of one size, and gradients of single examples.

A set that does not divide into blocks is filled up with its last example, so that one program serves all blocks.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, PyTree

from infotheory_dl.types import ApplyFn, Params


def block_rows(num_examples: int, at_most: int, *, multiple: int = 1) -> Int[Array, "blocks size"]:
    """Which examples are in which block: as few blocks as there can be, of sizes as equal and small as they can be.

    Args:
      num_examples: n, at least 1.
      at_most: examples in a block, but for the rounding up to a `multiple`.
      multiple: what the size of a block must divide by.
    """
    count = math.ceil(num_examples / at_most)
    size = multiple * math.ceil(num_examples / (count * multiple))
    return jnp.minimum(jnp.arange(count * size), num_examples - 1).reshape(count, size)


def map_blocks(function: Callable[..., Any], arrays: tuple[Any, ...], batch_size: int | None = None) -> Any:
    """Applies a function of blocks of examples to all of them, at most `batch_size` at once.

    Args:
      function: `function(*blocks)` of trees of arrays with an axis of examples in front, as are its results.
      arrays: trees of arrays of all examples.
      batch_size: examples at once; None for all.
    """
    num_examples = len(jax.tree.leaves(arrays)[0])
    if batch_size is None or batch_size >= num_examples:
        return function(*arrays)
    blocks = block_rows(num_examples, batch_size)
    results = lax.map(lambda rows: function(*_taken(arrays, rows)), blocks)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:num_examples], results)


def map_examples(function: Callable[..., Any], arrays: tuple[Any, ...], batch_size: int | None = None) -> Any:
    """Applies a function of one example, of trees of arrays without the axis of examples, as `map_blocks` does."""
    return map_blocks(jax.vmap(function), arrays, batch_size)


def sum_blocks(function: Callable[..., Any], arrays: tuple[Any, ...], batch_size: int | None = None) -> Any:
    """Adds up a function of blocks of examples, at most `batch_size` at once.

    Args:
      function: `function(mask, *blocks)` returns a tree of arrays, sums over the examples of the block that the mask
        lets pass; the others have been counted already.
      arrays, batch_size: as in `map_blocks`.
    """
    num_examples = len(jax.tree.leaves(arrays)[0])
    if batch_size is None or batch_size >= num_examples:
        return function(jnp.ones(num_examples, bool), *arrays)
    blocks = block_rows(num_examples, batch_size)
    masks = (jnp.arange(blocks.size) < num_examples).reshape(blocks.shape)

    def add(total: Any, block: tuple[Array, Array]) -> tuple[Any, None]:
        rows, mask = block
        return jax.tree.map(jnp.add, total, function(mask, *_taken(arrays, rows))), None

    shapes = jax.eval_shape(function, masks[0], *_taken(arrays, blocks[0]))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return lax.scan(add, zeros, (blocks, masks))[0]


def per_example_gradients(loss: Callable[..., Any], params: Params, *rows: Any) -> PyTree[Array]:
    """The gradients of `loss(params, *row)` for every one of the rows: the parameters with an axis of rows in front."""
    return jax.vmap(jax.grad(loss), in_axes=(None, *[0] * len(rows)))(params, *rows)


def per_example_jacobians(apply_fn: ApplyFn, params: Params, inputs: Array) -> PyTree[Array]:
    """The derivatives of every output of every example: the parameters with axes (examples, outputs) in front."""
    return jax.vmap(jax.jacrev(lambda p, x: apply_fn(p, x[None])[0]), in_axes=(None, 0))(params, inputs)


def _taken(arrays: tuple[Any, ...], rows: Int[Array, " size"]) -> tuple[Any, ...]:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], arrays)
