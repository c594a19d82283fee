"""Domain generalization: whether the diagnosis names what goes wrong, by how many examples it has.

    python -m experiments.domain_generalization --preset smoke|laptop|paper [--parts failures heads]

Of the paper's tables no number is known here, and none of these is one of them.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import jax
import numpy as np

from experiments.harness import Results, Row, in_parts, main
from infotheory_dl import data, domain_generalization
from infotheory_dl.data import GaussianDomains
from infotheory_dl.domain_generalization import Term

Part = Literal["failures", "heads"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment."""

    parts: tuple[Part, ...] = ("failures", "heads")
    num_examples: tuple[int, ...] = (50, 100, 200, 500, 1000)
    """Of each domain."""
    draws: int = 20
    num_classes: int = 3
    num_features: int = 20
    separation: float = 4.0
    """Of two classes, in standard deviations."""
    num_labels: tuple[int, ...] = (6, 15, 30, 60, 150, 300)
    """Of the unseen domain, that heads are fitted to."""
    seed: int = 0
    output: Path = Path("results/domain_generalization/paper")


PRESETS = {
    "smoke": Settings(
        num_examples=(100,), draws=1, num_labels=(6, 60), output=Path("results/domain_generalization/smoke")
    ),
    "laptop": Settings(num_examples=(100, 500), draws=10, output=Path("results/domain_generalization/laptop")),
    "paper": Settings(),
}


def draw(settings: Settings, failure: Term, num_examples: int, number: int) -> GaussianDomains:
    """One model and its domains."""
    return data.gaussian_domains(
        jax.random.fold_in(jax.random.key(settings.seed), number),
        failure=failure,
        num_examples=num_examples,
        num_classes=settings.num_classes,
        num_features=settings.num_features,
        separation=settings.separation,
    )


def failures(settings: Settings, results: Results) -> None:
    """How often each failure is named, by how many examples there are."""
    rows: list[Row] = []
    for num_examples in settings.num_examples:
        for failure in get_args(Term):
            found = results.once(
                f"{failure}, {num_examples} examples", functools.partial(named, settings, failure, num_examples)
            )
            rows.append({"failure": failure, "examples of a domain": num_examples} | found)
    results.table(f"What is said to dominate the error, of {settings.draws} draws; the terms are means", rows)


def named(settings: Settings, failure: Term, num_examples: int) -> Row:
    """What the diagnosis says of draws of one failure."""
    found = [
        domain_generalization.diagnose(jax.random.key(number), *draw(settings, failure, num_examples, number))
        for number in range(settings.draws)
    ]
    right = sum(diagnosis.dominant == failure for diagnosis in found)
    silent = sum(diagnosis.dominant is None for diagnosis in found)
    terms = {
        term: float(np.mean([getattr(diagnosis.errors, term).value for diagnosis in found])) for term in get_args(Term)
    }
    return {"right": right, "none named": silent, "wrong": len(found) - right - silent} | terms


def heads(settings: Settings, results: Results) -> None:
    """What heads that are fitted to some labels of the unseen domain do, under each failure."""
    rows: list[Row] = []
    for failure in get_args(Term):
        curves = results.once(f"heads, {failure}", functools.partial(heads_of, settings, failure))
        for number, unseen, joint in zip(settings.num_labels, curves["unseen"], curves["joint"], strict=True):
            rows.append(
                {
                    "failure": failure,
                    "labels": number,
                    "unseen alone": unseen,
                    "with the sources": joint,
                    "sources alone": curves["sources"],
                    "the model": curves["own"],
                }
            )
        with results.figure(f"heads_{failure}") as axes:
            axes.plot(settings.num_labels, curves["unseen"], "o-", label="labels of the unseen domain alone")
            axes.plot(settings.num_labels, curves["joint"], "s-", label="with those of the sources")
            axes.axhline(curves["own"], color="black", linestyle="--", label="the model")
            axes.set(xscale="log", xlabel="labels of the unseen domain", ylabel="accuracy there", ylim=(0, 1.02))
    results.table("Accuracy in the unseen domain of heads on the same representations", rows)


def heads_of(settings: Settings, failure: Term) -> Row:
    """The curves of one draw of the most examples."""
    features = draw(settings, failure, max(400, *settings.num_examples), 0)
    curves = domain_generalization.head_curves(
        jax.random.key(settings.seed), features.train, features.unseen, num_labels=settings.num_labels
    )
    return {
        "unseen": curves.unseen.mean(1).tolist(),
        "joint": curves.joint.mean(1).tolist(),
        "sources": curves.sources,
        "own": curves.own,
    }


PARTS: dict[Part, Callable[[Settings, Results], None]] = {"failures": failures, "heads": heads}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
