"""The kit of every page: one self-contained HTML file of text, tables, charts and pictures."""

from infotheory_dl.report.charts import Bar, Line, Row, bar_chart, distribution_chart, line_chart
from infotheory_dl.report.cross_tables import cross_table
from infotheory_dl.report.format import count, known, nats, percent, probability, signed, with_minus
from infotheory_dl.report.graphs import Hub, Link, hub_chart
from infotheory_dl.report.histograms import histogram
from infotheory_dl.report.html import Html, element, joined
from infotheory_dl.report.layout import (
    block,
    box,
    captioned,
    code,
    details,
    facts,
    figures,
    header,
    inline_data,
    link,
    page,
    paragraph,
    script,
    section,
    sentence,
    subsection,
)
from infotheory_dl.report.matrices import heat_map
from infotheory_dl.report.pictures import Picture, data_uris, gallery
from infotheory_dl.report.points import Points, point_chart
from infotheory_dl.report.record import as_json, command_line, ran_with, versions
from infotheory_dl.report.tables import Column, TerminalTable, measures, table, terminal_table
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
    "TerminalTable",
    "as_json",
    "bar_chart",
    "block",
    "box",
    "captioned",
    "code",
    "command_line",
    "count",
    "cross_table",
    "data_uris",
    "details",
    "distribution_chart",
    "element",
    "facts",
    "figures",
    "gallery",
    "header",
    "heat_map",
    "histogram",
    "hub_chart",
    "inline_data",
    "joined",
    "known",
    "line_chart",
    "link",
    "measures",
    "nats",
    "page",
    "paragraph",
    "percent",
    "point_chart",
    "probability",
    "ran_with",
    "script",
    "section",
    "sentence",
    "signed",
    "subsection",
    "table",
    "terminal_table",
    "versions",
    "with_minus",
]
