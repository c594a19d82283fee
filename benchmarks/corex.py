"""Linear CorEx and T-CorEx: iterations, whole fits, and growth with the number of variables.

`python -m benchmarks.corex --help` lists the parts; without a part all of them run.
"""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks import corex_published as published
from benchmarks.harness import Row, announce, machine, peak_memory, report, reset_peak_memory, timed
from infotheory_dl import data
from infotheory_dl.corex import linear, temporal

NAME = "corex"
_LONG = 120.0
_STAGES = (*(0.6**i for i in range(1, 7)), 0.0)


@dataclass(frozen=True)
class Iterations:
    """One iteration of the quasi-Newton solver, by the numbers of variables and factors."""

    variables: tuple[int, ...] = (200, 1000, 10_000)
    factors: tuple[int, ...] = (8, 32)
    n: int = 300
    iterations: int = 20
    """Of the longer of two fits, whose difference is taken; the other has five."""
    repeats: int = 3


@dataclass(frozen=True)
class Fits:
    """Whole fits from the same start."""

    variables: tuple[int, ...] = (200, 1000)
    factors: tuple[int, ...] = (8, 32)
    n: int = 300
    adam_steps: int = 1000
    """Of the published gradient solver, in each stage of noise, at most."""


@dataclass(frozen=True)
class Temporal:
    """Whole fits of T-CorEx to a sudden change."""

    variables: tuple[int, ...] = (128, 1000)
    periods: int = 10
    samples: int = 16
    factors: int = 8
    decay: float = 0.3
    l1: float = 0.3
    max_iterations: int = 1000
    published_steps: int = 30
    """Steps of the published loop that are timed; 0 for none."""


@dataclass(frozen=True)
class Growth:
    """An iteration and the memory, by the number of variables."""

    variables: tuple[int, ...] = (1000, 10_000, 100_000)
    factors: int = 32
    n: int = 300
    iterations: int = 10
    repeats: int = 2


@dataclass(frozen=True)
class All:
    """The parts, one after the other."""

    iterations: Iterations = field(default_factory=Iterations)
    fits: Fits = field(default_factory=Fits)
    temporal: Temporal = field(default_factory=Temporal)
    growth: Growth = field(default_factory=Growth)


def iterations(settings: Iterations) -> None:
    """Milliseconds of a quasi-Newton iteration without noise, from the same start."""

    def rows() -> Iterator[Row]:
        for size in settings.variables:
            for m in settings.factors:
                announce(f"{size} variables, {m} factors")
                x, start = draw(size, m, settings.n)
                lengths = 5, settings.iterations
                ours = seconds_of_iteration(functools.partial(fit, x, start, (0.0,)), lengths, settings.repeats)
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

    report(NAME, "iterations", f"Milliseconds of a quasi-Newton iteration, {settings.n} samples", rows())


def fits(settings: Fits) -> None:
    """Seconds of whole fits, and the total correlation that they reach."""

    def rows() -> Iterator[Row]:
        for size in settings.variables:
            for m in settings.factors:
                x, start = draw(size, m, settings.n)
                loop = functools.partial(published.quasi_newton, x, start, _STAGES, max_iterations=10_000)
                adam = functools.partial(published.adam, x, start, _STAGES, max_iterations=settings.adam_steps)
                programs: dict[str, Callable[[], Any]] = {
                    "ours": functools.partial(
                        linear.fit, jax.random.key(0), x, m, initial_weights=start, noises=_STAGES
                    ),
                    "published loop, NumPy": loop,
                    "published loop, PyTorch Adam": adam,
                }
                for program, run in programs.items():
                    announce(f"{program}, {size} variables, {m} factors")
                    row: Row = {"variables": size, "factors": m, "program": program}
                    try:
                        found, first = timed(run)
                    except ImportError as error:
                        yield row | {"note": f"missing: {error}"}
                        continue
                    if program == "ours":
                        found, seconds = timed(run)
                        row |= {"seconds": seconds, "compilation": first - seconds}
                        weights = np.asarray(found.weights)
                    else:
                        row["seconds"], (weights, _) = first, found
                    if program.endswith("Adam"):
                        weights = normalized(weights, x)
                    yield row | {"total correlation": float(linear.objective(weights.astype(x.dtype), x))}

    report(NAME, "fits", f"Seconds of a fit with all stages of noise, {settings.n} samples", rows())


def t_corex(settings: Temporal) -> None:
    """Seconds of a whole fit of T-CorEx; the published loop by the seconds of a step and its usual 7 x 500 steps."""

    def rows() -> Iterator[Row]:
        for size in settings.variables:
            announce(f"{size} variables")
            keys = jax.random.split(jax.random.key(size), 3)
            truth = data.suddenly_changing_factors(keys[0], settings.periods, size, settings.factors)
            x, others = (data.sample_latent_factors(key, truth, settings.samples) for key in keys[1:])
            rates: dict[str, Any] = {"decay": settings.decay, "l1": settings.l1}
            fit_all = functools.partial(
                temporal.fit,
                jax.random.key(0),
                x,
                settings.factors,
                max_iterations=settings.max_iterations,
                **rates,
            )
            reset_peak_memory()
            model, first = timed(fit_all)
            # compilation takes seconds, which in a long fit are nothing
            seconds = first if first > _LONG else timed(fit_all)[1]
            row: Row = {
                "variables": size,
                "seconds": seconds,
                "compilation": None if first > _LONG else first - seconds,
                "steps": len(model.history),
                "peak memory in GiB": peak_memory(),
                "log-likelihood": float(temporal.log_likelihood(model, others).mean()),
            }
            if not settings.published_steps:
                yield row
                continue
            start = np.random.default_rng(0).normal(size=(settings.periods, settings.factors, size)) / size
            try:
                standardised = [np.asarray((period - period.mean(0)) / period.std(0), np.float32) for period in x]
                loop = functools.partial(published.temporal, standardised, start.astype(np.float32), (0.0,))
                limits = {"max_iterations": settings.published_steps, "tolerance": 0.0}
                _, theirs = timed(functools.partial(loop, **rates, **limits))
                row["published loop, ms of a step"] = 1e3 * theirs / settings.published_steps
                row["published fit, scaled"] = theirs / settings.published_steps * 500 * len(_STAGES)
            except ImportError as error:
                row["note"] = f"missing: {error}"
            yield row

    title = f"T-CorEx, {settings.periods} periods of {settings.samples} samples, {settings.factors} factors"
    report(NAME, "temporal", title, rows(), notes=["Published: 500 steps in each of seven stages of noise, scaled."])


def growth(settings: Growth) -> None:
    """Milliseconds of an iteration, and memory, as the variables grow."""

    def rows() -> Iterator[Row]:
        for size in settings.variables:
            announce(f"{size} variables")
            x, start = draw(size, settings.factors, settings.n)
            reset_peak_memory()
            run = functools.partial(fit, x, start, (0.0,))
            seconds = seconds_of_iteration(run, (3, settings.iterations), settings.repeats)
            yield {
                "variables": size,
                "ms": 1e3 * seconds,
                "ns for each variable": 1e9 * seconds / size,
                "ours / floor": seconds / floor_of_iteration(size, settings.factors, settings.n),
                "peak memory in GiB": peak_memory(),
            }

    title = f"A quasi-Newton iteration by variables, {settings.factors} factors, {settings.n} samples"
    report(NAME, "growth", title, rows())


def draw(num_variables: int, num_factors: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a modular model, in single precision, and weights to start from."""
    keys = jax.random.split(jax.random.key(num_variables + num_factors), 3)
    truth = data.modular_factors(keys[0], num_variables, num_factors)
    x = np.asarray(data.sample_latent_factors(keys[1], truth, n), np.float32)
    scale = 1e-2 if num_variables > 1000 else 1e-1
    start = scale * np.asarray(jax.random.normal(keys[2], (num_factors, num_variables))) / num_variables**0.5
    return (x - x.mean(0)) / x.std(0), start.astype(np.float32)


def fit(x: np.ndarray, start: np.ndarray, noises: tuple[float, ...], max_iterations: int) -> int:
    """Fits with hardly a tolerance to stop at, and returns the number of iterations done."""
    m = len(start)
    settings: dict[str, Any] = {"noises": noises, "max_iterations": max_iterations, "tolerance": 1e-30}
    return len(linear.fit(jax.random.key(0), x, m, initial_weights=start, **settings).history)


def published_fit(x: np.ndarray, start: np.ndarray, max_iterations: int) -> int:
    """The same by the published loop."""
    return published.quasi_newton(x, start, (0.0,), max_iterations=max_iterations, tolerance=0.0)[1]


def seconds_of_iteration(run: Callable[[int], int], lengths: tuple[int, int], repeats: int) -> float:
    """The difference of a long and a short fit by that of their iterations, the fastest of some repeats."""

    def fastest(length: int) -> tuple[int, float]:
        done, taken = run(length), []
        for _ in range(repeats):
            start = time.perf_counter()
            done = run(length)
            taken.append(time.perf_counter() - start)
        return done, min(taken)

    (few, short), (many, long) = (fastest(length) for length in lengths)
    return max(long - short, 1e-9) / max(many - few, 1)


def floor_of_iteration(num_variables: int, num_factors: int, n: int) -> float:
    """Seconds of the two products with the data that an iteration cannot do without, or of reading the data."""
    return machine().floor(4 * n * num_variables * num_factors, 4 * n * num_variables)


def normalized(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Weights of normalized factors from those of factors of unit noise."""
    signal = np.square(x @ weights.T).mean(0)
    return weights / np.sqrt(1 + signal)[:, None]


PARTS: dict[type, Callable[[Any], None]] = {Iterations: iterations, Fits: fits, Temporal: t_corex, Growth: growth}


def main() -> None:
    """Runs one part, or all."""
    settings = tyro.cli(Iterations | Fits | Temporal | Growth | All, default=All(), description=__doc__)
    for part in vars(settings).values() if isinstance(settings, All) else [settings]:
        PARTS[type(part)](part)


if __name__ == "__main__":
    main()
