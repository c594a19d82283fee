"""Linear CorEx and T-CorEx: iterations, whole fits, and growth with the number of variables.

`python -m benchmarks.corex --help` lists the parts; without a part all of them run.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

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
from benchmarks.peers import corex as published
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import data
from infotheory_dl.corex import linear, temporal
from infotheory_dl.corex._temporal.periods import as_samples, decay_logits, window_reach, windows_of

_LONG = 120.0
_STAGES = (*(0.6**i for i in range(1, 7)), 0.0)


@dataclass(frozen=True)
class Iterations:
    """One iteration of the quasi-Newton solver, by the numbers of variables and factors."""

    variables: tuple[int, ...] = (200, 1000, 10_000)
    factors: tuple[int, ...] = (8, 32)
    n: int = 300
    iterations: int = 60
    """Of the longer of two fits, whose difference is taken; the other has five."""
    repeats: int = 5


@dataclass(frozen=True)
class Fits:
    """Whole fits from the same start."""

    variables: tuple[int, ...] = (200, 1000, 10_000)
    factors: tuple[int, ...] = (8, 32)
    n: int = 300
    adam_steps: int = 1000
    """Of the published gradient solver, in each stage of noise, at most."""
    adam_variables: int = 1000
    """Beyond so many the published gradient solver is left out."""
    repeats: int = 5
    """Of the others."""


@dataclass(frozen=True)
class Temporal:
    """Whole fits of T-CorEx to a sudden change."""

    variables: tuple[int, ...] = (128, 1000)
    periods: int = 10
    samples: int = 16
    held_out: int = 200
    """Other samples of each period, for the log-likelihood."""
    factors: int = 8
    decay: float = 0.3
    l1: float = 0.3
    draws: int = 3
    """Of the truth and its samples."""
    max_iterations: int = 1000
    """In each stage of noise, ours and the published."""
    noises: tuple[float, ...] | None = None
    """Stages of ours; None for the default ones."""
    published_variables: int = 128
    """Beyond so many the published loop, which takes minutes, is left out."""


@dataclass(frozen=True)
class Growth:
    """An iteration and the memory, by the number of variables."""

    variables: tuple[int, ...] = (1000, 10_000, 30_000, 100_000, 300_000)
    factors: int = 32
    n: int = 300
    iterations: tuple[int, int] = (20, 40)
    """Of two fits, whose difference is taken: the first iterations try more steps than the later ones."""
    repeats: int = 2


def iterations(settings: Iterations) -> Report:
    """Milliseconds of a quasi-Newton iteration without noise, from the same start."""

    def rows() -> Iterator[Row]:
        for size in settings.variables:
            for m in settings.factors:
                announce(f"{size} variables, {m} factors")
                x, start = draw(size, m, settings.n)
                lengths = 5, settings.iterations
                ours = seconds_of_iteration(
                    functools.partial(fit, x, published.of_unit_noise(start, x)), lengths, settings.repeats
                )
                theirs = seconds_of_iteration(functools.partial(published_fit, x, start), lengths, settings.repeats)
                floor = floor_of_iteration(size, m, settings.n)
                yield {
                    "variables": size,
                    "factors": m,
                    "ours, ms": 1e3 * ours,
                    "published loop, NumPy, ms": 1e3 * theirs,
                    "ratio": theirs / ours,
                    "ours / floor": ours / floor,
                }

    return Report(f"Milliseconds of a quasi-Newton iteration, {settings.n} samples", rows())


def fits(settings: Fits) -> Report:
    """Seconds of whole fits, and how far below the best of them each ends."""
    rows = (row for size in settings.variables for m in settings.factors for row in fits_of(settings, size, m))
    return Report(f"Seconds of a fit with all stages of noise, {settings.n} samples", rows)


def fits_of(settings: Fits, num_variables: int, num_factors: int) -> list[Row]:
    """Every program from one start, by the same measure of where it ends."""
    x, normalized = draw(num_variables, num_factors, settings.n)
    start = published.of_unit_noise(normalized, x)

    def ours() -> tuple[np.ndarray, int]:
        model = linear.fit(jax.random.key(0), x, num_factors, initial_weights=start, noises=_STAGES)
        return np.asarray(model.weights), len(model.history)

    def adam() -> tuple[np.ndarray, int]:
        return published.adam(x, start, _STAGES, max_iterations=settings.adam_steps)

    def quasi_newton() -> tuple[np.ndarray, int]:
        weights, count = published.quasi_newton(x, normalized, _STAGES, max_iterations=10_000)
        return published.of_unit_noise(weights, x), count

    programs: dict[str, Callable[[], tuple[np.ndarray, int]]] = {
        "ours": ours,
        "published loop, NumPy": quasi_newton,
    }
    if num_variables <= settings.adam_variables:
        programs["published loop, PyTorch Adam"] = adam

    def row(program: str, run: Callable[[], tuple[np.ndarray, int]]) -> Row:
        announce(f"{program}, {num_variables} variables, {num_factors} factors")
        (weights, count), timing = measure(run, repeats=1 if run is adam else settings.repeats)
        return {
            "variables": num_variables,
            "factors": num_factors,
            "program": program,
            "compilation": timing.compilation if run is ours else None,
            "seconds": timing.median,
            "iterations": count,
            "total correlation": float(linear.explained_total_correlation(weights.astype(x.dtype), x)),
        }

    rows = [of_peer(functools.partial(row, *program)) for program in programs.items()]
    best = max(row["total correlation"] for row in rows if "missing" not in row)
    return [row if "missing" in row else row | {"below the best": best - row["total correlation"]} for row in rows]


def t_corex(settings: Temporal) -> Report:
    """Seconds of a whole fit of T-CorEx, and the log-likelihood of other samples."""

    def rows() -> Iterator[Row]:
        for size, number in itertools.product(settings.variables, range(settings.draws)):
            keys = jax.random.split(jax.random.key(size + number), 3)
            truth = data.suddenly_changing_factors(keys[0], settings.periods, size, settings.factors)
            x = data.sample_latent_factors(keys[1], truth, settings.samples)
            others = data.sample_latent_factors(keys[2], truth, settings.held_out)
            about: Row = {
                "variables": size,
                "draw": number,
                "periods": settings.periods,
                "samples": settings.samples,
                "factors": settings.factors,
            }
            # the first draw compiles for all
            yield about | our_t_corex(settings, x, others) | ({"compilation": None} if number else {})
            if size <= settings.published_variables:
                yield about | of_peer(functools.partial(published_t_corex, settings, x, others))

    return Report("A whole fit of T-CorEx, and the log-likelihood of other samples", rows())


def our_t_corex(settings: Temporal, x: np.ndarray, others: np.ndarray) -> Row:
    """Seconds, memory and quality of our fit."""
    announce(f"ours, {x.shape[2]} variables")
    rates: dict[str, Any] = {"decay": settings.decay, "l1": settings.l1}
    stages: dict[str, Any] = {"noises": settings.noises, "max_iterations": settings.max_iterations}
    fit_all = functools.partial(temporal.fit, jax.random.key(0), x, settings.factors, **rates, **stages)
    reset_peak_memory()
    model, first = timed(fit_all)
    # compilation takes seconds, which in a long fit are nothing
    seconds = first if first > _LONG else timed(fit_all)[1]
    return {
        "program": "ours",
        "seconds": seconds,
        "compilation": None if first > _LONG else first - seconds,
        "steps": len(model.history),
        "log-likelihood": float(temporal.log_likelihood(model, others).mean()),
        "peak memory in GiB": peak_memory(),
    }


def published_t_corex(settings: Temporal, x: np.ndarray, others: np.ndarray) -> Row:
    """Seconds and quality of the published loops: linear CorEx on all samples, and T-CorEx from there."""
    announce(f"published loops, {x.shape[2]} variables")
    samples, _ = as_samples(x)
    logits = decay_logits(settings.decay, window_reach(samples.present, None))
    standardised = np.array(windows_of(samples, logits).values)
    rates = {"decay": settings.decay, "l1": settings.l1}
    size = settings.factors, x.shape[2]
    start = (np.random.default_rng(0).normal(size=size) / size[1] ** 0.5).astype(x.dtype)

    def run() -> tuple[np.ndarray, int]:
        weights, _ = published.adam(
            standardised.reshape(-1, size[1]), start, _STAGES, max_iterations=settings.max_iterations
        )
        weights = np.repeat(weights[None], len(x), axis=0)
        return published.temporal(list(standardised), weights, _STAGES, max_iterations=settings.max_iterations, **rates)

    (weights, steps), seconds = timed(run)
    # one step of no length: the model that these weights stand for
    there: dict[str, Any] = {"initial_weights": weights, "max_iterations": 1, "learning_rate": 1e-30, **rates}
    model = temporal.fit(jax.random.key(0), x, settings.factors, **there)
    return {
        "program": "published loops, PyTorch Adam",
        "steps": steps,
        "seconds": seconds,
        "log-likelihood": float(temporal.log_likelihood(model, others).mean()),
    }


def growth(settings: Growth) -> Report:
    """Milliseconds of an iteration, and memory, as the variables grow."""

    def rows() -> Iterator[Row]:
        for size in settings.variables:
            announce(f"{size} variables")
            x, start = draw(size, settings.factors, settings.n)
            reset_peak_memory()
            run = functools.partial(fit, x, published.of_unit_noise(start, x))
            seconds = seconds_of_iteration(run, settings.iterations, settings.repeats)
            yield {
                "variables": size,
                "ms": 1e3 * seconds,
                "ns for each variable": 1e9 * seconds / size,
                "ours / floor": seconds / floor_of_iteration(size, settings.factors, settings.n),
                "peak memory in GiB": peak_memory(),
            }

    title = f"A quasi-Newton iteration by variables, {settings.factors} factors, {settings.n} samples"
    return Report(title, rows())


def draw(num_variables: int, num_factors: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a modular model, in single precision, and weights of normalized factors to start from."""
    keys = jax.random.split(jax.random.key(num_variables + num_factors), 3)
    truth = data.modular_factors(keys[0], num_variables, num_factors)
    x = np.asarray(data.sample_latent_factors(keys[1], truth, n), np.float32)
    scale = 1e-2 if num_variables > 1000 else 1e-1
    start = scale * np.asarray(jax.random.normal(keys[2], (num_factors, num_variables))) / num_variables**0.5
    return (x - x.mean(0)) / x.std(0), start.astype(np.float32)


def fit(x: np.ndarray, start: np.ndarray, max_iterations: int) -> int:
    """Fits without noise, with hardly a tolerance to stop at, and returns the number of iterations done."""
    m = len(start)
    settings: dict[str, Any] = {"noises": (0.0,), "max_iterations": max_iterations, "tolerance": 1e-30}
    return len(linear.fit(jax.random.key(0), x, m, initial_weights=start, **settings).history)


def published_fit(x: np.ndarray, start: np.ndarray, max_iterations: int) -> int:
    """The same by the published loop."""
    return published.quasi_newton(x, start, (0.0,), max_iterations=max_iterations, tolerance=0.0)[1]


def seconds_of_iteration(run: Callable[[int], int], lengths: tuple[int, int], repeats: int) -> float:
    """The difference of a long and a short fit by that of their iterations, the fastest of some repeats.

    On a machine that does other work it may be noise, which a negative number tells.
    """

    def fastest(length: int) -> tuple[int, float]:
        done, taken = run(length), []
        for _ in range(repeats):
            start = time.perf_counter()
            done = run(length)
            taken.append(time.perf_counter() - start)
        return done, min(taken)

    (few, short), (many, long) = (fastest(length) for length in lengths)
    return (long - short) / max(many - few, 1)


def floor_of_iteration(num_variables: int, num_factors: int, n: int) -> float:
    """Seconds of the two products with the data that an iteration cannot do without, or of reading the data."""
    return machine().floor(4 * n * num_variables * num_factors, 4 * n * num_variables)


PARTS = {
    "iterations": Part(
        iterations,
        Iterations(),
        Iterations((60,), (4,), n=50, iterations=10, repeats=1),
        table=Table(
            ("variables", "factors"), ("ours, ms", "published loop, NumPy, ms", "ratio", "ours / floor"), where=ON_CPU
        ),
    ),
    "fits": Part(
        fits,
        Fits(),
        Fits((60,), (4,), n=50, adam_steps=10, repeats=1),
        table=Table(("variables", "factors"), ("seconds",), across="program", where=ON_CPU),
    ),
    "temporal": Part(
        t_corex,
        Temporal(),
        table=Table(("variables", "draw"), ("seconds", "log-likelihood"), across="program", where=ON_CPU, digits=5),
    ),
    "growth": Part(
        growth,
        Growth(),
        table=Table(("machine", "variables"), ("ms", "ns for each variable", "ours / floor", "peak memory in GiB")),
    ),
}

if __name__ == "__main__":
    main("corex", __doc__, PARTS)
