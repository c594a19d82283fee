"""The files of several audits in one folder."""

import json
import os

import numpy as np
import pytest

from infotheory_dl import audit, cli, data
from tests.audit.made import made_audit, made_regression

ALWAYS = ["config.json", "report.html", "scores.csv"]


def test_the_files_are_those_of_the_last_audit_and_the_users_own(tmp_path):
    """Of an array, then of a table, then of numbers; what no audit wrote stays."""
    result = made_audit(30, suspects=10, pictures=False)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "repaired.tsv").write_text("my own")
    table = data.Table(np.zeros((30, 9)), result.examples.labels)
    audit.write_report(result, folder, table=table)
    assert sorted(os.listdir(folder)) == sorted([*ALWAYS, "labels.npy", "repaired.tsv"])
    rows = "".join(f"{i},{label}\n" for i, label in enumerate(result.examples.labels))
    (tmp_path / "my.csv").write_text(f"f,what\n{rows}")
    source = data.Source(tmp_path / "my.csv", label="what")
    audit.write_report(result, folder, table=source.read(labelled=True), source=source)
    assert sorted(os.listdir(folder)) == sorted([*ALWAYS, "repaired.csv", "repaired.tsv"])
    audit.write_regression_report(made_regression(30, outlying=2), folder)
    assert sorted(os.listdir(folder)) == sorted([*ALWAYS, "repaired.tsv"])
    assert (folder / "repaired.tsv").read_text() == "my own"
    assert json.loads((folder / "config.json").read_text())["files"].split() == [
        "config.json",
        "scores.csv",
        "report.html",
    ]


@pytest.mark.parametrize("config", ["no JSON", "[1]", '{"files": 3}', '{"files": "../my.csv my.csv"}'])
def test_a_config_of_another_program_removes_nothing(config, tmp_path):
    for name in ("my.csv", "out/my.csv", "out/labels.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "out" / "config.json").write_text(config)
    audit.write_regression_report(made_regression(30, outlying=2), tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == sorted([*ALWAYS, "labels.npy", "my.csv"])
    assert (tmp_path / "my.csv").exists()


def test_data_that_the_audit_would_replace_are_refused(tmp_path, capsys):
    (tmp_path / "repaired.csv").write_text("f,what\n1,cat\n")
    with pytest.raises(SystemExit):
        cli.main(["audit", "--data", str(tmp_path / "repaired.csv"), "--label", "what", "--output", str(tmp_path)])
    assert "which would replace it: give another --output" in capsys.readouterr().err
