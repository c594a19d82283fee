"""Tables of numbers alone, for systems that take no other columns: the array, and the names of its columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Real

from infotheory_dl._validation import require_rank, require_real
from infotheory_dl.data.tables.columns import (
    EXACT_IN_DOUBLE,
    Values,
    as_values,
    frame_columns,
    is_frame,
    require_distinct_names,
    to_numpy,
)
from infotheory_dl.data.tables.encoding import exactly, listed_columns, nearest
from infotheory_dl.types import AnyArray


@jax.tree_util.register_static
@dataclass(frozen=True)
class ColumnNames:
    """What the columns of a table are called. In a pytree it is a part of the structure, and no leaf.

    Attributes:
      names: in the order of the columns.
    """

    names: tuple[str, ...]


class Numbers(NamedTuple):
    """A table of numbers.

    Attributes:
      values: as they were given, of any dtype of real numbers; NaN where they are missing.
      columns: what its columns are called, None if they have no names.
    """

    values: Real[AnyArray, "rows columns"]
    columns: ColumnNames | None


def as_numbers(x: Any, *, name: str = "x", known: ColumnNames | None = None) -> Numbers:
    """The numbers of a table in any container; arrays of JAX stay where they are.

    Args:
      x: an array, a list of rows, or a frame, whose columns have names.
      name: what errors call it.
      known: what the columns are called that it must have. A frame has them in any order, and is brought into this one.

    Raises:
      TypeError: if a column holds something else.
      ValueError: if it is no matrix, columns are absent or not known, two have one name, or whole numbers of a column
        are too large for the double precision that the others need.
    """
    if not is_frame(x):
        values = x if isinstance(x, jax.Array) else to_numpy(x)
        require_real(**{name: values})
        require_rank(name, values, 2, "(samples, columns)")
        return Numbers(_without_booleans(values), None)
    whole = _whole_frame(x)
    columns = {} if whole is not None else frame_columns(x)
    names = tuple(columns) if whole is None else tuple(map(str, x.columns))
    require_distinct_names(names)
    places = range(len(names)) if known is None else _places(names, known, name)
    kept = ColumnNames(tuple(names[place] for place in places))
    if whole is not None:
        return Numbers(_without_booleans(whole if kept.names == names else whole[:, places]), kept)
    parts = [_numbers(column, as_values(column, columns[column]), name) for column in kept.names]
    dtype = np.result_type(*{part.dtype for part in parts})
    if dtype.kind == "f":
        for column, part in zip(kept.names, parts, strict=True):
            exactly(column, part)
    return Numbers(np.stack([part.astype(dtype) for part in parts], axis=1), kept)


def with_gaps(numbers: Numbers, missing_value: Any) -> Numbers:
    """The table with NaN where it holds the number that stands for a missing value."""
    held, columns = np.asarray(numbers.values), numbers.columns
    missing = held == missing_value
    if not missing.any():
        return numbers
    if held.dtype.kind != "f":
        if held.dtype.itemsize == 8 and np.abs(held.astype(float)).max() > EXACT_IN_DOUBLE:
            names = columns.names if columns else tuple(map(str, range(held.shape[1])))
            for place, column in enumerate(names):
                exactly(column, held[~missing[:, place], place])
        held = held.astype(float)
    return Numbers(np.where(missing, held.dtype.type(np.nan), held), columns)


def _whole_frame(x: Any) -> np.ndarray | None:
    """The matrix behind a DataFrame of pandas whose columns are of one dtype of NumPy; None of others."""
    dtypes = set(x.dtypes) if hasattr(x, "iloc") else set()
    plain = len(dtypes) == 1 and all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes)
    return np.asarray(x) if plain else None


def _places(names: Sequence[str], known: ColumnNames, name: str) -> list[int]:
    """Where the known columns are among the given ones."""
    places = {column: place for place, column in enumerate(names)}
    absent = [column for column in known.names if column not in places]
    if absent:
        raise ValueError(f"{name} lacks {listed_columns(absent)} of the training data{nearest(absent[0], names)}")
    further = [column for column in names if column not in set(known.names)]
    if further:
        raise ValueError(f"{name} has {listed_columns(further)} that the training data lack; leave out what they lack")
    return [places[column] for column in known.names]


def _numbers(column: str, held: Values, name: str) -> np.ndarray:
    if held.kind not in ("number", "boolean"):
        given = {"category": "text", "date": "dates", "duration": "durations"}[held.kind]
        remedy = "leave it out, or make features of it by data.as_table"
        raise TypeError(f"column {column!r} of {name} must hold real numbers, got {given}: {remedy}")
    values = _without_booleans(held.values)
    if not held.missing.any():
        return values
    exactly(column, values[~held.missing])
    return np.where(held.missing, np.nan, values)


def _without_booleans(values: Any) -> Any:
    return values.astype(np.uint8) if values.dtype.kind == "b" else values
