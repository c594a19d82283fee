"""MinSyn: linear fits.

`python -m benchmarks.minsyn --help` lists the parts; without a part all of them run.
"""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from benchmarks.harness import Part, Report, Row, announce, main, measure, of_peer
from benchmarks.peers import corex as published
from infotheory_dl import data
from infotheory_dl.corex import linear as corex
from infotheory_dl.minsyn import linear


@dataclass(frozen=True)
class LinearFits:
    """Whole fits of correlated groups, from the same start."""

    variables: tuple[int, ...] = (200, 1000)
    factors: tuple[int, ...] = (8, 32)
    n: int = 300
    correlation: float = 0.5
    repeats: int = 5


def linear_fits(settings: LinearFits) -> Report:
    """Seconds of whole fits, and the objective that they reach."""
    rows = (row for size in settings.variables for m in settings.factors for row in fits_of(settings, size, m))
    return Report(f"Seconds of a linear fit, {settings.n} samples", rows)


def fits_of(settings: LinearFits, num_variables: int, num_factors: int) -> Iterator[Row]:
    """Every program on one draw; the two CorEx programs from the start of ours."""
    keys = jax.random.split(jax.random.key(num_variables + num_factors), 3)
    truth = data.correlated_groups(keys[0], num_variables, num_factors, correlation=settings.correlation)
    x = np.asarray(data.sample_latent_factors(keys[1], truth, settings.n), np.float32)
    x = (x - x.mean(0)) / x.std(0)
    start = 0.1 * np.asarray(jax.random.normal(keys[2], (num_factors, num_variables), np.float32)) / num_variables**0.5
    weights = published.of_unit_noise(start, x)
    given: dict[str, Any] = {"initial_weights": weights, "noises": corex.NOISE_SCHEDULE}

    def ours() -> np.ndarray:
        return np.asarray(linear.fit(jax.random.key(0), x, num_factors, **given).weights)

    def of_corex() -> np.ndarray:
        return np.asarray(corex.fit(jax.random.key(0), x, num_factors, **given).weights)

    def published_loop() -> np.ndarray:
        found, _ = published.quasi_newton(x, start, corex.NOISE_SCHEDULE, max_iterations=10_000)
        return published.of_unit_noise(found, x)

    def independent_components() -> None:
        from sklearn.decomposition import FastICA

        FastICA(num_factors, random_state=0, whiten="unit-variance").fit(x)

    programs: dict[str, Callable[[], np.ndarray | None]] = {
        "ours": ours,
        "linear CorEx": of_corex,
        "published loop, NumPy": published_loop,
        "FastICA": independent_components,
    }

    def row(program: str, run: Callable[[], np.ndarray | None]) -> Row:
        announce(f"{program}, {num_variables} variables, {num_factors} factors")
        found, timing = measure(run, repeats=settings.repeats)
        begun = time.process_time()
        run()
        return {
            "variables": num_variables,
            "factors": num_factors,
            "program": program,
            "seconds": timing.median,
            "CPU seconds": time.process_time() - begun,
            "compilation": timing.compilation if run in (ours, of_corex) else None,
            "objective": None if found is None else float(linear.objective(found.astype(x.dtype), x)),
        }

    for program in programs.items():
        yield of_peer(functools.partial(row, *program))


PARTS = {
    "linear": Part(
        linear_fits,
        LinearFits(),
        LinearFits((60,), (4,), n=50, repeats=1),
    ),
}

if __name__ == "__main__":
    main("minsyn", __doc__, PARTS)
