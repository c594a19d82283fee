"""The files of an audit: report.html, scores.csv and config.json, each written whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl._files import csv_table, require_writable, write_together
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.report import render
from infotheory_dl.audit.robustness import COMPARED_METHODS


def write_report(
    result: AuditResult,
    folder: str | os.PathLike[str],
    *,
    title: str = "a data set",
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the report of an audit, the scores as a table, and the settings.

    Args:
      result: of `run`.
      folder: where to; it is made if it is absent, and what an earlier audit left there is replaced.
      title: name of the data set.
      config: settings of the caller to record before those of the audit, such as the seed.

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
    contents = {
        "config.json": report.as_json(record),
        "scores.csv": scores_table(result),
        "report.html": render(result, title=title, facts=facts),
    }
    write_together(folder, contents)
    return folder / "report.html"


def scores_table(result: AuditResult) -> str:
    """The scores of every audited example as CSV, in the order of the data set."""
    examples, scores, errors = result.examples, result.scores, result.label_errors
    names = np.array(examples.class_names)
    columns = {
        "example": examples.indices,
        **({} if examples.row_names is None else {"name": np.array(examples.row_names)}),
        "label": names[examples.labels],
        "output_change": scores.output_change,
        "weight_change": scores.weight_change,
        "margin": scores.margins,
        "suggested_label": names[errors.suggested],
        "errors_told": np.full(len(examples.labels), int(errors.told)),
        "wrong_probability": errors.wrong,
        "repaired": errors.repaired.astype(int),
    }
    if result.generalization is not None:
        columns["own_information"] = result.generalization.own_information
        columns["pair_information"] = result.generalization.pair_information
    if result.robustness is not None:
        robust = result.robustness
        for method, suspicion, candidates in zip(COMPARED_METHODS, robust.suspicion, robust.candidates, strict=True):
            columns |= {f"{method}_suspicion": suspicion, f"{method}_candidate": candidates.astype(int)}
    if examples.flipped.any():
        columns |= {"flipped": examples.flipped.astype(int), "true_label": names[examples.true_labels]}
    order = np.argsort(examples.indices)
    return csv_table({name: column[order].tolist() for name, column in columns.items()})
