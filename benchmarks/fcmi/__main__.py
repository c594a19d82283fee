"""f-CMI: steps of many models, a whole sweep, the bounds, and runs without training, on MNIST 4 against 9.

`python -m benchmarks.fcmi --help` lists the parts; without a part all of them run.
"""

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.fcmi import published
from benchmarks.harness import Part, Report, Row, announce, machine, main, measure, of_peer, timed
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import data, fcmi, networks, training
from infotheory_dl.fcmi import bounds, run_networks
from infotheory_dl.fcmi.linearized import linearized_runs
from infotheory_dl.linearization import empirical_kernel
from infotheory_dl.networks.layers import Implementation

Axis: TypeAlias = Literal["map", "vmap"]

# multiplications and additions of the four-layer CNN for one image: a pass forward and two backward
_OPERATIONS = 6 * (196 * 16 * 32 + 49 * 512 * 32 + 9 * 288 * 64 + 576 * 256 + 256 * 128 + 128 * 2)
_CROSS_ENTROPY = optax.softmax_cross_entropy_with_integer_labels


@dataclass(frozen=True)
class Steps:
    """One training step of one model, by how many models there are and how they are put together."""

    batch_size: int = 75
    models: tuple[int, ...] = (1, 10, 50)
    steps: int = 10
    repeats: int = 3


@dataclass(frozen=True)
class Sweep:
    """All trainings behind a bound as one program, beside a process for each model."""

    n: int = 75
    num_supersamples: int = 2
    num_runs: int = 30
    num_epochs: int = 40
    published_processes: int = 2
    """Processes that are started; their mean time is scaled to all models."""


@dataclass(frozen=True)
class Scaling:
    """Models per second by the number of models."""

    n: int = 75
    num_epochs: int = 10
    models: tuple[int, ...] = (1, 10, 100, 1000)
    axes: tuple[Axis, ...] = ("map", "vmap")
    largest_on_cpu: int = 100
    """More models than these are left out where there is no accelerator."""


@dataclass(frozen=True)
class Bounds:
    """All bounds from arrays, beside a loop in Python over the rows."""

    num_supersamples: int = 5
    num_runs: int = 30
    entries: int = 2000
    repeats: int = 10


@dataclass(frozen=True)
class Linearized:
    """Runs of the linearized network."""

    n: int = 75
    runs: int = 10_000
    repeats: int = 3


def steps(settings: Steps) -> Report:
    """Milliseconds of a step of one model, forward, backward and Adam."""
    size = settings.batch_size
    x = np.random.default_rng(0).normal(size=(size, 28, 28, 1)).astype(np.float32)
    examples = x, np.arange(size) % 2

    def system(implementation: Implementation) -> tuple[Any, Any]:
        network = networks.four_layer_cnn(2, width=128, batch_norm=True, implementation=implementation)
        system = training.supervised(network, optax.adam(1e-3), _CROSS_ENTROPY)
        return system, system.init(jax.jit(network.init)(jax.random.key(0), x[:1]))

    def in_one_program(axis: Any, models: int, implementation: Implementation) -> float:
        ordinary, state = system(implementation)
        states = jax.tree.map(lambda leaf: jnp.stack([leaf] * models), state)
        keys = jax.random.split(jax.random.key(0), models)
        train = functools.partial(
            training.train_many, keys, ordinary.step, states, examples, num_epochs=settings.steps, axis=axis
        )
        return measure(train, repeats=settings.repeats)[1].median / settings.steps / models

    def one_by_one(implementation: Implementation) -> float:
        ordinary, state = system(implementation)
        step = jax.jit(ordinary.step)
        batch = training.Batch(examples, jnp.ones(size, bool), jnp.arange(size))

        def train() -> Any:
            reached = state
            for number in range(settings.steps):
                reached, _ = step(reached, batch, jax.random.key(number))
            return reached

        return measure(train, repeats=settings.repeats)[1].median / settings.steps

    def torch() -> float:
        step = published.training_step(size)
        return (
            measure(lambda: [step() for _ in range(settings.steps)], repeats=settings.repeats)[1].median
            / settings.steps
        )

    def rows() -> Iterator[Row]:
        floor = machine().floor(size * _OPERATIONS)

        def row(program: str, models: int, seconds: Callable[[], float]) -> Row:
            announce(f"{program}, {models} models")
            taken = seconds()
            return {"program": program, "models": models, "ms": 1e3 * taken, "taken / floor": taken / floor}

        yield of_peer(lambda: row("PyTorch, eager", 1, torch))
        yield row("ours, a jitted step, patches", 1, functools.partial(one_by_one, "patches"))
        yield row("ours, a jitted step, lax.conv", 1, functools.partial(one_by_one, "lax"))
        for axis in ("map", "vmap"):
            for models in settings.models:
                yield row(f"ours, {axis}", models, functools.partial(in_one_program, axis, models, "auto"))
        yield row("ours, map, lax.conv", 1, functools.partial(in_one_program, "map", 1, "lax"))

    title = f"Milliseconds of a training step of one model, batch {size}, the four-layer CNN"
    return Report(title, rows(), [f"Floor: {machine().flops / 1e9:,.0f} Gflop/s, measured here."])


def sweep(settings: Sweep) -> Report:
    """Seconds for all models of one training size."""
    supersamples, images = draw(settings.n, settings.num_supersamples)
    selection = fcmi.draw_selection_legacy(range(settings.num_runs), settings.n)
    models = settings.num_supersamples * settings.num_runs
    network = networks.Standardized(networks.four_layer_cnn(2, width=128, batch_norm=True))
    train = functools.partial(
        run_networks,
        jax.random.key(0),
        network,
        supersamples,
        selection,
        num_epochs=settings.num_epochs,
        deterministic=True,
    )
    runs, first = timed(train)
    _, seconds = timed(train)
    bound = bounds.fcmi(runs.predictions[-1], runs.selection, num_classes=2)
    gap = bounds.generalization_gap(bounds.zero_one_losses(runs.predictions[-1], runs.labels), runs.selection)
    floor = machine().floor(models * settings.num_epochs * settings.n * _OPERATIONS)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pool.npz"
        np.savez(file, images=images.x[:48_000, ..., 0], labels=images.y[:48_000])
        theirs = [
            time_process(file, settings.n, seed, settings.num_epochs) for seed in range(settings.published_processes)
        ]
    one = {part: float(np.mean([process[part] for process in theirs])) for part in theirs[0]}
    scaled = models * one["whole"]
    rows = [
        {"program": "ours, one program", "seconds": seconds, "compilation": first - seconds, "floor": floor},
        {"program": "a process for each model", "seconds": scaled, "ratio": scaled / seconds},
        {"program": "of these: training", "seconds": models * one["train"], "ratio": models * one["train"] / seconds},
    ]
    return Report(
        f"Seconds for {models} models, n = {settings.n}, {settings.num_epochs} epochs",
        rows,
        notes=[
            f"A process for each model: the mean of {settings.published_processes} times {models}.",
            f"Gap {float(gap.value):.4f}, f-CMI bound {float(bound.value):.4f}.",
        ],
    )


def scaling(settings: Scaling) -> Report:
    """Models per second, compilation apart, by how many are trained at once."""
    on_cpu = jax.default_backend() == "cpu"
    supersamples, _ = draw(settings.n, 1)
    network = networks.Standardized(networks.four_layer_cnn(2, width=128, batch_norm=True))

    def row(axis: Axis, models: int) -> Row:
        announce(f"{axis}, {models} models")
        selection = fcmi.draw_selection(jax.random.key(0), models, settings.n)
        train = functools.partial(
            run_networks,
            jax.random.key(0),
            network,
            supersamples,
            selection,
            num_epochs=settings.num_epochs,
            axis=axis,
        )
        timed(train)
        _, seconds = timed(train)
        return {"axis": axis, "models": models, "seconds": seconds, "models/s": models / seconds}

    cases = [
        (axis, models)
        for axis in settings.axes
        for models in settings.models
        if not (on_cpu and models > settings.largest_on_cpu)
    ]
    title = f"Models per second, n = {settings.n}, {settings.num_epochs} epochs"
    return Report(title, (row(*case) for case in cases))


def all_bounds(settings: Bounds) -> Report:
    """Milliseconds for every bound."""
    random = np.random.default_rng(0)
    shape = settings.num_supersamples, settings.num_runs
    selection = random.integers(0, 2, (*shape, settings.entries // 2)).astype(np.int8)
    labels = random.integers(0, 2, (settings.num_supersamples, settings.entries))
    wrong = random.random((*shape, settings.entries)) < 0.1
    predictions = np.where(wrong, 1 - labels[:, None], labels[:, None]).astype(np.int8)

    values, every = measure(
        lambda: bounds.evaluate_all(selection, predictions=predictions, labels=labels, num_classes=2),
        repeats=settings.repeats,
    )
    ours, one = measure(lambda: bounds.fcmi(predictions, selection, num_classes=2), repeats=settings.repeats)
    pairs = zip(predictions, selection, strict=True)
    theirs, loop = timed(lambda: np.mean([published.plugin_bound(*pair, 2) for pair in pairs]))
    rows = [
        {"bounds": f"all {len(values)}", "ms": 1e3 * every.median, "compilation": every.compilation},
        {"bounds": "f-CMI", "ms": 1e3 * one.median, "compilation": one.compilation},
        {"bounds": "f-CMI, a loop over rows in Python", "ms": 1e3 * loop, "ratio": loop / one.median},
    ]
    return Report(
        f"Milliseconds from predictions {predictions.shape}",
        rows,
        notes=[f"The two f-CMI bounds differ by {abs(float(ours.value) - theirs):.1e}."],
    )


def linearized(settings: Linearized) -> Report:
    """Seconds for runs of the linearized network."""
    (supersample,), _ = draw(settings.n, 1)
    images = data.standardize(supersample.inputs, 0.456, 0.224, scale=255)
    network = networks.four_layer_cnn()
    params = jax.jit(network.init)(jax.random.key(0), images[:1])
    kernel, kernel_seconds = timed(lambda: empirical_kernel(network.apply, params, images))
    initial, targets = jnp.asarray(network.apply(params, images)), data.targets(supersample.labels, 2)
    selection = fcmi.draw_selection(jax.random.key(0), settings.runs, settings.n, design="antithetic")
    n, decay = settings.n, 1e-4 * float(jnp.trace(kernel)) / kernel.shape[0] / settings.n

    def row(name: str, **settings_of_training: Any) -> Row:
        solve = functools.partial(linearized_runs, kernel, initial, targets, selection, **settings_of_training)
        outputs, timing = measure(solve, repeats=settings.repeats)
        bound, bound_timing = measure(
            lambda: bounds.fcmi(training.predicted_classes(outputs), selection, num_classes=2), repeats=settings.repeats
        )
        return {
            "time": name,
            "seconds": timing.median,
            "bound": bound_timing.median,
            "compilation": timing.compilation,
            "runs/s": settings.runs / timing.median,
            "f-CMI": float(bound.value),
        }

    rows = (
        row(name, weight_decay=decay, **options)
        for name, options in (
            ("infinite", {"time": np.inf}),
            ("2000 steps", {"time": 2000.0, "learning_rate": 0.01}),
        )
    )
    return Report(
        f"Seconds for {settings.runs:,} runs, n = {n}",
        rows,
        notes=[f"The kernel of the {2 * n} entries, once, with its compilation: {kernel_seconds:.2f} s."],
    )


def draw(n: int, num_supersamples: int) -> tuple[list[fcmi.Supersample], data.ImageSet]:
    """Supersamples of MNIST 4 against 9, and all of MNIST."""
    images = data.load("mnist")
    keys = jax.random.split(jax.random.key(0), num_supersamples)
    return [fcmi.make_supersample(key, images.x, images.y, n, classes=(4, 9)) for key in keys], images


def time_process(file: Path, n: int, seed: int, epochs: int) -> dict[str, float]:
    """Seconds of one process of the published kind, whole and by parts."""
    command = [sys.executable, "-m", "benchmarks.fcmi.published", str(file), str(n), str(seed), str(epochs)]
    process, whole = timed(lambda: subprocess.run(command, capture_output=True, text=True, check=True))
    return {**json.loads(process.stdout), "whole": whole}


PARTS = {
    "steps": Part(steps, Steps(), table=Table(("machine", "program", "models"), ("ms", "taken / floor"))),
    "sweep": Part(sweep, Sweep(), table=Table(("program",), ("seconds", "ratio"), where=ON_CPU)),
    "scaling": Part(scaling, Scaling(), table=Table(("machine", "axis", "models"), ("models/s",))),
    "bounds": Part(
        all_bounds,
        Bounds(),
        Bounds(num_supersamples=2, num_runs=16, entries=20, repeats=1),
        table=Table(("bounds",), ("ms", "ratio"), where=ON_CPU),
    ),
    "linearized": Part(linearized, Linearized(), table=Table(("time",), ("seconds", "runs/s"), where=ON_CPU)),
}

if __name__ == "__main__":
    main("fcmi", __doc__, PARTS)
