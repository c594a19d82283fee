"""The tables of the docs: the latest rows of the benchmarks, and nothing that is no row."""

from pathlib import Path

import pytest

from benchmarks.tables import Table, markdown, named_in, parts_of, renew
from experiments.harness import names_in

PAGES = sorted((Path(__file__).parent.parent / "docs").glob("*.md"))


def row(day, **columns):
    about = {"device": "cpu", "machine": "2 cores, a processor", "versions": {"jax": "0.10.2"}}
    return {**about, "at": f"2026-11-{day:02}T10:00:00+00:00", **columns}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tables_of_the_docs_are_those_of_the_committed_rows(page):
    text = page.read_text(encoding="utf-8")
    assert renew(text) == text, "run `python -m benchmarks tables --write`"


@pytest.mark.parametrize("name", names_in("benchmarks"))
def test_every_table_of_a_benchmark_stands_in_a_page(name):
    named = [found for page in PAGES for found in named_in(page.read_text(encoding="utf-8"))]
    assert {found for found in named if found[0] == name} == {(name, part) for part in parts_of(name)}


def test_the_latest_row_counts_and_lines_are_in_the_order_of_their_numbers():
    rows = [
        row(1, size=1000, method="ours", ms=12.0),
        row(1, size=20, method="ours", ms=0.5, other=1),
        row(2, size=1000, method="ours", ms=9.96),
        row(3, size=1000, method="theirs", note="of older code, without a number"),
    ]
    assert markdown(Table(("size", "method"), ("ms", "ratio")), rows) == (
        "| size | method | ms | ratio |\n"
        "| --- | --- | --- | --- |\n"
        "| 20 | ours | 0.500 |  |\n"
        "| 1,000 | ours | 9.96 |  |\n"
        "\n"
        "2 cores, a processor, jax 0.10.2, 2026-11-01; 2 cores, a processor, jax 0.10.2, 2026-11-02.\n"
    )


def test_without_rows_there_is_no_table():
    assert markdown(Table(("size",), ("seconds",)), []) == "Not measured yet.\n"


def test_the_worst_lines_come_first():
    rows = [row(1, case=case, right=right) for case, right in (("a", 0.9), ("b", None), ("c", 0.5), ("d", 0.7))]
    rows[1] |= {"repairs": 0}
    table = Table(("case",), ("right", "repairs"), worst=("right",), digits=1)
    lines = markdown(table, rows).splitlines()
    assert lines[2:6] == ["| c | 0.5 |  |", "| d | 0.7 |  |", "| a | 0.9 |  |", "| b |  | 0 |"]
    assert markdown(table._replace(shown=2), rows).splitlines()[2:5] == [*lines[2:4], ""]


def test_a_column_becomes_heads_and_their_cells_hold_all_numbers():
    rows = [
        row(1, task="digits", method="ours", auc=0.99, ap=0.5),
        row(1, task="mnist", method="ours", auc=0.75),
        row(1, task="digits", method="theirs", auc=0.25, ap=1.0),
        row(2, task="digits", method="theirs", auc=1.0, ap=1.0) | {"device": "gpu"},
    ]
    table = Table(("method",), ("auc", "ap"), across="task", where={"device": "cpu"}, digits=2)
    assert markdown(table, rows).splitlines()[:4] == [
        "| method | digits | mnist |",
        "| --- | --- | --- |",
        "| ours | 0.99 / 0.50 | 0.75 |",
        "| theirs | 0.25 / 1.0 |  |",
    ]
