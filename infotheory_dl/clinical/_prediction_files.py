"""Files of predictions in the format of the published benchmark, and their match with the samples of a store."""

import csv
import os
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Real

from infotheory_dl._files import csv_table, naming, write_text
from infotheory_dl._validation import edge, require_choice, require_finite, require_shape
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._list_files import ENDING
from infotheory_dl.clinical._reading import Samples
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

SingleTask: TypeAlias = Literal["mortality", "decompensation", "length_of_stay", "phenotyping"]

TASKS: tuple[SingleTask, ...] = ("mortality", "decompensation", "length_of_stay", "phenotyping")
# files have six decimals
_TOLERANCE = 1e-6


@concise
class Predictions(NamedTuple):
    """What a file of predictions says.

    Attributes:
      names: of the stay of each sample.
      period: hours that each sees; NaN where the file has no column for it, as of mortality.
      predictions: probabilities, (samples,), of phenotyping (samples, 25); of length_of_stay hours.
      labels: in the same form.
    """

    names: list[str]
    period: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray


@edge
def write_predictions(
    samples: Samples,
    predictions: Real[AnyArray, "samples *labels"],
    path: str | os.PathLike[str],
) -> None:
    """Writes predictions as the benchmark's programs do.

    Args:
      samples: of `read`, of any task but the multitask.
      predictions: in the form of the labels of the samples.
      path: of the file.

    Raises:
      ValueError: if the predictions have another shape, are not finite, or the task is the multitask.
      OSError: if it cannot be written.
    """
    require_choice("task", samples.task, TASKS)
    require_shape("predictions", predictions, samples.labels.shape, "that of the labels")
    require_finite(predictions=predictions)
    columns: dict[str, list[str]] = {"stay": [f"{samples.names[stay]}{ENDING}" for stay in samples.stay]}
    if samples.task != "mortality":
        columns["period_length"] = [f"{hours:.6f}" for hours in samples.period]
    shown, labels = (np.atleast_2d(np.asarray(values).T) for values in (predictions, samples.labels))
    names = _columns(len(shown)) if samples.task == "phenotyping" else (["prediction"], ["y_true"])
    for name, values in zip(names[0], shown, strict=True):
        columns[name] = [f"{value:.6f}" for value in values]
    for name, values in zip(names[1], labels, strict=True):
        columns[name] = [f"{y:.6f}" if samples.task == "length_of_stay" else str(int(y)) for y in values]
    write_text(path, csv_table(columns))


@edge
def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Reads predictions that this package or the benchmark's programs wrote.

    Args:
      path: of the file: `stay,prediction,y_true`, with `period_length` after `stay` for all tasks but mortality, and of
        phenotyping `pred_1` to `pred_25` and `label_1` to `label_25`.

    Raises:
      ValueError: if it is no such file, or a number in it cannot be read or is not finite; the line is named.
      OSError: if it cannot be opened.
    """
    place = Path(path).expanduser()
    with naming(f"cannot read {place}"):
        text = place.read_text(encoding="utf-8")
    first, *rows = list(csv.reader(text.splitlines())) or [[]]
    num_labels = len(_facts.phenotypes().names)
    single, several = (["prediction"], ["y_true"]), _columns(num_labels)
    values = single if "prediction" in first else several
    expected = ["stay", *(["period_length"] if "period_length" in first else []), *values[0], *values[1]]
    if first != expected:
        raise ValueError(
            f"{place} holds no predictions: its header must be stay,prediction,y_true or"
            f" stay,period_length,prediction,y_true or stay,period_length,pred_1,...,label_{num_labels},"
            f" got {','.join(first)!r}"
        )
    names, numbers = [], []
    for number, row in enumerate(rows, start=2):
        try:
            fields = [float(field) for field in row[1:]]
            if len(row) != len(first) or not np.isfinite(fields).all():
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{place}, line {number}: expected a stay and {len(first) - 1} finite numbers, got {','.join(row)!r}"
            ) from None
        names.append(row[0].removesuffix(ENDING))
        numbers.append(fields)
    table = np.array(numbers, float).reshape(len(rows), len(first) - 1)
    has_period = "period_length" in first
    period = table[:, 0] if has_period else np.full(len(rows), np.nan)
    predictions, labels = np.split(table[:, has_period:], 2, axis=1)
    if values is single:
        predictions, labels = predictions[:, 0], labels[:, 0]
    return Predictions(names, period, predictions, labels)


def task_of(found: Predictions) -> SingleTask:
    """The task that predictions are of, by their columns and labels."""
    if found.predictions.ndim == 2:
        return "phenotyping"
    if np.isnan(found.period).any():
        return "mortality"
    return "decompensation" if np.isin(found.labels, (0, 1)).all() else "length_of_stay"


@edge
def match_predictions(samples: Samples, found: Predictions) -> Float[np.ndarray, "samples *labels"]:
    """Orders predictions as the samples are.

    Args:
      samples: of `read`.
      found: of `read_predictions`.

    Returns:
      The predictions, in the form of the labels of the samples.

    Raises:
      ValueError: if they are of another task, a sample has none or several, one is of no sample, or a label differs.
    """
    if found.predictions.shape[1:] != samples.labels.shape[1:] or np.isnan(found.period).any() != (
        samples.task == "mortality"
    ):
        raise ValueError(f"these are no predictions of {samples.task}: the columns are those of another task")

    def hours(period: np.ndarray) -> list[float | None]:
        # to six decimals, as files have them
        return [None] * len(period) if samples.task == "mortality" else np.round(period, 6).tolist()

    keys = list(zip([samples.names[stay] for stay in samples.stay], hours(samples.period), strict=True))
    places: dict[tuple[str, float | None], int] = {}
    for row, key in enumerate(zip(found.names, hours(found.period), strict=True)):
        if key in places:
            raise ValueError(f"{_named(key)} has several predictions: expected one for each sample")
        places[key] = row
    missing, strange = [key for key in keys if key not in places], places.keys() - set(keys)
    if missing or strange:
        told = [
            f"{len(group):,} {what}, such as {_named(min(group, key=str))}"
            for group, what in (
                (missing, "samples have no prediction"),
                (sorted(strange, key=str), "predictions are of no sample"),
            )
            if group
        ]
        raise ValueError(f"the predictions must be of the samples of this part of {samples.task}: {' and '.join(told)}")
    rows = [places[key] for key in keys]
    differing = np.abs(found.labels[rows] - samples.labels) > _TOLERANCE
    if differing.any():
        row = int(np.argmax(differing.reshape(len(rows), -1).any(1)))
        raise ValueError(
            f"the labels of {int(differing.reshape(len(rows), -1).any(1).sum()):,} predictions differ from those of the"
            f" store, first of {_named(keys[row])}: {found.labels[rows][row]} and {samples.labels[row]}"
        )
    return found.predictions[rows]


def _columns(num_labels: int) -> tuple[list[str], list[str]]:
    numbers = range(1, num_labels + 1)
    return [f"pred_{number}" for number in numbers], [f"label_{number}" for number in numbers]


def _named(key: tuple[str, float | None]) -> str:
    name, hours = key
    return name if hours is None else f"{name} at {hours:g} h"
