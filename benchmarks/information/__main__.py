"""Estimates of mutual information beside scikit-learn's, and beside what is known.

`python -m benchmarks.information --help` lists the parts; without a part all of them run.
"""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from benchmarks.harness import Part, Report, Row, announce, main, measure
from benchmarks.information.tasks import CONTINUOUS, MIXED, Task
from benchmarks.tables import ON_CPU, Table
from infotheory_dl.information import chance, copula, neighbours

Estimate: TypeAlias = Callable[[Any, Any], Any]

PEER = "scikit-learn"


@dataclass(frozen=True)
class Speed:
    """A normal pair of single columns."""

    sizes: tuple[int, ...] = (1000, 2000, 5000, 10_000, 20_000)
    all_pairs_up_to: int = 10_000
    repeats: int = 5


@dataclass(frozen=True)
class Accuracy:
    """Draws of two continuous variables."""

    samples: int = 1000
    draws: int = 20
    tasks: tuple[str, ...] = tuple(task.name for task in CONTINUOUS)


@dataclass(frozen=True)
class Mixed:
    """Draws of a continuous variable and labels."""

    samples: int = 1000
    draws: int = 20
    tasks: tuple[str, ...] = tuple(task.name for task in MIXED)


@dataclass(frozen=True)
class Chance:
    """Intervals and p-values over draws."""

    samples: int = 400
    draws: int = 200
    halvings: int = 30
    permutations: int = 39


def speed(settings: Speed) -> Report:
    """Seconds for one estimate."""

    def rows() -> Iterator[Row]:
        for size in settings.sizes:
            x, y = CONTINUOUS[0].draw(np.random.default_rng(0), size)
            programs: dict[str, Callable[[], Any]] = {
                PEER: functools.partial(mutual_info_regression, x, y[:, 0], random_state=0),
                "ours, tree": functools.partial(neighbours.mutual_information, x, y),
            }
            if size <= settings.all_pairs_up_to:
                programs["ours, all pairs"] = functools.partial(jax.jit(neighbours.mutual_information), x, y)
            medians: dict[str, float] = {}
            for name, program in programs.items():
                announce(f"{size} samples, {name}")
                timing = measure(program, repeats=settings.repeats)[1]
                medians[name] = timing.median
                yield {
                    "samples": size,
                    "program": name,
                    "seconds": timing.median,
                    "ratio": timing.median / medians[PEER],
                    "compilation": timing.compilation if "pairs" in name else None,
                }

    return Report("Seconds for the estimate of Kraskov et al. from single columns", rows())


def accuracy(settings: Accuracy) -> Report:
    """Estimates of two continuous variables."""
    estimators: dict[str, Estimate] = {
        "Kraskov": neighbours.mutual_information,
        "Gao": functools.partial(neighbours.mutual_information, estimator="gao"),
        "copula": copula.mutual_information,
        PEER: lambda x, y: mutual_info_regression(x, y[:, 0], random_state=0)[0],
    }
    tasks = [task for task in CONTINUOUS if task.name in settings.tasks]
    return _beside_the_truth(tasks, estimators, settings.samples, settings.draws, single_columns={PEER})


def mixed(settings: Mixed) -> Report:
    """Estimates of a continuous variable and labels."""
    estimators: dict[str, Estimate] = {
        "entropies": neighbours.mixed_mutual_information,
        "Ross": functools.partial(neighbours.mixed_mutual_information, estimator="ross"),
        "Gao": functools.partial(neighbours.mixed_mutual_information, estimator="gao"),
        PEER: lambda x, labels: mutual_info_classif(x, labels, discrete_features=False, random_state=0)[0],
    }
    tasks = [task for task in MIXED if task.name in settings.tasks]
    return _beside_the_truth(tasks, estimators, settings.samples, settings.draws)


def _beside_the_truth(
    tasks: list[Task],
    estimators: Mapping[str, Estimate],
    samples: int,
    draws: int,
    single_columns: frozenset[str] | set[str] = frozenset(),
) -> Report:
    def rows() -> Iterator[Row]:
        for task in tasks:
            announce(task.name)
            pairs = [task.draw(np.random.default_rng(seed), samples) for seed in range(draws)]
            single = all(np.size(variable) == samples for variable in pairs[0])
            found = {
                name: [_quietly(estimate, *pair) for pair in pairs]
                for name, estimate in estimators.items()
                if single or name not in single_columns
            }
            far = {name: abs(np.mean(values) - task.information) for name, values in found.items()}
            for name, values in found.items():
                spread = float(np.std(values, ddof=1))
                yield {
                    "distribution": task.name,
                    "information": float(task.information),
                    "estimator": name,
                    "mean": float(np.mean(values)),
                    "spread": spread,
                    "beyond the peer": float((far[name] - far[PEER]) / spread) if PEER in far else None,
                }

    title = f"Mean and standard deviation of estimates from {samples} samples, over {draws} draws"
    beyond = "Beyond the peer: how much further the mean is from the truth than that of scikit-learn, in deviations."
    return Report(title, rows(), [beyond])


def _quietly(estimate: Estimate, x: Any, y: Any) -> float:
    with warnings.catch_warnings():
        # rare labels are left out
        warnings.simplefilter("ignore", UserWarning)
        return float(estimate(x, y))


def intervals(settings: Chance) -> Report:
    """How often an interval covers, and how often independent variables have a p-value of at most .05."""
    cases: dict[str, tuple[Estimate, Task]] = {
        "Kraskov": (neighbours.mutual_information, CONTINUOUS[0]),
        "copula": (copula.mutual_information, CONTINUOUS[0]),
        "Ross": (functools.partial(neighbours.mixed_mutual_information, estimator="ross"), MIXED[0]),
    }

    def rows() -> Iterator[Row]:
        for name, (estimate, task) in cases.items():
            announce(f"{name}, {task.name}")
            found, nulls = [], []
            for seed in range(settings.draws):
                key, random = jax.random.key(seed), np.random.default_rng(seed)
                x, y = task.draw(random, settings.samples)
                found.append(chance.halving_interval(key, estimate, x, y, num_halvings=settings.halvings))
                other, _ = task.draw(random, settings.samples)
                nulls.append(chance.permutation_null(key, estimate, other, y, num_permutations=settings.permutations))
            covers = [low <= task.information <= high for low, high in (one.interval.tolist() for one in found)]
            yield {
                "estimator": name,
                "distribution": task.name,
                "spread": float(np.std([one.information for one in found], ddof=1)),
                "standard error": float(np.mean([one.standard_error for one in found])),
                "coverage": float(np.mean(covers)),
                "p of at most .05": float(np.mean([null.p_value <= 0.05 for null in nulls])),
            }

    title = f"Intervals of 95% and p-values from {settings.samples} samples, over {settings.draws} draws"
    return Report(title, rows())


PARTS = {
    "speed": Part(
        speed,
        Speed(),
        smoke=Speed(sizes=(200,), repeats=1),
        table=Table(("samples",), ("seconds",), across="program", where=ON_CPU),
    ),
    "accuracy": Part(
        accuracy,
        Accuracy(),
        smoke=Accuracy(samples=100, draws=2, tasks=("normal, 1 × 1", "swiss roll")),
        table=Table(("distribution", "information"), ("mean", "spread"), across="estimator", where=ON_CPU, digits=2),
    ),
    "mixed": Part(
        mixed,
        Mixed(),
        smoke=Mixed(samples=100, draws=2, tasks=("normal, 1 apart",)),
        table=Table(("distribution", "information"), ("mean", "spread"), across="estimator", where=ON_CPU, digits=2),
    ),
    "chance": Part(
        intervals,
        Chance(),
        smoke=Chance(samples=50, draws=2, halvings=2, permutations=2),
        table=Table(
            ("estimator", "distribution"),
            ("spread", "standard error", "coverage", "p of at most .05"),
            where=ON_CPU,
        ),
    ),
}

if __name__ == "__main__":
    main("information", __doc__, PARTS)
