"""The linear baselines of a store: features of its samples, the best penalty, predictions in the form of the labels."""

import os
from collections.abc import Iterator, Sequence
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float

from infotheory_dl import metrics
from infotheory_dl._validation import edge, require_choice, require_count, require_not_empty
from infotheory_dl.clinical._features import features
from infotheory_dl.clinical._lengths import NUM_CLASSES, class_lengths, length_classes
from infotheory_dl.clinical._linear import LINEAR_GRID, LinearModel, LinearSelection, predict_linear, select_linear
from infotheory_dl.clinical._prediction_files import TASKS
from infotheory_dl.clinical._reading import Samples, read_series, read_some
from infotheory_dl.clinical._tasks import Task
from infotheory_dl.types import Key

_SAMPLES_AT_ONCE = 1 << 16
_LEAST = 1e-12


@edge
def train_linear(
    key: Key,
    store: str | os.PathLike[str],
    task: Task,
    *,
    penalties: Sequence[tuple[Literal["l2", "l1"], float]] = LINEAR_GRID,
    most_samples: int = 100_000,
) -> LinearSelection:
    """Fits the linear baseline of a task on the training part, and chooses its penalty on the validation part.

    The length of stay is ten classes, each against the others, and the penalty is the one of the greatest kappa. Else
    it is that of the greatest area under the receiver operating characteristic, the mean over labels that vary, or of
    the greatest likelihood where none does.

    Args:
      key: source of randomness, where there are more samples than are taken.
      store: folder of a store that `build` made.
      task: any but the multitask.
      penalties: to choose from, each with scikit-learn's C; `LINEAR_PENALTIES` has the ones that the authors chose.
      most_samples: of each part that are taken, drawn at random.

    Raises:
      ValueError: if a part has no samples, or a setting is out of range.

    Warns:
      UserWarning: if a regression has not converged.

    Source: Harutyunyan et al., 2019 (logistic regression).
    """
    require_choice("task", task, TASKS)
    require_count(1, most_samples=most_samples)
    taken = []
    for part, of_part in zip(("train", "validation"), jax.random.split(key), strict=True):
        samples = read_some(store, task, part)  # type: ignore[arg-type]
        if len(samples.labels) > most_samples:
            chosen = np.asarray(jax.random.choice(of_part, len(samples.labels), (most_samples,), replace=False))
            samples = samples._replace(
                **{name: getattr(samples, name)[chosen] for name in ("stay", "period", "labels")}
            )
        labels = samples.labels
        if task == "length_of_stay":
            labels = np.eye(NUM_CLASSES, dtype=int)[length_classes(labels)]
        taken += [np.concatenate(list(_tables(samples))), labels]
    varies = bool(np.ptp(taken[-1], axis=0).any())
    score = _agreement if task == "length_of_stay" else None if varies else _likelihood
    return select_linear(*taken, penalties=penalties, score=score)


@edge
def predict_task(model: LinearModel, samples: Samples) -> Float[np.ndarray, "samples *labels"]:
    """Predicts the samples of a task with its linear baseline.

    Args:
      model: of `train_linear`, or of `fit_linear` on the features and the labels of the task.
      samples: of `read`.

    Returns:
      Predictions in the form of the labels of the samples: probabilities, or hours that are left.

    Raises:
      ValueError: if there are no samples.
    """
    require_not_empty(samples=samples.labels)
    found = np.concatenate([np.asarray(predict_linear(model, table)) for table in _tables(samples)])
    return np.asarray(class_lengths(found.argmax(1))) if samples.task == "length_of_stay" else found


def _tables(samples: Samples) -> Iterator[np.ndarray]:
    """The features of all samples, some at a time."""
    used, stay = np.unique(samples.stay, return_inverse=True)
    series = read_series(samples, used.tolist())
    for first in range(0, len(stay), _SAMPLES_AT_ONCE):
        block = slice(first, first + _SAMPLES_AT_ONCE)
        yield features(series, stay=stay[block], end=samples.period[block])


def _agreement(labels: np.ndarray, shares: np.ndarray) -> float:
    return float(metrics.cohen_kappa(labels.argmax(1), shares.argmax(1), num_classes=NUM_CLASSES))


def _likelihood(labels: np.ndarray, shares: np.ndarray) -> float:
    """The mean logarithm of the probability of each label."""
    return float(np.log(np.maximum(np.where(labels > 0, shares, 1 - shares), _LEAST)).mean())
