"""Sections of the report on labels: which are suspected, how well flips are found, who else suspects them."""

import numpy as np

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.detection import OWN_SCORES, of_audit
from infotheory_dl.audit.report.cards import review, suspect_order
from infotheory_dl.audit.report.galleries import Gallery, ranked
from infotheory_dl.audit.report.sentences import rate_of_errors
from infotheory_dl.audit.robustness import COMPARED_METHODS, Robustness, coverage
from infotheory_dl.report import Column, known, percent, signed

_SCORES_AT_MOST = 2000


def suspects(result: AuditResult, export: str) -> str:
    errors = result.label_errors
    text = (
        "The margin of an example is what a network trained without it predicts for its label, minus the largest"
        " prediction for another class. Below zero the label is contradicted."
    )
    if not errors.told:
        text = report.paragraph(f"{text} {rate_of_errors(result)}")
        return report.section("Suspected label errors", text, _every_score(result))
    if not len(suspect_order(result)):
        return report.section("Suspected label errors", report.paragraph(f"{text} None is."), _every_score(result))
    beside = (
        " Beside each suspect stand the nearest example of the class that it is given, and of the one that is"
        " suggested. Look, and decide: what you decide is exported as a table, which the next audit reads."
    )
    return report.section(
        "Suspected label errors", report.paragraph(text + beside), review(result, export), _every_score(result)
    )


def _every_score(result: AuditResult) -> str:
    examples, scores, errors = result.examples, result.scores, result.label_errors
    order = np.argsort(scores.margins)[:_SCORES_AT_MOST]
    named = lambda labels: [examples.class_names[label] for label in labels[order]]
    called = examples.names
    relative = lambda values: (values[order] / np.median(values)).tolist()
    table = report.table(
        [
            Column("example", [called[i] for i in order.tolist()]),
            Column("label", named(examples.labels)),
            Column("suggested", named(errors.suggested)),
            Column("margin", scores.margins[order].tolist(), signed),
            Column("probability of an error", errors.wrong[order].tolist(), lambda share: known(share, percent)),
            Column("output change / median", relative(scores.output_change), "{:.2g}".format),
            Column("weight change / median", relative(scores.weight_change), "{:.2g}".format),
        ]
    )
    shown = "every example" if len(order) == len(examples.labels) else f"the {len(order)} most suspect examples"
    return report.details(f"scores of {shown}", table)


def detection(result: AuditResult) -> str:
    if not result.detection:
        return ""
    flips = int(result.examples.flipped.sum())
    text = (
        "Each score ranks all examples; the flips are known. The first three scores are the audit's. The classifiers"
        " below are cross-validated in five folds and rank by their margin; the area under the margin is that of one"
        " training."
    )
    table = report.table(
        [
            Column("score", [found.method for found in result.detection]),
            Column("AUROC", [found.area_under_roc for found in result.detection], "{:.4f}".format),
            Column("average precision", [found.average_precision for found in result.detection], "{:.4f}".format),
            Column(f"precision at {flips}", [found.precision for found in result.detection], "{:.3f}".format),
        ],
        marked=[found.method in OWN_SCORES for found in result.detection],
    )
    return report.section("How well the flips are found", report.paragraph(text), table)


def robustness(result: AuditResult) -> str:
    robust = result.robustness
    if robust is None:
        return ""
    text = (
        "A small network was trained in three ways on four fifths of the examples, with the labels as given; those of"
        " the last fifth chose the epoch. The plain way is the cross-entropy. By LIMIT the network sees no label: a"
        " second one predicts its gradients from the inputs. By leave-one-out they follow from what the kernel of"
        " random networks and all other labels say of an example. Each way then takes some labels to be wrong. The"
        " audit takes those to be wrong that are so with a probability above one half. Under an example on which they"
        " differ stand those of the three that suspect it."
    )
    note = (
        "A label that the plain network has learned by heart it does not suspect. Leave-one-out is of the same kind as"
        " the audit: that the two agree says less than that LIMIT and the audit do."
    )
    measures, rows = zip(*_robustness_rows(result, robust), strict=True)
    methods = zip((*COMPARED_METHODS.values(), "the audit"), zip(*rows, strict=True), strict=True)
    columns = [Column("", measures), *(Column(name, values, right=True) for name, values in methods)]
    votes = robust.candidates.sum(0)
    order = np.lexsort((result.scores.margins, -votes))
    by_all = votes == len(COMPARED_METHODS)
    parts: tuple[tuple[str, np.ndarray, Gallery], ...] = (
        ("Suspected by all three and by the audit", by_all & robust.suspected, "suspects"),
        ("Suspected by the audit, not by all three", ~by_all & robust.suspected, "disputed"),
        ("Suspected by some of the three, not by the audit", (votes > 0) & ~robust.suspected, "disputed"),
    )
    galleries = [ranked(result, heading, order[members[order]], kind) for heading, members, kind in parts]
    return report.section(
        "Do classifiers that ignore wrong labels agree?",
        report.paragraph(text),
        report.table(columns, sort=False),
        report.paragraph(note, kind="note"),
        *galleries,
    )


def _robustness_rows(result: AuditResult, robust: Robustness) -> list[tuple[str, list[str]]]:
    """What is measured of each method, and of the audit, the last."""
    unknown, flipped = float("nan"), result.examples.flipped
    percentages = lambda values, of_audit: [known(value, percent) for value in (*values, of_audit)]
    rows = [
        ("right on the held-out examples", percentages(robust.accuracy, unknown)),
        ("labels taken to be wrong", [str(number) for number in (*robust.candidates.sum(1), robust.suspected.sum())]),
        ("of these, by the audit too", percentages(robust.overlap, unknown)),
    ]
    if robust.precision is not None and robust.recall is not None:
        rows += [
            ("of these, flipped", percentages(robust.precision, float(coverage(flipped, robust.suspected)))),
            ("of the flips, taken to be wrong", percentages(robust.recall, float(coverage(robust.suspected, flipped)))),
        ]
    rows.append(("rank correlation with the margin", [known(value) for value in (*robust.agreement, unknown)]))
    if robust.detection and result.detection:
        found = (*robust.detection, of_audit(result.detection))
        rows += [
            ("AUROC in finding the flips", [f"{one.area_under_roc:.4f}" for one in found]),
            ("average precision", [f"{one.average_precision:.4f}" for one in found]),
        ]
    return rows
