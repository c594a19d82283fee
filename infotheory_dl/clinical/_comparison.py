"""What differs between two stores, such as one that keeps a quirk and one that corrects it."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._files import whole_file
from infotheory_dl._validation import edge, require_count
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._store import read_built, read_stays, scan_cells
from infotheory_dl.clinical._tasks import TASKS, eligible, samples_of
from infotheory_dl.clinical._text import hours_of
from infotheory_dl.clinical.channels import NAMES
from infotheory_dl.results import concise

if TYPE_CHECKING:
    import polars as pl

# of a thousand stays both stores' cells are in memory at a time
_STAYS_AT_A_TIME = 1000
_COMPARED_TASKS = tuple(task for task in TASKS if task != "multitask")


@concise
class ChangedCells(NamedTuple):
    """Cells that differ, by stay, time and channel.

    Attributes:
      stay: ICUSTAY_ID.
      hour: since INTIME.
      channel: its name.
      first: the value in the first store, as the benchmark writes it; empty where that has none.
      second: that in the second store.
    """

    stay: Int[np.ndarray, " cells"]
    hour: Float[np.ndarray, " cells"]
    channel: np.ndarray
    first: np.ndarray
    second: np.ndarray


@concise
class ChangedLabels(NamedTuple):
    """Labels that differ, by stay and hour within a task.

    Attributes:
      task: its name.
      stay: ICUSTAY_ID.
      hour: the period that the sample sees.
      label: of phenotyping the phenotype; of other tasks, which have one label, empty.
      first: the label in the first store; NaN where that has no such sample.
      second: that in the second store.
    """

    task: np.ndarray
    stay: Int[np.ndarray, " labels"]
    hour: Float[np.ndarray, " labels"]
    label: np.ndarray
    first: Float[np.ndarray, " labels"]
    second: Float[np.ndarray, " labels"]


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
      changed_cells: the cells that are counted as changed, removed or added, or the first of them.
      changed_labels: the labels of the samples that are counted, or the first of them.
    """

    settings: dict[str, tuple[object, object]]
    stays: np.ndarray
    ages: int
    changed: dict[str, int]
    removed: dict[str, int]
    added: dict[str, int]
    labels: dict[str, int]
    changed_cells: ChangedCells
    changed_labels: ChangedLabels


@edge
def compare(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    most_rows: int = 100_000,
) -> Comparison:
    """Finds the cells and labels that differ between two stores of the same tables, some stays at a time.

    Args:
      first: folder of a store, such as one of mode "paper".
      second: folder of another, such as one of mode "fixed".
      output: folder for `changed_cells.csv` and `changed_labels.csv`, which have all of them; default none.
      most_rows: cells, and labels, that are returned at most. Counts are of all.

    Returns:
      The differences; all zero or empty where both are the same.

    Raises:
      FileNotFoundError: if there is no such store.
      ValueError: if one is of another version.
      OSError: if the files cannot be written.
    """
    require_count(0, most_rows=most_rows)
    stores = Path(first), Path(second)
    old, new = ({**read_built(store).settings, **read_built(store).settings["rules"]} for store in stores)
    differing = {name: (old[name], new.get(name)) for name in old if name != "rules" and old[name] != new.get(name)}
    stays = tuple(read_stays(store) for store in stores)
    common = stays[0].join(stays[1], on="ICUSTAY_ID", suffix=" then")
    alone = np.setxor1d(stays[0]["ICUSTAY_ID"].to_numpy(), stays[1]["ICUSTAY_ID"].to_numpy())

    counts: dict[str, Counter[str]] = {name: Counter() for name in ("changed", "removed", "added", "labels")}
    with contextlib.ExitStack() as files:
        cells, labels = (
            _Rows(most_rows, output and files.enter_context(whole_file(Path(output) / f"{name}.csv")))
            for name in (_CELLS, _LABELS)
        )
        for frame in _cells(stores, common["ICUSTAY_ID"].sort().to_numpy()):
            for name, channel, count in frame.group_by("kind", "channel").len().iter_rows():
                counts[name][channel] += count
            cells.add(frame.drop("kind"))
        for task in _COMPARED_TASKS:
            for frame in _labels(stores, stays, task):
                counts["labels"][task] += frame.select("stay", "hour").n_unique()
                labels.add(frame)
    by_channel = {
        name: {channel: counts[name][channel] for channel in NAMES if counts[name][channel]}
        for name in ("changed", "removed", "added")
    }
    return Comparison(
        settings=differing,
        stays=alone,
        ages=int((common["AGE"] != common["AGE then"]).sum()),
        labels={task: counts["labels"][task] for task in _COMPARED_TASKS},
        changed_cells=ChangedCells(**cells.arrays()),
        changed_labels=ChangedLabels(**labels.arrays()),
        **by_channel,
    )


_CELLS, _LABELS = "changed_cells", "changed_labels"


class _Rows:
    """Rows that come some at a time: all go into a file, if there is one, and the first of them are kept."""

    def __init__(self, most: int, file: Any) -> None:
        self.most, self.file = most, file
        self.kept: list[pl.DataFrame] = []

    def add(self, frame: "pl.DataFrame") -> None:
        if self.file:
            frame.write_csv(self.file, include_header=not self.kept)
        # one frame at least, which has the columns
        if not self.kept or self.most:
            self.kept.append(frame.head(self.most))
        self.most -= min(self.most, len(frame))

    def arrays(self) -> dict[str, np.ndarray]:
        import polars as pl

        rows = pl.concat(self.kept)
        texts = {
            name: np.array(rows[name].fill_null("").to_list(), str) for name in rows.select(pl.col(pl.String)).columns
        }
        numbers = {name: rows[name].fill_null(np.nan).to_numpy() for name in rows.select(pl.col(pl.Float64)).columns}
        return {"stay": rows["stay"].to_numpy(), **texts, **numbers}


def _cells(stores: tuple[Path, Path], stays: np.ndarray) -> Iterator["pl.DataFrame"]:
    """The cells that differ, of some of the common stays after others."""
    import polars as pl

    at = ["ICUSTAY_ID", "SECONDS", "COPY", "CHANNEL"]
    old, new = ([pl.col(f"{name}{suffix}") for name in ("NUMBER", "TEXT")] for suffix in ("", " then"))
    differs = pl.any_horizontal(before.ne_missing(after) for before, after in zip(old, new, strict=True))
    # every cell has a number or a text
    absent = [pl.all_horizontal(value.is_null() for value in values) for values in (old, new)]
    kind = pl.when(absent[0]).then(pl.lit("added")).when(absent[1]).then(pl.lit("removed")).otherwise(pl.lit("changed"))
    for chosen in _some_at_a_time(stays):
        # cells lie by stay: between two of them most of a file need not be read
        between = pl.col("ICUSTAY_ID").is_between(*chosen[[0, -1]].tolist()) if len(chosen) else pl.lit(False)
        mine = pl.LazyFrame({"ICUSTAY_ID": chosen}, schema={"ICUSTAY_ID": pl.Int64})
        before, after = (scan_cells(store).filter(between).join(mine, on="ICUSTAY_ID", how="semi") for store in stores)
        both = before.join(after, on=at, how="full", coalesce=True, suffix=" then")
        found = both.filter(differs).with_columns(kind.alias("kind")).sort(at).collect()
        texts = [
            [
                text if number is None or text is not None else repr(number)
                for number, text in found.select(values).iter_rows()
            ]
            for values in (old, new)
        ]
        yield pl.DataFrame(
            {
                "stay": found["ICUSTAY_ID"],
                "hour": list(map(hours_of, found["SECONDS"])),
                "channel": [NAMES[channel] for channel in found["CHANNEL"]],
                "first": texts[0],
                "second": texts[1],
                "kind": found["kind"],
            },
            schema_overrides={"hour": pl.Float64} | dict.fromkeys(("channel", "first", "second"), pl.String),
        )


def _labels(stores: tuple[Path, Path], stays: tuple["pl.DataFrame", ...], task: str) -> Iterator["pl.DataFrame"]:
    """The labels of a task that differ, of some stays after others."""
    import polars as pl

    names = _facts.phenotypes().names if task == "phenotyping" else [""]
    rules = [read_built(store).settings["rules"]["unknown_deaths_survive"] for store in stores]
    able = [eligible(of_store) for of_store in stays]
    everyone = np.union1d(*(of_store["ICUSTAY_ID"].to_numpy() for of_store in able))
    for chosen in _some_at_a_time(everyone):
        tables = []
        for of_store, survive in zip(able, rules, strict=True):
            mine = of_store.filter(pl.col("ICUSTAY_ID").is_in(chosen.tolist()))
            samples = samples_of(mine, task, unknown_deaths_survive=survive)
            table = {
                "stay": np.repeat(mine["ICUSTAY_ID"].to_numpy()[samples.stay], len(names)),
                "hour": np.repeat(samples.period.astype(float), len(names)),
                "place": np.tile(np.arange(len(names)), len(samples.stay)),
                "first": samples.labels.ravel().astype(float),
            }
            tables.append(pl.DataFrame(table))
        at = ["stay", "hour", "place"]
        both = tables[0].join(tables[1].rename({"first": "second"}), on=at, how="full", coalesce=True)
        found = both.filter(pl.col("first").ne_missing(pl.col("second"))).sort(at)
        yield found.select(
            pl.lit(task).alias("task"),
            "stay",
            "hour",
            pl.Series("label", [names[place] for place in found["place"]], pl.String),
            "first",
            "second",
        )


def _some_at_a_time(stays: np.ndarray) -> Iterator[np.ndarray]:
    """Stays in their order, at least once, though there be none."""
    for first in range(0, max(1, len(stays)), _STAYS_AT_A_TIME):
        yield stays[first : first + _STAYS_AT_A_TIME]
