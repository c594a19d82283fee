"""How good predictions are, how well a score ranks, what a history tells of labels, and how far chance carries."""

from infotheory_dl.metrics.labels import area_under_margin, forgetting_events, label_margins
from infotheory_dl.metrics.order import serial_correlation
from infotheory_dl.metrics.predictions import (
    Binary,
    Multilabel,
    Regression,
    binary,
    cohen_kappa,
    multilabel,
    regression,
)
from infotheory_dl.metrics.ranking import (
    area_under_roc,
    average_precision,
    pearson_correlation,
    precision_at,
    spearman_correlation,
)
from infotheory_dl.metrics.reliability import Bins, Calibration, calibration
from infotheory_dl.metrics.resampling import Spread, Subgroups, bootstrap, difference, spread, subgroups
from infotheory_dl.metrics.tails import Outliers, outliers

__all__ = [
    "Binary",
    "Bins",
    "Calibration",
    "Multilabel",
    "Outliers",
    "Regression",
    "Spread",
    "Subgroups",
    "area_under_margin",
    "area_under_roc",
    "average_precision",
    "binary",
    "bootstrap",
    "calibration",
    "cohen_kappa",
    "difference",
    "forgetting_events",
    "label_margins",
    "multilabel",
    "outliers",
    "pearson_correlation",
    "precision_at",
    "regression",
    "serial_correlation",
    "spearman_correlation",
    "spread",
    "subgroups",
]
