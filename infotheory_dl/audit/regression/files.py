"""The files of an audit of numbers: report.html, scores.csv and config.json, each written whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from infotheory_dl import report
from infotheory_dl._files import require_writable
from infotheory_dl.audit.folder import write_files
from infotheory_dl.audit.regression._run import RegressionAudit
from infotheory_dl.audit.regression.page import render
from infotheory_dl.audit.regression.table import scores_table
from infotheory_dl.audit.report.next_steps import Written


def write_regression_report(
    result: RegressionAudit,
    folder: str | os.PathLike[str],
    *,
    title: str = "a data set",
    config: Mapping[str, Any] | None = None,
    command: str = "",
    again: str = "",
    export: str = "decisions.csv",
) -> Path:
    """Writes the report of an audit of numbers, the scores as a table, and the settings.

    Args:
      result: of `run_regression`.
      folder: where to; it is made if it is absent, and what an earlier audit left there is replaced.
      title: name of the data set.
      config: settings of the caller to record before those of the audit, such as the seed.
      command: the line of the shell that called for the audit, to be shown.
      again: the line that calls for the next, with what is decided on the page; by default one of Python.
      export: the name under which the page exports it.

    Returns:
      The path of the report.

    Raises:
      OSError: if the folder cannot be written.
    """
    folder = require_writable(folder)
    used = ("train_size", "flip", "embeddings", "network", "num_networks", "weight_decay", "memory")
    settings = {**(config or {}), **{name: asdict(result.settings)[name] for name in used}}
    residuals = result.residuals
    chosen = {"weight_decay": result.solution.weight_decay, "noise": residuals.noise}
    measured = ("error", "explained", "gain", "in_line", "crowded")
    found = {"outlying": int(residuals.is_outlying.sum()), **{name: getattr(residuals, name) for name in measured}}
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    versions = report.versions()
    record = {"created": created, "settings": settings, "chosen": chosen, "found": found, "versions": versions}
    given = {name: value for name, value in settings.items() if value is not None}
    facts = {"created": created, **given, **{name: f"{value:.4g}" for name, value in chosen.items()}, **versions}
    again = again or "audit.run_regression(key, x, y, decisions=[audit.read_decisions('decisions.csv')])"
    written = Written(folder=str(folder), command=command, again=again, decisions=export)
    contents = {
        "scores.csv": scores_table(result),
        "report.html": render(result, title=title, facts=facts, written=written),
    }
    write_files(folder, record, contents)
    return folder / "report.html"
