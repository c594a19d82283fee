"""Domain generalization: the diagnosis from arrays and its probes, steps of every algorithm, and sweeps.

python -m benchmarks.domain_generalization [diagnosis|probes|steps|sweep] [--preset smoke --output FOLDER]
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from benchmarks.domain_generalization import trainings
from benchmarks.harness import Part, Report, Row, Timing, announce, main, measure
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import data, domain_generalization, linear_models
from infotheory_dl.data import GaussianDomains


@dataclass(frozen=True)
class Diagnosis:
    """All of the diagnosis: four errors and three tests of invariance, with intervals."""

    num_examples: int = 10_500
    """Of each domain: three to train on, a quarter as many again of them, and one unseen: 50,000 in all."""
    num_features: int = 128
    shifts: tuple[float, ...] = (0.05, 0.1, 1.0)
    """Of the domains: with the last a plane separates them."""
    repeats: int = 3


@dataclass(frozen=True)
class Probes:
    """The seven probes of the original's workload."""

    num_examples: int = 1333
    """Of each of three sources; half as many again of the unseen domain: 6000 in all."""
    num_features: int = 64
    repeats: int = 5


def draw(num_examples: int, num_features: int, shift: float) -> GaussianDomains:
    """Two classes that overlap, in single precision."""
    drawn = data.gaussian_domains(
        jax.random.key(0),
        num_examples=num_examples,
        num_classes=2,
        num_features=num_features,
        separation=3.0,
        shift=shift,
        failure="non_invariance",
    )
    single = lambda part: part._replace(representations=part.representations.astype(np.float32))
    return GaussianDomains(*map(single, drawn))


def seconds_of(timing: Timing) -> Row:
    """Columns of a row."""
    return {"seconds": timing.median, "processor seconds": timing.processor, "compilation": timing.compilation}


def diagnosis(settings: Diagnosis) -> Report:
    """Seconds of a diagnosis."""

    def row(shift: float) -> Row:
        announce(f"shift {shift}")
        features = draw(settings.num_examples, settings.num_features, shift)
        found, taken = measure(
            functools.partial(domain_generalization.diagnose, jax.random.key(0), *features), repeats=settings.repeats
        )
        told = found.distinguishability.unseen.value
        return {"shift": shift, "distinguishability": float(told), "dominant": found.dominant, **seconds_of(taken)}

    total = settings.num_examples * 4 + settings.num_examples // 4 * 3
    title = f"Seconds of a whole diagnosis of {total:,} examples, {settings.num_features} features, two classes"
    return Report(title, map(row, settings.shifts))


def probes(settings: Probes) -> Report:
    """Seconds of seven probes, and how many of the rows that were held out they classify right."""
    features = draw(settings.num_examples, settings.num_features, 0.1)
    further = draw(settings.num_examples // 2, settings.num_features, 0.1).unseen
    x = np.concatenate([features.train.representations, features.unseen.representations, further.representations])
    y = np.concatenate([features.train.labels, features.unseen.labels, further.labels])
    domains = np.concatenate([features.train.domains, features.unseen.domains, further.domains])
    is_held = np.random.default_rng(0).random(len(x)) < 0.1
    is_unseen, first = domains == 3, domains == 0
    swapped = np.where(is_unseen, 0, domains)
    asked = [
        (y, is_unseen),
        (y, np.ones(len(x), bool)),
        (np.minimum(domains, 2), ~is_unseen),
        (swapped, ~first),
        *((swapped, ~first & (y == label)) for label in (0, 1)),
    ]
    targets, members = (np.stack(parts) for parts in zip(*asked, strict=True))

    def accuracy(predict: Callable[[int, np.ndarray], np.ndarray]) -> float:
        held = [np.flatnonzero(own & is_held) for own in members]
        right = [(predict(probe, x[rows]) == targets[probe, rows]).mean() for probe, rows in enumerate(held)]
        return float(np.mean(right))

    def of_scikit_learn(name: str, make: Callable[[], Any]) -> Row:
        announce(name)
        fit = lambda: [
            make().fit(x[own & ~is_held], target[own & ~is_held]) for target, own in zip(targets, members, strict=True)
        ]
        fitted, taken = measure(fit, repeats=settings.repeats)
        return {
            "probes": name,
            **seconds_of(taken),
            "accuracy": accuracy(lambda probe, rows: fitted[probe].predict(rows)),
        }

    def rows() -> Iterator[Row]:
        announce("ours")
        fit = functools.partial(domain_generalization.fit_probes, x, targets, members & ~is_held)
        fitted, taken = measure(fit, repeats=settings.repeats)
        told = lambda probe, rows: np.asarray(linear_models.probabilities(fitted, rows))[probe].argmax(-1)
        yield {"probes": "ours, converged", **seconds_of(taken), "accuracy": accuracy(told)}
        descent = functools.partial(
            MLPClassifier, (), solver="sgd", early_stopping=True, random_state=0, max_iter=1000, n_iter_no_change=10
        )
        yield of_scikit_learn("scikit-learn's, that stop early: the original's", descent)
        yield of_scikit_learn("scikit-learn's regressions", functools.partial(LogisticRegression, max_iter=1000))

    title = f"Seconds of {len(targets)} probes of {len(x):,} examples, {settings.num_features} features"
    return Report(title, rows(), ["Accuracy: on the tenth that was held out, the mean over the probes."])


PARTS = {
    "diagnosis": Part(
        diagnosis,
        Diagnosis(),
        Diagnosis(num_examples=120, num_features=8, shifts=(0.1,), repeats=1),
        table=Table(("shift", "distinguishability"), ("seconds", "processor seconds"), where=ON_CPU),
    ),
    "probes": Part(
        probes,
        Probes(),
        Probes(num_examples=120, num_features=8, repeats=1),
        table=Table(("probes",), ("seconds", "processor seconds", "accuracy"), where=ON_CPU),
    ),
    "steps": Part(
        trainings.steps,
        trainings.Steps(),
        trainings.Steps(algorithms=("erm",), batch_size=4, num_features=4, width=4, num_steps=2, repeats=1),
        table=Table(
            ("algorithm",),
            (
                "steps/s",
                "PyTorch steps/s",
                "ratio",
                "processor ms",
                "PyTorch processor ms",
                "ratio of processor time",
                "compilation",
            ),
            where=ON_CPU,
        ),
    ),
    "sweep": Part(
        trainings.sweep,
        trainings.Sweep(),
        trainings.Sweep(
            points=2, trials=1, batch_size=4, num_features=4, width=4, num_examples=60, num_steps=2, processes=0
        ),
        table=Table(("program",), ("models/s", "ratio", "processor s/model"), where=ON_CPU),
    ),
}

if __name__ == "__main__":
    main("domain_generalization", __doc__, PARTS)
