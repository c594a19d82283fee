"""The factors of a table over time as one HTML page."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl.corex._report import page
from infotheory_dl.corex._report.moving import Development
from infotheory_dl.corex._report.moving_tables import (
    change_columns,
    findings,
    overall_findings,
    period_columns,
    span,
)
from infotheory_dl.report import Bar, Column, Html, Line

_CHANGES_DRAWN = 40
_SEGMENTS_DRAWN = 6
_NUMBERS = {"total_correlation": "{:.2f}", "change_to_the_next": "{:.3f}", "p_value": "{:.2g}"}


def render(found: Development, *, title: str, facts: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
      found: of `follow`.
      title: name of the table.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    columns = found.overall.columns
    lead = f"{len(columns.rows)} rows of {len(columns.names)} columns, in {len(found.names)} periods."
    told = [*findings(found), *overall_findings(found), *columns.notices]
    heading = f"Factors of {title} over time"
    return report.page(
        heading,
        report.header(heading, lead, _figures(found), told),
        _changes(found),
        _matrices(found),
        _periods(found),
        *page.sections(found.overall),
        report.section("Settings and versions", report.facts({**facts, **_chosen(found)}), _files()),
    )


def _figures(found: Development) -> list[tuple[str, str]]:
    points = found.test.change_points
    best = float(found.test.p_values.min())
    return [
        (str(len(points)), "change points that are more than chance"),
        (f"{best:.2g}", "p-value of the largest change"),
        *page.figures(found.overall)[:2],
    ]


def _chosen(found: Development) -> dict[str, Any]:
    how = "by rows that were held out" if found.chosen else "as periods are short"
    return {"decay": f"{found.decay:g}, {how}", "l1": f"{found.penalty:g}, {how}", "rows together": found.block}


def _changes(found: Development) -> Html:
    test = found.test
    scores, points = np.asarray(test.changes.scores), set(test.change_points.tolist())
    shown = np.sort(np.argsort(-scores, kind="stable")[:_CHANGES_DRAWN]).tolist()
    chance = float(np.quantile(test.null, 0.95, method="higher"))
    bars = [
        Bar(f"{found.spans[point][1]} →", float(scores[point]), mark=chance, faint=point not in points)
        for point in shown
    ]
    text = (
        "The Frobenius norm of the change of the correlations from each period to the next. Change points are"
        " darker; the stroke is what the largest change that is no change point reaches in 95 % of the series of the"
        " same rows in another order."
    )
    explained = np.asarray(test.model.moments.total_correlation)
    curve = report.line_chart(
        [Line("", np.arange(len(explained)) + 1, explained)],
        title="total correlation of the periods",
        x_label="period",
        y_label="nats that the factors explain",
    )
    return report.section(
        "What changes",
        report.paragraph(text),
        report.table(change_columns(found)) if points else "",
        report.figures(
            report.bar_chart(
                bars, title="changes between periods", x_label="change to the next period", mark_label="by chance"
            ),
            curve,
        ),
    )


def _matrices(found: Development) -> Html:
    segments = found.segments()[:_SEGMENTS_DRAWN]
    order, sizes = found.overall.ordered()
    names = [found.overall.columns.names[place] for place in order.tolist()]
    drawn = []
    for first, end in segments:
        words = span(found, first, end)
        values = found.correlations(first, end)[np.ix_(order, order)]
        drawn.append(report.heat_map(values, title=words, limits=(-1.0, 1.0), labels=names, groups=sizes, key=words))
    text = (
        "The correlations that the factors imply, in the mean of the periods between change points, with the columns in"
        " the order of the factors of all periods."
    )
    return report.section("Correlations between change points", report.paragraph(text), report.figures(*drawn))


def _periods(found: Development) -> Html:
    columns = [
        Column(name.replace("_", " "), values, _NUMBERS.get(name, "{}").format)
        for name, values in period_columns(found).items()
    ]
    return report.section("Periods", report.table(columns))


def _files() -> Html:
    names = {
        "periods.csv": " has the periods, ",
        "changes.csv": " the change of each column, ",
        "clusters.csv": " the factor of each column in each period, ",
        "correlations.csv": " the correlations between change points; ",
    }
    parts = [part for name, text in names.items() for part in (report.code(name), text)]
    return report.joined(
        report.paragraph(report.sentence(*parts, "of all rows, each less the mean of its period:"), kind="note"),
        page.files_note(),
    )
