"""Adjacencies as people hold them, in one form: a sparse matrix of SciPy."""

from typing import Any

import numpy as np

from infotheory_dl._validation import (
    edge,
    real_array,
    require_count,
    require_finite,
    require_indices,
    require_not_empty,
    require_rank,
    require_same_length,
    require_square,
)


@edge
def adjacency_matrix(adjacency: Any, *, num_nodes: int | None = None) -> Any:
    """Brings an adjacency into one form, whatever holds it.

    Edges of weight one that are given more than once are one edge; of other weights, they add up. Weights of zero are
    no edges.

    Args:
      adjacency: a square matrix, sparse of SciPy or dense; a tuple `(senders, receivers)` or `(senders, receivers,
        weights)` of edges; or a graph of networkx, whose nodes keep their order. In row i of a matrix are the nodes
        that i receives from.
      num_nodes: of edges in a tuple; by default the nodes are those up to the last that an edge names.

    Returns:
      A `csr_array` of SciPy (nodes, nodes) in double precision, with ascending columns in every row.

    Raises:
      ValueError: if it is not square or empty, an edge names a node that there is not, or a weight is NaN or infinite.
      TypeError: if it holds anything but real numbers.
    """
    from scipy import sparse

    if hasattr(adjacency, "is_directed") and hasattr(adjacency, "adj"):
        import networkx

        # an edge of networkx goes from its row to its column
        adjacency = networkx.to_scipy_sparse_array(adjacency, dtype=float).T
    if isinstance(adjacency, tuple):
        entries = _of_edges(adjacency, num_nodes)
    elif hasattr(adjacency, "tocoo"):
        entries = adjacency.tocoo()
    else:
        dense = np.asarray(real_array("adjacency", adjacency))
        require_rank("adjacency", dense, 2, "(nodes, nodes)")
        entries = sparse.coo_array(dense)
    require_square("adjacency", entries, "(nodes, nodes)")
    require_not_empty(adjacency=entries)
    data = np.asarray(real_array("weights", entries.data), float)
    require_finite(weights=data)
    matrix = sparse.coo_array((data, (entries.row, entries.col)), shape=entries.shape).tocsr()
    if (data == 1).all():
        matrix.data[:] = 1
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _of_edges(edges: tuple[Any, ...], num_nodes: int | None) -> Any:
    from scipy import sparse

    if len(edges) not in (2, 3):
        raise ValueError(f"edges must be (senders, receivers) or (senders, receivers, weights), got {len(edges)}")
    senders, receivers = (
        np.asarray(real_array(name, nodes)) for name, nodes in zip(("senders", "receivers"), edges, strict=False)
    )
    weights = np.asarray(real_array("weights", edges[2])) if len(edges) == 3 else np.ones(len(senders))
    require_same_length(senders=senders, receivers=receivers, weights=weights)
    if num_nodes is None:
        num_nodes = 1 + int(max(senders.max(initial=-1), receivers.max(initial=-1)))
    require_count(1, num_nodes=num_nodes)
    if len(senders):
        require_indices(num_nodes, senders=senders, receivers=receivers)
    return sparse.coo_array((weights, (receivers.astype(int), senders.astype(int))), shape=(num_nodes, num_nodes))
