"""Tables of any container and file as the arrays that every system takes."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Real, Shaped

from infotheory_dl._validation import edge, require_choice, require_count, to_numpy
from infotheory_dl.data.preprocessing import channels_first
from infotheory_dl.data.tables.columns import (
    as_values,
    first_of,
    frame_columns,
    is_empty,
    is_frame,
    position,
    require_distinct_names,
    text_of,
)
from infotheory_dl.data.tables.encoding import (
    ColumnEncoding,
    Missing,
    TableEncoding,
    encode,
    in_order,
    learn_encoding,
    nearest,
    require_complete,
)
from infotheory_dl.results import concise

ColumnName: TypeAlias = str | int
"""A column by its name, or by its place among all, from 0; negative ones count from the end."""

_INDEX_NAMES = ("", "Unnamed: 0", "__index_level_0__")
_ID_NAMES = ("id", "index", "row", "row_id", "rowid", "row_name", "uuid", "file", "filename", "file_name", "path")
_FEW_ROWS = 10


@concise
class Table(NamedTuple):
    """Examples and their labels, as arrays.

    Attributes:
      x: images (examples, height, width[, channels]) or rows (examples, features), in their own units.
      y: the labels as they were given: whole numbers, truth values or text for classes; None if there are none.
      held_out: further examples and their labels, to measure on; None if there are none.
      feature_names: one for each column of x; None for images.
      row_names: of the examples: an index, a column, paths of images; None if they have none.
      encoding: how the columns became features, for further tables; None for images.
      notices: in sentences, what was done to the data that a user should know.
    """

    x: Real[np.ndarray, "examples *features"]
    y: Shaped[np.ndarray, " examples"] | None = None
    held_out: tuple[np.ndarray, np.ndarray] | None = None
    feature_names: tuple[str, ...] | None = None
    row_names: tuple[str, ...] | None = None
    encoding: TableEncoding | None = None
    notices: tuple[str, ...] = ()


class Reading(NamedTuple):
    """What is done to a table, besides choosing its labels.

    Attributes:
      row_names: the column with the names of the rows, or the names.
      drop: columns that are no features.
      missing: "fill", "keep" or "refuse".
      max_categories: how many categories of a column have features of their own.
      encoding: of another table, to be applied.
    """

    row_names: ColumnName | Sequence[str] | None
    drop: Sequence[ColumnName]
    missing: Missing
    max_categories: int
    encoding: TableEncoding | None


@edge
def as_table(
    x: Any,
    y: Any = None,
    held_out: tuple[Any, Any] | None = None,
    *,
    label: ColumnName | None = None,
    row_names: ColumnName | Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    drop: Sequence[ColumnName] = (),
    missing: Missing = "fill",
    max_categories: int = 50,
    encoding: TableEncoding | None = None,
) -> Table:
    """Brings data of any container into arrays: the same data give the same arrays, whatever they are kept in.

    Text becomes a feature of 0 and 1 for each category (one in all for two), truth values 0 and 1, dates days since
    1970-01-01. A missing number becomes the mean of its column, a missing category none, and a further feature says
    where. A column of text that differs in most rows is no feature; one that differs in all names the rows, if nothing
    else does, as an index does or a column called id. Images with the channels first are turned. `notices` tell each of
    it. Nothing is scaled: `pixel_moments(x, per="pixel")` and `standardize` do that, in double precision.

    Args:
      x: a DataFrame of pandas or polars, a mapping of columns, a structured array, or anything that NumPy takes for an
        array: rows (examples, features) or images (examples, height, width[, channels]).
      y: the labels; or none, or `label`.
      held_out: further examples and their labels, of the same kind.
      label: the column of x with the labels.
      row_names: the column of x with the names of the rows, or the names.
      feature_names: of the columns of an array; by default x0, x1, ...
      drop: columns that are no features.
      missing: whether missing values are to "fill", as above, to "keep" as NaN, or to "refuse".
      max_categories: how many categories of one column have a feature of their own; all others share one.
      encoding: of another table: the columns become the same features as there, in the same order.

    Returns:
      The table.

    Raises:
      ValueError: if the data cannot be brought into numbers, a column is not there, or two have one name; infinite
        values; labels that are missing; with an `encoding`, columns of other names or kinds.
    """
    reading = checked(Reading(row_names, tuple(drop), missing, max_categories, encoding))
    if is_frame(x):
        if feature_names is not None:
            raise ValueError("feature_names are of arrays; the columns of a table have names")
        columns, index = frame_columns(x), _index(x)
    else:
        array = to_numpy(x)
        if not array.ndim:
            remedy = ": data.read_table reads files" if isinstance(x, str | os.PathLike) else ""
            raise ValueError(f"x must be a table or an array, got {type(x).__name__}{remedy}")
        if not len(array):
            raise ValueError(f"x has no rows, got shape {array.shape}")
        if array.ndim in (3, 4):
            return with_held_out(of_images(array, y, reading), held_out, missing)
        if array.ndim != 2:
            layouts = "(examples, features) or (examples, height, width[, channels])"
            remedy = "of images of several sizes bring all to one" if array.dtype == object else "give x[:, None]"
            if array.ndim > 4:
                remedy = "of films or volumes take one picture each, or their features, as rows"
            raise ValueError(f"x must be {layouts}, got shape {array.shape}: {remedy}")
        names = _names(array, feature_names, encoding)
        if _is_ready(array, label, reading):
            return with_held_out(_of_numbers(array, names, y, reading), held_out, missing)
        columns, index = dict(zip(names, array.T, strict=True)), None
    return with_held_out(of_columns(columns, y, label, reading, index), held_out, missing)


def checked(reading: Reading) -> Reading:
    """The same, once its settings can be."""
    require_choice("missing", reading.missing, ("fill", "keep", "refuse"))
    require_count(2, max_categories=reading.max_categories)
    return reading


def of_columns(
    columns: Mapping[str, Any],
    y: Any,
    label: ColumnName | None,
    reading: Reading,
    index: Sequence[str] | None,
) -> Table:
    """The table of columns, and of the names of the rows that a frame has beside them."""
    if y is not None and label is not None:
        raise ValueError(f"give y or label, not both, got the label {label!r}")
    if columns and not len(next(iter(columns.values()))):
        raise ValueError("x has no rows")
    labels = None if label is None else _name_of(label, columns, "of the labels")
    dropped = {_name_of(column, columns, "to drop") for column in reading.drop}
    if labels in dropped:
        raise ValueError(f"column {labels!r} cannot be the label and be dropped")
    free = {name: column for name, column in columns.items() if name not in {labels, *dropped}}
    if not free:
        raise ValueError(f"there is no column but {first_of(list(map(repr, columns)))}: a table needs features too")
    rows, source, notices = _row_names(free, columns, reading, index)
    features = {name: column for name, column in free.items() if name != source}
    ignored = tuple(name for name in columns if name not in features)
    if reading.encoding is None:
        values = {name: as_values(name, column) for name, column in features.items()}
        fill = reading.missing == "fill"
        encoding, told = learn_encoding(values, fill=fill, max_categories=reading.max_categories)
        encoding = encoding._replace(row_names=source, ignored=ignored)
        notices += told
    else:
        encoding = reading.encoding
        values = in_order(encoding, features)
    if reading.missing == "refuse":
        require_complete(values)
    x, told = encode(encoding, values)
    table = Table(x, None, None, encoding.feature_names, rows, encoding, (*notices, *told))
    return _labelled(table, y if labels is None else columns[labels], "y" if labels is None else f"column {labels!r}")


def of_images(x: np.ndarray, y: Any, reading: Reading) -> Table:
    """The table of images, with the channels last."""
    if x.dtype.kind not in "biuf":
        raise ValueError(f"images must be numbers, got {x.dtype}")
    unknown = x.size - int(np.isfinite(x).sum()) if x.dtype.kind == "f" else 0
    if unknown:
        raise ValueError(f"x has {unknown} of {x.size} entries that are NaN or infinite; images have no missing values")
    notices: tuple[str, ...] = ()
    if channels_first(x.shape):
        notices = (f"The images were turned: by their shape, {x.shape}, they had their {x.shape[1]} channels first.",)
        x = np.moveaxis(x, 1, -1)
    rows = None if reading.row_names is None else _given_names(reading.row_names, len(x))
    return _labelled(Table(_without_booleans(x), row_names=rows, notices=notices), y, "y")


def with_held_out(table: Table, held_out: tuple[Any, Any] | None, missing: Missing = "fill") -> Table:
    """The table with further examples, which become the same features."""
    if held_out is None:
        return table
    x, y = held_out
    if y is None:
        raise ValueError("held-out examples need labels")
    names = None
    if table.encoding is not None and not is_frame(x):
        x, names = to_numpy(x), [column.name for column in table.encoding.columns]
        _require_shape(x, (len(names),))
    try:
        further = as_table(x, y, feature_names=names, missing=missing, encoding=table.encoding)
    except ValueError as error:
        raise ValueError(f"held-out examples: {error}") from error
    _require_shape(further.x, table.x.shape[1:])
    assert further.y is not None
    return table._replace(
        held_out=(further.x, further.y),
        notices=(*table.notices, *(f"Held-out examples: {notice}" for notice in further.notices)),
    )


def _require_shape(held_out: np.ndarray, expected: tuple[int, ...]) -> None:
    if held_out.shape[1:] != expected:
        raise ValueError(f"held-out x must have rows of shape {expected} as x has, got {held_out.shape[1:]}")


def _of_numbers(x: np.ndarray, names: Sequence[str], y: Any, reading: Reading) -> Table:
    """The table of a matrix without gaps, which is not copied."""
    fills = x.mean(0, dtype=float).tolist()
    encoding = TableEncoding(
        tuple(ColumnEncoding(name, "number", fill=fill) for name, fill in zip(names, fills, strict=True))
    )
    rows = None if reading.row_names is None else _given_names(reading.row_names, len(x))
    return _labelled(Table(_without_booleans(x), None, None, encoding.feature_names, rows, encoding), y, "y")


def _is_ready(x: np.ndarray, label: ColumnName | None, reading: Reading) -> bool:
    """Whether the matrix can stay as it is."""
    plain = x.dtype.kind in "biuf" and len(x) > 0 and label is None and not reading.drop and reading.encoding is None
    return plain and not isinstance(reading.row_names, str | int) and bool(np.isfinite(x).all())


def _names(x: np.ndarray, feature_names: Sequence[str] | None, encoding: TableEncoding | None) -> list[str]:
    """Names for the columns of a matrix."""
    if feature_names is None and encoding is not None and len(encoding.columns) == x.shape[1]:
        feature_names = [column.name for column in encoding.columns]
    if feature_names is None:
        return [f"x{place}" for place in range(x.shape[1])]
    names = [str(name) for name in feature_names]
    if len(names) != x.shape[1]:
        raise ValueError(f"feature_names must be {x.shape[1]}, one for each column, got {len(names)}")
    require_distinct_names(names)
    return names


def _labelled(table: Table, y: Any, name: str) -> Table:
    """The table with labels, as they were given."""
    if y is None:
        return table
    values = to_numpy(y)
    if not values.ndim or len(values) != len(table.x):
        raise ValueError(
            f"x and y must have one length, got {len(table.x)} and {len(values) if values.ndim else 'one value'}"
        )
    if values.dtype.kind in "OSU":
        values = _labels(values)
    missing = [place for place, value in enumerate(values.tolist()) if value is None or value != value]
    if missing:
        raise ValueError(
            f"{name} has {len(missing)} of {len(values)} labels missing, the first in row {missing[0]} (from 0): fill"
            " them in, or drop these rows"
        )
    return table._replace(y=values)


def _labels(values: np.ndarray) -> np.ndarray:
    """Labels of one kind without the wrapping of objects; what is missing is None."""
    held = [None if is_empty(value, words=("",)) else value for value in values.tolist()]
    if all(isinstance(value, str | bytes) for value in held):
        return np.array([text_of(value).strip() for value in held])
    unwrapped = np.empty(len(held), object)
    unwrapped[:] = held
    return np.array(held) if all(isinstance(value, bool | int | float) for value in held) else unwrapped


def _row_names(
    free: Mapping[str, Any], columns: Mapping[str, Any], reading: Reading, index: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, str | None, list[str]]:
    """The names of the rows, the column that tells them apart and is no feature, and what a user should know."""
    length = len(next(iter(columns.values())))
    if isinstance(reading.row_names, str | int):
        name = _name_of(reading.row_names, columns, "of the names of rows")
        return _texts(columns[name]), name, []
    names = tuple(index) if index is not None else None
    if reading.row_names is not None:
        names = _given_names(reading.row_names, length)
    if reading.encoding is None:
        source = _identifying(free, length)
        told = "it names them and is no feature" if names is None else "it is no feature"
        notices = [f"Column {source!r} tells the rows apart: {told}."]
    else:
        source, notices = reading.encoding.row_names, []
    if source is None or source not in free or len(free) == 1:
        return names, None, []
    return names or _texts(free[source]), source, notices


def _identifying(columns: Mapping[str, Any], length: int) -> str | None:
    """The column that only tells rows apart: an index, an id, or text that differs in all; None if there is none."""
    for name in _INDEX_NAMES:
        if name in columns:
            return name
    called_so = [name for name in columns if name.strip().lower() in _ID_NAMES]
    texts = [name for name, column in columns.items() if length > _FEW_ROWS and to_numpy(column).dtype.kind in "OSU"]
    for name in called_so + texts:
        values = to_numpy(columns[name])
        if values.ndim != 1 or values.dtype.kind not in "OSUiu" or len(set(_texts(values))) < length:
            continue
        if name in called_so or as_values(name, columns[name]).kind == "category":
            return name
    return None


def _texts(column: Any) -> tuple[str, ...]:
    return tuple(map(text_of, to_numpy(column).tolist()))


def _given_names(names: ColumnName | Sequence[str], length: int) -> tuple[str, ...]:
    if isinstance(names, str | int):
        raise ValueError(f"row_names must be one for each example of an array, got {names!r}")
    if len(names) != length:
        raise ValueError(f"row_names must be {length}, one for each example, got {len(names)}")
    return _texts(names)


def _name_of(column: ColumnName, columns: Mapping[str, Any], purpose: str) -> str:
    names = list(columns)
    place = position(column, names)
    if place is None:
        raise ValueError(f"there is no column {column!r} {purpose}{nearest(str(column), names)}")
    return names[place]


def _index(frame: Any) -> tuple[str, ...] | None:
    """The names of the rows that a DataFrame of pandas has beside its columns."""
    index = getattr(frame, "index", None)
    counts = index is None or callable(index) or type(index).__name__ == "RangeIndex"
    return None if counts else _texts(index)


def _without_booleans(x: np.ndarray) -> np.ndarray:
    return x.astype(np.uint8) if x.dtype.kind == "b" else x
