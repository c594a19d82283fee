"""The scores of an audit of numbers as a table, and what its columns mean."""

import numpy as np

from infotheory_dl.audit.regression._run import RegressionAudit
from infotheory_dl.audit.table import in_data_order

MEANINGS = {
    "example": "place in the data, from 0",
    "name": "name of the row",
    "target": "as given",
    "predicted": "the target, by networks trained without the example",
    "deviation": "target less prediction, in units of what it varies by",
    "p_value": "of a target as far out",
    "outlying_target": "1 where the target is to be looked at",
    "confirmed": "1 where a person decided on the target",
    "information": "nats: half the mean squared change of the outputs without it, over the variance of the noise",
    "output_change": "what leaving the example out does to the outputs on others",
    "weight_change": "what it does to the weights",
    "leverage": "what its own target weighs in its prediction, from 0 to 1",
    "outlying_input": "1 where the example is unlike all others",
    "exchanged": "1 where the target was exchanged on purpose",
    "true_target": "the target before the exchanges",
}
"""What each column of `scores.csv` of numbers means."""


def scores_table(result: RegressionAudit) -> str:
    """The scores of every audited example as CSV, in the order of the data set."""
    return in_data_order(score_columns(result))


def score_columns(result: RegressionAudit) -> dict[str, np.ndarray]:
    """The columns of that table by name, in the order of the examples."""
    examples, residuals = result.examples, result.residuals
    columns = {
        "example": examples.indices,
        **({} if examples.row_names is None else {"name": np.array(examples.row_names)}),
        "target": result.targets,
        "predicted": residuals.predictions,
        "deviation": residuals.standardized,
        "p_value": residuals.p_value,
        "outlying_target": residuals.is_outlying.astype(int),
        **({} if examples.confirmed is None else {"confirmed": examples.confirmed.astype(int)}),
        "information": result.information,
        "output_change": result.solution.output_change,
        "weight_change": result.solution.weight_change,
        "leverage": result.solution.leverage,
        "outlying_input": result.checks.outlying.is_outlying.astype(int),
    }
    if result.detection:
        columns |= {"exchanged": result.exchanged.astype(int), "true_target": result.true_targets}
    return columns
