"""Files as the columns or arrays that they hold, with errors that say what is wrong and what to do."""

import codecs
import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from infotheory_dl.data.tables.columns import MISSING_WORDS, is_number, listed, position, require_distinct_names

_ROWS_FOR_TYPES = 1000
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_SHOWN = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar"}


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Puts the path of the file before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_text_columns(path: Path, delimiter: str | None, label: str | int | None) -> tuple[dict[str, Any], list[str]]:
    """The columns of a .csv or .tsv file, and what a user should know.

    Args:
      path: of the file.
      delimiter: between the columns; by default that of the suffix, or the one of the header where that parts nothing.
      label: the column of the labels, where text stays as it is: a class may be called "None", or "00".

    Raises:
      ValueError: if it is no such table.
    """
    import polars

    raw = path.read_bytes()
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    delimiter = None if delimiter is None else _one_character(delimiter)
    header, delimiter, notices = _header(raw, path.suffix.lower(), delimiter)

    def read(**settings: Any) -> polars.DataFrame:
        # blank lines at the end would be rows without a value
        stream = io.BytesIO(raw.rstrip(b"\r\n"))
        return polars.read_csv(stream, separator=delimiter, **settings)

    words = list(MISSING_WORDS)
    try:
        try:
            frame = read(infer_schema_length=_ROWS_FOR_TYPES, null_values=words)
        except polars.exceptions.PolarsError:
            # later rows hold something else: all are looked at, which takes several times as long
            frame = read(infer_schema_length=None, null_values=words)
    except polars.exceptions.PolarsError as error:
        _require_full_rows(raw, delimiter, len(header))
        reason = str(error).splitlines()[0]
        raise ValueError(f"cannot be read as a table: {reason}; look for quotes that are not closed") from error
    if not len(frame):
        raise ValueError(f"there is a header, {listed(header)}, and no row below it")
    columns = dict(zip(header, frame.get_columns(), strict=True))
    if columns[header[-1]].null_count():
        # where a row ends early, polars takes the rest for missing
        _require_full_rows(raw, delimiter, len(header))
    if delimiter == ";":
        columns = {name: _with_decimal_points(column) for name, column in columns.items()}
    place = None if label is None else position(label, header)
    if place is not None and frame.dtypes[place] == polars.String and frame.to_series(place).null_count():
        columns[header[place]] = read(columns=[place], infer_schema_length=0).to_series(0)
    elif place is not None and frame.dtypes[place].is_integer():
        texts = read(columns=[place], infer_schema_length=0, null_values=words).to_series(0)
        if not (texts.str.strip_chars() == frame.to_series(place).cast(polars.String)).all():
            columns[header[place]] = texts
    return columns, notices


def named_columns(path: Path, delimiter: str | None) -> tuple[str, list[str], str]:
    """The text of a .csv or .tsv file, the names of its columns, and what parts them."""
    raw = path.read_bytes()
    header, delimiter, _ = _header(raw, path.suffix.lower(), None if delimiter is None else _one_character(delimiter))
    return raw.decode(), header, delimiter


def read_parquet_columns(path: Path) -> dict[str, Any]:
    """The columns of a .parquet file.

    Raises:
      ValueError: if it is no such file.
    """
    import polars

    try:
        with path.open("rb") as stream:
            frame = polars.read_parquet(stream)
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"is not a .parquet file that can be read: {str(error).splitlines()[0]}") from error
    if not len(frame) or not frame.columns:
        raise ValueError(f"is a table without {'rows' if frame.columns else 'columns'}")
    require_distinct_names(frame.columns)
    return dict(zip(frame.columns, frame.get_columns(), strict=True))


def read_array(path: Path) -> np.ndarray:
    """The array of a .npy file.

    Raises:
      ValueError: if it is no such file, holds Python's objects, or is shorter than its header says.
    """
    try:
        # mapped first: a file that promises more than it holds is refused before memory is asked for
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError) as error:
        remedy = "make one by numpy.save(path, array), of numbers or of text by astype(str)"
        raise ValueError(f"is not a .npy file of plain numbers or text ({error}); {remedy}") from error


def _header(raw: bytes, suffix: str, delimiter: str | None) -> tuple[list[str], str, list[str]]:
    """The names of the columns and the delimiter, once the text can be a table, and what a user should know."""
    if not raw.strip():
        raise ValueError("the file is empty; a table has a header, the names of its columns, and rows below it")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        encoding = "utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
        raise ValueError(
            f"line {line} holds bytes that are not UTF-8; save it as UTF-8, such as by"
            f" path.write_text(path.read_text(encoding={encoding!r}), encoding='utf-8')"
        ) from error
    if b"\0" in raw:
        raise ValueError("this is no text: it holds zero bytes; a .parquet or .npz file is read under its own suffix")
    notices = []
    expected = delimiter or _DELIMITERS[suffix]
    header = next(_rows(raw, expected))
    if len(header) == 1 and delimiter is None:
        others = [other for other in _SHOWN if other in header[0]]
        if others:
            expected = max(others, key=header[0].count)
            header = next(_rows(raw, expected))
            notices.append(f"The columns are parted by {_SHOWN[expected]}.")
    header = [name.strip() for name in header]
    if not header:
        raise ValueError("the first line is empty; it must have the names of the columns")
    require_distinct_names(header)
    numbers = [name for name in header if is_number(name) and not name.isdigit()]
    if numbers:
        raise ValueError(f"the first line has {listed(numbers)} where the names of columns belong; add a line of names")
    nameless = [place for place, name in enumerate(header) if not name and place]
    if nameless:
        raise ValueError(
            f"column {nameless[0]} has no name in the header; only the first, the names of rows, may lack one"
        )
    return header, expected, notices


def _one_character(delimiter: str) -> str:
    """The delimiter, a tab also where a shell gave its name."""
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise ValueError(f"delimiter must be one character, or tab, got {delimiter!r}")
    return delimiter


def _rows(raw: bytes, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise ValueError(f"cannot be read as a table: {error}; look for quotes that are not closed") from error


def _require_full_rows(raw: bytes, delimiter: str, width: int) -> None:
    reader = csv.reader(io.StringIO(raw.rstrip(b"\r\n").decode("utf-8-sig"), newline=""), delimiter=delimiter)
    for row in reader:
        if len(row) != width and not (width == 1 and not row):
            raise ValueError(
                f"line {reader.line_num} has {len(row)} fields where the header has {width}; put text with"
                f" {_SHOWN.get(delimiter, repr(delimiter))} in it in quotes, and leave empty what is missing"
            )


def _with_decimal_points(column: Any) -> Any:
    """Numbers with a decimal comma, as programs write them that part columns by semicolons."""
    import polars

    if column.dtype != polars.String:
        return column
    numbers = column.str.strip_chars().str.replace(",", ".", literal=True).cast(polars.Float64, strict=False)
    return numbers if numbers.null_count() == column.null_count() else column
