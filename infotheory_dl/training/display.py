"""How far a training has come, on the terminal."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import jax
import numpy as np

from infotheory_dl.training._program import TrainingState

if TYPE_CHECKING:
    from rich.console import Console


@contextlib.contextmanager
def progress(num_epochs: int, *, console: "Console | None" = None) -> Iterator[Callable[[TrainingState], None]]:
    """Shows a training: its models and epochs, models per second, and the time left.

    `with progress(100) as show: train_many(..., num_epochs=100, callback=show, callback_every=1)`. The first chunk,
    which waits for the compiler, does not count for the speed.

    Args:
      num_epochs: of the training.
      console: where to show it; default the standard error output. Where that is no terminal nothing is shown, and of
        several processes only the first shows anything.

    Yields:
      The callback.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = console or Console(stderr=True)
    columns = (
        TextColumn("models {task.fields[models]}, epoch {task.completed:.0f} of {task.total:.0f}"),
        BarColumn(),
        TextColumn("{task.fields[speed]} models/s"),
        TimeRemainingColumn(),
    )
    is_shown = console.is_terminal and jax.process_index() == 0
    with Progress(*columns, console=console, disable=not is_shown) as bar:
        task = bar.add_task("", total=num_epochs, models="-", speed="-")

        def show(training: TrainingState) -> None:
            models = training.diverged.size
            bar.update(task, completed=int(training.epoch), models=models)
            epochs_per_second = bar.tasks[task].speed
            if epochs_per_second is not None:
                speed = epochs_per_second * models / num_epochs
                bar.update(task, speed=np.format_float_positional(speed, 3, fractional=False, trim="-"))

        yield show
