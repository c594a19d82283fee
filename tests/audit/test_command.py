import json
import subprocess
import sys

import numpy as np
import pytest

from infotheory_dl import cli
from infotheory_dl.audit import command

HEAVY = ("jax", "tensorflow", "tensorflow_datasets", "neural_tangents", "matplotlib", "sklearn")


def test_help_imports_no_heavy_package():
    program = f"""
import sys
from infotheory_dl import cli
cli.main(["--help"])
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "audit find wrong labels" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_ends_with_the_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["audti"])
    assert stopped.value.code == 2
    assert "unknown command 'audti'" in capsys.readouterr().err


def test_a_wrong_input_is_one_line_without_a_traceback(tmp_path):
    arguments = ["audit", "--data", str(tmp_path / "absent.npz"), "--output", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-m", "infotheory_dl.cli", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "No such file or directory" in done.stderr
    assert "absent.npz" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def fail(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["audit", *map(str, arguments)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def save(folder, **arrays):
    np.savez(folder / "my.npz", **arrays)
    return folder / "my.npz"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((30, 2))}, "lacks y: it has x"),
        ({"x": np.full((30, 2), np.nan), "y": np.arange(30) % 2}, "Left out, columns without a value: 'x0', 'x1'."),
        ({"x": np.full((30, 2), np.inf), "y": np.arange(30) % 2}, "column 'x0' has 30 of 30 values that are infinite"),
        ({"x": np.ones((30, 2)), "y": np.ones(30, int)}, "y has one class only, 1; at least 2 are needed"),
        ({"x": np.ones((3, 2)), "y": np.arange(3)}, "an audit needs 20 examples, got 3"),
    ],
)
def test_data_that_cannot_be_audited_are_told(arrays, message, tmp_path, capsys):
    path = save(tmp_path, **arrays)
    assert message in fail(capsys, "--data", path, "--output", tmp_path / "out")


def test_a_file_that_is_no_table_is_told(tmp_path, capsys):
    (tmp_path / "my.npz").write_text("no table")
    assert "is not an .npz file" in fail(capsys, "--data", tmp_path / "my.npz", "--output", tmp_path / "out")


def test_a_data_set_that_is_absent_is_told_with_the_remedy(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    message = fail(capsys, "--dataset", "mnist", "--output", tmp_path / "out")
    assert f"mnist is not prepared in {tmp_path}" in message
    assert "download=True" in message


def test_two_sources_of_data_are_one_too_many(tmp_path, capsys):
    message = fail(capsys, "--dataset", "digits", "--data", "my.npz", "--output", tmp_path)
    assert "give --dataset or --data, not both" in message
    assert "give --dataset or --label, not both" in fail(capsys, "--dataset", "digits", "--label", "y")


def test_the_options_of_the_data_reach_the_reader(result, tmp_path, monkeypatch, capsys):
    (tmp_path / "my.csv").write_text("name;age;note;ill\n" + "".join(f"r{i};{i},5;x;{i % 10}\n" for i in range(160)))
    asked = []

    def run(key, table, **settings):
        asked.append(table)
        return result

    monkeypatch.setattr(command, "run", run)
    source = ["--data", tmp_path / "my.csv", "--label", "ill", "--row-names", "0", "--drop", "note"]
    cli.main(["audit", *map(str, source), "--output", str(tmp_path)])
    (table,) = asked
    assert table.feature_names == ("age",)
    assert table.row_names[:2] == ("r0", "r1")
    assert table.y[:12].tolist() == [*range(10), 0, 1]
    assert "Note: The columns are parted by a semicolon.\n" in capsys.readouterr().out
    recorded = json.loads((tmp_path / "config.json").read_text())["settings"]
    assert recorded["label"] == "ill"
    assert (tmp_path / "repaired.csv").read_text().startswith("name;age;note;ill\nr0;0,5;x;")
    assert "delimiter" not in recorded


def test_labels_that_are_not_named_are_asked_for(tmp_path, capsys):
    (tmp_path / "my.csv").write_text("age,ill\n1,no\n2,yes\n")
    message = fail(capsys, "--data", tmp_path / "my.csv", "--output", tmp_path)
    assert "my.csv: which column has the labels? Name it by label=, --label in commands; it has 'age', 'ill'" in message


def test_an_output_that_cannot_be_written_is_told_first(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "cannot write to" in fail(capsys, "--dataset", "absent", "--output", tmp_path / "file")


def test_an_audit_ends_with_the_path_of_its_report(result, tmp_path, capsys, monkeypatch):
    asked = {}

    def run(key, table, *, on_stage, **settings):
        on_stage("scores")
        asked.update(settings, examples=len(table.y))
        return result

    monkeypatch.setattr(command, "run", run)
    options = ["--flip", "0.2", "--train-size", "50", "--robust"]
    cli.main(["audit", "--dataset", "digits", *options, "--output", str(tmp_path)])
    out = capsys.readouterr().out
    assert asked["flip"] == 0.2
    assert asked["train_size"] == 50
    assert asked["robust"] is True
    assert asked["examples"] == 1797
    assert "scores" in out
    assert "The most suspect labels" in out
    assert result.examples.names[result.scores.margins.argmin()] in out.partition("The most suspect labels")[2]
    assert out.rstrip().endswith(f"The report: {(tmp_path / 'report.html').resolve()}")
    assert (tmp_path / "scores.csv").exists()
    line = f"infotheory-dl audit --dataset digits --output {tmp_path} --decisions decisions.csv"
    assert f"{line} --train-size 50 --flip 0.2 --robust" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_decisions_of_several_rounds_reach_the_audit_in_their_order(result, tmp_path, monkeypatch):
    header = "example,label,decision,new_label\n"
    for name, place in (("decisions.csv", 3), ("decisions-2.csv", 4)):
        (tmp_path / name).write_text(f"{header}{place},1,keep,\n")
    asked = []
    monkeypatch.setattr(command, "run", lambda key, table, *, decisions, **settings: asked.extend(decisions) or result)
    files = [str(tmp_path / name) for name in ("decisions.csv", "decisions-2.csv")]
    cli.main(["audit", "--decisions", *files, "--output", str(tmp_path)])
    assert [made.examples.tolist() for made in asked] == [[3], [4]]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"--decisions {' '.join(files)} decisions-3.csv" in page
    recorded = json.loads((tmp_path / "config.json").read_text())["settings"]
    assert recorded["decisions"] == " ".join(files)
