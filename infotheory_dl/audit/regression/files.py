"""The files of an audit of numbers: report.html, scores.csv and config.json, each written whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl._files import csv_table, require_writable, write_together
from infotheory_dl.audit.regression._run import RegressionAudit
from infotheory_dl.audit.regression.page import render


def write_regression_report(
    result: RegressionAudit,
    folder: str | os.PathLike[str],
    *,
    title: str = "a data set",
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the report of an audit of numbers, the scores as a table, and the settings.

    Args:
      result: of `run_regression`.
      folder: where to; it is made if it is absent, and what an earlier audit left there is replaced.
      title: name of the data set.
      config: settings of the caller to record before those of the audit, such as the seed.

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
    found = {"outlying": int(residuals.is_outlying.sum()), "explained": residuals.explained, "gain": residuals.gain}
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    versions = report.versions()
    record = {"created": created, "settings": settings, "chosen": chosen, "found": found, "versions": versions}
    given = {name: value for name, value in settings.items() if value is not None}
    facts = {"created": created, **given, **{name: f"{value:.4g}" for name, value in chosen.items()}, **versions}
    contents = {
        "config.json": report.as_json(record),
        "scores.csv": _scores(result),
        "report.html": render(result, title=title, facts=facts),
    }
    write_together(folder, contents)
    return folder / "report.html"


def _scores(result: RegressionAudit) -> str:
    examples, residuals = result.examples, result.residuals
    columns = {
        "example": examples.indices,
        **({} if examples.row_names is None else {"name": np.array(examples.row_names)}),
        "target": result.targets,
        "predicted": residuals.predictions,
        "deviation": residuals.standardized,
        "p_value": residuals.p_value,
        "outlying_target": residuals.is_outlying.astype(int),
        "information": result.information,
        "output_change": result.solution.output_change,
        "weight_change": result.solution.weight_change,
        "leverage": result.solution.leverage,
        "outlying_input": result.checks.outlying.is_outlying.astype(int),
    }
    if result.detection:
        columns |= {"exchanged": result.exchanged.astype(int), "true_target": result.true_targets}
    order = np.argsort(examples.indices)
    return csv_table({name: column[order].tolist() for name, column in columns.items()})
