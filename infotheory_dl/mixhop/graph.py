"""Graphs as their normalised adjacency, ready to be multiplied with."""

from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import edge, require_choice
from infotheory_dl.data.graphs import adjacency_matrix
from infotheory_dl.mixhop._slots import Slots, make_slots, placed
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

Normalization: TypeAlias = Literal["symmetric", "row", "none"]

# as large as rounding may make the difference of weights that were meant to be equal
_ROUNDING = 1e-6


@concise
class Graph(NamedTuple):
    """A normalised adjacency. Row i of it tells what node i receives, and from whom.

    It is a pytree of arrays: give it to a compiled program as an argument. One that is closed over is a constant of the
    program, which XLA would compute with while it compiles.

    Attributes:
      receivers: the rows of the entries, ascending.
      senders: their columns, ascending in every row.
      weights: their values.
      slots: where they stand for products.
      slot_weights: the weights where they stand.
      transposed: the graph of the transposed matrix; None where the matrix is symmetric.
      mask: False for nodes that only fill up a batch, which have no edges; None where all are nodes.
    """

    receivers: Int[AnyArray, " entries"]
    senders: Int[AnyArray, " entries"]
    weights: Float[AnyArray, " entries"]
    slots: Slots
    slot_weights: tuple[Float[AnyArray, "_ _"], ...]
    transposed: "Graph | None" = None
    mask: Bool[AnyArray, " nodes"] | None = None

    @property
    def num_nodes(self) -> int:
        """The number of nodes, with those that only fill up."""
        return self.slots.places.shape[-1]

    @property
    def reversed(self) -> "Graph":
        """The graph whose matrix is the transposed one."""
        return self if self.transposed is None else self.transposed


@edge
def normalize(
    adjacency: Any,
    *,
    num_nodes: int | None = None,
    normalization: Normalization = "symmetric",
    self_loops: bool = True,
    directed: bool = False,
    symmetrize: bool = False,
) -> Graph:
    """Normalises an adjacency: D^-1/2 (A + I) D^-1/2 with the degrees D of A + I, by default.

    Edges of weight one that are given more than once are one edge; of other weights, they add up. A self-loop that is
    given keeps its weight, missing ones are of weight one. A node without any edge has a row of zeros.

    Args:
      adjacency: a square matrix, sparse of SciPy or dense; a tuple `(senders, receivers)` or `(senders, receivers,
        weights)` of the edges, each in both directions; or a graph of networkx. In row i of a matrix are the nodes that
        i receives from.
      num_nodes: of edges in a tuple; by default the nodes are those up to the last that an edge names.
      normalization: "symmetric", "row" for D^-1 (A + I), the mean over the neighbours, or "none".
      self_loops: whether every node receives from itself.
      directed: whether the adjacency may be other than symmetric. D then has the sums of its rows.
      symmetrize: whether an edge in one direction stands for both; of different weights the larger counts.

    Returns:
      The graph.

    Raises:
      ValueError: if the adjacency is not square, empty, not symmetric without `directed`, an edge names a node that
        there is not, or a weight is NaN, infinite, or, unless the normalization is "none", negative.

    Source: Abu-El-Haija et al., 2019, and its published code, whose D has the degrees of A + I.
    """
    require_choice("normalization", normalization, ("symmetric", "row", "none"))
    from scipy import sparse

    matrix = adjacency_matrix(adjacency, num_nodes=num_nodes)
    if symmetrize:
        matrix = matrix.maximum(matrix.T).tocsr()
    elif not directed:
        matrix = _symmetric(matrix)
    if normalization != "none" and matrix.nnz and matrix.data.min() < 0:
        place = matrix.data.argmin()
        raise ValueError(
            f"weights must not be negative, got {matrix.data[place]:g}, with normalization={normalization!r}: take"
            " normalization='none'"
        )
    if self_loops:
        matrix = (matrix + sparse.diags_array((matrix.diagonal() == 0).astype(float))).tocsr()
    matrix.sort_indices()
    return graph_of_matrix(_normalized(matrix, normalization), is_symmetric=normalization != "row" and not directed)


def graph_of_matrix(matrix: Any, *, is_symmetric: bool) -> Graph:
    """The graph of a sparse matrix of SciPy that is normalised, with sorted rows."""
    graph = _of_rows(matrix)
    return graph if is_symmetric else graph._replace(transposed=_of_rows(matrix.T.tocsr()))


def _of_rows(matrix):
    matrix.sort_indices()
    receivers = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    weights = matrix.data.astype(jax.dtypes.canonicalize_dtype(float))
    slots = make_slots(matrix.indptr, matrix.indices)
    arrays = receivers, matrix.indices.astype(np.int32), weights, slots, placed(slots, weights)
    return Graph(*jax.tree.map(jnp.asarray, arrays))


def _symmetric(matrix):
    """The matrix, without what rounding makes of equal weights; a ValueError says where it is not symmetric."""
    difference = abs(matrix - matrix.T).tocoo()
    if not difference.nnz or difference.max() == 0:
        return matrix
    if difference.max() > _ROUNDING * abs(matrix).max():
        place = difference.data.argmax()
        row, column = int(difference.row[place]), int(difference.col[place])
        raise ValueError(
            f"adjacency must be symmetric, got {matrix[row, column]:g} at ({row}, {column}) and"
            f" {matrix[column, row]:g} at ({column}, {row}): symmetrize=True takes every edge in both directions,"
            " directed=True takes them as they are"
        )
    return ((matrix + matrix.T) / 2).tocsr()


def _normalized(matrix, normalization):
    if normalization == "none":
        return matrix
    degrees = matrix.sum(1)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    if normalization == "row":
        matrix.data /= degrees[rows]
        return matrix
    with np.errstate(divide="ignore"):
        inverse_roots = np.where(degrees > 0, 1 / np.sqrt(degrees), 0)
    # the product of the roots first: so the entries of a pair of nodes are equal to the last digit
    matrix.data *= inverse_roots[rows] * inverse_roots[matrix.indices]
    return matrix
