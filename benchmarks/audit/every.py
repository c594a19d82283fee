"""Parts of the benchmark on audits of every example: growth, tables, sets as they were published."""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.audit.measuring import COLUMNS, audited, measured
from benchmarks.audit.pictures import draw_suspects
from benchmarks.harness import Part, Report, Row, in_turns, peak_memory, reset_peak_memory
from benchmarks.tables import Table
from infotheory_dl import data

_CLOTHES = {
    "fashion_mnist": ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
}


@dataclass(frozen=True)
class Growth:
    """Audits of more and more examples, a tenth of the labels flipped."""

    set: str = "mnist"
    examples: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 60_000)
    draws: int = 3
    flipped: float = 0.1
    processes: int = 1
    """How often each is measured in a process of its own; 0 for all in this one."""


@dataclass(frozen=True)
class Tables:
    """Tables of numbers, and features of pretrained networks: examples, columns, classes."""

    sizes: tuple[tuple[int, int, int], ...] = ((20_000, 50, 8), (50_000, 768, 100), (50_000, 768, 1000))
    flipped: float = 0.1
    processes: int = 1


@dataclass(frozen=True)
class Suspects:
    """The labels that sets were published with, none of them flipped: a picture of the most suspect."""

    sets: tuple[str, ...] = ("mnist", "fashion_mnist")
    examples: int | None = None
    """Of each set; None for all."""
    most_suspect: int = 50
    folder: str | None = "docs/images"
    """Where the pictures go; None draws none."""
    processes: int = 1


def growth(settings: Growth) -> Report:
    """Time, memory and detection by the number of examples."""

    def rows() -> Iterator[Row]:
        programs = {
            f"{n:,} examples": functools.partial(_draws, settings.set, n, settings.flipped, settings.draws)
            for n in settings.examples
        }
        for (_, row), n in zip(in_turns(programs, processes=settings.processes), settings.examples, strict=True):
            yield {"set": settings.set, "examples": n} | row

    return Report(f"{settings.flipped:.0%} wrong labels, mean of {settings.draws} draws", rows())


def tables(settings: Tables) -> Report:
    """Time, memory and detection on rows of numbers."""

    def rows() -> Iterator[Row]:
        programs = {
            f"{n:,} x {width}, {k} classes": functools.partial(_table, n, width, k, settings.flipped)
            for n, width, k in settings.sizes
        }
        for name, row in in_turns(programs, processes=settings.processes):
            yield {"table": name} | row

    return Report(f"{settings.flipped:.0%} wrong labels", rows())


def suspects(settings: Suspects) -> Report:
    """How many of the published training labels are taken to be wrong, with a picture of the most suspect."""

    def rows() -> Iterator[Row]:
        programs = {
            name: functools.partial(_published, name, settings.examples, settings.most_suspect, settings.folder)
            for name in settings.sets
        }
        for name, row in in_turns(programs, processes=settings.processes):
            yield {"set": name} | row

    return Report(f"training labels as published, and the {settings.most_suspect} most suspect", rows())


def _published(name: str, examples: int | None, most_suspect: int, folder: str | None) -> Row:
    images = data.load(name)
    reset_peak_memory()
    processor, wall = time.process_time(), time.perf_counter()
    result = audited(0, images.x, images.y, 0.0, train_size=examples)
    seconds = {"CPU seconds": time.process_time() - processor, "seconds": time.perf_counter() - wall}
    memory, errors = peak_memory(), result.label_errors
    if folder is not None:
        draw_suspects(result, most_suspect, Path(folder) / f"suspects_{name}.png", _CLOTHES.get(name))
    found = {
        "examples": len(result.examples.labels),
        "wrong, %": 100 * errors.error_rate,
        "repairs": int(errors.repaired.sum()),
    }
    return found | seconds | {"GiB": memory}


def _draws(name: str, examples: int, flipped: float, draws: int) -> Row:
    images = data.load(name)
    size = None if examples >= len(images.y) else examples
    rows = [measured(functools.partial(audited, i, images.x, images.y, flipped, train_size=size)) for i in range(draws)]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _table(examples: int, width: int, classes: int, flipped: float) -> Row:
    """Classes around three means each; of many columns, such as a network's features, all on one scale."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(classes, 3, width)) * (1.0 if width < 128 else 0.35)
    y = rng.integers(0, classes, examples)
    x = (means[y, rng.integers(0, 3, examples)] + rng.normal(size=(examples, width))).astype(np.float32)
    return measured(functools.partial(audited, 0, x, y, flipped, embeddings=width >= 128))


PARTS = {
    "growth": Part(
        growth,
        Growth(),
        smoke=Growth(set="digits", examples=(100,), draws=1, processes=0),
        table=Table(("set", "examples"), COLUMNS, digits=4),
    ),
    "tables": Part(
        tables, Tables(), smoke=Tables(sizes=((200, 5, 3),), processes=0), table=Table(("table",), COLUMNS, digits=4)
    ),
    "suspects": Part(
        suspects,
        Suspects(),
        smoke=Suspects(sets=("digits",), examples=100, folder=None, processes=0),
    ),
}
