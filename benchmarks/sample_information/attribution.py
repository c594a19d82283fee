"""Attribution of test losses to training examples: ours by derivatives of the training, and what people use today.

All see one network, a perceptron that SGD with momentum trains on digits. The truth are trainings without random
subsets of the examples, and the score is the linear datamodeling score: the rank correlation over the subsets of the
real losses with the sums of what is attributed to the examples that are left out, mean over the test examples.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from benchmarks.harness import Report, Row, announce, of_peer, peak_memory, reset_peak_memory
from benchmarks.sample_information.attribution_peers import CHECKPOINTS, dattri_ekfac, dattri_tracin, trak
from benchmarks.sample_information.perceptron import (
    BLOCK,
    MOMENTUM,
    Perceptron,
    Problem,
    loss,
    losses,
    make_problem,
    perceptron,
)
from infotheory_dl import data
from infotheory_dl._blocks import map_examples, per_example_jacobians, sum_blocks
from infotheory_dl.sample_information import (
    datamodels,
    linear_datamodeling_score,
    retrain_without,
    sample_information,
)

_DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Attribution(Perceptron):
    """Linear datamodeling scores, seconds and memory, of ours and of what people use today."""

    examples: int = 1000
    epochs: int = 20
    fractions: tuple[float, ...] = (0.01, 0.05, 0.1, 0.5)
    """Of the examples, left out together."""
    subsets: int = 60
    methods: tuple[str, ...] = ("",)
    """Those with one of these in their names; default all."""


Attributor = Callable[[Problem], Float[Any, "examples references"]]
"""The changes of the losses of the references without each example, in any unit."""


def attribution(settings: Attribution) -> Report:
    """Part (f): linear datamodeling scores of what methods attribute to the examples."""
    problem = make_problem(settings, settings.examples, settings.epochs)
    random = np.random.default_rng(settings.seed)
    groups = {
        share: np.stack([random.permutation(settings.examples) for _ in range(settings.subsets)])[
            :, : round(share * settings.examples)
        ]
        for share in settings.fractions
    }
    announce(f"{settings.subsets} trainings without each share of the examples")
    truth = {
        share: retrain_without(*problem.arguments, groups=rows, measure=losses, **problem.schedule).output_changes
        for share, rows in groups.items()
    }

    def score(share: float, changes: Any) -> float:
        return float(linear_datamodeling_score(jnp.asarray(changes)[..., None], truth[share], groups[share]))

    def measured(attributor: Attributor) -> Row:
        reset_peak_memory()
        wall, processor = time.perf_counter(), time.process_time()
        changes = np.asarray(attributor(problem))
        cost = {
            "seconds": time.perf_counter() - wall,
            "CPU seconds": time.process_time() - processor,
            "peak memory in GiB": peak_memory(),
        }
        return {f"{share:.0%}": score(share, changes) for share in settings.fractions} | cost

    def rows() -> Iterator[Row]:
        for name, attributor in attributors(settings).items():
            if any(part in name for part in settings.methods):
                announce(name)
                yield {"method": name, **of_peer(functools.partial(measured, attributor))}

    return Report(
        f"Linear datamodeling score, {settings.examples} digits, {settings.references} losses",
        rows(),
        notes=["Seconds with compilation. A training takes some hundredths of a second, and is part of each."],
    )


def attributors(settings: Attribution) -> Mapping[str, Attributor]:
    """The methods by name, ours first."""
    ours: dict[str, Attributor] = {"ours: derivative of the training": derivative}
    for share in settings.fractions[-1:]:
        ours[f"ours: derivative at mean weight {1 - share:.2g}"] = functools.partial(derivative, fraction=share)
    ours["ours: linearized network"] = functools.partial(linearized, learning_rate=settings.learning_rate)
    for damping in _DAMPINGS:
        ours[f"Gauss-Newton influence, damping {damping:g}"] = functools.partial(gauss_newton, damping=damping)
    return ours | {
        "TRAK, one checkpoint": trak,
        f"dattri: TracIn, {CHECKPOINTS} checkpoints": dattri_tracin,
        **{
            f"dattri: EK-FAC influence, damping {damping:g}": functools.partial(dattri_ekfac, damping=damping)
            for damping in _DAMPINGS
        },
    }


def derivative(problem: Problem, *, fraction: float = 0.0) -> Array:
    """Derivatives of the losses through the training, by one reverse pass for each."""
    models = datamodels(*problem.arguments, measure=losses, fraction=fraction, **problem.schedule)
    return models.output_changes[..., 0]


def linearized(problem: Problem, *, learning_rate: float) -> Array:
    """Changes of the outputs of the linearized network, and what they do to the losses of the trained one."""
    (inputs, labels), (references, reference_labels) = problem.examples, problem.references
    steps = problem.schedule["num_epochs"] * -(-len(inputs) // problem.schedule["batch_size"])
    found = sample_information(
        perceptron,
        problem.state.params,
        inputs,
        data.targets(labels, 10, centered=True),
        references,
        time=steps,
        learning_rate=learning_rate / (1 - MOMENTUM),
        outputs="trace",
    )
    outputs = perceptron(problem.trained(), references)
    slopes = jax.vmap(jax.grad(loss))(outputs, reference_labels)
    return jnp.einsum("emk,mk->em", found.output_changes, slopes)


def gauss_newton(problem: Problem, *, damping: float) -> Array:
    """Influence functions at the trained weights, with the exact Gauss-Newton matrix."""
    curvature, gradients, slopes = _curvature(problem)
    factor = jax.scipy.linalg.cho_factor(curvature + damping * np.eye(len(curvature), dtype=np.float32))
    return gradients @ jax.scipy.linalg.cho_solve(factor, slopes.T) / len(gradients)


@functools.lru_cache(maxsize=1)
def _of_problem(identity: int) -> dict[str, Any]:
    return {}


def _curvature(problem: Problem) -> tuple[Array, Array, Array]:
    """The Gauss-Newton matrix, and the gradients of the losses of the examples and of the references."""
    kept = _of_problem(id(problem.state))
    if not kept:
        params = problem.trained()
        flat, restore = jax.flatten_util.ravel_pytree(params)
        network = lambda weights, inputs: perceptron(restore(weights), inputs)
        of_one = lambda weights, x, y: loss(network(weights, x[None])[0], y)

        def block(mask, inputs, labels):
            shares = jax.nn.softmax(network(flat, inputs))
            rows = per_example_jacobians(network, flat, inputs)
            rows -= jnp.einsum("ik,ikd->id", shares, rows)[:, None]
            rows *= jnp.sqrt(mask[:, None] * shares)[..., None]
            rows = rows.reshape(-1, rows.shape[-1])
            return rows.T @ rows

        gradients = lambda rows: map_examples(lambda x, y: jax.grad(of_one)(flat, x, y), rows, BLOCK)
        kept["all"] = (
            jax.jit(lambda rows: sum_blocks(block, rows, BLOCK) / len(rows[0]))(problem.examples),
            jax.jit(gradients)(problem.examples),
            jax.jit(gradients)(problem.references),
        )
    return kept["all"]
