"""Why a model fails in a domain that it has not seen: a diagnosis of its representations and predictions."""

from infotheory_dl.data import Features
from infotheory_dl.domain_generalization import objectives, selection
from infotheory_dl.domain_generalization.diagnosis import diagnose
from infotheory_dl.domain_generalization.heads import HeadCurves, head_curves
from infotheory_dl.domain_generalization.hyperparameters import default_hyperparameters, draw_hyperparameters
from infotheory_dl.domain_generalization.probes import fit_probes
from infotheory_dl.domain_generalization.results import Accuracies, Diagnosis, Errors, Estimate, Invariance, Term

__all__ = [
    "Accuracies",
    "Diagnosis",
    "Errors",
    "Estimate",
    "Features",
    "HeadCurves",
    "Invariance",
    "Term",
    "default_hyperparameters",
    "diagnose",
    "draw_hyperparameters",
    "fit_probes",
    "head_curves",
    "objectives",
    "selection",
]
