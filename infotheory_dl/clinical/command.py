"""The subcommand `infotheory-dl clinical`."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import tyro
from rich.console import Console

from infotheory_dl._files import require_writable, write_or_keep, write_together
from infotheory_dl.clinical import page
from infotheory_dl.clinical._baselines import predict_task, train_linear
from infotheory_dl.clinical._building import Progress, build
from infotheory_dl.clinical._comparison import compare
from infotheory_dl.clinical._configurations import configuration
from infotheory_dl.clinical._evaluation import evaluate
from infotheory_dl.clinical._linear import LinearSelection
from infotheory_dl.clinical._list_files import write_list_file
from infotheory_dl.clinical._normalization import published_normalizer
from infotheory_dl.clinical._prediction_files import (
    SingleTask,
    match_predictions,
    read_predictions,
    task_of,
    write_predictions,
)
from infotheory_dl.clinical._reading import Part, read, read_some
from infotheory_dl.clinical._runs import Run
from infotheory_dl.clinical._store import Built
from infotheory_dl.clinical._tasks import Task
from infotheory_dl.clinical._training import TrainedNetwork, predict_network
from infotheory_dl.clinical._verification import verify
from infotheory_dl.report import Column, Stages, ran_with, terminal_table
from infotheory_dl.results import save

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


@dataclass(frozen=True)
class Train:
    """Trains a baseline of the benchmark on a task, and writes its predictions of the test part.

    Networks are saved after every epoch: the same call goes on where it was interrupted. The losses and scores of the
    epochs are a table, which is there while they train.

    Attributes:
      store: its folder.
      task: of the benchmark.
      model: linear, or a recurrent network: S standard, C channel-wise, +DS with deep supervision or replicated labels,
        MS and MC of all tasks together.
      output: folder of the model and its predictions.
      normalizer: of the inputs of a network: fitted to the training part, or the published one of MIMIC-III.
      seeds: networks that are trained side by side.
      epochs: of a network; default the benchmark's.
      steps: batches in an epoch of a network; default all.
      samples: of a linear model, drawn at random.
      seed: of all that is drawn.
    """

    store: tyro.conf.Positional[Path]
    task: tyro.conf.Positional[SingleTask]
    model: Literal["linear", "S", "C", "S+DS", "C+DS", "MS", "MC"] = "linear"
    output: Path = Path("results/clinical")
    normalizer: Literal["fitted", "published"] = "fitted"
    seeds: int = 3
    epochs: int | None = None
    steps: int | None = None
    samples: int = 100_000
    seed: int = 0


@dataclass(frozen=True)
class Evaluate:
    """Measures predictions of a task, those of this library or of the benchmark's programs: a table and a page.

    Attributes:
      store: its folder.
      predictions: the file, `stay,prediction,y_true` or with period_length, or pred_1 to label_25.
      against: a file of another model, for the difference.
      task: of the predictions; default told by the columns and the labels.
      part: of the published split.
      by: what the bootstrap draws: patients, or as the paper samples, which makes intervals of hourly tasks too narrow.
      resamples: of the bootstrap behind the intervals.
      output: folder of the page and the tables.
      seed: of all that is drawn.
    """

    store: tyro.conf.Positional[Path]
    predictions: tyro.conf.Positional[Path]
    against: Path | None = None
    task: SingleTask | None = None
    part: Part = "test"
    by: Literal["patient", "sample"] = "patient"
    resamples: int = 1000
    output: Path = Path("results/clinical")
    seed: int = 0


Action = (
    Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Lists, tyro.conf.subcommand("lists")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
)


@dataclass(frozen=True)
class Config:
    """The MIMIC-III benchmark: its data, the proof that they are the published ones, baselines, and their worth."""

    action: Action


def main(config: Config, console: Console) -> None:
    """Does what was asked for, and prints it."""
    action = config.action
    if isinstance(action, Build):
        _build(action, console)
    elif isinstance(action, Verify):
        _verify(action, console)
    elif isinstance(action, Compare):
        _compare(action, console)
    elif isinstance(action, Train):
        _train(action, console)
    elif isinstance(action, Evaluate):
        _evaluate(action, console)
    else:
        for part in ("train", "validation", "test"):
            samples = read(action.store, action.task, part)
            file = action.output / f"{action.task}_{part}.csv"
            write_list_file(samples, file)
            console.print(f"{len(samples.stay):,} samples of {part} are in {file.resolve()}", soft_wrap=True)


def _build(action: Build, console: Console) -> None:
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


def _verify(action: Verify, console: Console) -> None:
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


def _compare(action: Compare, console: Console) -> None:
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


def _train(action: Train, console: Console) -> None:
    folder = require_writable(action.output)
    stem = f"{action.task}_{action.model}"
    key = jax.random.key(action.seed)
    run: Run | None = None
    test = read_some(action.store, action.task, "test")
    trained: Any
    with Stages(console) as stages:
        stages.begin(f"training {action.model}")
        if action.model == "linear":
            trained = train_linear(key, action.store, action.task, most_samples=action.samples)
            stages.begin("predicting the test part")
            predictions = predict_task(trained.model, test)[None]
        else:
            settings = configuration(f"{action.task}/{action.model}")
            keys = jax.random.split(key, action.seeds)
            published = action.normalizer == "published"
            num_epochs = action.epochs or settings.num_epochs
            run = Run(
                folder / f"{stem}.training",
                folder / f"{stem}_epochs.csv",
                lambda epochs: stages.progress(epochs / num_epochs),
            )
            trained = run.train(
                keys,
                action.store,
                settings,
                normalizer=published_normalizer(settings.task, timestep=settings.timestep) if published else None,
                num_epochs=action.epochs,
                steps_per_epoch=action.steps,
            )
            stages.begin("predicting the test part")
            predictions = predict_network(trained, test)
    for sentence in _told(trained):
        console.print(f"• {sentence}", soft_wrap=True)
    files = {f"{stem}.csv": predictions.mean(0)}
    if len(predictions) > 1:
        files |= {f"{stem}_seed_{seed}.csv": of_seed for seed, of_seed in enumerate(predictions)}
    for name, values in files.items():
        write_predictions(test, values, folder / name)
    save(folder / f"{stem}.npz", trained)
    written = [f"{stem}.npz", *files]
    if run is not None:
        run.finish(trained)
        written.append(run.table.name)
    means = f"; {stem}.csv has the means over the seeds" if len(predictions) > 1 else ""
    console.print(f"{', '.join(written)} are in {folder.resolve()}{means}", soft_wrap=True)


def _told(trained: LinearSelection | TrainedNetwork) -> Iterator[str]:
    if isinstance(trained, LinearSelection):
        score = float(trained.scores.max())
        yield f"Chosen on the validation part: {trained.penalty} with C = {trained.inverse_penalty:g} ({score:.3f})."
        return
    best = [int(epoch) for epoch in trained.best_epoch]
    yield f"The best epochs of the seeds, by {trained.selected_by.replace('_', ' ')} on validation: {best}."


def _evaluate(action: Evaluate, console: Console) -> None:
    folder = require_writable(action.output)
    given = read_predictions(action.predictions)
    samples = read_some(action.store, action.task or task_of(given), action.part)
    others = None if action.against is None else match_predictions(samples, read_predictions(action.against))
    found = evaluate(
        jax.random.key(action.seed),
        samples,
        match_predictions(samples, given),
        against=others,
        by=action.by,
        num_resamples=action.resamples,
    )
    against = None if action.against is None else action.against.stem
    console.print(page.scope(found))
    for sentence in page.findings(found, against):
        console.print(f"• {sentence}", soft_wrap=True)
    console.print(terminal_table(page.measure_columns(found.measures), title=action.predictions.stem))
    if against is not None:
        console.print(terminal_table(page.measure_columns(found.difference), title=f"less {against}"))
    console.print(terminal_table(page.subgroup_columns(found)))
    contents: dict[str, str | bytes] = {
        "measures.csv": page.measures_csv(found),
        "report.html": page.render(
            found, title=action.predictions.stem, against=against, facts=ran_with(asdict(action))
        ),
    }
    folder = write_or_keep(folder, lambda folder: write_together(folder, contents))
    console.print(f"{', '.join(sorted(contents))} are in {folder.resolve()}", soft_wrap=True)


def _counted(title: str, counts: Mapping[str, int]) -> Any:
    return terminal_table([Column("", list(counts)), Column("count", list(counts.values()), _grouped)], title=title)


def _grouped(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _as_read(value: Any) -> str:
    """Numbers shortened; a label that a store does not have empty."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)
