"""What predictions of a task are worth, as tables and one HTML page."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl._files import csv_table
from infotheory_dl.clinical._evaluation import Evaluation, Interval
from infotheory_dl.report import Bar, Column, Html, Line, count, with_minus

NAMES = {
    "auroc": "AUC-ROC",
    "auprc": "AUC-PR",
    "minpse": "min(+P, Se)",
    "accuracy": "accuracy",
    "macro": "macro AUC-ROC",
    "micro": "micro AUC-ROC",
    "weighted": "weighted AUC-ROC",
    "kappa": "kappa",
    "mad": "mean hours off",
    "mse": "mean squared hours off",
    "mape": "percent off",
}
_FIRST = {"phenotyping": "macro", "length_of_stay": "kappa"}


def render(found: Evaluation, *, title: str, against: str | None, facts: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
      found: of `evaluate`.
      title: name of the predictions.
      against: name of the others, if there are any.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    first = found.measures[_FIRST.get(found.task, "auroc")]
    cards = [
        (f"{first.value:.3f}", NAMES[_FIRST.get(found.task, "auroc")]),
        (_ends((first.low, first.high)), "95% interval, for other patients"),
        (f"{found.samples:,}", f"samples of {count(found.patients, 'patient', 'patients')}"),
    ]
    return report.page(
        f"{title}: {found.task.replace('_', ' ')}",
        report.header(f"{title}: {found.task.replace('_', ' ')}", scope(found), cards, findings(found, against)),
        report.section("Measures", report.table(measure_columns(found.measures))),
        _difference(found, against),
        _calibration(found),
        _labels(found),
        report.section(
            "Subgroups",
            report.paragraph("A group without an interval has one class only."),
            report.table(subgroup_columns(found)),
        ),
        report.section("Settings and versions", report.facts(facts)),
    )


def scope(found: Evaluation) -> str:
    """What was measured."""
    return (
        f"{found.samples:,} samples of {count(found.patients, 'patient', 'patients')}."
        " Intervals are of 95%, by a bootstrap."
    )


def findings(found: Evaluation, against: str | None) -> list[str]:
    """What was found, in sentences."""
    name = _FIRST.get(found.task, "auroc")
    first = found.measures[name]
    told = [f"{NAMES[name]} is {written(first)}."]
    if against is not None:
        less = found.difference[name]
        outcome = (
            "the data cannot tell which is better"
            if not (less.low > 0 or less.high < 0)
            else f"{'better' if less.value > 0 else 'worse'} by more than chance in the patients explains"
        )
        told.append(f"{NAMES[name]} less that of {against}: {written(less)}; {outcome}.")
    if found.calibration is not None:
        told.append(
            f"Probabilities are off by {float(found.calibration.ece):.3f} in the mean (ECE), and by"
            f" {float(found.calibration.brier):.3f} in the mean square (Brier)."
        )
    return told


def written(interval: Interval) -> str:
    """A measure with its interval."""
    return f"{with_minus(f'{interval.value:.3f}')} (95% interval {_ends((interval.low, interval.high))})"


def measure_columns(measures: Mapping[str, Interval], heading: str = "measure") -> list[Column]:
    """Measures, or single labels, with their intervals."""
    return [Column(heading, [NAMES.get(name, name) for name in measures]), *_intervals(list(measures.values()))]


def subgroup_columns(found: Evaluation) -> list[Column]:
    """The first measure of each subgroup."""
    groups = found.subgroups
    names = dict.fromkeys(name for group in groups for name in group.measures)
    name = next((name for name in (_FIRST.get(found.task, "auroc"), "micro") if name in names), None)
    return [
        Column("by", [group.of for group in groups]),
        Column("group", [group.name for group in groups]),
        Column("samples", [group.samples for group in groups], "{:,}".format),
        Column("patients", [group.patients for group in groups], "{:,}".format),
        *_intervals([group.measures.get(name or "") for group in groups], NAMES.get(name or "", "value")),
    ]


def measures_csv(found: Evaluation) -> str:
    """Every number with its interval."""
    rows: list[tuple[str, str, int, str, Interval]] = []
    of_all = {"measure": found.measures, "difference": found.difference, "phenotype": found.per_label}
    for of, measures in of_all.items():
        rows += [(of, "all", found.samples, name, one) for name, one in measures.items()]
    for group in found.subgroups:
        rows += [(group.of, group.name, group.samples, name, one) for name, one in group.measures.items()]
    columns: dict[str, list[Any]] = {
        heading: [row[place] for row in rows] for place, heading in enumerate(("of", "group", "samples", "name"))
    }
    for place, name in enumerate(Interval._fields):
        columns[name] = [row[4][place] for row in rows]
    return csv_table(columns)


def _intervals(intervals: list[Interval | None], heading: str = "value") -> list[Column]:
    of = lambda name: [None if one is None else getattr(one, name) for one in intervals]
    ends = [None if one is None else (one.low, one.high) for one in intervals]
    return [
        Column(heading, of("value"), "{:.3f}".format),
        Column("standard error", of("standard_error"), "{:.3f}".format),
        Column("95% interval", ends, _ends, right=True),
    ]


def _ends(pair: tuple[float, float]) -> str:
    return with_minus("{:.3f} to {:.3f}".format(*pair))


def _difference(found: Evaluation, against: str | None) -> Html:
    if against is None:
        return Html("")
    text = f"How much more each measure is than that of {against}, on the same resamples of the patients."
    return report.section(f"Beside {against}", report.paragraph(text), report.table(measure_columns(found.difference)))


def _calibration(found: Evaluation) -> Html:
    if found.calibration is None:
        return Html("")
    full = np.flatnonzero(np.asarray(found.calibration.share) > 0)
    predicted, observed = (np.asarray(of)[full] for of in (found.calibration.predicted, found.calibration.observed))
    lines = [Line("predictions", predicted, observed), Line("calibrated", np.array([0.0, 1.0]), np.array([0.0, 1.0]))]
    chart = report.line_chart(lines, title="calibration", x_label="probability", y_label="share that occurs")
    columns = [
        Column("mean probability", predicted.tolist(), "{:.3f}".format),
        Column("share that occurs", observed.tolist(), "{:.3f}".format),
        Column("share of samples", np.asarray(found.calibration.share)[full].tolist(), "{:.3f}".format),
    ]
    return report.section("Calibration", report.figures(chart), report.details("every bin", report.table(columns)))


def _labels(found: Evaluation) -> Html:
    if not found.per_label:
        return Html("")
    bars = [Bar(name, one.value, one.low, one.high) for name, one in found.per_label.items()]
    return report.section(
        "Phenotypes",
        report.paragraph("Those that some stay has and another has not."),
        report.table(measure_columns(found.per_label, "phenotype")),
        report.figures(report.bar_chart(bars, title="area of each", x_label="AUC-ROC, with 95% intervals")),
    )
