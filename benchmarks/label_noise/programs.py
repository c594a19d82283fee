"""Steps and epochs of the benchmark of LIMIT: their settings, and the programs, each for a process of its own."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Row, measure
from benchmarks.label_noise import published
from benchmarks.label_noise.systems import NUM_CLASSES, make_system
from infotheory_dl import data, training
from infotheory_dl.networks.layers import Implementation

PEER = "PyTorch, eager"


@dataclass(frozen=True)
class Steps:
    """One training step of one model."""

    batch_sizes: tuple[int, ...] = (128, 256)
    steps: int = 10
    repeats: int = 5
    processes: int = 3
    """Of each program, whose median counts; 0 for all in this one."""


@dataclass(frozen=True)
class Epoch:
    """An epoch and the validation after it."""

    sizes: tuple[int, ...] = (1000, 10_000)
    validation: int = 12_000
    batch_size: int = 256
    evaluation_batch_size: int = 50
    """Of ours: few, so that the windows of the images stay in the caches. The published protocol takes its batches."""
    num_epochs: int = 2
    """Of a training that is timed; the time of one is its share."""
    repeats: int = 5
    processes: int = 3
    """Of each program, whose median counts; 0 for all in this one."""


def published_steps(settings: Steps, method: published.Method, size: int) -> Row:
    """PyTorch's."""
    return _of_step(settings, published.training_steps(method, size, settings.steps))


def jitted_steps(implementation: Implementation, settings: Steps, method: published.Method, size: int) -> Row:
    """Ours as calls of one jitted step, as other loops would make them."""
    system = make_system(method, implementation=implementation)
    step, batch = jax.jit(system.step), training.Batch(random_examples(size), jnp.ones(size, bool), jnp.arange(size))
    initial = system.init(jax.random.key(0))

    def train() -> Any:
        state = initial
        for number in range(settings.steps):
            state, _ = step(state, batch, jax.random.key(number))
        return state

    return _of_step(settings, train)


def engine_steps(settings: Steps, method: published.Method, size: int) -> Row:
    """Ours in one program."""
    system = make_system(method)
    key, state = jax.random.key(0), system.init(jax.random.key(0))
    train = functools.partial(
        training.train, key, system.step, state, random_examples(size), num_epochs=settings.steps, batch_size=size
    )
    return _of_step(settings, train)


def _of_step(settings: Steps, train: Callable[[], Any]) -> Row:
    timing = measure(train, repeats=settings.repeats)[1]
    milliseconds = 1e3 / settings.steps
    return {"ms": milliseconds * timing.median, "fastest": milliseconds * timing.fastest}


STEPS: dict[str, Callable[[Steps, published.Method, int], Row]] = {
    PEER: published_steps,
    "ours, one program": engine_steps,
    "ours, a jitted step, patches": functools.partial(jitted_steps, "patches"),
    "ours, a jitted step, lax.conv": functools.partial(jitted_steps, "lax"),
}


def our_epoch(settings: Epoch, method: published.Method, n: int) -> Row:
    """The engine's, whose validation is part of the program: its share is the difference to training alone."""
    examples, held_out = sets_of(settings, n)
    system = make_system(method, evaluation_batch_size=settings.evaluation_batch_size)
    train = functools.partial(
        training.train,
        jax.random.key(0),
        system.step,
        system.init(jax.random.key(0)),
        examples,
        num_epochs=settings.num_epochs,
        batch_size=settings.batch_size,
    )
    evaluation = training.Evaluation(system.evaluate, data=held_out, maximize="accuracy")
    _, alone = measure(train, repeats=settings.repeats)
    _, timing = measure(functools.partial(train, evaluation=evaluation), repeats=settings.repeats)
    whole, training_alone = timing.median / settings.num_epochs, alone.median / settings.num_epochs
    return {
        "seconds": whole,
        "training": training_alone,
        "validation": whole - training_alone,
        "compilation": timing.compilation,
    }


def published_epoch(settings: Epoch, method: published.Method, n: int) -> Row:
    """The two halves of the published one."""
    examples, held_out = sets_of(settings, n)
    both = published.protocol(method, examples, held_out, batch_size=settings.batch_size)
    train, validation = (measure(half, repeats=settings.repeats)[1].median for half in both)
    return {"seconds": train + validation, "training": train, "validation": validation}


def sets_of(settings: Epoch, n: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images and labels to train on, and those to validate with."""
    images = data.load("mnist")
    labels, pixels = images.y, data.standardize(images.x, 0.456, 0.224, scale=255)
    return (pixels[:n], labels[:n]), (pixels[-settings.validation :], labels[-settings.validation :])


def random_examples(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of normal pixels, and classes."""
    return np.random.default_rng(0).normal(size=(size, 28, 28, 1)).astype(np.float32), np.arange(size) % NUM_CLASSES
