"""What every experiment shares: settings from the command line, results that a killed run finds again, tables."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import tyro
from rich.console import Console
from rich.table import Table

from infotheory_dl._files import write_text

Settings = TypeVar("Settings")
Row: TypeAlias = dict[str, Any]

# a file or a pipe has no width of its own
console = Console(width=None if sys.stdout.isatty() else 140)


def parse(description: str, presets: Mapping[str, Settings]) -> Settings:
    """Reads the settings from the command line: those of `--preset`, the first by default, with options on top."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset", choices=presets, default=next(iter(presets)))
    chosen, options = first.parse_known_args(sys.argv[1:])
    description = f"{description}\n\n--preset {{{','.join(presets)}}} sets the scale (shown: {chosen.preset})."
    return tyro.cli(type(presets[chosen.preset]), default=presets[chosen.preset], args=options, description=description)


class Results(NamedTuple):
    """The folder of an experiment: `config.json`, `metrics.jsonl` with a row for each finished piece, and figures.

    Attributes:
      folder: where they lie.
    """

    folder: Path

    def once(self, name: str, compute: Callable[[], Row]) -> Row:
        """Returns the row of this name, computed now or found from an earlier run that was stopped."""
        file = self.folder / "metrics.jsonl"
        for row in map(json.loads, file.read_text().splitlines() if file.exists() else []):
            if row["name"] == name:
                return row
        console.print(f"[dim]{name}[/dim]")
        row = {"name": name, **compute()}
        rows = (file.read_text() if file.exists() else "") + json.dumps(row) + "\n"
        write_text(file, rows)
        return row


def open_results(folder: Path, settings: Any) -> Results:
    """Opens a folder of results, new or from a run with the same settings, of the same parts or of others.

    Raises:
      ValueError: if the folder holds results of other settings, naming the first that differs.
    """
    config = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    file = folder / "config.json"
    if file.exists():
        earlier = json.loads(file.read_text())
        for field in sorted((config.keys() | earlier.keys()) - {"parts"}):
            if config.get(field) != earlier.get(field):
                raise ValueError(
                    f"{folder} holds results with {field}={earlier.get(field)!r}, not {config.get(field)!r}:"
                    " choose another --output, or remove it"
                )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(config, indent=2) + "\n")
    return Results(folder)


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Prints rows with equal columns, numbers with three decimals."""
    columns = list(rows[0])
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        values = (row[column] for column in columns)
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in values))
    console.print(table)
