"""Why a model fails in a domain that it has not seen, and algorithms that train one on several domains."""

from infotheory_dl.data import Features
from infotheory_dl.domain_generalization import objectives, selection
from infotheory_dl.domain_generalization._penalized import Mixing
from infotheory_dl.domain_generalization._states import DomainState, adam, sgd
from infotheory_dl.domain_generalization.algorithms import ALGORITHMS, Algorithm, AlgorithmName, Plan, make_algorithm
from infotheory_dl.domain_generalization.batches import domain_minibatches, domain_rows
from infotheory_dl.domain_generalization.diagnosis import diagnose
from infotheory_dl.domain_generalization.domainbed import DOMAINBED, DomainBedNames, settings_of_domainbed
from infotheory_dl.domain_generalization.heads import HeadCurves, head_curves
from infotheory_dl.domain_generalization.hyperparameters import default_hyperparameters, draw_hyperparameters
from infotheory_dl.domain_generalization.probes import fit_probes
from infotheory_dl.domain_generalization.report import findings
from infotheory_dl.domain_generalization.results import Accuracies, Diagnosis, Errors, Estimate, Invariance, Term
from infotheory_dl.domain_generalization.sweeps import Sweep, Tracked, sweep_outputs, train_sweep

__all__ = [
    "ALGORITHMS",
    "DOMAINBED",
    "Accuracies",
    "Algorithm",
    "AlgorithmName",
    "Diagnosis",
    "DomainBedNames",
    "DomainState",
    "Errors",
    "Estimate",
    "Features",
    "HeadCurves",
    "Invariance",
    "Mixing",
    "Plan",
    "Sweep",
    "Term",
    "Tracked",
    "adam",
    "default_hyperparameters",
    "diagnose",
    "domain_minibatches",
    "domain_rows",
    "draw_hyperparameters",
    "findings",
    "fit_probes",
    "head_curves",
    "make_algorithm",
    "objectives",
    "selection",
    "settings_of_domainbed",
    "sgd",
    "sweep_outputs",
    "train_sweep",
]
