"""The kit of every page: one self-contained HTML file of text, tables, charts and pictures."""

from infotheory_dl.report.charts import Bar, Line, Row, bar_chart, distribution_chart, line_chart
from infotheory_dl.report.format import count, known, nats, percent, signed
from infotheory_dl.report.graphs import Hub, Link, hub_chart
from infotheory_dl.report.html import Html, element, joined
from infotheory_dl.report.layout import (
    code,
    details,
    facts,
    figures,
    header,
    page,
    paragraph,
    section,
    sentence,
    subsection,
)
from infotheory_dl.report.matrices import heat_map
from infotheory_dl.report.pictures import Picture, data_uris, gallery
from infotheory_dl.report.points import Points, point_chart
from infotheory_dl.report.record import as_json, ran_with, versions
from infotheory_dl.report.tables import Column, measures, table, terminal_table
from infotheory_dl.report.terminal import Stages

__all__ = [
    "Bar",
    "Column",
    "Html",
    "Hub",
    "Line",
    "Link",
    "Picture",
    "Points",
    "Row",
    "Stages",
    "as_json",
    "bar_chart",
    "code",
    "count",
    "data_uris",
    "details",
    "distribution_chart",
    "element",
    "facts",
    "figures",
    "gallery",
    "header",
    "heat_map",
    "hub_chart",
    "joined",
    "known",
    "line_chart",
    "measures",
    "nats",
    "page",
    "paragraph",
    "percent",
    "point_chart",
    "ran_with",
    "section",
    "sentence",
    "signed",
    "subsection",
    "table",
    "terminal_table",
    "versions",
]
