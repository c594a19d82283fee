"""What every benchmark shares: parts and presets, timing, the machine and its peaks, rows of results, missing peers."""

import argparse
import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import tyro

from benchmarks.tables import RESULTS, Table
from experiments.harness import Row, as_json, choose_preset, console, print_table
from infotheory_dl._files import append_line

Result = TypeVar("Result")


class Report(NamedTuple):
    """What a part of a benchmark finds.

    Attributes:
      title: of its table.
      rows: numbers and words by column, each kept as it comes; None where there is nothing to say.
      notes: sentences below the table.
    """

    title: str
    rows: Iterable[Row]
    notes: Sequence[str] = ()


class Part(NamedTuple):
    """A part of a benchmark.

    Attributes:
      run: measures.
      settings: of the measurement, an instance of a frozen dataclass of its own.
      smoke: settings with which it runs in seconds and without a data set of others; None leaves it out.
      table: how the docs show its rows, if they do.
    """

    run: Callable[[Any], Report]
    settings: Any
    smoke: Any = None
    table: Table | None = None


class Timing(NamedTuple):
    """Seconds of a call, on the clock but for one.

    Attributes:
      median: of the repeats, which follow a first call.
      fastest: of the repeats.
      processor: of all cores, the least of the repeats: what the call takes on a machine that others load as well.
      compilation: what the first call took beyond the median.
    """

    median: float
    fastest: float
    processor: float
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


def main(name: str, description: str | None, parts: Mapping[str, Part], arguments: Sequence[str] | None = None) -> None:
    """Runs one part of a benchmark, as the command line says, or all.

    Args:
      name: of the benchmark; rows are appended to NAME.jsonl in the folder that --output names.
      description: of it, for --help.
      parts: by name.
      arguments: in place of those of the command line.
    """
    preset, options = choose_preset(("full", "smoke"), arguments)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--output", type=Path, default=RESULTS)
    folder, options = first.parse_known_args(options)
    if preset == "smoke" and folder.output == RESULTS:
        first.error("smoke measures nothing: name a folder for its rows by --output")
    settings = {part: parts[part].smoke if preset == "smoke" else parts[part].settings for part in parts}
    settings = {part: value for part, value in settings.items() if value is not None}
    if options:
        description = f"{description}\n\n--preset smoke shows that they run; --output names the folder of the rows."
        one = tyro.cli(
            tyro.extras.subcommand_type_from_defaults(settings, prefix_names=False),
            args=options,
            description=description,
        )
        settings = {part: one for part, value in settings.items() if type(value) is type(one)}
    for part, value in settings.items():
        common = {"benchmark": name, "part": part, "settings": dataclasses.asdict(value)}
        record(parts[part].run(value), folder.output / f"{name}.jsonl", common)


def record(report: Report, file: Path, common: Row) -> None:
    """Appends the rows of a report to a file, each as it comes, and prints them as a table when all have come.

    A row of a library that is missing is left out, and the library is named below the table.

    Args:
      report: the rows.
      file: where they go.
      common: what is said in each of them, besides the machine, the versions and the time.
    """
    common = common | {
        "machine": machine()._asdict(),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")},
    }
    rows: list[Row] = []
    missing: dict[str, None] = {}
    for row in report.rows:
        if "missing" in row:
            missing[row["missing"]] = None
            continue
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        append_line(file, as_json({**common, "at": at, **row}))
        rows.append(row)
    notes = [f"{library} is not installed: its rows are missing." for library in missing]
    print_table(report.title, rows, notes=[*report.notes, *notes])


def announce(step: str) -> None:
    """Says what runs now."""
    console.print(step, style="dim", highlight=False)


def of_peer(program: Callable[[], Row]) -> Row:
    """The numbers of a program that needs a library of others; or the name of that library, where it is missing."""
    try:
        return program()
    except ImportError as error:
        library = (error.name or str(error)).split(".")[0]
        if library in ("benchmarks", "experiments", "infotheory_dl"):
            raise
        return {"missing": library}


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """Calls once and waits until the device is done; returns the result and the seconds."""
    start = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - start


def measure(function: Callable[[], Result], *, repeats: int = 5) -> tuple[Result, Timing]:
    """Calls once to warm up and `repeats` times to measure."""
    result, first = timed(function)
    seconds, processors = [], []
    for _ in range(repeats):
        begun = time.process_time()
        seconds.append(timed(function)[1])
        processors.append(time.process_time() - begun)
    median = statistics.median(seconds)
    return result, Timing(median, min(seconds), min(processors), max(0.0, first - median))


def in_turns(programs: Mapping[str, Callable[[], Row]], *, processes: int) -> Iterator[tuple[str, Row]]:
    """Measures programs that would disturb each other, one after the other and over again, each time in a new process.

    Args:
      programs: by name; each returns its numbers and can be pickled.
      processes: of each program; 0 for all programs in this one.

    Yields:
      The name of each program and the medians of its numbers over the processes, or what `of_peer` says.
    """
    rounds: dict[str, list[Row]] = {name: [] for name in programs}
    for _ in range(max(1, processes)):
        for name, program in programs.items():
            if any("missing" in row for row in rounds[name]):
                continue
            announce(name)
            rounds[name].append(of_peer(functools.partial(_in_new_process, program) if processes else program))
    for name, rows in rounds.items():
        missing = "missing" in rows[-1]
        yield name, rows[-1] if missing else {key: statistics.median(row[key] for row in rows) for key in rows[0]}


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
    """Describes this machine and measures its two peaks."""
    # large enough for the peaks of the device, and on a CPU to leave its caches
    side, length = (2048, 2**26) if jax.default_backend() == "cpu" else (4096, 2**27)
    matrix = jnp.ones((side, side), jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    vector = jnp.ones(length, jnp.float32)
    increment = jax.jit(lambda a: a + 1)
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        device=jax.devices()[0].device_kind,
        flops=2 * len(matrix) ** 3 / measure(lambda: product(matrix))[1].fastest,
        bandwidth=2 * vector.nbytes / measure(lambda: increment(vector))[1].fastest,
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line.split(":", 1)[1].strip() for line in information.open() if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
