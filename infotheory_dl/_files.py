"""Files of arrays and of results: read with an error that helps, written whole or not at all."""

import csv
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_STAGING = ".unfinished"


def read_arrays(path: str | os.PathLike[str], *, remedy: str) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file.

    Args:
      path: of the file.
      remedy: how to make such a file, for the errors.

    Raises:
      ValueError: if the file is not an .npz file of plain arrays.
      OSError: if it cannot be opened.
    """
    with Path(path).expanduser().open("rb") as stream:
        if not zipfile.is_zipfile(stream):
            raise ValueError(f"{path} is not an .npz file; {remedy}")
        stream.seek(0)
        try:
            return dict(np.load(stream))
        except (ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} cannot be read ({error}); {remedy}") from error


def require_writable(folder: str | os.PathLike[str]) -> Path:
    """Makes the folder, if it is absent, and tries to write in it; an OSError tells why that fails."""
    path = Path(folder).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=path).cleanup()
    except OSError as error:
        raise OSError(f"cannot write to {path}: {error.strerror or error}") from error
    return path


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file that takes its name once it is complete, in the place of what was there before."""
    path = Path(path).expanduser()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            yield stream
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_together(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Writes files, by name, into a folder once all of them are complete, in the place of those before."""
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)  # of a program that was killed
    staging.mkdir()
    for name, content in contents.items():
        if isinstance(content, bytes):
            (staging / name).write_bytes(content)
        else:
            (staging / name).write_text(content, encoding="utf-8")
    for name in contents:
        os.replace(staging / name, folder / name)
    staging.rmdir()


def csv_table(columns: Mapping[str, Iterable[Any]]) -> str:
    """Columns, by name, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()
