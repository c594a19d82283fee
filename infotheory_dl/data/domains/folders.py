"""Images of several domains in the folders of a user."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from infotheory_dl._validation import edge, require_count
from infotheory_dl.data.domains.images import ImageDomains, ImageSplits
from infotheory_dl.data.tables.formats import naming, read_text_columns
from infotheory_dl.data.tables.images import read_image, read_images
from infotheory_dl.types import Key

_COLUMNS = ("patient", "node", "x_coord", "y_coord", "tumor", "center", "split")
_VALIDATION_SPLIT = 1
_UNSEEN_HOSPITAL, _TEST_HOSPITAL = 1, 2
_CLASSES = ("normal", "tumour")


@edge
def read_image_domains(folder: str | os.PathLike[str], *, image_size: int | None = None) -> ImageDomains:
    """Reads images from a folder for each domain, with a folder for each class in it, as PACS and OfficeHome are.

    Args:
      folder: of the domains.
      image_size: height and width that all are brought to; by default they must have one size.

    Returns:
      The images, of three channels, or of one if all are grey. Domains and classes are numbered by name; a class need
      not be in all domains.

    Raises:
      ValueError: if there are fewer than two domains or two classes, one has no images, or an image cannot be read.
    """
    place = Path(folder).expanduser()
    require_count(1, image_size=image_size)
    with naming(place):
        if not place.is_dir():
            raise ValueError("this is no folder; give one that holds a folder for each domain")
        below = sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
        if len(below) < 2:
            raise ValueError(
                f"must hold folders of two domains at least, each with a folder for each class, got {len(below)}"
            )
    read = []
    for domain in below:
        with naming(domain):
            read.append(read_images(domain, image_size))
    classes = np.unique(np.concatenate([images.classes for images in read]))
    if len(classes) < 2:
        raise ValueError(f"{place}: there must be two classes at least, got {classes[0].item()!r} alone")
    x = [_unit(images.x) for images in read]
    channels = max(part.shape[-1] for part in x)
    x = [np.broadcast_to(part, (*part.shape[:-1], channels)) for part in x]
    for domain, part in zip(below, x, strict=True):
        if part.shape[1:] != x[0].shape[1:]:
            described = lambda shape: f"{shape[2]} x {shape[1]}"
            raise ValueError(
                f"{place}: images of all domains must be of one size: those of {below[0].name} are"
                f" {described(x[0].shape)}, of {domain.name} {described(part.shape)}; bring all to one with"
                " image_size=32"
            )
    return ImageDomains(
        np.concatenate(x),
        np.concatenate([np.searchsorted(classes, images.classes) for images in read]),
        np.repeat(np.arange(len(below)), [len(part) for part in x]),
        tuple(domain.name for domain in below),
        tuple(classes.tolist()),
    )


@edge
def read_camelyon(
    key: Key, folder: str | os.PathLike[str], *, num_examples: int | None = None, image_size: int | None = None
) -> ImageSplits:
    """Reads Camelyon17 as WILDS has it: patches of lymph nodes of five hospitals, with a tumour in the middle or not.

    Hospitals 0, 3 and 4 are the sources, 1 the unseen one, 2 the second, for the test.

    Args:
      key: source of randomness: of the patches that are read where not all are.
      folder: with `metadata.csv` and `patches`, as WILDS unpacks it.
      num_examples: patches of each hospital in each part, at most; default all, 455,954, which take 50 GB.
      image_size: height and width that patches are brought to; default as they are, 96.

    Returns:
      The patches; the labels say whether there is a tumour.

    Raises:
      ValueError: if the folder is not as WILDS has it, or a patch cannot be read.

    Source: Koh et al., 2021 (WILDS); Bándi et al., 2018.
    """
    place = Path(folder).expanduser()
    require_count(1, num_examples=num_examples, image_size=image_size)
    table = place / "metadata.csv"
    if not table.is_file():
        raise ValueError(f"{place}: there is no metadata.csv; give the folder camelyon17_v1.0 that WILDS unpacks")
    with naming(table):
        columns, _ = read_text_columns(table, None, None)
        lacking = [name for name in _COLUMNS if name not in columns]
        if lacking:
            raise ValueError(f"lacks the columns {', '.join(lacking)}: this is not the table of WILDS")
        patient, node, across, down, tumor, hospital, split = (
            _whole_numbers(name, np.asarray(columns[name])) for name in _COLUMNS
        )
    is_source = ~np.isin(hospital, (_UNSEEN_HOSPITAL, _TEST_HOSPITAL))
    parts = {
        "train": is_source & (split != _VALIDATION_SPLIT),
        "validation": is_source & (split == _VALIDATION_SPLIT),
        "unseen": hospital == _UNSEEN_HOSPITAL,
        "test": hospital == _TEST_HOSPITAL,
    }
    names = tuple(f"hospital {number}" for number in range(int(hospital.max()) + 1))

    def path(row: int) -> Path:
        stem = f"patient_{patient[row]:03d}_node_{node[row]}"
        return place / "patches" / stem / f"patch_{stem}_x_{across[row]}_y_{down[row]}.png"

    def read(row: int) -> np.ndarray:
        file = path(row)
        if not file.is_file():
            raise ValueError(f"{table}: its row {row} names {file.relative_to(place)}, which is not there")
        with naming(file):
            return _unit(read_image(file, image_size)[None])[0]

    def part(number: int, name: str) -> ImageDomains:
        own = np.flatnonzero(parts[name])
        if not len(own):
            raise ValueError(f"{table}: no patch is of the part {name!r}")
        order = np.asarray(jax.random.permutation(jax.random.fold_in(key, number), own)) if num_examples else own
        chosen = [order[hospital[order] == each][:num_examples] for each in np.unique(hospital[own])]
        rows = np.sort(np.concatenate(chosen))
        with ThreadPoolExecutor() as pool:
            x = np.stack(list(pool.map(read, rows.tolist())))
        return ImageDomains(x, tumor[rows], hospital[rows], names, _CLASSES)

    return ImageSplits(*(part(number, name) for number, name in enumerate(parts)))


def _whole_numbers(name: str, column: np.ndarray) -> np.ndarray:
    try:
        return column.astype(int)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the column {name} must hold whole numbers ({error})") from error


def _unit(images: np.ndarray) -> np.ndarray:
    """Images between 0 and 1, with an axis of channels."""
    images = images[..., None] if images.ndim == 3 else images
    if not np.issubdtype(images.dtype, np.integer):
        return images.astype(np.float32)
    largest = np.float32(255 if images.dtype == np.uint8 else 65_535)
    return (images / largest).astype(np.float32)
