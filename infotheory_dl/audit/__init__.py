"""The audit: what each example of a data set tells a network, which labels are wrong, what can be left out."""

from infotheory_dl.audit._run import AuditResult, run
from infotheory_dl.audit.checks import Checks
from infotheory_dl.audit.decisions import Decisions, read_decisions
from infotheory_dl.audit.detection import Detection, cross_validated_suspicion, rate_detection
from infotheory_dl.audit.domains import UnseenDomain
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.files import write_report
from infotheory_dl.audit.leaving_out import Repair, Summarization
from infotheory_dl.audit.predictions import GivenPredictions, Probabilities, read_probabilities
from infotheory_dl.audit.regression import (
    RegressionAudit,
    RegressionChecks,
    Residuals,
    regression_findings,
    run_regression,
    write_regression_report,
)
from infotheory_dl.audit.report import findings
from infotheory_dl.audit.results import Solution
from infotheory_dl.audit.robustness import Robustness
from infotheory_dl.audit.scores import Scores
from infotheory_dl.audit.settings import Settings
from infotheory_dl.audit.sweep import Sweep
from infotheory_dl.audit.table import scores_table
from infotheory_dl.audit.trained import Trained
from infotheory_dl.audit.unseen_sources import UnseenSources

__all__ = [
    "AuditResult",
    "Checks",
    "Decisions",
    "Detection",
    "Examples",
    "GivenPredictions",
    "Probabilities",
    "RegressionAudit",
    "RegressionChecks",
    "Repair",
    "Residuals",
    "Robustness",
    "Scores",
    "Settings",
    "Solution",
    "Summarization",
    "Sweep",
    "Trained",
    "UnseenDomain",
    "UnseenSources",
    "cross_validated_suspicion",
    "findings",
    "rate_detection",
    "read_decisions",
    "read_probabilities",
    "regression_findings",
    "run",
    "run_regression",
    "scores_table",
    "write_regression_report",
    "write_report",
]
