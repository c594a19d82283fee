"""Graph convolution over several powers of the adjacency: networks of nodes, on graphs of any size."""

from infotheory_dl.mixhop.analysis import (
    Homophily,
    count_delta_operators,
    delta_operator,
    homophily,
    neighborhood_mixing,
)
from infotheory_dl.mixhop.architecture import Shrunk, load_architecture, save_architecture, shrink, split_width
from infotheory_dl.mixhop.batches import GraphBatches, cluster_batches, pool_nodes, small_graph_batches
from infotheory_dl.mixhop.features import SparseRows, project, sparse_dropout, sparse_rows, to_dense, unit_rows
from infotheory_dl.mixhop.graph import Graph, normalize
from infotheory_dl.mixhop.losses import Losses, column_norms, node_loss
from infotheory_dl.mixhop.mixing import mix, weighted_sum
from infotheory_dl.mixhop.networks import GCN, MLP, NGCN, MixHop, Mixing
from infotheory_dl.mixhop.nodes import NodeRuns, predict_nodes, train_nodes
from infotheory_dl.mixhop.propagated import SGC, SIGN, propagated_features
from infotheory_dl.mixhop.propagation import propagate
from infotheory_dl.mixhop.sampling import SampledGraph, sample_neighbors
from infotheory_dl.mixhop.schedules import PRESETS, Preset, learning_rates
from infotheory_dl.mixhop.sharding import ShardedGraph, shard_graph, shard_nodes

__all__ = [
    "GCN",
    "MLP",
    "NGCN",
    "PRESETS",
    "SGC",
    "SIGN",
    "Graph",
    "GraphBatches",
    "Homophily",
    "Losses",
    "MixHop",
    "Mixing",
    "NodeRuns",
    "Preset",
    "SampledGraph",
    "ShardedGraph",
    "Shrunk",
    "SparseRows",
    "cluster_batches",
    "column_norms",
    "count_delta_operators",
    "delta_operator",
    "homophily",
    "learning_rates",
    "load_architecture",
    "mix",
    "neighborhood_mixing",
    "node_loss",
    "normalize",
    "pool_nodes",
    "predict_nodes",
    "project",
    "propagate",
    "propagated_features",
    "sample_neighbors",
    "save_architecture",
    "shard_graph",
    "shard_nodes",
    "shrink",
    "small_graph_batches",
    "sparse_dropout",
    "sparse_rows",
    "split_width",
    "to_dense",
    "train_nodes",
    "unit_rows",
    "weighted_sum",
]
