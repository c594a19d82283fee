"""LIMIT: steps, epochs with validation, grids of settings, detection of wrong labels, and Fano's bound, on MNIST.

`python -m benchmarks.label_noise --help` lists the parts; without a part all of them run.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr

from benchmarks.harness import Part, Report, Row, announce, in_turns, machine, main, measure, of_peer, timed
from benchmarks.label_noise import published
from benchmarks.label_noise.detectors import all_detectors, cleanlab_ids, label_task, neighbour_probabilities, quality
from benchmarks.label_noise.programs import PEER, STEPS, Epoch, Steps, our_epoch, published_epoch
from benchmarks.label_noise.systems import NUM_CLASSES, make_system
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import data, training
from infotheory_dl.label_noise.detection import Filter, noisy_ids
from infotheory_dl.label_noise.information import fano_error

METHODS: tuple[published.Method, ...] = get_args(published.Method)

# operations of the four-layer CNN for one image; the first layer needs no gradient of its input
_FIRST_LAYER = 2 * 196 * 16 * 32
_FORWARD = _FIRST_LAYER + 2 * (49 * 512 * 32 + 9 * 288 * 64 + 576 * 256 + 256 * 128 + 128 * 10)
_BOTH_WAYS = 3 * _FORWARD - _FIRST_LAYER


@dataclass(frozen=True)
class Grid:
    """Models per second by the number of settings that are trained at once."""

    sets: tuple[Literal["mnist", "digits"], ...] = ("mnist", "digits")
    """MNIST for the four-layer CNN, digits for a smaller one."""
    n: int = 1000
    num_epochs: int = 2
    batch_size: int = 256
    models: tuple[int, ...] = (1, 4, 16, 64)
    axes: tuple[Literal["map", "vmap"], ...] = ("map", "vmap")
    models_at_once: int = 16
    """Side by side with vmap; they bound the memory."""


@dataclass(frozen=True)
class Detection:
    """Wrong labels found by ours and by cleanlab."""

    n: int = 1000
    rates: tuple[float, ...] = (0.5, 0.2)
    draws: int = 3
    """Draws of the sample, the noise and the networks."""
    sets: tuple[Literal["mnist", "digits"], ...] = ("mnist", "digits")
    detectors: tuple[str, ...] = ("",)
    """Those with one of these in their names; default all."""
    epochs: int = 60
    """Of LIMIT and of early-learning regularization."""
    fold_epochs: int = 10
    """Of the networks of a cross-validation."""
    seed: int = 0


@dataclass(frozen=True)
class Filters:
    """The ids of wrong labels from given probabilities."""

    dataset: Literal["mnist", "digits"] = "mnist"
    n: int = 10_000
    rate: float = 0.2
    repeats: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Fano:
    """Curves of the least training error by the information about the labels."""

    points: int = 1000
    repeats: int = 20


def steps(settings: Steps) -> Report:
    """Part (a): milliseconds of a step, forward, backward and Adam."""

    def rows() -> Iterator[Row]:
        for size in settings.batch_sizes:
            for method in METHODS:
                announce(f"{method}, batch {size}")
                floor = machine().floor(size * (1 + (method == "LIMIT")) * _BOTH_WAYS)
                programs = {name: functools.partial(program, settings, method, size) for name, program in STEPS.items()}
                theirs: float | None = None
                for name, numbers in in_turns(programs, processes=settings.processes):
                    row: Row = {"method": method, "batch": size, "program": name} | numbers
                    if "ms" in row:
                        theirs = row["ms"] if name == PEER else theirs
                        row["PyTorch / ours"] = theirs / row["ms"] if theirs and name != PEER else None
                        row["taken / floor"] = row["ms"] / 1e3 / floor
                    yield row

    notes = [taken_by(settings.processes), peak()]
    return Report("Milliseconds of a training step, the four-layer CNN", rows(), notes)


def epoch(settings: Epoch) -> Report:
    """Part (b): seconds of an epoch with the validation after it."""

    def rows() -> Iterator[Row]:
        for n in settings.sizes:
            for method in METHODS:
                announce(f"{method}, n = {n}")
                operations = n * (1 + (method == "LIMIT")) * _BOTH_WAYS + settings.validation * _FORWARD
                programs = {
                    "published": functools.partial(published_epoch, settings, method, n),
                    "ours": functools.partial(our_epoch, settings, method, n),
                }
                theirs: float | None = None
                for name, numbers in in_turns(programs, processes=settings.processes):
                    row: Row = {"method": method, "n": n, "program": name} | numbers
                    if name == "published":
                        theirs = row.get("seconds")
                    else:
                        row["published / ours"] = theirs and theirs / row["seconds"]
                        row["taken / floor"] = row["seconds"] / machine().floor(operations)
                    yield row

    title = f"Seconds of an epoch with validation on {settings.validation:,} images, batch {settings.batch_size}"
    notes = [
        "Published LIMIT validates both networks, ours the classifier.",
        taken_by(settings.processes),
        peak(),
    ]
    return Report(title, rows(), notes)


def grid(settings: Grid) -> Report:
    """Part (c): models per second, compilation apart, by how many settings are trained at once."""

    def rows() -> Iterator[Row]:
        for name in settings.sets:
            images = data.load(name, f"train[:{settings.n}]")
            pixels = data.standardize(images.x, *data.pixel_moments(images.x))
            alone: float | None = None
            for axis in settings.axes:
                for models in settings.models:
                    announce(f"{name}, {axis}, {models} models")
                    row = grid_row(settings, (pixels, images.y), axis, models)
                    alone = row["models/s"] if alone is None else alone
                    yield {"set": name, "axis": axis, "models": models} | row | {"times": row["models/s"] / alone}

    title = f"Models per second, penalties of LIMIT, n = {settings.n}, {settings.num_epochs} epochs"
    notes = [f"vmap: at most {settings.models_at_once} side by side. Times: that of the first row of a set."]
    return Report(title, rows(), notes)


def grid_row(settings: Grid, examples: tuple[np.ndarray, np.ndarray], axis: Literal["map", "vmap"], models: int) -> Row:
    """The seconds of so many models."""
    system = make_system("LIMIT", examples[0].shape[1:])
    init_keys, keys = jax.random.split(jax.random.key(0), (2, models))
    train = functools.partial(
        training.train_many,
        keys,
        system.step,
        jax.jit(jax.vmap(system.init))(init_keys, jnp.geomspace(0.1, 100, models)),
        examples,
        num_epochs=settings.num_epochs,
        batch_size=settings.batch_size,
        axis=axis,
        models_at_once=min(models, settings.models_at_once),
    )
    _, first = timed(train)
    _, seconds = timed(train)
    return {"seconds": seconds, "compilation": first - seconds, "models/s": models / seconds}


def detection(settings: Detection) -> Report:
    """Part (d): area under ROC, average precision and seconds, mean over the draws."""

    def rows() -> Iterator[Row]:
        for name in settings.sets:
            images = data.load(name)
            for rate in settings.rates:
                keys = jax.random.split(jax.random.key(settings.seed), settings.draws)
                tasks = [label_task(key, images, size=settings.n, flipped=rate) for key in keys]
                detectors = all_detectors(epochs=settings.epochs, fold_epochs=settings.fold_epochs)
                for detector_name, detector in detectors.items():
                    if any(part in detector_name for part in settings.detectors):
                        announce(f"{name}, {rate:.0%} wrong: {detector_name}")
                        common = {"task": f"{name}, {rate:.0%}", "detector": detector_name}
                        yield from (common | row for row in quality(detector, tasks))

    return Report(
        f"Wrong labels among {settings.n}, mean of {settings.draws} draws",
        rows(),
        notes=[
            "sd: over the draws. Seconds: of the later draws, for all scores of a detector; the first one compiles."
        ],
    )


def filters(settings: Filters) -> Report:
    """Part (e): milliseconds from probabilities to ids, and how many of them are wrong labels indeed."""
    task = label_task(
        jax.random.key(settings.seed), data.load(settings.dataset), size=settings.n, flipped=settings.rate
    )
    probabilities = neighbour_probabilities(task)

    def row(program: str, method: str, ids: Callable[[], np.ndarray]) -> Row:
        found, timing = measure(ids, repeats=settings.repeats)
        hits = task.flipped[found].sum()
        return {
            "filter": method,
            "program": program,
            "ms": 1e3 * timing.median,
            "ids": len(found),
            "precision": float(hits / len(found)),
            "recall": float(hits / task.flipped.sum()),
        }

    def rows() -> Iterator[Row]:
        for method in get_args(Filter):
            yield row("ours", method, functools.partial(noisy_ids, probabilities, task.labels, filter=method))
            for jobs in (None, 1):
                name = "cleanlab" if jobs is None else "cleanlab, one process"
                ids = functools.partial(cleanlab_ids, probabilities, task.labels, method, jobs)
                yield of_peer(functools.partial(row, name, method, ids))

    title = (
        f"Ids of wrong labels, {settings.n:,} of {settings.dataset}, {settings.rate:.0%} wrong, by nearest neighbours"
    )
    return Report(title, rows())


def fano(settings: Fano) -> Report:
    """Part (f): milliseconds for a curve."""
    noises = {f"uniform {rate}": data.uniform_transition(NUM_CLASSES, rate)[0] for rate in (0.4, 0.8)}
    noises["pairs 0.4"] = data.cifar10_transition(0.4)[9]

    def rows() -> Iterator[Row]:
        for name, noise in noises.items():
            announce(name)
            information = np.linspace(0, float(entr(noise).sum()), settings.points)
            ours, timing = measure(functools.partial(fano_error, noise, information), repeats=settings.repeats)
            theirs, seconds = timed(functools.partial(published.fano_error, noise, information))
            yield {
                "noise": name,
                "ours": 1e3 * timing.median,
                "compilation": 1e3 * timing.compilation,
                "a grid in Python": 1e3 * seconds,
                "ratio": seconds / timing.median,
                "largest difference": float(np.abs(ours - theirs).max()),
            }

    notes = ["The grid is of a thousand error rates, from 0.001 to 0.999: where the error is zero it says 0.001."]
    return Report(f"Milliseconds of a curve of {settings.points} points", rows(), notes)


def taken_by(processes: int) -> str:
    """How the programs were measured."""
    return f"Medians of {processes} processes, in turns." if processes else "All programs in one process."


def peak() -> str:
    """What the floors are computed from."""
    return f"Floor: operations over {machine().flops / 1e9:,.0f} Gflop/s, measured here."


PARTS = {
    "steps": Part(steps, Steps(), table=Table(("machine", "method", "batch"), ("ms",), across="program")),
    "epoch": Part(epoch, Epoch(), table=Table(("method", "n"), ("seconds",), across="program", where=ON_CPU)),
    "grid": Part(
        grid,
        Grid(),
        Grid(("digits",), n=64, num_epochs=1, batch_size=32, models=(2,), axes=("map",)),
        table=Table(("machine", "set", "models"), ("models/s",), across="axis"),
    ),
    "detection": Part(detection, Detection(), table=Table(("detector", "score"), ("AUROC", "AP"), across="task")),
    "filters": Part(filters, Filters(), Filters("digits", n=200, repeats=1)),
    "fano": Part(fano, Fano(), Fano(points=20, repeats=1)),
}

if __name__ == "__main__":
    main("label_noise", __doc__, PARTS)
