"""The files of an audit: its page, scores, settings and repaired labels, each written whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from infotheory_dl import data, report
from infotheory_dl._files import require_writable
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.folder import write_files
from infotheory_dl.audit.repaired import are_text, repaired_data
from infotheory_dl.audit.report import Written, render
from infotheory_dl.audit.table import scores_table


def write_report(
    result: AuditResult,
    folder: str | os.PathLike[str],
    *,
    title: str = "a data set",
    config: Mapping[str, Any] | None = None,
    command: str = "",
    again: str = "",
    export: str = "decisions.csv",
    table: data.Table | None = None,
    source: data.Source | None = None,
) -> Path:
    """Writes the report of an audit, the scores as a table, the settings, and the labels after the repairs.

    Args:
      result: of `run`.
      folder: where to; it is made if it is absent, and what an earlier audit left there is replaced.
      title: name of the data set.
      config: settings of the caller to record before those of the audit, such as the seed.
      command: the line of the shell that called for the audit, to be shown.
      again: the line that calls for the next, with what is decided on the page; by default one of Python.
      export: the name under which the page exports it.
      table: of all examples, as `run` was given; then their labels after the repairs are written too.
      source: where it was read from; then they are written as they were read.

    Returns:
      The path of the report.

    Raises:
      OSError: if the folder cannot be written.
    """
    folder = require_writable(folder)
    settings = {**(config or {}), **asdict(result.settings)}
    chosen = {"learning_rate": result.learning_rate, "weight_decay": result.weight_decay}
    versions = report.versions()
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    errors = result.label_errors
    found = {
        "told": errors.told,
        "error_rate": errors.error_rate,
        "error_rate_at_least": float(errors.interval[0]),
        "error_rate_at_most": float(errors.interval[1]),
        "error_rate_by_a_rule_at_most": errors.systematic_rate,
        "gain_in_nats": errors.gain,
        "repair_threshold": errors.threshold,
    }
    record = {"created": created, "settings": settings, "chosen": chosen, "found": found, "versions": versions}
    given = {name: value for name, value in settings.items() if value is not None}
    facts = {"created": created, **given, **{name: f"{value:.4g}" for name, value in chosen.items()}, **versions}
    repaired, text = None, None
    if table is not None and table.y is not None:
        repaired = repaired_data(result.examples, result.label_errors, table, source)
        text = are_text(table.y)
    written = Written(folder=str(folder), command=command, decisions=export, repaired=repaired, are_text=text)
    if again:
        written = written._replace(again=again)
    contents: dict[str, str | bytes] = {"scores.csv": scores_table(result)}
    if repaired is not None:
        contents[repaired.name] = repaired.content
    contents["report.html"] = render(result, title=title, facts=facts, written=written)
    write_files(folder, record, contents)
    return folder / "report.html"
