"""Suspects as cards to be decided on: what they look like, and the nearest examples of the classes in question."""

from typing import Any

import numpy as np
from jaxtyping import Int

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.report._review import FEATURES_SHOWN, MOST_CARDS, cards, identity, pictures_once
from infotheory_dl.audit.report.galleries import ranked, verdict, writer
from infotheory_dl.information.neighbours._nearest import nearest_of_groups
from infotheory_dl.report import Html, paragraph, percent, signed


def suspect_order(result: AuditResult) -> Int[np.ndarray, " suspects"]:
    """Places of the examples whose label is contradicted or to be repaired, the most suspect first."""
    margins, errors = result.scores.margins, result.label_errors
    suspected = (margins < 0) | errors.repaired
    if result.examples.confirmed is not None:
        suspected &= ~result.examples.confirmed
    order = np.argsort(margins, kind="stable")
    return order[suspected[order]]


def review(result: AuditResult, export: str) -> Html:
    """The suspects as cards.

    Args:
      result: of `run`.
      export: the name of the file of decisions.
    """
    order, repaired = suspect_order(result), result.label_errors.repaired
    shown = order[:MOST_CARDS]
    note = f"The {MOST_CARDS:,} most suspect of {len(order):,} are shown." if len(shown) < len(order) else ""
    plain = report.joined(
        ranked(result, "To be repaired", order[repaired[order]], "suspects"),
        ranked(result, "In doubt, not repaired", order[~repaired[order]], "suspects"),
    )
    return report.joined(
        paragraph(note, kind="note") if note else "", cards(plain, {"file": export, **_content(result, shown)})
    )


def _content(result: AuditResult, shown: Int[np.ndarray, " suspects"]) -> dict[str, Any]:
    examples, errors, names = result.examples, result.label_errors, result.examples.names
    labels, suggested, margins = examples.labels, errors.suggested, result.scores.margins
    trusted = margins >= 0
    beside = _nearest(result, shown, trusted)

    def in_words(place: int, of_class: int) -> str:
        called = examples.class_names[of_class]
        if place < 0:
            return f"there is no other {called}"
        return f"{called}: {names[place]}{'' if trusted[place] else ', in doubt too'}"

    pictures, looks = list[str](), list[Any]()
    if examples.feature_names is None:
        pictures, looks = pictures_once(examples.x, np.column_stack([shown, beside]))
    else:
        looks = [_values(result, place, near.tolist()) for place, near in zip(shown.tolist(), beside, strict=True)]
    rows = []
    for i, place in enumerate(shown.tolist()):
        wrong, margin = float(errors.wrong[place]), f"margin {signed(float(margins[place]))}"
        rows.append(
            [
                int(examples.indices[place]),
                names[place],
                int(labels[place]),
                int(suggested[place]),
                margin if np.isnan(wrong) else f"wrong with {_probability(wrong)}, {margin}",
                None if np.isnan(wrong) else round(wrong, 4),
                bool(errors.repaired[place]),
                verdict(result, place),
                [
                    in_words(near, int(of[place]))
                    for near, of in zip(beside[i].tolist(), (labels, suggested), strict=True)
                ],
                looks[i],
            ]
        )
    return {
        "id": identity(examples.class_names, examples.indices.tolist(), labels.tolist()),
        "named": examples.row_names is not None,
        "classes": list(examples.class_names),
        "kinds": ["to be repaired", "in doubt"],
        "features": None if examples.feature_names is None else list(examples.feature_names),
        "pictures": pictures,
        "rows": rows,
    }


def _probability(share: float) -> str:
    return "more than 99.9\u00a0%" if share > 0.999 else percent(share)


def _nearest(result: AuditResult, shown: Int[np.ndarray, " suspects"], trusted: Any) -> Int[np.ndarray, "suspects two"]:
    """The nearest example of the given and of the suggested class, among those whose label nothing contradicts."""
    examples, suggested = result.examples, result.label_errors.suggested
    found = nearest_of_groups(
        examples.inputs.reshape(len(examples.inputs), -1),
        examples.labels,
        trusted,
        np.concatenate([shown, shown]),
        np.concatenate([examples.labels[shown], suggested[shown]]),
    )
    return found.reshape(2, -1).T


def _values(result: AuditResult, place: int, beside: list[int]) -> list[list[int | str]]:
    """The features that speak most for the suggested class: of each its number, and three values as written."""
    x, inputs = result.examples.x, result.examples.inputs.reshape(len(result.examples.x), -1)
    near, far = (inputs[other] if other >= 0 else inputs[place] for other in beside)
    told = np.square(inputs[place] - near) - np.square(inputs[place] - far)
    strongest = np.argsort(-told, kind="stable")[:FEATURES_SHOWN].tolist()

    def values(feature: int) -> list[str]:
        write = writer(result.examples, feature)
        return [write(x[other, feature].item()) if other >= 0 else "—" for other in (place, *beside)]

    return [[feature, *values(feature)] for feature in strongest]
