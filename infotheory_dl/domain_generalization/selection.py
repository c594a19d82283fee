"""Which of many trained models to keep, and at which step, where the domain that they will meet is not seen."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from infotheory_dl._validation import (
    edge,
    require_count,
    require_finite,
    require_not_empty,
    require_rank,
    require_shape,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

__all__ = ["Selection", "iid", "leave_one_domain_out", "oracle"]


@concise
class Selection(NamedTuple):
    """What a rule chooses among the runs of a sweep, for one domain that none of them was trained on.

    Attributes:
      accuracy: of the chosen run at the chosen step, in the domain.
      run: the chosen one.
      step: the chosen one, a place among those that were measured.
      ranking: all runs, the best first; of those that are alike the later first.
      steps: the step of each, in this order.
      validation: the accuracies that they are ranked by.
      test: their accuracies in the domain.
    """

    accuracy: float
    run: int
    step: int
    ranking: Int[np.ndarray, " runs"]
    steps: Int[np.ndarray, " runs"]
    validation: Float[np.ndarray, " runs"]
    test: Float[np.ndarray, " runs"]


@edge
def iid(
    accuracies: Real[AnyArray, "runs steps domains"],
    held_out: Real[AnyArray, "runs steps domains"],
    *,
    test_domain: int,
) -> Selection:
    """Chooses by examples of the source domains that were held out, the run and its step: training-domain validation.

    Args:
      accuracies: of each run at each step, in each domain, on the examples that are trained on where it is a source.
      held_out: the same on the other examples.
      test_domain: the domain that the runs were not trained on.

    Returns:
      The choice. Its accuracy is on `accuracies` of the test domain.

    Raises:
      ValueError: if shapes do not fit, an accuracy is NaN, or there is no such domain, or no other.

    Source: Gulrajani and Lopez-Paz, 2021 (DomainBed, `IIDAccuracySelectionMethod`).
    """
    accuracies, held_out = _checked(accuracies, test_domain, held_out=held_out)
    sources = np.delete(held_out, test_domain, axis=2).mean(2)
    return _chosen(sources, accuracies[..., test_domain])


@edge
def oracle(
    accuracies: Real[AnyArray, "runs steps domains"],
    held_out: Real[AnyArray, "runs steps domains"],
    *,
    test_domain: int,
) -> Selection:
    """Chooses a run by examples of the test domain itself, at its last step: what no one could do who has not seen it.

    Args:
      accuracies: as of `iid`.
      held_out: likewise.
      test_domain: likewise.

    Returns:
      The choice.

    Raises:
      ValueError: as `iid`.

    Source: Gulrajani and Lopez-Paz, 2021 (DomainBed, `OracleSelectionMethod`).
    """
    accuracies, held_out = _checked(accuracies, test_domain, held_out=held_out)
    chosen = _chosen(held_out[:, -1:, test_domain], accuracies[:, -1:, test_domain])
    last = accuracies.shape[1] - 1
    return chosen._replace(step=last, steps=np.full_like(chosen.steps, last))


@edge
def leave_one_domain_out(
    accuracies: Real[AnyArray, "runs steps domains"],
    left_out: Real[AnyArray, "runs steps domains"],
    *,
    test_domain: int,
) -> Selection:
    """Chooses by source domains that further runs were not trained on either: leave-one-domain-out cross-validation.

    Args:
      accuracies: as of `iid`.
      left_out: the accuracy, in each domain, of the run of the same settings that was trained without this domain and
        the test domain; that of the test domain itself is not looked at.
      test_domain: as of `iid`.

    Returns:
      The choice, of run and step.

    Raises:
      ValueError: as `iid`.

    Source: Gulrajani and Lopez-Paz, 2021 (DomainBed, `LeaveOneOutSelectionMethod`).
    """
    accuracies, left_out = _checked(accuracies, test_domain, left_out=left_out)
    return _chosen(np.delete(left_out, test_domain, axis=2).mean(2), accuracies[..., test_domain])


def _checked(accuracies: AnyArray, test_domain: int, **others: AnyArray) -> tuple[np.ndarray, np.ndarray]:
    ((name, other),) = others.items()
    layout = "(runs, steps, domains)"
    require_rank("accuracies", accuracies, 3, layout)
    require_not_empty(accuracies=accuracies)
    require_shape(name, other, accuracies.shape, f"{layout} as those of accuracies")
    num_domains = accuracies.shape[2]
    require_count(2, num_domains=num_domains)
    require_count(0, num_domains - 1, f"the places of the {num_domains} domains", test_domain=test_domain)
    # of the test domain there is no run without it a second time
    looked_at = np.delete(np.asarray(other, float), test_domain, axis=2) if name == "left_out" else other
    require_finite(**{"accuracies": accuracies, name: looked_at})
    return np.asarray(accuracies, float), np.asarray(other, float)


def _chosen(validation: Float[np.ndarray, "runs steps"], test: Float[np.ndarray, "runs steps"]) -> Selection:
    """The first of the best steps of every run, and the runs by it, of runs that are alike the last first."""
    steps, runs = validation.argmax(1), np.arange(len(validation))
    best = validation[runs, steps]
    ranking = np.argsort(best, kind="stable")[::-1]
    found = test[runs, steps][ranking]
    return Selection(
        float(found[0]), int(ranking[0]), int(steps[ranking[0]]), ranking, steps[ranking], best[ranking], found
    )
