"""The audit of sets whose labels were flipped on purpose: what finds the flips, how many it counts, what it repairs.

`python -m benchmarks.audit --help` lists the parts; without a part all of them run.
"""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Float

from benchmarks.audit import every, findings, peers, people
from benchmarks.harness import Part, Report, Row, announce, main
from benchmarks.tables import Table
from infotheory_dl import audit, data
from infotheory_dl.audit.robustness import COMPARED_METHODS, coverage
from infotheory_dl.metrics import area_under_roc, average_precision

DatasetName: TypeAlias = Literal["digits", "mnist", "fashion_mnist"]


@dataclass(frozen=True)
class Flipped:
    """Audits of examples some of whose labels were flipped, several draws of each set."""

    sets: tuple[DatasetName, ...] = ("digits", "mnist", "fashion_mnist")
    examples: int = 1000
    flipped: float = 0.1
    draws: int = 3
    """Draws of the sample, the flips and the networks."""
    networks: int = 5
    """Untrained networks whose kernels are averaged."""
    seed: int = 0


@dataclass(frozen=True)
class Found(Flipped):
    """How well each score finds the flips."""


@dataclass(frozen=True)
class Repaired(Flipped):
    """How many labels are taken to be wrong, and how many repairs are right."""


@dataclass(frozen=True)
class Robust(Flipped):
    """Classifiers that ignore wrong labels, beside the audit."""

    sets: tuple[DatasetName, ...] = ("digits",)


def found(settings: Found) -> Report:
    """Area under ROC and average precision of each score."""

    def rows() -> Iterator[Row]:
        for name in settings.sets:
            draws = [dict(_by_score(result)) for result in _audits(settings, name)]
            for score in draws[0]:
                area, precision = np.mean([draw[score] for draw in draws], axis=0)
                yield {"score": score, "set": name, "AUROC": area, "AP": precision}

    return Report(_title(settings), rows())


def repaired(settings: Repaired) -> Report:
    """The estimated share of wrong labels, the repairs, and the share of these that is right."""

    def rows() -> Iterator[Row]:
        for name in settings.sets:
            results = list(_audits(settings, name))
            errors = [result.label_errors for result in results]
            right = [
                error.repaired & (error.suggested == result.examples.true_labels)
                for error, result in zip(errors, results, strict=True)
            ]
            repairs = sum(int(error.repaired.sum()) for error in errors)
            low, high = np.mean([error.interval for error in errors], axis=0)
            yield {
                "set": name,
                "wrong, %": 100 * statistics.fmean(error.error_rate for error in errors),
                "from, %": 100 * low,
                "to, %": 100 * high,
                "repairs": repairs / len(errors),
                "right, %": 100 * sum(int(part.sum()) for part in right) / repairs if repairs else None,
            }

    return Report(_title(settings), rows())


def robust(settings: Robust) -> Report:
    """Accuracy, and the labels that each classifier takes to be wrong."""

    def rows() -> Iterator[Row]:
        for name in settings.sets:
            draws = [_by_classifier(result) for result in _audits(settings, name, robust=True)]
            for classifier, numbers in draws[0].items():
                means = {column: float(np.mean([draw[classifier][column] for draw in draws])) for column in numbers}
                yield {"set": name, "classifier": classifier} | means

    return Report(_title(settings), rows())


def _title(settings: Flipped) -> str:
    return f"{settings.flipped:.0%} wrong labels among {settings.examples} examples, mean of {settings.draws} draws"


def _audits(settings: Flipped, name: DatasetName, **others: Any) -> Iterator[audit.AuditResult]:
    """An audit of each draw."""
    images = data.load(name)
    for key in jax.random.split(jax.random.key(settings.seed), settings.draws):
        announce(name)
        yield audit.run(
            key,
            images.x,
            images.y,
            train_size=settings.examples,
            flip=settings.flipped,
            num_networks=settings.networks,
            sweep=0,
            runs=0,
            seeds=0,
            **others,
        )


def _by_score(result: audit.AuditResult) -> Iterable[tuple[str, tuple[float, float]]]:
    return [(one.method, (one.area_under_roc, one.average_precision)) for one in result.detection or ()]


def _by_classifier(result: audit.AuditResult) -> dict[str, Row]:
    """What a report says of each classifier and of the audit; None where the audit has no such number."""
    compared, flips = result.robustness, result.examples.flipped
    assert compared is not None

    def quality(suspicion: Float[np.ndarray, " examples"], candidates: Bool[np.ndarray, " examples"]) -> Row:
        return {
            "taken to be wrong": candidates.sum(),
            "flipped, %": 100 * coverage(flips, candidates),
            "of the flips, %": 100 * coverage(candidates, flips),
            "AUROC": area_under_roc(suspicion, flips),
            "AP": average_precision(suspicion, flips),
        }

    rows = {
        name: {
            "right, %": 100 * compared.accuracy[place],
            "by the audit too, %": 100 * compared.overlap[place],
            "rank correlation": compared.agreement[place],
            **quality(compared.suspicion[place], compared.candidates[place]),
        }
        for place, name in enumerate(COMPARED_METHODS.values())
    }
    return rows | {"the audit": quality(-result.scores.margins, compared.suspected)}


_SMALL: dict[str, Any] = {"sets": ("digits",), "examples": 100, "draws": 1, "networks": 1}

PARTS = (
    every.PARTS
    | peers.PARTS
    | people.PARTS
    | findings.PARTS
    | {
        "found": Part(
            found, Found(), smoke=Found(**_SMALL), table=Table(("score",), ("AUROC", "AP"), across="set", digits=4)
        ),
        "repaired": Part(
            repaired,
            Repaired(),
            smoke=Repaired(**_SMALL),
            table=Table(("set",), ("wrong, %", "from, %", "to, %", "repairs", "right, %")),
        ),
        "robust": Part(
            robust,
            Robust(),
            table=Table(
                ("classifier",),
                (
                    "right, %",
                    "taken to be wrong",
                    "by the audit too, %",
                    "flipped, %",
                    "of the flips, %",
                    "rank correlation",
                    "AUROC",
                    "AP",
                ),
            ),
        ),
    }
)

if __name__ == "__main__":
    main("audit", __doc__, PARTS)
