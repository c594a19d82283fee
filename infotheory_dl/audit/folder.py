"""The folder of an audit: its files, and no others of an audit before."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from infotheory_dl import data, report
from infotheory_dl._files import write_together

_NOT_ALWAYS = ("labels.npy", "repaired.csv", "repaired.parquet", "repaired.tsv")
_FILES = ("config.json", "report.html", "scores.csv", *_NOT_ALWAYS)


def write_files(folder: Path, record: Mapping[str, Any], contents: Mapping[str, str | bytes]) -> None:
    """Writes the files of an audit, and removes those that the one before left there and this one lacks.

    Args:
      folder: where to.
      record: what becomes config.json; the names of the files are added, by which the next audit knows them.
      contents: the other files, by name.

    Raises:
      OSError: if the folder cannot be written.
    """
    names = ("config.json", *contents)
    config = report.as_json({**record, "files": " ".join(names)})
    write_together(folder, {"config.json": config, **contents}, in_place_of=_left_by_the_last)


def require_apart(folder: Path, source: data.Source) -> None:
    """Raises a ValueError if an audit into the folder would replace the data that it is of."""
    own = {(folder.expanduser() / name).resolve() for name in _FILES}
    for option in ("data", "x", "y"):
        path = getattr(source, option)
        if path is not None and Path(path).expanduser().resolve() in own:
            raise ValueError(
                f"--{option} {path} has the name and the folder of a file that the audit writes, which would replace"
                " it: give another --output"
            )


def _left_by_the_last(folder: Path) -> list[str]:
    """What the last audit wrote there by its own record: a file of the user's is in none."""
    with suppress(OSError, ValueError, AttributeError):
        written = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("files", "").split()
        return [name for name in written if name in _NOT_ALWAYS]
    return []
