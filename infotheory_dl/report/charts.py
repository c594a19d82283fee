"""Small charts as SVG that stand inside an HTML page: no script, no font, no file of their own."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from infotheory_dl.report._drawing import WIDTH, shortened, svg, text
from infotheory_dl.report._scales import grid_line, in_percent, linear_scale, log_scale, number, power
from infotheory_dl.report.format import with_minus
from infotheory_dl.report.html import Html

_HEIGHT = 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 132.0, 14.0, 46.0
_ROW = 22.0
_MOST_MARKED = 200  # in a row
_LABEL_GAP = 15.0
_LONGEST_LABEL = 28  # of a bar


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
      label: stands at its right end.
      x: ascending or descending.
      y: values.
      low, high: bounds of a band around it, or None.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


class Row(NamedTuple):
    """One row of a chart of distributions.

    Attributes:
      label: stands to its left.
      values: whose 5, 25, 50, 75 and 95 % points are drawn.
      marked: values that are drawn one by one; of more than 200 as many, at equal steps of their ranks.
    """

    label: str
    values: np.ndarray
    marked: np.ndarray


class Bar(NamedTuple):
    """One bar of a chart.

    Attributes:
      label: stands to its left.
      value: its length.
      low, high: ends of an interval around it, or None.
      mark: what the value is held against, or None.
      faint: whether it is drawn paler than the others.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: float | None = None
    faint: bool = False


def line_chart(
    lines: Sequence[Line], *, title: str, x_label: str, y_label: str, log_x: bool = False, percent: bool = False
) -> Html:
    """Draws lines, each with its label at its end.

    Args:
      lines: at least one.
      title: for who cannot see it.
      x_label, y_label: stand at the axes.
      log_x: whether the horizontal axis is logarithmic.
      percent: whether shares are written in percent, on the axes that are linear.
    """
    right, bottom = WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    all_x = np.concatenate([line.x for line in lines])
    all_y = np.concatenate([values for line in lines for values in (line.y, line.low, line.high) if values is not None])
    x = log_scale(all_x, _LEFT, right) if log_x else linear_scale(all_x, _LEFT, right)
    y = linear_scale(all_y, bottom, _TOP)
    write_y = in_percent if percent else number
    parts = [grid_line(_LEFT, y.place(tick), right, y.place(tick)) for tick in y.ticks]
    parts += [text(_LEFT - 8, y.place(tick) + 4, write_y(tick), "end") for tick in y.ticks]
    write_x = power if log_x else (in_percent if percent else number)
    parts += [text(x.place(tick), bottom + 18, write_x(tick), "middle") for tick in x.ticks]
    parts.append(text((_LEFT + right) / 2, _HEIGHT - 8, x_label, "middle", "axis"))
    parts.append(
        f'<text class="axis" transform="translate(13 {(_TOP + bottom) / 2:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>"
    )
    for i, line in enumerate(lines):
        points = [(x.place(a), y.place(b)) for a, b in zip(line.x, line.y, strict=True)]
        if line.low is not None and line.high is not None:
            upper = [(x.place(a), y.place(b)) for a, b in zip(line.x, line.high, strict=True)]
            lower = [(x.place(a), y.place(b)) for a, b in zip(line.x, line.low, strict=True)]
            parts.append(f'<polygon class="band s{i}" points="{_points(upper + lower[::-1])}"/>')
        parts.append(f'<polyline class="line s{i}" points="{_points(points)}"/>')
        parts += [f'<circle class="dot s{i}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in points]
    ends = [y.place(line.y[np.argmax([x.place(a) for a in line.x])]) for line in lines]
    for i, (line, end) in enumerate(zip(lines, _spread(ends), strict=True)):
        parts.append(text(right + 9, end + 4, line.label, "start", f"label s{i}"))
    return svg(_HEIGHT, title, parts)


def distribution_chart(rows: Sequence[Row], *, title: str, x_label: str, marked_label: str = "") -> Html:
    """Draws a box for each row on a logarithmic axis: 5 to 95 %, 25 to 75 %, the median, and marked values.

    Args:
      rows: from above.
      title: for who cannot see it.
      x_label: stands at the axis.
      marked_label: what is marked.
    """
    bottom = _TOP + _ROW * len(rows)
    height = bottom + _BOTTOM + (16 if marked_label else 0)
    left, right = 24.0 + 7 * max(len(shortened(row.label)) for row in rows), WIDTH - 16
    boxes = [np.percentile(row.values, [5, 25, 50, 75, 95]) if row.values.size else np.zeros(0) for row in rows]
    drawn = np.concatenate([*boxes, *(row.marked for row in rows)])
    positive = drawn[drawn > 0] if (drawn > 0).any() else np.ones(1)
    x = log_scale(positive, left, right)
    place = lambda value: x.place(max(value, np.min(positive)))
    parts = [grid_line(x.place(tick), _TOP - 4, x.place(tick), bottom + 4) for tick in x.ticks]
    parts += [text(x.place(tick), bottom + 20, power(tick), "middle") for tick in x.ticks]
    for i, row in enumerate(rows):
        middle = _TOP + _ROW * (i + 0.5)
        parts.append(text(left - 10, middle + 4, shortened(row.label), "end"))
        if row.values.size:
            low, first, median, third, high = map(place, boxes[i])
            parts.append(f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>')
            box = f'x="{first:.1f}" y="{middle - 5:.1f}" width="{max(1.0, third - first):.1f}" height="10"'
            parts.append(f'<rect class="box" {box} rx="2"/>')
            stroke = f'x1="{median:.1f}" x2="{median:.1f}" y1="{middle - 7:.1f}" y2="{middle + 7:.1f}"'
            parts.append(f'<line class="median" {stroke}/>')
        shown = _thinned(row.marked)
        parts += [f'<circle class="marked" cx="{place(v):.1f}" cy="{middle:.1f}" r="2.4"/>' for v in shown]
    parts.append(text((left + right) / 2, bottom + 38, x_label, "middle", "axis"))
    if marked_label:
        parts.append(f'<circle class="marked" cx="{left + 4:.1f}" cy="{height - 8:.1f}" r="2.8"/>')
        parts.append(text(left + 13, height - 4, marked_label, "start"))
    return svg(height, title, parts)


def bar_chart(
    bars: Sequence[Bar],
    *,
    title: str,
    x_label: str,
    mark_label: str = "",
    write: Callable[[float], str] = "{:.3f}".format,
) -> Html:
    """Draws a bar from zero for each value, with its interval as a line and what it is held against as a stroke.

    Args:
      bars: from above.
      title: for who cannot see it.
      x_label: stands at the axis.
      mark_label: what the values are held against.
      write: a value as it stands at the end of its bar.
    """
    bottom = _TOP + _ROW * len(bars)
    height = bottom + _BOTTOM + (16 if mark_label else 0)
    labels = [shortened(bar.label, _LONGEST_LABEL) for bar in bars]
    left, right = 24.0 + 7 * max(map(len, labels)), WIDTH - 60
    drawn = [value for bar in bars for value in (bar.value, bar.low, bar.high, bar.mark) if value is not None]
    x = linear_scale(np.array([0.0, *drawn]), left, right)
    parts = [grid_line(x.place(tick), _TOP - 4, x.place(tick), bottom + 4) for tick in x.ticks]
    parts += [text(x.place(tick), bottom + 20, number(tick), "middle") for tick in x.ticks]
    for i, (bar, label) in enumerate(zip(bars, labels, strict=True)):
        middle = _TOP + _ROW * (i + 0.5)
        parts.append(text(left - 10, middle + 4, label, "end"))
        start, end = sorted((x.place(0), x.place(bar.value)))
        box = f'x="{start:.1f}" y="{middle - 6:.1f}" width="{max(0.5, end - start):.1f}" height="12"'
        parts.append(f'<rect class="bar{" faint" if bar.faint else ""}" {box} rx="2"/>')
        if bar.low is not None and bar.high is not None:
            ends = f'x1="{x.place(bar.low):.1f}" x2="{x.place(bar.high):.1f}" y1="{middle:.1f}" y2="{middle:.1f}"'
            parts.append(f'<line class="interval" {ends}/>')
        if bar.mark is not None:
            place = x.place(bar.mark)
            ends = f'x1="{place:.1f}" x2="{place:.1f}" y1="{middle - 9:.1f}" y2="{middle + 9:.1f}"'
            parts.append(f'<line class="mark" {ends}/>')
        farthest = max(x.place(value) for value in (0.0, bar.value, bar.high, bar.mark) if value is not None)
        parts.append(text(farthest + 7, middle + 4, with_minus(write(bar.value)), "start"))
    parts.append(text((left + right) / 2, bottom + 38, x_label, "middle", "axis"))
    if mark_label:
        parts.append(
            f'<line class="mark" x1="{left:.1f}" x2="{left:.1f}" y1="{height - 14:.1f}" y2="{height - 2:.1f}"/>'
        )
        parts.append(text(left + 9, height - 4, mark_label, "start"))
    return svg(height, title, parts)


def _thinned(values: np.ndarray) -> np.ndarray:
    """No more values than are told apart, the least and the greatest among them."""
    if len(values) <= _MOST_MARKED:
        return values
    return np.sort(values)[np.linspace(0, len(values) - 1, _MOST_MARKED).round().astype(int)]


def _spread(places: Sequence[float]) -> list[float]:
    """Moves labels apart that would overlap, and keeps their order."""
    spread = [0.0] * len(places)
    last = -math.inf
    for i in np.argsort(places, kind="stable"):
        last = spread[i] = max(places[i], last + _LABEL_GAP)
    return spread


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
