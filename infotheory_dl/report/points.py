"""Points of several groups in two dimensions, as SVG."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from infotheory_dl.report._drawing import WIDTH, shortened, svg, text
from infotheory_dl.report._scales import grid_line, linear_scale, number
from infotheory_dl.report.html import Html
from infotheory_dl.results import concise

_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 330.0, 34.0, 120.0, 10.0, 34.0
_LEFT_OF_NUMBERS, _NUMBERS = 80.0, 20.0


@concise
class Points(NamedTuple):
    """The points of one group.

    Attributes:
      label: stands beside the chart.
      x, y: places.
    """

    label: str
    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]


def point_chart(groups: Sequence[Points], *, title: str, x_label: str, y_label: str, has_units: bool = False) -> Html:
    """Draws the points of groups, each in a colour of its own.

    Args:
      groups: at most five.
      title: for who cannot see it.
      x_label, y_label: stand at the axes.
      has_units: whether the axes have ticks with numbers.
    """
    left = _LEFT_OF_NUMBERS if has_units else _LEFT
    right, bottom = WIDTH - _RIGHT, _HEIGHT - _BOTTOM - (_NUMBERS if has_units else 0)
    xs_of, ys_of = [group.x for group in groups], [group.y for group in groups]
    if has_units:
        x = linear_scale(np.concatenate(xs_of), left, right)
        y = linear_scale(np.concatenate(ys_of), bottom, _TOP)
        across = [np.array([x.place(value) for value in values.tolist()]) for values in xs_of]
        along = [np.array([y.place(value) for value in values.tolist()]) for values in ys_of]
    else:
        across, along = _scaled(xs_of, left, right), _scaled(ys_of, bottom, _TOP)
    frame = f'x="{left:.1f}" y="{_TOP:.1f}" width="{right - left:.1f}" height="{bottom - _TOP:.1f}"'
    parts = [f'<rect class="grid" fill="none" {frame}/>']
    if has_units:
        parts += [grid_line(x.place(tick), _TOP, x.place(tick), bottom) for tick in x.ticks]
        parts += [grid_line(left, y.place(tick), right, y.place(tick)) for tick in y.ticks]
        parts += [text(x.place(tick), bottom + 18, number(tick), "middle") for tick in x.ticks]
        parts += [text(left - 8, y.place(tick) + 4, number(tick), "end") for tick in y.ticks]
    for style, (group, xs, ys) in enumerate(zip(groups, across, along, strict=True)):
        places = zip(xs.tolist(), ys.tolist(), strict=True)
        parts += [f'<circle class="s{style}" cx="{x:.1f}" cy="{y:.1f}" r="2.2" opacity=".55"/>' for x, y in places]
        height = _TOP + 14 + 18 * style
        parts.append(f'<circle class="s{style}" cx="{right + 14:.1f}" cy="{height - 4:.1f}" r="4"/>')
        parts.append(text(right + 24, height, shortened(group.label), "start", f"label s{style}"))
    parts.append(text((left + right) / 2, _HEIGHT - 12, x_label, "middle", "axis"))
    turned = f'transform="translate(20 {(_TOP + bottom) / 2:.1f}) rotate(-90)" text-anchor="middle"'
    parts.append(f'<text class="axis" {turned}>{y_label}</text>')
    return svg(_HEIGHT, title, parts)


def _scaled(values: Sequence[np.ndarray], start: float, end: float) -> list[np.ndarray]:
    """The values of all groups as places between two, with a margin."""
    drawn = np.concatenate(values)
    low, high = float(drawn.min()), float(drawn.max())
    reach = max(high - low, 1e-9) * 1.06
    middle = (low + high) / 2
    return [(start + end) / 2 + (group - middle) / reach * (end - start) for group in values]
