"""The box of an audit's page that says what to do next: with which commands, files and lines of Python."""

import re
from typing import NamedTuple

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.repaired import RepairedData, as_text
from infotheory_dl.audit.report.cards import suspect_order
from infotheory_dl.audit.table import MEANINGS, score_columns
from infotheory_dl.report import Column, Html, count, known, percent, signed

_WORST = 10
_AS_NUMBERS_ARE_WRITTEN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?|True|False")


class Written(NamedTuple):
    """What an audit was told and writes beside its page.

    Attributes:
      folder: where to.
      command: the line of the shell that called for the audit; "" where it was called from Python.
      again: the line that calls for the next one, with the decisions that the page exports.
      decisions: the name under which it exports them.
      repaired: the user's labels after the repairs; None where the user's data are not at hand.
      are_text: whether the labels are text, and no numbers or truth values; None likewise.
    """

    folder: str = "results/audit"
    command: str = ""
    again: str = "audit.run(key, x, y, decisions=[audit.read_decisions('decisions.csv')])"
    decisions: str = "decisions.csv"
    repaired: RepairedData | None = None
    are_text: bool | None = None


def worst(result: AuditResult) -> list[Column]:
    """The most suspect examples, at most ten, as the columns of a table for page and terminal; none where untold."""
    examples, errors = result.examples, result.label_errors
    places = suspect_order(result)[:_WORST].tolist() if errors.told else []
    named = lambda codes: [examples.class_names[codes[place]] for place in places]
    names = examples.names
    return [
        Column("example", [names[place] for place in places]),
        Column("label", named(examples.labels)),
        Column("suggested", named(errors.suggested)),
        Column("wrong", [float(errors.wrong[place]) for place in places], lambda share: known(share, percent)),
        Column("margin", [float(result.scores.margins[place]) for place in places], signed),
        Column("", ["repair" if errors.repaired[place] else "in doubt" for place in places]),
    ]


def next_steps(result: AuditResult, written: Written) -> Html:
    """The box."""
    steps = [*_decide(result, written), *_repairs(result, written), _scores(result, written)]
    return report.box("Next", report.element("ol", *(report.element("li", step) for step in steps)))


def _decide(result: AuditResult, written: Written) -> list[Html]:
    number = len(suspect_order(result))
    if not result.label_errors.told or not number:
        return []
    listed = [column for column in worst(result) if column.heading != "margin"]
    which = count(number, "suspect", "suspects")
    if 2 * number > len(result.examples.labels):
        # of classes that are hardly told apart most labels are contradicted
        which = f"most suspect of {number:,} contradicted labels"
    return [
        report.sentence(
            f"Look at the {which} ",
            report.link("#suspected-label-errors", "below"),
            f": keep, relabel or drop each, export {written.decisions}, and audit again with what you decided:",
            report.block(written.again),
            report.details("the ten most suspect" if number > _WORST else "all of them", report.table(listed)),
        )
    ]


def _repairs(result: AuditResult, written: Written) -> list[Html]:
    steps = []
    if written.repaired is not None:
        name, _, about, reading = written.repaired
        flips = " The labels that were flipped on purpose are as before in it." if result.examples.flipped.any() else ""
        lines = report.block(reading.replace("{path}", repr(f"{written.folder}/{name}"), 1))
        steps.append(
            report.sentence("Or take the repairs as they are: ", report.link(name), f" {about}.{flips}", lines)
        )
    # a label that was flipped on purpose is none of the user's, nor is its repair
    if result.label_errors.repaired.any() and not result.examples.flipped.any():
        text = written.are_text
        if text is None:
            text = not all(map(_AS_NUMBERS_ARE_WRITTEN.fullmatch, result.examples.class_names))
        how = as_text("suggested_label", result.examples.class_names) if text else ""
        program = (
            f'repairs = pandas.read_csv({written.folder + "/scores.csv"!r}{how}).query("repaired == 1")\n'
            "y[repairs.example] = repairs.suggested_label  # y: your labels, in a NumPy array"
        )
        steps.append(report.sentence("Repair labels in Python, where they are:", report.block(program)))
    return steps


def _scores(result: AuditResult, written: Written) -> Html:
    columns = list(score_columns(result))
    meanings = report.facts({name: MEANINGS[name] for name in columns})
    return report.sentence(
        report.link("scores.csv"),
        f" has a row for each of the {len(result.examples.labels):,} examples, ",
        report.link("config.json"),
        " the settings and versions.",
        report.details("the columns of scores.csv", meanings),
    )
