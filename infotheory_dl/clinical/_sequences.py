"""Samples of a task as networks see them: rows of bins, and labels at the end of a sample or at its hours."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.clinical._configurations import HOURLY_TASKS, Configuration
from infotheory_dl.clinical._discretisation import Discretized, discretize
from infotheory_dl.clinical._normalization import Normalizer, normalize
from infotheory_dl.clinical._objectives import Targets
from infotheory_dl.clinical._reading import Samples, read_series
from infotheory_dl.clinical._systems import Prefixes
from infotheory_dl.clinical._tasks import EPSILON, MORTALITY_HOURS
from infotheory_dl.clinical.channels import layout

# stays that are put on a grid together
_STAYS_AT_ONCE = 256


class Rows(NamedTuple):
    """The bins of stays, end to end.

    Attributes:
      values: of all bins of all stays.
      offsets: where each stay begins, and the last ends.
    """

    values: Float[np.ndarray, "bins columns"]
    offsets: Int[np.ndarray, " stays_plus_one"]


def rows_of(samples: Samples, timestep: float) -> Rows:
    """The bins of all stays of a task, not yet normalised. A stay is there once, however many samples see of it."""
    ends = np.full(len(samples.stays), MORTALITY_HOURS) if samples.task == "mortality" else samples.length
    # those of like length together: little is padded
    order = np.argsort(ends, kind="stable")
    parts: list[np.ndarray] = [np.zeros((0, len(layout().columns)), np.float32)] * len(order)
    for first in range(0, len(order), _STAYS_AT_ONCE):
        chosen = order[first : first + _STAYS_AT_ONCE]
        grid = discretize(read_series(samples, chosen.tolist()), end=ends[chosen], timestep=timestep)
        values = np.asarray(grid.values, np.float32)
        for place, stay in enumerate(chosen):
            parts[stay] = values[place, : int(grid.lengths[place])]
    return Rows(np.concatenate(parts), np.concatenate([[0], np.cumsum([len(part) for part in parts])]))


def times_seen(samples: Samples, rows: Rows, configuration: Configuration) -> Int[np.ndarray, " bins"]:
    """How many samples see each bin: of hourly tasks those of its hour and of the later ones, as published."""
    last = rows.offsets[samples.stay] + bins_of(samples.period, configuration)
    from_there = np.cumsum(np.bincount(last, minlength=len(rows.values))[::-1])[::-1]
    of_later_stays = np.append(from_there, 0)[rows.offsets[1:]]
    return from_there - np.repeat(of_later_stays, np.diff(rows.offsets))


def normalised(rows: Rows, normalizer: Normalizer) -> Rows:
    """The same rows in the units of a normaliser."""
    together = Discretized(rows.values[None], np.array([len(rows.values)]), np.zeros(1), np.zeros(1))  # type: ignore
    return rows._replace(values=np.asarray(normalize(normalizer, together).values[0], np.float32))


class Sequences(NamedTuple):
    """What a network is trained on, or predicts.

    Attributes:
      inputs: of each sequence, a place among rows and a number of bins.
      targets: by task.
    """

    inputs: Prefixes
    targets: dict[str, Targets]


def sequences_of(samples: Samples, rows: Rows, configuration: Configuration, num_bins: int) -> Sequences:
    """Whole stays with labels at their hours, where the network learns them so; else the samples."""
    first, lengths = rows.offsets[:-1].astype(np.int32), np.diff(rows.offsets).astype(np.int32)
    whole = Prefixes(first, lengths)
    if samples.task == "multitask":
        return Sequences(whole, _of_several_tasks(samples, configuration, num_bins))
    if samples.task not in HOURLY_TASKS:
        return Sequences(whole, {samples.task: Targets(samples.labels)})
    bins = bins_of(samples.period, configuration)
    if configuration.supervision == "deep":
        labels = np.zeros((len(first), num_bins), np.float32)
        mask = np.zeros(labels.shape, bool)
        labels[samples.stay, bins], mask[samples.stay, bins] = samples.labels, True
        return Sequences(whole, {samples.task: Targets(labels, mask)})
    seen = Prefixes(first[samples.stay], (bins + 1).astype(np.int32))
    return Sequences(seen, {samples.task: Targets(samples.labels.astype(np.float32))})


def bins_of(period: np.ndarray, configuration: Configuration) -> np.ndarray:
    """The last bin that a sample sees."""
    return np.maximum(0, (period / configuration.timestep - EPSILON).astype(int))


def _of_several_tasks(samples: Samples, configuration: Configuration, num_bins: int) -> dict[str, Targets]:
    mortality = np.array(samples.hourly["mortality"], int).reshape(len(samples.stays), 3)
    targets = {
        "mortality": Targets(mortality[:, 2].astype(np.float32), mortality[:, 1].astype(bool)),
        "phenotyping": Targets(samples.labels),
    }
    for task in HOURLY_TASKS:
        labels = np.zeros((len(samples.stays), num_bins), np.float32)
        mask = np.zeros(labels.shape, bool)
        for stay in range(len(samples.stays)):
            values, counted = samples.hourly[f"{task} labels"][stay], samples.hourly[f"{task} masks"][stay]
            # hours 0 and 1 lie in one bin: the later one counts
            place = bins_of(np.arange(len(values), dtype=float), configuration)
            labels[stay, place], mask[stay, place] = values, counted
        targets[task] = Targets(labels, mask)
    return targets
