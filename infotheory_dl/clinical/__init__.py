"""Prediction tasks on intensive-care records: the MIMIC-III benchmark from the raw tables, equal bit for bit."""

from infotheory_dl.clinical import cleaners
from infotheory_dl.clinical._baselines import predict_task, train_linear
from infotheory_dl.clinical._building import Progress, build
from infotheory_dl.clinical._comparison import ChangedCells, ChangedLabels, Comparison, compare
from infotheory_dl.clinical._configurations import CONFIGURATIONS, Configuration, configuration
from infotheory_dl.clinical._discretisation import Discretized, discretize
from infotheory_dl.clinical._evaluation import Evaluation, Interval, Subgroup, evaluate
from infotheory_dl.clinical._features import features
from infotheory_dl.clinical._keras import variables_from_keras
from infotheory_dl.clinical._lengths import Buckets, LengthError, class_lengths, length_classes, length_error
from infotheory_dl.clinical._linear import (
    LINEAR_GRID,
    LINEAR_PENALTIES,
    LinearModel,
    LinearSelection,
    fit_linear,
    predict_linear,
    select_linear,
)
from infotheory_dl.clinical._list_files import ListFile, read_list_file, write_list_file
from infotheory_dl.clinical._networks import Recurrent, network
from infotheory_dl.clinical._normalization import (
    Normalizer,
    fit_normalizer,
    normalize,
    published_normalizer,
    read_normalizer,
    write_normalizer,
)
from infotheory_dl.clinical._objectives import Targets, losses, probabilities, scores
from infotheory_dl.clinical._prediction_files import (
    Predictions,
    match_predictions,
    read_predictions,
    write_predictions,
)
from infotheory_dl.clinical._reading import Part, Samples, read, read_series
from infotheory_dl.clinical._series import Series, as_series, within_limits
from infotheory_dl.clinical._store import Built
from infotheory_dl.clinical._synthetic import synthetic, write_tables
from infotheory_dl.clinical._systems import Prefixes, system
from infotheory_dl.clinical._tasks import Task
from infotheory_dl.clinical._training import (
    NetworkSelection,
    TrainedNetwork,
    predict_network,
    select_network,
    train_network,
)
from infotheory_dl.clinical._verification import Verification, verify
from infotheory_dl.clinical.channels import CHANNELS, Channel, Layout, layout
from infotheory_dl.clinical.rules import Mode, Rules

__all__ = [
    "CHANNELS",
    "CONFIGURATIONS",
    "LINEAR_GRID",
    "LINEAR_PENALTIES",
    "Buckets",
    "Built",
    "ChangedCells",
    "ChangedLabels",
    "Channel",
    "Comparison",
    "Configuration",
    "Discretized",
    "Evaluation",
    "Interval",
    "Layout",
    "LengthError",
    "LinearModel",
    "LinearSelection",
    "ListFile",
    "Mode",
    "NetworkSelection",
    "Normalizer",
    "Part",
    "Predictions",
    "Prefixes",
    "Progress",
    "Recurrent",
    "Rules",
    "Samples",
    "Series",
    "Subgroup",
    "Targets",
    "Task",
    "TrainedNetwork",
    "Verification",
    "as_series",
    "build",
    "class_lengths",
    "cleaners",
    "compare",
    "configuration",
    "discretize",
    "evaluate",
    "features",
    "fit_linear",
    "fit_normalizer",
    "layout",
    "length_classes",
    "length_error",
    "losses",
    "match_predictions",
    "network",
    "normalize",
    "predict_linear",
    "predict_network",
    "predict_task",
    "probabilities",
    "published_normalizer",
    "read",
    "read_list_file",
    "read_normalizer",
    "read_predictions",
    "read_series",
    "scores",
    "select_linear",
    "select_network",
    "synthetic",
    "system",
    "train_linear",
    "train_network",
    "variables_from_keras",
    "verify",
    "within_limits",
    "write_list_file",
    "write_normalizer",
    "write_predictions",
    "write_tables",
]
