"""How long an audit takes and what memory it needs, told before it begins."""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.learned import num_epochs
from infotheory_dl.audit.representation import candidates, features_of, is_exact, learns
from infotheory_dl.audit.settings import Settings

_BASE = 0.7 * 2**30
_ENTRIES_FITTED = 2**19
# seconds, measured on two cores: of an entry of the label model, a step of a network, a run of 250 pairs
_OF_ENTRY, _OF_STEP, _OF_RUN = 1.5e-5, 5e-3, 8e-4
_TRAININGS = 19
# of an image and epoch of the network that learns features
_OF_IMAGE = 4e-4
# of the derivatives of a small network's training, and for each pixel or feature; whatever the number of examples
_OF_DERIVATIVES, _OF_PIXEL = 20.0, 0.13


class Plan(NamedTuple):
    """What an audit takes.

    Attributes:
      seconds: some.
      memory: bytes at most.
    """

    seconds: float
    memory: float

    def __str__(self) -> str:
        minutes = self.seconds / 60
        took = "less than a minute" if minutes < 1 else f"some {minutes:.0f} min"
        return f"This takes {took} and {self.memory / 2**30:.1f} GiB."


def plan(settings: Settings, examples: Examples) -> Plan:
    """Reckons from the sizes, and from how fast this machine multiplies matrices.

    Raises:
      ValueError: if the memory does not suffice.
    """
    n, k = len(examples.labels), len(examples.class_names)
    rate = _products_per_second()
    inputs = 4.0 * examples.inputs[:1].size * n * 2
    scores = 8.0 * n * k * 6
    if is_exact(settings, examples):
        operations = 40.0 * n**3 + 2e4 * n**2 * settings.num_networks
        needed = _BASE + inputs + scores + 8.0 * n * (4 * n + 2 * len(examples.held_out_labels))
    else:
        operations, needed = 0.0, 0.0
        for name in candidates(settings, examples):
            d = features_of(name, settings, examples)
            side = min(n, d)
            operations += 4.0 * n * d * side + 70 * side**3 + 2.0 * n * d * k + 70.0 * min(n, 4096) * side * min(k, 128)
            square, held = 8.0 * 5 * side * d, 4.0 * n * d
            kept = held if held <= settings.memory_bytes / 2 else 0.0
            needed = max(needed, _BASE + inputs + scores + square + kept + 2**29)
    seconds = operations / rate + _OF_ENTRY * min(n * k, max(_ENTRIES_FITTED, 4096 * k))
    seconds += settings.runs * min(4, n // 500 + 1) * _OF_RUN + 1.0 * settings.sweep
    if learns(settings, examples):
        seconds += _OF_IMAGE * n * num_epochs(n)
    seconds += settings.seeds * _TRAININGS * max(300, n / 50) * _OF_STEP
    seconds += settings.trained * (_OF_DERIVATIVES + _OF_PIXEL * examples.inputs[:1].size)
    if needed > settings.memory_bytes:
        raise ValueError(
            f"an audit of {n} examples of {k} classes needs some {needed / 2**30:,.1f} GiB, it may take"
            f" {settings.memory_bytes / 2**30:,.1f} GiB; allow more by memory, or audit fewer of them by train_size"
        )
    return Plan(seconds, needed)


@functools.cache
def _products_per_second() -> float:
    """Floating-point operations in a second of a matrix product in single precision."""
    matrix: Any = np.ones((1024, 1024), np.float32)
    multiply: Any = np.matmul
    if jax.default_backend() != "cpu":
        matrix, multiply = jnp.asarray(matrix), jax.jit(jnp.matmul)
    jax.block_until_ready(multiply(matrix, matrix))
    start = time.perf_counter()
    for _ in range(4):
        product = jax.block_until_ready(multiply(matrix, matrix))
    return 4 * 2.0 * len(product) ** 3 / max(time.perf_counter() - start, 1e-6)
