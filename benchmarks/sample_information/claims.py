"""What the audit claims of labels against the truth: drawn data sets whose wrong labels are known."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int

from benchmarks.harness import Report, Row, announce
from infotheory_dl import data
from infotheory_dl.linearization import kernel_eigen, leave_one_out_predictions, select_weight_decay
from infotheory_dl.sample_information import LabelErrors, find_label_errors

Signal: TypeAlias = Literal["none", "weak", "medium", "strong"]
Errors: TypeAlias = Literal["uniform", "pairwise"]

# distance of each class from the origin, in standard deviations of a feature
_DISTANCES: dict[Signal, float] = {"none": 0.0, "weak": 1.0, "medium": 2.0, "strong": 4.0}


# of fewer repairs no share is shown
_FEW = 50


@dataclass(frozen=True)
class Claims:
    """Rates of wrong labels, their intervals and repairs, beside what they are."""

    classes: tuple[int, ...] = (2, 3, 5, 10)
    imbalances: tuple[int, ...] = (1, 5, 20)
    """How many times the most frequent class is as frequent as the rarest; those between in even steps of the ratio."""
    signals: tuple[Signal, ...] = ("none", "weak", "medium", "strong")
    rates: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.4)
    errors: tuple[Errors, ...] = ("uniform", "pairwise")
    """A wrong label is any other class, or the next one."""
    examples: int = 500
    features: int = 20
    draws: int = 6
    seed: int = 0


class Case(NamedTuple):
    """One cell of the grid, in the words of its row."""

    classes: int
    imbalance: int
    signal: Signal
    rate: float
    errors: Errors


class Outcome(NamedTuple):
    """What is claimed of one draw, and the truth: the share of wrong labels, and how many repairs are right."""

    claim: LabelErrors
    share: float
    right: int


def claims(settings: Claims) -> Report:
    """Part (e): how often intervals cover the share of wrong labels, and how many repairs are right."""

    def rows() -> Iterator[Row]:
        for classes, imbalance, signal in itertools.product(settings.classes, settings.imbalances, settings.signals):
            announce(f"{classes} classes, 1 : {imbalance}, {signal} signal")
            cases = [
                Case(classes, imbalance, signal, rate, errors)
                for rate, errors in itertools.product(settings.rates, settings.errors)
                # without wrong labels, and between two classes, the two kinds are one
                if errors == settings.errors[0] or (rate > 0 and classes > 2)
            ]
            outcomes: dict[Case, list[Outcome]] = {case: [] for case in cases}
            for draw in range(settings.draws):
                for case, outcome in _draw(settings, cases, draw):
                    outcomes[case].append(outcome)
            yield from itertools.starmap(_summary, outcomes.items())

    return Report(
        f"Claims of {settings.examples} labels, {settings.draws} draws a line",
        rows(),
        notes=[
            "told, fits: shares of the draws; covered: of those that are told, by intervals that hold the true share.",
            f"right: share of the repairs of all draws, where there are {_FEW} of them.",
        ],
    )


def _draw(settings: Claims, cases: list[Case], draw: int) -> Iterator[tuple[Case, Outcome]]:
    """One draw of inputs, and labels of it for each of the cases, which differ in the errors alone."""
    first = cases[0]
    place = settings.seed, draw, first.classes, first.imbalance, list(_DISTANCES).index(first.signal)
    rng = np.random.default_rng(place)
    true = _classes(settings.examples, first.classes, first.imbalance)
    directions = np.linalg.qr(rng.normal(size=(settings.features, settings.features)))[0]
    x = rng.normal(size=(settings.examples, settings.features)) + _DISTANCES[first.signal] * directions[true]
    with jax.enable_x64(True):
        kernel = kernel_eigen(_wide_kernel(x))
        for case in cases:
            steps = rng.integers(1, case.classes, len(true)) if case.errors == "uniform" else 1
            labels = (true + (rng.random(len(true)) < case.rate) * steps) % case.classes
            targets = data.one_hot(labels, case.classes) - 1 / case.classes
            decay = select_weight_decay(kernel, targets)
            predictions = np.asarray(leave_one_out_predictions(kernel, targets, decay)) + 1 / case.classes
            claim = find_label_errors(predictions, labels)
            right = int((claim.suggested == true)[claim.repaired].sum())
            yield case, Outcome(claim, float((labels != true).mean()), right)


def _summary(case: Case, outcomes: list[Outcome]) -> Row:
    told = [outcome for outcome in outcomes if outcome.claim.told]
    covered = [one.claim.interval[0] <= one.share <= one.claim.interval[1] for one in told]
    repairs, right = sum(int(one.claim.repaired.sum()) for one in told), sum(one.right for one in told)
    mean = lambda values: float(np.mean(values)) if values else None
    return {
        **case._asdict(),
        "draws": len(outcomes),
        "told": len(told) / len(outcomes),
        "fits": sum(one.claim.fits for one in told) / len(outcomes),
        "estimate": mean([one.claim.error_rate for one in told]),
        "width": mean([float(np.ptp(one.claim.interval)) for one in told]),
        "covered": mean(covered),
        "by a rule": mean([one.claim.systematic_rate for one in told]),
        "covered by a rule": mean([one.claim.systematic_rate >= one.share for one in told]),
        "repairs": repairs,
        "right repairs": right,
        "right": right / repairs if repairs >= _FEW else None,
        "gain": float(np.median([one.claim.gain for one in outcomes])),
    }


def _classes(examples: int, classes: int, imbalance: int) -> Int[np.ndarray, " examples"]:
    """The classes of all examples, in order; their sizes fall in even steps of the ratio."""
    weights = imbalance ** (-np.arange(classes) / (classes - 1))
    sizes = np.maximum(2, np.round(examples * weights / weights.sum()).astype(int))
    sizes[0] += examples - sizes.sum()
    return np.repeat(np.arange(classes), sizes)


def _wide_kernel(x: Float[np.ndarray, "examples features"]) -> Float[np.ndarray, "examples examples"]:
    """The tangent kernel of one hidden layer of rectifiers, of infinite width: what the audit estimates."""
    rows = data.standardize(x, x.mean(0), x.std(0))
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    norms = np.linalg.norm(rows, axis=1)
    products = np.outer(norms, norms)
    cosines = np.clip(rows @ rows.T / products, -1, 1)
    angles = np.pi - np.arccos(cosines)
    # both layers train: the outer one sees the covariance of the activations, the inner one that of their derivatives
    outer = np.sqrt(1 - cosines**2) + angles * cosines
    return products * (outer + cosines * angles) / (np.pi * rows.shape[1])
