"""Tables of a page and of a terminal."""

import io

import numpy as np
import pytest
from rich.console import Console

from infotheory_dl import report
from infotheory_dl.report import Column
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
    assert '<th class="text">&lt;name&gt;</th><th>share</th>' in text
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
