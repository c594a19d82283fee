"""MinSyn: measures of synergy, linear fits, and categorical ones of words.

`python -m benchmarks.minsyn --help` lists the parts; without a part all of them run.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Part, Report, Row, announce, main, measure, of_peer
from benchmarks.minsyn import peers
from benchmarks.minsyn.categorical import CategoricalFits, categorical_fits
from benchmarks.peers import corex as published
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import data, minsyn
from infotheory_dl.corex import linear as corex
from infotheory_dl.information import synergy
from infotheory_dl.information.synergy._gaussian import measured
from infotheory_dl.minsyn import linear


@dataclass(frozen=True)
class Distributions:
    """Joint distributions of a binary target and some binary sources, all measures of each."""

    sources: tuple[int, ...] = (2, 3)
    number: int = 100_000
    """Of distributions at once."""
    loop: int = 300
    """Of these, one after the other by the plain loop and by dit."""
    repeats: int = 5


@dataclass(frozen=True)
class Reports:
    """Synergy of Gaussian sources about every target."""

    targets: int = 10_000
    sources: int = 32
    n: int = 300
    loop: int = 300
    """Targets of the plain loop."""
    repeats: int = 5


@dataclass(frozen=True)
class LinearFits:
    """Whole fits of correlated groups, from the same start."""

    variables: tuple[int, ...] = (200, 1000)
    factors: tuple[int, ...] = (8, 32)
    n: int = 300
    correlation: float = 0.5
    repeats: int = 5


def discrete_synergy(settings: Distributions) -> Report:
    """Distributions in a second of the clock, and of a processor."""

    def rows() -> Iterator[Row]:
        for sources in settings.sources:
            size = settings.number, *(sources + 1) * (2,)
            pmfs = np.random.default_rng(sources).exponential(size=size).astype(np.float32)
            pmfs /= pmfs.sum(axis=tuple(range(1, pmfs.ndim)), keepdims=True)
            of_all = jax.jit(jax.vmap(synergy.discrete))
            few = pmfs[: settings.loop].astype(float)
            few /= few.sum(axis=tuple(range(1, few.ndim)), keepdims=True)
            programs: dict[str, tuple[int, Callable[[], object]]] = {
                "ours": (len(pmfs), functools.partial(of_all, pmfs)),
                "plain loop, NumPy": (len(few), functools.partial(of_each, peers.discrete_measures, few)),
                "dit": (len(few), functools.partial(of_each, peers.dit_measures, few)),
            }

            def row(program: str, number: int, run: Callable[[], object], sources: int = sources) -> Row:
                announce(f"{program}, {sources} sources")
                _, timing = measure(run, repeats=settings.repeats if program == "ours" else 1)
                about: Row = {"sources": sources, "program": program}
                return about | {"a second": number / timing.fastest, "a CPU second": number / timing.processor}

            for program, (number, run) in programs.items():
                yield of_peer(functools.partial(row, program, number, run))

    return Report(
        "Distributions in a second, binary target and sources",
        rows(),
        ["Ours has all measures; the loop has I, each I_j and S_CI; dit I, each I_j and TC."],
    )


def gaussian_report(settings: Reports) -> Report:
    """Milliseconds for all targets."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(settings.n, settings.sources)).astype(np.float32)
    mixing = rng.normal(size=(settings.sources, settings.targets)).astype(np.float32) / settings.sources**0.5
    x = codes @ mixing + rng.normal(size=(settings.n, settings.targets)).astype(np.float32)
    across, among = map(jnp.asarray, correlations_of(codes, x))
    few = np.array(across[:, : settings.loop], float), np.array(among, float)
    programs: dict[str, tuple[int, Callable[[], object]]] = {
        "ours, from correlations": (settings.targets, lambda: measured(across, among)),
        "ours, from samples": (settings.targets, lambda: synergy.gaussian_from_samples(x, codes)),
        "ours, report": (settings.targets, lambda: minsyn.synergy_report(codes, x)),
        "plain loop, NumPy": (settings.loop, lambda: [peers.gaussian_measures(one, few[1]) for one in few[0].T]),
    }

    def rows() -> Iterator[Row]:
        for program, (targets, run) in programs.items():
            announce(program)
            _, timing = measure(run, repeats=settings.repeats)
            scale = 1e3 * settings.targets / targets
            yield {
                "targets": settings.targets,
                "sources": settings.sources,
                "samples": settings.n,
                "program": program,
                "ms": scale * timing.fastest,
                "CPU ms": scale * timing.processor,
            }

    return Report("Milliseconds for the synergy about all targets", rows(), ["The loop by a part of the targets."])


def of_each(measures: Callable[[np.ndarray], object], pmfs: np.ndarray) -> list[object]:
    """The measures of one distribution after the other."""
    return [measures(pmf) for pmf in pmfs]


def correlations_of(codes: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of codes with variables, and among the codes."""
    codes, x = ((table - table.mean(0)) / table.std(0) for table in (codes, x))
    return codes.T @ x / len(x), codes.T @ codes / len(x)


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

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gaussian factors have no independent components to settle at
            FastICA(num_factors, random_state=0, whiten="unit-variance").fit(x)

    programs: dict[str, Callable[[], np.ndarray | None]] = {
        "ours": ours,
        "linear CorEx": of_corex,
        "published loop, NumPy": published_loop,
        "FastICA": independent_components,
    }

    def row(program: str, run: Callable[[], np.ndarray | None]) -> Row:
        announce(f"{program}, {num_variables} variables, {num_factors} factors")
        found, timing = measure(run, repeats=1 if run is published_loop else settings.repeats)
        return {
            "variables": num_variables,
            "factors": num_factors,
            "program": program,
            "seconds": timing.fastest,
            "CPU seconds": timing.processor,
            "compilation": timing.compilation if run in (ours, of_corex) else None,
            "objective": None if found is None else float(linear.objective(found.astype(x.dtype), x)),
        }

    for program in programs.items():
        yield of_peer(functools.partial(row, *program))


PARTS = {
    "synergy": Part(
        discrete_synergy,
        Distributions(),
        Distributions((2,), number=100, loop=5, repeats=1),
        table=Table(("machine", "sources", "program"), ("a second", "a CPU second")),
    ),
    "report": Part(
        gaussian_report,
        Reports(),
        Reports(targets=50, sources=3, n=40, loop=5, repeats=1),
        table=Table(("machine", "targets", "sources", "samples", "program"), ("ms", "CPU ms")),
    ),
    "linear": Part(
        linear_fits,
        LinearFits(),
        LinearFits((60,), (4,), n=50, repeats=1),
        table=Table(("variables", "factors"), ("seconds",), across="program", where=ON_CPU),
    ),
    "categorical": Part(
        categorical_fits,
        CategoricalFits(),
        CategoricalFits(restarts=2, num_steps=20, batch_sizes=(None,), keys=1, repeats=1),
        table=Table(
            ("batch",),
            ("seconds", "seconds a restart", "CPU seconds", "compilation", "match, least", "match, largest"),
            where=ON_CPU,
        ),
    ),
}

if __name__ == "__main__":
    main("minsyn", __doc__, PARTS)
