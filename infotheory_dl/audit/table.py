"""The scores of every example as a table, and what its columns mean."""

from collections.abc import Mapping

import numpy as np

from infotheory_dl._files import csv_table
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.robustness import COMPARED_METHODS

MEANINGS = {
    "example": "place in the data, from 0",
    "name": "name of the row or file",
    "label": "as given",
    "output_change": "what leaving the example out does to the outputs on others",
    "weight_change": "what it does to the weights",
    "margin": "prediction for the label less that for the best other class, without the example; low is suspect",
    "suggested_label": "the class that is predicted without the example",
    "errors_told": "1 if wrong labels can be told in these data",
    "wrong_probability": "probability that the label is wrong",
    "repaired": "1 where the suggested label is to replace the label",
    "confirmed": "1 where a person decided on the label",
    "own_information": "nats by which its own prediction tells whether it was trained on",
    "pair_information": "nats by which the predictions for its pair do",
    "given_margin": "the margin by your own predictions",
    "given_wrong_probability": "probability that the label is wrong, by your own predictions",
    "given_candidate": "1 where the confident joint of your own predictions takes it to be wrong",
    "suspected_by_both": "1 where you and the audit do, with a probability above one half",
    "copies": "how many pairs of copies it is in",
    "outlying_input": "1 where the example is unlike all others",
    "trained_output_change": "what leaving it out does to the outputs of a small network that is really trained",
    "trained_weight_change": "what it does to the weights of that network; empty where it was not trained on it",
    "leverage": "what its own label weighs in its prediction, from 0 to 1",
    "flipped": "1 where the label was flipped on purpose",
    "true_label": "the label before the flips",
    **{f"{name}_suspicion": f"how suspect {words} finds the label" for name, words in COMPARED_METHODS.items()},
    **{f"{name}_candidate": f"1 where {words} takes it to be wrong" for name, words in COMPARED_METHODS.items()},
}
"""What each column of `scores.csv` means."""


def scores_table(result: AuditResult) -> str:
    """The scores of every audited example as CSV, in the order of the data set."""
    return in_data_order(score_columns(result))


def in_data_order(columns: Mapping[str, np.ndarray]) -> str:
    """Columns of audited examples as CSV, by the place of each example in the data."""
    order = np.argsort(columns["example"])
    return csv_table({name: column[order].tolist() for name, column in columns.items()})


def score_columns(result: AuditResult) -> dict[str, np.ndarray]:
    """The columns of that table by name, in the order of the examples."""
    examples, scores, errors = result.examples, result.scores, result.label_errors
    names = np.array(examples.class_names)
    columns = {
        "example": examples.indices,
        **({} if examples.row_names is None else {"name": np.array(examples.row_names)}),
        "label": names[examples.labels],
        "output_change": scores.output_change,
        "weight_change": scores.weight_change,
        "margin": scores.margins,
        "suggested_label": names[errors.suggested],
        "errors_told": np.full(len(examples.labels), int(errors.told)),
        "wrong_probability": errors.wrong,
        "repaired": errors.repaired.astype(int),
    }
    if examples.confirmed is not None:
        columns["confirmed"] = examples.confirmed.astype(int)
    if result.generalization is not None:
        columns["own_information"] = result.generalization.own_information
        columns["pair_information"] = result.generalization.pair_information
    if result.robustness is not None:
        robust = result.robustness
        for method, suspicion, candidates in zip(COMPARED_METHODS, robust.suspicion, robust.candidates, strict=True):
            columns |= {f"{method}_suspicion": suspicion, f"{method}_candidate": candidates.astype(int)}
    if (trained := result.trained) is not None:
        for name, values in (("output", trained.output_change), ("weight", trained.weight_change)):
            columns[f"trained_{name}_change"] = np.full(len(examples.labels), "", object)
            columns[f"trained_{name}_change"][trained.rows] = values.astype(float)
    columns["leverage"] = result.checks.outlying.leverage
    columns["outlying_input"] = result.checks.outlying.is_outlying.astype(int)
    pairs = np.concatenate([result.checks.copies.first, result.checks.copies.second])
    columns["copies"] = np.bincount(pairs, minlength=len(examples.labels))
    if (given := result.given_predictions) is not None:
        columns |= {
            "given_margin": given.margins,
            "given_wrong_probability": given.label_errors.wrong,
            "given_candidate": given.candidates.astype(int),
            "suspected_by_both": given.both.astype(int),
        }
    if examples.flipped.any():
        columns |= {"flipped": examples.flipped.astype(int), "true_label": names[examples.true_labels]}
    return columns
