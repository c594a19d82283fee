"""Predictions that a user made out of fold, beside those of the audit: whether both suspect the same labels."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl import data, label_noise, metrics
from infotheory_dl._files import read_arrays
from infotheory_dl._validation import edge, require_distributions, to_numpy
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.scores import Scores
from infotheory_dl.data.tables.formats import naming, read_array
from infotheory_dl.linearization.calibration import least_loss
from infotheory_dl.metrics import Calibration, spearman_correlation
from infotheory_dl.results import concise
from infotheory_dl.sample_information import LabelErrors
from infotheory_dl.sample_information.label_errors import estimated_errors

_LEAST = 1e-6  # of a probability, whose logarithm is taken
_OF_FOLDS = "give probabilities by models that were not trained on the example; of logits take the softmax"


@concise
class Probabilities(NamedTuple):
    """Probabilities of the classes, one row for each example of the data.

    Attributes:
      values: the rows.
      names: of the columns; None where they have none and are in the order of the classes.
    """

    values: Float[np.ndarray, "examples classes"]
    names: tuple[str, ...] | None


@concise
class GivenPredictions(NamedTuple):
    """What a user's own predictions say of the labels, and how far the audit agrees.

    Attributes:
      probabilities: of the audited examples.
      margins: probability of the given label less the largest other.
      label_errors: by the model of the audit, of these probabilities.
      joint: the calibrated confident joint: examples by given label, in rows, and true class, in columns.
      candidates: labels that are wrong by it, as many as it counts of each pair of classes.
      calibration: how far the probabilities are from the share of labels that are as predicted.
      accuracy: share of the labels that are predicted; first by these, then by the audit.
      loss: mean negative log-likelihood of the labels in nats, with the model of label noise; likewise. Of two kinds of
        predictions that of the less loss tells more of the classes.
      agreement: rank correlation of the margins with the audit's.
      both: labels that are wrong with a probability above one half by these and by the audit.
      either: by one of them.
    """

    probabilities: Float[np.ndarray, "examples classes"]
    margins: Float[np.ndarray, " examples"]
    label_errors: LabelErrors
    joint: Float[np.ndarray, "classes classes"]
    candidates: Bool[np.ndarray, " examples"]
    calibration: Calibration
    accuracy: Float[np.ndarray, " predictions"]
    loss: Float[np.ndarray, " predictions"]
    agreement: float
    both: Bool[np.ndarray, " examples"]
    either: Bool[np.ndarray, " examples"]


@edge
def read_probabilities(path: str | os.PathLike[str]) -> Probabilities:
    """Reads out-of-fold predictions.

    Args:
      path: a .csv, .tsv or .parquet file with a column for each class, by its name, and a row for each example in the
        order of the data; or a .npy file, or an .npz file with the array probabilities or one array, of shape
        (examples, classes).

    Returns:
      The probabilities as they stand there.

    Raises:
      ValueError: with what is wrong with the file, and what to do.
      OSError: if it cannot be read.
    """
    place = Path(path).expanduser()
    suffix = place.suffix.lower()
    if suffix not in (".npy", ".npz"):
        return _of_table(data.read_table(place, missing="keep"), named=True)
    arrays = {} if suffix == ".npy" else read_arrays(place, remedy="make one by numpy.savez(path, probabilities=p)")
    with naming(place):
        if suffix == ".npy":
            return as_probabilities(read_array(place))
        if "probabilities" not in arrays and len(arrays) != 1:
            held = ", ".join(arrays) or "no arrays"
            raise ValueError(f"which array has the probabilities? Call it probabilities; it has {held}")
        return as_probabilities(arrays.get("probabilities", next(iter(arrays.values()))))


def as_probabilities(given: Any) -> Probabilities:
    """The same of what is in memory: an array, or a DataFrame whose columns are called by the classes."""
    if isinstance(given, Probabilities):
        return given
    named = hasattr(given, "columns")
    if not named and (shape := to_numpy(given).shape)[1:] == ():
        raise ValueError(
            f"probabilities must be of shape (examples, classes), got {shape}: give a column for each class; of two"
            " classes the probabilities p of the second may be given as p[:, None]"
        )
    return _of_table(data.as_table(given, missing="keep"), named=named)


def _of_table(table: data.Table, *, named: bool) -> Probabilities:
    if table.x.ndim != 2:
        raise ValueError(f"probabilities must be of shape (examples, classes), got {table.x.shape}")
    gaps = np.flatnonzero(np.isnan(table.x.astype(float)).any(1))
    if len(gaps):
        raise ValueError(
            f"probabilities are NaN in {len(gaps)} of {len(table.x)} rows, the first in row {gaps[0]} (from 0): every"
            " example needs a prediction; where no fold made one, train without that example and predict it"
        )
    return Probabilities(table.x.astype(float), table.feature_names if named else None)


def of_audited(given: Probabilities, examples: Examples) -> Float[np.ndarray, "examples classes"]:
    """The rows of the audited examples, with the columns in the order of the classes.

    Raises:
      ValueError: if there is no row for each example, no column for each class, or a row is no distribution.
    """
    (values, names), classes = given, examples.class_names
    if len(values) != examples.available:
        raise ValueError(
            f"probabilities must have a row for each of the {examples.available} examples of the data, in their order,"
            f" got {len(values)}"
        )
    if values.shape[1] == 1 and len(classes) == 2:
        # of the second class alone
        values, names = np.concatenate([1 - values, values], axis=1), None
    if values.shape[1] != len(classes):
        raise ValueError(
            f"probabilities must have a column for each of the {len(classes)} classes {_shortened(classes)}, got"
            f" {values.shape[1]}{'' if names is None else f': {_shortened(names)}'}"
        )
    if names is not None:
        absent = [name for name in classes if name not in names]
        if absent:
            raise ValueError(
                f"probabilities lack the class {absent[0]!r}: name their columns {_shortened(classes)}, got"
                f" {_shortened(names)}"
            )
        values = values[:, [names.index(name) for name in classes]]
    chosen = values[examples.indices]
    require_distributions(1e-3, _OF_FOLDS, probabilities=chosen)
    return chosen / chosen.sum(1, keepdims=True)


def _shortened(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")


def compare_predictions(
    probabilities: Float[np.ndarray, "examples classes"],
    labels: Int[np.ndarray, " examples"],
    scores: Scores,
    label_errors: LabelErrors,
    precision: float,
) -> GivenPredictions:
    """Scores them as the audit scores its own predictions, and compares the two."""
    logarithms = np.log(np.maximum(probabilities, _LEAST))
    errors = estimated_errors(logarithms, labels, precision)
    candidates = np.zeros(len(labels), bool)
    candidates[label_noise.detection.noisy_ids(probabilities, labels)] = True
    margins = np.asarray(metrics.label_margins(probabilities, labels))
    by_theirs, by_ours = errors.wrong > 0.5, label_errors.wrong > 0.5
    return GivenPredictions(
        probabilities,
        margins,
        errors,
        label_noise.confident_joint(probabilities, labels),
        candidates,
        metrics.calibration(labels, probabilities),
        np.array([(predicted.argmax(1) == labels).mean() for predicted in (probabilities, scores.predictions)]),
        np.array([least_loss(predicted.astype(float), labels) for predicted in (logarithms, scores.predictions)]),
        float(spearman_correlation(margins, scores.margins)) if np.ptp(margins) > 0 else float("nan"),
        by_theirs & by_ours,
        by_theirs | by_ours,
    )
