"""Files of arrays and of results: read with an error that helps, written whole or not at all."""

import csv
import errno
import glob
import io
import math
import os
import platform
import secrets
import shutil
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

Written = TypeVar("Written")

_UNFINISHED = ".unfinished"
_ABANDONED_SECONDS = 24 * 3600


def read_arrays(path: str | os.PathLike[str], *, remedy: str) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file.

    Args:
      path: of the file.
      remedy: how to make such a file, for the errors.

    Raises:
      ValueError: if the file is not an .npz file of plain arrays.
      OSError: if it cannot be opened.
    """
    place = Path(path).expanduser()
    with naming(f"cannot read {place}", f"; {remedy}"), place.open("rb") as stream:
        if not zipfile.is_zipfile(stream):
            raise ValueError(f"{path} is not an .npz file; {remedy}")
        try:
            with zipfile.ZipFile(stream) as archive:
                _require_plain_arrays(archive)
            stream.seek(0)
            return dict(np.load(stream))
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} cannot be read ({error}); {remedy}") from error


def write_arrays(stream: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as an .npz file, without pickle; what is equal gives equal bytes.

    Args:
      stream: of `whole_file`.
      arrays: of any names, which `numpy.savez` does not take. Those of real numbers are kept as they are: they hardly
        become smaller, and compressing them takes long.

    Raises:
      ValueError: if an array is of Python's objects.
    """
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_STORED if array.dtype.kind in "fc" else zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def require_writable(folder: str | os.PathLike[str]) -> Path:
    """Makes the folder, if it is absent, and tries to write in it; an OSError tells why that fails."""
    path = Path(folder).expanduser()
    with naming(f"cannot write to {path}"):
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=path).cleanup()
    return path


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file that takes its name once it is complete, in the place of what was there before.

    Its folder is made if it is absent. An OSError, such as that of a full disk, names the file.
    """
    path = Path(path).expanduser()
    with naming(f"cannot write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = _staging(path)
        try:
            with staging.open("wb") as stream:
                yield stream
            os.replace(staging, path)
        finally:
            staging.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text, whole or not at all, in UTF-8."""
    with whole_file(path) as stream:
        stream.write(text.encode())


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Adds a line to a file, whole or not at all; those of several writers do not mix.

    The file and its folder are made if they are absent. An OSError names the file.
    """
    path = Path(path).expanduser()
    with naming(f"cannot write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = f"{line}\n".encode()
        # without a buffer: one call of the system for the whole line
        with path.open("ab", buffering=0) as stream:
            written = stream.write(content)
            if written < len(content):
                stream.truncate(stream.tell() - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_or_keep(folder: str | os.PathLike[str], write: Callable[[Path], Written]) -> Written:
    """Writes into a folder; where that fails, as on a full disk, into one for temporary files, so that nothing is lost.

    Args:
      folder: where to.
      write: `write(folder)` writes.

    Returns:
      What `write` returns.

    Raises:
      OSError: the first one, if neither can be written.

    Warns:
      UserWarning: if it had to be the other folder, which is named.
    """
    try:
        return write(Path(folder))
    except OSError as error:
        refuge = None
        try:
            refuge = Path(tempfile.mkdtemp(prefix="infotheory-dl-"))
            written = write(refuge)
        except OSError:
            if refuge is not None:
                shutil.rmtree(refuge, ignore_errors=True)
            raise error from None
        warnings.warn(f"{error}; what was to be written there is in {refuge}", stacklevel=2)
        return written


@contextmanager
def whole_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Makes a folder that takes its name once it is complete; where another writer was first, that one's folder stays.

    Its parent is made if it is absent. An OSError names the folder.
    """
    folder = Path(folder).expanduser()
    with naming(f"cannot write {folder}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = _staging(folder)
        staging.mkdir()
        try:
            yield staging
            try:
                staging.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def write_together(
    folder: str | os.PathLike[str],
    contents: Mapping[str, str | bytes],
    *,
    in_place_of: Callable[[Path], Iterable[str]] = lambda folder: (),
) -> Path:
    """Writes files, by name, into a folder once all of them are complete, in the place of those before.

    The folder is made if it is absent. An OSError names it, and leaves the files before as they were. Of several
    writers the files of the last one stay, all of them.

    Args:
      folder: where to.
      contents: of the files.
      in_place_of: `in_place_of(folder)` names files of the writer before, which are removed if they are not written
        again; it is asked when no other writer is in the folder.

    Returns:
      The folder.
    """
    folder = Path(folder).expanduser()
    with naming(f"cannot write to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        staging = _staging(folder / "files")
        staging.mkdir()
        try:
            for name, content in contents.items():
                (staging / name).write_bytes(content.encode() if isinstance(content, str) else content)
            with _alone_in(folder):
                for name in set(in_place_of(folder)).difference(contents):
                    (folder / name).unlink(missing_ok=True)
                for name in contents:
                    os.replace(staging / name, folder / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


def csv_table(columns: Mapping[str, Iterable[Any]]) -> str:
    """Columns, by name, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _require_plain_arrays(archive: zipfile.ZipFile) -> None:
    """Raises a ValueError, before memory is asked for, if an array is none, is not whole, or is larger than memory."""
    needed = 0
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        with archive.open(member) as file:
            try:
                version = np.lib.format.read_magic(file)
            except ValueError:
                raise ValueError(f"{member.filename} in it is no array") from None
            if version > (2, 0):
                continue  # names of fields beyond Latin-1: NumPy offers no reader of the header alone
            read_header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
            shape, _, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f"{name} holds objects, which only pickle reads; make it numbers, or text by astype(str)")
        size = math.prod(shape) * dtype.itemsize
        if size > member.file_size:
            raise ValueError(f"{name} of shape {shape} needs {size:,} bytes, the file has {member.file_size:,}")
        needed += size
    if needed > (memory := machine_memory()):
        raise ValueError(f"its arrays need {needed / 2**30:,.1f} GiB, this machine has {memory / 2**30:,.1f} GiB")


def machine_memory() -> float:
    """Bytes of the machine's memory, infinite where that is not known."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return math.inf


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits for other writers in the folder; where the system knows no lock of folders, nobody waits."""
    descriptor = None
    with suppress(ImportError, OSError):
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)  # which ends the lock


def _staging(path: Path) -> Path:
    """A name beside the path that no other writer has: not in this process, in another, or on another machine.

    What programs that were killed have left there under such names is removed after a day.
    """
    for abandoned in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        with suppress(OSError):  # another process may be first
            if time.time() - abandoned.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(abandoned) if abandoned.is_dir() else abandoned.unlink()
    writer = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name}.{writer}{_UNFINISHED}")


@contextmanager
def naming(failure: str, remedy: str = "") -> Iterator[None]:
    """Says of an OSError what failed, in the class that it has."""
    try:
        yield
    except OSError as error:
        kind = type(error) if type(error).__module__ == "builtins" else OSError
        told = kind(f"{failure}: {error.strerror or error}{remedy}")
        told.errno = error.errno
        raise told from error
