"""The harness of the experiments: work that was done is found again, and results of other settings are refused."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from experiments.harness import open_results, parse


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a made-up experiment."""

    size: int = 3
    output: Path = Path("results")


@dataclasses.dataclass(frozen=True)
class SettingsOfParts:
    """Settings of one that runs in parts."""

    parts: tuple[str, ...]


def test_a_finished_row_is_computed_once_also_across_runs(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"accuracy": 0.5}

    for _ in range(2):
        results = open_results(tmp_path, Settings())
        assert results.once("first", compute) == {"name": "first", "accuracy": 0.5}
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
