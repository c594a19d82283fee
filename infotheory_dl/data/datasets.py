"""Named image sets: scikit-learn's digits, which needs no download, and every set of tensorflow-datasets."""

import hashlib
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32, UInt8

from infotheory_dl._files import require_writable, whole_folder
from infotheory_dl.data import _prepared
from infotheory_dl.data._prepared import DataNotFoundError, Examples
from infotheory_dl.results import concise

__all__ = ["DataNotFoundError", "ImageSet", "load"]


@concise
class ImageSet(NamedTuple):
    """Images with class labels, in memory.

    Attributes:
      x: images; 0 to 255, of digits 0 to 16.
      y: labels in [0, num_classes).
      num_classes: number of classes of the whole set, whether or not this split has all of them.
      class_names: one name per class.
      name: the name it was loaded by.
      original_index: place of every example in the set's original order, where the set tells; else None.
    """

    x: UInt8[np.ndarray, "examples height width channels"]
    y: Int32[np.ndarray, " examples"]
    num_classes: int
    class_names: tuple[str, ...]
    name: str
    original_index: Int[np.ndarray, " examples"] | None = None


def load(
    name: str = "digits",
    split: str = "train",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = False,
    version: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> ImageSet:
    """Loads an image set by name, without TensorFlow.

    Args:
      name: "digits" (scikit-learn's, 1797 images of 8x8, one split "train") or a set of tensorflow-datasets with an
        image and a label: "mnist", "fashion_mnist", "cifar10" and so on.
      split: a split or a slice of one, "train", "test", "train[:1000]", "train[90%:]"; of prepared sets also
        "train+test".
      data_dir: folder of the prepared sets; by default $TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      download: whether to download and prepare a set that is absent. This imports TensorFlow; reading does not.
      version: version of a prepared set; by default the newest one.
      cache_dir: folder in which to keep the decoded arrays; a second load then maps them into memory, read-only.

    Returns:
      The images and labels, in the order in which the set was prepared.

    Raises:
      DataNotFoundError: a FileNotFoundError, if the set is not prepared; it says where it was sought and how to get it.
      ImportError: if `download` needs a package that is absent.
      ValueError: if the name or split is unknown, a file is cut short, or the set is not one of labelled images of one
        shape.
    """
    if name == "digits":
        return _digits(split)
    builder = _prepared.open_set(name, data_dir, version, download)
    files = _prepared.shards(builder, split)
    if cache_dir is None:
        examples = _prepared.read(builder, files)
    else:
        states = [(Path(file.filename).name, Path(file.filename).stat().st_size) for file in files]
        digest = hashlib.sha256(repr((split, states)).encode()).hexdigest()[:16]
        folder = Path(cache_dir).expanduser() / f"{name.replace('/', '-')}-{builder.info.version}-{digest}"
        examples = _cached(folder, lambda: _prepared.read(builder, files))
    label = builder.info.features["label"]
    return ImageSet(examples.x, examples.y, label.num_classes, tuple(label.names), name, examples.original_index)


def _digits(split: str) -> ImageSet:
    """Scikit-learn's digits from its own file: importing sklearn.datasets takes some two seconds."""
    package = importlib.util.find_spec("sklearn")
    folders = (package.submodule_search_locations if package else None) or []
    tables = [path for folder in folders if (path := Path(folder, "datasets", "data", "digits.csv.gz")).exists()]
    if tables:
        rows = np.loadtxt(tables[0], delimiter=",", dtype=np.uint8)
        images, labels = rows[:, :-1], rows[:, -1]
    else:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
    chosen = _slice_of_train(split, len(labels))
    x = images.reshape(-1, 8, 8, 1).astype(np.uint8)[chosen]
    y = labels.astype(np.int32)[chosen]
    return ImageSet(x, y, 10, tuple("0123456789"), "digits", np.arange(len(labels))[chosen])


def _slice_of_train(split: str, size: int) -> slice:
    """The rows that "train", "train[a:b]" or "train[a%:b%]" names."""
    match = re.fullmatch(r"train(?:\[(-?\d+%?)?:(-?\d+%?)?\])?", split)
    if not match:
        raise ValueError(f"unknown split {split!r} of digits; choose 'train' or a slice such as 'train[:1000]'")
    bounds = [
        bound and (round(int(bound[:-1]) * size / 100) if bound[-1] == "%" else int(bound)) for bound in match.groups()
    ]
    if any(bound and abs(bound) > size for bound in bounds):
        raise ValueError(f"{split!r} does not fit the {size} examples of digits")
    return slice(*bounds)


def _cached(folder: Path, read: Callable[[], Examples]) -> Examples:
    """What an earlier load has left in the folder, or else what `read` gives, which is then left there."""
    if not folder.is_dir():
        require_writable(folder.parent)  # before what may take long
        arrays = {key: array for key, array in read()._asdict().items() if array is not None}
        with whole_folder(folder) as staging:  # another process that is first has the same arrays
            for key, array in arrays.items():
                np.save(staging / f"{key}.npy", array)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}
    return Examples(arrays["x"], arrays["y"], arrays.get("original_index"))
