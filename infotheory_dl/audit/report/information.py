"""Sections of the report on what examples tell: which the most, by class, and earlier in training."""

import numpy as np

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.report.galleries import gallery
from infotheory_dl.metrics import spearman_correlation
from infotheory_dl.report import Html, Line, Row

_EXTREMES_SHOWN = 16
_CLASSES_SHOWN = 30


def extremes(result: AuditResult) -> str:
    scores = result.scores
    output_change, weight_change, margins = scores.output_change, scores.weight_change, scores.margins
    trusted = np.flatnonzero(margins >= 0)
    order = trusted[np.argsort(-output_change[trusted])]
    top = np.argsort(-output_change)[:_EXTREMES_SHOWN]
    doubted = int((margins[top] < 0).sum())
    agreement = float(spearman_correlation(output_change, weight_change))
    text = (
        "The output change is the mean squared change of the outputs on the held-out examples when an example is left"
        " out; the weight change is the squared change of the weights. Their ranks correlate at"
        f" {agreement:.2f}. Of the {len(top)} examples with the largest output change {doubted} have a contradicted"
        " label and stand above; here are the others."
    )
    return report.section(
        "Most and least informative",
        report.paragraph(text),
        report.subsection("Most informative", gallery(result, order[:_EXTREMES_SHOWN], "informative")),
        report.subsection("Least informative", gallery(result, order[::-1][:_EXTREMES_SHOWN], "informative")),
    )


def distributions(result: AuditResult) -> str:
    examples = result.examples
    shown = min(len(examples.class_names), _CLASSES_SHOWN)
    flipped = examples.flipped

    def chart(caption: str, values: np.ndarray) -> Html:
        rows = [
            Row(name, values[(examples.labels == c) & ~flipped], values[(examples.labels == c) & flipped])
            for c, name in enumerate(examples.class_names[:shown])
        ]
        marked = "flipped label" if flipped.any() else ""
        return report.distribution_chart(rows, title=f"{caption} by class", x_label=caption, marked_label=marked)

    note = f" The first {shown} classes are shown." if shown < len(examples.class_names) else ""
    text = "For each given label: the middle half of the scores as a box, 5 to 95 % as a line, the median as a stroke."
    return report.section(
        "Information by class",
        report.paragraph(text + note),
        report.figures(
            chart("output change", result.scores.output_change), chart("weight change", result.scores.weight_change)
        ),
    )


def earlier_times(result: AuditResult) -> str:
    sweep = result.sweep
    if sweep is None:
        return ""
    values, what = sweep.agreement, "rank correlation"
    meaning = "how their ranks agree with those of the audit"
    if sweep.average_precision is not None:
        values, what, meaning = sweep.average_precision, "average precision", "how well they find the flips"
    lines = [
        Line(name, sweep.times, values[:, i]) for i, name in enumerate(("margin", "output change", "weight change"))
    ]
    moment = "the end of training" if np.isinf(result.settings.time) else f"step {result.settings.time:g}"
    drawing = report.line_chart(
        lines, title=f"{what} over training time", x_label="steps of training", y_label=what, log_x=True
    )
    text = (
        f"The audit scores at {moment}. The same eigendecomposition gives the scores of every earlier time, and"
        f" {meaning}."
    )
    return report.section("Earlier times", report.paragraph(text), report.figures(drawing))
