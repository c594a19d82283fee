"""Some neighbours of some nodes, hop by hop: what a network needs of a large graph to predict a few nodes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import edge, require_count, require_distinct, require_indices, require_not_empty
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key


class Hop(NamedTuple):
    """Rows of a sampled adjacency, each in as many slots.

    Attributes:
      columns: the places of the neighbours among the nodes of the next hop.
      weights: of the entries; zero in a slot without one.
    """

    columns: Int[AnyArray, "slots rows"]
    weights: Float[AnyArray, "slots rows"]


@concise
class SampledGraph(NamedTuple):
    """The neighbourhoods of some nodes. The nodes that a hop needs begin with those of the hop before it.

    Attributes:
      hops: from the chosen nodes outwards.
      nodes: which of all nodes those of the last hop are; 0 for what fills up.
      mask: False for what fills up.
    """

    hops: tuple[Hop, ...]
    nodes: Int[AnyArray, " nodes"]
    mask: Bool[AnyArray, " nodes"]

    @property
    def num_nodes(self) -> int:
        """The number of nodes whose features are needed, with those that only fill up."""
        return self.nodes.shape[-1]

    def reached(self, hop: int) -> int:
        """The number of nodes that are left before so many hops are multiplied by; 0 leaves the chosen nodes."""
        return self.hops[hop].weights.shape[-1] if hop < len(self.hops) else self.num_nodes

    def of_layer(self, layer: int, num_layers: int, highest: int) -> "SampledGraph":
        """The hops that a layer multiplies by: the first one those that are farthest from the chosen nodes."""
        first = (num_layers - 1 - layer) * highest
        size = self.reached(first + highest)
        return SampledGraph(self.hops[first : first + highest], self.nodes[:size], self.mask[:size])


@edge
def sample_neighbors(
    key: Key, graph: Graph, nodes: Int[AnyArray, " chosen"], *, fan_out: int, num_hops: int
) -> SampledGraph:
    """Draws neighbours of nodes, of their neighbours, and so on; each hop anew.

    A node with more neighbours than the fan-out has that many of them, drawn without replacement, with weights that
    make the sum right in expectation; itself it always has. So products with powers of the adjacency are unbiased, and
    exact where the fan-out is the largest degree; after an activation they are not unbiased any more.

    Args:
      key: source of randomness.
      graph: of all nodes.
      nodes: that are to be predicted, different ones.
      fan_out: neighbours at most.
      num_hops: of a network the number of layers times the highest power.

    Returns:
      The neighbourhoods, for `mix` and for networks of `MixHop`, `GCN` and `SGC`; with the features `x[sampled.nodes]`
      they give outputs for `nodes`. Shapes depend on the numbers of nodes, of all nodes, the fan-out and the hops only,
      so that draws share a program.

    Raises:
      ValueError: if there are no nodes, one is given twice or is none, or a number is not positive.

    Source: Hamilton et al., 2017.
    """
    require_count(1, fan_out=fan_out, num_hops=num_hops)
    require_not_empty(nodes=nodes)
    require_indices(graph.num_nodes, nodes=nodes)
    require_distinct(nodes=nodes)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    senders, weights = np.asarray(graph.senders), np.asarray(graph.weights)
    starts = np.searchsorted(np.asarray(graph.receivers), np.arange(graph.num_nodes + 1))
    reached, mask = np.asarray(nodes, int), np.ones(len(nodes), bool)
    hops = []
    for _ in range(num_hops):
        rows, entries, scales = _drawn(random, reached, mask, starts, senders, fan_out)
        # the neighbours that are new, after the nodes that there are
        place = np.full(graph.num_nodes, -1)
        place[reached[mask]] = np.flatnonzero(mask)
        new = np.unique(senders[entries])
        new = new[place[new] < 0]
        room = min(len(reached) * fan_out, graph.num_nodes - len(nodes))
        place[new] = len(reached) + np.arange(len(new))
        hops.append(_hop(rows, place[senders[entries]], weights[entries] * scales, len(reached), fan_out))
        reached = np.concatenate([reached, new, np.zeros(room - len(new), int)])
        mask = np.concatenate([mask, np.arange(room) < len(new)])
    arrays = tuple(hops), reached.astype(np.int32), mask
    return SampledGraph(*jax.tree.map(jnp.asarray, arrays))


def sampled_product(graph: SampledGraph, x: Array, hop: int) -> Array:
    """The rows that are left after multiplying by a hop."""
    columns, weights = graph.hops[hop]
    summed = jnp.promote_types(x.dtype, jnp.float32)
    add = lambda total, slot: (total + slot[1][:, None] * x[slot[0]].astype(summed), None)
    total = jnp.zeros((columns.shape[1], x.shape[1]), summed)
    return jax.lax.scan(add, total, (columns, weights.astype(summed)))[0].astype(x.dtype)


def _drawn(random, nodes, mask, starts, senders, fan_out):
    """The rows, the entries of the graph, and the factors of their weights, that are drawn for nodes."""
    degrees = np.where(mask, starts[nodes + 1] - starts[nodes], 0)
    rows = np.repeat(np.arange(len(nodes)), degrees)
    entries = starts[nodes][rows] + np.arange(len(rows)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    is_loop = senders[entries] == nodes[rows]
    # in random order within each row, its own entry first, which is always taken
    order = np.lexsort([np.where(is_loop, -1, random.random(len(rows))), rows])
    rows, entries, is_loop = rows[order], entries[order], is_loop[order]
    has_loop = np.zeros(len(nodes), int)
    has_loop[rows[is_loop]] = 1
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    taken = rank < fan_out + has_loop[rows]
    neighbors = (degrees - has_loop)[rows]
    scales = np.where(is_loop, 1, np.maximum(neighbors, 1) / np.maximum(np.minimum(neighbors, fan_out), 1))
    return rows[taken], entries[taken], scales[taken]


def _hop(rows, columns, weights, num_rows, fan_out):
    """The entries in slots: those of the neighbours, and one of the node's own."""
    counts = np.bincount(rows, minlength=num_rows)
    slot = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (fan_out + 1, num_rows)
    of_columns, of_weights = np.zeros(shape, np.int32), np.zeros(shape, weights.dtype)
    of_columns[slot, rows], of_weights[slot, rows] = columns, weights
    return Hop(of_columns, of_weights)
