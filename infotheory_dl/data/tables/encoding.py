"""How the columns of a table become numbers: learned from one table, applied to others."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Real

from infotheory_dl.data.preprocessing import pixel_moments
from infotheory_dl.data.tables.columns import (
    EXACT_IN_DOUBLE,
    SMALLEST_LOSS,
    Kind,
    Values,
    as_values,
    first_of,
    is_number,
    listed,
)
from infotheory_dl.results import concise

Missing: TypeAlias = Literal["fill", "keep", "refuse"]

_FEW_CATEGORIES = 10
_MOSTLY = 0.9
_PLURALS = {
    "number": "numbers",
    "boolean": "truth values",
    "category": "text",
    "date": "dates",
    "duration": "durations",
}
_LIKE_NUMBERS_OR_DATES = re.compile(r"\W{0,3}\d[\d.,'/: -]*[^\w]{0,2}")  # 1,234 or 12 % or € 3 or 31/12/2020
_OTHER, _MISSING = -1, -2  # in the place of a category


class ColumnEncoding(NamedTuple):
    """How one column becomes features.

    Attributes:
      name: of the column.
      kind: what it holds; "left out" if it becomes no feature.
      categories: of text, sorted. Two of them are one feature, 1 for the second; others have one each.
      has_rest: whether a further feature stands for all other categories.
      fill: what a missing number becomes, the mean of the known ones; NaN if missing values are kept.
      has_missing: whether a further feature says where values are missing.
    """

    name: str
    kind: Kind | Literal["left out"]
    categories: tuple[str, ...] = ()
    has_rest: bool = False
    fill: float = 0.0
    has_missing: bool = False

    @property
    def shown(self) -> tuple[str, ...]:
        """The categories that have features of their own."""
        return self.categories[1:] if len(self.categories) == 2 and not self.has_rest else self.categories

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        if self.kind == "left out":
            return ()
        names = [f"{self.name}={category}" for category in self.shown] if self.kind == "category" else [self.name]
        names += [f"{self.name}=(other)"] if self.has_rest else []
        names += [f"{self.name} missing"] if self.has_missing else []
        return tuple(names)


@concise
class TableEncoding(NamedTuple):
    """How the columns of a table become features; `as_table` and `read_table` take it for further tables.

    Attributes:
      columns: in the order of the features.
      row_names: the column that names the rows, None if none does.
      ignored: all columns that a table may have and that are no features: that one, the labels, what was dropped.
    """

    columns: tuple[ColumnEncoding, ...]
    row_names: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of all features."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def dates(self) -> tuple[str, ...]:
        """The names of the features that are days since 1970-01-01."""
        return tuple(column.name for column in self.columns if column.kind == "date")


def learn_encoding(
    columns: Mapping[str, Values], *, fill: bool, max_categories: int
) -> tuple[TableEncoding, list[str]]:
    """Learns how columns become features.

    Args:
      columns: by name.
      fill: whether missing values are filled, with a feature that says where; or else kept as NaN.
      max_categories: how many categories of a column have a feature of their own: the most frequent.

    Returns:
      The encoding, and in sentences what a user should know of it.

    Raises:
      ValueError: if no column is left.
    """
    encoding = TableEncoding(tuple(_learn(name, held, fill, max_categories) for name, held in columns.items()))
    notices = _notices(encoding, columns, fill, max_categories)
    if not encoding.feature_names:
        raise ValueError(" ".join(["no column is left to be a feature.", *notices]))
    return encoding, notices


def require_complete(columns: Mapping[str, Values]) -> None:
    """Raises a ValueError that names the columns with missing values."""
    gaps = {name: int(column.missing.sum()) for name, column in columns.items() if column.missing.any()}
    if gaps:
        entries = sum(len(column.values) for column in columns.values())
        raise ValueError(
            f"x has {sum(gaps.values())} of {entries} entries that are NaN or infinite, in {listed_columns(gaps)}; drop"
            " those rows, or fill them, as data.as_table(x, y) does"
        )


def encode(
    encoding: TableEncoding, columns: Mapping[str, Values]
) -> tuple[Real[np.ndarray, "rows features"], list[str]]:
    """Columns as features, and in sentences what a user should know.

    Raises:
      ValueError: if whole numbers are too large for the double precision that the others need.
    """
    parts: list[np.ndarray] = []
    unknown: list[str] = []
    filled: list[str] = []
    for column in encoding.columns:
        if column.kind != "left out" and columns[column.name].missing.any() and not column.has_missing:
            filled += [] if np.isnan(column.fill) else [repr(column.name)]
        if column.kind == "category":
            codes = _codes(column, columns[column.name])
            parts += _features_of_categories(column, codes)
            if (codes == _OTHER).any() and not column.has_rest:
                unknown.append(f"{column.name!r} ({(codes == _OTHER).sum()} of {len(codes)})")
        elif column.kind != "left out":
            parts += _features_of_numbers(column, columns[column.name])
    dtype = np.result_type(*{part.dtype for part in parts})
    x = np.empty((len(parts[0]), len(parts)), dtype)
    for place, (name, part) in enumerate(zip(encoding.feature_names, parts, strict=True)):
        x[:, place] = part if dtype.kind != "f" or part.dtype.kind == "f" else exactly(name, part)
    sentences = {
        f"Categories that the table before lacks are 0 in all features: {first_of(unknown)}.": unknown,
        f"Missing values became the mean of the table before, or no category: {first_of(filled)}.": filled,
    }
    return x, [sentence for sentence, names in sentences.items() if names]


def in_order(encoding: TableEncoding, columns: Mapping[str, Any]) -> dict[str, Values]:
    """The columns that an encoding asks for, in its order and of its kinds.

    Args:
      encoding: of another table.
      columns: as a frame holds them.

    Raises:
      ValueError: if columns are absent, not known, or of another kind.
    """
    needed = [column for column in encoding.columns if column.kind != "left out"]
    absent = [column.name for column in needed if column.name not in columns]
    if absent:
        raise ValueError(f"the table lacks {listed_columns(absent)} of the one before{nearest(absent[0], columns)}")
    known = {column.name for column in encoding.columns} | {*encoding.ignored}
    further = [name for name in columns if name not in known]
    if further:
        raise ValueError(
            f"the table has {listed_columns(further)} that the one before lacks; drop what is not among"
            f" {listed([column.name for column in needed], limit=20)}"
        )
    return {column.name: _of_kind(column, columns[column.name]) for column in needed}


def nearest(name: str, names: Collection[str]) -> str:
    """The end of a message that a name is absent: the nearest one, and those that there are."""
    lowered = {known.lower(): known for known in reversed(list(names))}
    found = difflib.get_close_matches(name.lower(), list(lowered), n=1)
    held = listed(names, limit=20)
    return f"; did you mean {lowered[found[0]]!r}? It has {held}" if found else f"; it has {held}"


def _learn(name: str, column: Values, fill: bool, max_categories: int) -> ColumnEncoding:
    known = ~column.missing
    if not known.any():
        return ColumnEncoding(name, "left out")
    has_missing = fill and not known.all()
    if column.kind != "category":
        values = column.values[known]
        mean = float(pixel_moments(values.astype(float) if column.kind == "boolean" else values).mean)
        return ColumnEncoding(name, column.kind, fill=mean if fill else np.nan, has_missing=has_missing)
    counts = Counter(column.values[known])
    if len(counts) > max(len(known) / 2, _FEW_CATEGORIES):
        return ColumnEncoding(name, "left out")
    # the most frequent, and of those as frequent the first by name, whatever the order of the rows
    kept = sorted(counts, key=lambda category: (-counts[category], category))[:max_categories]
    return ColumnEncoding(
        name,
        "category",
        categories=tuple(sorted(kept)),
        has_rest=len(counts) > max_categories,
        fill=0.0 if fill else np.nan,
        has_missing=has_missing,
    )


def _notices(encoding: TableEncoding, columns: Mapping[str, Values], fill: bool, max_categories: int) -> list[str]:
    """One sentence for all columns of which the same is to be said."""
    found: dict[str, list[str]] = defaultdict(list)
    for column in encoding.columns:
        name, held = column.name, columns[column.name]
        present = held.values[~held.missing]
        gaps = int(held.missing.sum())
        if held.kind == "category" and all(map(_LIKE_NUMBERS_OR_DATES.fullmatch, set(present))):
            found["like"].append(f"{name!r} ({present[0]!r})")
        if column.kind == "left out":
            found["empty" if not len(present) else "distinct"].append(repr(name))
            continue
        if column.kind in ("boolean", "date", "duration"):
            found["boolean" if column.kind == "boolean" else "date"].append(repr(name))
        if column.kind == "category":
            found["category"].append(f"{name!r} ({len(set(present))})")
            if column.has_rest:
                found["rest"].append(repr(name))
            strange = [text for text in present if not is_number(text)]
            if len(strange) <= (1 - _MOSTLY) * len(present):
                found["almost"].append(f"{name!r} ({strange[0]!r})")
        if gaps:
            found["missing"].append(f"{name!r} ({gaps} of {len(held.values)})")
    filled = "became the mean of the column, or no category, and a feature of their own says where"
    sentences = {
        "category": "Text became features, one for each category, or one in all for two",
        "rest": f"Only the {max_categories} most frequent categories have features, all others share one",
        "almost": "Taken for text because of values that are no numbers",
        "like": "Taken for text though it looks like numbers or dates, which are written as 1234.5 and 2020-12-31",
        "boolean": "Truth values became 0 and 1",
        "date": "Dates became days since 1970-01-01, durations days",
        "missing": f"Missing values {filled if fill else 'stayed NaN'}",
        "distinct": "Left out, text that differs in most rows",
        "empty": "Left out, columns without a value",
    }
    return [f"{sentence}: {first_of(found[kind])}." for kind, sentence in sentences.items() if found[kind]]


def _of_kind(column: ColumnEncoding, held: Any) -> Values:
    values = as_values(column.name, held, as_text=column.kind == "category")
    if values.missing.all() or values.kind == column.kind:
        return values
    if values.kind == "boolean" and column.kind == "number":
        return values._replace(kind="number", values=values.values.astype(np.uint8))
    example = values.values[~values.missing][0]
    raise ValueError(
        f"column {column.name!r} holds {_PLURALS[values.kind]} ({example!r}) where the table before has"
        f" {_PLURALS[column.kind]}"
    )


def _codes(column: ColumnEncoding, held: Values) -> np.ndarray:
    """The place of each row's category, or what it has in the place of one."""
    places = {category: place for place, category in enumerate(column.categories)}
    codes = np.array([places.get(text, _OTHER) for text in held.values], int)
    codes[held.missing] = _MISSING
    return codes


def _features_of_categories(column: ColumnEncoding, codes: np.ndarray) -> list[np.ndarray]:
    offset = len(column.categories) - len(column.shown)
    wanted = [place + offset for place in range(len(column.shown))] + [_OTHER] * column.has_rest
    features = [(codes == place).astype(np.uint8) for place in wanted]
    if np.isnan(column.fill) and (codes == _MISSING).any():
        features = [np.where(codes == _MISSING, np.nan, feature) for feature in features]
    return features + [(codes == _MISSING).astype(np.uint8)] * column.has_missing


def _features_of_numbers(column: ColumnEncoding, held: Values) -> list[np.ndarray]:
    values = held.values.astype(np.uint8) if held.values.dtype == bool else held.values
    if held.missing.any():
        if values.dtype.kind != "f":
            exactly(column.name, values[~held.missing])
            values = values.astype(float)
        values = np.where(held.missing, values.dtype.type(column.fill), values)
    return [values] + [held.missing.astype(np.uint8)] * column.has_missing


def exactly(name: str, numbers: np.ndarray) -> np.ndarray:
    """The numbers, once double precision holds the differences between whole ones."""
    whole = numbers.dtype.kind in "iu" and numbers.dtype.itemsize == 8
    if not whole or np.abs(numbers.astype(float)).max(initial=0) <= EXACT_IN_DOUBLE:
        return numbers
    distinct = np.unique(numbers)
    lost = max(abs(number - int(float(number))) for number in distinct.tolist())
    if len(distinct) > 1 and lost > SMALLEST_LOSS * pixel_moments(numbers).std:
        raise ValueError(
            f"column {name!r} has whole numbers that differ by less than double precision tells apart at"
            f" {distinct[-1]}; subtract {distinct[0]} from it"
        )
    return numbers


def listed_columns(names: Collection[str]) -> str:
    """The names in quotes, the first few of many, after the word for what they name."""
    return f"column {listed(names)}" if len(names) == 1 else f"columns {listed(names)}"
