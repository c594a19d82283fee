"""Graphs in batches of equal shapes, all for one program: parts of a large graph, or many small graphs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import edge, require_count, require_same_length
from infotheory_dl.data.graphs import adjacency_matrix
from infotheory_dl.mixhop._slots import make_slots_alike, placed
from infotheory_dl.mixhop.graph import Graph, Normalization, normalize
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray


@concise
class GraphBatches(NamedTuple):
    """Batches of nodes with the graphs among them, with a leading axis of batches.

    A `lax.scan` over it gives one batch after the other, each a `GraphBatches` without that axis; so does `tree.map`
    of an index. The graphs' masks tell nodes from what only fills up.

    Attributes:
      graphs: normalised on their own.
      nodes: which of all nodes those of the batch are, 0 for what fills up.
      graph_ids: which of the small graphs each is of, counted in the batch; one more than the last for what fills up.
    """

    graphs: Graph
    nodes: Int[Array, "*batches nodes"]
    graph_ids: Int[Array, "*batches nodes"]


@edge
def cluster_batches(
    adjacency: Any,
    num_batches: int,
    *,
    num_nodes: int | None = None,
    normalization: Normalization = "symmetric",
    self_loops: bool = True,
    directed: bool = False,
    symmetrize: bool = False,
) -> GraphBatches:
    """Cuts a graph into parts of equally many nodes that are near each other, without the edges between parts.

    Nodes are brought into an order in which neighbours are near, the reverse of Cuthill and McKee, and that is cut.

    Args:
      adjacency, num_nodes, normalization, self_loops, directed, symmetrize: as in `normalize`.
      num_batches: parts, at most as many as nodes.

    Returns:
      The parts. Training on them is not training on the graph: the edges between parts are missing. Predict by the
      whole graph.

    Raises:
      ValueError: as `normalize`, or if there are to be more parts than nodes.

    Source: Chiang et al., 2019, with another partition.
    """
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    matrix = adjacency_matrix(adjacency, num_nodes=num_nodes)
    require_count(1, matrix.shape[0], "the number of nodes", num_batches=num_batches)
    if symmetrize:
        matrix = matrix.maximum(matrix.T).tocsr()
    order = reverse_cuthill_mckee(matrix, symmetric_mode=not directed)
    parts = [np.sort(part) for part in np.array_split(order, num_batches)]
    settings: dict[str, Any] = {"normalization": normalization, "self_loops": self_loops, "directed": directed}
    graphs = [normalize(matrix[part][:, part], **settings) for part in parts]
    return _batches(graphs, parts, [np.zeros(len(part), int) for part in parts], num_graphs=1)


@edge
def small_graph_batches(
    adjacencies: Sequence[Any],
    graphs_per_batch: int,
    *,
    normalization: Normalization = "symmetric",
    self_loops: bool = True,
    directed: bool = False,
    symmetrize: bool = False,
) -> GraphBatches:
    """Puts small graphs side by side, so many in a batch, in their order; a last batch may hold fewer.

    Args:
      adjacencies: of each graph, as `normalize` takes it.
      graphs_per_batch: graphs in a batch.
      normalization, self_loops, directed, symmetrize: as in `normalize`.

    Returns:
      The batches. Nodes are numbered through all graphs, so that features of all in a row are `x[batch.nodes]`.

    Raises:
      ValueError: as `normalize`, or if there are no graphs.
    """
    from scipy import sparse

    require_count(1, graphs_per_batch=graphs_per_batch, **{"len(adjacencies)": len(adjacencies)})
    settings: dict[str, Any] = {
        "normalization": normalization,
        "self_loops": self_loops,
        "directed": directed,
        "symmetrize": symmetrize,
    }
    matrices = [adjacency_matrix(adjacency) for adjacency in adjacencies]
    sizes = [matrix.shape[0] for matrix in matrices]
    graphs, nodes, graph_ids = [], [], []
    for first in range(0, len(matrices), graphs_per_batch):
        chosen = slice(first, first + graphs_per_batch)
        graphs.append(normalize(sparse.block_diag(matrices[chosen], format="csr"), **settings))
        nodes.append(sum(sizes[:first]) + np.arange(sum(sizes[chosen])))
        graph_ids.append(np.repeat(np.arange(len(sizes[chosen])), sizes[chosen]))
    return _batches(graphs, nodes, graph_ids, num_graphs=graphs_per_batch)


@edge
def pool_nodes(
    x: Float[AnyArray, "nodes features"], graph_ids: Int[AnyArray, " nodes"], num_graphs: int
) -> Float[Array, "graphs features"]:
    """Averages the rows of the nodes of each small graph; zeros for a graph without nodes.

    Args:
      x: rows of the nodes of a batch.
      graph_ids: of the batch.
      num_graphs: graphs in a batch.

    Raises:
      ValueError: if there are not as many rows as nodes.
    """
    require_same_length(x=x, graph_ids=graph_ids)
    sums = jax.ops.segment_sum(jnp.asarray(x), jnp.asarray(graph_ids), num_graphs)
    counts = jax.ops.segment_sum(jnp.ones(len(x), sums.dtype), jnp.asarray(graph_ids), num_graphs)
    return sums / jnp.maximum(counts, 1)[:, None]


def _batches(
    graphs: list[Graph], nodes: list[np.ndarray], graph_ids: list[np.ndarray], *, num_graphs: int
) -> GraphBatches:
    size = max(map(len, nodes))
    masks = [np.arange(size) < len(of_batch) for of_batch in nodes]
    stacked = _alike([graph._replace(transposed=None) for graph in graphs], size)
    if graphs[0].transposed is not None:
        stacked = stacked._replace(transposed=_alike([graph.reversed for graph in graphs], size))
    filled = lambda rows, value: jnp.asarray(
        np.stack([np.pad(of_batch, (0, size - len(of_batch)), constant_values=value) for of_batch in rows]), jnp.int32
    )
    return GraphBatches(
        stacked._replace(mask=jnp.asarray(np.stack(masks))), filled(nodes, 0), filled(graph_ids, num_graphs)
    )


def _alike(graphs: list[Graph], size: int) -> Graph:
    """Graphs of so many nodes, and of slots of the same shapes, stacked."""
    entries = max(len(graph.weights) for graph in graphs)
    coordinates, matrices = [], []
    for graph in graphs:
        receivers, senders, weights = map(np.asarray, (graph.receivers, graph.senders, graph.weights))
        starts = np.searchsorted(receivers, np.arange(size + 1))
        absent = (0, entries - len(weights))
        # what fills up is of no weight, and stands after all others, so that the rows ascend
        senders = np.pad(senders, absent)
        coordinates.append((np.pad(receivers, absent, constant_values=size - 1), senders, np.pad(weights, absent)))
        matrices.append((starts, senders))
    slots = make_slots_alike(matrices)
    weights_of_slots = [placed(of_graph, weights) for of_graph, (_, _, weights) in zip(slots, coordinates, strict=True)]
    graphs_alike = [
        Graph(*arrays, of_graph, of_slots)
        for arrays, of_graph, of_slots in zip(coordinates, slots, weights_of_slots, strict=True)
    ]
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *graphs_alike)
