"""Subcommands of `infotheory-dl clinical` that make, prove and compare stores."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console

from infotheory_dl._files import require_writable
from infotheory_dl.clinical._building import Progress, build
from infotheory_dl.clinical._comparison import compare
from infotheory_dl.clinical._list_files import write_list_file
from infotheory_dl.clinical._reading import read
from infotheory_dl.clinical._store import Built
from infotheory_dl.clinical._tasks import Task
from infotheory_dl.clinical._verification import verify
from infotheory_dl.report import Column, terminal_table

_SHOWN = 20
# rows of a table that has files of its own
_FIRST = 5


@dataclass(frozen=True)
class Build:
    """Makes a store of stays, series and samples from the tables of MIMIC-III; goes on where it was interrupted.

    Attributes:
      source: folder of the tables, each .csv, .csv.gz or .parquet.
      output: folder of the store.
      mode: paper, the published tables bit for bit, or fixed, without their quirks.
      subjects: SUBJECT_IDs to take; default all.
      memory_limit: GiB to stay within, about.
      workers: pieces that are worked on at a time; default as many as there are cores, at most four.
    """

    source: tyro.conf.Positional[Path]
    output: tyro.conf.Positional[Path]
    mode: Literal["paper", "fixed"] = "paper"
    subjects: tuple[int, ...] | None = None
    memory_limit: float = 1.0
    workers: int | None = None


@dataclass(frozen=True)
class Verify:
    """Compares the series of a store with the hashes that the benchmark's authors published, and counts with theirs.

    Attributes:
      store: its folder.
    """

    store: tyro.conf.Positional[Path]


@dataclass(frozen=True)
class Compare:
    """Finds the cells and labels that differ between two stores, counts them, and writes them as tables.

    Attributes:
      first: folder of one store.
      second: folder of the other.
      output: folder of the tables.
    """

    first: tyro.conf.Positional[Path]
    second: tyro.conf.Positional[Path]
    output: Path = Path("results/clinical")


@dataclass(frozen=True)
class Lists:
    """Writes the samples of a task as the benchmark's list files, one for each part.

    Attributes:
      store: its folder.
      task: of the benchmark.
      output: folder of the files.
    """

    store: tyro.conf.Positional[Path]
    task: tyro.conf.Positional[Task]
    output: Path = Path("results/clinical")


def build_store(action: Build, console: Console) -> None:
    """Builds with a bar, and prints what was counted."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f} rows/s"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        tasks: dict[str, object] = {}

        def show(progress: Progress) -> None:
            if progress.table not in tasks:
                tasks[progress.table] = bar.add_task(progress.table, total=1.0, rows=0, speed=0.0)
            bar.update(
                tasks[progress.table],  # type: ignore[arg-type]
                completed=progress.share,
                rows=progress.rows,
                speed=progress.rows_per_second,
            )

        built = build(
            action.source,
            action.output,
            mode=action.mode,
            subjects=action.subjects,
            memory_limit=int(action.memory_limit * 2**30),
            workers=action.workers,
            progress=show,
        )
    _report(built, console)
    console.print(f"The store is in {built.path.resolve()}", soft_wrap=True)


def verify_store(action: Verify, console: Console) -> None:
    """Prints what differs from the published hashes and counts."""
    found = verify(action.store)
    for title, names in (
        ("differs", found.differing),
        ("was not published", found.unknown),
        ("is absent", found.absent),
    ):
        for name in names[:_SHOWN]:
            console.print(f"{name}: {title}", soft_wrap=True)
        if len(names) > _SHOWN:
            console.print(f"... and {len(names) - _SHOWN:,} more: {title}")
    for name, (count, published) in found.counts.items():
        if count != published:
            console.print(f"{name}: {count:,}, published {published:,}", soft_wrap=True)
    if found.counts:
        equal = sum(count == published for count, published in found.counts.values())
        console.print(f"{equal} of {len(found.counts)} counts of cohort and events are the published ones")
    console.print(f"{found.agree:,} of {found.compared:,} series have the published hash")


def compare_stores(action: Compare, console: Console) -> None:
    """Prints what differs, and writes it."""
    folder = require_writable(action.output)
    found = compare(action.first, action.second, output=folder, most_rows=_FIRST)
    for name, (old, new) in found.settings.items():
        console.print(f"{name}: {old} and {new}", soft_wrap=True)
    console.print(f"stays of one alone: {len(found.stays):,}; ages that differ: {found.ages:,}")
    for title, counts in (
        ("cells that differ", found.changed),
        ("cells of the first alone", found.removed),
        ("cells of the second alone", found.added),
        ("samples that differ", found.labels),
    ):
        console.print(_counted(title, counts) if any(counts.values()) else f"{title}: none")
    for title, rows in (("the first cells", found.changed_cells), ("the first labels", found.changed_labels)):
        if len(rows.stay):
            columns = [Column(name, values.tolist(), _as_read) for name, values in rows._asdict().items()]
            console.print(terminal_table(columns, title=title))
    console.print(f"changed_cells.csv, changed_labels.csv are in {folder.resolve()}", soft_wrap=True)


def write_lists(action: Lists, console: Console) -> None:
    """Writes the list file of each part."""
    for part in ("train", "validation", "test"):
        samples = read(action.store, action.task, part)
        file = action.output / f"{action.task}_{part}.csv"
        write_list_file(samples, file)
        console.print(f"{len(samples.stay):,} samples of {part} are in {file.resolve()}", soft_wrap=True)


def _report(built: Built, console: Console) -> None:
    columns = [Column("step", list(built.cohort))]
    for place, name in enumerate(("stays", "admissions", "subjects")):
        columns.append(Column(name, [counts[place] for counts in built.cohort.values()], _grouped))
    console.print(terminal_table(columns, title="cohort"))
    for title, counts in (("events", built.events), ("series", _per_channel(built.cells))):
        console.print(_counted(title, counts))
    for warning in built.warnings:
        console.print(f"Note: {warning}.", soft_wrap=True)


def _per_channel(cells: Mapping[str, int]) -> dict[str, int]:
    """Counts of all channels, and of single ones what their rule left out."""
    kept = {name: count for name, count in cells.items() if not name.startswith(("in: ", "kept: "))}
    dropped = {
        f"left out of {name.removeprefix('in: ')}": count - cells[f"kept: {name.removeprefix('in: ')}"]
        for name, count in cells.items()
        if name.startswith("in: ")
    }
    return {**kept, **{name: count for name, count in dropped.items() if count}}


def _counted(title: str, counts: Mapping[str, int]) -> Any:
    return terminal_table([Column("", list(counts)), Column("count", list(counts.values()), _grouped)], title=title)


def _grouped(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _as_read(value: Any) -> str:
    """Numbers shortened; a label that a store does not have empty."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)
