"""The latest rows of the benchmarks as the tables of the docs, so that a number there is a row in `results/`."""

import importlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from experiments.harness import Row

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

ON_CPU = MappingProxyType({"device": "cpu"})

# what stands in a page around the table of a part
_MARKED = re.compile(
    r"^(<!-- python -m benchmarks tables (\w+) ([\w-]+) -->\n).*?^(<!-- end -->)", re.DOTALL | re.MULTILINE
)


class Table(NamedTuple):
    """How the rows of a part become a table: of the rows that agree in `lines` and `across`, the latest counts.

    Attributes:
      lines: columns of the rows that tell the lines of the table apart. Besides those that a part reports there is
        "machine", which tells what JAX computes on.
      values: columns whose numbers are shown.
      across: a column of the rows whose values become the heads of the table, with all numbers in one cell; None for a
        column for each number.
      where: values that the rows must have. Besides those that a part reports there is "device", "cpu" or another.
      digits: of the numbers.
      worst: columns of which the least number brings a line to the top; by default lines are in the order of `lines`.
      shown: how many lines at most.
    """

    lines: tuple[str, ...]
    values: tuple[str, ...]
    across: str | None = None
    where: Mapping[str, Any] = MappingProxyType({})
    digits: int = 3
    worst: tuple[str, ...] = ()
    shown: int | None = None


def parts_of(benchmark: str) -> dict[str, Table]:
    """The tables of a benchmark, by the names of its parts."""
    parts = importlib.import_module(f"benchmarks.{benchmark}.__main__").PARTS
    return {name: part.table for name, part in parts.items() if part.table is not None}


def read_rows(benchmark: str, part: str, folder: Path = RESULTS) -> list[Row]:
    """The rows of a part, in the order of time, by code of any age; the machine is in words."""
    file = folder / f"{benchmark}.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    rows = [row | _about(row["machine"]) for row in rows if row["part"] == part]
    return sorted(rows, key=lambda row: row["at"])


def markdown(table: Table, rows: Iterable[Row]) -> str:
    """The table in Markdown, and below it when and where its numbers were measured.

    Args:
      table: what it shows.
      rows: in the order of time; those without a line of their own, or without numbers, are passed over.
    """
    keys = (*table.lines, *([table.across] if table.across else []))
    latest: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        fits = all(row.get(column) == value for column, value in table.where.items())
        complete = all(row.get(key) is not None for key in keys)
        if fits and complete and any(row.get(value) is not None for value in table.values):
            latest[tuple(row.get(key) for key in keys)] = row
    if not latest:
        return "Not measured yet.\n"

    lines = _ordered(key[: len(table.lines)] for key in latest)
    if table.worst:
        numbers = lambda line: [latest[line].get(column) for column in table.worst]
        lines = sorted(lines, key=lambda line: min((one for one in numbers(line) if one is not None), default=math.inf))
    lines = lines[: table.shown]
    heads = list(dict.fromkeys(row[table.across] for row in latest.values())) if table.across else list(table.values)

    def cell(line: tuple[Any, ...], head: Any) -> str:
        if table.across is None:
            return number(latest[line].get(head), table.digits)
        row = latest.get((*line, head), {})
        return " / ".join(number(row[value], table.digits) for value in table.values if row.get(value) is not None)

    written = [[*table.lines, *heads], ["---"] * (len(table.lines) + len(heads))]
    written += [
        [*(number(value, table.digits) for value in line), *(cell(line, head) for head in heads)] for line in lines
    ]
    sources = dict.fromkeys(
        f"{row['machine']}, jax {row['versions']['jax']}, {row['at'][:10]}"
        for row in sorted(latest.values(), key=lambda row: row["at"])
    )
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in written) + f"\n{'; '.join(sources)}.\n"


def number(value: Any, digits: int) -> str:
    """A number in so many digits, nothing for None, words as they are."""
    if value is None:
        return ""
    if isinstance(value, float) and abs(value) < 10**digits:
        return f"{value:#.{digits}g}".rstrip(".")
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def renew(page: str, folder: Path = RESULTS) -> str:
    """The text of a page with all its tables made anew from the rows."""

    def table(match: re.Match[str]) -> str:
        opening, benchmark, part, closing = match.groups()
        return f"{opening}{markdown(parts_of(benchmark)[part], read_rows(benchmark, part, folder))}{closing}"

    return _MARKED.sub(table, page)


def named_in(page: str) -> list[tuple[str, str]]:
    """The benchmarks and parts whose tables stand in a page."""
    return [(match[2], match[3]) for match in _MARKED.finditer(page)]


def _ordered(lines: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Lines once each, by their columns one after the other: numbers by size, words as they come."""
    once = list(dict.fromkeys(lines))
    places: dict[Any, int] = {}
    for value in (value for line in once for value in line):
        places.setdefault(value, len(places))
    return sorted(once, key=lambda line: [value if isinstance(value, int | float) else places[value] for value in line])


def _about(machine: Row) -> Row:
    """The device, and the machine in words."""
    on_cpu = machine["device"] == "cpu"
    words = f"{machine['cores']} cores, {machine['processor']}" if on_cpu else machine["device"]
    return {"device": machine["device"], "machine": words}
