"""A user's table with other labels, in all else as it was."""

import csv
import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from infotheory_dl.data.tables.columns import position
from infotheory_dl.data.tables.formats import named_rows


def relabelled_text(
    path: Path,
    label: str | int,
    sources: Int[np.ndarray, " rows"],
    left: Bool[np.ndarray, " rows"],
    *,
    delimiter: str | None = None,
) -> str:
    """The text of a .csv or .tsv file, where each row has the label of some row, written as there.

    Args:
      path: of the file.
      label: the column of the labels, by its name or its place.
      sources: for each row the row whose label it gets.
      left: which rows are left.
      delimiter: between the columns; by default found as `read_table` does.

    Raises:
      ValueError: if the file has another number of rows by now.
    """
    header, rows, delimiter = named_rows(path, delimiter)
    place = position(label, header)
    if len(rows) != len(sources) or place is None:
        raise ValueError(f"{path} has changed: it had {len(sources)} rows and the column {label!r} when it was read")
    labels = [row[place] for row in rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    for row, source, stays in zip(rows, sources.tolist(), left.tolist(), strict=True):
        if stays:
            writer.writerow([*row[:place], labels[source], *row[place + 1 :]])
    return text.getvalue()


def relabelled_parquet(
    path: Path, label: str | int, sources: Int[np.ndarray, " rows"], left: Bool[np.ndarray, " rows"]
) -> bytes:
    """The bytes of a .parquet file, likewise."""
    import polars

    frame = polars.read_parquet(path)
    place = position(label, frame.columns)
    if len(frame) != len(sources) or place is None:
        raise ValueError(f"{path} has changed: it had {len(sources)} rows and the column {label!r} when it was read")
    column = frame.to_series(place)
    stream = io.BytesIO()
    frame.with_columns(column.gather(sources)).filter(polars.Series(left)).write_parquet(stream)
    return stream.getvalue()
