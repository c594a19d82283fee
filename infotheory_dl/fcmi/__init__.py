"""Generalization bounds from what predictions on a supersample tell about which half of it was trained on."""

from infotheory_dl.fcmi import bounds, sgld
from infotheory_dl.fcmi.bounds import Bound, GeneralizationGap, evaluate_all, generalization_gap
from infotheory_dl.fcmi.codes import predicted_labels, zero_one_losses
from infotheory_dl.fcmi.files import read_runs, write_runs
from infotheory_dl.fcmi.linearized import linearized_runs
from infotheory_dl.fcmi.supersample import (
    Supersample,
    draw_selection,
    draw_selection_legacy,
    enumerate_selections,
    ghost_rows,
    legacy_indices,
    make_supersample,
    make_supersample_legacy,
    training_rows,
)
from infotheory_dl.fcmi.trainings import Runs, TrainAndPredict, run, run_networks

__all__ = [
    "Bound",
    "GeneralizationGap",
    "Runs",
    "Supersample",
    "TrainAndPredict",
    "bounds",
    "draw_selection",
    "draw_selection_legacy",
    "enumerate_selections",
    "evaluate_all",
    "generalization_gap",
    "ghost_rows",
    "legacy_indices",
    "linearized_runs",
    "make_supersample",
    "make_supersample_legacy",
    "predicted_labels",
    "read_runs",
    "run",
    "run_networks",
    "sgld",
    "training_rows",
    "write_runs",
    "zero_one_losses",
]
