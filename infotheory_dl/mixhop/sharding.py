"""Graphs whose nodes are shared by several devices: every device has the rows of its nodes."""

import functools
import itertools
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Shaped

from infotheory_dl._validation import edge, require_shape
from infotheory_dl.mixhop import _slots
from infotheory_dl.mixhop._slots import Slots, make_slots_alike, placed
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray


@concise
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ShardedGraph:
    """A normalised adjacency in parts, with a leading axis of devices.

    Attributes:
      slots: of the rows of each device, whose columns are nodes of all.
      slot_weights: the weights where they stand.
      transposed: the graph of the transposed matrix; None where the matrix is symmetric.
      mask: False for nodes that only fill up, so that every device has equally many.
      mesh: of the devices.
    """

    slots: Slots
    slot_weights: tuple[Float[AnyArray, "devices _ _"], ...]
    transposed: "ShardedGraph | None"
    mask: Bool[AnyArray, " nodes"]
    mesh: Mesh = field(metadata={"static": True})

    @property
    def num_nodes(self) -> int:
        """The number of nodes, with those that only fill up."""
        return self.mask.shape[-1]

    @property
    def reversed(self) -> "ShardedGraph":
        """The graph whose matrix is the transposed one."""
        return self if self.transposed is None else self.transposed


@edge
def shard_graph(graph: Graph, mesh: Mesh | None = None) -> ShardedGraph:
    """Shares the nodes of a graph evenly among devices, in their order.

    A product then gathers the columns that are multiplied on every device, which are few where kernels come first, and
    sums the rows of the device's own nodes. Everything else of a network is left to JAX: give it features and labels of
    `shard_nodes`, and the graph's `mask` where nodes are counted.

    Args:
      graph: of all nodes.
      mesh: of one axis; by default of all devices.

    Returns:
      The graph, for `propagate`, `mix` and the networks.

    Raises:
      ValueError: if the mesh has more axes than one.
    """
    if mesh is not None and len(mesh.axis_names) != 1:
        raise ValueError(f"mesh must have one axis, that of the nodes, got {mesh.axis_names}")
    # of automatic axes, whatever those of the mesh are: JAX decides where the other arrays of a network lie
    mesh = Mesh(np.array(jax.devices()), ("nodes",)) if mesh is None else Mesh(mesh.devices, mesh.axis_names)
    parts = -(-graph.num_nodes // mesh.size)
    is_node = np.ones(graph.num_nodes, bool) if graph.mask is None else np.asarray(graph.mask)
    mask = np.pad(is_node, (0, parts * mesh.size - graph.num_nodes))
    shared = _shared(graph, mesh, parts, mask)
    if graph.transposed is None:
        return shared
    return ShardedGraph(
        shared.slots, shared.slot_weights, _shared(graph.transposed, mesh, parts, mask), shared.mask, mesh
    )


@edge
def shard_nodes(graph: ShardedGraph, x: Shaped[AnyArray, "nodes *features"]) -> Shaped[Array, "filled *features"]:
    """Shares rows of nodes, such as features, labels or masks, as their graph is shared; zeros fill up.

    Raises:
      ValueError: if there are not as many rows as nodes.
    """
    num_nodes = int(np.asarray(graph.mask).sum())
    require_shape("x", x, (num_nodes, *x.shape[1:]), "a row for each node")
    filled = np.pad(np.asarray(x), ((0, graph.num_nodes - num_nodes), *((0, 0),) * (x.ndim - 1)))
    return _placed(filled, graph.mesh)


def sharded_product(graph: ShardedGraph, x: Array) -> Array:
    """The product, device by device."""
    (axis,) = graph.mesh.axis_names
    spec = PartitionSpec(axis)

    @functools.partial(jax.shard_map, mesh=graph.mesh, in_specs=(spec, spec, spec), out_specs=spec, check_vma=False)
    def of_device(slots, weights, x):
        slots, weights = jax.tree.map(lambda leaf: leaf[0], (slots, weights))
        return _slots.product(slots, weights, jax.lax.all_gather(x, axis, tiled=True))

    return of_device(graph.slots, graph.slot_weights, x)


def _shared(graph: Graph, mesh: Mesh, parts: int, mask: np.ndarray) -> ShardedGraph:
    """The rows of a graph in parts of so many nodes."""
    receivers, senders, weights = map(np.asarray, (graph.receivers, graph.senders, graph.weights))
    starts = np.searchsorted(receivers, np.arange(parts * mesh.size + 1))
    spans = list(itertools.pairwise(starts[::parts]))
    slots = make_slots_alike(
        [
            (starts[device * parts : (device + 1) * parts + 1] - begin, senders[begin:end])
            for device, (begin, end) in enumerate(spans)
        ]
    )
    of_slots = [placed(of_device, weights[begin:end]) for of_device, (begin, end) in zip(slots, spans, strict=True)]
    stacked = lambda trees: jax.tree.map(lambda *leaves: _placed(np.stack(leaves), mesh), *trees)
    without_entries = [of_device._replace(entries=()) for of_device in slots]
    return ShardedGraph(stacked(without_entries), stacked(of_slots), None, _placed(mask, mesh), mesh)


def _placed(values: np.ndarray, mesh: Mesh) -> Any:
    return jax.device_put(jnp.asarray(values), NamedSharding(mesh, PartitionSpec(*mesh.axis_names)))
