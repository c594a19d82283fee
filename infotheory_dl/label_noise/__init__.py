"""LIMIT: training that does not memorise label noise, what the weights know of the labels, and which labels are wrong.

`limit` trains a classifier on gradients that a second network predicts; `leave_one_out_targets` predicts them without
one; `losses` and `ablations` are what to compare with. `METHODS` has them by name, `make_method` makes one of them,
`train_grid` trains whole grids of them, and `fit_robust` is for people who have a table or images.
"""

from infotheory_dl.label_noise import ablations, co_teaching, detection, information, limit, losses
from infotheory_dl.label_noise._early_learning import EarlyLearningState, early_learning
from infotheory_dl.label_noise._joint import PARAMETERS, JointState, joint
from infotheory_dl.label_noise.cross_validation import cross_validated_probabilities
from infotheory_dl.label_noise.grids import Grid, predict_grid, select_settings, train_grid
from infotheory_dl.label_noise.leave_one_out import (
    LeaveOneOutTargets,
    TargetInformation,
    leave_one_out_targets,
    target_information,
)
from infotheory_dl.label_noise.methods import METHODS, Method, MethodName, Plan, Start, make_method
from infotheory_dl.label_noise.robust import RobustFit, fit_robust, predict, score
from infotheory_dl.label_noise.transition import NoiseEstimate, confident_joint, estimate_noise, estimate_transition

__all__ = [
    "METHODS",
    "PARAMETERS",
    "EarlyLearningState",
    "Grid",
    "JointState",
    "LeaveOneOutTargets",
    "Method",
    "MethodName",
    "NoiseEstimate",
    "Plan",
    "RobustFit",
    "Start",
    "TargetInformation",
    "ablations",
    "co_teaching",
    "confident_joint",
    "cross_validated_probabilities",
    "detection",
    "early_learning",
    "estimate_noise",
    "estimate_transition",
    "fit_robust",
    "information",
    "joint",
    "leave_one_out_targets",
    "limit",
    "losses",
    "make_method",
    "predict",
    "predict_grid",
    "score",
    "select_settings",
    "target_information",
    "train_grid",
]
