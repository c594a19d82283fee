"""Images as small PNGs that stand inside an HTML page, alone or as a gallery."""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Real
from PIL import Image

from infotheory_dl.report._drawing import png_uri
from infotheory_dl.report.html import Html, element

_LARGEST_SIDE = 96


class Picture(NamedTuple):
    """One picture of a gallery, with what stands below it.

    Attributes:
      uri: of `data_uris`.
      name: of what is seen, for who cannot see it.
      label: the first line, in bold.
      number: the second.
      verdict: the last, and whether it is good; None if there is none.
    """

    uri: str
    name: str
    label: str
    number: str
    verdict: tuple[str, bool] | None = None


def gallery(pictures: Iterable[Picture]) -> Html:
    """Pictures side by side."""
    items = []
    for picture in pictures:
        below = [element("span", picture.label, class_="labels"), element("span", picture.number, class_="number")]
        if picture.verdict is not None:
            text, good = picture.verdict
            below.append(element("span", text, class_="verdict yes" if good else "verdict no"))
        items.append(element("li", picture_element(picture.uri, picture.name), *below))
    return element("ul", *items, class_="grid")


def picture_element(uri: str, name: str) -> Html:
    """An image; `name` is for who cannot see it."""
    return Html(f'<img src="{escape(uri)}" alt="{escape(name)}">')


def data_uris(
    images: Real[np.ndarray, "examples height width channels"], *, limits: tuple[float, float] | None = None
) -> list[str]:
    """Encodes images as `data:` addresses.

    Three channels are colours; any other number of them is shown by its mean, in grey.

    Args:
      images: of any unit.
      limits: the values that are black and white; by default the least and the greatest of all.
    """
    low, high = limits or (float(images.min()), float(images.max()))
    scaled = (images.astype(np.float32) - low) * (255 / (high - low if high > low else 1.0))
    pixels = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    if pixels.shape[-1] != 3:
        pixels = pixels.mean(-1).astype(np.uint8)
    return [_data_uri(image) for image in pixels]


def _data_uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    return png_uri(image)
