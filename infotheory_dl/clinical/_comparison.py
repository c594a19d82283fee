"""What differs between two stores, such as one that keeps a quirk and one that corrects it."""

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from infotheory_dl._validation import edge
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._reading import read
from infotheory_dl.clinical._store import read_built, read_stays, scan_cells
from infotheory_dl.clinical._tasks import TASKS
from infotheory_dl.clinical.channels import NAMES
from infotheory_dl.results import concise

if TYPE_CHECKING:
    import polars as pl


@concise
class Comparison(NamedTuple):
    """Differences from one store to another.

    Attributes:
      settings: those that differ, of both.
      stays: ICUSTAY_IDs that one of them has alone.
      ages: of how many common stays the age differs.
      changed: cells of common stays whose value differs, by channel.
      removed: cells that the first has alone.
      added: cells that the second has alone.
      labels: samples of each task whose label differs, or that one of them has alone.
    """

    settings: dict[str, tuple[object, object]]
    stays: np.ndarray
    ages: int
    changed: dict[str, int]
    removed: dict[str, int]
    added: dict[str, int]
    labels: dict[str, int]


@edge
def compare(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> Comparison:
    """Counts the cells and labels that differ between two stores of the same tables.

    Args:
      first: folder of a store, such as one of mode "paper".
      second: folder of another, such as one of mode "fixed".

    Returns:
      The differences; all zero where both are the same.

    Raises:
      FileNotFoundError: if there is no such store.
      ValueError: if one is of another version.
    """
    import polars as pl

    stores = first, second
    old, new = ({**read_built(store).settings, **read_built(store).settings["rules"]} for store in stores)
    differing = {name: (old[name], new.get(name)) for name in old if name != "rules" and old[name] != new.get(name)}
    stays = [read_stays(store) for store in stores]
    common = stays[0].join(stays[1], on="ICUSTAY_ID", suffix=" then")
    alone = np.setxor1d(stays[0]["ICUSTAY_ID"].to_numpy(), stays[1]["ICUSTAY_ID"].to_numpy())

    at = ["ICUSTAY_ID", "SECONDS", "COPY", "CHANNEL"]
    shared = common.select("ICUSTAY_ID").lazy()
    cells = [scan_cells(store).join(shared, on="ICUSTAY_ID", how="semi") for store in stores]
    both = cells[0].join(cells[1], on=at, suffix=" then")
    differs = pl.col("NUMBER").ne_missing(pl.col("NUMBER then")) | pl.col("TEXT").ne_missing(pl.col("TEXT then"))
    return Comparison(
        settings=differing,
        stays=alone,
        ages=int((common["AGE"] != common["AGE then"]).sum()),
        changed=_by_channel(both.filter(differs)),
        removed=_by_channel(cells[0].join(cells[1], on=at, how="anti")),
        added=_by_channel(cells[1].join(cells[0], on=at, how="anti")),
        labels={task: _labels(stores, task) for task in TASKS if task != "multitask"},
    )


def _by_channel(cells: "pl.LazyFrame") -> dict[str, int]:
    import polars as pl

    counted = cells.group_by("CHANNEL").agg(pl.len()).collect().sort("CHANNEL")
    return {NAMES[channel]: count for channel, count in counted.iter_rows()}


def _labels(stores: tuple[str | os.PathLike[str], ...], task: str) -> int:
    """Samples that are not the same in both."""
    found = []
    for store in stores:
        known: dict[tuple[int, float], str] = {}
        for part in _facts.PARTS:
            samples = read(store, task, part)  # type: ignore[arg-type]
            keys = zip(samples.stays[samples.stay].tolist(), samples.period.tolist(), strict=True)
            known.update(zip(keys, map(repr, samples.labels.tolist()), strict=True))
        found.append(known)
    return sum(found[0].get(key) != found[1].get(key) for key in found[0].keys() | found[1].keys())
