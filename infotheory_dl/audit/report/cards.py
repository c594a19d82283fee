"""Suspects as cards to be decided on: what they look like, and the nearest examples of the classes in question."""

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Int

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.nearest import nearest_of_classes
from infotheory_dl.audit.report._script import SCRIPT
from infotheory_dl.audit.report.galleries import ranked, verdict, written
from infotheory_dl.report import Html, paragraph

_MOST = 10_000
_PICTURE_CHARACTERS = 6_000_000
_PICTURES_AT_ONCE = 256
_FEATURES_SHOWN = 6


def suspect_order(result: AuditResult) -> Int[np.ndarray, " suspects"]:
    """Places of the examples whose label is contradicted or to be repaired, the most suspect first."""
    margins, errors = result.scores.margins, result.label_errors
    suspected = (margins < 0) | errors.repaired
    if result.examples.confirmed is not None:
        suspected &= ~result.examples.confirmed
    order = np.argsort(margins, kind="stable")
    return order[suspected[order]]


def review(result: AuditResult, export: str) -> Html:
    """The suspects: a list that can be read without a script, which the script turns into cards to be decided on.

    Args:
      result: of `run`.
      export: the name of the file of decisions.
    """
    order, repaired = suspect_order(result), result.label_errors.repaired
    shown = order[:_MOST]
    note = f"The {_MOST:,} most suspect of {len(order):,} are shown." if len(shown) < len(order) else ""
    plain = report.joined(
        ranked(result, "To be repaired", order[repaired[order]], "suspects"),
        ranked(result, "In doubt, not repaired", order[~repaired[order]], "suspects"),
    )
    return report.joined(
        paragraph(note, kind="note") if note else "",
        report.element("div", plain, id="review"),
        report.inline_data("suspects", {"file": export, **_content(result, shown)}),
        report.script(SCRIPT),
    )


def _content(result: AuditResult, shown: Int[np.ndarray, " suspects"]) -> dict[str, Any]:
    """What the script is given; a row has a number for each class, and None where there is nothing."""
    examples, errors = result.examples, result.label_errors
    labels, suggested, names = examples.labels, errors.suggested, examples.names
    beside = _nearest(result, shown)
    pictures, looks = _pictures(result, shown, beside) if examples.feature_names is None else ([], None)
    rows = []
    for i, place in enumerate(shown.tolist()):
        wrong = float(errors.wrong[place])
        rows.append(
            [
                int(examples.indices[place]),
                names[place],
                int(labels[place]),
                int(suggested[place]),
                None if np.isnan(wrong) else round(wrong, 4),
                round(float(result.scores.margins[place]), 4),
                bool(errors.repaired[place]),
                verdict(result, place),
                [names[near] if near >= 0 else None for near in beside[i].tolist()],
                _values(result, place, beside[i].tolist()) if looks is None else looks[i],
            ]
        )
    asked = repr((examples.class_names, examples.indices.tolist(), labels.tolist())).encode()
    return {
        "id": hashlib.sha256(asked).hexdigest()[:16],
        "named": examples.row_names is not None,
        "classes": list(examples.class_names),
        "features": None if examples.feature_names is None else list(examples.feature_names),
        "pictures": pictures,
        "rows": rows,
    }


def _nearest(result: AuditResult, shown: Int[np.ndarray, " suspects"]) -> Int[np.ndarray, "suspects classes"]:
    """The nearest example of the given and of the suggested class, among those whose label nothing contradicts."""
    examples, suggested = result.examples, result.label_errors.suggested
    found = nearest_of_classes(
        examples.inputs,
        examples.labels,
        result.scores.margins >= 0,
        np.concatenate([shown, shown]),
        np.concatenate([examples.labels[shown], suggested[shown]]),
    )
    return found.reshape(2, -1).T


def _pictures(
    result: AuditResult, shown: Int[np.ndarray, " suspects"], beside: Int[np.ndarray, "suspects classes"]
) -> tuple[list[str], list[list[int | None] | None]]:
    """Every picture once, and for each suspect the numbers of its three; None beyond what a page can hold."""
    x = result.examples.x
    trios = np.column_stack([shown, beside])
    limits = float(x.min()), float(x.max())
    pictures: list[str] = []
    number: dict[int, int] = {-1: -1}
    characters, looks = 0, list[list[int | None] | None]()
    for first in range(0, len(trios), _PICTURES_AT_ONCE):
        block = trios[first : first + _PICTURES_AT_ONCE]
        if characters > _PICTURE_CHARACTERS:
            looks += [None] * len(block)
            continue
        new = [place for place in np.unique(block).tolist() if place not in number]
        for place, uri in zip(new, report.data_uris(x[new], limits=limits) if new else (), strict=True):
            number[place] = len(pictures)
            pictures.append(uri)
            characters += len(uri)
        looks += [[None if place < 0 else number[place] for place in trio] for trio in block.tolist()]
    return pictures, looks


def _values(result: AuditResult, place: int, beside: list[int]) -> list[list[int | str]]:
    """The features that speak most for the suggested class: of each its number, and three values as written."""
    x, inputs = result.examples.x, result.examples.inputs.reshape(len(result.examples.x), -1)
    near, far = (inputs[other] if other >= 0 else inputs[place] for other in beside)
    told = np.square(inputs[place] - near) - np.square(inputs[place] - far)
    strongest = np.argsort(-told, kind="stable")[:_FEATURES_SHOWN].tolist()
    values = lambda feature: [written(x[other, feature].item()) if other >= 0 else "—" for other in (place, *beside)]
    return [[feature, *values(feature)] for feature in strongest]
