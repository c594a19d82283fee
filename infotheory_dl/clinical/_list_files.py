"""List files: the samples of a task in the format of the published benchmark."""

import csv
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from infotheory_dl._files import naming, write_text
from infotheory_dl._validation import edge
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._reading import Samples
from infotheory_dl.results import concise

ENDING = "_timeseries.csv"
_MULTITASK = (
    "filename",
    "length of stay",
    "in-hospital mortality task (pos;mask;label)",
    "length of stay task (masks;labels)",
    "phenotyping task (labels)",
    "decompensation task (masks;labels)",
)


@concise
class ListFile(NamedTuple):
    """What a list file says.

    Attributes:
      names: of the stay of each sample.
      period: hours that each sees; NaN where the file has no column for it, as of mortality.
      labels: (samples, labels).
    """

    names: list[str]
    period: np.ndarray
    labels: np.ndarray


@edge
def write_list_file(samples: Samples, path: str | os.PathLike[str]) -> None:
    """Writes the samples as the benchmark's `listfile.csv`.

    Args:
      samples: of `read`.
      path: of the file.

    Raises:
      OSError: if it cannot be written.
    """
    write_text(path, "\n".join([header(samples.task), *lines(samples)]) + "\n")


@edge
def read_list_file(path: str | os.PathLike[str]) -> ListFile:
    """Reads a list file of any task but the multitask.

    Args:
      path: of the file.

    Raises:
      ValueError: if it is no list file, or a number in it cannot be read; the line is named.
      OSError: if it cannot be opened.
    """
    place = Path(path).expanduser()
    with naming(f"cannot read {place}"):
        text = place.read_text(encoding="utf-8")
    first, *rows = list(csv.reader(text.splitlines())) or [[]]
    if not first or first[0] != "stay":
        raise ValueError(f"{place} is no list file: its header must begin with stay, got {','.join(first)!r}")
    has_period = "period_length" in first
    names, numbers = [], []
    for number, row in enumerate(rows, start=2):
        try:
            if len(row) != len(first):
                raise ValueError
            numbers.append([float(text) for text in row[1:]])
        except ValueError:
            raise ValueError(f"{place}, line {number}: expected {','.join(first)}, got {','.join(row)!r}") from None
        names.append(row[0].removesuffix(ENDING))
    table = np.array(numbers, float).reshape(len(rows), len(first) - 1)
    period = table[:, 0] if has_period else np.full(len(rows), np.nan)
    return ListFile(names, period, table[:, has_period:])


def header(task: str) -> str:
    """The first line."""
    if task == "mortality":
        return "stay,y_true"
    if task == "multitask":
        return ",".join(_MULTITASK)
    labels = _facts.phenotypes().names if task == "phenotyping" else ("y_true",)
    return ",".join(["stay", "period_length", *labels])


def lines(samples: Samples) -> list[str]:
    """The lines of the samples."""
    if samples.task == "multitask":
        return [_multitask_line(samples, place) for place in range(len(samples.names))]
    found = []
    rows = np.atleast_2d(samples.labels.T).T
    for stay, period, labels in zip(samples.stay, samples.period, rows, strict=True):
        fields = [f"{samples.names[stay]}{ENDING}"]
        if samples.task != "mortality":
            fields.append(f"{period:.6f}")
        fields += [f"{y:.6f}" if samples.task == "length_of_stay" else str(int(y)) for y in labels]
        found.append(",".join(fields))
    return found


def _multitask_line(samples: Samples, place: int) -> str:
    joined = lambda values: ";".join(map(str, values))
    of = lambda name: samples.hourly[name][place]
    remaining = [f"{hours:.6f}" for hours in of("length_of_stay labels")]
    return ",".join(
        [
            f"{samples.names[place]}{ENDING}",
            f"{samples.length[place]:.6f}",
            joined(of("mortality")),
            joined([*of("length_of_stay masks"), *remaining]),
            joined(samples.labels[place]),
            joined([*of("decompensation masks"), *of("decompensation labels")]),
        ]
    )
