"""Products of a normalised adjacency with the features of its nodes."""

import functools
from typing import Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_choice, require_shape
from infotheory_dl.mixhop import _slots
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.mixhop.sharding import ShardedGraph, sharded_product
from infotheory_dl.types import AnyArray

Backend: TypeAlias = Literal["auto", "ell", "segment_sum", "bcoo", "dense"]


@edge
def propagate(
    graph: Graph | ShardedGraph, x: Float[AnyArray, "nodes *features"], *, backend: Backend = "auto"
) -> Float[Array, "nodes *features"]:
    """Computes A x: to every node what it receives of its neighbours.

    Its gradient is the product with the transposed matrix by the same program: nothing is scattered. The graph is data:
    no gradient goes to its weights.

    Args:
      graph: the normalised adjacency, also one that devices share, which has one backend.
      x: features of the nodes; the result is of their dtype.
      backend: "ell" sums over slots of rows of about equal length, "segment_sum" over the sorted entries, "bcoo" is
        JAX's sparse product, "dense" makes the whole matrix. "auto" is "ell", the fastest on CPU; on GPU it is as
        fast as the others from a million entries on, and the order of its sums is that of the graph.

    Raises:
      ValueError: if there is not one row of features for each node, or the backend is unknown.
    """
    require_choice("backend", backend, get_args(Backend))
    require_shape("x", x, (graph.num_nodes, *jnp.shape(x)[1:]), "a row for each node")
    return _propagate(graph, jnp.asarray(x), backend=backend)


def propagate_core(graph: Graph | ShardedGraph, x: Array, backend: Backend = "auto") -> Array:
    """The core of `propagate`."""
    return _product("ell" if backend == "auto" else backend, graph, x.reshape(len(x), -1)).reshape(x.shape)


_propagate = jax.jit(propagate_core, static_argnames="backend")


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(backend, graph, x):
    return sharded_product(graph, x) if isinstance(graph, ShardedGraph) else _BACKENDS[backend](graph, x)


def _forward(backend, graph, x):
    return _product(backend, graph, x), graph


def _backward(backend, graph, cotangent):
    return None, _product(backend, graph.reversed, cotangent)


_product.defvjp(_forward, _backward)


def _ell(graph, x):
    return _slots.product(graph.slots, graph.slot_weights, x)


def _segment_sum(graph, x):
    messages = graph.weights.astype(_summed(x))[:, None] * x.at[graph.senders].get(mode="promise_in_bounds")
    sums = jax.ops.segment_sum(messages, graph.receivers, graph.num_nodes, indices_are_sorted=True)
    return sums.astype(x.dtype)


def _bcoo(graph, x):
    from jax.experimental import sparse

    places = jnp.stack([graph.receivers, graph.senders], axis=1)
    shape = (graph.num_nodes, graph.num_nodes)
    matrix = sparse.BCOO(
        (graph.weights.astype(_summed(x)), places), shape=shape, indices_sorted=True, unique_indices=True
    )
    return (matrix @ x.astype(_summed(x))).astype(x.dtype)


def _dense(graph, x):
    matrix = jnp.zeros((graph.num_nodes, graph.num_nodes), _summed(x))
    matrix = matrix.at[graph.receivers, graph.senders].set(
        graph.weights.astype(_summed(x)), indices_are_sorted=True, unique_indices=True
    )
    return jnp.matmul(matrix, x.astype(_summed(x)), precision="highest").astype(x.dtype)


def _summed(x):
    """The dtype of the sums: half precision is summed in single."""
    return jnp.promote_types(x.dtype, jnp.float32)


_BACKENDS = {"ell": _ell, "segment_sum": _segment_sum, "bcoo": _bcoo, "dense": _dense}
