"""Results as tables: what they hold of each example, factor or variable, in columns."""

import re
from collections.abc import Mapping, Sequence
from inspect import get_annotations
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import numpy as np

from infotheory_dl.results._types import fields, is_record

if TYPE_CHECKING:
    from pandas import DataFrame


def columns(result: Any, rows: str | None = None) -> dict[str, np.ndarray]:
    """What a result holds along one of its axes, as columns by name.

    They make a table of any kind, such as `polars.DataFrame(columns(result))`.

    Args:
      result: a result of the library, or several of one type, in a sequence or by name, which become a row each.
      rows: the axis along which the rows run, as the annotations of the attributes name it, such as "examples",
        "factors" or "variables"; by default the first axis of the first attribute. An attribute with other axes beside
        it has a column for each of their entries, numbered; the attributes of a part have its name before theirs.

    Returns:
      Arrays of equal length, by name.

    Raises:
      TypeError: if it is no result.
      ValueError: if it has no such axis, naming those that it has.
    """
    if is_record(result):
        found = list(_axes(result, ""))
        named = list(dict.fromkeys(axis for _, _, axes in found for axis in axes))
        rows = rows if rows is not None or not named else named[0]
        if rows not in named:
            raise ValueError(f"{type(result).__name__} has no axis {rows!r}; it has {', '.join(named) or 'none'}")
        return dict(_columns(found, rows))
    if isinstance(result, Mapping) and result and all(map(is_record, result.values())):
        return {"name": np.array(list(result)), **columns(list(result.values()))}
    if isinstance(result, Sequence) and result and all(map(is_record, result)):
        return _scalars(result)
    raise TypeError(f"a table needs a result or several, got {type(result).__name__}")


def to_pandas(result: Any, rows: str | None = None) -> "DataFrame":
    """What a result holds along one of its axes, as a table of pandas.

    Args:
      result, rows: as in `columns`.

    Returns:
      A table.

    Raises:
      ImportError: if pandas is not installed.
      TypeError, ValueError: as in `columns`.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_pandas needs pandas: pip install pandas; `columns` does without") from error
    return pd.DataFrame(columns(result, rows))


def _axes(record: Any, prefix: str) -> list[tuple[str, Any, list[str]]]:
    """The arrays of a result and of its parts, by name, with the names of their axes."""
    found = []
    hints = get_annotations(type(record))
    for name, value in fields(record).items():
        if is_record(value):
            found += _axes(value, f"{prefix}{name}.")
        elif hasattr(value, "shape"):
            axes = _named_axes(hints.get(name), np.ndim(value))
            found += [(prefix + name, value, axes)] if axes else []
    return found


def _named_axes(annotation: Any, rank: int) -> list[str]:
    """The names of the axes of an array; nothing where the annotation does not tell them."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    for option in options:
        # an axis that stands for any number of them may stand for none
        axes = [axis for axis in getattr(option, "dim_str", "").split() if not re.match(r"\*|\.\.\.", axis)]
        if axes and len(axes) == rank and all(map(str.isidentifier, axes)):
            return axes
    return []


def _columns(found: list[tuple[str, Any, list[str]]], rows: str) -> Any:
    for name, value, axes in found:
        if axes.count(rows) == 1:
            array = np.moveaxis(np.asarray(value), axes.index(rows), 0)
            if array.ndim == 1:
                yield name, array
            for place in np.ndindex(array.shape[1:]) if array.ndim > 1 else ():
                yield f"{name}.{'.'.join(map(str, place))}", array[:, *place]


def _scalars(records: Sequence[Any]) -> dict[str, np.ndarray]:
    """Those attributes of all records that are one number or one text."""
    columns = {name: [fields(record)[name] for record in records] for name in fields(records[0])}
    return {
        name: np.array([np.asarray(value).item() for value in values])
        for name, values in columns.items()
        if all(np.ndim(value) == 0 and not is_record(value) and value is not None for value in values)
    }
