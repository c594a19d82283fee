"""Matrices as maps of colours, such as correlations of variables that stand in groups."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Real
from PIL import Image

from infotheory_dl.report._drawing import WIDTH, png_uri, shortened, svg, text
from infotheory_dl.report.format import with_minus
from infotheory_dl.report.html import Html

# from the least to the greatest value of a map around zero, and of one from zero
_DIVERGING = ((11, 95, 165), (255, 255, 255), (184, 72, 11))
_RISING = ((255, 255, 255), (141, 179, 214), (11, 95, 165))
_MOST_PIXELS = 600
_MOST_LABELS = 40
_LABEL_WIDTH = 7.0
_BAR = 14.0
_MISSING = (214, 219, 224)


def heat_map(
    values: Real[np.ndarray, "rows columns"],
    *,
    title: str,
    limits: tuple[float, float],
    labels: Sequence[str] = (),
    groups: Sequence[int] = (),
    key: str = "",
) -> Html:
    """Draws a square matrix as a map of colours with its key; large ones by the means of blocks.

    Args:
      values: rows from above; grey where they are NaN.
      title: for who cannot see it.
      limits: the values at the ends of the colours, which have white in their middle where the first is negative, and
        at the first where it is not.
      labels: of the rows, which the columns share; up to 40 are written, of more none.
      groups: how many neighbouring rows belong together; lines part them.
      key: what the colours stand for.
    """
    labels = [shortened(label) for label in labels] if len(labels) <= _MOST_LABELS else []
    margin = 10 + _LABEL_WIDTH * max(map(len, labels), default=0)
    side = min(WIDTH - margin - 10, 360.0)
    top = 6.0
    height = top + side + (margin if labels else 10) + 40
    picture = png_uri(_colours(_in_blocks(values), limits))
    parts = [
        f'<image x="{margin:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}" preserveAspectRatio="none"'
        f' style="image-rendering:pixelated" href="{picture}"/>'
    ]
    cell = side / len(values)
    for i, label in enumerate(labels):
        place = (i + 0.5) * cell
        parts.append(text(margin - 5, top + place + 4, label, "end"))
        parts.append(
            f'<g transform="translate({margin + place + 4:.1f} {top + side + 5:.1f}) rotate(-90)">'
            f"{text(0.0, 0.0, label, 'end')}</g>"
        )
    for edge in np.cumsum(groups)[:-1].tolist():
        place = edge * cell
        for x1, y1, x2, y2 in ((0, place, side, place), (place, 0, place, side)):
            parts.append(
                f'<line class="parting" x1="{margin + x1:.1f}" x2="{margin + x2:.1f}" y1="{top + y1:.1f}"'
                f' y2="{top + y2:.1f}"/>'
            )
    parts += _key(margin, height - 34, side, limits, key)
    return svg(height, title, parts)


def _key(left: float, top: float, width: float, limits: tuple[float, float], words: str) -> list[str]:
    """The colours in their order, with their ends."""
    low, high = limits
    picture = png_uri(_colours(np.linspace(low, high, 64)[None], limits))
    right = left + width
    return [
        f'<image x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BAR:.1f}" preserveAspectRatio="none"'
        f' href="{picture}"/>',
        text(left, top + _BAR + 14, with_minus(f"{low:.3g}"), "start"),
        text((left + right) / 2, top + _BAR + 14, words, "middle", "axis"),
        text(right, top + _BAR + 14, with_minus(f"{high:.3g}"), "end"),
    ]


def _in_blocks(values: np.ndarray) -> np.ndarray:
    """Means of blocks, where there are more rows than a page shows."""
    step = -(-len(values) // _MOST_PIXELS)
    if step == 1:
        return values
    starts = np.arange(0, len(values), step)
    known = np.isfinite(values)
    total, count = (
        np.add.reduceat(np.add.reduceat(part, starts, axis=0), starts, axis=1)
        for part in (np.where(known, values, 0.0), known.astype(float))
    )
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _colours(values: np.ndarray, limits: tuple[float, float]) -> Image.Image:
    low, high = limits
    ramp = np.array(_DIVERGING if low < 0 else _RISING, float)
    places = np.clip((values - low) / (high - low if high > low else 1.0), 0, 1) * (len(ramp) - 1)
    known = np.isfinite(places)
    channels = [np.interp(np.where(known, places, 0), np.arange(len(ramp)), ramp[:, i]) for i in range(3)]
    pixels = np.where(known[..., None], np.stack(channels, axis=-1), _MISSING)
    return Image.fromarray(pixels.round().astype(np.uint8))
