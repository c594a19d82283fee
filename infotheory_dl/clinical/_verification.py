"""Whether a store is the published benchmark: its series by their hashes, its cohort and events by counts."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from infotheory_dl._validation import edge
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._events import EVENT_TABLES
from infotheory_dl.clinical._store import Built, names_of, read_built, read_stays, scan_cells
from infotheory_dl.clinical._tasks import EPSILON, MORTALITY_HOURS, eligible
from infotheory_dl.clinical._text import published_hash, rows_by_stay
from infotheory_dl.results import concise

_STAYS_AT_A_TIME = 500


@concise
class Verification(NamedTuple):
    """What of a store has a published hash, and agrees with it.

    Attributes:
      agree: series whose hash is the published one.
      compared: series with a published hash, whole stays and first 48 hours.
      differing: those that do not agree, by their names in the benchmark.
      unknown: series of the store that were not published.
      absent: published series of the store's subjects that it does not have.
      counts: of the steps of cohort and validation, what the store has and what was published; none of a store of some
        subjects, of another release, or, of events, of fewer tables.
    """

    agree: int
    compared: int
    differing: tuple[str, ...]
    unknown: tuple[str, ...]
    absent: tuple[str, ...]
    counts: dict[str, tuple[int, int]]


@edge
def verify(store: str | os.PathLike[str]) -> Verification:
    """Compares every series of a store with the MD5 that the benchmark's authors published, and its counts with theirs.

    Args:
      store: its folder.

    Returns:
      How many agree. A store of mode "paper" agrees in all; "fixed" differs where a quirk was corrected.

    Raises:
      FileNotFoundError: if there is no store.
      ValueError: if it is of another version.
    """
    import polars as pl

    stays = eligible(read_stays(store))
    published = _facts.hashes()
    keys = dict(zip(stays["ICUSTAY_ID"], zip(stays["SUBJECT_ID"], stays["EPISODE"], strict=True), strict=True))
    lengths = dict(zip(stays["ICUSTAY_ID"], stays["LOS"] * 24, strict=True))
    names = dict(zip(stays["ICUSTAY_ID"], names_of(stays), strict=True))
    agree, compared = 0, 0
    differing, unknown, seen = [], [], set()
    for first in range(0, len(stays), _STAYS_AT_A_TIME):
        chosen = stays["ICUSTAY_ID"][first : first + _STAYS_AT_A_TIME].to_list()
        cells = scan_cells(store).filter(pl.col("ICUSTAY_ID").is_in(chosen)).collect()
        for stay, hours, rows in rows_by_stay(cells):
            length = lengths[stay]
            windows = [(published.whole, length, "whole")]
            if length >= MORTALITY_HOURS - EPSILON:
                windows.append((published.first_48_hours, MORTALITY_HOURS, "first 48 hours"))
            for known, end, window in windows:
                kept = [place for place, hour in enumerate(hours) if -EPSILON < hour < end + EPSILON]
                if not kept:
                    continue
                label = f"{names[stay]}, {window}"
                seen.add((keys[stay], window))
                if keys[stay] not in known:
                    unknown.append(label)
                    continue
                compared += 1
                digest = published_hash([hours[place] for place in kept], [rows[place] for place in kept])
                if digest == known[keys[stay]]:
                    agree += 1
                else:
                    differing.append(label)
    subjects = set(stays["SUBJECT_ID"])
    absent = [
        f"{subject}_episode{episode}, {window}"
        for known, window in ((published.whole, "whole"), (published.first_48_hours, "first 48 hours"))
        for subject, episode in known
        if subject in subjects and ((subject, episode), window) not in seen
    ]
    counts = dict(_counts(read_built(store)))
    return Verification(agree, compared, tuple(differing), tuple(unknown), tuple(absent), counts)


def _counts(built: Built) -> Iterator[tuple[str, tuple[int, int]]]:
    release = built.cohort["all"][0]
    if built.settings["subjects"] is not None or release not in _facts.COHORTS:
        return
    for (step, found), published in zip(built.cohort.items(), _facts.COHORTS[release], strict=True):
        for name, *counts in zip(("stays", "admissions", "subjects"), found, published, strict=True):
            yield f"{name}, {step}", (counts[0], counts[1])
    if set(EVENT_TABLES) <= built.settings["tables"].keys():
        for step, count in _facts.EVENTS[release].items():
            yield step, (built.events[step], count)
