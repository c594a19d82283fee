"""Graph convolution over several powers of the adjacency: networks of nodes, on graphs of any size."""

from infotheory_dl.mixhop.analysis import (
    Homophily,
    count_delta_operators,
    delta_operator,
    homophily,
    neighborhood_mixing,
)
from infotheory_dl.mixhop.features import SparseRows, project, sparse_dropout, sparse_rows, to_dense, unit_rows
from infotheory_dl.mixhop.graph import Graph, normalize
from infotheory_dl.mixhop.losses import Losses, column_norms, node_loss
from infotheory_dl.mixhop.mixing import mix, weighted_sum
from infotheory_dl.mixhop.networks import GCN, MLP, NGCN, SGC, SIGN, MixHop, Mixing
from infotheory_dl.mixhop.propagation import propagate

__all__ = [
    "GCN",
    "MLP",
    "NGCN",
    "SGC",
    "SIGN",
    "Graph",
    "Homophily",
    "Losses",
    "MixHop",
    "Mixing",
    "SparseRows",
    "column_norms",
    "count_delta_operators",
    "delta_operator",
    "homophily",
    "mix",
    "neighborhood_mixing",
    "node_loss",
    "normalize",
    "project",
    "propagate",
    "sparse_dropout",
    "sparse_rows",
    "to_dense",
    "unit_rows",
    "weighted_sum",
]
