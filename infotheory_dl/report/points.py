"""Points of several groups in two dimensions, as SVG."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from infotheory_dl.report._drawing import WIDTH, shortened, svg, text
from infotheory_dl.report.html import Html
from infotheory_dl.results import concise

_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 330.0, 34.0, 120.0, 10.0, 34.0


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


def point_chart(groups: Sequence[Points], *, title: str, x_label: str, y_label: str) -> Html:
    """Draws the points of groups, each in a colour of its own, on axes without units.

    Args:
      groups: at most five.
      title: for who cannot see it.
      x_label, y_label: stand at the axes.
    """
    right, bottom = WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    across = _scaled([group.x for group in groups], _LEFT, right)
    along = _scaled([group.y for group in groups], bottom, _TOP)
    frame = f'x="{_LEFT:.1f}" y="{_TOP:.1f}" width="{right - _LEFT:.1f}" height="{bottom - _TOP:.1f}"'
    parts = [f'<rect class="grid" fill="none" {frame}/>']
    for style, (group, xs, ys) in enumerate(zip(groups, across, along, strict=True)):
        places = zip(xs.tolist(), ys.tolist(), strict=True)
        parts += [f'<circle class="s{style}" cx="{x:.1f}" cy="{y:.1f}" r="2.2" opacity=".55"/>' for x, y in places]
        height = _TOP + 14 + 18 * style
        parts.append(f'<circle class="s{style}" cx="{right + 14:.1f}" cy="{height - 4:.1f}" r="4"/>')
        parts.append(text(right + 24, height, shortened(group.label), "start", f"label s{style}"))
    parts.append(text((_LEFT + right) / 2, _HEIGHT - 12, x_label, "middle", "axis"))
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
