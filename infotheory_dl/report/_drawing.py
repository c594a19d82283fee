"""What all drawings of a page are made of: an SVG of one width, texts in it, and pictures."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from infotheory_dl.report.html import Html

WIDTH = 520.0


def svg(height: float, title: str, parts: Sequence[str]) -> Html:
    """A drawing; the title is for who cannot see it."""
    return Html(
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def text(x: float, y: float, words: str, anchor: str, kind: str = "tick") -> str:
    """Words at a place, which their anchor, start, middle or end, says which end of them has."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def shortened(label: str, most: int = 14) -> str:
    """A label of no more characters."""
    return label if len(label) <= most else label[: most - 1] + "…"


def png_uri(image: Image.Image) -> str:
    """A picture as a `data:` address."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
