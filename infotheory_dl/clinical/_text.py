"""Series as the published benchmark writes them, and the hash by which its authors tell whether two are equal."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from infotheory_dl._files import csv_table
from infotheory_dl.clinical.channels import NAMES, NUM_CHANNELS

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("Hours", *NAMES)
Rows = list[list[str]]


def rows_by_stay(cells: "pl.DataFrame") -> Iterator[tuple[int, list[float], Rows]]:
    """The rows of each stay: its ICUSTAY_ID, the hours, and texts of the channels, empty where nothing was measured.

    Args:
      cells: of a store, in its order.
    """
    for (stay,), of_stay in cells.group_by("ICUSTAY_ID", maintain_order=True):
        hours: list[float] = []
        rows: Rows = []
        last = None
        columns = ("SECONDS", "COPY", "CHANNEL", "NUMBER", "TEXT")
        for seconds, copy, channel, number, text in of_stay.select(columns).iter_rows():
            if (seconds, copy) != last:
                hours.append(hours_of(seconds))
                rows.append([""] * NUM_CHANNELS)
                last = (seconds, copy)
            rows[-1][channel] = repr(number) if text is None else text
        yield stay, hours, rows


def hours_of(seconds: int) -> float:
    """Hours of seconds, by the two divisions of the benchmark."""
    return seconds / 60.0 / 60.0


def as_csv(hours: Sequence[float], rows: Rows) -> str:
    """The table of a stay as the benchmark's file has it."""
    columns = zip(*rows, strict=True) if rows else [()] * NUM_CHANNELS
    return csv_table({"Hours": map(repr, hours), **dict(zip(NAMES, columns, strict=True))})


def published_hash(hours: Sequence[float], rows: Rows) -> str:
    """MD5 of the table, its numbers rounded to one decimal, ordered by the first column without ties, and numbered."""
    table = [[_rounded(repr(hour)), *map(_rounded, row)] for hour, row in zip(hours, rows, strict=True)]
    columns = list(zip(*table, strict=True))
    order = list(range(len(table)))
    for column in columns:
        if len(set(column)) == len(column):
            order.sort(key=column.__getitem__)
            break
    widths = [
        max(len(name), *(len(text) + 1 for text in column)) for name, column in zip(COLUMNS, columns, strict=True)
    ]
    index_width = len(str(len(table) - 1))

    def line(first: object, texts: Sequence[str]) -> str:
        padded = (f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))
        return " ".join([f"{first:<{index_width}}", *padded])

    lines = [line("", COLUMNS), *(line(number, table[place]) for number, place in enumerate(order))]
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def _rounded(text: str) -> str:
    if not text:
        return "nan"
    try:
        return f"{float(text):.1f}"
    except ValueError:
        return text
