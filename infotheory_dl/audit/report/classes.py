"""The section of the report on all margins and on classes: their sizes, and which is suggested for which."""

import numpy as np

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.report import Bar, Column, Html

_IN_A_MATRIX = 20
_PAIRS_SHOWN = 20
_BARS_AT_AN_END = 15
_LEAST_IN_HUNDREDTHS = 0.005


def overview(result: AuditResult) -> Html:
    """Margins as a histogram, classes by their sizes, and given against suggested classes."""
    labels = result.examples.labels
    sizes = np.bincount(labels, minlength=len(result.examples.class_names))
    text = (
        "On the left every example by its margin: those below zero are contradicted. On the right the classes as given,"
        " with a stroke where their size is after the repairs. Below, which class is suggested where another is given."
    )
    charts = report.figures(_margins(result), _sizes(result, sizes))
    return report.section("Margins and classes", report.paragraph(text), charts, _suggestions(result, sizes))


def _margins(result: AuditResult) -> Html:
    margins, flipped, threshold = result.scores.margins, result.examples.flipped, result.label_errors.threshold
    groups = {"label as given": margins}
    if flipped.any():
        groups = {"label not flipped": margins[~flipped], "label flipped on purpose": margins[flipped]}
    below = f"{threshold:.2f}" if abs(threshold) >= _LEAST_IN_HUNDREDTHS else f"{threshold:.1g}"
    marks = (
        {f"repaired below {report.with_minus(below)}": threshold} if np.isfinite(threshold) else {"contradicted": 0.0}
    )
    title = f"{len(margins):,} margins, {int((margins < 0).sum()):,} of them below zero"
    drawing = report.histogram(groups, title=title, x_label="margin", marks=marks)
    return report.captioned(drawing, "How many examples have which margin, each line upwards ten times as many")


def _sizes(result: AuditResult, sizes: np.ndarray) -> Html:
    examples, errors = result.examples, result.label_errors
    after = np.bincount(np.where(errors.repaired, errors.suggested, examples.labels), minlength=len(sizes))
    order = np.argsort(-sizes, kind="stable")
    shown, caption = np.arange(len(sizes)), "Examples of each class"
    if len(sizes) > 2 * _BARS_AT_AN_END:
        shown = np.concatenate([order[:_BARS_AT_AN_END], order[-_BARS_AT_AN_END:]])
        caption = (
            f"Examples of the {_BARS_AT_AN_END} largest and the {_BARS_AT_AN_END} smallest of {len(sizes)} classes"
        )
    bars = [Bar(examples.class_names[c], float(sizes[c]), mark=float(after[c])) for c in shown.tolist()]
    largest, smallest = (f"{examples.class_names[c]} with {sizes[c]:,}" for c in (order[0], order[-1]))
    drawing = report.bar_chart(
        bars,
        title=f"Sizes of classes: the largest is {largest}, the smallest {smallest}",
        x_label="examples",
        mark_label="after the repairs",
        write="{:,.0f}".format,
    )
    return report.captioned(drawing, caption)


def _suggestions(result: AuditResult, sizes: np.ndarray) -> Html:
    names, suggested = result.examples.class_names, result.label_errors.suggested
    counts = np.zeros((len(sizes), len(sizes)), int)
    np.add.at(counts, (result.examples.labels, suggested), 1)
    others = np.where(np.eye(len(sizes), dtype=bool), 0, counts)
    if not others.any():
        return report.paragraph("No other class is suggested anywhere.", kind="note")
    if len(sizes) <= _IN_A_MATRIX:
        return report.cross_table(
            counts,
            rows=names,
            columns=names,
            corner="given ↓ suggested →",
            caption="Examples by their given and their suggested class; pairs of different classes are shaded",
            shades=others / others.max(),
        )
    pairs = np.argsort(-others, axis=None, kind="stable")[:_PAIRS_SHOWN]
    given, other = np.unravel_index(pairs[others.ravel()[pairs] > 0], others.shape)
    return report.table(
        [
            Column("given", [names[c] for c in given]),
            Column("suggested", [names[c] for c in other]),
            Column("examples", others[given, other].tolist()),
            Column("of the given class", (others[given, other] / sizes[given]).tolist(), report.percent),
        ],
        caption="Which class is suggested most often where another is given",
    )
