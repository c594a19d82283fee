"""The tables of MIMIC-III as they lie on disk: found by name, and read whole or in pieces of bounded size."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from infotheory_dl._files import naming

if TYPE_CHECKING:
    import polars as pl

_ENDINGS = (".csv", ".csv.gz", ".parquet")
_TIME = "%Y-%m-%d %H:%M:%S"
# what the published benchmark reads as missing
MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"),
    *("NULL", "NaN", "n/a", "nan", "null"),
)


class Table(NamedTuple):
    """A table on disk.

    Attributes:
      name: in capitals.
      path: of its file.
    """

    name: str
    path: Path


class Piece(NamedTuple):
    """Rows of a table that follow each other.

    Attributes:
      number: its place among the pieces.
      table: where it is from.
      header: names of all columns, in capitals; none of a parquet file, which has them itself.
      content: lines of CSV; or of a parquet file the first row and the number of rows.
      share: of the file that has been read with it, for the display of progress.
    """

    number: int
    table: Table
    header: tuple[str, ...]
    content: bytes | tuple[int, int]
    share: float


def find(source: Path, name: str, *, required: bool = True) -> Table | None:
    """The file of a table: NAME.csv, NAME.csv.gz or NAME.parquet, in capitals or not.

    Raises:
      FileNotFoundError: if there is none, and it is required.
    """
    with naming(f"cannot read {source}"):
        files = {path.name.lower(): path for path in sorted(source.iterdir(), reverse=True)}
    for ending in _ENDINGS:
        if path := files.get(f"{name.lower()}{ending}"):
            return Table(name, path)
    if required:
        raise FileNotFoundError(f"{source} has no table {name}: expected {', '.join(name + end for end in _ENDINGS)}")
    return None


def read_whole(source: Path, name: str, columns: Sequence[str]) -> "pl.DataFrame":
    """Reads the columns of a small table as text, missing where they are empty; times and numbers of parquet likewise.

    A column ROW_ID is added where the table has one, for errors that name a row.
    """
    import polars as pl

    table = find(source, name)
    assert table is not None
    frames = [read(piece, [*columns, *_row_names(piece)], {}) for piece in pieces(table, 1 << 26)]
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return frame.with_columns(
        (pl.col(column).dt.strftime(_TIME) if frame.schema[column].is_temporal() else pl.col(column).cast(pl.String))
        for column in columns
    )


def pieces(table: Table, num_bytes: int) -> Iterator[Piece]:
    """Cuts a table at the ends of rows, into pieces of about so many bytes; the cuts depend on nothing else."""
    if table.path.suffix == ".parquet":
        yield from _of_parquet(table, num_bytes)
        return
    with naming(f"cannot read {table.path}"), table.path.open("rb") as file:
        stream: Any = gzip.GzipFile(fileobj=file) if table.path.suffix == ".gz" else file
        size = max(1, table.path.stat().st_size)
        try:
            header = _header(table, stream.readline())
            for number, lines in enumerate(_cut(stream, num_bytes)):
                yield Piece(number, table, header, lines, file.tell() / size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise OSError(f"the file is not whole: {error}; download it again") from error


def read(piece: Piece, columns: Sequence[str], dtypes: Mapping[str, "pl.DataType"]) -> "pl.DataFrame":
    """Reads columns of a piece.

    Args:
      piece: of `pieces`.
      columns: their names.
      dtypes: of those that are not text.

    Raises:
      ValueError: if the table lacks a column, or a row is not what a column promises.
    """
    import polars as pl

    if isinstance(piece.content, tuple):
        first, count = piece.content
        lazy = pl.scan_parquet(piece.table.path)
        lazy = lazy.rename({name: name.upper() for name in lazy.collect_schema().names() if name != name.upper()})
        _require_columns(piece.table, lazy.collect_schema().names(), columns)
        return lazy.slice(first, count).select(columns).cast(dict(dtypes)).collect()  # type: ignore[arg-type]
    _require_columns(piece.table, piece.header, columns)
    try:
        return _lines(piece, columns, dtypes)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{piece.table.path} cannot be read: {_told(piece, columns, dtypes, error)}") from error


def times(frame: "pl.DataFrame", table: str, columns: Sequence[str]) -> "pl.DataFrame":
    """Makes seconds since 1970 of time stamps; missing ones stay missing.

    Raises:
      ValueError: if one is no time stamp; it names the row.
    """
    import polars as pl

    for column in columns:
        text = pl.col(column)
        stamp, day = (text.str.strptime(pl.Datetime("ms"), form, strict=False) for form in (_TIME, "%Y-%m-%d"))
        time = frame.select(stamp.fill_null(day)).to_series()
        _require_read(frame, table, column, time, "no time stamp YYYY-MM-DD HH:MM:SS")
        frame = frame.with_columns((time.cast(pl.Int64) // 1000).alias(column))
    return frame


def numbers(frame: "pl.DataFrame", table: str, dtypes: Mapping[str, "pl.DataType"]) -> "pl.DataFrame":
    """Makes numbers of text; missing ones stay missing.

    Raises:
      ValueError: if one is no number of its dtype; it names the row.
    """
    for column, dtype in dtypes.items():
        read = frame[column].cast(dtype, strict=False)
        _require_read(frame, table, column, read, f"no number of the type {dtype}")
        frame = frame.with_columns(read.alias(column))
    return frame


def _require_read(frame: "pl.DataFrame", table: str, column: str, read: "pl.Series", expected: str) -> None:
    wrong = read.is_null() & frame[column].is_not_null()
    if wrong.any():
        place = wrong.arg_max()
        assert place is not None
        row = f"ROW_ID {frame['ROW_ID'][place]}" if "ROW_ID" in frame.columns else f"row {place + 1}"
        raise ValueError(f"{table}, {row}: {column} is {expected}: {frame[column][place]!r}")


def _cut(stream: io.BufferedIOBase, num_bytes: int) -> Iterator[bytes]:
    """Whole lines, about so many bytes at a time."""
    rest = b""
    while block := stream.read(num_bytes):
        lines = rest + block
        cut = lines.rfind(b"\n") + 1
        # a line may end within quotes: cut where those before it come in pairs
        while cut and lines.count(b'"', 0, cut) % 2:
            cut = lines.rfind(b"\n", 0, cut - 1) + 1
        lines, rest = lines[:cut], lines[cut:]
        if lines:
            yield lines
    if rest.strip():
        yield rest


def _of_parquet(table: Table, num_bytes: int) -> Iterator[Piece]:
    import polars as pl

    try:
        total = pl.scan_parquet(table.path).select(pl.len()).collect().item()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{table.path} cannot be read: {error}") from error
    step = max(1, num_bytes // 100)  # bytes of a row, about
    for number, first in enumerate(range(0, total, step)):
        count = min(step, total - first)
        yield Piece(number, table, (), (first, count), (first + count) / total)


def _row_names(piece: Piece) -> list[str]:
    return ["ROW_ID"] if "ROW_ID" in piece.header else []


def _header(table: Table, line: bytes) -> tuple[str, ...]:
    names = tuple(name.strip().strip('"').upper() for name in line.decode("utf-8-sig", "replace").split(","))
    if not line.strip():
        raise ValueError(f"{table.path} is empty: expected a header, and rows below it")
    return names


def _require_columns(table: Table, header: Sequence[str], columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise ValueError(f"{table.path} has no column {', '.join(missing)}; it has {', '.join(header)}")


def _lines(piece: Piece, columns: Sequence[str], dtypes: Mapping[str, "pl.DataType"]) -> "pl.DataFrame":
    import polars as pl

    assert isinstance(piece.content, bytes)
    places = sorted(piece.header.index(name) for name in columns)
    frame = pl.read_csv(
        piece.content,
        has_header=False,
        columns=places,
        null_values="",  # within quotes as well
        schema={name: dtypes.get(name, pl.String) for name in piece.header},
    )
    return frame.rename(dict(zip(frame.columns, (piece.header[place] for place in places), strict=True)))


def _told(piece: Piece, columns: Sequence[str], dtypes: Mapping[str, "pl.DataType"], error: Exception) -> str:
    """What is wrong with the lines of a piece, by ROW_ID where there is one."""
    import polars as pl

    assert isinstance(piece.content, bytes)
    try:
        piece.content.decode()
    except UnicodeDecodeError as undecoded:
        line = piece.content.count(b"\n", 0, undecoded.start) + 1
        return f"line {line:,} of piece {piece.number + 1} is not UTF-8; convert the file, as by iconv"
    wanted = [*columns, *_row_names(piece)]
    try:
        text = _lines(piece, wanted, {})
    except pl.exceptions.PolarsError:
        for number, row in enumerate(csv.reader(io.StringIO(piece.content.decode())), 1):
            if len(row) != len(piece.header):
                found = f"line {number:,} of piece {piece.number + 1} has {len(row)} of {len(piece.header)} columns"
                return f"{found}; download it again if it is not whole"
        return str(error).splitlines()[0]
    numbers(text, piece.table.name, dtypes)
    return str(error).splitlines()[0]
