"""Pages that need nothing beside them."""

import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from infotheory_dl import report
from tests.report.reader import Page


def page_of(*contents):
    return report.page("<title>", report.header("<title>", "a & b", [("1 %", "of <all>")], ["<found>"]), *contents)


def test_any_text_is_escaped_and_html_is_not():
    text = page_of(
        report.section(
            "<s>", report.paragraph("<p>", kind="note"), report.subsection("<u>", report.details("<d>", "<e>"))
        ),
        report.facts({"<n>": "<v>"}),
        report.paragraph(report.sentence("see <x> in ", report.code("<file>"))),
        "",
    )
    page = Page(text)
    assert page.open == []
    for words in ("<title>", "a & b", "of <all>", "<found>", "<s>", "<p>", "<u>", "<d>", "<e>", "<n>", "<v>", "<file>"):
        assert words in page.words
    assert "see <x> in " in page.words


def test_a_page_loads_nothing_and_has_a_script_only_for_tables():
    assert "<script" not in page_of()
    text = page_of(report.table([report.Column("a", list(range(9)))]))
    assert text.count("<script>") == 1
    assert not re.search(r"<script[^>]|<link|url\(|@import|import\(|fetch|http", text)
    assert Page(text).open == []


def test_sections_fold_and_are_listed_under_names_of_their_own():
    sections = [report.section(title, "text") for title in ("A <b> & c", "Same", "Same")]
    text = page_of(*sections, report.section("Last", "text", folded=True))
    assert Page(text).open == []
    names = re.findall(r'<div id="([^"]*)">', text)
    assert names == ["a-b-c", "same", "same-3", "last"]
    assert re.findall(r'<a href="#([^"]*)">', text) == names
    assert '<a href="#a-b-c">A &lt;b&gt; &amp; c</a>' in text
    assert [found != "" for found in re.findall(r'class="section"( open="open")?>', text)] == [True, True, True, False]
    assert "contents" not in page_of(*sections).split("<main>")[1]


def test_data_for_a_script_cannot_end_its_element():
    content = {"name": "</script><script>alert('&')</script>", "minus": [-0.5, None]}
    text = report.inline_data("rows", content)
    assert text.count("<") == 2
    assert json.loads(re.search(r">(.*)<", text)[1]) == content


def test_the_line_of_a_command_has_what_differs_from_the_defaults():
    @dataclass(frozen=True)
    class Inner:
        few: tuple[str, ...] = ()
        robust: bool = False
        plain: bool = True

    @dataclass(frozen=True)
    class Outer:
        data: Path | None = None
        seed: int = 0
        inner: Inner = field(default_factory=Inner)

    assert report.command_line("audit", Outer()) == "infotheory-dl audit"
    given = Outer(Path("my data.csv"), 3, Inner(("a", "b"), robust=True, plain=False))
    line = "infotheory-dl audit --data 'my data.csv' --seed 3 --few a b --robust --no-plain"
    assert report.command_line("audit", given) == line


def test_charts_stand_side_by_side():
    chart = report.line_chart([report.Line("a", *[np.arange(3.0)] * 2)], title="t", x_label="", y_label="")
    assert report.figures(chart) == f"<figure>{chart}</figure>"
    assert report.figures(chart, chart).startswith('<div class="charts"><figure><svg')
    captioned = report.captioned(chart, "What < is seen")
    assert report.figures(captioned) == f"<figure><figcaption>What &lt; is seen</figcaption>{chart}</figure>"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (report.percent(0.123), "12.3\u00a0%"),
        (report.percent(1), "100\u00a0%"),
        (report.percent(np.float32(0.9125)), report.percent(0.9125)),
        (report.percent(float(np.float32(0.9125))), report.percent(0.9125)),
        (report.nats(3.456), "3.46"),
        (report.nats(0.0123), "0.012"),
        (report.nats(0), "0.00"),
        (report.signed(-0.5), "−0.50"),
        (report.probability(2.3e-14), "2e−14"),
        (report.percent(-0.5), "−50\u00a0%"),
        (report.with_minus("-1e-05"), "−1e−05"),
        (report.known(float("nan")), "—"),
        (report.count(1, "label is", "labels are"), "1 label is"),
        (report.count(0, "label is", "labels are"), "0 labels are"),
    ],
)
def test_numbers_are_written_for_people(written, text):
    assert written == text


def test_a_record_says_what_json_cannot():
    record = {"a": {"time": float("inf"), "to": Path("x")}, "n": None, "s": (1, 2)}
    assert json.loads(report.as_json(record)) == {"a": {"time": "inf", "to": "x"}, "n": None, "s": "(1, 2)"}
    assert {"python", "jax", "infotheory_dl"} <= set(report.versions())


def test_stages_are_told_with_their_time():
    console = Console(width=80, file=io.StringIO())
    with report.Stages(console) as stages:
        stages.begin("reading")
        stages.begin("writing")
    lines = console.file.getvalue().splitlines()
    assert [line.split()[1:] for line in lines] == [["s", "reading"], ["s", "writing"]]
