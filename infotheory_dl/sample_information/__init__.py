"""How much one training example, or a group, informs the final weights and the learned function of a network."""

from infotheory_dl.sample_information.leave_one_out import (
    GroupInformation,
    LeaveOneOut,
    PairwiseRedundancy,
    TrainingStability,
    coefficient_changes,
    group_information,
    leave_one_out,
    pairwise_redundancy,
    training_stability,
)
from infotheory_dl.sample_information.removal import Regularization, StepSizeError

__all__ = [
    "GroupInformation",
    "LeaveOneOut",
    "PairwiseRedundancy",
    "Regularization",
    "StepSizeError",
    "TrainingStability",
    "coefficient_changes",
    "group_information",
    "leave_one_out",
    "pairwise_redundancy",
    "training_stability",
]
