"""Images as small PNGs that stand inside an HTML page."""

import base64
import io

import numpy as np
from jaxtyping import Real
from PIL import Image

_LARGEST_SIDE = 96


def data_uris(images: Real[np.ndarray, "examples height width channels"]) -> list[str]:
    """Encodes images as `data:` addresses, from the darkest value of all to the brightest.

    Three channels are colours; any other number of them is shown by its mean, in grey.
    """
    low, high = float(images.min()), float(images.max())
    scaled = (images.astype(np.float32) - low) * (255 / (high - low if high > low else 1.0))
    pixels = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    if pixels.shape[-1] != 3:
        pixels = pixels.mean(-1).astype(np.uint8)
    return [_data_uri(image) for image in pixels]


def _data_uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
