"""Tables of a page and of a terminal."""

import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from rich.console import Console

from infotheory_dl import report
from infotheory_dl.report import Column
from infotheory_dl.report.tables import SCRIPT
from tests.report.reader import Page

COLUMNS = [
    Column("<name>", ["a & b", "c", "d", "e"]),
    Column("share", [0.5, None, float("nan"), np.float32(0.25)], report.percent),
    Column("votes", ["1 of 3"] * 4, right=True),
]


def cells(text):
    page = Page(text)
    assert page.open == []
    return page


def test_a_table_holds_what_is_read_and_what_it_is_sorted_by():
    text = report.table(COLUMNS, marked=[True, False, False, False])
    assert '<th class="text" scope="col">&lt;name&gt;</th><th scope="col">share</th>' in text
    assert '<td class="text">a &amp; b</td><td data-value="0.5">50\u00a0%</td><td>1 of 3</td>' in text
    assert '<td class="text">c</td><td></td>' in text
    assert '<td data-value="nan">' in text
    assert '<td data-value="0.25">25\u00a0%</td>' in text
    assert text.count('<tr class="marked">') == 1
    assert cells(text).text.split()[:3] == ["<name>", "share", "votes"]


def test_only_tables_of_some_length_are_sorted():
    assert 'class="sortable"' in report.table(COLUMNS)
    assert "sortable" not in report.table(COLUMNS, sort=False)
    assert "sortable" not in report.table([Column("few", [1, 2])])
    assert "tall" in report.table([Column("many", list(range(50)))])
    assert "<thead" not in report.measures({"gap": "0.1"})


def test_numbers_have_one_kind_of_minus_and_names_stay_as_they_are():
    columns = [Column("a-b", ["x-1"]), Column("number", [-0.5], "{:.2g}".format), Column("count", [-3])]
    assert [column.cells() for column in columns] == [["x-1"], ["−0.5"], ["−3"]]
    assert 'data-value="-0.5">−0.5<' in report.table(columns)


def test_rows_without_headings_of_columns_have_their_own():
    assert '<th class="text" scope="row">gap</th><td>0.1</td>' in report.measures({"gap": "0.1"})


def test_a_cross_table_shades_its_entries_and_leaves_zeros_empty():
    values = np.array([[8.0, 0.0, 2.0], [-0.5, 4.0, 8.0]])
    text = report.cross_table(values, rows=["<a>", "b"], columns=["c", "d", "e"], corner="given", caption="of < all")
    assert "<caption>of &lt; all</caption>" in text
    assert '<th scope="row" title="&lt;a&gt;">&lt;a&gt;</th>' in text
    shades = {
        float(number.replace("−", "-")): int(shade) for shade, number in re.findall(r"hue\) (\d+)%[^>]*>([^<]*)", text)
    }
    assert shades == {8: 55, 2: 14, -0.5: 0, 4: 28}
    assert text.count("<td></td>") == 1


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        report.table([Column("a", [1]), Column("b", [1, 2])])


def test_a_terminal_shows_the_same():
    console = Console(width=80, file=io.StringIO(), markup=False)
    console.print(report.terminal_table([*COLUMNS, Column("[bold]", [1, 2, 3, 4])], caption="of four"))
    lines = console.file.getvalue().splitlines()
    assert lines[1].split() == ["<name>", "share", "votes", "[bold]"]
    assert lines[3].split() == ["a", "&", "b", "50", "%", "1", "of", "3", "1"]
    assert lines[-1].strip() == "of four"


def test_what_is_wider_than_a_terminal_goes_on_below_and_no_name_is_cut():
    names = ["a_name_of_a_network_that_is_long", "b"]
    columns = [Column(f"number {place}", [place + 0.12345678, None]) for place in range(12)]
    console = Console(width=80, file=io.StringIO(), markup=False)
    console.print(report.terminal_table([Column("network", names), *columns], title="numbers", caption="of two"))
    text = console.file.getvalue()
    assert [text.count(word) for word in ("numbers", "of two", "network ", "…")] == [1, 1, 4, 0]
    assert all(f" {place}.12345678 " in text for place in range(12))
    assert text.count(names[0]) == 4
    assert max(map(len, text.splitlines())) <= 80


def test_a_word_that_is_longer_than_a_terminal_is_folded():
    console = Console(width=20, file=io.StringIO(), markup=False)
    console.print(report.terminal_table([Column("name", ["x" * 30]), Column("share", [0.5])]))
    assert console.file.getvalue().count("x") == 30


NODE = """
const element = (tag, content = "") => {
  const made = { tag, dataset: {}, attributes: {}, listeners: {}, childNodes: [], hidden: false, className: "" };
  Object.defineProperty(made, "textContent", { writable: true, value: content });
  made.append = (...children) => {
    made.childNodes = made.childNodes.filter((child) => !children.includes(child)).concat(children);
  };
  made.before = (other) => { made.bar = other; };
  made.addEventListener = (event, act) => { made.listeners[event] = act; };
  made.setAttribute = (name, value) => { made.attributes[name] = value; };
  made.getAttribute = (name) => made.attributes[name] ?? null;
  made.removeAttribute = (name) => { delete made.attributes[name]; };
  return made;
};
const { headings, rows, clicks, search } = JSON.parse(process.argv[2]);
const body = element("tbody"), parent = element("div");
for (const cells of rows) {
  const row = element("tr");
  row.cells = cells.map(([text, value]) => {
    const cell = element("td", text);
    if (value !== null) cell.dataset.value = value;
    return cell;
  });
  row.append(...row.cells);
  body.append(row);
}
Object.defineProperty(body, "rows", { get: () => body.childNodes });
const heads = headings.map((text) => { const made = element("th", text); made.append(text); return made; });
const table = { tBodies: [body], tHead: { rows: [{ cells: heads }] }, parentElement: parent };
globalThis.document = { querySelectorAll: () => [table], createElement: (tag) => element(tag) };
eval(process.argv[1]);
for (const column of clicks) heads[column].childNodes.at(-1).listeners.click();
if (search !== null) {
  const [input] = parent.bar.childNodes;
  input.value = search;
  input.listeners.input();
}
console.log(JSON.stringify({
  order: body.childNodes.filter((row) => !row.hidden).map((row) => row.cells[0].textContent),
  sorted: heads.map((head) => head.getAttribute("aria-sort")),
  shown: parent.bar ? parent.bar.childNodes[1].textContent : null,
}));
"""


def after(rows, *, clicks=(), search=None):
    """The table of a page once its headings were clicked and words were searched, by a stand-in for a browser."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("the script of the page needs Node.js to run")
    given = {"headings": ["name", "share"], "rows": rows, "clicks": clicks, "search": search}
    command = [node, "-e", NODE, "--", SCRIPT, json.dumps(given)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


ROWS = [[["b 10", None], ["50 %", "0.5"]], [["a", None], ["", None]], [["b 9", None], ["5 %", "0.05"]]]
MISSING = [["c", None], ["nan", "nan"]]


def test_a_click_on_a_heading_sorts_numbers_by_their_values_and_texts_by_words_and_numbers():
    assert after(ROWS)["order"] == ["b 10", "a", "b 9"]
    assert after(ROWS, clicks=[0]) == {"order": ["a", "b 9", "b 10"], "sorted": ["ascending", None], "shown": None}
    assert after(ROWS, clicks=[0, 0])["order"] == ["b 10", "b 9", "a"]


def test_numbers_are_sorted_from_the_largest_and_what_is_missing_stands_last():
    by_share = after([*ROWS, MISSING], clicks=[1])
    assert by_share["order"] == ["b 10", "b 9", "c", "a"]
    assert by_share["sorted"] == [None, "descending"]
    assert after([*ROWS, MISSING], clicks=[1, 1])["order"] == ["b 9", "b 10", "a", "c"]


def test_a_long_table_is_filtered_by_all_the_words():
    rows = [[[f"row {i}", None], [f"{i} %", str(i)]] for i in range(20)]
    found = after(rows, search="ROW 3")
    assert (found["order"], found["shown"]) == (["row 3", "row 13"], "2 of 20")
    assert after(rows, search=" ")["shown"] == ""
