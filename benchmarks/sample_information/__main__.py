"""Sample information: speed, detection of wrong labels, growth and precision, on MNIST; claims of drawn labels; on
digits, attribution of losses to examples, and what passes through trainings cost.

`python -m benchmarks.sample_information --help` lists the parts; without a part all run.
"""

import functools
import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from benchmarks.harness import (
    Part,
    Report,
    Row,
    announce,
    machine,
    main,
    measure,
    of_peer,
    peak_memory,
    reset_peak_memory,
    timed,
)
from benchmarks.sample_information import published
from benchmarks.sample_information.attribution import Attribution, attribution
from benchmarks.sample_information.claims import Claims, claims
from benchmarks.sample_information.detectors import Detector, LabelTask, all_detectors, label_task
from benchmarks.sample_information.passes import Passes, passes
from benchmarks.sample_information.problem import (
    DatasetName,
    Problem,
    kernel_operations,
    leave_one_out_floor,
    load,
    paper_problem,
)
from benchmarks.sample_information.residual import Residual, residual
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import metrics
from infotheory_dl.linearization import Dynamics, SingularKernelError, kernel_eigen

CLASSES: dict[str, tuple[int, ...]] = {"4 against 9": (4, 9), "ten classes": tuple(range(10))}


@dataclass(frozen=True)
class Speed:
    """Both scores of all examples from one eigendecomposition, beside the published algorithm."""

    dataset: DatasetName = "mnist"
    examples: int = 1000
    references: int = 1000
    time: int = 2000
    learning_rate: float = 0.01
    dynamics: Dynamics = "continuous"
    published_examples: int = 3
    """Examples that the published algorithm is timed on; its time is scaled to all."""
    repeats: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Detection:
    """Wrong labels found by ours and by what people use today."""

    examples: int = 1000
    flipped: float = 0.1
    draws: int = 3
    """Draws of the sample, the flips and the networks."""
    networks: int = 5
    """Untrained networks whose kernels are averaged."""
    tasks: tuple[Literal["4 against 9", "ten classes"], ...] = ("4 against 9", "ten classes")
    detectors: tuple[str, ...] = ("",)
    """Those with one of these in their names; default all."""
    seed: int = 0


@dataclass(frozen=True)
class Growth:
    """Seconds and memory as the number of examples or of outputs grows."""

    examples: tuple[int, ...] = (250, 500, 1000, 2000, 4000, 8000)
    outputs: tuple[int, ...] = (1, 2, 5, 10)
    examples_by_outputs: int = 250
    """Examples where the outputs grow."""
    references: int = 1000
    time: int = 2000
    learning_rate: float = 0.01
    repeats: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Precision:
    """Scores in single precision against double precision."""

    examples: int = 500
    references: int = 500
    times: tuple[float, ...] = (100, 2000, math.inf)
    weight_decays: tuple[float, ...] = (0.0, 0.01)
    learning_rate: float = 0.01
    seed: int = 0


def speed(settings: Speed) -> Report:
    """Part (a): seconds for both scores of all examples."""
    n, m = settings.examples, settings.references
    training = {"time": settings.time, "learning_rate": settings.learning_rate, "dynamics": settings.dynamics}
    problem = paper_problem(jax.random.key(settings.seed), n, m, dataset=settings.dataset)
    size = sum(leaf.size for leaf in jax.tree.leaves(problem.params))
    task = f"{settings.dataset} 4 against 9, n = {n}, m = {m}, t = {settings.time}"
    title = f"Seconds, {task}, the paper's CNN ({size:,} parameters)"

    kernels, kernel_timing = measure(problem.kernels, repeats=settings.repeats)
    eigen, eigen_timing = measure(lambda: kernel_eigen(kernels[0]), repeats=settings.repeats)
    decomposed = (eigen, kernels[1])
    _, again_timing = measure(lambda: problem.both_scores(decomposed, **training), repeats=settings.repeats)
    ours, timing = measure(lambda: problem.both_scores(kernels, **training), repeats=settings.repeats)
    theirs = time_published(problem, settings.published_examples, training)

    def row(step: str, ours: float, compilation: float, published: float, floor: float) -> Row:
        return {
            "step": step,
            "ours": ours,
            "compilation": compilation,
            "published": published,
            "ratio": published / ours,
            "floor": floor,
            "ours / floor": ours / floor,
        }

    floor = machine().floor(kernel_operations(problem))
    rows = [
        row("kernels", kernel_timing.median, kernel_timing.compilation, theirs.kernels, floor),
        {"step": "eigendecomposition", "ours": eigen_timing.median, "compilation": eigen_timing.compilation},
        row(
            "leave-one-out with it", timing.median, timing.compilation, theirs.leave_one_out, leave_one_out_floor(n, m)
        ),
    ]
    rows.insert(
        2, {"step": "leave-one-out", "ours": again_timing.median, "ratio": theirs.leave_one_out / again_timing.median}
    )
    total = {key: rows[0][key] + rows[3][key] for key in ("ours", "compilation", "published", "floor")}
    rows.append(row("kernels and leave-one-out", **total))
    differences = [
        f"{name} {np.median(np.abs(scores / np.asarray(getattr(ours, name))[theirs.examples] - 1)):.1e}"
        for name, scores in (("weight_change", theirs.weight_change), ("output_change", theirs.output_change))
    ]
    return Report(
        title,
        rows,
        notes=[
            f"Published: leave-one-out timed on {len(theirs.examples)} examples and scaled to {n}.",
            f"Median relative difference of the scores of these examples: {', '.join(differences)}; the published",
            "inverse of a nearly singular kernel loses its digits in single precision, in double they agree.",
            f"Floor: {machine().flops / 1e9:,.0f} Gflop/s and {machine().bandwidth / 1e9:,.0f} GB/s, measured here.",
        ],
    )


def detection(settings: Detection) -> Report:
    """Part (b): area under ROC, average precision and seconds, mean over the draws."""

    def rows() -> Iterator[Row]:
        for task_name in settings.tasks:
            classes, images = CLASSES[task_name], load("mnist")
            keys = jax.random.split(jax.random.key(settings.seed), settings.draws)
            tasks = [label_task(key, images, classes, size=settings.examples, flipped=settings.flipped) for key in keys]
            for name, detector in all_detectors(len(classes), settings.networks).items():
                if any(part in name for part in settings.detectors):
                    announce(f"{task_name}: {name}")
                    found = of_peer(functools.partial(quality, detector, tasks))
                    yield {"task": task_name, "detector": name, **found}

    return Report(
        f"{settings.flipped:.0%} wrong labels among {settings.examples} of MNIST, mean of {settings.draws} draws",
        rows(),
        notes=["sd: over the draws. Each detector warms up once; training the network is part of its time."],
    )


def growth(settings: Growth) -> Report:
    """Part (c): seconds and memory by the number of examples, and of outputs."""
    training = {"time": settings.time, "learning_rate": settings.learning_rate}
    cases = [(n, 1) for n in settings.examples] + [(settings.examples_by_outputs, k) for k in settings.outputs]

    def row(n: int, k: int) -> Row:
        announce(f"{n} examples, {k} outputs")
        problem = paper_problem(jax.random.key(settings.seed), n, settings.references, outputs=k)
        floors = machine().floor(kernel_operations(problem)), leave_one_out_floor(n * k, settings.references * k)
        reset_peak_memory()
        kernels, kernel_timing = measure(problem.kernels, repeats=settings.repeats)
        _, timing = measure(lambda: problem.both_scores(kernels, **training), repeats=settings.repeats)
        return {
            "examples": n,
            "outputs": k,
            "kernels": kernel_timing.median,
            "floor of kernels": floors[0],
            "leave-one-out": timing.median,
            "floor of leave-one-out": floors[1],
            "peak memory in GiB": peak_memory(),
        }

    title = f"Seconds by examples and outputs, both scores, {settings.references} reference inputs"
    return Report(title, itertools.starmap(row, cases))


def precision(settings: Precision) -> Report:
    """Part (d): what single precision does to the scores, kernels included."""
    problem = paper_problem(jax.random.key(settings.seed), settings.examples, settings.references)
    with jax.enable_x64(True):
        exact_problem = Problem(
            problem.apply_fn, *jax.tree.map(lambda values: np.asarray(values, float), tuple(problem[1:]))
        )
        exact_kernels = exact_problem.kernels()
    kernels = problem.kernels()

    def rows(time: float, weight_decay: float) -> list[Row]:
        training: dict[str, Any] = {"learning_rate": settings.learning_rate, "weight_decay": weight_decay}
        setting: Row = {"time": time, "weight decay": weight_decay}
        with jax.enable_x64(True):
            exact = exact_problem.both_scores(exact_kernels, time=time, **training)
        try:
            scores = problem.both_scores(kernels, time=time, **training)
        except SingularKernelError:
            return [setting | {"score": "both", "note": "refused: singular in single precision"}]
        names = ("weight_change", "output_change")
        return [setting | {"score": name} | deviation(getattr(scores, name), getattr(exact, name)) for name in names]

    settled = itertools.chain.from_iterable(
        rows(time, decay) for time in settings.times for decay in settings.weight_decays
    )
    return Report(f"Single against double precision, n = {settings.examples}", settled)


class PublishedTiming(NamedTuple):
    """What the published algorithm takes, and what it finds for the examples that it was timed on.

    Attributes:
      kernels: seconds for gradients, kernels, the inverse and the training on all examples.
      leave_one_out: seconds for both scores, scaled to all examples.
      examples: those it was timed on.
      weight_change, output_change: their scores.
    """

    kernels: float
    leave_one_out: float
    examples: Int[np.ndarray, " timed"]
    weight_change: Float[np.ndarray, " timed"]
    output_change: Float[np.ndarray, " timed"]


def time_published(problem: Problem, count: int, training: dict[str, Any]) -> PublishedTiming:
    """Times the published algorithm: all gradients and kernels, but few of the examples."""
    residuals = np.asarray(problem.initial_outputs - problem.targets)[:, 0]
    gradients = functools.partial(published.jacobian_by_example, problem.apply_fn, problem.params)
    gradients(problem.inputs[:1])
    linearized, seconds = timed(
        lambda: published.linearized_training(
            gradients(problem.inputs), gradients(problem.reference_inputs), residuals, **training
        )
    )
    n = len(problem.inputs)
    examples = np.linspace(0, n - 1, count).astype(int)
    weights, weight_seconds = timed(lambda: [published.weight_change(linearized, i) for i in examples])
    outputs, output_seconds = timed(lambda: [published.output_change(linearized, i) for i in examples])
    scaled = (weight_seconds + output_seconds) * n / count
    return PublishedTiming(seconds, scaled, examples, np.array(weights), np.array(outputs))


def quality(detector: Detector, tasks: Sequence[LabelTask]) -> Row:
    """How well and how fast a detector finds the wrong labels, mean over the tasks."""
    detector(tasks[0])
    runs = [timed(functools.partial(detector, task)) for task in tasks]
    if not all(np.isfinite(scores).all() for scores, _ in runs):
        return {"note": "its scores are NaN"}
    areas = [float(metrics.area_under_roc(scores, task.flipped)) for task, (scores, _) in zip(tasks, runs, strict=True)]
    precisions = [
        float(metrics.average_precision(scores, task.flipped)) for task, (scores, _) in zip(tasks, runs, strict=True)
    ]
    return {
        "AUROC": statistics.mean(areas),
        "AP": statistics.mean(precisions),
        "sd of AUROC": statistics.pstdev(areas),
        "sd of AP": statistics.pstdev(precisions),
        "seconds": statistics.mean(seconds for _, seconds in runs),
    }


def deviation(scores: Float[Array, " examples"], exact: Float[Array, " examples"]) -> Row:
    """Relative errors and rank correlation of scores."""
    single, double = np.asarray(scores, float), np.asarray(exact)
    errors = np.abs(single / double - 1)
    return {
        "median error": float(np.median(errors)),
        "largest error": float(errors.max()),
        "rank correlation": float(metrics.spearman_correlation(single, double)),
    }


PARTS = {
    "speed": Part(
        speed,
        Speed(),
        Speed("digits", 8, 4, published_examples=1, repeats=1),
        table=Table(("step",), ("ours", "published", "ratio", "ours / floor"), where=ON_CPU),
    ),
    "detection": Part(detection, Detection(), table=Table(("detector",), ("AUROC", "AP"), across="task")),
    "growth": Part(
        growth,
        Growth(),
        table=Table(("examples", "outputs"), ("kernels", "leave-one-out", "peak memory in GiB"), where=ON_CPU),
    ),
    "precision": Part(precision, Precision()),
    "attribution": Part(
        attribution,
        Attribution(),
        Attribution(
            references=5,
            width=8,
            batch=10,
            examples=40,
            epochs=2,
            fractions=(0.1,),
            subsets=4,
            methods=("derivative of",),
        ),
        table=Table(("method",), ("1%", "5%", "10%", "50%", "CPU seconds", "peak memory in GiB"), where=ON_CPU),
    ),
    "passes": Part(
        passes,
        Passes(),
        Passes(references=4, width=8, batch=10, examples=(20,), epochs=(2,), projections=4),
        table=Table(
            ("examples", "steps"),
            ("training", "forward pass", "midpoint", "reverse pass", "all examples", "in trainings"),
            where=ON_CPU,
        ),
    ),
    "residual": Part(
        residual,
        Residual(),
        Residual("digits", 40, 4, depths=(1,), width=2, epochs=1, batch=20, left_out=4, projections=2, units=("gelu",)),
        table=Table(
            ("network", "estimate"),
            ("weight_change", "output_change", "training", "a pass, in trainings", "device GiB"),
        ),
    ),
    "claims": Part(
        claims,
        Claims(),
        Claims((3,), (5,), ("none", "strong"), (0.0, 0.2), examples=100, draws=1),
        table=Table(
            ("classes", "imbalance", "signal", "errors", "rate"),
            ("told", "estimate", "width", "by a rule", "covered", "repairs", "right"),
            worst=("right", "covered"),
            shown=30,
        ),
    ),
}

if __name__ == "__main__":
    main("sample_information", __doc__, PARTS)
