"""Kernels of low rank, for training sets too large for an eigendecomposition of their kernel.

Features phi stand for the kernel phi phiᵀ: random projections of the gradients, or Nyström's from some landmarks. The
cost grows linearly with the number of examples.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PyTree

from infotheory_dl._precision import in_double
from infotheory_dl._validation import (
    edge,
    require_choice,
    require_count,
    require_finite,
    require_rank,
)
from infotheory_dl.linearization.eigen import KernelEigen, eigen_of, eigen_of_features, kernel_eigen
from infotheory_dl.linearization.kernels import block_jacobians, blockwise_kernel, empirical_kernel, mean_kernel
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params, Scalar

ProjectionMethod = Literal["gaussian", "rademacher", "count_sketch", "very_sparse", "random_subset"]
Projection: TypeAlias = Callable[[Any], Array]
"""Maps gradients, a pytree like the parameters with further axes in front, to (..., features)."""

_CHUNK_COLUMNS = 4096


@edge(half=False)
def feature_eigen(features: Float[AnyArray, "rows features"]) -> KernelEigen:
    """Decomposes the kernel phi phiᵀ of features, O(rows features²).

    Args:
      features: one row for each output of each example, example-major; or one for each example.

    Returns:
      The decomposition, of rank `features` at most. `leave_one_out` and the closed forms of training accept it.

    Raises:
      ValueError: if the features are not a matrix, or hold NaN or infinity.
    """
    require_rank("features", features, 2, "(rows, features)")
    require_finite(features=features)
    return eigen_of_features(jnp.asarray(features))


@edge
def nystrom_features(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    landmarks: Float[AnyArray, "landmarks ..."],
    *,
    outputs: Literal["full", "trace"] = "full",
    batch_size: int | None = None,
) -> Float[Array, "rows features"]:
    """Computes features whose kernel is Nyström's approximation K_nm (K_mm)⁻¹ K_mn of the empirical kernel.

    Args:
      apply_fn, params: the network.
      inputs: n inputs, of training or reference.
      landmarks: m inputs to interpolate from, the same for all that shall be compared, such as some training inputs.
      outputs: "full" or "trace", as in `empirical_kernel`.
      batch_size: examples in a block of the kernel.

    Returns:
      Features, (n k, m k) for "full" and (n, m) for "trace".

    Source: Williams and Seeger, 2001.
    """
    require_choice("outputs", outputs, ("full", "trace"))
    across = empirical_kernel(apply_fn, params, inputs, landmarks, outputs=outputs, batch_size=batch_size)
    return _interpolated(across, blockwise_kernel(apply_fn, params, landmarks, None, outputs, batch_size))


@edge
def mean_kernel_eigen(
    key: Key,
    network: nn.Module,
    inputs: Float[AnyArray, "examples ..."],
    *,
    num_networks: int = 5,
    num_landmarks: int | None = None,
) -> KernelEigen:
    """Decomposes the mean kernel of several untrained networks, from some landmarks where the examples are many.

    Args:
      key: source of the networks' weights, and of the choice of the landmarks.
      network: of one output.
      inputs: n inputs.
      num_networks: as in `mean_kernel`, which see for the errors too.
      num_landmarks: m of the inputs to interpolate the kernel from, O(n m²) instead of O(n³); default all.

    Returns:
      The decomposition; of rank m with landmarks.

    Raises:
      ValueError: if the landmarks are none, or more than the inputs.
    """
    if num_landmarks is None:
        return kernel_eigen(mean_kernel(key, network, inputs, num_networks=num_networks))
    require_count(1, len(inputs), "the number of inputs", num_landmarks=num_landmarks)
    key_networks, key_landmarks = jax.random.split(key)
    rows = np.asarray(jax.random.choice(key_landmarks, len(inputs), (num_landmarks,), replace=False))
    across = mean_kernel(key_networks, network, inputs, inputs[rows], num_networks=num_networks)
    return feature_eigen(_interpolated(across, across[rows]))


@edge
def projected_jacobian(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    projection: Projection,
    *,
    batch_size: int | None = None,
) -> Float[Array, "rows features"]:
    """Computes the gradients of every output in projection, examples in batches: never (n, d) numbers at once.

    Args:
      apply_fn, params: the network.
      inputs: n inputs.
      projection: of `random_projection`, the same for all inputs that shall be compared.
      batch_size: examples at once.

    Returns:
      Features, one row for each output of each example, example-major.

    Raises:
      ValueError, TypeError: as `jacobian`.
    """
    project = jax.jit(projection)
    blocks = block_jacobians(apply_fn, params, inputs, batch_size)
    features = jnp.concatenate([project(block) for block in blocks])[: len(inputs)]
    return features.reshape(-1, features.shape[-1])


@edge
def random_projection(
    key: Key, params: Params, *, method: ProjectionMethod = "rademacher", num_features: int = 4096
) -> Projection:
    """Draws a linear map of gradients that keeps their inner products in expectation.

    Args:
      key: of the draw; the map is made from it whenever it is used, and never held.
      params: the parameters whose gradients are projected.
      method: "gaussian" or "rademacher": dense matrices; "count_sketch": each coordinate goes to one feature with a
        random sign; "very_sparse": each feature sums a few coordinates with random signs; "random_subset":
        `num_features` coordinates of each parameter tensor without replacement, side by side.
      num_features: number of features, for "random_subset" at most that many for each tensor.

    Returns:
      A function from a pytree of gradients to (..., features).

    Raises:
      ValueError: if the method is unknown or there is no feature.

    Source: Johnson and Lindenstrauss, 1984; Charikar et al., 2002 (count sketch); Harutyunyan et al., 2021 (the last
      two).
    """
    methods = {
        "gaussian": _dense(jax.random.normal),
        "rademacher": _dense(jax.random.rademacher),
        "count_sketch": _count_sketch,
        "very_sparse": _very_sparse,
        "random_subset": _random_subset,
    }
    require_choice("method", method, tuple(methods))
    require_count(1, num_features=num_features)
    ranks = [np.ndim(leaf) for leaf in jax.tree.leaves(params)]
    keys = list(jax.random.split(key, len(ranks)))

    def project(gradients: PyTree[Float[Array, "..."]]) -> Float[Array, "... features"]:
        pieces = []
        for leaf_key, rank, leaf in zip(keys, ranks, jax.tree.leaves(gradients), strict=True):
            flat = leaf.reshape(*leaf.shape[: leaf.ndim - rank], -1)
            pieces.append(methods[method](leaf_key, flat, num_features))
        return jnp.concatenate(pieces, axis=-1) if method == "random_subset" else sum(pieces[1:], pieces[0])

    return project


def _interpolated(
    across: Float[Array, "rows landmarks"], among: Float[Array, "landmarks landmarks"]
) -> Float[Array, "rows landmarks"]:
    """Features whose products are those of Nyström's approximation."""
    eigen, eps = eigen_of(among), float(jnp.finfo(across.dtype).eps)
    return in_double(_interpolate, across, eigen.eigenvalues, eigen.eigenvectors, eps, dtype=across.dtype)


@jax.jit
@jax.default_matmul_precision("highest")
def _interpolate(across: Array, eigenvalues: Array, vectors: Array, eps: Scalar) -> Array:
    present = eigenvalues > len(eigenvalues) * eps * eigenvalues.max()
    return across @ vectors * jnp.where(present, lax.rsqrt(jnp.where(present, eigenvalues, 1)), 0)


def _dense(draw: Callable[..., Array]) -> Callable[[Key, Array, int], Array]:
    def project(key: Key, flat: Array, num_features: int) -> Array:
        size = flat.shape[-1]
        width = min(_CHUNK_COLUMNS, size)
        chunks = -(-size // width)
        padded = jnp.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(0, chunks * width - size)])
        padded = jnp.moveaxis(padded.reshape(*flat.shape[:-1], chunks, width), -2, 0)

        def add(total: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
            index, columns = chunk
            matrix = draw(jax.random.fold_in(key, index), (width, num_features)).astype(flat.dtype)
            return total + jnp.matmul(columns, matrix, precision=lax.Precision.HIGHEST), None

        zeros = jnp.zeros((*flat.shape[:-1], num_features), flat.dtype)
        return lax.scan(add, zeros, (jnp.arange(chunks), padded))[0] / np.sqrt(num_features)

    return project


def _count_sketch(key: Key, flat: Array, num_features: int) -> Array:
    bucket_key, sign_key = jax.random.split(key)
    size = flat.shape[-1]
    buckets = jax.random.randint(bucket_key, (size,), 0, num_features)
    signed = flat * jax.random.rademacher(sign_key, (size,)).astype(flat.dtype)
    return jnp.zeros((*flat.shape[:-1], num_features), flat.dtype).at[..., buckets].add(signed)


def _very_sparse(key: Key, flat: Array, num_features: int) -> Array:
    index_key, sign_key = jax.random.split(key)
    size = flat.shape[-1]
    entries = size if size <= 1000 else int(np.sqrt(size))
    indices = jax.random.randint(index_key, (entries, num_features), 0, size)
    signs = jax.random.rademacher(sign_key, (entries, num_features)).astype(flat.dtype)

    def add(total: Array, entry: tuple[Array, Array]) -> tuple[Array, None]:
        coordinates, sign = entry
        return total + sign * flat[..., coordinates], None

    zeros = jnp.zeros((*flat.shape[:-1], num_features), flat.dtype)
    return lax.scan(add, zeros, (indices, signs))[0] * np.sqrt(size / entries / num_features)


def _random_subset(key: Key, flat: Array, num_features: int) -> Array:
    size = flat.shape[-1]
    indices = jax.random.permutation(key, size)[:num_features]
    return flat[..., indices] * np.sqrt(size / len(indices))
