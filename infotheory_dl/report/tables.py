"""Tables of a page and of a terminal, from one description of their columns."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from infotheory_dl.report.format import with_minus
from infotheory_dl.report.html import Html, element

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table as RichTable

SORTABLE = "sortable"
_SORTED_FROM = 4  # a table of fewer rows is read at a glance
_TALL_FROM = 40  # a table of more rows scrolls by itself
_AROUND = 2  # blanks beside a column of a terminal

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], rows = [...body.rows], headings = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    if (a !== "" && b !== "" && !isNaN(x) && !isNaN(y)) return x - y;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  const absent = (text) => text === "" || text === "nan";
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const numeric = rows.some((row) => row.cells[column].dataset.value);
      const before = heading.getAttribute("aria-sort");
      const order = (before ? before === "ascending" : numeric) ? "descending" : "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      body.append(...[...rows].sort((first, second) => {
        const [a, b] = [value(first, column), value(second, column)];
        return absent(a) - absent(b) || sign * compare(a, b);
      }));
    });
  });
  if (rows.length < 20) continue;
  const search = document.createElement("input"), shown = document.createElement("span");
  search.type = "search";
  search.placeholder = "filter rows";
  search.setAttribute("aria-label", "filter rows");
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");
      row.hidden = !words.every((word) => text.includes(word));
    }
    shown.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
  });
  const bar = document.createElement("div");
  bar.className = "filter";
  bar.append(search, shown);
  table.parentElement.before(bar);
}
"""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
      heading: of the column.
      values: numbers or texts, one for each row; None where there is none.
      write: a value that is not None, as text.
      right: whether it stands at the right, as numbers do; by default if all its values are numbers or None.
    """

    heading: str
    values: Sequence[Any]
    write: Callable[[Any], str] = str
    right: bool | None = None

    @property
    def is_right(self) -> bool:
        """Whether the column stands at the right."""
        if self.right is not None:
            return self.right
        return all(value is None or isinstance(value, Real) for value in self.values)

    def cells(self) -> list[str]:
        """The values as text, numbers with the sign of minus; nothing for None."""
        return ["" if value is None else self._cell(value) for value in self.values]

    def _cell(self, value: Any) -> str:
        return with_minus(self.write(value)) if isinstance(value, Real) else self.write(value)


def table(
    columns: Iterable[Column],
    *,
    marked: Sequence[bool] | None = None,
    headings: bool = True,
    sort: bool | None = None,
    caption: str = "",
) -> Html:
    """A table of a page, which is sorted by a click on a heading and, if it is long, filtered by words.

    Args:
      columns: of equal length.
      marked: whether a row stands out, for each.
      headings: whether the columns have headings; where they have none the first has those of the rows.
      sort: whether it can be sorted; by default from four rows on.
      caption: what the table shows, above it.
    """
    columns = list(columns)
    kinds = [None if column.is_right else "text" for column in columns]
    raw = [[_sorted_by(value) for value in column.values] for column in columns]
    rows = []
    for i, written in enumerate(zip(*(column.cells() for column in columns), strict=True)):
        cells = [
            element("td", text, class_=kind, data_value=keys[i])
            for text, kind, keys in zip(written, kinds, raw, strict=True)
        ]
        if not headings:
            cells[0] = element("th", written[0], class_=kinds[0], scope="row")
        rows.append(element("tr", *cells, class_="marked" if marked is not None and marked[i] else None))
    head = (
        element("th", column.heading, class_=kind, scope="col") for column, kind in zip(columns, kinds, strict=True)
    )
    sortable = headings and (len(rows) >= _SORTED_FROM if sort is None else sort)
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else "",
            element("thead", element("tr", *head)) if headings else "",
            element("tbody", *rows),
            class_=SORTABLE if sortable else None,
        ),
        class_="scroll tall" if len(rows) > _TALL_FROM else "scroll",
    )


def measures(named: Mapping[str, str]) -> Html:
    """A table of two columns without headings: names, and what was measured, as written."""
    columns = [Column("", list(named)), Column("", list(named.values()), right=True)]
    return table(columns, headings=False)


class TerminalTable(NamedTuple):
    """A table for a terminal. What is wider than the terminal goes on below, with the names of the rows again.

    Attributes:
      columns: of equal length.
      title: above it.
      caption: below it.
    """

    columns: Sequence[Column]
    title: str | None = None
    caption: str | None = None

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> Iterator["RichTable"]:
        """The parts that fit, as rich asks for them."""
        room = options.max_width
        names = list(itertools.takewhile(lambda column: not column.is_right, self.columns[:-1]))
        parts = [names]
        for column in self.columns[len(names) :]:
            if len(parts[-1]) > len(names) and _width([*parts[-1], column], wrapped=True) > room:
                parts.append(names)
            parts[-1] = [*parts[-1], column]
        for place, part in enumerate(parts):
            is_last = place == len(parts) - 1
            yield _drawn(part, room, title=None if place else self.title, caption=self.caption if is_last else None)


def terminal_table(columns: Iterable[Column], *, title: str | None = None, caption: str | None = None) -> TerminalTable:
    """The same for a terminal, to be printed by a console of rich."""
    return TerminalTable(list(columns), title, caption)


def _drawn(columns: Sequence[Column], room: int, *, title: str | None, caption: str | None) -> "RichTable":
    from rich import box
    from rich.table import Table

    drawn = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    is_narrow = _width(columns, wrapped=False) > room
    for column in columns:
        # rich would take room from numbers as from sentences, and cut a word that is too long
        width = _width([column], wrapped=True) - _AROUND if is_narrow and column.is_right else None
        justify: Literal["right", "left"] = "right" if column.is_right else "left"
        drawn.add_column(column.heading, justify=justify, overflow="fold", width=width)
    for cells in zip(*(column.cells() for column in columns), strict=True):
        drawn.add_row(*cells)
    return drawn


def _width(columns: Iterable[Column], *, wrapped: bool) -> int:
    """How many places of a terminal columns take; wrapped between words, but for cells at the right."""
    from rich.cells import cell_len

    def width(column: Column) -> int:
        heading, cells = [column.heading], column.cells()
        if wrapped:
            heading = column.heading.split()
            cells = cells if column.is_right else [word for text in cells for word in text.split()]
        return max(map(cell_len, [*heading, *cells]), default=0) + _AROUND

    return sum(map(width, columns))


def _sorted_by(value: Any) -> str | None:
    """What a number is sorted by, whatever way it is written; a text is sorted by itself."""
    return repr(float(value)) if isinstance(value, Real) else None
