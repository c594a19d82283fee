"""A store on disk: what it was made of, its stays and their cells."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from infotheory_dl.results import concise

if TYPE_CHECKING:
    import polars as pl

FORMAT = 1


@concise
class Built(NamedTuple):
    """What a store was built of.

    Attributes:
      path: its folder.
      cohort: stays, admissions and subjects after each step of the cohort.
      events: rows of the event tables after each step of the validation.
      cells: events of each channel before and after cleaning; values by time and channel, and how many of them were
        chosen from several; rows of the stays.
      warnings: what is out of the ordinary.
      settings: the version of the format, the rules, the subjects and the tables.
    """

    path: Path
    cohort: dict[str, tuple[int, int, int]]
    events: dict[str, int]
    cells: dict[str, int]
    warnings: tuple[str, ...]
    settings: dict[str, Any]


def read_built(store: str | os.PathLike[str]) -> Built:
    """The report of a store.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is of another version.
    """
    folder = Path(store).expanduser()
    file = folder / "store.json"
    if not file.exists():
        raise FileNotFoundError(f"{folder} is no store: build one by clinical.build(source, {str(folder)!r})")
    built = Built(**json.loads(file.read_text(encoding="utf-8")))
    if (found := built.settings.get("format")) != FORMAT:
        raise ValueError(f"{folder} is a store of format {found}, this version reads {FORMAT}: build it again")
    cohort = {step: tuple(counts) for step, counts in built.cohort.items()}
    return built._replace(path=folder, cohort=cohort, warnings=tuple(built.warnings))  # type: ignore[arg-type]


def require_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raises a ValueError that names the setting by which a store, or an unfinished one, differs."""
    kept = [folder / name for name in ("store.json", "settings.json") if (folder / name).exists()]
    if not kept:
        raise ValueError(f"{folder} exists and is no store: choose another output, or remove it")
    found = json.loads(kept[0].read_text(encoding="utf-8"))["settings"]
    for name, value in settings.items():
        if found.get(name) == value:
            continue
        inner = isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
        differing = [(name, found.get(name), value)]
        if inner:
            both = {**found[name], **value}
            differing = [
                (key, found[name].get(key), value.get(key)) for key in both if found[name].get(key) != value.get(key)
            ]
        told = ", ".join(f"{key} = {_shown(old)}, not {_shown(new)}" for key, old, new in differing)
        raise ValueError(f"{folder} holds a store with {name}: {told}; choose another output, or remove it")


def read_stays(store: str | os.PathLike[str]) -> "pl.DataFrame":
    """The stays of a store, by subject and episode."""
    import polars as pl

    return pl.read_parquet(read_built(store).path / "stays.parquet")


def scan_cells(store: str | os.PathLike[str]) -> "pl.LazyFrame":
    """The cells of a store, by subject, stay, time and channel."""
    import polars as pl

    return pl.scan_parquet(sorted((read_built(store).path / "cells").glob("*.parquet")))


def names_of(stays: "pl.DataFrame") -> Sequence[str]:
    """What the benchmark calls each stay."""
    pairs = zip(stays["SUBJECT_ID"], stays["EPISODE"], strict=True)
    return [f"{subject}_episode{episode}" for subject, episode in pairs]


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
