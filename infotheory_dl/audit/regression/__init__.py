"""The audit of numbers to be predicted: which targets are out of line, and what each example tells a network."""

from infotheory_dl.audit.regression._run import RegressionAudit, RegressionChecks, Residuals, run_regression
from infotheory_dl.audit.regression.files import write_regression_report
from infotheory_dl.audit.regression.page import regression_findings

__all__ = [
    "RegressionAudit",
    "RegressionChecks",
    "Residuals",
    "regression_findings",
    "run_regression",
    "write_regression_report",
]
