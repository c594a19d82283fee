"""Sparse features of nodes: products with kernels, dropout and normalisation touch what is not zero, and no more."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import (
    edge,
    real_array,
    require_finite,
    require_not_empty,
    require_rank,
    require_shape,
    require_within,
)
from infotheory_dl.mixhop import _slots
from infotheory_dl.mixhop._slots import Slots, make_slots, spread
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key, Scalar

# below which a squared norm of a row counts as this
_LEAST_SQUARE = 1e-12


@concise
class SparseRows(NamedTuple):
    """A sparse matrix, one row for each node. `sparse_rows` makes one.

    Attributes:
      values: of the entries, row by row.
      rows: of the entries, ascending.
      columns: of the entries, ascending in every row.
      by_row: where the entries stand for products.
      by_column: where they stand for products of the transposed matrix.
    """

    values: Float[AnyArray, " entries"]
    rows: Int[AnyArray, " entries"]
    columns: Int[AnyArray, " entries"]
    by_row: Slots
    by_column: Slots

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return self.by_row.places.shape[-1], self.by_column.places.shape[-1]

    @property
    def dtype(self) -> Any:
        """Of the values."""
        return self.values.dtype


@edge
def sparse_rows(matrix: Any) -> SparseRows:
    """Makes a sparse matrix of one of SciPy, or of a dense one.

    Its values are of JAX's default floating-point type, or, if they are floating-point, of theirs.

    Args:
      matrix: (rows, columns).

    Raises:
      ValueError: if it is empty, has not two axes, or holds NaN or infinities.
    """
    from scipy import sparse

    if hasattr(matrix, "tocsr"):
        matrix = matrix.tocsr()
    else:
        dense = np.asarray(real_array("matrix", matrix))
        require_rank("matrix", dense, 2, "(rows, columns)")
        matrix = sparse.csr_array(dense)
    require_not_empty(matrix=matrix)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    values = np.asarray(real_array("matrix", matrix.data))
    require_finite(matrix=values)
    if values.dtype.kind != "f":
        values = values.astype(float)
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    # of every entry, row by row, its number, in the order of the columns
    numbers = sparse.csr_array((np.arange(len(values)), matrix.indices, matrix.indptr), shape=matrix.shape).tocsc()
    by_row = make_slots(matrix.indptr, matrix.indices)
    by_column = make_slots(numbers.indptr, numbers.indices, numbers.data)
    values = values.astype(jax.dtypes.canonicalize_dtype(values.dtype))
    arrays = values, rows, matrix.indices.astype(np.int32), by_row, by_column
    return SparseRows(*jax.tree.map(jnp.asarray, arrays))


@edge
def project(features: SparseRows, kernel: Float[AnyArray, "columns outputs"]) -> Float[Array, "rows outputs"]:
    """Computes the product of a sparse matrix with a dense one, with gradients to the values and to the kernel.

    Raises:
      ValueError: if the kernel has not a row for each column of the features.
    """
    require_shape(
        "kernel", kernel, (features.shape[1], *jnp.shape(kernel)[1:]), "a row for each column of the features"
    )
    return _project(features, jnp.asarray(kernel))


@jax.custom_vjp
def project_core(features: SparseRows, kernel: Array) -> Array:
    """The core of `project`."""
    return _slots.product(features.by_row, spread(features.by_row, jnp.asarray(features.values)), kernel)


def _project_forward(features, kernel):
    return project_core(features, kernel), (features, kernel)


def _project_backward(residuals, cotangent):
    features, kernel = residuals
    to_kernel = _slots.product(features.by_column, spread(features.by_column, features.values), cotangent)
    taken = lambda rows, places: rows.at[places].get(mode="promise_in_bounds")
    to_values = (taken(cotangent, features.rows) * taken(kernel, features.columns)).sum(-1)
    no_gradient = SparseRows(to_values.astype(features.dtype), None, None, None, None)  # type: ignore[arg-type]
    return no_gradient, to_kernel.astype(kernel.dtype)


project_core.defvjp(_project_forward, _project_backward)
_project = jax.jit(project_core)


@edge
def to_dense(features: SparseRows) -> Float[Array, "rows columns"]:
    """Writes a sparse matrix out."""
    dense = jnp.zeros(features.shape, features.dtype)
    return dense.at[features.rows, features.columns].set(features.values, indices_are_sorted=True, unique_indices=True)


@edge
def sparse_dropout(key: Key, features: SparseRows, rate: Scalar) -> SparseRows:
    """Drops entries of a sparse matrix: each is kept with probability 1 - rate, and then divided by it.

    Args:
      key: source of randomness.
      features: the matrix.
      rate: the probability that an entry is dropped, in [0, 1).

    Raises:
      ValueError: if the rate does not lie in [0, 1).
    """
    require_within("[0, 1)", rate=rate)
    kept = jax.random.bernoulli(key, 1 - jnp.asarray(rate, jnp.float32), features.values.shape)
    scale = jnp.asarray(1 / (1 - rate), features.dtype)
    return features._replace(values=jnp.where(kept, features.values * scale, 0))


@edge
def unit_rows(features: Float[AnyArray, "rows columns"] | SparseRows) -> Float[Array, "rows columns"] | SparseRows:
    """Divides every row by its Euclidean norm, x / sqrt(max(|x|², 1e-12)); rows of zeros stay.

    Source: the published code of Abu-El-Haija et al., 2019.
    """
    if not isinstance(features, SparseRows):
        dense = jnp.asarray(features)
        squares = jnp.square(dense).sum(-1, keepdims=True)
        return dense * jax.lax.rsqrt(jnp.maximum(squares, _LEAST_SQUARE))
    squares = _slots.row_sums(features.by_row, spread(features.by_row, jnp.square(features.values)))
    inverse_norms = jax.lax.rsqrt(jnp.maximum(squares, _LEAST_SQUARE))
    return features._replace(values=features.values * inverse_norms.at[features.rows].get(mode="promise_in_bounds"))
