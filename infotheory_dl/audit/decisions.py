"""What a person decided on suspected labels: kept as a table, read back, and applied before the next audit."""

import csv
import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._files import naming
from infotheory_dl._validation import edge
from infotheory_dl.audit.examples import Examples
from infotheory_dl.results import concise
from infotheory_dl.sample_information import LabelErrors

KINDS = ("keep", "relabel", "drop")
_COLUMNS = ("example", "label", "decision", "new_label")


@concise
class Decisions(NamedTuple):
    """What was decided on some examples, one entry for each.

    Attributes:
      examples: places in the data set, as in `scores.csv`.
      labels: their labels when it was decided.
      kinds: "keep" where the label is right, "relabel" where another is, "drop" where the example is to be left out.
      new_labels: the label of each after the decision.
    """

    examples: Int[np.ndarray, " decisions"]
    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    new_labels: tuple[str, ...]


@edge
def read_decisions(path: str | os.PathLike[str]) -> Decisions:
    """Reads decisions, as the page of an audit exports them.

    Args:
      path: of a table of text with the columns example, label, decision and new_label, parted by commas, semicolons or
        tabs. Rows without a decision, and other columns, are passed over.

    Returns:
      The decisions.

    Raises:
      ValueError: if it is no such table: a column is missing, a place is no number or comes twice, a decision is none
        of keep, relabel and drop, or a new label is missing.
      OSError: if it cannot be read.
    """
    place = Path(path).expanduser()
    with naming(f"cannot read {place}"):
        raw = place.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8; export the decisions from the page of an audit") from None
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(
            f"{path} lacks the column {missing[0]!r}: decisions have {', '.join(_COLUMNS)}, as the page exports them"
        )
    taken: dict[int, tuple[str, str, str]] = {}
    for row in rows:
        kind, where = (row["decision"] or "").strip().lower(), f"{path}, line {rows.line_num}"
        if not kind:
            continue
        if kind not in KINDS:
            raise ValueError(f"{where}: the decision must be one of {', '.join(KINDS)}, got {row['decision']!r}")
        example, label, new = (row["example"] or "").strip(), row["label"] or "", row["new_label"] or ""
        if not example.isdecimal():
            raise ValueError(f"{where}: an example is called by its place in the data, from 0, got {row['example']!r}")
        if int(example) in taken:
            raise ValueError(f"{where}: example {example} has a decision already; leave one of them")
        if kind == "relabel" and not new:
            raise ValueError(f"{where}: example {example} is to be relabelled, but new_label is empty")
        taken[int(example)] = (label, kind, new if kind == "relabel" else label)
    labels, kinds, new_labels = zip(*taken.values(), strict=True) if taken else ((), (), ())
    return Decisions(np.array(list(taken), int), labels, kinds, new_labels)


def apply_decisions(examples: Examples, decisions: Decisions) -> Examples:
    """The examples of an audit after decisions: labels are changed, dropped examples are absent, others are confirmed.

    Decisions on examples that are not audited, as only a part of the data is, or they were dropped, are passed over.

    Args:
      examples: of `draw_examples`.
      decisions: of `read_decisions`.

    Returns:
      The examples. Where none is flipped on purpose the changed labels are the true ones.

    Raises:
      ValueError: if a decision was made on another label, or names a class that is not there, or nothing is left.
    """
    codes = {name: code for code, name in enumerate(examples.class_names)}
    labels = examples.labels.copy()
    for decision in decided(examples, decisions):
        given = examples.class_names[labels[decision.row]]
        if given != decision.label:
            raise ValueError(_made_on_another(decision, repr(decision.label), repr(given)))
        if decision.new_label not in codes:
            raise ValueError(
                f"example {decision.example} is to be relabelled {decision.new_label!r}, which is no class of the data:"
                f" they are {', '.join(examples.class_names[:10])}{', ...' if len(codes) > 10 else ''}"
            )
        labels[decision.row] = codes[decision.new_label]
    true_labels = examples.true_labels if examples.flipped.any() else labels
    settled = settled_rows(examples._replace(labels=labels, true_labels=true_labels), decisions).examples
    if len(np.unique(settled.labels)) < 2:
        raise ValueError("after the decisions the examples are of fewer than two classes")
    return settled


def apply_to_targets(
    examples: Examples, targets: Float[np.ndarray, " examples"], decisions: Decisions
) -> tuple[Examples, Float[np.ndarray, " left"], Bool[np.ndarray, " examples"]]:
    """The same where the labels are numbers to be predicted.

    Returns:
      The examples, their targets, and which of those before are left.

    Raises:
      ValueError: if a decision was made on another target, a target is no number, or nothing is left to be predicted.
    """
    targets = targets.copy()
    for decision in decided(examples, decisions):
        try:
            label, new = float(decision.label), float(decision.new_label)
        except ValueError:
            new = np.nan
        if not np.isfinite(new):
            raise ValueError(
                f"example {decision.example} is decided to be {decision.new_label!r}, but targets are numbers: give one"
                " as the new label, or audit without --task regression"
            )
        if label != targets[decision.row]:
            raise ValueError(_made_on_another(decision, decision.label, f"{targets[decision.row]:g}"))
        targets[decision.row] = new
    examples, left = settled_rows(examples, decisions)
    targets = targets[left]
    if not len(targets) or np.ptp(targets) == 0:
        raise ValueError("after the decisions the targets are all the same: there is nothing to predict")
    return examples, targets, left


class Decided(NamedTuple):
    """A decision on an audited example.

    Attributes:
      row: of the example among those that are audited.
      example: its place in the data.
      label, kind, new_label: as in `Decisions`.
    """

    row: int
    example: int
    label: str
    kind: str
    new_label: str


def decided(examples: Examples, decisions: Decisions) -> list[Decided]:
    """The decisions on examples that are audited; a ValueError where one is on an example that the data lack."""
    rows = {place: row for row, place in enumerate(examples.indices.tolist())}
    found = []
    for place, *others in zip(
        decisions.examples.tolist(), decisions.labels, decisions.kinds, decisions.new_labels, strict=True
    ):
        if place >= examples.available:
            raise ValueError(f"a decision is on example {place}, but the data have {examples.available}, from 0")
        if place in rows:
            found.append(Decided(rows[place], place, *others))
    return found


class Settled(NamedTuple):
    """Examples after decisions, and which of those before are left."""

    examples: Examples
    left: Bool[np.ndarray, " examples"]


def settled_rows(examples: Examples, decisions: Decisions) -> Settled:
    """The examples without those that were dropped; the others that were decided on are confirmed."""
    left = np.ones(len(examples.labels), bool)
    confirmed = np.zeros(len(left), bool) if examples.confirmed is None else examples.confirmed.copy()
    dropped = np.zeros(0, int) if examples.dropped is None else examples.dropped
    for decision in decided(examples, decisions):
        confirmed[decision.row] = left[decision.row] = decision.kind != "drop"
    rows = examples.row_names
    if len(examples.measured):
        # a part of the audited examples: what was decided on them holds there too
        measured = examples.measured[left[examples.measured]]
        examples = examples._replace(
            held_out_inputs=examples.inputs[measured],
            held_out_labels=examples.true_labels[measured],
            measured=(np.cumsum(left) - 1)[measured],
        )
    settled = examples._replace(
        indices=examples.indices[left],
        x=examples.x[left],
        inputs=examples.inputs[left],
        labels=examples.labels[left],
        true_labels=examples.true_labels[left],
        row_names=None if rows is None else tuple(np.array(rows, object)[left]),
        confirmed=confirmed[left],
        dropped=np.concatenate([dropped, examples.indices[~left]]),
    )
    return Settled(settled, left)


def _made_on_another(decision: Decided, label: str, given: str) -> str:
    return (
        f"the decision on example {decision.example} was made on the label {label}, but it has {given}: give the data,"
        " the seed and the flips of the audit that the decisions were exported from"
    )


def settle(errors: LabelErrors, confirmed: Bool[np.ndarray, " examples"] | None) -> LabelErrors:
    """The same, where labels that a person confirmed are neither wrong nor repaired."""
    if confirmed is None:
        return errors
    certain = lambda probabilities: np.where(confirmed & ~np.isnan(probabilities), 0.0, probabilities)
    repaired = errors.repaired & ~confirmed
    return errors._replace(
        wrong=certain(errors.wrong),
        repairable=certain(errors.repairable),
        repaired=repaired,
        expected_precision=float(errors.repairable[repaired].mean()) if repaired.any() else float("nan"),
    )
