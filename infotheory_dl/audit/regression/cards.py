"""Targets out of line as cards to be decided on, each beside the example that is most like it."""

from typing import Any

import numpy as np
from jaxtyping import Int

from infotheory_dl.audit.regression._run import RegressionAudit
from infotheory_dl.audit.report._review import FEATURES_SHOWN, MOST_CARDS, cards, identity, pictures_once
from infotheory_dl.audit.report.galleries import writer, written
from infotheory_dl.information.neighbours._nearest import nearest_of_groups
from infotheory_dl.report import Html, probability, signed

_BEYOND = 48


def target_order(result: RegressionAudit) -> tuple[Int[np.ndarray, " outlying"], Int[np.ndarray, " others"]]:
    """Places of the examples out of line, the farthest first, and of some that are next."""
    residuals = result.residuals
    order = np.argsort(residuals.p_value - 1e-9 * np.abs(residuals.standardized), kind="stable")
    is_outlying = residuals.is_outlying[order]
    others = order[~is_outlying]
    if result.examples.confirmed is not None:
        others = others[~result.examples.confirmed[others]]
    return order[is_outlying], others[:_BEYOND]


def review(result: RegressionAudit, plain: Html, export: str) -> Html:
    """The cards.

    Args:
      result: of `run_regression`.
      plain: the same as a list that can be read without a script.
      export: the name of the file of decisions.
    """
    outlying, others = target_order(result)
    shown = np.concatenate([outlying, others])[:MOST_CARDS]
    return cards(plain, {"file": export, **_content(result, shown)})


def verdict(result: RegressionAudit, place: int) -> tuple[str, bool] | None:
    """Whether a target was exchanged, where that is known."""
    if not result.detection:
        return None
    return ("exchanged", True) if result.exchanged[place] else ("as given", False)


def deviation_in_words(result: RegressionAudit, place: int) -> str:
    """How far out a target is, and whether that is out of line."""
    residuals = result.residuals
    whether = "out of line" if residuals.is_outlying[place] else "not out of line"
    if residuals.crowded:
        return f"{signed(residuals.standardized[place])} sd"
    return f"{whether}: {signed(residuals.standardized[place])} sd, p = {probability(residuals.p_value[place])}"


def _content(result: RegressionAudit, shown: Int[np.ndarray, " suspects"]) -> dict[str, Any]:
    examples, residuals, names = result.examples, result.residuals, result.examples.names
    inputs = examples.inputs.reshape(len(examples.inputs), -1)
    one_group = np.zeros(len(inputs), int)
    nearest = nearest_of_groups(inputs, one_group, ~residuals.is_outlying, shown, one_group[: len(shown)])
    pairs = list(zip(shown.tolist(), nearest.tolist(), strict=True))
    pictures, looks = list[str](), list[Any]()
    if examples.feature_names is None:
        pictures, looks = pictures_once(examples.x, np.column_stack([shown, nearest]))
    else:
        for place, near in pairs:
            differing = np.argsort(-np.abs(inputs[place] - inputs[near]), kind="stable")[:FEATURES_SHOWN].tolist()
            looks.append(
                [[one, *(writer(examples, one)(examples.x[i, one].item()) for i in (place, near))] for one in differing]
            )
    rows = [
        [
            int(examples.indices[place]),
            names[place],
            float(result.targets[place]),
            float(f"{residuals.predictions[place]:.6g}"),
            deviation_in_words(result, place),
            -float(residuals.p_value[place]),
            bool(residuals.is_outlying[place]),
            verdict(result, place),
            [f"most like it, {written(float(result.targets[near]))}: {names[near]}"],
            look,
        ]
        for (place, near), look in zip(pairs, looks, strict=True)
    ]
    return {
        "id": identity(examples.indices.tolist(), result.targets.tolist()),
        "named": examples.row_names is not None,
        "classes": None,
        "kinds": ["out of line", "not out of line"],
        "features": None if examples.feature_names is None else list(examples.feature_names),
        "pictures": pictures,
        "rows": rows,
    }
