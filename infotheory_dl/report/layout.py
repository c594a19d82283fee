"""A page that needs nothing beside it, and what every page is made of."""

from collections.abc import Iterable, Mapping
from typing import Any

from infotheory_dl.report._style import STYLE
from infotheory_dl.report.html import Html, element, html, joined
from infotheory_dl.report.tables import SCRIPT, SORTABLE


def page(title: str, *contents: str) -> str:
    """A whole page of HTML: one file, which loads nothing and can be read without scripts.

    Args:
      title: of the page.
      contents: its parts, from `header` to the last `section`; empty ones are left out.
    """
    body = joined(*contents)
    script = f"\n<script>{SCRIPT}</script>" if f'class="{SORTABLE}"' in body else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>{script}\n"
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


def section(title: str, *contents: str) -> Html:
    """A part of a page under its heading."""
    return joined(element("h2", title), *contents)


def subsection(title: str, *contents: str) -> Html:
    """A part of a section under its heading."""
    return joined(element("h3", title), *contents)


def paragraph(text: str, *, kind: str | None = None) -> Html:
    """A paragraph; `kind` is "lead", "note" or none."""
    return element("p", text, class_=kind)


def details(summary: str, *contents: str) -> Html:
    """What opens by a click on its summary."""
    return element("details", element("summary", summary), *contents)


def figures(*drawings: Html) -> Html:
    """Charts, side by side where there is room."""
    framed = [element("figure", drawing) for drawing in drawings]
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
