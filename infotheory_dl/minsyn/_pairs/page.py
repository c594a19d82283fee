"""The synergies of a table as one HTML page."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl.minsyn._pairs.analysis import TOLD, Synergies
from infotheory_dl.minsyn._pairs.tables import MEASURE, ROWS_WRITTEN, factor_columns, findings, pair_columns
from infotheory_dl.report import Bar, Column, Html

_ROWS_SHOWN = 500
_BARS = 15
_IN_MAP = 200


def render(found: Synergies, *, title: str, facts: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
      found: of `find`.
      title: name of the table.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    lead = f"{found.rows} rows of {len(found.names)} columns. {MEASURE}"
    return report.page(
        f"Synergy in {title}",
        report.header(f"Synergy in {title}", lead, _figures(found), [*findings(found), *found.notices]),
        _pairs(found),
        _factors(found) if found.factors is not None else "",
        report.section("Settings and versions", report.facts(facts), _files(found)),
    )


def _figures(found: Synergies) -> list[tuple[str, str]]:
    pairs = found.pairs
    told = pairs.verdicts == "synergy"
    figures = [(str(int(told.sum())), "pairs that carry synergy"), (str(len(told)), "pairs that were measured")]
    if told.any():
        figures.append((f"{pairs.synergy[0]:.3f}", "nats of synergy in the first pair"))
    return figures


def _pairs(found: Synergies) -> Html:
    shown = pair_columns(found, _ROWS_SHOWN, wide=True)
    if not shown[0].values:
        return report.section("Pairs", report.paragraph(f"None is more than chance. {_written(found)}."))
    pairs, names = found.pairs, found.names
    first = np.flatnonzero(pairs.verdicts == "synergy")[:_BARS].tolist()
    bars = []
    for place in first:
        low, high = found.closer[place].interval if place in found.closer else (None, None)
        label = f"{names[pairs.first[place]]}, {names[pairs.second[place]]}"
        bars.append(Bar(label, float(pairs.synergy[place]), low, high, mark=float(pairs.information[place])))
    drawings = []
    if bars:
        drawings.append(
            report.bar_chart(bars, title="synergy of pairs", x_label="S_CI, nats", mark_label="all that the pair tells")
        )
    if len(names) <= _IN_MAP:
        drawings.append(_map(found))
    text = (
        "A pair is told if its sources depend on each other given the target and the pair tells something of it, at a"
        " rate of false discoveries of 5 % among all pairs, and a sign of WMS at 5 % of false signs among those told;"
        " the verdict is either where the sign is not known. WMS, whole minus sum, is synergy less redundancy; MMI the"
        " synergy of the decomposition whose redundancy is the lesser information. S_cal and S_mis are what a reader"
        " still loses who mends its errors, of which double counting is one."
    )
    return report.section(
        "Pairs", report.paragraph(text), report.figures(*drawings), report.table(shown), report.paragraph(_note(found))
    )


def _map(found: Synergies) -> Html:
    """The most synergy that each pair has about a target, with the columns of much synergy first."""
    pairs = found.pairs
    values = np.zeros((len(found.names), len(found.names)))
    told = np.isin(pairs.verdicts, TOLD)
    np.maximum.at(values, (pairs.first[told], pairs.second[told]), pairs.synergy[told])
    values = np.maximum(values, values.T)
    used = [place for place in np.argsort(-values.max(0), kind="stable").tolist() if place != found.target]
    values = values[np.ix_(used, used)]
    labels = [found.names[place] for place in used]
    return report.heat_map(
        values,
        title="synergy of pairs",
        limits=(0.0, max(float(np.max(values)), 1e-3)),
        labels=labels,
        key="S_CI of both columns, nats",
    )


def _note(found: Synergies) -> str:
    told = int(np.isin(found.pairs.verdicts, TOLD).sum())
    written = _written(found)
    return f"The first {_ROWS_SHOWN} of {told}; {written}." if told > _ROWS_SHOWN else f"{written}."


def _written(found: Synergies) -> str:
    measured = len(found.pairs.verdicts)
    return "pairs.csv has all pairs" if measured <= ROWS_WRITTEN else f"pairs.csv has the first {ROWS_WRITTEN:,} pairs"


def _factors(found: Synergies) -> Html:
    columns = [
        Column(name.replace("_", " "), values[:_ROWS_SHOWN], str if name in ("column", "factor") else "{:.3f}".format)
        for name, values in factor_columns(found).items()
    ]
    assert found.factors is not None
    share = found.factors.report.synergy_share
    text = (
        f"{len(found.factors.model.weights)} linear factors that tell much of the columns with little synergy: of all"
        f" that they tell of single columns, {report.percent(share)} is synergy. The factor is the one whose loss costs"
        " most."
    )
    return report.section("Factors of little synergy", report.paragraph(text), report.table(columns))


def _files(found: Synergies) -> Html:
    parts = [_written(found)]
    if found.factors is not None:
        parts += [", ", report.code("factors.csv"), " what the factors tell of each column"]
    return report.paragraph(report.sentence("Beside this page: ", *parts, "."), kind="note")
