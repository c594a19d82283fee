"""The harness of the experiments: work that was done is found again, and results of other settings are refused."""

import dataclasses
import importlib
import json
import re
import shlex
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness import in_parts, main, open_results, parse, smoke


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a made-up experiment."""

    size: int = 3
    output: Path = Path("results")


@dataclasses.dataclass(frozen=True)
class SettingsOfParts:
    """Settings of one that runs in parts."""

    parts: tuple[str, ...]
    output: Path = Path("results")


def test_a_finished_row_is_computed_once_and_is_the_same_across_runs(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"accuracy": np.float32(0.5), "by draw": (jnp.ones(2), [1]), "draws": np.arange(2)}

    for _ in range(2):
        results = open_results(tmp_path, Settings())
        row = results.once("first", compute)
        assert row == {"accuracy": 0.5, "by draw": [[1.0, 1.0], [1]], "draws": [0, 1]}
    assert len(calls) == 1
    assert json.loads((tmp_path / "config.json").read_text()) == {"size": 3, "output": "results"}


def test_an_interrupted_piece_leaves_no_row(tmp_path):
    results = open_results(tmp_path, Settings())
    results.once("first", lambda: {"accuracy": 0.5})

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.once("second", fail)
    assert [json.loads(line)["name"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == ["first"]


def test_what_no_row_can_hold_is_named(tmp_path):
    with pytest.raises(TypeError, match="a row holds numbers, words and arrays, got set"):
        open_results(tmp_path, Settings()).once("first", lambda: {"classes": {1, 2}})


def test_figures_and_tables_lie_in_the_folder(tmp_path):
    results = open_results(tmp_path, Settings())
    with results.figure("curves", 1, 2, caption="One curve; the paper has two.") as axes:
        axes[0].plot([0, 1], label="ours")
    results.table(
        "Accuracy", [{"method": "ours", "accuracy": 0.51239, "paper": 0.5}, {"method": "theirs"}], notes=["x"]
    )
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    summary = (tmp_path / "summary.txt").read_text()
    assert all(word in summary for word in ("curves.png: One curve; the paper has two.", "Accuracy", "0.5124"))


def test_an_experiment_runs_the_parts_that_its_settings_name(tmp_path):
    ran = []
    parts = {name: lambda settings, results, name=name: ran.append((name, results.folder)) for name in ("a", "b", "c")}
    presets = {"smoke": SettingsOfParts(("c", "a"))}
    main("An experiment.", presets, in_parts(parts), ["--output", str(tmp_path)])
    assert ran == [("c", tmp_path), ("a", tmp_path)]


def test_an_experiment_says_where_its_results_lie_and_what_smoke_is(tmp_path, capsys):
    for preset, size in (("smoke", 1), ("paper", 2)):
        folder = tmp_path / preset
        presets = {"smoke": Settings(), "paper": Settings(size)}
        main("An experiment.", presets, lambda *_: None, ["--preset", preset, "--output", str(folder)])
        said = capsys.readouterr().out
        assert said.endswith(f"are in {folder}\n")
        assert ("its numbers are no results" in said) == (preset == "smoke")
    assert "other and smaller data" in (tmp_path / "smoke" / "summary.txt").read_text()
    assert not (tmp_path / "paper" / "summary.txt").exists()


def test_results_of_other_settings_are_refused_by_the_field_that_differs(tmp_path):
    open_results(tmp_path, Settings())
    with pytest.raises(ValueError, match="holds results with size=3, not 4: choose another --output, or remove it"):
        open_results(tmp_path, Settings(size=4))


def test_a_folder_may_gain_other_parts(tmp_path):
    for parts in (("table",), ("curves", "table")):
        open_results(tmp_path, SettingsOfParts(parts))
    assert json.loads((tmp_path / "config.json").read_text())["parts"] == ["curves", "table"]


def test_options_stand_on_top_of_a_preset(monkeypatch):
    presets = {"smoke": Settings(), "paper": Settings(size=1000)}
    monkeypatch.setattr(sys, "argv", ["experiment", "--preset", "paper", "--output", "elsewhere"])
    assert parse("An experiment.", presets) == Settings(1000, Path("elsewhere"))
    monkeypatch.setattr(sys, "argv", ["experiment"])
    assert parse("An experiment.", presets) == Settings()


COMMANDS = sorted(
    {
        command
        for page in (Path(__file__).parents[1] / "docs").rglob("*.md")
        for command in re.findall(r"`python -m experiments\.(\w+ [^`]*)`", page.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_pages_are_understood(command):
    name, *options = shlex.split(command)
    experiment = importlib.import_module(f"experiments.{name}.__main__")
    settings = parse(experiment.__doc__, experiment.PRESETS, options)
    assert settings.output.parts[:2] == ("results", name)


def test_smoke_runs_of_an_unknown_system_name_those_there_are():
    with pytest.raises(SystemExit, match=r"experiments have no nothing; there are clinical, corex, .*"):
        smoke("experiments", ["nothing"])
