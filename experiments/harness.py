"""What every experiment shares: settings from the command line, results that a killed run finds again, figures."""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import jax
import matplotlib
import numpy as np
import tyro
from cycler import cycler
from matplotlib.figure import Figure
from rich.console import Console

from experiments.compilation import quick_flags
from infotheory_dl._files import append_line, whole_file, write_text
from infotheory_dl.report import Column, terminal_table

Row: TypeAlias = dict[str, Any]


class _Settings(Protocol):
    @property
    def output(self) -> Path: ...


Settings = TypeVar("Settings", bound=_Settings)

_OF_SMOKE = "smoke shows that everything runs, on other and smaller data than the paper's: its numbers are no results."

# figures look like the pages of the commands
STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=["#0b5fa5", "#b8480b", "#2b7a4b", "#7a4a9e", "#66717d", "#c29a17", "#1f2933"]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#56636f",
    "axes.labelcolor": "#1f2933",
    "xtick.color": "#56636f",
    "ytick.color": "#56636f",
    "text.color": "#1f2933",
    "axes.titlesize": "medium",
    "figure.titlesize": "medium",
}
_CAPTION_LETTERS_AN_INCH = 17
# of a piece, beside what it found
_TIMES = ("wall seconds", "CPU seconds")

# a file or a pipe has no width of its own
console = Console(width=None if sys.stdout.isatty() else 140)


class Results(NamedTuple):
    """The folder of an experiment: `config.json`, `metrics.jsonl` with a row for each finished piece, figures, tables.

    Attributes:
      folder: where they lie.
    """

    folder: Path

    def once(self, name: str, compute: Callable[[], Row]) -> Row:
        """Returns the row of this name, computed now or found from an earlier run that was stopped.

        Arrays and numbers of NumPy and JAX become lists and numbers, tuples become lists, now as then.
        """
        row = self._finished().get(name)
        if row is None:
            console.print(name, style="dim", highlight=False)
            wall, processor = time.perf_counter(), time.process_time()
            computed = compute()
            times = time.perf_counter() - wall, time.process_time() - processor
            append_line(self._metrics, as_json({"name": name, **computed, **dict(zip(_TIMES, times, strict=True))}))
            row = self._finished()[name]
        return {column: value for column, value in row.items() if column not in ("name", *_TIMES)}

    @property
    def seconds(self) -> tuple[float, float]:
        """What the finished pieces took, by the clock and of the processors, in all runs together."""
        rows = self._finished().values()
        wall, processor = (sum(row.get(column, 0.0) for row in rows) for column in _TIMES)
        return wall, processor

    @property
    def _metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    def _finished(self) -> dict[str, Row]:
        finished = self._metrics.read_text() if self._metrics.exists() else ""
        return {row["name"]: row for row in map(json.loads, finished.splitlines())}

    @contextlib.contextmanager
    def figure(
        self,
        name: str,
        rows: int = 1,
        columns: int = 1,
        *,
        caption: str,
        size: tuple[float, float] = (5, 3.6),
        title: str = "",
        sharey: bool = False,
        legend_above: bool = False,
    ) -> Iterator[Any]:
        """Axes to draw on, one or an array of them; what has labels gets its legend, and the figure is saved.

        Args:
          name: of the file.
          rows, columns: of axes.
          caption: what is seen, and what the paper has for it; below the figure and in the summary.
          size: in inches.
          title: above it.
          sharey: whether the axes have one scale upwards.
          legend_above: one legend of all axes, above them, where they are full.
        """
        with matplotlib.rc_context(STYLE):
            figure = Figure(size, layout="constrained")
            figure.suptitle(title)
            yield figure.subplots(rows, columns, sharey=sharey)
            style: dict[str, Any] = {"frameon": False, "fontsize": "small"}
            if legend_above:
                figure.legend(loc="outside upper center", ncols=max(2, int(figure.get_figwidth() // 2)), **style)
            for axes in figure.axes:
                if axes.get_legend_handles_labels()[0] and not legend_above:
                    axes.legend(**style)
            self.save(figure, name, caption)

    def save(self, figure: Any, name: str, caption: str) -> None:
        """Writes a figure that something else drew, and what it shows below it."""
        words = textwrap.fill(caption, int(_CAPTION_LETTERS_AN_INCH * figure.get_figwidth()))
        figure.text(0.01, -0.02, words, va="top", fontsize="small", color=STYLE["ytick.color"])
        with whole_file(self.folder / f"{name}.png") as stream:
            figure.savefig(stream, format="png", dpi=150, bbox_inches="tight")
        self.say(f"{name}.png: {caption}")

    def table(self, title: str, rows: Sequence[Row], *, notes: Sequence[str] = ()) -> None:
        """Prints rows with equal columns, and sentences below them, and adds them to `summary.txt`."""
        self._print(lambda printer: print_table(title, rows, notes=notes, console=printer))

    def say(self, sentence: str) -> None:
        """Prints a sentence, and adds it to `summary.txt`."""
        self._print(lambda printer: printer.print(sentence, style="dim", highlight=False, markup=False))

    def _print(self, what: Callable[[Console], None]) -> None:
        file, text = self.folder / "summary.txt", io.StringIO()
        for printer in (console, Console(file=text, width=200)):
            what(printer)
        write_text(file, (file.read_text(encoding="utf-8") if file.exists() else "") + text.getvalue())


def log_scale(axes: Any, values: Sequence[float]) -> None:
    """Makes the axis below logarithmic, with marks at the values that it has."""
    axes.set_xscale("log")
    axes.set_xticks(values, [cell(value) for value in values])
    axes.minorticks_off()


def main(
    description: str | None,
    presets: Mapping[str, Settings],
    run: Callable[[Settings, Results], None],
    arguments: Sequence[str] | None = None,
) -> None:
    """Runs an experiment as the command line says; a killed run resumes where it stopped.

    Args:
      description: of the experiment, for --help.
      presets: settings by name, the smallest first; a frozen dataclass with the folder `output` among its fields.
      run: does the work.
      arguments: in place of those of the command line.
    """
    settings = parse(description, presets, arguments)
    results = open_results(settings.output, settings)
    if choose_preset(presets, arguments)[0] == "smoke":
        results.say(_OF_SMOKE)
    run(settings, results)
    wall, processor = (seconds / 60 for seconds in results.seconds)
    console.print(f"What metrics.jsonl holds took {wall:.1f} minutes, {processor:.1f} CPU minutes", highlight=False)
    console.print(f"Figures, tables (summary.txt) and metrics are in {results.folder.resolve()}", soft_wrap=True)


def in_parts(parts: Mapping[Any, Callable[[Any, Results], None]]) -> Callable[[Any, Results], None]:
    """Runs those of the parts that the settings name in their field `parts`."""

    def run(settings: Any, results: Results) -> None:
        for part in settings.parts:
            parts[part](settings, results)

    return run


def parse(description: str | None, presets: Mapping[str, Settings], arguments: Sequence[str] | None = None) -> Settings:
    """Reads the settings from the command line: those of `--preset`, the first by default, with options on top."""
    chosen, options = choose_preset(presets, arguments)
    description = f"{description}\n\n--preset {{{','.join(presets)}}} sets the scale (shown: {chosen})."
    return tyro.cli(type(presets[chosen]), default=presets[chosen], args=options, description=description)


def choose_preset(presets: Iterable[str], arguments: Sequence[str] | None = None) -> tuple[str, list[str]]:
    """The name that `--preset` gives, the first by default, and the other arguments; for "smoke" JAX compiles quickly.

    A smoke run shows that everything runs, and what it takes is compilation: programs need not be good ones.
    """
    names = list(presets)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", choices=names, default=names[0])
    chosen, others = first.parse_known_args(sys.argv[1:] if arguments is None else list(arguments))
    if chosen.preset == "smoke":
        jax.config.update("jax_disable_most_optimizations", True)
    return chosen.preset, others


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
    (folder / "summary.txt").unlink(missing_ok=True)
    return Results(folder)


def as_json(row: Row) -> str:
    """A line for a row; arrays and numbers of NumPy and JAX become lists and numbers."""

    def plain(value: Any) -> Any:
        if hasattr(value, "__array__"):
            return np.asarray(value).tolist()
        raise TypeError(f"a row holds numbers, words and arrays, got {type(value).__name__}")

    return json.dumps(row, default=plain)


def print_table(title: str, rows: Sequence[Row], *, notes: Sequence[str] = (), console: Console = console) -> None:
    """Prints rows by the columns that any of them has, numbers to the right, and sentences below."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    console.print(title, style="bold", highlight=False)
    console.print(terminal_table(_column(name, [row.get(name) for row in rows]) for name in names))
    for note in notes:
        console.print(note, style="dim", highlight=False)


def _column(name: str, values: Sequence[Any]) -> Column:
    return Column(name, values, cell, right=not any(isinstance(value, str) for value in values))


def cell(value: Any) -> str:
    """A number with as many digits as it is worth, words as they are."""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:.1e}"


def names_in(package: str) -> list[str]:
    """The systems that have an experiment ("experiments") or a benchmark ("benchmarks")."""
    return sorted(main.parent.name for main in (Path(__file__).parents[1] / package).glob("*/__main__.py"))


def smoke(package: str, names: Sequence[str] = ()) -> None:
    """Runs the smallest preset of each experiment or benchmark, two at a time, in processes and folders of their own.

    Args:
      package: "experiments" or "benchmarks".
      names: of systems; all by default.

    Raises:
      SystemExit: if a name is unknown, or if any fails, once all have run.
    """
    known = names_in(package)
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"{package} have no {', '.join(unknown)}; there are {', '.join(known)}")

    def succeeds(name: str) -> bool:
        start = time.perf_counter()
        command = [sys.executable, "-m", f"{package}.{name}", "--preset", "smoke", "--output", f"{folder}/{name}"]
        process = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        outcome = f"failed\n{process.stdout}" if process.returncode else "runs"
        print(f"{package}.{name}, {time.perf_counter() - start:.0f} s: {outcome}", flush=True)
        return not process.returncode

    chosen, environment = names or known, os.environ | {"XLA_FLAGS": quick_flags()}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        failed = [name for name, well in zip(chosen, pool.map(succeeds, chosen), strict=True) if not well]
    if failed:
        raise SystemExit(f"{package} that fail: {', '.join(failed)}")
