"""How far the training error speaks for other examples: a bound on the gap, from runs without training."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.fcmi import bounds, draw_selection
from infotheory_dl.fcmi.linearized import trained_runs
from infotheory_dl.information.discrete import mutual_information
from infotheory_dl.results import concise
from infotheory_dl.training import predicted_classes
from infotheory_dl.types import Key, Scalar

_MOST_ROWS = 250
_RUNS_AT_ONCE = 50
_OUTPUTS_AT_ONCE = 2**24
_SETS_TIMES_CLASSES = 2000
_SETS_OF_ALL_RUNS, _FEWEST_RUNS = 4, 100


@concise
class Generalization(NamedTuple):
    """A bound on the generalization gap of the linearized network, beside the gap that was observed.

    The audited examples make up supersamples of n rows of two. In each run the network is trained on one example of
    every row; errors are shares of wrong classes.

    Attributes:
      entries: the supersamples: places of their entries among the audited examples; entry 2i + c is column c of row i.
      runs: number of runs on each supersample.
      training_error: of each supersample, on the examples that a run trains on, in the mean over the runs.
      ghost_error: likewise, on the others.
      bound: on the gap between these, by the information in the predicted classes; from so many runs an estimate.
      corrected: the bound less its bias, to first order.
      pair_information: of every audited example, the information (nats) about which of its row was trained on in the
        two predictions of the row; NaN for an example that is in no supersample.
      own_information: likewise, in the prediction for the example itself.
    """

    entries: Int[np.ndarray, "supersamples entries"]
    runs: int
    training_error: Float[np.ndarray, " supersamples"]
    ghost_error: Float[np.ndarray, " supersamples"]
    bound: Float[np.ndarray, " supersamples"]
    corrected: Float[np.ndarray, " supersamples"]
    pair_information: Float[np.ndarray, " examples"]
    own_information: Float[np.ndarray, " examples"]

    @property
    def train_size(self) -> int:
        """How many examples each run trains on, n."""
        return self.entries.shape[1] // 2

    @property
    def gap(self) -> Float[np.ndarray, " supersamples"]:
        """The gap that was observed on each supersample."""
        return self.ghost_error - self.training_error

    def most_memorised(self, count: int) -> Int[np.ndarray, " shown"]:
        """The rows with the most information, of each the example whose own prediction has more of it."""
        rows = self.entries.reshape(-1, 2)
        chosen = rows[np.arange(len(rows)), self.own_information[rows].argmax(axis=1)]
        order = np.argsort(-self.pair_information[chosen], kind="stable")[:count]
        return chosen[order][self.pair_information[chosen[order]] > 0]


def bound_generalization(
    key: Key,
    kernel: Callable[[np.ndarray, np.ndarray], np.ndarray],
    labels: Int[np.ndarray, " examples"],
    num_classes: int,
    *,
    runs: int,
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar,
) -> Generalization:
    """Bounds the gap of the linearized network on supersamples of the audited examples, at most 250 rows each.

    Args:
      key: source of randomness: the supersamples, and the selections in pairs of opposites.
      kernel: between audited examples, by their places.
      labels: as they are given.
      num_classes: number of classes.
      runs: number of runs on each supersample, even; of more than four supersamples fewer are made, down to 100.
      time, learning_rate, weight_decay: of the audit.

    Returns:
      The bound, the gap, and the most memorised examples.

    Source: Harutyunyan et al., 2021 (f-CMI); Lee et al., 2019 (the predictions).
    """
    supersamples = -(-len(labels) // (2 * _MOST_ROWS))
    n = len(labels) // (2 * supersamples)
    # of many classes and examples some sets, and fewer runs on each
    supersamples = min(supersamples, max(2, _SETS_TIMES_CLASSES // num_classes))
    runs = min(runs, max(_FEWEST_RUNS, 2 * (runs * _SETS_OF_ALL_RUNS // (2 * supersamples))))
    order_key, selection_key = jax.random.split(key)
    order = np.asarray(jax.random.permutation(order_key, len(labels)))
    entries = order[: supersamples * 2 * n].reshape(supersamples, 2 * n)
    selection = np.asarray(draw_selection(selection_key, runs, n, design="antithetic"))

    settings = {"time": time, "learning_rate": learning_rate, "weight_decay": weight_decay}
    targets = centred_targets(labels, num_classes)
    # threads of BLAS cost more than they bring to many small systems
    with threadpool_limits(1, user_api="blas"):
        predictions = np.stack([_predict(kernel(i, i), targets[i], selection, settings) for i in entries])
    estimate = lambda estimator: bounds.fcmi(predictions, selection, num_classes=num_classes, estimator=estimator)
    bound = estimate("plugin")
    own = [mutual_information(values, selection.repeat(2, axis=1), num_codes=num_classes) for values in predictions]
    of_examples = np.full((2, len(labels)), np.nan)
    of_examples[0, entries] = np.repeat(bound.per_example, 2, axis=1)
    of_examples[1, entries] = np.stack(own)
    gap = bounds.generalization_gap(bounds.zero_one_losses(predictions, labels[entries]), selection)
    per_supersample = gap.training_loss, gap.ghost_loss, bound.per_supersample, estimate("miller_madow").per_supersample
    return Generalization(entries, runs, *map(np.asarray, per_supersample), *of_examples)


def _predict(
    kernel: np.ndarray, targets: np.ndarray, selection: np.ndarray, settings: dict[str, Scalar]
) -> Int[np.ndarray, "runs entries"]:
    """The classes that each run predicts; outputs start at zero."""
    initial = np.zeros_like(targets)
    pieces = np.array_split(selection, -(-len(selection) * targets.size // _OUTPUTS_AT_ONCE))
    outputs = (trained_runs(kernel, initial, targets, piece, batch_size=_RUNS_AT_ONCE, **settings) for piece in pieces)
    return np.concatenate([predicted_classes(values) for values in outputs])
