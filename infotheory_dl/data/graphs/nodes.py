"""Nodes of a graph with their features, their classes and a split, in one form."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from infotheory_dl._validation import (
    class_labels,
    edge,
    is_missing,
    real_array,
    require_finite,
    require_rank,
    require_shape,
)
from infotheory_dl.data.graphs.adjacency import adjacency_matrix
from infotheory_dl.results import concise


@concise
class NodeData(NamedTuple):
    """A graph whose nodes have features and classes, all on the host.

    Attributes:
      adjacency: a `csr_array` of SciPy (nodes, nodes); in row i are the nodes that i receives from.
      features: (nodes, features), an array or a `csr_array`; None if there are none.
      labels: the class of each node, in [0, classes), or -1 where it is not known; None if there are none.
      class_names: of the classes.
      train: the nodes to train on; None, as the others, without a split.
      validation: the nodes to choose by.
      test: the nodes to measure on.
      name: of the graph.
      node_names: of the nodes; None if they have none.
    """

    adjacency: Any
    features: Any = None
    labels: Int[np.ndarray, " nodes"] | None = None
    class_names: tuple[str, ...] = ()
    train: Bool[np.ndarray, " nodes"] | None = None
    validation: Bool[np.ndarray, " nodes"] | None = None
    test: Bool[np.ndarray, " nodes"] | None = None
    name: str = "graph"
    node_names: tuple[str, ...] | None = None

    @property
    def num_nodes(self) -> int:
        """The number of nodes."""
        return self.adjacency.shape[0]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


@edge
def as_nodes(
    adjacency: Any,
    features: Any = None,
    labels: Any = None,
    *,
    train: Any = None,
    validation: Any = None,
    test: Any = None,
    num_classes: int | None = None,
    num_nodes: int | None = None,
    name: str = "graph",
    node_names: Sequence[Any] | None = None,
) -> NodeData:
    """Brings a graph, the features and the classes of its nodes into one form, whatever holds them.

    Args:
      adjacency: as `adjacency_matrix` takes it.
      features: one row for each node, dense or sparse of SciPy.
      labels: one class for each node, as numbers, truth values or text; missing ones, and -1 among numbers, are
        unknown.
      train, validation, test: masks of nodes, or their numbers; no node may be in two of them.
      num_classes: where labels are codes in [0, num_classes); by default the classes are those that occur.
      num_nodes: of an adjacency given by edges; by default as many as there are features or labels.
      name: of the graph.
      node_names: one for each node; by default those of a graph of networkx, if they are not its numbers.

    Returns:
      The nodes.

    Raises:
      ValueError: if something has not one row for each node, features are NaN or infinite, a label is none of the
        classes, a mask names no node or one that has no known class, or two masks share nodes.
      TypeError: if features are no numbers.
    """
    if num_nodes is None:
        given = [value for value in (features, labels) if value is not None]
        num_nodes = (given[0].shape[0] if hasattr(given[0], "shape") else len(given[0])) if given else None
    if node_names is None and hasattr(adjacency, "is_directed"):
        node_names = None if list(adjacency) == list(range(len(adjacency))) else list(adjacency)
    matrix = adjacency_matrix(adjacency, num_nodes=num_nodes if isinstance(adjacency, tuple) else None)
    num_nodes = matrix.shape[0]
    for what, held in {"labels": labels, "node_names": node_names}.items():
        if held is not None:
            require_shape(what, held, (num_nodes,), "one for each node")
    codes, class_names = (None, ()) if labels is None else _known_labels(labels, num_classes)
    masks = {
        what: _mask(what, nodes, num_nodes)
        for what, nodes in {"train": train, "validation": validation, "test": test}.items()
    }
    _require_apart(masks, codes)
    return NodeData(
        matrix,
        None if features is None else _features(features, num_nodes),
        codes,
        class_names,
        **masks,
        name=name,
        node_names=None if node_names is None else tuple(map(str, node_names)),
    )


def _features(features: Any, num_nodes: int) -> Any:
    from scipy import sparse

    if hasattr(features, "tocsr"):
        features = sparse.csr_array(features)
        values = features.data
    else:
        features = values = np.asarray(real_array("features", features))
        require_rank("features", features, 2, "(nodes, features)")
    require_shape("features", features, (num_nodes, *features.shape[1:]), "a row for each node")
    require_finite(features=np.asarray(real_array("features", values)))
    return features


def _known_labels(labels: Any, num_classes: int | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The codes, -1 where a label is missing, and the names of the classes."""
    held = np.asarray(labels)
    is_number = held.dtype.kind in "iuf"
    unknown = np.array([is_missing(value) or (is_number and value == -1) for value in held.tolist()], bool)
    if unknown.all():
        raise ValueError(f"labels must be known of at least 1 of the {len(held)} nodes, got none")
    known = class_labels(held[~unknown] if held.dtype != object else held[~unknown].tolist(), num_classes=num_classes)
    codes = np.full(len(held), -1, np.int32)
    codes[~unknown] = known.codes
    return codes, tuple(map(str, known.names.tolist()))


def _mask(name: str, nodes: Any, num_nodes: int) -> np.ndarray | None:
    if nodes is None:
        return None
    is_mask = str(getattr(nodes, "dtype", np.asarray(nodes).dtype)).startswith("bool")
    held = np.asarray(real_array(name, nodes))
    require_rank(name, held, 1, "(nodes,)")
    # zeros and ones for all nodes are a mask too, unless each is there once
    is_mask = is_mask or (len(held) == num_nodes and len(held) > len(np.unique(held)) and set(held.tolist()) <= {0, 1})
    if is_mask:
        require_shape(name, held, (num_nodes,), "a truth value for each node")
        held = held.astype(bool)
    else:
        numbers = held.astype(int)
        if ((numbers != held) | (numbers < 0) | (numbers >= num_nodes)).any():
            raise ValueError(f"{name} must be a mask of the {num_nodes} nodes, or their numbers in [0, {num_nodes})")
        held = np.isin(np.arange(num_nodes), numbers)
    if not held.any():
        raise ValueError(f"{name} must hold at least 1 of the {num_nodes} nodes, got none")
    return held


def _require_apart(masks: dict[str, np.ndarray | None], codes: np.ndarray | None) -> None:
    """Raises a ValueError if two masks share nodes, or one holds nodes whose class is not known."""
    given = {name: mask for name, mask in masks.items() if mask is not None}
    names = list(given)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            if shared := int((given[first] & given[second]).sum()):
                raise ValueError(f"{first} and {second} must not share nodes, got {shared} that are in both")
        if codes is not None and (unknown := int((given[first] & (codes < 0)).sum())):
            raise ValueError(f"{first} must hold nodes of known classes, got {unknown} without a label: leave them out")
