"""What every benchmark shares: timing, the machine and its peaks, tables, and rows of results for machines to read."""

import contextlib
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

Result = TypeVar("Result")
Row: TypeAlias = dict[str, Any]

RESULTS = Path(__file__).parent / "results"

# a file or a pipe has no width of its own
_console = Console(width=None if sys.stdout.isatty() else 140)


class Timing(NamedTuple):
    """Wall-clock seconds of a call.

    Attributes:
      median: of the repeats, which follow a first call.
      fastest: of the repeats.
      compilation: what the first call took beyond the median.
    """

    median: float
    fastest: float
    compilation: float


class Machine(NamedTuple):
    """Where a benchmark runs, and what that machine can do at most.

    Attributes:
      processor: its name.
      cores: those this process may use.
      memory: GiB.
      device: kind of the device that JAX computes on.
      flops: floating-point operations in a second, of a large float32 matrix product.
      bandwidth: bytes in a second, read and written, of adding to a large array.
    """

    processor: str
    cores: int
    memory: float
    device: str
    flops: float
    bandwidth: float

    def floor(self, operations: float, moved: float = 0.0) -> float:
        """Seconds below which no program can do so many operations and move so many bytes."""
        return max(operations / self.flops, moved / self.bandwidth)


def announce(step: str) -> None:
    """Says what runs now."""
    _console.print(step, style="dim", highlight=False)


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """Calls once and waits until the device is done; returns the result and the seconds."""
    start = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - start


def measure(function: Callable[[], Result], *, repeats: int = 5) -> tuple[Result, Timing]:
    """Calls once to warm up and `repeats` times to measure."""
    result, first = timed(function)
    seconds = [timed(function)[1] for _ in range(repeats)]
    median = statistics.median(seconds)
    return result, Timing(median, min(seconds), max(0.0, first - median))


def in_turns(programs: Mapping[str, Callable[[], Row]], *, processes: int) -> Iterator[tuple[str, Row]]:
    """Measures programs that would disturb each other, one after the other and over again, each time in a new process.

    Args:
      programs: by name; each returns its numbers and can be pickled.
      processes: of each program; 0 for all programs in this one.

    Yields:
      The name of each program and the medians of its numbers over the processes; or a note of what is missing, where a
      library is.
    """
    rounds: dict[str, list[Row]] = {name: [] for name in programs}
    missing: dict[str, Row] = {}
    for _ in range(max(1, processes)):
        for name, program in programs.items():
            announce(name)
            try:
                rounds[name].append(_in_new_process(program) if processes else program())
            except ImportError as error:
                missing[name] = {"note": f"missing: {error}"}
    for name, rows in rounds.items():
        medians = {column: statistics.median(row[column] for row in rows) for column in (rows[0] if rows else ())}
        yield name, missing.get(name, medians)


def _in_new_process(program: Callable[[], Row]) -> Row:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(program).result()


def reset_peak_memory() -> None:
    """Makes `peak_memory` begin anew; only Linux lets a process do so."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float:
    """GiB that this process has held at most since it began, or since `reset_peak_memory`."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


@functools.cache
def machine() -> Machine:
    """Describes this machine and measures its two peaks, which takes some seconds."""
    matrix = jnp.ones((4096, 4096), jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    vector = jnp.ones(2**27, jnp.float32)
    increment = jax.jit(lambda a: a + 1)
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        device=jax.devices()[0].device_kind,
        flops=2 * len(matrix) ** 3 / measure(lambda: product(matrix))[1].fastest,
        bandwidth=2 * vector.nbytes / measure(lambda: increment(vector))[1].fastest,
    )


def report(benchmark: str, part: str, title: str, rows: Iterable[Row], *, notes: Sequence[str] = ()) -> None:
    """Appends rows to `results/BENCHMARK.jsonl`, each as it comes, and prints them as a table when all have come.

    Args:
      benchmark: name of the benchmark.
      part: which part of it the rows belong to.
      title: of the table.
      rows: numbers and words by column; None where there is nothing to say.
      notes: sentences below the table.
    """
    RESULTS.mkdir(exist_ok=True)
    common = {
        "benchmark": benchmark,
        "part": part,
        "machine": machine()._asdict(),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")},
    }
    reported = []
    for row in rows:
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with open(RESULTS / f"{benchmark}.jsonl", "a") as file:
            file.write(json.dumps({**common, "at": at, **row}) + "\n")
        reported.append(row)

    columns = list(dict.fromkeys(column for row in reported for column in row))
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        words = any(isinstance(row.get(column), str) for row in reported)
        table.add_column(column, justify="left" if words else "right")
    for row in reported:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    _console.print(table)
    for note in notes:
        _console.print(note, style="dim", highlight=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
    return f"{value:.1e}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line.split(":", 1)[1].strip() for line in information.open() if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
