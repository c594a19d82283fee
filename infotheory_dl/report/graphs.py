"""Graphs of two kinds of nodes: factors, and the variables that belong to them."""

from collections.abc import Sequence
from typing import NamedTuple

from infotheory_dl.report._drawing import WIDTH, shortened, svg, text
from infotheory_dl.report.html import Html

_STEP = 19.0
_GAP = 14.0
_LEFT, _RIGHT = 140.0, 330.0
_WIDEST = 7.0


class Link(NamedTuple):
    """From a factor to a variable.

    Attributes:
      to: the number of the variable.
      strength: the width of the line.
      positive: the line is broken where it is not.
    """

    to: int
    strength: float
    positive: bool = True


class Hub(NamedTuple):
    """A factor with the variables that belong to it.

    Attributes:
      label: stands beside it.
      members: the names of its variables, from above.
      links: from it to variables of all, numbered over the members of one hub after the other.
    """

    label: str
    members: Sequence[str]
    links: Sequence[Link]


def hub_chart(hubs: Sequence[Hub], *, title: str) -> Html:
    """Draws every factor at the left of the middle of its variables, and lines to all that it is linked with.

    Args:
      hubs: from above.
      title: for who cannot see it.
    """
    places, middles, bottom = [], [], 6.0
    for hub in hubs:
        own = [bottom + (i + 0.5) * _STEP for i in range(max(1, len(hub.members)))]
        middles.append((own[0] + own[-1]) / 2)
        places += own[: len(hub.members)]
        bottom = own[-1] + _STEP / 2 + _GAP
    names = [name for hub in hubs for name in hub.members]
    strongest = max((link.strength for hub in hubs for link in hub.links), default=1.0) or 1.0
    lines, nodes = [], []
    for number, (hub, middle) in enumerate(zip(hubs, middles, strict=True)):
        for link in sorted(hub.links, key=lambda link: link.strength):
            width = max(0.6, _WIDEST * link.strength / strongest)
            broken = "" if link.positive else ' stroke-dasharray="5 4"'
            lines.append(
                f'<path class="link s{number % 5}" d="M{_LEFT:.0f} {middle:.1f} C{_LEFT + 90:.0f} {middle:.1f}'
                f' {_RIGHT - 90:.0f} {places[link.to]:.1f} {_RIGHT:.0f} {places[link.to]:.1f}"'
                f' stroke-width="{width:.1f}"{broken}/>'
            )
        nodes.append(f'<circle class="dot s{number % 5}" cx="{_LEFT:.1f}" cy="{middle:.1f}" r="6"/>')
        nodes.append(text(_LEFT - 12, middle + 4, shortened(hub.label, 18), "end", f"label s{number % 5}"))
    for name, place in zip(names, places, strict=True):
        nodes.append(f'<circle class="member" cx="{_RIGHT:.1f}" cy="{place:.1f}" r="3"/>')
        nodes.append(text(_RIGHT + 9, place + 4, shortened(name, int((WIDTH - _RIGHT - 12) / 7)), "start"))
    return svg(bottom, title, lines + nodes)
