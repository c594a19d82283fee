"""The subcommand `infotheory-dl fcmi`."""

from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from infotheory_dl._files import require_writable, write_together
from infotheory_dl.fcmi._evaluation import LossEstimator
from infotheory_dl.fcmi.files import SavedRuns, read_runs
from infotheory_dl.fcmi.report import Evaluation, bounds_csv, certainty, draw, evaluate_runs, rows_csv


@dataclass(frozen=True)
class Config:
    """Bounds the generalization gap of trainings by what their predictions, or losses, tell of their training sets.

    Attributes:
      data: an .npz file with the arrays predictions or losses, of shape ([[epochs,] supersamples,] runs, 2n), and
        selection, ([supersamples,] runs, n); labels, valid and epochs if there are any.
      output: folder of the tables and the figure.
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
    """Evaluates the bounds, writes them and prints those of the last epoch."""
    folder = require_writable(config.output)
    runs = read_runs(config.data)
    console.print(_scope(runs), soft_wrap=True)
    evaluations = evaluate_runs(
        runs,
        num_classes=config.num_classes,
        estimator=config.estimator,
        bins=config.bins,
        loss_range=config.loss_range,
        key=jax.random.key(config.seed),
    )
    last = evaluations[-1]
    contents: dict[str, str | bytes] = {
        "bounds.csv": bounds_csv(evaluations),
        "rows.csv": rows_csv(runs, last),
        "bounds.png": draw(evaluations),
    }
    write_together(folder, contents)
    console.print(_table(last, len(evaluations)))
    console.print(f"{', '.join(contents)} are in {folder.resolve()}", soft_wrap=True)


def _scope(runs: SavedRuns) -> str:
    supersamples, per_supersample, rows = runs.selection.shape
    excluded = int((~runs.valid).sum())
    plural = "" if supersamples == 1 else "s"
    return (
        f"{per_supersample} runs on {supersamples} supersample{plural} of n = {rows} rows"
        f"{f'; {excluded} of {runs.valid.size} are not valid and left out' if excluded else ''}."
    )


def _table(evaluation: Evaluation, epochs: int) -> Table:
    table = Table(
        title=f"epoch {evaluation.epoch}, the last of {epochs}" if epochs > 1 else None,
        caption="spread: over supersamples. observed: the gap, beside bounds on the loss the loss on the ghosts.",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("bound")
    table.add_column("on the")
    for heading in ("value", "spread", "95% interval", "observed"):
        table.add_column(heading, justify="right")
    table.add_column("kind")
    for name, bound in evaluation.bounds.items():
        observed = evaluation.observed(bound)
        table.add_row(
            name,
            "gap" if bound.kind == "gap" else "loss",
            f"{bound.value:.3f}",
            f"{bound.spread:.3f}",
            "" if bound.interval is None else "–".join(f"{end:.3f}" for end in np.asarray(bound.interval)),
            "" if observed is None else f"{observed:.3f}",
            certainty(bound),
        )
    return table
