"""Examples as the report shows them: images, or rows of a table, each with its labels and a number or a word."""

from collections.abc import Callable
from itertools import compress
from numbers import Real
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.robustness import COMPARED_METHODS
from infotheory_dl.report import Column, Html, Picture

_SUSPECTS_SHOWN, _SUSPECTS_AT_MOST = 24, 240
_FEATURES_SHOWN = 8

Gallery = Literal["suspects", "disputed", "informative", "memorised", "trained"]
_WITH_SUGGESTIONS: tuple[Gallery, ...] = ("suspects", "disputed")


def ranked(result: AuditResult, heading: str, members: Int[np.ndarray, " members"], kind: Gallery) -> str:
    """Suspects under a heading, the first of them open to view; nothing if there are none."""
    if not len(members):
        return ""
    extent = f"{len(members)}, the most suspect first" if len(members) > 1 else "1"
    # a table scrolls by itself
    open_to_view = _SUSPECTS_SHOWN if result.examples.feature_names is None else _SUSPECTS_AT_MOST
    first, rest = members[:open_to_view], members[open_to_view:_SUSPECTS_AT_MOST]
    hidden = report.details(f"the next {len(rest)}", gallery(result, rest, kind)) if len(rest) else ""
    return report.subsection(f"{heading} ({extent})", gallery(result, first, kind), hidden)


def gallery(result: AuditResult, indices: Int[np.ndarray, " shown"], kind: Gallery) -> Html:
    """Examples as images, or as rows of a table, each with its labels and its margin, score or information."""
    if result.examples.feature_names is not None:
        return _rows(result, indices, kind)
    examples, names = result.examples, result.examples.class_names
    called = examples.names
    heading, values, write = _measure(result, kind)

    def picture(i: int, uri: str) -> Picture:
        given, suggested = names[examples.labels[i]], names[result.label_errors.suggested[i]]
        return Picture(
            uri,
            name=f"example {called[i]}",
            label=f"{given} → {suggested}" if kind in _WITH_SUGGESTIONS and suggested != given else given,
            number=f"{heading} {write(values[i])}" if kind == "suspects" else write(values[i]),
            verdict=verdict(result, i) if kind in _WITH_SUGGESTIONS or examples.flipped[i] else None,
        )

    return report.gallery(map(picture, indices.tolist(), report.data_uris(examples.x[indices])))


def _rows(result: AuditResult, indices: Int[np.ndarray, " shown"], kind: Gallery) -> Html:
    examples, names = result.examples, result.examples.class_names
    assert examples.feature_names is not None
    heading, values, write = _measure(result, kind)
    of = lambda numbers: [names[number] for number in numbers]
    called = examples.names
    columns = [Column("example", [called[i] for i in indices.tolist()]), Column("label", of(examples.labels[indices]))]
    if kind in _WITH_SUGGESTIONS:
        columns.append(Column("suggested", of(result.label_errors.suggested[indices])))
    columns.append(Column(heading, [values[i] for i in indices.tolist()], write))
    if kind in _WITH_SUGGESTIONS and examples.flipped.any():
        columns.append(Column("", [(verdict(result, i) or ("",))[0] for i in indices.tolist()]))
    for j, feature in enumerate(examples.feature_names[:_FEATURES_SHOWN]):
        columns.append(Column(feature, examples.x[indices, j].tolist(), writer(examples, j)))
    return report.table(columns)


def _measure(result: AuditResult, kind: Gallery) -> tuple[str, list, Callable[..., str]]:
    """What stands beside the examples: its name, its values for all of them, and how one is written."""
    if kind == "suspects":
        return "margin", result.scores.margins.tolist(), report.signed
    if kind == "disputed":
        assert result.robustness is not None
        voters = (", ".join(compress(COMPARED_METHODS.values(), votes)) for votes in result.robustness.candidates.T)
        return "suspected by", [names or "none" for names in voters], str
    if kind == "informative":
        relative = result.scores.output_change / np.median(result.scores.output_change)
        return "score", relative.tolist(), "{:.2g} × median".format
    if kind == "trained":
        assert result.trained is not None
        values = np.full(len(result.examples.labels), np.nan)
        values[result.trained.rows] = result.trained.output_change / np.median(result.trained.output_change)
        margins = map(report.signed, result.scores.margins.tolist())
        both = zip(values.tolist(), margins, strict=True)
        return "output change", [f"{value:.2g} × median, margin {margin}" for value, margin in both], str
    assert result.generalization is not None
    return "information", result.generalization.pair_information.tolist(), "{:.2f} nats".format


def written(value: Any) -> str:
    """An entry of a table as it was given."""
    return report.with_minus(f"{value:.4g}") if isinstance(value, Real) else str(value)


def writer(examples: Examples, feature: int, *, numbers: Callable[[Any], str] | None = None) -> Callable[[Any], str]:
    """How the entries of a column are written: numbers as they were given, or by `numbers`, and dates as dates."""
    assert examples.feature_names is not None
    return _date if examples.feature_names[feature] in examples.dates else numbers or written


def _date(days: float) -> str:
    if not np.isfinite(days):
        return written(days)
    minutes = np.datetime64("1970-01-01T00:00", "m") + np.timedelta64(round(days * 24 * 60), "m")
    return str(minutes).removesuffix("T00:00").replace("T", " ")


def verdict(result: AuditResult, i: int) -> tuple[str, bool] | None:
    """Whether a suspicion is right, where the flips are known."""
    examples = result.examples
    if not examples.flipped.any():
        return None
    if not examples.flipped[i]:
        return "✗ not flipped", False
    if result.label_errors.suggested[i] == examples.true_labels[i]:
        return "✓ flipped", True
    return f"✗ flipped, was {examples.class_names[examples.true_labels[i]]}", False
