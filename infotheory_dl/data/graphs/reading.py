"""Graphs in files: arrays in .npz files, or tables of edges and of the features of nodes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from infotheory_dl._files import read_arrays
from infotheory_dl._validation import edge
from infotheory_dl.data.graphs.nodes import NodeData, as_nodes
from infotheory_dl.data.tables import Table, read_table
from infotheory_dl.data.tables.columns import as_values, frame_columns, listed
from infotheory_dl.data.tables.formats import naming, read_parquet_columns, read_text_columns

_REMEDY = (
    "give adjacency, or senders and receivers (and weights), or adj_indptr and adj_indices; features, or feat_indptr,"
    " feat_indices and feat_shape; labels; train_mask, val_mask and test_mask"
)
_MASKS = {"train": ("train_mask",), "validation": ("val_mask", "validation_mask"), "test": ("test_mask",)}


@edge
def read_graph(
    path: str | os.PathLike[str],
    *,
    features: Any = None,
    label: str | int | None = None,
    node: str | int | None = None,
    graph_only: bool = False,
) -> NodeData:
    """Reads a graph from an .npz file of arrays, or from a table of edges beside one of the features of its nodes.

    An .npz file has a dense `adjacency`, or `senders` and `receivers` with `weights` if there are any, or the
    neighbours of every node as `adj_indptr` and `adj_indices`; and what there is of `features` (or `feat_indptr`,
    `feat_indices`, `feat_shape`, and `feat_data` unless all are one), `labels` with -1 where unknown, `num_classes`,
    `train_mask`, `val_mask` and `test_mask`. A table of edges (.csv, .tsv, .parquet) has in its first two columns the
    sender and the receiver, and in a third, if there is one, the weight. Nodes are the rows of the table of features,
    by their names in one of its columns, or numbered from 0.

    Args:
      path: of the file.
      features: the path of a table, see `read_table`, with one row for each node, in its order for an .npz file; or, in
        place of those of an .npz file, an array or a sparse matrix.
      label: the column of that table with the classes.
      node: its column with the names of the nodes; by default that of the names of rows, if it has one, else nodes are
        numbered.
      graph_only: whether a graph whose nodes lack features is read without any.

    Returns:
      The nodes.

    Raises:
      ValueError: if an array is missing or does not fit, an edge names a node that there is not, or the file has
        features of some of the nodes only, as that of Pubmed does.
      OSError: if a file cannot be opened.
    """
    place = Path(path).expanduser()
    if place.suffix.lower() == ".npz":
        labels = None
        if isinstance(features, str | os.PathLike):
            table, labels = _read_nodes(features, label, node)
            features = table.x.reshape(len(table.x), -1)
        elif label is not None or node is not None:
            raise ValueError("label and node name columns of a table of features: give its path by features=")
        return _read_npz(place, features, labels, graph_only)
    if place.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        raise ValueError(f"{place}: give a graph as .npz, or its edges as .csv, .tsv or .parquet")
    return _read_tables(place, features, label, node)


def _read_npz(path: Path, features: Any, labels: Any, graph_only: bool) -> NodeData:
    arrays = read_arrays(path, remedy=_REMEDY)
    with naming(path):
        known = arrays.get("feat_known")
        if features is None and known is not None and not known.all() and not graph_only:
            raise ValueError(
                f"it has features of {int(known.sum()):,} of its {len(known):,} nodes only, from which nothing can be"
                " trained: give those of all nodes by features=, or read the graph alone by graph_only=True"
            )
        if features is None and not graph_only:
            features = _features(arrays)
        masks: dict[str, Any] = {
            part: arrays[name] for part, names in _MASKS.items() for name in names if name in arrays
        }
        return as_nodes(
            _adjacency(arrays),
            features,
            arrays.get("labels") if labels is None else labels,
            **masks,
            num_classes=int(arrays["num_classes"]) if "num_classes" in arrays and labels is None else None,
            num_nodes=len(known) if known is not None else None,
            name=path.stem,
        )


def _adjacency(arrays: Mapping[str, np.ndarray]) -> Any:
    from scipy import sparse

    if "adjacency" in arrays:
        return arrays["adjacency"]
    if "senders" in arrays and "receivers" in arrays:
        return tuple(arrays[name] for name in ("senders", "receivers", "weights") if name in arrays)
    if "adj_indptr" in arrays and "adj_indices" in arrays:
        starts, columns = arrays["adj_indptr"].astype(int), arrays["adj_indices"].astype(int)
        weights = arrays.get("adj_data", np.ones(len(columns)))
        return _by_rows(sparse, weights, columns, starts, (len(starts) - 1,) * 2, "adj")
    raise ValueError(f"it has no graph but {', '.join(arrays) or 'no arrays'}: {_REMEDY}")


def _features(arrays: Mapping[str, np.ndarray]) -> Any:
    from scipy import sparse

    if "feat_indptr" not in arrays:
        return arrays.get("features")
    columns = arrays["feat_indices"].astype(int)
    values = arrays.get("feat_data", np.ones(len(columns), np.float32))
    shape = tuple(arrays["feat_shape"].tolist())
    return _by_rows(sparse, values, columns, arrays["feat_indptr"].astype(int), shape, "feat")


def _by_rows(sparse: Any, values: Any, columns: Any, starts: Any, shape: Any, name: str) -> Any:
    try:
        matrix = sparse.csr_array((values, columns, starts), shape=shape)
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{name}_indptr and {name}_indices are no matrix by rows: {error}") from None
    return matrix


def _read_tables(path: Path, features: Any, label: str | int | None, node: str | int | None) -> NodeData:
    if features is None:
        raise ValueError(f"{path}: give the path of the table of the nodes' features by features=")
    table, labels = _read_nodes(features, label, node)
    with naming(path):
        columns = _columns(path)
        if len(columns) not in (2, 3):
            raise ValueError(f"edges must be two columns, or three with weights, got {listed(columns, limit=20)}")
        senders, receivers, *weights = (as_values(name, column).values for name, column in columns.items())
        ends = [
            _numbers(end, table.row_names, len(table.x), column)
            for end, column in zip((senders, receivers), columns, strict=False)
        ]
        return as_nodes(
            (*ends, *weights), table.x.reshape(len(table.x), -1), labels, name=path.stem, node_names=table.row_names
        )


def _read_nodes(path: str | os.PathLike[str], label: str | int | None, node: str | int | None) -> tuple[Table, Any]:
    """The table of the nodes without the column of their classes, and that column, with None where it is empty."""
    place = Path(path).expanduser()
    if label is None or place.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        table = read_table(place, label=label, row_names=node)
        return table, table.y
    with naming(place):
        columns = _columns(place)
        places = dict(enumerate(columns)) if isinstance(label, int) else {name: name for name in columns}
        if label not in places:
            raise ValueError(f"there is no column {label!r} of labels; it has {listed(columns, limit=20)}")
        held = as_values(places[label], columns[places[label]])
    table = read_table(place, row_names=node, drop=(label,))
    if held.values.dtype.kind in "iuf":
        return table, np.where(held.missing, np.nan, held.values) if held.missing.any() else held.values
    pairs = zip(held.values.tolist(), held.missing.tolist(), strict=True)
    return table, [None if is_absent else value for value, is_absent in pairs]


def _columns(path: Path) -> Any:
    """The columns of a table, by their names."""
    is_parquet = path.suffix.lower() == ".parquet"
    return frame_columns(read_parquet_columns(path) if is_parquet else read_text_columns(path, None, None)[0])


def _numbers(ends: np.ndarray, names: tuple[str, ...] | None, num_nodes: int, column: str) -> np.ndarray:
    """The numbers of nodes, of their names or of themselves."""
    numbers = {str(i): i for i in range(num_nodes)} if names is None else {name: i for i, name in enumerate(names)}
    whole = ends.dtype.kind == "f" and bool((ends == np.round(ends)).all())
    found = [numbers.get(str(end), -1) for end in (ends.astype(int) if whole else ends).tolist()]
    if -1 in found:
        place = found.index(-1)
        what = f"a number in [0, {num_nodes})" if names is None else "the name of a node in the table of features"
        raise ValueError(f"column {column!r} must hold {what}, got {ends[place].item()!r} at row {place}")
    return np.array(found, int)
