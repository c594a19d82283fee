"""Graphs whose nodes have features and classes: files of others, users' own, and graphs that are drawn."""

from infotheory_dl.data.graphs.adjacency import adjacency_matrix
from infotheory_dl.data.graphs.drawing import class_angles, homophilous_graph, radial_features
from infotheory_dl.data.graphs.nodes import NodeData, as_nodes
from infotheory_dl.data.graphs.planetoid import read_planetoid
from infotheory_dl.data.graphs.reading import read_graph
from infotheory_dl.data.graphs.splits import Split, split_by_class, split_by_shares

__all__ = [
    "NodeData",
    "Split",
    "adjacency_matrix",
    "as_nodes",
    "class_angles",
    "homophilous_graph",
    "radial_features",
    "read_graph",
    "read_planetoid",
    "split_by_class",
    "split_by_shares",
]
