"""A user's table with other labels, in all else as it was."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from infotheory_dl.data.tables.columns import position
from infotheory_dl.data.tables.formats import named_columns

_BYTE_ORDER_MARK = "\ufeff"


class Relabelled(NamedTuple):
    """A text file with other labels.

    Attributes:
      text: of it.
      label: the name of the column of the labels, as it is written there.
      delimiter: between the columns.
    """

    text: str
    label: str
    delimiter: str


def relabelled_text(
    path: Path,
    label: str | int,
    sources: Int[np.ndarray, " rows"],
    left: Bool[np.ndarray, " rows"],
    *,
    delimiter: str | None = None,
) -> Relabelled:
    """A .csv or .tsv file, where each row has the label of some row, written as there.

    All other characters stay: quotes, ends of lines, a mark of the order of bytes.

    Args:
      path: of the file.
      label: the column of the labels, by its name or its place.
      sources: for each row the row whose label it gets.
      left: which rows are left.
      delimiter: between the columns; by default found as `read_table` does.

    Raises:
      ValueError: if the file has another number of rows by now.
    """
    text, header, delimiter = named_columns(path, delimiter)
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    body = text.removeprefix(mark)
    records = list(_records(body.rstrip("\r\n"), delimiter))
    place = position(label, header)
    if len(records) - 1 != len(sources) or place is None:
        raise _changed(path, label, len(sources))
    spans = [_span(record, place, delimiter) for record in records]
    labels = [record[start:end] for record, (start, end) in zip(records, spans, strict=True)]
    following = [0, *(sources + 1).tolist()]
    kept = [
        f"{record[:start]}{labels[source]}{record[end:]}"
        for record, (start, end), source, stays in zip(records, spans, following, [True, *left.tolist()], strict=True)
        if stays
    ]
    ending = body[len(body.rstrip("\r\n")) :]
    (name,) = next(csv.reader([labels[0]], delimiter=delimiter), [""])
    return Relabelled(mark + "".join(kept).rstrip("\r\n") + ending, name, delimiter)


def relabelled_parquet(
    path: Path, label: str | int, sources: Int[np.ndarray, " rows"], left: Bool[np.ndarray, " rows"]
) -> bytes:
    """The bytes of a .parquet file, likewise."""
    import polars

    frame = polars.read_parquet(path)
    place = position(label, frame.columns)
    if len(frame) != len(sources) or place is None:
        raise _changed(path, label, len(sources))
    column = frame.to_series(place)
    stream = io.BytesIO()
    frame.with_columns(column.gather(sources)).filter(polars.Series(left)).write_parquet(stream)
    return stream.getvalue()


def _changed(path: Path, label: str | int, rows: int) -> ValueError:
    return ValueError(f"{path} has changed: it had {rows} rows and the column {label!r} when it was read")


def _records(text: str, delimiter: str) -> Iterator[str]:
    """The characters of each row, with the end of its line."""
    lines = list(io.StringIO(text, newline=""))
    reader, first = csv.reader(lines, delimiter=delimiter), 0
    for _ in reader:
        yield "".join(lines[first : reader.line_num])
        first = reader.line_num


def _span(record: str, place: int, delimiter: str) -> tuple[int, int]:
    """Where a column begins and ends in the characters of a row.

    Raises:
      ValueError: if the row has fewer columns.
    """
    field = re.compile(rf'(?:"(?:[^"]|"")*")?[^{re.escape(delimiter)}\r\n]*')
    found = field.match(record)
    for _ in range(place):
        assert found is not None  # it matches nothing too
        if record[found.end() : found.end() + 1] != delimiter:
            raise ValueError(f"a row ends before column {place}")
        found = field.match(record, found.end() + 1)
    assert found is not None
    return found.span()
