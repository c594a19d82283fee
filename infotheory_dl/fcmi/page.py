"""The bounds of saved runs as one HTML page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl.fcmi.files import SavedRuns
from infotheory_dl.fcmi.report import (
    BOUNDED,
    GAP_CURVES,
    POPULATION_CURVES,
    ROW_BOUNDS,
    Evaluation,
    bound_columns,
    row_columns,
    scope,
)
from infotheory_dl.fcmi.results import Bound, Kind
from infotheory_dl.report import Bar, Column, Html, Line, count

_ROWS_SHOWN = 500
_HALF_A_BIT = np.log(2) / 2
_SOURCES = {"fcmi": "predictions", "ecmi": "losses", "ldcmi": "differences of losses"}


def render(runs: SavedRuns, evaluations: Sequence[Evaluation], *, title: str, facts: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
      runs: what was read.
      evaluations: of `evaluate_runs`.
      title: name of the runs.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    last = evaluations[-1]
    return report.page(
        f"Generalization of {title}",
        report.header(f"Generalization of {title}", scope(runs), _figures(last), _findings(runs, last)),
        _bounds(evaluations),
        _epochs(evaluations) if len(evaluations) > 1 else "",
        _rows(runs, last),
        report.section("Settings and versions", report.facts(facts), _files()),
    )


def _figures(evaluation: Evaluation) -> list[tuple[str, str]]:
    figures = []
    if evaluation.gap is not None:
        figures.append((f"{float(evaluation.gap.value):.3f}", "observed gap: loss on the ghosts less training loss"))
    name, bound = _finest(evaluation)
    figures.append((f"{float(bound.value):.3f}", f"bound on the gap by the information in the {_SOURCES[name]}"))
    if "binary_kl" in evaluation.bounds:
        figures.append((f"{float(evaluation.bounds['binary_kl'].value):.3f}", "bound on the loss on the ghosts"))
    return figures


def _findings(runs: SavedRuns, evaluation: Evaluation) -> list[str]:
    name, bound = _finest(evaluation)
    supersamples = count(runs.selection.shape[0], "supersample", "supersamples")
    sentences = []
    if evaluation.gap is not None:
        sentences.append(
            f"The loss on the ghosts exceeds that on the training examples by {float(evaluation.gap.value):.3f}, the"
            f" mean of {supersamples}."
        )
    kind = "a certificate" if bound.certificate else "an estimate, not a certificate"
    sentence = f"By the information in the {_SOURCES[name]} it is at most {float(bound.value):.3f}"
    if bound.interval is not None:
        low, high = np.asarray(bound.interval)
        sentence += f" (95% interval {low:.3f} to {high:.3f})"
    sentences.append(f"{sentence}: {kind}.")
    information = np.asarray(bound.per_example)
    told = int((information > _HALF_A_BIT).sum())
    sentences.append(
        f"For {told} of {information.size} rows the {_SOURCES[name]} tell more than half of which entry was trained on."
    )
    degenerate = int(bound.degenerate_rows)
    if degenerate:
        sentences.append(
            f"{count(degenerate, 'row has', 'rows have')} a selection that never varies over the runs, and tell nothing"
            " of it."
        )
    return sentences


def _bounds(evaluations: Sequence[Evaluation]) -> Html:
    last = evaluations[-1]
    text = (
        "In each row of a supersample one of two entries was trained on; the other is a ghost. What predictions or"
        " losses tell about the choice bounds the gap, or the loss on the ghosts itself. A certificate holds in"
        " expectation over runs; an estimate may fall below."
    )
    after = f"After epoch {last.epoch}, the last of {len(evaluations)}. " if len(evaluations) > 1 else ""
    note = f"{after}Spread: over supersamples. Observed: the gap, beside bounds on the loss the loss on the ghosts."
    kinds = dict.fromkeys(bound.kind for bound in last.bounds.values())
    return report.section(
        "Bounds and what was observed",
        report.paragraph(text),
        report.table(bound_columns(last)),
        report.paragraph(note, kind="note"),
        report.figures(*(_bars(last, kind) for kind in kinds)),
    )


def _bars(evaluation: Evaluation, kind: Kind) -> Html:
    bars, observed = [], None
    for name, bound in evaluation.bounds.items():
        if bound.kind == kind and np.isfinite(bound.value):
            low, high = (None, None) if bound.interval is None else map(float, np.asarray(bound.interval))
            observed = evaluation.observed(bound)
            bars.append(Bar(name, float(bound.value), low, high, observed, faint=not bound.certificate))
    label = f"bound on the {BOUNDED[kind]}; estimates are paler"
    mark = "" if observed is None else "observed"
    return report.bar_chart(bars, title=f"bounds on the {BOUNDED[kind]}", x_label=label, mark_label=mark)


def _epochs(evaluations: Sequence[Evaluation]) -> Html:
    kinds: tuple[Kind, ...] = ("gap",) if evaluations[0].gap is None else ("gap", "population")
    return report.section(
        "Over training",
        report.paragraph("Means over supersamples; the bands are their standard deviations."),
        report.figures(*(_curves(evaluations, kind) for kind in kinds)),
    )


def _curves(evaluations: Sequence[Evaluation], kind: Kind) -> Html:
    names = [name for name in (*GAP_CURVES, *POPULATION_CURVES) if name in evaluations[0].bounds]
    curves = {
        name: [evaluation.bounds[name].per_supersample for evaluation in evaluations]
        for name in names
        if evaluations[0].bounds[name].kind == kind
    }
    gaps = [evaluation.gap for evaluation in evaluations if evaluation.gap is not None]
    if gaps:
        curves["observed"] = [gap.per_supersample if kind == "gap" else gap.ghost_loss for gap in gaps]
    epochs = np.array([evaluation.epoch for evaluation in evaluations])
    lines = []
    for name, values in curves.items():
        mean, spread = (np.array([measure(value) for value in values]) for measure in (np.mean, np.std))
        finite = np.isfinite(mean)
        mean, spread = mean[finite], spread[finite]
        lines.append(Line(name, epochs[finite], mean, mean - spread, mean + spread))
    what = BOUNDED[kind]
    return report.line_chart(lines, title=f"{what} over epochs", x_label="epoch", y_label=what)


def _rows(runs: SavedRuns, evaluation: Evaluation) -> Html:
    text = (
        "The information of each row about which of its entries was trained on, in nats, the most memorised first. With"
        " ln 2 = 0.69 the runs always tell."
    )
    columns = row_columns(runs, evaluation)
    shown = [
        Column(name.replace("_", " "), values[:_ROWS_SHOWN], "{:.3f}".format if "information" in name else str)
        for name, values in columns.items()
    ]
    number = len(next(iter(columns.values())))
    note = f"The first {_ROWS_SHOWN} of {number} rows; rows.csv has all." if number > _ROWS_SHOWN else ""
    return report.section("What is memorised", report.paragraph(text), report.table(shown), report.paragraph(note))


def _files() -> Html:
    names = {"bounds.csv": " has every epoch, ", "rows.csv": " every row, ", "bounds.png": " the chart."}
    parts = [part for name, text in names.items() for part in (report.code(name), text)]
    return report.paragraph(report.sentence("Beside this page: ", *parts), kind="note")


def _finest(evaluation: Evaluation) -> tuple[str, Bound]:
    """The bound on the gap by all that the runs show."""
    name = next(name for name in ROW_BOUNDS if name in evaluation.bounds)
    return name, evaluation.bounds[name]
