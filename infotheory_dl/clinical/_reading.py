"""Samples of a task from a store, and the series behind them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from infotheory_dl._validation import edge, require_choice, require_indices
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._series import Series, series_of_cells
from infotheory_dl.clinical._store import names_of, read_built, read_stays, scan_cells
from infotheory_dl.clinical._tasks import EPSILON, MORTALITY_HOURS, TASKS, Task, eligible, samples_of
from infotheory_dl.results import concise

Part: TypeAlias = Literal["train", "validation", "test"]


@concise
class Samples(NamedTuple):
    """The samples of one part of a task, by subject, episode and hour.

    Attributes:
      task: its name.
      store: folder that has the series; `read_series` reads them.
      stays: ICUSTAY_IDs of the stays that have a sample.
      names: what the benchmark calls them.
      length: hours of each stay.
      stay: the place of each sample's stay among them.
      period: hours of the stay that each sample sees.
      labels: 0 or 1; of `length_of_stay` the hours that are left; of `phenotyping` and `multitask` 25 of 0 or 1.
      hourly: of `multitask`, for each stay: `mortality` with position, mask and label, and masks and labels of the
        hourly tasks at hours 0, 1, ...; of other tasks empty.
    """

    task: str
    store: Path
    stays: np.ndarray
    names: list[str]
    length: np.ndarray
    stay: np.ndarray
    period: np.ndarray
    labels: np.ndarray
    hourly: dict[str, list[np.ndarray]]


@edge
def read(store: str | os.PathLike[str], task: Task, part: Part) -> Samples:
    """Reads the samples of a task: stays, periods and labels. Their series are read by `read_series`.

    Args:
      store: folder of a store that `build` made.
      task: "mortality" in hospital, of the first 48 hours; "decompensation", whether death is within 24 hours, at every
        hour; "length_of_stay" that is left, at every hour; "phenotyping", 25 diagnoses; "multitask", all on one stay.
      part: of the published split.

    Raises:
      FileNotFoundError: if there is no store.
      ValueError: if there is no such task or part, or the store is of another version.
    """
    import polars as pl

    require_choice("task", task, TASKS)
    require_choice("part", part, _facts.PARTS)
    built = read_built(store)
    stays = eligible(read_stays(store)).filter(pl.col("PART") == _facts.PARTS.index(part))
    samples = samples_of(stays, task, unknown_deaths_survive=built.settings["rules"]["unknown_deaths_survive"])
    used, stay = np.unique(samples.stay, return_inverse=True)
    stays = stays[used]
    hourly = {name: [values[place] for place in used] for name, values in (samples.hourly or {}).items()}
    return Samples(
        task,
        built.path,
        stays["ICUSTAY_ID"].to_numpy(),
        list(names_of(stays)),
        stays["LOS"].to_numpy() * 24,
        stay,
        samples.period,
        samples.labels,
        hourly,
    )


def read_some(store: str | os.PathLike[str], task: Task, part: Part) -> Samples:
    """Reads samples as `read` does; a ValueError where there are none, as of a store of some subjects."""
    samples = read(store, task, part)
    if not len(samples.labels):
        raise ValueError(f"{store} has no samples of {task} in its {part} part")
    return samples


@edge
def read_series(
    samples: Samples, stays: Sequence[int] | None = None, *, unknown: Literal["error", "normal"] = "error"
) -> Series:
    """Reads the series of stays, in the window of the task: 48 hours for mortality, else the whole stay.

    An hourly sample is the prefix of its stay up to its period.

    Args:
      samples: of `read`.
      stays: places among `samples.stays`, such as those of a batch; default all.
      unknown: what is done with text that no category has: an error, or the normal value in its place.

    Raises:
      ValueError: if there is no such stay, or a text is unknown.
    """
    import polars as pl

    require_choice("unknown", unknown, ("error", "normal"))
    places = np.arange(len(samples.stays)) if stays is None else np.asarray(stays, int)
    require_indices(len(samples.stays), stays=places)
    chosen = samples.stays[places]
    ends = np.full(len(chosen), MORTALITY_HOURS) if samples.task == "mortality" else samples.length[places]
    window = pl.DataFrame({"ICUSTAY_ID": chosen, "END": ends}, schema={"ICUSTAY_ID": pl.Int64, "END": pl.Float64})
    cells = scan_cells(samples.store).join(window.lazy(), on="ICUSTAY_ID")
    # the divisions of the benchmark, for the last digit
    hours = pl.col("SECONDS").map_batches(lambda seconds: pl.Series(seconds.to_numpy() / 60.0 / 60.0), pl.Float64)
    cells = cells.with_columns(hours.alias("HOURS"))
    cells = cells.filter((pl.col("HOURS") > -EPSILON) & (pl.col("HOURS") < pl.col("END") + EPSILON))
    return series_of_cells(cells.collect(), chosen.tolist(), unknown)
