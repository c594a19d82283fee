"""Images in folders, one folder for each class."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Real

from infotheory_dl._validation import require_count

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_GREY_DEPTHS = {"1": "L", "L": "L", "LA": "L", "I;16": "I;16", "I": "I", "F": "F"}


class Images(NamedTuple):
    """Images of classes.

    Attributes:
      x: of one size: grey, or with three channels.
      classes: the folder that each lies in.
      names: the path of each below the folder of all.
      notices: what a user should know.
    """

    x: Real[np.ndarray, "images height width *channels"]
    classes: np.ndarray
    names: tuple[str, ...]
    notices: tuple[str, ...]


def read_images(folder: Path, size: int | None) -> Images:
    """Reads all images in the folders of a folder.

    Args:
      folder: holds one folder for each class.
      size: the height and width that all are brought to; by default they must have one size.

    Raises:
      ValueError: if there is no image, one cannot be read, or they differ in size.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [path for below in folders for path in sorted(below.rglob("*")) if path.is_file() and path.name[0] != "."]
    images = [path for path in files if path.suffix.lower() in _SUFFIXES]
    if not images:
        held = "has no folders" if not folders else f"has the folders {', '.join(path.name for path in folders[:5])}"
        raise ValueError(
            f"a folder of images holds a folder for each class, with images ({', '.join(sorted(_SUFFIXES))}) in it;"
            f" this one {held}{' without images' if folders else ''}"
        )
    require_count(1, image_size=size)
    read = [read_image(path, size) for path in images]
    notices = []
    if len(files) > len(images):
        other = next(path for path in files if path not in set(images))
        notices.append(f"{len(files) - len(images)} files that are no images were passed over, such as {other.name}.")
    if len({pixels.ndim for pixels in read}) > 1:
        grey = sum(pixels.ndim == 2 for pixels in read)
        notices.append(f"{grey} of {len(read)} images are grey: each got three equal channels, as the others have.")
        read = [np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels for pixels in read]
    described = lambda pixels: f"{pixels.shape[1]} x {pixels.shape[0]} of {pixels.dtype}"
    for path, pixels in zip(images, read, strict=True):
        if described(pixels) != described(read[0]):
            raise ValueError(
                f"images must be of one size and depth: {images[0].relative_to(folder)} is {described(read[0])},"
                f" {path.relative_to(folder)} is {described(pixels)}; bring all to one size with image_size=32"
            )
    return Images(
        np.stack(read),
        np.array([path.relative_to(folder).parts[0] for path in images]),
        tuple(path.relative_to(folder).as_posix() for path in images),
        tuple(notices),
    )


def read_image(path: Path, size: int | None) -> np.ndarray:
    """One image, upright: (height, width) if it is grey, else (height, width, 3)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            image = image.convert(_GREY_DEPTHS.get(image.mode, "RGB"))
            return np.asarray(image if size is None else image.resize((size, size), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path.name} is no image that can be read ({error}); mend or remove it") from error
