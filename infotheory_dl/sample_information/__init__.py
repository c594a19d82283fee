"""How much one training example, or a group, informs the final weights and the learned function of a network."""

from infotheory_dl.metrics import label_margins
from infotheory_dl.sample_information import baselines, online
from infotheory_dl.sample_information._leave_one_out import (
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
from infotheory_dl.sample_information._spot_checks import RetrainedAgreement
from infotheory_dl.sample_information.counterfactuals import (
    Datamodels,
    Unlearned,
    datamodels,
    retrain_without,
    unlearn,
)
from infotheory_dl.sample_information.influence_functions import (
    Influence,
    influence,
)
from infotheory_dl.sample_information.label_errors import LabelErrors, find_label_errors
from infotheory_dl.sample_information.labels import (
    LabelInformation,
    label_information,
)
from infotheory_dl.sample_information.matrix_free import (
    kernel_product,
    matrix_free_leave_one_out,
)
from infotheory_dl.sample_information.network import (
    SampleInformation,
    sample_information,
    weight_changes,
)
from infotheory_dl.sample_information.removal import (
    Regularization,
    StepSizeError,
)
from infotheory_dl.sample_information.retraining import (
    Agreement,
    RetrainedLeaveOneOut,
    agreement,
    linear_datamodeling_score,
    retrain_leave_one_out,
)
from infotheory_dl.sample_information.steady_state import (
    SteadyState,
    sgd_steady_state,
    steady_state_divergence,
    steady_state_information,
)
from infotheory_dl.sample_information.summarization import (
    Summary,
    summarize,
)
from infotheory_dl.sample_information.trained import SeedShares, TrainedInformation, seed_shares, trained_information

__all__ = [
    "Agreement",
    "Datamodels",
    "GroupInformation",
    "Influence",
    "LabelErrors",
    "LabelInformation",
    "LeaveOneOut",
    "PairwiseRedundancy",
    "Regularization",
    "RetrainedAgreement",
    "RetrainedLeaveOneOut",
    "SampleInformation",
    "SeedShares",
    "SteadyState",
    "StepSizeError",
    "Summary",
    "TrainedInformation",
    "TrainingStability",
    "Unlearned",
    "agreement",
    "baselines",
    "coefficient_changes",
    "datamodels",
    "find_label_errors",
    "group_information",
    "influence",
    "kernel_product",
    "label_information",
    "label_margins",
    "leave_one_out",
    "linear_datamodeling_score",
    "matrix_free_leave_one_out",
    "online",
    "pairwise_redundancy",
    "retrain_leave_one_out",
    "retrain_without",
    "sample_information",
    "seed_shares",
    "sgd_steady_state",
    "steady_state_divergence",
    "steady_state_information",
    "summarize",
    "trained_information",
    "training_stability",
    "unlearn",
    "weight_changes",
]
