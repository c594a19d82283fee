"""The factors of a table over time as columns of tables, and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infotheory_dl._files import csv_table
from infotheory_dl.corex import temporal
from infotheory_dl.corex._report import tables
from infotheory_dl.corex._report.moving import Development, changed_columns
from infotheory_dl.corex._report.tables import MATRIX_UP_TO
from infotheory_dl.data.tables.columns import first_of
from infotheory_dl.report import Column, count

_LISTED = 6


def findings(found: Development) -> list[str]:
    """What changed, what did not, and what cannot be told."""
    test, names = found.test, found.overall.columns.names
    points = test.change_points.tolist()
    sentences = []
    if points:
        places = ", ".join(between(found, point) for point in points)
        sentences.append(
            f"{count(len(points), 'change point', 'change points')}: {places}. In series of the same rows in another"
            " order no change is as large."
        )
    else:
        largest = int(np.argmax(np.asarray(test.changes.scores)))
        sentences.append(
            f"No change point: the largest change, {between(found, largest)}, is no more than of the same rows in"
            f" another order (p = {test.p_values[largest]:.2g})."
        )
    for point in points:
        changed = [names[column] for column in changed_columns(found, point)]
        if changed:
            many = count(len(changed), "column changes", "columns change")
            told = first_of(changed, limit=_LISTED)
            sentences.append(f"{between(found, point).capitalize()} {many} by more than chance: {told}.")
    if found.block > 1:
        sentences.append(
            f"Neighbouring rows depend on each other: {found.block} of them stay together where the order is another."
        )
    if test.model.diverged or not test.model.converged:
        sentences.append("The fit of the periods has not settled: take its numbers for a rough guide.")
    return sentences


def overall_findings(found: Development) -> list[str]:
    """What the factors of all rows together are, less the means of the periods."""
    return [f"Over all periods: {sentence}" for sentence in tables.findings(found.overall)]


def between(found: Development, point: int) -> str:
    """Where a change is."""
    return f"between {found.spans[point][1]} and {found.spans[point + 1][0]}"


def period_columns(found: Development) -> dict[str, Sequence[Any]]:
    """The periods, with the change from each to the next."""
    ends = np.append(found.starts[1:], len(found.overall.columns.rows))
    last = lambda values: [*values.tolist(), None]
    scores = np.asarray(found.test.changes.scores)
    is_point = np.isin(np.arange(len(scores)), found.test.change_points)
    return {
        "period": list(found.names),
        "rows": (ends - found.starts).tolist(),
        "total_correlation": np.asarray(found.test.model.moments.total_correlation).tolist(),
        "change_to_the_next": last(scores),
        "p_value": last(found.test.p_values),
        "change_point": [*("yes" if point else "no" for point in is_point.tolist()), None],
    }


def change_columns(found: Development) -> list[Column]:
    """The change points, a row for each."""
    points = found.test.change_points.tolist()
    names = found.overall.columns.names
    changed = [first_of([names[column] for column in changed_columns(found, point)], limit=_LISTED) for point in points]
    return [
        Column("change point", [between(found, point) for point in points]),
        Column("p-value", found.test.p_values[points].tolist(), "{:.2g}".format),
        Column("columns that change", changed),
    ]


def files(found: Development) -> dict[str, str | bytes]:
    """The tables as CSV, by the names of their files."""
    names, model = found.overall.columns.names, found.test.model
    variables = np.asarray(found.test.changes.variables)
    pairs = [(point, column) for point in range(len(variables)) for column in range(len(names))]
    factors = np.asarray(temporal.clusters(model))
    contents: dict[str, Mapping[str, Sequence[Any]]] = {
        "periods.csv": period_columns(found),
        "changes.csv": {
            "before": [found.names[point] for point, _ in pairs],
            "after": [found.names[point + 1] for point, _ in pairs],
            "column": [names[column] for _, column in pairs],
            "change": [variables[pair] for pair in pairs],
            "p_value": [found.test.variable_p_values[pair] for pair in pairs],
        },
        "clusters.csv": {"period": list(found.names), **dict(zip(names, (factors.T + 1).tolist(), strict=True))},
        "correlations.csv": _correlations(found),
    }
    return tables.files(found.overall) | {name: csv_table(columns) for name, columns in contents.items()}


def _correlations(found: Development) -> dict[str, Sequence[Any]]:
    """As the factors imply them between change points, of not too many columns."""
    names = found.overall.columns.names
    if len(names) > MATRIX_UP_TO:
        return {"periods": []}
    segments = found.segments()
    matrices = np.concatenate([found.correlations(first, end) for first, end in segments])
    spans = [span(found, first, end) for first, end in segments for _ in names]
    return {
        "periods": spans,
        "column": [*names] * len(segments),
        **dict(zip(names, matrices.T.tolist(), strict=True)),
    }


def span(found: Development, first: int, end: int) -> str:
    """The first and the last time of some periods."""
    start, last = found.spans[first][0], found.spans[end - 1][1]
    return start if start == last else f"{start} to {last}"
