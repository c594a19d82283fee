"""The factors of a table as one HTML page."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl.corex._report.static import Explanation
from infotheory_dl.corex._report.tables import (
    MATRIX_UP_TO,
    factor_columns,
    findings,
    members,
    row_columns,
    variable_columns,
)
from infotheory_dl.report import Bar, Column, Html, Hub, Line, Link, count

_SHOWN_IN_GRAPH = 12
_ROWS_SHOWN = 500
_LEAST_EXPECTED = 20
# of the strongest link; weaker ones to columns of other factors are not drawn
_DRAWN_FROM = 0.1


def render(found: Explanation, *, title: str, facts: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
      found: of `explain`.
      title: name of the table.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    lead = f"{len(found.columns.rows)} rows of {len(found.columns.names)} columns."
    return report.page(
        f"Factors of {title}",
        report.header(f"Factors of {title}", lead, figures(found), [*findings(found), *found.columns.notices]),
        *sections(found),
        report.section("Settings and versions", report.facts(facts), files_note()),
    )


def sections(found: Explanation) -> list[Html]:
    """The factors, and whether they are more than chance; where they are not, that alone."""
    if found.is_chance:
        return [_chance(found)]
    return [_factors(found), _chance(found), _matrices(found), _variables(found), _rows(found)]


def figures(found: Explanation) -> list[tuple[str, str]]:
    """The numbers that count."""
    test = found.test
    kept = 0 if found.is_chance else int(found.significant.sum())
    return [
        (str(kept), "factors that are more than chance"),
        (report.nats(test.total_correlation), "nats that the factors explain"),
        (report.nats(test.null.mean()), "nats of columns that share nothing"),
        (f"{test.p_value:.2g}", "p-value"),
    ]


def _factors(found: Explanation) -> Html:
    text = (
        "A factor is a weighted sum of columns; given the factors, the columns share as little as can be. A column"
        " belongs to the factor that tells most of it, if that is more than chance."
    )
    return report.section(
        "Factors",
        report.paragraph(text),
        report.table(factor_columns(found, listed=_SHOWN_IN_GRAPH)),
        report.figures(_graph(found)),
        report.paragraph(
            "The width of a line is information; a broken line is a negative correlation. Of the columns of a factor"
            f" the first {_SHOWN_IN_GRAPH} are drawn.",
            kind="note",
        ),
    )


def _graph(found: Explanation) -> Html:
    informations = np.asarray(found.test.model.mutual_informations)
    correlations = np.asarray(found.test.model.moments.correlations)
    factors = np.flatnonzero(found.significant).tolist()
    shown = {factor: members(found, factor)[:_SHOWN_IN_GRAPH] for factor in factors}
    columns = [column for own in shown.values() for column in own]
    strongest = max((informations[:, column].max() for column in columns), default=1.0)
    hubs = []
    for factor in factors:
        links = [
            Link(place, float(informations[factor, column]), bool(correlations[factor, column] >= 0))
            for place, column in enumerate(columns)
            if column in shown[factor] or informations[factor, column] > _DRAWN_FROM * strongest
        ]
        hubs.append(Hub(f"factor {factor + 1}", [found.columns.names[column] for column in shown[factor]], links))
    return report.hub_chart(hubs, title="which factor explains which column")


def _chance(found: Explanation) -> Html:
    test = found.test
    low, high = float(test.null.min()), float(test.null.max())
    bars = [
        Bar("this table", test.total_correlation),
        Bar("by chance", float(test.null.mean()), low, high, faint=True),
    ]
    text = (
        f"The same fit to {len(test.null)} tables in which each column is in an order of its own, so that columns share"
        " nothing. The line spans all of them. A factor counts where it explains more than the best factor of all but"
        " 5 % of these tables."
    )
    charts = [report.bar_chart(bars, title="explained by the factors", x_label="nats explained by all factors")]
    best = [
        Bar(f"factor {factor + 1}", float(value), faint=not kept)
        for factor, (value, kept) in enumerate(
            zip(np.asarray(test.model.total_correlations), found.significant.tolist(), strict=True)
        )
    ]
    mean, low, high = (float(end(test.factor_null)) for end in (np.mean, np.min, np.max))
    of_null = Bar("by chance", mean, low, high, faint=True)
    charts.append(report.bar_chart([*best, of_null], title="each factor", x_label="nats of each factor"))
    note = ""
    if found.selection is not None:
        selection = found.selection
        finite = np.isfinite(selection.scores)
        line = Line("", selection.candidates[finite], selection.scores[finite])
        charts.append(
            report.line_chart(
                [line], title="numbers of factors", x_label="factors", y_label="nats, a factor for each column"
            )
        )
        note = (
            f"{count(selection.num_factors, 'factor was', 'factors were')} chosen: the fewest that explain the most"
            " where each column is given to one factor; --factors sets another number."
        )
    return report.section(
        "Is it more than chance?", report.paragraph(text), report.figures(*charts), report.paragraph(note, kind="note")
    )


def _matrices(found: Explanation) -> Html:
    order, sizes = found.ordered()
    names = [found.columns.names[place] for place in order.tolist()]
    loadings = np.asarray(found.test.model.moments.loadings)[:, order]
    implied = loadings.T @ loadings
    np.fill_diagonal(implied, 1)
    maps = (
        ("correlations of the rows", found.correlations[np.ix_(order, order)]),
        ("correlations that the factors imply", implied),
    )
    drawn = (
        report.heat_map(values, title=words, limits=(-1.0, 1.0), labels=names, groups=sizes, key=words)
        for words, values in maps
    )
    return report.section(
        "Correlations, factor by factor",
        report.paragraph("Columns of one factor stand together; the last group, if any, belongs to none."),
        report.figures(*drawn),
    )


def _variables(found: Explanation) -> Html:
    columns = [
        Column(
            name.replace("_", " "),
            values[:_ROWS_SHOWN],
            "{:.3f}".format if name in ("mutual_information", "correlation", "information_of_all_factors") else str,
        )
        for name, values in variable_columns(found).items()
        if name != "sign"
    ]
    number = len(found.columns.names)
    note = f"The first {_ROWS_SHOWN} of {number} columns; variables.csv has all." if number > _ROWS_SHOWN else ""
    return report.section("Columns", report.table(columns), report.paragraph(note, kind="note"))


def _rows(found: Explanation) -> Html:
    rows = row_columns(found)
    shown = [
        Column(heading, rows[name][:_LEAST_EXPECTED], write)
        for name, heading, write in (
            ("row", "row", str),
            ("log_density", "log-density, nats", "{:.1f}".format),
            ("least_expected", "column farthest from what the factors say", str),
            ("deviations", "standard deviations", "{:+.1f}".format),
        )
    ]
    text = (
        "The rows to which the fit, as a Gaussian, gives the least density: worth a look, not proven wrong. rows.csv"
        " has all, with their factors."
    )
    return report.section("Rows least expected", report.paragraph(text), report.table(shown))


def files_note() -> Html:
    """What the files beside the page hold."""
    names = {
        "factors.csv": " has the factors, ",
        "variables.csv": " each column with its factor, ",
        "links.csv": " all factors with all columns, ",
        "rows.csv": " the factors of each row, ",
        "null.csv": " what permuted tables give, ",
        "covariance.csv": f" the covariance that the factors imply, of up to {MATRIX_UP_TO} columns.",
    }
    parts = [part for name, text in names.items() for part in (report.code(name), text)]
    return report.paragraph(report.sentence("Beside this page: ", *parts), kind="note")
