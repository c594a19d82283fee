"""What a command shows while it works."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class Stages:
    """Shows what is being done, and how long each stage took.

    Args:
      console: of rich, where to.
    """

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        self._console = console
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None)
        self._current: tuple[str, float] | None = None

    def __enter__(self) -> "Stages":
        self._bar.start()
        return self

    def begin(self, stage: str) -> None:
        """Ends the stage before, and begins one."""
        self._end()
        self._current = stage, time.perf_counter()
        self._bar.reset(self._task, total=None, description=stage)

    def progress(self, share: float) -> None:
        """Shows which share of the stage is done."""
        self._bar.update(self._task, total=1.0, completed=share)

    def __exit__(self, kind: object, *_: object) -> None:
        self._bar.stop()
        if kind is None:
            self._end()

    def _end(self) -> None:
        if self._current is not None:
            stage, start = self._current
            self._console.print(f"{time.perf_counter() - start:6.1f} s  {stage}")
