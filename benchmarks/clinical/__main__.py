"""The clinical benchmark: from the tables of MIMIC-III to series, beside the rules written plainly; arrays, intervals.

`python -m benchmarks.clinical --help` lists the parts; without a part all of them run.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

from benchmarks.clinical import plain
from benchmarks.clinical.copies import write_copies
from benchmarks.clinical.recurrent import Steps, lstm
from benchmarks.harness import Part, Report, Row, announce, main, measure, timed
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import clinical, metrics

_DEMO = Path(os.environ.get("INFOTHEORY_DL_TEST_DATA", ".")) / "mimic3_demo"
# a process of its own for each: what it prints is CPU seconds, seconds and the peak of memory in GiB
_MEASURED = """
import json, re, sys, time
from pathlib import Path
{work}
began, cpu = time.perf_counter(), time.process_time()
rows = run(sys.argv[1], sys.argv[2])
# of this process alone: what getrusage says is at least what the one had that started it
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 2**20
print(json.dumps([time.process_time() - cpu, time.perf_counter() - began, peak, rows]))
"""
_OURS = """
from infotheory_dl import clinical, metrics
def run(source, folder):
    return clinical.build(source, Path(folder) / "store").events["rows"]
"""
_PLAINLY = """
from benchmarks.clinical import plain
def run(source, folder):
    plain.series(Path(source))
    return sum(1 for name in ("CHARTEVENTS", "LABEVENTS") for _ in plain.rows_of(Path(source), name))
"""


@dataclass(frozen=True)
class Extraction:
    """From the tables to the series of all stays."""

    made_up: bool = False
    """Whether of made-up tables; else of the demo in the folder INFOTHEORY_DL_TEST_DATA, each table `.csv.gz`."""
    times: tuple[int, ...] = (1, 10, 50)
    """How often the tables are repeated, each time with other patients."""
    plainly: tuple[int, ...] = (1,)
    """Of these, where the rules written plainly run too."""
    num_subjects: int = 20
    """Of the made-up tables."""


@dataclass(frozen=True)
class Arrays:
    """From a store to arrays, and the intervals of a measure."""

    made_up: bool = False
    """Whether of made-up tables; else of the demo."""
    n: int = 3236
    """Examples of the intervals: the mortality task's test set."""
    several: tuple[int, int] = (6281, 25)
    """Examples and labels of others: the phenotyping task's test set."""
    num_resamples: int = 10_000
    looped: int = 100
    """Resamples of the loop over scikit-learn; of several labels a twentieth."""
    repeats: int = 5


def extraction(settings: Extraction) -> Report:
    """Seconds, rows in a second and the peak of memory."""

    def rows() -> Iterator[Row]:
        for times in settings.times:
            with tempfile.TemporaryDirectory() as folder:
                source = _source(settings, times, Path(folder) / "tables")
                for program, work in {"ours": _OURS, "the rules written plainly": _PLAINLY}.items():
                    if work is _PLAINLY and times not in settings.plainly:
                        continue
                    announce(f"{program}, {times} times the tables")
                    yield {"program": program, "copies": times, **_measured(work, source, Path(folder))}

    return Report("Seconds from the tables to the series of all stays", rows())


def arrays(settings: Arrays) -> Report:
    """Seconds from a store to arrays, and of intervals."""

    def rows() -> Iterator[Row]:
        with tempfile.TemporaryDirectory() as folder:
            source = _DEMO
            if settings.made_up:
                source = clinical.write_tables(clinical.synthetic(jax.random.key(0), 20), Path(folder) / "tables")
            store = clinical.build(source, Path(folder) / "store").path
            samples = clinical.read(store, "phenotyping", "train")
            series = clinical.read_series(samples)
            of_hours = clinical.read(store, "length_of_stay", "train")
        grid = functools.partial(clinical.discretize, series, end=samples.length)
        bins = int(np.asarray(grid().lengths).sum())
        hourly = functools.partial(clinical.features, series, stay=of_hours.stay, end=of_hours.period)
        work: dict[str, Callable[[], object]] = {
            f"grid of {len(samples.names)} stays, {bins:,} bins": grid,
            f"features of {len(of_hours.stay):,} hourly samples": hourly,
        }
        for name, program in work.items():
            announce(name)
            yield {"program": name, **_timed(program, settings.repeats)}

        def looped_grid() -> None:
            for stay, end in enumerate(samples.length.tolist()):
                mine = slice(*series.offsets[stay : stay + 2])
                hours, channels, values = (of[mine].tolist() for of in (series.hours, series.channel, series.value))
                plain.grid(hours, channels, values, end)

        announce("a loop over measurements and bins")
        yield {"program": f"grid of {len(samples.names)} stays, a loop in Python", "seconds": timed(looped_grid)[1]}

        for shape in ((settings.n,), settings.several):
            yield from _intervals(shape, settings)

    notes = [f"The loop over scikit-learn: {settings.looped} resamples, scaled to all."]
    return Report("Seconds from a store to arrays, and of intervals", rows(), notes)


def _intervals(shape: tuple[int, ...], settings: Arrays) -> Iterator[Row]:
    """The bootstrap of one label or of several, beside a loop."""
    random = np.random.default_rng(0)
    labels = (random.random(shape) < 0.12).astype(int)
    shares = np.clip(0.2 * labels + 0.8 * random.random(shape), 0, 1).astype(np.float32)
    measure = metrics.binary if len(shape) == 1 else metrics.multilabel
    resamples = settings.num_resamples
    drawn = functools.partial(metrics.bootstrap, jax.random.key(0), measure, labels, shares, num_resamples=resamples)
    of_labels = "" if len(shape) == 1 else f" and {shape[1]} labels"
    name = f"{resamples:,} resamples of {shape[0]:,} examples{of_labels}"
    announce(name)
    yield {"program": name, **_timed(drawn, settings.repeats if len(shape) == 1 else 1)}

    looped = settings.looped if len(shape) == 1 else max(1, settings.looped // 20)

    def loop() -> None:
        for _ in range(looped):
            rows = random.integers(0, shape[0], shape[0])
            if len(shape) > 1:
                for average in (None, "micro"):
                    roc_auc_score(labels[rows], shares[rows], average=average)
                continue
            roc_auc_score(labels[rows], shares[rows])
            precision, recall, _ = precision_recall_curve(labels[rows], shares[rows])
            auc(recall, precision)

    announce("a loop over scikit-learn")
    seconds = timed(loop)[1] * resamples / looped
    yield {"program": f"{name}, a loop over scikit-learn", "seconds": seconds}


def _timed(program: Callable[[], object], repeats: int) -> Row:
    _, timing = measure(program, repeats=repeats)
    return {"seconds": timing.median, "compilation": timing.compilation}


def _source(settings: Extraction, times: int, folder: Path) -> Path:
    if settings.made_up:
        return clinical.write_tables(clinical.synthetic(jax.random.key(0), settings.num_subjects), folder)
    write_copies(_DEMO, folder, times)
    return folder


def _measured(work: str, source: Path, folder: Path) -> Row:
    command = [sys.executable, "-c", _MEASURED.format(work=work), str(source), str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    cpu, seconds, peak, rows = json.loads(process.stdout)
    return {"rows": rows, "CPU seconds": cpu, "seconds": seconds, "rows/s": rows / seconds, "peak GiB": peak}


PARTS = {
    "extraction": Part(
        extraction,
        Extraction(),
        Extraction(made_up=True, times=(1,)),
        table=Table(("program", "copies"), ("rows", "CPU seconds", "peak GiB"), where=ON_CPU),
    ),
    "arrays": Part(
        arrays,
        Arrays(),
        Arrays(made_up=True, n=100, several=(100, 2), num_resamples=100, looped=5, repeats=1),
        table=Table(("program",), ("seconds",), where=ON_CPU),
    ),
    "lstm": Part(
        lstm,
        Steps(),
        Steps(sizes=(8,), hours=6, steps=2, repeats=1, processes=0),
        table=Table(("size", "program"), ("ms", "CPU ms", "ms / floor"), where=ON_CPU),
    ),
}

if __name__ == "__main__":
    main("clinical", __doc__, PARTS)
