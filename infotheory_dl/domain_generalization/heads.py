"""What another head on the same representations would do: refitted to the sources, or tuned with few labels."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import linear_models
from infotheory_dl._validation import edge, require_count
from infotheory_dl.data import Features
from infotheory_dl.data.folds import stratified_order
from infotheory_dl.domain_generalization._rows import (
    Rows,
    in_order,
    joined,
    require_same_features,
    source_rows,
    standardized,
    tenths,
    unseen_rows,
)
from infotheory_dl.domain_generalization.probes import converged_probes
from infotheory_dl.results import concise
from infotheory_dl.types import Key


@concise
class HeadCurves(NamedTuple):
    """Accuracies in the unseen domain, on the same tenth of it.

    Attributes:
      num_labels: how many labels of the unseen domain each head was given.
      unseen: of heads that were fitted to these alone, in each repeat.
      joint: of heads that were fitted to these and all examples of the sources.
      sources: of a head that was fitted to the sources alone.
      own: of the model's head; None without predictions.
    """

    num_labels: Int[np.ndarray, " sizes"]
    unseen: Float[np.ndarray, "sizes repeats"]
    joint: Float[np.ndarray, "sizes repeats"]
    sources: float
    own: float | None


@edge
def head_curves(
    key: Key,
    train: Features,
    unseen: Features,
    *,
    num_labels: Sequence[int] = (10, 20, 50, 100, 200),
    repeats: int = 5,
) -> HeadCurves:
    """Fits heads to few labelled examples of an unseen domain, alone and beside the examples of the source domains.

    Args:
      key: source of randomness: of the tenth that measures, and of the examples.
      train: examples of the source domains.
      unseen: examples of the unseen domain.
      num_labels: how many examples of it heads are fitted to, drawn with all classes in proportion.
      repeats: draws of them.

    Returns:
      The accuracies.

    Raises:
      ValueError: as `diagnose`; or if there are not as many labels.

    Source: ours, after Galstyan et al., 2022, who find the tuning of heads more promising than invariance.
    """
    require_count(1, repeats=repeats)
    sources, names = source_rows("train", train)
    target, _ = unseen_rows("unseen", unseen, names)
    require_same_features(train=sources, unseen=target)
    sources, target = standardized([in_order(sources), in_order(target)])
    key_held, key_drawn = jax.random.split(key)
    is_held = tenths(key_held, target) == 0
    free = np.flatnonzero(~is_held)
    if not num_labels:
        raise ValueError("num_labels must be one number at least, got none")
    for number in num_labels:
        require_count(len(names.classes), len(free), "the examples that are not held out", num_labels=number)

    rows = joined([sources, target])
    is_source = np.arange(len(rows.x)) < len(sources.x)
    few = np.zeros((len(num_labels), repeats, len(rows.x)), bool)
    for repeat, key_repeat in enumerate(jax.random.split(key_drawn, repeats)):
        order = free[stratified_order(key_repeat, target.classes[free])]
        for size, number in enumerate(num_labels):
            few[size, repeat, len(sources.x) + order[:number]] = True
    fitted_to = np.concatenate([(few | is_source).reshape(-1, len(rows.x)), is_source[None]])
    held = target.taken(np.flatnonzero(is_held))
    accuracies = _accuracies(rows, fitted_to, held)
    alone = _accuracies(rows, few.reshape(-1, len(rows.x)), held)
    return HeadCurves(
        np.asarray(num_labels, int),
        alone.reshape(few.shape[:2]),
        accuracies[:-1].reshape(few.shape[:2]),
        float(accuracies[-1]),
        None if held.right is None else float(held.right.mean()),
    )


def _accuracies(rows: Rows, fitted_to: np.ndarray, held: Rows) -> np.ndarray:
    """Of probes of the classes."""
    targets = np.broadcast_to(rows.classes, fitted_to.shape)
    fitted = converged_probes(rows.x, targets, fitted_to)
    predicted = np.asarray(linear_models.probabilities(fitted, held.x)).argmax(-1)
    return (predicted == held.classes).mean(-1)
