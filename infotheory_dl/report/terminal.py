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
        self._console = console
        self._status = console.status("")
        self._current: tuple[str, float] | None = None

    def __enter__(self) -> "Stages":
        self._status.start()
        return self

    def begin(self, stage: str) -> None:
        """Ends the stage before, and begins one."""
        self._end()
        self._current = stage, time.perf_counter()
        self._status.update(f"{stage} …")

    def __exit__(self, kind: object, *_: object) -> None:
        self._status.stop()
        if kind is None:
            self._end()

    def _end(self) -> None:
        if self._current is not None:
            stage, start = self._current
            self._console.print(f"{time.perf_counter() - start:6.1f} s  {stage}")
