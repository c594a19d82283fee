"""The section of the report on predictions that the user gave."""

import numpy as np

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.predictions import GivenPredictions
from infotheory_dl.audit.report.galleries import ranked
from infotheory_dl.report import Column, Line, count, known, percent, signed

_AGREEING = 0.1  # a rank correlation that is none


def given_predictions(result: AuditResult) -> str:
    """The section; nothing where none were given."""
    given = result.given_predictions
    if given is None:
        return ""
    about = (
        "Your own predictions, scored as the audit scores its own: by the margin, by the model of wrong labels, and by"
        " the calibrated confident joint. Suspected are labels that are wrong with a probability above one half. What"
        " both suspect is the safest list to begin with."
    )
    ours, theirs = result.label_errors, given.label_errors
    rate = lambda errors: percent(errors.error_rate) if errors.told else "cannot be told"
    suspects = lambda errors: str(int((errors.wrong > 0.5).sum()))
    rows = [
        ("labels that are predicted", *map(percent, given.accuracy)),
        ("loss, nats", *map("{:.4f}".format, given.loss)),
        ("labels that are wrong", rate(theirs), rate(ours)),
        ("suspected", suspects(theirs), suspects(ours)),
        ("to be repaired", str(int(theirs.repaired.sum())), str(int(ours.repaired.sum()))),
        ("wrong by the confident joint", str(int(given.candidates.sum())), ""),
        ("expected calibration error", known(float(given.calibration.ece), percent), ""),
    ]
    names, own, audit = zip(*rows, strict=True)
    table = report.table(
        [Column("", names), Column("yours", own, right=True), Column("the audit", audit, right=True)], sort=False
    )
    order = np.argsort(result.scores.margins)
    parts = (("Suspected by both", given.both), ("Suspected by one of the two", given.either & ~given.both))
    return report.section(
        "Your predictions",
        report.paragraph(about),
        table,
        report.paragraph(_sentence(given), kind="note"),
        _reliability(given),
        *(ranked(result, heading, order[members[order]], "suspects") for heading, members in parts),
    )


def sentences(result: AuditResult) -> list[str]:
    """What your predictions and the audit agree on; nothing where none were given."""
    given = result.given_predictions
    return [] if given is None else [_sentence(given)]


def _sentence(given: GivenPredictions) -> str:
    if given.accuracy[0] == 1:
        return (
            "Your predictions agree with every label: by models that were trained on the examples themselves they say"
            " nothing of wrong labels. Predict each example out of fold, such as by scikit-learn's cross_val_predict."
        )
    if np.isnan(given.agreement) or not np.ptp(given.probabilities, axis=0).any():
        return (
            "Your predictions are the same for every example, or for every label: they tell nothing of wrong labels."
            " Give probabilities that a model makes of the inputs."
        )
    both, either = int(given.both.sum()), int(given.either.sum())
    more = "Yours tell" if given.loss[0] < given.loss[1] else "The audit's tell"
    order = ""
    if not both and given.loss[0] > given.loss[1] and given.agreement < max(_AGREEING, 2 / len(given.margins) ** 0.5):
        order = " Perhaps their rows are in another order than the data: then none of this counts."
    return (
        f"Your predictions and the audit both suspect {count(both, 'label', 'labels')}, one of the two {either - both}"
        f" more; their margins have a rank correlation of {signed(given.agreement)}. {more} more of the classes.{order}"
    )


def _reliability(given: GivenPredictions) -> str:
    found = given.calibration
    predicted, observed = np.asarray(found.predicted), np.asarray(found.observed)
    filled = np.isfinite(predicted)
    if filled.sum() < 2:
        return ""
    ends = np.array([predicted[filled].min(), predicted[filled].max()])
    return report.figures(
        report.line_chart(
            [Line("yours", predicted[filled], observed[filled]), Line("as they say", ends, ends)],
            title="How often the likeliest class is the label, over its probability",
            x_label="probability of the likeliest class",
            y_label="it is the label",
            percent=True,
        )
    )
