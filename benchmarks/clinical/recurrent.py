"""Training steps of forward networks of one layer, a label at every hour, beside PyTorch's LSTM of the same size."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Report, Row, in_turns, machine, measure
from infotheory_dl import clinical, training

_COLUMNS = 76


@dataclass(frozen=True)
class Steps:
    """A training step: forward, backward and Adam, in single precision."""

    sizes: tuple[int, ...] = (16, 64, 128, 256, 512)
    """Outputs of the layer: 128 decompensation, 64 length of stay, 256 phenotyping, 512 multitask."""
    batch_size: int = 8
    hours: int = 64
    steps: int = 20
    """Of each measurement."""
    repeats: int = 9
    processes: int = 3
    """In which each program is measured anew; 0 for this one."""


def lstm(settings: Steps) -> Report:
    """Milliseconds of a step, and of the processor in it."""
    programs = {
        (name, size): functools.partial(_taken, make, size, settings)
        for size in settings.sizes
        for name, make in {"ours": _ours, "PyTorch": _torch}.items()
    }
    named = {f"{name}, {size}": program for (name, size), program in programs.items()}

    def rows() -> Iterator[Row]:
        found = in_turns(named, processes=settings.processes)
        for ((name, size), _), (_, taken) in zip(programs.items(), found, strict=True):
            if "missing" in taken:
                yield taken
                continue
            # of each hour: the kernel forwards and its derivative, the recurrent kernel and two derivatives
            products = 2 * _COLUMNS + 3 * size
            floor = machine().floor(2 * settings.batch_size * settings.hours * 4 * size * products)
            yield {"program": name, "size": size, **taken, "ms / floor": taken["ms"] / (1e3 * floor)}

    title = f"Milliseconds of a training step, batch {settings.batch_size}, {settings.hours} hours"
    return Report(title, rows(), [f"Floor: {machine().flops / 1e9:,.0f} Gflop/s, measured here."])


def _taken(make: Callable[[int, Any, Any], Callable[[], Any]], size: int, settings: Steps) -> Row:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(settings.batch_size, settings.hours, _COLUMNS)).astype(np.float32)
    labels = (random.random((settings.batch_size, settings.hours)) < 0.1).astype(np.float32)
    step = make(size, inputs, labels)

    def steps() -> Any:
        for _ in range(settings.steps):
            last = step()
        return last

    _, timing = measure(steps, repeats=settings.repeats)
    return {"ms": 1e3 * timing.median / settings.steps, "CPU ms": 1e3 * timing.processor / settings.steps}


def _ours(size: int, inputs: np.ndarray, labels: np.ndarray) -> Callable[[], Any]:
    configuration = clinical.configuration("decomp/S+DS")._replace(size=size, dropout=0.0)
    system = clinical.system(configuration)
    reached = [system.init(jax.jit(clinical.network(configuration).init)(jax.random.key(0), inputs))]
    targets = {"decompensation": clinical.Targets(jnp.asarray(labels), jnp.ones(labels.shape, bool))}
    batch = training.Batch((jnp.asarray(inputs), targets), jnp.ones(len(inputs), bool), jnp.arange(len(inputs)))
    step, key = jax.jit(system.step, donate_argnums=0), jax.random.key(0)

    def call() -> Any:
        reached[0], metrics = step(reached[0], batch, key)
        return metrics

    return call


def _torch(size: int, inputs: np.ndarray, labels: np.ndarray) -> Callable[[], Any]:
    import torch
    from torch import nn

    layer, head = nn.LSTM(_COLUMNS, size), nn.Linear(size, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=1e-3)
    # steps first, which is its faster form
    x, y = torch.tensor(inputs).transpose(0, 1).contiguous(), torch.tensor(labels.T[..., None])
    loss_of = nn.BCEWithLogitsLoss()

    def call() -> float:
        optimizer.zero_grad()
        loss = loss_of(head(layer(x)[0]), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return call
