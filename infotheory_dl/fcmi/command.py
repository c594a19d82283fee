"""The subcommand `infotheory-dl fcmi`."""

from dataclasses import asdict, dataclass
from pathlib import Path

import jax
from rich.console import Console

from infotheory_dl._files import csv_table, require_writable, write_or_keep, write_together
from infotheory_dl.fcmi._evaluation import LossEstimator
from infotheory_dl.fcmi.files import read_runs
from infotheory_dl.fcmi.page import render
from infotheory_dl.fcmi.report import bound_columns, bounds_csv, draw, evaluate_runs, row_columns, scope
from infotheory_dl.report import ran_with, terminal_table


@dataclass(frozen=True)
class Config:
    """Bounds the generalization gap of trainings by what their predictions, or losses, tell of their training sets.

    Attributes:
      data: an .npz file with the arrays predictions or losses, of shape ([[epochs,] supersamples,] runs, 2n), and
        selection, ([supersamples,] runs, n); labels, valid and epochs if there are any.
      output: folder of the report, the tables and the figure.
      num_classes: number of labels; default the largest of the predictions and the labels, plus one.
      estimator: of the mutual information.
      bins: intervals into which losses that are not 0 or 1 are divided.
      loss_range: the least and the largest value that a loss can take.
      seed: of the bootstrap behind the intervals.
    """

    data: Path
    output: Path = Path("results/fcmi")
    num_classes: int | None = None
    estimator: LossEstimator = "plugin"
    bins: int | None = None
    loss_range: tuple[float, float] = (0.0, 1.0)
    seed: int = 0


def main(config: Config, console: Console) -> None:
    """Evaluates the bounds, prints those of the last epoch and writes all."""
    folder = require_writable(config.output)
    runs = read_runs(config.data)
    console.print(scope(runs), soft_wrap=True)
    evaluations = evaluate_runs(
        runs,
        num_classes=config.num_classes,
        estimator=config.estimator,
        bins=config.bins,
        loss_range=config.loss_range,
        key=jax.random.key(config.seed),
    )
    last = evaluations[-1]
    title = f"epoch {last.epoch}, the last of {len(evaluations)}" if len(evaluations) > 1 else None
    caption = "spread: over supersamples. observed: the gap, beside bounds on the loss the loss on the ghosts."
    console.print(terminal_table(bound_columns(last), title=title, caption=caption))
    contents: dict[str, str | bytes] = {
        "bounds.csv": bounds_csv(evaluations),
        "rows.csv": csv_table(row_columns(runs, last)),
        "bounds.png": draw(evaluations),
        "report.html": render(runs, evaluations, title=config.data.stem, facts=ran_with(asdict(config))),
    }
    folder = write_or_keep(folder, lambda folder: write_together(folder, contents))
    console.print(f"{', '.join(contents)} are in {folder.resolve()}", soft_wrap=True)
