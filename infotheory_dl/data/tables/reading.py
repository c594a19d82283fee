"""The one reader of users' files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from infotheory_dl._files import read_arrays
from infotheory_dl._validation import edge
from infotheory_dl.data.tables.columns import frame_columns, listed
from infotheory_dl.data.tables.encoding import Missing, TableEncoding
from infotheory_dl.data.tables.formats import naming, read_array, read_parquet_columns, read_text_columns
from infotheory_dl.data.tables.images import read_images
from infotheory_dl.data.tables.table import (
    ColumnName,
    Reading,
    Table,
    as_table,
    checked,
    of_columns,
    of_images,
    with_held_out,
)

_COLUMNS = (".csv", ".tsv", ".parquet")
_PACKED = (".gz", ".bz2", ".xz", ".zip", ".zst", ".tar", ".tgz", ".7z")
_FORMATS = ".csv, .tsv, .parquet, .npz, .npy (x and y), or a folder that holds a folder of images for each class"


@edge
def read_table(
    path: str | os.PathLike[str] | None = None,
    *,
    label: ColumnName | None = None,
    x: str | os.PathLike[str] | None = None,
    y: str | os.PathLike[str] | None = None,
    labelled: bool = False,
    row_names: ColumnName | None = None,
    drop: Sequence[ColumnName] = (),
    missing: Missing = "fill",
    max_categories: int = 50,
    encoding: TableEncoding | None = None,
    delimiter: str | None = None,
    image_size: int | None = None,
) -> Table:
    """Reads a data set from a file or a folder; see `as_table` for what becomes of it.

    Args:
      path: a .csv, .tsv or .parquet file; an .npz file with the arrays x and y, and x_test, y_test, feature_names,
        row_names if there are any; a .npy file; or a folder that holds a folder of images for each class, or two such
        folders, train and test. None where x and y are .npy files.
      label: the column with the labels.
      x, y: the names of the arrays of an .npz file, or the paths of .npy files.
      labelled: whether data without labels are refused.
      row_names, drop, missing, max_categories, encoding: see `as_table`.
      delimiter: between the columns of a .csv or .tsv file; by default found from the header.
      image_size: the height and width that images are brought to; by default they must have one size.

    Returns:
      The table.

    Raises:
      ValueError: with the path, what is wrong with the data, and what to do.
      OSError: if a file cannot be opened.
      ImportError: if what reads the format is not installed.
    """
    reading = checked(Reading(row_names, tuple(drop), missing, max_categories, encoding))
    place = Path(os.fspath(path if path is not None else x or "")).expanduser()
    if path is None and (x is None or place.suffix != ".npy"):
        raise ValueError("give the path of the data, or x and y, the paths of two .npy files")
    suffix = "" if place.is_dir() else place.suffix.lower()
    with naming(place):
        _require_fitting(
            suffix, label=label, x=None if path is None else x, y=y, delimiter=delimiter, image_size=image_size
        )
    if place.is_dir():
        table = _read_folder(place, image_size, reading)
    elif suffix == ".npz":
        table = _read_npz(place, str(x or "x"), None if y is None else str(y), labelled, reading)
    elif suffix == ".npy":
        features, labels = _read_npy(place), None if y is None else _read_npy(Path(y).expanduser())
        with naming(place):
            table = as_table(features, labels, label=label, **reading._asdict())
    else:
        notices: list[str] = []
        with naming(place):
            if suffix == ".parquet":
                columns = read_parquet_columns(place)
            else:
                columns, notices = read_text_columns(place, delimiter, label)
            if label is None and labelled:
                raise ValueError(
                    f"which column has the labels? Name it by label=, --label in commands; it has"
                    f" {listed(columns, limit=20)}"
                )
            table = of_columns(frame_columns(columns), None, label, reading, None)
            table = table._replace(notices=(*notices, *table.notices))
    if table.y is None and labelled:
        raise ValueError(f"{place}: there are no labels; name the .npy file that holds them by y=, --y in commands")
    return table


def _require_fitting(suffix: str, **given: Any) -> None:
    """Raises a ValueError if the format is none that is read, or a setting is of another format."""
    belongs = {
        "label": ("names a column", (*_COLUMNS, ".npy")),
        "x": ("names an array of an .npz file, or, without another path, a .npy file", (".npz",)),
        "y": ("names an array of an .npz file, or a .npy file; a column of labels is named by label", (".npz", ".npy")),
        "delimiter": ("is of a .csv or .tsv file", (".csv", ".tsv")),
        "image_size": ("is of a folder of images", ("",)),
    }
    if suffix not in ("", ".npz", ".npy", *_COLUMNS):
        packed = "unpack it first; " if suffix in _PACKED else ""
        raise ValueError(f"files of the suffix {suffix!r} are not read; {packed}give {_FORMATS}")
    for setting, value in given.items():
        what, suffixes = belongs[setting]
        if value is not None and suffix not in suffixes:
            raise ValueError(f"{setting}={str(value)!r} does not fit: {setting} {what}")


def _read_folder(folder: Path, image_size: int | None, reading: Reading) -> Table:
    with naming(folder):
        parts = {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
        parted = parts.keys() == {"train", "test"}
        images = read_images(parts["train"] if parted else folder, image_size)
        table = of_images(images.x, images.classes, reading._replace(row_names=images.names))
        if parted:
            further = read_images(parts["test"], image_size)
            table = with_held_out(table, (further.x, further.classes))
        return table._replace(notices=(*images.notices, *table.notices))


def _read_npz(path: Path, x: str, y: str | None, labelled: bool, reading: Reading) -> Table:
    arrays = read_arrays(path, remedy=f"make one by numpy.savez({os.fspath(path)!r}, x=x, y=y)")
    needed = [x, *([y or "y"] if y is not None or labelled else [])]
    absent = [name for name in needed if name not in arrays]
    if absent:
        held = ", ".join(arrays) or "no arrays"
        raise ValueError(
            f"{path} lacks {' and '.join(absent)}: it has {held}; name the arrays by x= and y=, --x and --y in commands"
        )
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise ValueError(f"{path} must have both x_test and y_test, or neither")
    names = arrays.get("feature_names")
    if reading.row_names is None and "row_names" in arrays:
        reading = reading._replace(row_names=arrays["row_names"].tolist())
    with naming(path):
        return as_table(
            arrays[x],
            arrays.get(y or "y"),
            (arrays["x_test"], arrays["y_test"]) if "x_test" in arrays else None,
            feature_names=None if names is None else names.tolist(),
            **reading._asdict(),
        )


def _read_npy(path: Path) -> np.ndarray:
    with naming(path):
        return read_array(path)
