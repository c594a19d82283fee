"""Examples as the report shows them: images, or rows of a table, each with its labels and a number or a word."""

from collections.abc import Callable
from html import escape
from itertools import compress
from typing import Literal

import numpy as np
from jaxtyping import Int

from infotheory_dl.audit._format import signed
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.pictures import data_uris
from infotheory_dl.audit.robustness import COMPARED_METHODS

_SUSPECTS_SHOWN, _SUSPECTS_AT_MOST = 24, 240
_FEATURES_SHOWN = 8

Gallery = Literal["suspects", "disputed", "informative", "memorised"]
_WITH_SUGGESTIONS: tuple[Gallery, ...] = ("suspects", "disputed")


def ranked(result: AuditResult, heading: str, members: Int[np.ndarray, " members"], kind: Gallery) -> str:
    """Suspects under a heading, the first of them open to view; nothing if there are none."""
    if not len(members):
        return ""
    extent = f"{len(members)}, the most suspect first" if len(members) > 1 else "1"
    first, rest = members[:_SUSPECTS_SHOWN], members[_SUSPECTS_SHOWN:_SUSPECTS_AT_MOST]
    shown = f"<h3>{heading} ({extent})</h3>\n{gallery(result, first, kind)}"
    if not len(rest):
        return shown
    return f"{shown}\n<details><summary>the next {len(rest)}</summary>{gallery(result, rest, kind)}</details>"


def gallery(result: AuditResult, indices: Int[np.ndarray, " shown"], kind: Gallery) -> str:
    """Examples as images, or as rows of a table, each with its labels and its margin, score or information."""
    if result.examples.feature_names is not None:
        return _rows(result, indices, kind)
    examples, names = result.examples, result.examples.class_names
    heading, write = _measure(result, kind)
    items = []
    for i, uri in zip(indices.tolist(), data_uris(examples.x[indices]), strict=True):
        given, suggested = names[examples.labels[i]], names[result.label_errors.suggested[i]]
        labels = f"{given} → {suggested}" if kind in _WITH_SUGGESTIONS and suggested != given else given
        number = f"{heading} {write(i)}" if kind == "suspects" else write(i)
        verdict = _verdict(result, i) if kind in _WITH_SUGGESTIONS or examples.flipped[i] else None
        note = "" if verdict is None else f'<span class="verdict {verdict[0]}">{escape(verdict[1])}</span>'
        called = escape(examples.names[i])
        items.append(
            f'<li><img src="{uri}" alt="example {called}"><span class="labels">{escape(labels)}</span>'
            f'<span class="number">{number}</span>{note}</li>'
        )
    return f'<ul class="grid">{"".join(items)}</ul>'


def _rows(result: AuditResult, indices: Int[np.ndarray, " shown"], kind: Gallery) -> str:
    examples, names = result.examples, result.examples.class_names
    assert examples.feature_names is not None
    columns: list[tuple[str, Callable[[int], str]]] = [
        ("example", lambda i: examples.names[i]),
        ("label", lambda i: names[examples.labels[i]]),
    ]
    if kind in _WITH_SUGGESTIONS:
        columns.append(("suggested", lambda i: names[result.label_errors.suggested[i]]))
    columns.append(_measure(result, kind))
    if kind in _WITH_SUGGESTIONS and examples.flipped.any():
        columns.append(("", lambda i: (_verdict(result, i) or ("", ""))[1]))
    for j, feature in enumerate(examples.feature_names[:_FEATURES_SHOWN]):
        columns.append((feature, lambda i, j=j: f"{examples.x[i, j]:.4g}"))  # type: ignore[misc]
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(write(i))}</td>' for _, write in columns)}</tr>" for i in indices.tolist()
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _measure(result: AuditResult, kind: Gallery) -> tuple[str, Callable[[int], str]]:
    """The number that stands beside an example: what it is, and how it is written."""
    if kind == "suspects":
        return "margin", lambda i: signed(result.scores.margins[i])
    if kind == "disputed":
        assert result.robustness is not None
        candidates = result.robustness.candidates
        return "suspected by", lambda i: ", ".join(compress(COMPARED_METHODS.values(), candidates[:, i])) or "none"
    if kind == "informative":
        return "score", lambda i: _relative(result, i)
    assert result.generalization is not None
    information = result.generalization.pair_information
    return "information", lambda i: f"{information[i]:.2f} nats"


def _verdict(result: AuditResult, i: int) -> tuple[str, str] | None:
    """Whether a suspicion is right, where the flips are known."""
    examples: Examples = result.examples
    if not examples.flipped.any():
        return None
    if not examples.flipped[i]:
        return "no", "✗ not flipped"
    if result.label_errors.suggested[i] == examples.true_labels[i]:
        return "yes", "✓ flipped"
    return "no", f"✗ flipped, was {examples.class_names[examples.true_labels[i]]}"


def _relative(result: AuditResult, i: int) -> str:
    """The change of the outputs without an example, in units of the median one."""
    return f"{result.scores.output_change[i] / np.median(result.scores.output_change):.2g} × median"
