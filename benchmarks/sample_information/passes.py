"""What passes through a training cost, and the scores of all examples, by its size."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from benchmarks.harness import Report, Row, announce
from benchmarks.sample_information.perceptron import Perceptron, make_problem
from infotheory_dl import training
from infotheory_dl.sample_information import trained_information


@dataclass(frozen=True)
class Passes(Perceptron):
    """Seconds of passes through a training, and of the scores of all examples, by its size."""

    examples: tuple[int, ...] = (250, 500, 1000)
    epochs: tuple[int, ...] = (20, 50)
    """The first for each number of examples, the others for the largest."""
    projections: int = 200
    """Of the weights: the standard error of a score is √(2 / projections) of it."""


def passes(settings: Passes) -> Report:
    """Part (g): what passes and scores cost, in seconds and in trainings."""
    cases = [(n, settings.epochs[0]) for n in settings.examples]
    cases += [(settings.examples[-1], epochs) for epochs in settings.epochs[1:]]

    def row(n: int, epochs: int) -> Row:
        announce(f"{n} examples, {epochs} epochs")
        problem = make_problem(settings, n, epochs)
        key, system, state, examples, (inputs, _) = problem.arguments
        information = functools.partial(trained_information, key, system, state, examples, inputs, **problem.schedule)
        one = seconds_of(lambda: training.train(key, system.step, state, examples, **problem.schedule))
        forward = seconds_of(lambda: information(examples=np.arange(16), at="full", method="forward")) / 16
        midpoint = seconds_of(lambda: information(examples=np.arange(16))) / 16
        all_examples = seconds_of(
            lambda: information(at="full", method="projections", num_projections=settings.projections, num_retrained=0)
        )
        return {
            "examples": n,
            "steps": epochs * -(-n // settings.batch),
            "training": one,
            "forward pass": forward / one,
            "midpoint": midpoint / one,
            "reverse pass": all_examples / (2 * settings.projections) / one,
            "all examples": all_examples,
            "in trainings": all_examples / one,
        }

    return Report(
        f"CPU seconds of a training, and in trainings what an example costs; all: {settings.projections} projections",
        (row(*case) for case in cases),
        notes=[
            "On an accelerator seconds on the clock; compilation apart. All: projections of weights and of outputs."
        ],
    )


def seconds_of(function: Callable[[], Any]) -> float:
    """CPU seconds of the second call, or seconds on the clock where an accelerator does the work."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    jax.block_until_ready(function())
    start = clock()
    jax.block_until_ready(function())
    return clock() - start
