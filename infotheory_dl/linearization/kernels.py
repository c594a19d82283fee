"""Linearized networks, their Jacobians, and the empirical neural tangent kernel by blocks of examples and layers."""

import functools
import math
from collections.abc import Iterator
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from infotheory_dl._blocks import block_rows, map_blocks, per_example_jacobians
from infotheory_dl._sharding import automatically_sharded
from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_choice,
    require_count,
    require_finite,
    require_floating,
    require_not_empty,
)
from infotheory_dl.linearization._gradient_factors import GradientFactors, OuterProducts, gradient_factors
from infotheory_dl.linearization._neural_tangents import neural_tangents
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params

Outputs = Literal["full", "class_wise", "trace"]
Implementation = Literal["factored", "jacobian_contraction", "ntk_vector_products"]

# Smaller blocks waste less on the diagonal of a symmetric kernel, larger ones make better matrix products.
_BLOCK_EXAMPLES = 512
_BLOCK_BYTES = 2**28
# On CPUs the factors of a layer stay in the caches, for as many examples as these hold.
_CACHE_BYTES = 2**21
_KEPT_BYTES = 2**31


def linearize(apply_fn: ApplyFn, params: Params) -> ApplyFn:
    """Expands a network to first order in its parameters: f(w0, x) + J(x) (w - w0).

    Args:
      apply_fn: the network, `apply_fn(params, inputs) -> outputs`.
      params: where to expand, w0.

    Returns:
      The linear network, a function of any parameters with the structure of `params`, and of inputs.

    Source: Lee et al., 2019 (equation 4).
    """

    def linear(new_params: Params, inputs: Float[Array, "examples ..."]) -> Array:
        change = jax.tree.map(jnp.subtract, new_params, params)
        outputs, difference = jax.jvp(lambda p: apply_fn(p, inputs), (params,), (change,))
        return outputs + difference

    return linear


@edge
def jacobian(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    *,
    batch_size: int | None = None,
) -> PyTree[Float[Array, "examples outputs ..."]]:
    """Computes the derivatives of every output for every parameter, examples in batches.

    Args:
      apply_fn: the network.
      params: its parameters, d numbers in all.
      inputs: rows that the network accepts.
      batch_size: examples at once; by default as many as fit in a quarter of a gibibyte.

    Returns:
      A pytree like `params` whose leaves have two axes in front, (examples, outputs): n k d numbers.

    Raises:
      ValueError: if an argument holds NaN or infinity, is empty, or the outputs are not (examples, outputs).
      TypeError: if a parameter is not floating-point.
    """
    blocks = block_jacobians(apply_fn, params, inputs, batch_size)
    return jax.tree.map(lambda *rows: jnp.concatenate(rows)[: len(inputs)], *blocks)


def block_jacobians(
    apply_fn: ApplyFn, params: Params, inputs: Float[AnyArray, "examples ..."], batch_size: int | None = None
) -> Iterator[PyTree[Float[Array, "examples outputs ..."]]]:
    """Yields the Jacobian block by block; the last block ends with copies of its last example."""
    num_outputs = require_network(apply_fn, params, inputs=inputs)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in map(jnp.asarray, jax.tree.leaves(params)))
    for block in _blocks(inputs, batch_size or _fitting(num_outputs * size)):
        yield _block_jacobian(apply_fn, params, block)


@edge
def mean_kernel(
    key: Key,
    network: nn.Module,
    x1: Float[AnyArray, "n1 ..."],
    x2: Float[AnyArray, "n2 ..."] | None = None,
    *,
    num_networks: int = 5,
) -> Float[Array, "n1 n2"]:
    """The mean of the kernels of several untrained networks of one output, each at its own random weights.

    Args:
      key: source of the weights; equal keys give the same networks.
      network: of one output.
      x1: the first inputs.
      x2: the second inputs; default the first.
      num_networks: how many.

    Returns:
      The kernel.

    Raises:
      ValueError: if there is no network.
    """
    require_count(1, num_networks=num_networks)
    keys = jax.random.split(key, num_networks)
    # weights that are drawn are sound: one network stands for all
    total: Any = empirical_kernel(network.apply, network.init(keys[0], x1[:1]), x1, x2)
    for network_key in keys[1:]:
        total += blockwise_kernel(network.apply, network.init(network_key, x1[:1]), x1, x2)
    return total / num_networks


@edge
def transposed_jacobian_products(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    cotangents: Float[AnyArray, "vectors examples outputs"],
    *,
    batch_size: int | None = None,
) -> PyTree[Float[Array, "vectors ..."]]:
    """Computes Jᵀ v for several vectors v over the outputs of all examples, without ever holding J.

    Args:
      apply_fn: the network.
      params: its parameters.
      inputs: rows that the network accepts.
      cotangents: the vectors v.
      batch_size: examples at once, all of them by default.

    Returns:
      A pytree like `params` whose leaves have an axis of vectors in front.

    Raises:
      ValueError: if an argument holds NaN or infinity, or the cotangents do not fit the outputs.
    """
    outputs = require_network(apply_fn, params, inputs=inputs)
    require_finite(cotangents=cotangents)
    if cotangents.ndim != 3 or cotangents.shape[1:] != (len(inputs), outputs):
        raise ValueError(f"cotangents must be (vectors, {len(inputs)}, {outputs}), got shape {cotangents.shape}")
    step = batch_size or len(inputs)
    slices = [slice(start, start + step) for start in range(0, len(inputs), step)]
    products = [_block_pullback(apply_fn, params, inputs[rows], cotangents[:, rows]) for rows in slices]
    return jax.tree.map(lambda *terms: functools.reduce(jnp.add, terms), *products)


@edge
def empirical_kernel(
    apply_fn: ApplyFn,
    params: Params,
    x1: Float[AnyArray, "examples ..."],
    x2: Float[AnyArray, "others ..."] | None = None,
    *,
    outputs: Outputs = "full",
    batch_size: int | None = None,
    implementation: Implementation = "factored",
) -> Float[Array, "..."]:
    """Computes the empirical neural tangent kernel J(x1) J(x2)ᵀ.

    Rows are example-major, output-minor: output c of example i stands in row i k + c.

    Args:
      apply_fn: the network, each row of its outputs a function of the same row of its inputs.
      params: its parameters.
      x1: n inputs. May be sharded over the examples, likewise `x2`: each device then computes the rows of its own.
      x2: m inputs; `x1` by default, then only half of the blocks are computed.
      outputs: "full" for all pairs of outputs, "class_wise" for pairs of one output, "trace" for the mean over
        the pairs of one output.
      batch_size: examples in a block; by default at most 256, fewer where their gradients are large.
      implementation: "factored" is ours: blocks of examples, layer by layer, products with a parameter kept
        as outer products. "jacobian_contraction" and "ntk_vector_products" are neural_tangents'.

    Returns:
      (n k, m k) for "full", (k, n, m) for "class_wise", (n, m) for "trace".

    Raises:
      ValueError: if an argument holds NaN or infinity, is empty, or the outputs are not (examples, outputs).
      TypeError: if a parameter is not floating-point.

    Source: Jacot et al., 2018; for the factors Novak et al., 2022 (section 3).
    """
    require_choice("outputs", outputs, ("full", "class_wise", "trace"))
    require_choice("implementation", implementation, ("factored", "jacobian_contraction", "ntk_vector_products"))
    x1, x2 = automatically_sharded(x1), None if x2 is None else automatically_sharded(x2)
    require_network(apply_fn, params, x1=x1, x2=x2)
    if implementation != "factored":
        return _kernel_of_neural_tangents(apply_fn, params, x1, x2, outputs, implementation)
    return blockwise_kernel(apply_fn, params, x1, x2, outputs, batch_size)


def blockwise_kernel(
    apply_fn: ApplyFn,
    params: Params,
    x1: Float[AnyArray, "examples ..."],
    x2: Float[AnyArray, "others ..."] | None = None,
    outputs: Outputs = "full",
    batch_size: int | None = None,
) -> Float[Array, "..."]:
    """The core of `empirical_kernel`, in our own implementation."""
    x1, x2 = automatically_sharded(x1), None if x2 is None else automatically_sharded(x2)
    bytes_each = _bytes(jax.eval_shape(functools.partial(_features, apply_fn), params, x1[:1]))
    step = batch_size or min(_BLOCK_EXAMPLES, _fitting(bytes_each))
    blocks_of_rows = _blocks(x1, step)
    blocks_of_columns = blocks_of_rows if x2 is None else _blocks(x2, step)
    sharded = max(map(_count_shards, (x1, x2))) > 1
    features = functools.partial(_block_features, apply_fn, sharded, params)
    if sum(map(len, blocks_of_columns)) * bytes_each <= _KEPT_BYTES:
        kept = [features(block) for block in blocks_of_columns]
        columns = kept.__getitem__
    else:
        columns = lambda j: features(blocks_of_columns[j])

    grid: list[list[Array]] = []
    for i, block in enumerate(blocks_of_rows):
        left = columns(i) if x2 is None else features(block)
        # a symmetric kernel takes the blocks below its diagonal from above it
        row = [] if x2 is not None else [jnp.swapaxes(grid[j][i], -1, -2) for j in range(i)]
        row += [_block_kernel(left, columns(j), outputs) for j in range(len(row), len(blocks_of_columns))]
        grid.append(row)
    kernel = jnp.concatenate([jnp.concatenate(row, axis=-1) for row in grid], axis=-2)
    width = jax.eval_shape(apply_fn, params, x1[:1]).shape[1] if outputs == "full" else 1
    return kernel[..., : len(x1) * width, : len(x1 if x2 is None else x2) * width]


def require_network(apply_fn: ApplyFn, params: Params, **inputs: AnyArray | None) -> int:
    """Checks the parameters and all inputs of a network that are given, and returns the number of its outputs."""
    given = {name: rows for name, rows in inputs.items() if rows is not None}
    require_floating(params=params)
    require_not_empty(**given)
    require_finite(params=params, **given)
    numbers = set()
    for name, rows in given.items():
        shape = jax.eval_shape(apply_fn, params, rows).shape
        if len(shape) != 2 or shape[0] != len(rows):
            raise ValueError(f"apply_fn must return ({len(rows)} examples, outputs) for {name}, got shape {shape}")
        numbers.add(shape[1])
    if len(numbers) > 1:
        raise ValueError(f"{' and '.join(given)} must give the same number of outputs")
    return numbers.pop()


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _fitting(bytes_each: int) -> int:
    return max(1, _BLOCK_BYTES // max(1, bytes_each))


def _blocks(inputs: AnyArray, size: int) -> list[Array]:
    """Cuts the examples into blocks of one size, the last filled up with its last row: one program serves all.

    Inputs that are sharded over the examples make blocks that are.
    """
    inputs = jnp.asarray(inputs)
    shards = _count_shards(inputs)
    blocks = [inputs[rows] for rows in block_rows(len(inputs), size, multiple=shards)]
    return blocks if shards == 1 else [jax.device_put(block, inputs.sharding) for block in blocks]


def _count_shards(inputs: Array | None) -> int:
    """Over how many devices the examples are spread."""
    if inputs is None or not is_concrete(inputs):
        return 1
    return len(inputs) // inputs.sharding.shard_shape(inputs.shape)[0]


@functools.partial(jax.jit, static_argnums=0)
def _block_jacobian(apply_fn: ApplyFn, params: Params, block: Array) -> Params:
    return per_example_jacobians(apply_fn, params, block)


@functools.partial(jax.jit, static_argnums=0)
def _block_pullback(apply_fn: ApplyFn, params: Params, block: Array, cotangents: Array) -> Params:
    _, pullback = jax.vjp(lambda p: apply_fn(p, block), params)
    return jax.vmap(lambda v: pullback(v)[0])(cotangents)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _block_features(apply_fn: ApplyFn, sharded: bool, params: Params, block: Array) -> GradientFactors:
    """The features of a block; on one CPU of as many examples at once as the caches hold the factors of."""
    if sharded or jax.default_backend() != "cpu":
        return _features(apply_fn, params, block)
    factors = jax.eval_shape(functools.partial(gradient_factors, apply_fn), params, block[:1])
    at_once = max(1, _CACHE_BYTES // max(map(_bytes, factors.linear), default=1))
    return map_blocks(functools.partial(_features, apply_fn, params), (block,), at_once)


def _features(apply_fn: ApplyFn, params: Params, block: Array) -> GradientFactors:
    """Gradients of a block, in factors where the kernel costs less from them than from the gradients written out."""
    factors = gradient_factors(apply_fn, params, block)
    kept = tuple(layer for layer in factors.linear if _cheaper_in_factors(layer))
    written_out = [_written_out(layer) for layer in factors.linear if not _cheaper_in_factors(layer)]
    return GradientFactors(kept, jnp.concatenate([factors.dense, *written_out], axis=-1))


def _cheaper_in_factors(layer: OuterProducts) -> bool:
    _, positions, fan_in = layer.inputs.shape
    fan_out = layer.cotangents.shape[-1]
    return positions**2 * (fan_in + fan_out) < fan_in * fan_out


def _written_out(layer: OuterProducts) -> Float[Array, "examples outputs parameters"]:
    gradients = jnp.einsum("npf,ncpo->ncfo", *layer, precision=lax.Precision.HIGHEST)
    return gradients.reshape(*gradients.shape[:2], -1)


@functools.partial(jax.jit, static_argnames="outputs")
def _block_kernel(left: GradientFactors, right: GradientFactors, outputs: Outputs) -> Array:
    kernel = _contract_outputs(left.dense, right.dense, outputs)
    for a, b in zip(left.linear, right.linear, strict=True):
        kernel += _outer_product_kernel(a, b, outputs)
    if outputs == "full":
        n, k, m, _ = kernel.shape
        return kernel.reshape(n * k, m * k)
    return kernel


def _contract_outputs(left: Array, right: Array, outputs: Outputs) -> Array:
    """Inner products over the last axis of (examples, outputs, features), laid out as `outputs` asks."""
    einsum = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    if outputs == "full":
        return einsum("ncd,med->ncme", left, right)
    if outputs == "class_wise":
        return einsum("ncd,mcd->cnm", left, right)
    return einsum("ncd,mcd->nm", left, right) / left.shape[1]


def _outer_product_kernel(left: OuterProducts, right: OuterProducts, outputs: Outputs) -> Array:
    """Sums (x_p · x'_q)(delta_p · delta'_q) over all pairs of positions p, q."""
    positions = left.inputs.shape[1]

    def one_pair(pair: Array) -> Array:
        p, q = pair // positions, pair % positions
        inputs = jnp.matmul(left.inputs[:, p], right.inputs[:, q].T, precision=lax.Precision.HIGHEST)
        deltas = _contract_outputs(left.cotangents[:, :, p], right.cotangents[:, :, q], outputs)
        return (inputs[:, None, :, None] if outputs == "full" else inputs) * deltas

    first = one_pair(jnp.asarray(0))
    return lax.fori_loop(1, positions**2, lambda pair, total: total + one_pair(pair), first)


def _kernel_of_neural_tangents(
    apply_fn: ApplyFn, params: Params, x1: Array, x2: Array | None, outputs: Outputs, implementation: str
) -> Array:
    nt = neural_tangents()
    chosen = getattr(nt.NtkImplementation, implementation.upper())
    kernel_fn = nt.empirical_ntk_fn(apply_fn, trace_axes=(), vmap_axes=0, implementation=chosen)
    # theirs is (examples, others, outputs, outputs)
    kernel = kernel_fn(x1, x2, params)
    n, m, k, _ = kernel.shape
    if outputs == "full":
        return kernel.transpose(0, 2, 1, 3).reshape(n * k, m * k)
    by_output = jnp.diagonal(kernel, axis1=2, axis2=3)
    return by_output.mean(-1) if outputs == "trace" else jnp.moveaxis(by_output, -1, 0)
