"""A page that needs nothing beside it, and what every page is made of."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from infotheory_dl.report._style import STYLE
from infotheory_dl.report.html import Html, element, html, joined
from infotheory_dl.report.tables import SCRIPT, SORTABLE

_SECTION = re.compile(r'(<details class="section"(?: open="open")?><summary><h2>(.*?)</h2></summary>)<div>')
_LISTED_FROM = 4  # a page of fewer sections needs no list of them


def page(title: str, *contents: str) -> str:
    """A whole page of HTML: one file, which loads nothing and can be read without scripts.

    Args:
      title: of the page.
      contents: its parts, from `header` to the last `section`; empty ones are left out. A page of four sections or
        more has a list of them.
    """
    body = _with_contents(joined(*contents))
    sorting = f"\n{script(SCRIPT)}" if f'class="{SORTABLE}"' in body else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>{sorting}\n"
        "</body>\n</html>\n"
    )


def header(title: str, lead: str, figures: Iterable[tuple[str, str]], findings: Iterable[str]) -> Html:
    """The head of a page.

    Args:
      title: its first line.
      lead: what was done, in a sentence or two.
      figures: the numbers that count, as written, each with what it is.
      findings: what was found, in sentences.
    """
    cards = (element("div", element("b", number), meaning) for number, meaning in figures)
    return joined(
        element("h1", title),
        paragraph(lead, kind="lead"),
        element("div", *cards, class_="figures"),
        element("ul", *(element("li", sentence) for sentence in findings), class_="findings"),
    )


def section(title: str, *contents: str, folded: bool = False) -> Html:
    """A part of a page under its heading, which a click folds and unfolds.

    Args:
      title: its heading.
      contents: its parts.
      folded: whether it is closed at first.
    """
    heading = element("summary", element("h2", title))
    return element(
        "details", heading, element("div", joined(*contents)), class_="section", open=None if folded else "open"
    )


def box(title: str, *contents: str) -> Html:
    """A part of a page that stands out, such as what to do next."""
    return element("section", element("h2", title), joined(*contents), class_="box")


def subsection(title: str, *contents: str) -> Html:
    """A part of a section under its heading."""
    return joined(element("h3", title), *contents)


def paragraph(text: str, *, kind: str | None = None) -> Html:
    """A paragraph; `kind` is "lead", "note" or none."""
    return element("p", text, class_=kind)


def details(summary: str, *contents: str) -> Html:
    """What opens by a click on its summary."""
    return element("details", element("summary", summary), *contents)


def captioned(drawing: Html, caption: str) -> Html:
    """A chart under words that say what is seen."""
    return element("figure", element("figcaption", caption), drawing)


def figures(*drawings: Html) -> Html:
    """Charts, `captioned` or not, side by side where there is room."""
    framed = [
        drawing if drawing.startswith("<figure>") else element("figure", drawing) for drawing in drawings if drawing
    ]
    return element("div", *framed, class_="charts") if len(framed) > 1 else joined(*framed)


def facts(named: Mapping[str, Any]) -> Html:
    """A list of names and what they stand for, such as settings and versions."""
    rows = (joined(element("dt", str(name)), element("dd", str(value))) for name, value in named.items())
    return element("dl", *rows)


def code(text: str) -> Html:
    """The name of a file or an option."""
    return element("code", text)


def sentence(*parts: str) -> Html:
    """A text of which some parts are HTML."""
    return Html("".join(map(html, parts)))


def block(text: str) -> Html:
    """Lines to be copied, such as a command."""
    return element("pre", element("code", text))


def link(place: str, words: str = "") -> Html:
    """A link to a file beside the page, or to a place in it."""
    return element("a", words or place, href=place)


def script(program: str) -> Html:
    """A script of a page."""
    return Html(f"<script>{program}</script>")


def inline_data(name: str, content: Any) -> Html:
    """Data for a script, as JSON under an id; no text in them can end the element."""
    written = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="{html(name)}">{written}</script>')


def _with_contents(body: Html) -> Html:
    """The page with an anchor in each section and, before the first, a list of all."""
    anchors: dict[str, Html] = {}

    def anchored(found: re.Match[str]) -> str:
        heading = Html(found[2])
        plain = re.sub(r"[^a-z0-9]+", "-", re.sub(r"&[#a-z0-9]+;", " ", found[2].lower())).strip("-") or "section"
        name = plain if plain not in anchors else f"{plain}-{len(anchors) + 1}"
        anchors[name] = heading
        return f'{found[1]}<div id="{name}">'

    marked = _SECTION.sub(anchored, body)
    if len(anchors) < _LISTED_FROM:
        return Html(marked)
    entries = (element("li", link(f"#{name}", heading)) for name, heading in anchors.items())
    listed = element("nav", element("ol", *entries), class_="contents", aria_label="Contents")
    place = marked.index('<details class="section"')
    return Html(f"{marked[:place]}{listed}\n{marked[place:]}")
