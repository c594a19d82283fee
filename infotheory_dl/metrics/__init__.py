"""How well a score ranks, what a history of predictions says of labels, and how far chance carries a measure."""

from infotheory_dl.metrics.labels import area_under_margin, forgetting_events, label_margins
from infotheory_dl.metrics.ranking import (
    area_under_roc,
    average_precision,
    pearson_correlation,
    precision_at,
    spearman_correlation,
)
from infotheory_dl.metrics.resampling import bootstrap

__all__ = [
    "area_under_margin",
    "area_under_roc",
    "average_precision",
    "bootstrap",
    "forgetting_events",
    "label_margins",
    "pearson_correlation",
    "precision_at",
    "spearman_correlation",
]
