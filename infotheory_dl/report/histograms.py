"""How often values occur, as SVG."""

import math
from collections.abc import Mapping

import numpy as np

from infotheory_dl.report._drawing import WIDTH, svg, text
from infotheory_dl.report._scales import grid_line, linear_scale, number, power
from infotheory_dl.report.html import Html

_BINS = 48
_HEIGHT = 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 16.0, 22.0, 44.0
_LEGEND_ROW = 17.0
_FEWEST = 0.7  # so that a bar of one has a height


def histogram(
    groups: Mapping[str, np.ndarray], *, title: str, x_label: str, marks: Mapping[str, float] | None = None
) -> Html:
    """Draws how many values of each group lie where, on a logarithmic axis, so that a few are seen beside many.

    Args:
      groups: values by name, at most five; a later one stands before those drawn earlier. None may be all empty.
      title: what is seen, for who cannot see it.
      x_label: stands at the axis.
      marks: values that are drawn as upright lines, by the words that stand above them.
    """
    marks = {words: place for words, place in (marks or {}).items() if math.isfinite(place)}
    values = np.concatenate([*groups.values(), np.array(list(marks.values()))])
    right, bottom = WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    x = linear_scale(values, _LEFT, right)
    edges = np.linspace(x.ticks[0], x.ticks[-1], _BINS + 1)
    counts = [np.histogram(group, edges)[0] for group in groups.values()]
    decades = range(math.ceil(math.log10(max(2, max(count.max() for count in counts)))) + 1)
    low, high = math.log10(_FEWEST), float(decades[-1])
    height_of = lambda count: bottom - (math.log10(max(count, _FEWEST)) - low) / (high - low) * (bottom - _TOP)
    parts = [grid_line(_LEFT, height_of(10.0**i), right, height_of(10.0**i)) for i in decades]
    parts += [text(_LEFT - 8, height_of(10.0**i) + 4, power(10.0**i), "end") for i in decades]
    parts += [text(x.place(tick), bottom + 18, number(tick), "middle") for tick in x.ticks]
    width = (right - _LEFT) / _BINS
    for style, group in enumerate(counts):
        for i in np.flatnonzero(group).tolist():
            top = height_of(group[i])
            box = f'x="{_LEFT + i * width + 0.5:.1f}" y="{top:.1f}" width="{width - 1:.1f}" height="{bottom - top:.1f}"'
            parts.append(f'<rect class="count s{style}" {box}/>')
    for words, place in marks.items():
        at = x.place(place)
        parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 4:.1f}" y2="{bottom:.1f}"/>')
        anchor = "start" if at < WIDTH / 2 else "end"
        parts.append(text(at, _TOP - 9, words, anchor))
    parts.append(text((_LEFT + right) / 2, _HEIGHT - 8, x_label, "middle", "axis"))
    for style, name in enumerate(groups if len(groups) > 1 else ()):
        top = _HEIGHT + style * _LEGEND_ROW
        parts.append(f'<rect class="count s{style}" x="{_LEFT:.1f}" y="{top:.1f}" width="11" height="11"/>')
        parts.append(text(_LEFT + 18, top + 10, name, "start"))
    return svg(_HEIGHT + (_LEGEND_ROW * len(groups) if len(groups) > 1 else 0), title, parts)
