"""The five tasks: which stays and hours are samples, and their labels."""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._episodes import EPSILON

if TYPE_CHECKING:
    import polars as pl

Task: TypeAlias = Literal["mortality", "decompensation", "length_of_stay", "phenotyping", "multitask"]

MORTALITY_HOURS = 48.0
# no hour before is a sample of the hourly tasks
_LEAST_HOURS = 4.0
_SOON = 24.0
_MORTALITY_POSITION = 47


class TaskSamples(NamedTuple):
    """Samples of a task.

    Attributes:
      stay: the row of each among the stays.
      period: hours from INTIME that are seen.
      labels: (samples,), or (samples, 25); of the multitask (stays, 25).
      hourly: of the multitask labels and masks by stay and whole hour.
    """

    stay: np.ndarray
    period: np.ndarray
    labels: np.ndarray
    hourly: dict[str, list[np.ndarray]] | None = None


def eligible(stays: "pl.DataFrame") -> "pl.DataFrame":
    """The stays with a record, a length and an event while in the unit, which all tasks need."""
    import polars as pl

    return stays.filter(pl.col("CODED") & pl.col("LOS").is_not_null() & pl.col("FIRST_SECONDS").is_not_null())


def samples_of(stays: "pl.DataFrame", task: str, *, unknown_deaths_survive: bool) -> TaskSamples:
    """The samples of a task, by subject, episode and hour.

    Args:
      stays: eligible ones.
      task: its name.
      unknown_deaths_survive: as in `Rules`.
    """
    return _TASKS[task](_Stays.of(stays, unknown_deaths_survive))


class _Stays(NamedTuple):
    """Columns of the stays as arrays."""

    length: np.ndarray
    first: np.ndarray
    died: np.ndarray
    lived: np.ndarray
    phenotypes: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, stays: "pl.DataFrame", unknown_deaths_survive: bool) -> "_Stays":
        length = stays["LOS"].to_numpy() * 24
        first = stays["FIRST_SECONDS"].to_numpy() / 60 / 60
        died = stays["MORTALITY"].to_numpy()
        lived = (stays["DEATHTIME"] - stays["INTIME"]).cast(float).fill_null(np.inf).to_numpy() / 60 / 60
        known = np.ones(len(stays), bool) if unknown_deaths_survive else ~died | np.isfinite(lived)
        shape = len(stays), len(_facts.phenotypes().names)
        phenotypes = np.array(stays["PHENOTYPES"].to_list(), np.int8).reshape(shape)
        return cls(length, first, died, lived, phenotypes, known)

    def hours(self, ends: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The stay and the hour of each sample of an hourly task."""
        places = np.flatnonzero(chosen)
        stay, hour = _hours(places, _num_hours(ends[places]))
        kept = self.are_samples(stay, hour)
        return stay[kept], hour[kept]

    def are_samples(self, stay: np.ndarray, hour: np.ndarray) -> np.ndarray:
        """Whether enough is seen by then: four hours, and an event."""
        return (hour > _LEAST_HOURS) & (hour > self.first[stay])

    def dies_soon(self, stay: np.ndarray, hour: np.ndarray) -> np.ndarray:
        """Whether death in hospital is within a day."""
        return (self.died[stay] & (self.lived[stay] - hour < _SOON)).astype(np.int8)


def _mortality(stays: _Stays) -> TaskSamples:
    chosen = (stays.length >= MORTALITY_HOURS - EPSILON) & (stays.first < MORTALITY_HOURS + EPSILON)
    places = np.flatnonzero(chosen)
    return TaskSamples(places, np.full(len(places), MORTALITY_HOURS), stays.died[places].astype(np.int8))


def _decompensation(stays: _Stays) -> TaskSamples:
    stay, hour = stays.hours(np.minimum(stays.length, stays.lived), stays.known)
    return TaskSamples(stay, hour, stays.dies_soon(stay, hour))


def _length_of_stay(stays: _Stays) -> TaskSamples:
    stay, hour = stays.hours(stays.length, np.ones(len(stays.length), bool))
    return TaskSamples(stay, hour, stays.length[stay] - hour)


def _phenotyping(stays: _Stays) -> TaskSamples:
    return TaskSamples(np.arange(len(stays.length)), stays.length, stays.phenotypes)


def _multitask(stays: _Stays) -> TaskSamples:
    everyone = np.ones(len(stays.length), bool)
    ends = {
        "length_of_stay": (stays.length, everyone, lambda stay, hour: stays.length[stay] - hour),
        "decompensation": (np.minimum(stays.length, stays.lived), stays.known, stays.dies_soon),
    }
    hourly: dict[str, list[np.ndarray]] = {}
    for task, (end, known, label) in ends.items():
        counts = _num_hours(end)
        stay, hour = _hours(np.arange(len(end)), counts)
        seen = (stays.are_samples(stay, hour) & known[stay]).astype(np.int8)
        cut = np.cumsum(counts)[:-1]
        hourly[f"{task} masks"], hourly[f"{task} labels"] = np.split(seen, cut), np.split(label(stay, hour), cut)
    mask = (stays.length >= MORTALITY_HOURS - EPSILON) & (stays.first <= MORTALITY_HOURS + EPSILON)
    hourly["mortality"] = [
        np.array([_MORTALITY_POSITION * seen, seen, died], int) for seen, died in zip(mask, stays.died, strict=True)
    ]
    return TaskSamples(np.arange(len(stays.length)), stays.length, stays.phenotypes, hourly)


def _num_hours(ends: np.ndarray) -> np.ndarray:
    """Whole hours from 0 to the end."""
    return np.maximum(0, np.ceil(ends + EPSILON)).astype(int)


def _hours(stays: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each of the stays with its hours 0, 1, ..., of which it has so many."""
    hour = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(stays, counts), hour.astype(float)


_TASKS: dict[str, Any] = {
    "mortality": _mortality,
    "decompensation": _decompensation,
    "length_of_stay": _length_of_stay,
    "phenotyping": _phenotyping,
    "multitask": _multitask,
}
TASKS = tuple(_TASKS)
