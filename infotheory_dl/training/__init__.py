"""The training engine: one loop for every system, for one model or for many, as one XLA program.

A `System` supplies `step(state, batch, key) -> (state, metrics)` and, if it likes, a function that evaluates a state.
What a state holds is its own affair: one network or two, an optimizer or none. What differs between models, such as a
rate, a penalty or example weights, is a leaf of their states. The engine draws the batches, runs steps and epochs,
evaluates, keeps the best epoch, sets diverged models apart, shares the models among the devices and resumes what was
interrupted. `supervised` is the ordinary system; others of networks are made of `forward` and `descend`.
"""

from infotheory_dl.training._program import (
    Batch,
    Best,
    Data,
    Evaluate,
    Metrics,
    Minibatches,
    Schedule,
    State,
    Step,
    TrainingState,
)
from infotheory_dl.training.checkpoints import Checkpoint
from infotheory_dl.training.display import progress
from infotheory_dl.training.engine import Callback, EngineOptions, Evaluation, minibatches, train, train_many
from infotheory_dl.training.network import (
    AnyNetwork,
    Network,
    NetworkState,
    as_network,
    begin,
    descend,
    forward,
    predict,
    predicted_classes,
)
from infotheory_dl.training.parallel import gather
from infotheory_dl.training.recipes import Recipe
from infotheory_dl.training.system import System, draw_states, half_squared_error, masked_mean, supervised
from infotheory_dl.training.unrolling import unrolled
from infotheory_dl.training.variants import VariantState, of_variants, own_labels, own_rows

__all__ = [
    "AnyNetwork",
    "Batch",
    "Best",
    "Callback",
    "Checkpoint",
    "Data",
    "EngineOptions",
    "Evaluate",
    "Evaluation",
    "Metrics",
    "Minibatches",
    "Network",
    "NetworkState",
    "Recipe",
    "Schedule",
    "State",
    "Step",
    "System",
    "TrainingState",
    "VariantState",
    "as_network",
    "begin",
    "descend",
    "draw_states",
    "forward",
    "gather",
    "half_squared_error",
    "masked_mean",
    "minibatches",
    "of_variants",
    "own_labels",
    "own_rows",
    "predict",
    "predicted_classes",
    "progress",
    "supervised",
    "train",
    "train_many",
    "unrolled",
]
