"""Columns as the tables of any library hold them, brought into four kinds of arrays."""

import datetime
import decimal
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Shaped

from infotheory_dl._validation import is_missing, to_numpy

Kind: TypeAlias = Literal["number", "boolean", "category", "date", "duration"]

MISSING_WORDS = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "?")
"""What stands for a missing value in text, as pandas and most programs write it."""

EXACT_IN_DOUBLE = 2**53
"""Up to here double precision holds all whole numbers, beyond it rounds."""

SMALLEST_LOSS = 2.0**-24
"""Of the spread of a column: what single precision, in which networks take it, would lose anyway."""

_WORDS_OF_BOOLEANS = {"true": True, "false": False}
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?")
_DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")


class Values(NamedTuple):
    """One column.

    Attributes:
      kind: what its values are.
      values: numbers, booleans, text (an array of Python's strings), days since 1970-01-01, or days.
      missing: where there is none; what stands there in `values` means nothing.
    """

    kind: Kind
    values: Shaped[np.ndarray, " rows"]
    missing: Bool[np.ndarray, " rows"]


def is_frame(x: Any) -> bool:
    """Whether columns have names: a frame of pandas, polars, Arrow or Hugging Face, mappings, a structured array."""
    if isinstance(x, list):
        return len(x) > 0 and all(isinstance(row, Mapping) for row in x)
    named = getattr(getattr(x, "dtype", None), "names", None) is not None
    return named or isinstance(x, Mapping) or hasattr(x, "columns") or hasattr(x, "column_names")


def frame_columns(frame: Any) -> dict[str, Any]:
    """The columns by name, as the frame holds them; those of vectors become one for each entry.

    Raises:
      ValueError: if two columns have one name or different lengths, or a column holds vectors of different lengths.
    """
    if isinstance(frame, list):
        frame = {
            name: [row.get(name) for row in frame] for name in dict.fromkeys(name for row in frame for name in row)
        }
    if isinstance(frame, Mapping):
        names, held = list(frame), list(frame.values())
    elif getattr(getattr(frame, "dtype", None), "names", None):
        names, held = list(frame.dtype.names), [frame[name] for name in frame.dtype.names]
    elif hasattr(frame, "column_names"):
        # of Arrow, and data sets of Hugging Face
        names = list(frame.column_names)
        held = [_held_in(frame[name]) for name in names]
    elif hasattr(frame, "iloc"):
        # by position: a name that two columns have gives both
        names, held = list(frame.columns), [frame.iloc[:, place] for place in range(len(frame.columns))]
    else:
        names, held = list(frame.columns), list(frame.get_columns())
    names = [str(name) for name in names]
    if not names:
        raise ValueError("the table has no columns")
    require_distinct_names(names)
    columns: dict[str, Any] = {}
    for name, values in zip(names, held, strict=True):
        vectors = _vectors(name, values)
        if vectors is None:
            columns[name] = values
        else:
            columns |= {f"{name}[{place}]": vectors[:, place] for place in range(vectors.shape[1])}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise ValueError(
            f"columns must have one length, got {lengths[shortest]} rows of {shortest!r} and {lengths[longest]} of"
            f" {longest!r}"
        )
    return columns


def _held_in(column: Any) -> Any:
    """A column of Arrow, or of a data set of Hugging Face, as a list or an array."""
    return column.to_pylist() if hasattr(column, "to_pylist") else list(column)


def require_distinct_names(names: Sequence[str]) -> None:
    """Raises a ValueError that says which name two columns have."""
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in seen:
            raise ValueError(f"columns {seen[name]} and {place} are both named {name!r}; give each a name of its own")
        seen[name] = place


def position(column: str | int, names: Sequence[str]) -> int | None:
    """The place of a column that is given by its name or its place; None if there is none."""
    if column in names:
        return names.index(str(column))
    try:
        place = int(column)
    except ValueError:
        return None
    return place % len(names) if -len(names) <= place < len(names) else None


def as_values(name: str, column: Any, *, as_text: bool = False) -> Values:
    """A column of any library as an array of one kind.

    Text whose every value is a number, a truth value or a date is taken for that, so that the same table gives the same
    numbers whatever it is kept in.

    Args:
      name: of the column, for the errors.
      column: a Series of pandas or polars, an array, a list.
      as_text: whether to take everything for text, as columns that are declared to be categories always are.

    Raises:
      ValueError: if it holds something else, or different kinds of things, or infinite numbers.
    """
    as_text = as_text or str(getattr(column, "dtype", "")).lower().startswith(("categor", "enum"))
    whole = None if as_text else _whole_with_gaps(column)
    if whole is not None:
        return whole
    # those of polars with more than 64 bits as numbers of Python, which are exact
    wide = str(getattr(column, "dtype", "")) in ("Int128", "UInt128")
    values = np.array(column.to_list(), object) if wide else to_numpy(column)
    if values.ndim != 1:
        raise ValueError(f"column {name!r} must hold one value in each row, got an array of shape {values.shape}")
    kind = values.dtype.kind
    if kind in "OSU" or as_text:
        return _of_objects(name, values.astype(object), as_text)
    if kind in "mM":
        days = values.astype(f"{kind}8[us]").astype(np.int64) / _DAY
        return Values("date" if kind == "M" else "duration", days, np.isnat(values))
    if kind == "b":
        return Values("boolean", values, np.zeros(len(values), bool))
    if kind in "iuf":
        return _numbers(name, values)
    raise ValueError(f"column {name!r} holds {values.dtype}; a table takes numbers, truth values, text and dates")


def text_of(value: Any) -> str:
    """What a cell says."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def listed(names: Iterable[str], *, limit: int = 5) -> str:
    """Names in quotes, the first few of many."""
    return first_of([repr(name) for name in names], limit=limit)


def first_of(texts: Sequence[str], *, limit: int = 5) -> str:
    """The first few of many."""
    more = len(texts) - limit
    return f"{', '.join(texts[:limit])} and {more} more" if more > 0 else ", ".join(texts)


def _whole_with_gaps(column: Any) -> Values | None:
    """Whole numbers of 64 bits beside missing ones, which the containers themselves would round; None of others."""
    if isinstance(column, np.ma.MaskedArray) and column.dtype.kind in "iu" and column.ndim == 1:
        values, missing = column.filled(0), np.ma.getmaskarray(column)
    elif str(getattr(column, "dtype", "")) in ("Int64", "UInt64"):
        # of polars or of pandas
        filled, gaps = ("fill_null", "is_null") if hasattr(column, "fill_null") else ("fillna", "isna")
        values, missing = getattr(column, filled)(0).to_numpy(), getattr(column, gaps)().to_numpy()
    else:
        return None
    rounded = np.abs(values.astype(float)).max(initial=0) > EXACT_IN_DOUBLE
    return Values("number", values, missing) if rounded else None


def _is_rounded(numbers: Float[np.ndarray, " rows"]) -> bool:
    """Whether rounding to double precision may be more than the smallest loss that counts, if they were whole."""
    known = numbers[np.isfinite(numbers)]
    largest = np.abs(known).max(initial=0)
    return bool(
        largest > EXACT_IN_DOUBLE and np.spacing(largest) / 2 > SMALLEST_LOSS * largest * (known / largest).std()
    )


def _as_numbers(name: str, values: Sequence[Any]) -> np.ndarray:
    """Numbers or their texts in double precision, or as whole numbers where it would round them."""
    numbers = np.array(values, float)
    if np.abs(numbers).max(initial=0) <= EXACT_IN_DOUBLE:
        return numbers
    try:
        whole = [int(value) for value in values]
    except (ValueError, OverflowError):
        return numbers
    if any(number != value for number, value in zip(whole, values, strict=True) if not isinstance(value, str)):
        return numbers
    for dtype in (np.int64, np.uint64):
        if np.iinfo(dtype).min <= min(whole) and max(whole) <= np.iinfo(dtype).max:
            return np.array(whole, dtype)
    if _is_rounded(numbers) and len(set(whole)) > 1:
        raise ValueError(
            f"column {name!r} has whole numbers of more than 64 bits that differ by less than double precision tells"
            f" apart; subtract {min(whole)} from it"
        )
    return numbers


def _numbers(name: str, values: np.ndarray) -> Values:
    if values.dtype.kind == "f":
        infinite = int(np.isinf(values).sum())
        if infinite:
            raise ValueError(
                f"column {name!r} has {infinite} of {len(values)} values that are infinite; leave missing ones empty,"
                " or NaN"
            )
    return Values("number", values, np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool))


def _of_objects(name: str, values: np.ndarray, as_text: bool) -> Values:
    missing = np.array([is_empty(value) for value in values], bool)
    present = values[~missing]
    kinds = {_type_name(value) for value in present}
    if not kinds:
        return Values("number", np.full(len(values), np.nan), missing)
    if as_text:
        kinds = {"text"}
    if len(kinds) > 1:
        first = {_type_name(value): value for value in reversed(present)}
        shown = " and ".join(f"{kind} ({first[kind]!r})" for kind in sorted(kinds))
        raise ValueError(f"column {name!r} mixes {shown}; make it one kind, such as text by astype(str)")
    kind = kinds.pop()
    if kind == "text":
        return _of_text(name, present, missing, as_text)
    if kind == "numbers":
        numbers = _numbers(name, _as_numbers(name, present.tolist()))
        return Values("number", _filled(missing, numbers.values), missing)
    if kind == "truth values":
        return Values("boolean", _filled(missing, present.astype(bool)), missing)
    if kind == "dates":
        return Values("date", _filled(missing, _days(name, present)), missing)
    raise ValueError(f"column {name!r} holds {kind}; a table takes numbers, truth values, text and dates")


def _of_text(name: str, present: np.ndarray, missing: np.ndarray, as_text: bool) -> Values:
    texts = [text_of(value).strip() for value in present]
    distinct = set(texts)
    if as_text:
        pass
    elif all(text.lower() in _WORDS_OF_BOOLEANS for text in distinct):
        truths = np.array([_WORDS_OF_BOOLEANS[text.lower()] for text in texts], bool)
        return Values("boolean", _filled(missing, truths), missing)
    elif all(map(is_number, distinct)):
        numbers = _numbers(name, _as_numbers(name, texts))
        return Values("number", _filled(missing, numbers.values), missing)
    elif all(map(_DATE.fullmatch, distinct)):
        return Values("date", _filled(missing, _days(name, np.array(texts))), missing)
    column = np.empty(len(missing), object)
    column[~missing], column[missing] = texts, ""
    return Values("category", column, missing)


def is_empty(value: Any, *, words: Collection[str] = MISSING_WORDS) -> bool:
    """Whether a cell holds no value: nothing, NaN, or one of the words."""
    return text_of(value).strip() in words if isinstance(value, str | bytes) else is_missing(value)


def is_number(text: str) -> bool:
    """Whether the text is a number as programs write it."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _filled(missing: np.ndarray, present: np.ndarray) -> np.ndarray:
    values = np.full(len(missing), np.nan if present.dtype.kind == "f" else 0, present.dtype)
    values[~missing] = present
    return values


def _type_name(value: Any) -> str:
    if isinstance(value, str | bytes):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "truth values"
    if isinstance(value, int | float | np.integer | np.floating | decimal.Decimal):
        return "numbers"
    if isinstance(value, datetime.date | np.datetime64):
        return "dates"
    return f"objects of the type {type(value).__name__}"


def _days(name: str, dates: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01, of the time in UTC where a zone is known."""

    def without_zone(value: Any) -> Any:
        if isinstance(value, datetime.datetime) and value.tzinfo is not None:
            return value.astimezone(datetime.UTC).replace(tzinfo=None)
        return value

    try:
        return np.array([without_zone(value) for value in dates.tolist()], "M8[us]").astype(np.int64) / _DAY
    except (ValueError, OverflowError) as error:
        raise ValueError(f"column {name!r} holds a date that cannot be read: {error}") from error


def _vectors(name: str, column: Any) -> np.ndarray | None:
    """The rows of a column whose cells are lists or arrays of numbers, None if they are not."""
    dtype = str(getattr(column, "dtype", ""))
    if isinstance(column, np.ndarray) and column.ndim == 2:
        return column
    if not len(column) or not (isinstance(column, list) or dtype.startswith(("List", "Array", "object", "list"))):
        return None
    cells = list(column if isinstance(column, list) else to_numpy(column))
    if hasattr(cells[0], "getbands") or np.ndim(cells[0]) > 1:
        raise ValueError(
            f"column {name!r} holds images: give x=numpy.stack([numpy.asarray(image) for image in data[{name!r}]]) and"
            " y=, their labels; images of several sizes need one first, by their resize"
        )
    vectors = sum(isinstance(cell, list | tuple | np.ndarray) for cell in cells)
    if not vectors:
        return None
    if vectors < len(cells):
        raise ValueError(f"column {name!r} lacks the vector in {len(cells) - vectors} of {len(cells)} rows; drop those")
    lengths = {len(cell) for cell in cells}
    if len(lengths) > 1:
        raise ValueError(
            f"column {name!r} holds vectors of different lengths, from {min(lengths)} to {max(lengths)}; make them of"
            " one length, or drop the column before"
        )
    return np.stack([np.asarray(cell) for cell in cells])
