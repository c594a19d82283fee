"""Subcommands of `infotheory-dl clinical` that train baselines and measure predictions."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import tyro
from rich.console import Console

from infotheory_dl._files import require_writable, write_or_keep, write_together
from infotheory_dl.clinical import page
from infotheory_dl.clinical._baselines import predict_task, train_linear
from infotheory_dl.clinical._configurations import configuration
from infotheory_dl.clinical._evaluation import evaluate
from infotheory_dl.clinical._linear import LinearSelection
from infotheory_dl.clinical._normalization import published_normalizer
from infotheory_dl.clinical._prediction_files import (
    SingleTask,
    match_predictions,
    read_predictions,
    task_of,
    write_predictions,
)
from infotheory_dl.clinical._reading import Part, read_some
from infotheory_dl.clinical._runs import Run
from infotheory_dl.clinical._training import TrainedNetwork, predict_network
from infotheory_dl.report import Stages, ran_with, terminal_table
from infotheory_dl.results import save


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


def train_baseline(action: Train, console: Console) -> None:
    """Trains, prints what was chosen, and writes the predictions of the test part."""
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


def evaluate_predictions(action: Evaluate, console: Console) -> None:
    """Measures, prints the measures and writes the page."""
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


def _told(trained: LinearSelection | TrainedNetwork) -> Iterator[str]:
    if isinstance(trained, LinearSelection):
        score = float(trained.scores.max())
        yield f"Chosen on the validation part: {trained.penalty} with C = {trained.inverse_penalty:g} ({score:.3f})."
        return
    best = [int(epoch) for epoch in trained.best_epoch]
    yield f"The best epochs of the seeds, by {trained.selected_by.replace('_', ' ')} on validation: {best}."
