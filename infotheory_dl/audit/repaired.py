"""The user's own labels once they are repaired, in the form in which they were given."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from infotheory_dl import data
from infotheory_dl._files import csv_table
from infotheory_dl._validation import class_labels
from infotheory_dl.audit.examples import Examples
from infotheory_dl.data.tables.columns import MISSING_WORDS
from infotheory_dl.data.tables.relabelling import relabelled_parquet, relabelled_text
from infotheory_dl.sample_information import LabelErrors

_PANDAS = "pandas.read_"
_MISSING_TO_PANDAS = {*MISSING_WORDS, "n/a", "<NA>", "#NA", "#N/A N/A", "-nan", "-NaN"}


class RepairedData(NamedTuple):
    """A file of repaired labels.

    Attributes:
      name: of the file.
      content: of it.
      about: what it is, after its name in a sentence.
      reading: how Python reads it, with {path} for its path in quotes.
    """

    name: str
    content: str | bytes
    about: str
    reading: str


def repaired_codes(examples: Examples, errors: LabelErrors) -> Int[np.ndarray, " examples"]:
    """The labels after the audit: those that were flipped on purpose as before, repairs made, decisions kept."""
    repaired = np.where(errors.repaired, errors.suggested, examples.labels)
    restored = np.where(examples.flipped, examples.true_labels, repaired)
    return restored if examples.confirmed is None else np.where(examples.confirmed, examples.labels, restored)


def repaired_data(
    examples: Examples, errors: LabelErrors, table: data.Table, source: data.Source | None
) -> RepairedData:
    """All labels of the data after the audit: a table as a table, names of files with their labels, or an array.

    Args:
      examples: of the audit.
      errors: of the audit.
      table: of all examples, as it was read.
      source: where it was read from; None for arrays and named sets.
    """
    assert table.y is not None
    codes = class_labels(table.y, name="y").codes
    first = np.unique(codes, return_index=True)[1]
    final = repaired_codes(examples, errors)
    changed = final != codes[examples.indices]
    # each row gets the label of a row, so that it is written as it was
    sources = np.arange(len(codes))
    sources[examples.indices[changed]] = first[final[changed]]
    left = np.ones(len(codes), bool)
    if examples.dropped is not None:
        left[examples.dropped] = False
    path = None if source is None or source.data is None else Path(source.data).expanduser()
    told = _told(int(changed.sum()), int((~left).sum()))
    about = f"is your table with {told}"
    if path is not None and path.is_dir() and table.row_names is not None:
        named = {"name": np.array(table.row_names)[left].tolist(), "label": table.y[sources][left].tolist()}
        about = f"names your files with their labels, with {told}"
        return RepairedData(
            "repaired.csv",
            csv_table(named),
            about,
            f"labels = {_PANDAS}csv({{path}}{as_text('label', examples.class_names)})",
        )
    try:
        if path is not None and source is not None and source.label is not None:
            if path.suffix.lower() == ".parquet":
                content = relabelled_parquet(path, source.label, sources, left)
                return RepairedData("repaired.parquet", content, about, f"table = {_PANDAS}parquet({{path}})")
            if path.suffix.lower() in (".csv", ".tsv"):
                text, label, delimiter = relabelled_text(path, source.label, sources, left, delimiter=source.delimiter)
                how = as_text(label, examples.class_names) if are_text(table.y) else ""
                how += "" if delimiter == "," else f", sep={delimiter!r}"
                reading = f"table = {_PANDAS}csv({{path}}{how})"
                return RepairedData(f"repaired{path.suffix.lower()}", text, about, reading)
    except (OSError, ValueError):
        pass  # the file has changed or is gone: the labels alone are written
    stream = io.BytesIO()
    labels = table.y[sources]
    np.save(stream, labels.astype(str) if labels.dtype.kind == "O" else labels, allow_pickle=False)
    about = f"holds all your labels in their order, with {_told(int(changed.sum()), 0)}"
    reading = "y = numpy.load({path})"
    if not left.all():
        about += f"; the {int((~left).sum())} that you dropped are still in it"
    return RepairedData("labels.npy", stream.getvalue(), about, reading)


def are_text(labels: Shaped[np.ndarray, " examples"]) -> bool:
    """Whether labels are text, and no numbers or truth values."""
    return labels.dtype.kind in "OSU"


def as_text(column: str, labels: Iterable[str]) -> str:
    """The further arguments by which pandas reads labels as they are: not 00 as 0, nor None as a missing one."""
    missing = any(label in _MISSING_TO_PANDAS for label in labels)
    return f", dtype={{{column!r}: str}}" + ", keep_default_na=False" * missing


def _told(changed: int, dropped: int) -> str:
    told = f"{changed} label{'' if changed == 1 else 's'} changed"
    return told + (f" and {dropped} row{'' if dropped == 1 else 's'} left out" if dropped else "")
