"""Images inside a page."""

import base64
import io

import numpy as np
from PIL import Image

from infotheory_dl.report import data_uris


def test_images_keep_their_values_and_colours():
    image = np.array([[[[0, 0, 0], [255, 0, 0]]]], np.uint8)
    assert decode(data_uris(image)[0]).tolist() == [[[0, 0, 0], [255, 0, 0]]]
    grey = np.array([[[[-1.0], [0.0], [1.0]]]])
    assert decode(data_uris(grey)[0]).tolist() == [[0, 128, 255]]
    assert max(decode(data_uris(np.zeros((1, 300, 200, 1)))[0]).shape) == 96


def decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
