"""Training on several domains: steps of every algorithm, and a sweep of many models, ours and in PyTorch."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.domain_generalization import published
from benchmarks.harness import Report, Row, Timing, announce, in_turns, machine, measure, of_peer
from infotheory_dl import domain_generalization as dg
from infotheory_dl import networks, training

ALGORITHMS: tuple[dg.AlgorithmName, ...] = tuple(dg.ALGORITHMS)


@dataclass(frozen=True)
class Steps:
    """Steps of every algorithm, of one MLP of three layers and a linear head."""

    algorithms: tuple[dg.AlgorithmName, ...] = ALGORITHMS
    num_domains: int = 3
    batch_size: int = 64
    """Of each domain."""
    num_features: int = 392
    """Those of Colored MNIST at 14 pixels a side."""
    width: int = 256
    num_steps: int = 100
    repeats: int = 5


@dataclass(frozen=True)
class Sweep:
    """Models of a sweep in a second: settings, and trials of each."""

    algorithm: dg.AlgorithmName = "irm"
    points: int = 20
    trials: int = 3
    batch_size: int = 64
    """Of each of two domains; a third is held out."""
    num_features: int = 392
    width: int = 256
    num_examples: int = 6000
    num_steps: int = 300
    processes: int = 1
    """0 for all in this one."""


class Task(NamedTuple):
    """Examples of several domains, at random: only their number matters here."""

    inputs: np.ndarray
    labels: np.ndarray
    domains: np.ndarray


def draw(num_examples: int, num_features: int, num_domains: int) -> Task:
    """A task of two classes."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(num_examples, num_features)).astype(np.float32)
    return Task(inputs, random.integers(0, 2, num_examples), np.arange(num_examples) % num_domains)


def make(name: dg.AlgorithmName, settings: Steps | Sweep, num_domains: int) -> dg.Algorithm:
    """Ours, of the network of the settings."""
    width = settings.width
    return dg.make_algorithm(
        name,
        networks.MLP((width, width), width),
        (settings.num_features,),
        num_classes=2,
        num_domains=num_domains,
        discriminator=networks.MLP((width, width), num_domains),
    )


def operations(rows: int, num_features: int, width: int) -> float:
    """Of a step by the gradient of one loss; the first layer needs none of its inputs."""
    first, others = num_features * width, 2 * width**2 + 2 * width
    return 2 * rows * (2 * first + 3 * others)


def steps(settings: Steps) -> Report:
    """Steps per second of every algorithm."""
    task = draw(settings.num_domains * 20 * settings.batch_size, settings.num_features, settings.num_domains)
    rows = dg.domain_rows(task.domains)
    rows_of_step = settings.num_domains * settings.batch_size
    floor = machine().floor(operations(rows_of_step, settings.num_features, settings.width))
    schedule = dg.domain_minibatches(
        settings.num_domains, rows.shape[1], batch_size=settings.batch_size, num_steps=settings.num_steps
    )

    def ours(name: dg.AlgorithmName) -> Row:
        system = make(name, settings, settings.num_domains).system
        state = jax.jit(system.init)(jax.random.key(0))

        def train() -> Any:
            key = jax.random.key(1)
            data = tuple(map(jnp.asarray, task))
            return training.train(key, system.step, state, data, subset=rows.ravel(), num_epochs=1, batch_size=schedule)

        return told(train)

    def plain(name: str) -> Row:
        model = published.make_model(settings.num_features, settings.width, 2)
        sizes = {"width": settings.width, "num_domains": settings.num_domains, "num_classes": 2}
        step = published.make_step(name, model, **sizes)
        given = published.batches(task.inputs, task.labels, list(rows), settings.batch_size)
        return told(lambda: [step(pairs) for pairs in islice(given, settings.num_steps)])

    def told(function: Callable[[], Any]) -> Row:
        _, timing = measure(function, repeats=settings.repeats)
        return {
            "steps/s": settings.num_steps / timing.median,
            "processor ms": timing.processor / settings.num_steps * 1e3,
            "compilation": timing.compilation,
        }

    def of_both() -> Iterator[Row]:
        for name in settings.algorithms:
            announce(name)
            found, peer = ours(name), of_peer(functools.partial(plain, name))
            row = {"algorithm": name, **found, "floor/s": 1 / floor}
            if "missing" in peer:
                yield peer
                yield row
                continue
            yield {
                **row,
                "PyTorch steps/s": peer["steps/s"],
                "PyTorch processor ms": peer["processor ms"],
                "ratio": found["steps/s"] / peer["steps/s"],
                "ratio of processor time": peer["processor ms"] / found["processor ms"],
            }

    title = f"Steps of {settings.num_domains} x {settings.batch_size} rows, an MLP {settings.width} wide"
    notes = ["The floor is that of one gradient: iga, mldg and the masks take more, dann takes every second step."]
    return Report(title, of_both(), notes)


def our_sweep(settings: Sweep, *, at_once: bool, cores: int | None) -> Row:
    """Models per second as one program, or one model after the other; on one device, or one for each core."""
    if cores is not None:
        jax.config.update("jax_num_cpu_devices", cores)
    task = draw(settings.num_examples, settings.num_features, 3)
    algorithm = make(settings.algorithm, settings, 2)
    values = {
        "learning_rate": np.geomspace(1e-4, 1e-2, settings.points).tolist(),
        "penalty_weight": np.geomspace(1, 100, settings.points).tolist(),
    }

    def train(points: Mapping[str, Sequence[float]], num_trials: int) -> Any:
        return dg.train_sweep(
            jax.random.key(0),
            algorithm,
            *task,
            settings=points,
            held_out=[2],
            num_trials=num_trials,
            num_steps=settings.num_steps,
            batch_size=settings.batch_size,
            evaluate_every=settings.num_steps,
        ).diverged

    def together() -> Any:
        return train(values, settings.trials)

    def apart() -> Any:
        for point in range(settings.points):
            one = {name: of_points[point : point + 1] for name, of_points in values.items()}
            for _ in range(settings.trials):
                train(one, 1)

    return _per_model(settings, measure(together if at_once else apart, repeats=1)[1])


def peer_sweep(settings: Sweep) -> Row:
    """Models per second in PyTorch, one after the other, eagerly."""
    import torch

    task = draw(settings.num_examples, settings.num_features, 3)
    is_kept = np.random.default_rng(0).random(settings.num_examples) < 0.2
    rows = [np.flatnonzero((task.domains == domain) & ~is_kept) for domain in range(2)]
    inputs, labels = torch.tensor(task.inputs), torch.tensor(task.labels)

    def train() -> None:
        for rate in np.tile(np.geomspace(1e-4, 1e-2, settings.points), settings.trials):
            model = published.make_model(settings.num_features, settings.width, 2, float(rate))
            step = published.make_step(
                settings.algorithm, model, width=settings.width, num_domains=2, num_classes=2, penalty_weight=10.0
            )
            for pairs in islice(
                published.batches(task.inputs, task.labels, rows, settings.batch_size), settings.num_steps
            ):
                step(pairs)
            with torch.no_grad():
                logits = model.head(model.featurizer(inputs))
                float((logits.argmax(1) == labels).float().mean())

    return _per_model(settings, measure(train, repeats=1)[1])


def _per_model(settings: Sweep, timing: Timing) -> Row:
    number = settings.points * settings.trials
    return {
        "models/s": number / timing.median,
        "processor s/model": timing.processor / number,
        "compilation": timing.compilation,
    }


def sweep(settings: Sweep) -> Report:
    """Models per second of a sweep."""
    cores = machine().cores
    separate = settings.processes > 0
    programs: dict[str, Callable[[], Row]] = {
        "ours, one program": functools.partial(our_sweep, settings, at_once=True, cores=None),
        "ours, one at a time": functools.partial(our_sweep, settings, at_once=False, cores=None),
        "PyTorch, one at a time": functools.partial(peer_sweep, settings),
    }
    if separate and cores > 1 and jax.default_backend() == "cpu":
        on_each = functools.partial(our_sweep, settings, at_once=True, cores=cores)
        programs = {f"ours, one program, {cores} devices": on_each, **programs}

    def rows() -> Iterator[Row]:
        found = dict(in_turns(programs, processes=settings.processes))
        peer = found["PyTorch, one at a time"].get("models/s")
        for name, row in found.items():
            told = "missing" in row or peer is None
            yield row if told else {"program": name, **row, "ratio": row["models/s"] / peer}

    number = settings.points * settings.trials
    operations_of_model = settings.num_steps * operations(
        2 * settings.batch_size, settings.num_features, settings.width
    )
    floor = 1 / machine().floor(operations_of_model)
    title = f"A sweep of {number} models of {settings.num_steps} steps, an MLP {settings.width} wide"
    return Report(title, rows(), [f"The floor, by operations alone: {floor:.3g} models/s."])
