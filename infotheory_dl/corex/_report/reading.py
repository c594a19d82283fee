"""The columns that factors are to explain, from a table as it comes."""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.corex._columns import varying
from infotheory_dl.data import Source, Table
from infotheory_dl.data.preprocessing import observed_moments
from infotheory_dl.data.tables.columns import as_values, first_of, text_of
from infotheory_dl.data.tables.variables import variables_of

_FEWEST_ROWS = 8


class Columns(NamedTuple):
    """What is to be explained.

    Attributes:
      values: NaN where they are missing.
      names: of the columns.
      rows: names of the rows.
      notices: in sentences, what was done to the table that a user should know.
    """

    values: Float[np.ndarray, "rows columns"]
    names: tuple[str, ...]
    rows: tuple[str, ...]
    notices: tuple[str, ...]


class Times(NamedTuple):
    """When the rows of a table are.

    Attributes:
      order: the numbers of the rows in the order of time.
      codes: for each of them, in that order, the number of its time.
      names: of the times, in their order.
    """

    order: Int[np.ndarray, " rows"]
    codes: Int[np.ndarray, " rows"]
    names: tuple[str, ...]


def read_columns(source: Source) -> Columns:
    """Reads a table and keeps the columns that can share something: that vary, and are no copies of one before.

    Raises:
      ValueError: if fewer than two columns or too few rows are left.
    """
    table = source.read(labelled=False, missing="keep")
    columns = _kept(table)
    if table.y is None:
        return columns
    return columns._replace(notices=(*columns.notices, "The labels are left out: factors explain the other columns."))


def read_series(source: Source, time: str) -> tuple[Columns, Times]:
    """Reads a table whose rows have a time, and sorts them by it.

    Raises:
      ValueError: if there is no such column, the times of some rows are missing, or as `read_columns`.
    """
    if source.label is not None:
        source = dataclasses.replace(source, drop=(*source.drop, source.label))
    try:
        table = dataclasses.replace(source, label=time).read(labelled=True, missing="keep")
    except ValueError as error:
        path, told = str(source.data), str(error)
        if repr(time) not in told:
            raise
        told = told.removeprefix(f"{path}: ").replace(f"no column {time!r} of the labels", f"no column {time!r}")
        raise ValueError(f"{path}: the column of times: {told}") from error
    assert table.y is not None
    times = _times(time, table.y)
    columns = _kept(table)
    ordered = columns._replace(
        values=columns.values[times.order], rows=tuple(columns.rows[place] for place in times.order.tolist())
    )
    return ordered, times


def _times(name: str, values: np.ndarray) -> Times:
    held = as_values(name, values)
    _, first, codes = np.unique(held.values, return_index=True, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    texts = tuple(_time_text(values[place]) for place in first.tolist())
    return Times(order, codes[order], texts)


def _time_text(value: object) -> str:
    """A time as short as it can be said."""
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]")).removesuffix("T00:00:00")
    if isinstance(value, float | np.floating):
        return f"{value:g}"
    return text_of(value).removesuffix(" 00:00:00")


def _kept(table: Table) -> Columns:
    found = variables_of(table)
    several = [f"{one.name!r} ({len(one.states)})" for one in found if len(one.states) > 2]
    found = [one for one in found if len(one.states) <= 2]
    if len(found) < 2:
        raise ValueError(
            f"factors explain what 2 columns or more share, and {len(found)} of numbers"
            f" {'is' if len(found) == 1 else 'are'} left{': ' + found[0].name if found else ''};"
            " infotheory-dl synergy takes text too"
        )
    values, names = np.stack([one.values for one in found], axis=1), [one.name for one in found]
    if len(values) < _FEWEST_ROWS:
        raise ValueError(f"factors need at least {_FEWEST_ROWS} rows, got {len(values)}")
    mean, std, _, count = observed_moments(values)
    varies = (count > 1) & varying(mean, std, np.dtype(float))
    constant = [repr(name) for name, kept in zip(names, varies.tolist(), strict=True) if not kept]
    copies = _copies((values - mean) / np.where(std > 0, std, 1), varies)
    copied = [f"{names[second]!r} (of {names[first]!r})" for second, first in copies.items()]
    kept = [place for place in np.flatnonzero(varies).tolist() if place not in copies]
    if len(kept) < 2:
        told = f"; constant: {first_of(constant)}" if constant else ""
        told += f"; copies: {first_of(copied)}" if copied else ""
        raise ValueError(f"factors explain what 2 columns or more share, and {len(kept)} of them varies{told}")
    sentences = {
        "Left out, text of more than two values, whose features depend on each other by their making": several,
        "Left out, columns that do not vary": constant,
        "Left out, copies of columns, in other units perhaps, with which they share infinitely much": copied,
    }
    notices = [f"{sentence}: {first_of(which)}." for sentence, which in sentences.items() if which]
    rows = table.row_names or tuple(map(str, range(len(values))))
    of_text = [notice for notice in table.notices if not notice.startswith("Text became")]
    return Columns(values[:, kept], tuple(names[place] for place in kept), rows, (*of_text, *notices))


def _copies(standardised: np.ndarray, varies: np.ndarray) -> dict[int, int]:
    """Columns that are another one in other units, wherever both are known, each with that one, which has fewer gaps.

    Copies without gaps have one projection onto a random direction, but for its sign: only neighbours among those are
    compared. Columns with gaps are compared with those that they have a correlation of nearly one with.
    """
    complete = varies & ~np.isnan(standardised).any(0)
    direction = np.random.default_rng(0).normal(size=len(standardised))
    projected = np.abs(direction @ np.nan_to_num(standardised))
    order = [place for place in np.argsort(projected, kind="stable").tolist() if complete[place]]
    near = lambda before, place: projected[place] - projected[before] <= 1e-9 * np.sqrt(len(standardised))
    pairs = [pair for pair in itertools.pairwise(order) if near(*pair)]
    pairs += _tied(standardised, np.flatnonzero(varies & ~complete), np.flatnonzero(varies))
    gaps = np.isnan(standardised).sum(0)
    found: dict[int, int] = {}
    for one, other in pairs:
        if _is_copy(*standardised[:, [one, other]].T):
            roots = (found.get(place, place) for place in (one, other))
            original, copy = sorted(roots, key=lambda place: (gaps[place], place))
            if original != copy:
                found[copy] = original
    return found


def _is_copy(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two columns are one where both are known, but for their units."""
    shared = np.stack([first, second])[:, ~np.isnan(first + second)]
    std = shared.std(1, keepdims=True)
    if shared.shape[1] < _FEWEST_ROWS or not (std > 0).all():
        return False
    first, second = (shared - shared.mean(1, keepdims=True)) / std
    return bool(min(np.abs(first - second).max(), np.abs(first + second).max()) < 1e-8)


def _tied(standardised: np.ndarray, gapped: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    """Columns with gaps, and others with which they have a correlation of one, nearly, over the rows of both."""
    there = (~np.isnan(standardised)).astype(float)
    filled = np.nan_to_num(standardised)
    over = lambda left, right: left[:, gapped].T @ right[:, others]
    count = np.maximum(over(there, there), 1)
    first, second = over(filled, there) / count, over(there, filled) / count
    shared = over(filled, filled) / count - first * second
    variances = (over(filled**2, there) / count - first**2) * (over(there, filled**2) / count - second**2)
    tied = np.argwhere(shared**2 > (1 - 1e-6) * np.maximum(variances, 0))
    pairs = [(int(gapped[one]), int(others[other])) for one, other in tied]
    return [(one, other) for one, other in pairs if one != other]
