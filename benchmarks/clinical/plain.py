"""The rules of the benchmark written plainly: the csv module, a dictionary for each subject, a loop over all rows."""

import csv
import datetime
import gzip
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infotheory_dl.clinical.channels import CHANNELS, LABELS

Row = dict[str, str]
Cells = dict[tuple[datetime.datetime, int], Any]
_PLACE_OF = {item: place for place, channel in enumerate(CHANNELS) for item in channel.items}
_REFILL = {"Normal <3 secs": 0.0, "Brisk": 0.0, "Abnormal >3 secs": 1.0, "Delayed": 1.0}


def rows_of(folder: Path, name: str) -> Iterator[Row]:
    """The rows of a table, plain or compressed."""
    path = folder / f"{name}.csv"
    with path.open(newline="") if path.exists() else gzip.open(f"{path}.gz", "rt", newline="") as stream:
        yield from csv.DictReader(stream)


def cohort(folder: Path) -> list[dict[str, Any]]:
    """The stays that are kept, with their times."""
    admissions = {(row["SUBJECT_ID"], row["HADM_ID"]) for row in rows_of(folder, "ADMISSIONS")}
    births = {row["SUBJECT_ID"]: row["DOB"] for row in rows_of(folder, "PATIENTS")}
    stays: list[dict[str, Any]] = [
        dict(row)
        for row in rows_of(folder, "ICUSTAYS")
        if row["FIRST_WARDID"] == row["LAST_WARDID"]
        and row["FIRST_CAREUNIT"] == row["LAST_CAREUNIT"]
        and (row["SUBJECT_ID"], row["HADM_ID"]) in admissions
        and row["SUBJECT_ID"] in births
    ]
    in_admission = Counter(stay["HADM_ID"] for stay in stays)
    kept = []
    for stay in stays:
        stay["INTIME"], stay["OUTTIME"] = time_of(stay["INTIME"]), time_of(stay["OUTTIME"])
        age = (stay["INTIME"] - time_of(births[stay["SUBJECT_ID"]])).total_seconds() / 3600 / 24 / 365
        if in_admission[stay["HADM_ID"]] == 1 and age >= 18:
            kept.append(stay)
    return kept


def series(folder: Path) -> dict[str, list[tuple[float, list[str]]]]:
    """The rows of each stay by its ICUSTAY_ID: hours, and texts of the channels."""
    stays = cohort(folder)
    of_subject = defaultdict(list)
    for stay in stays:
        of_subject[stay["SUBJECT_ID"]].append(stay)
    cells: dict[str, Cells] = defaultdict(dict)
    recorded: dict[str, set[tuple[datetime.datetime, str]]] = defaultdict(set)
    for name in ("CHARTEVENTS", "LABEVENTS"):
        for row in rows_of(folder, name):
            subject, channel = row["SUBJECT_ID"], _PLACE_OF.get(int(row["ITEMID"]))
            mine = [stay for stay in of_subject.get(subject, ()) if stay["HADM_ID"] == row["HADM_ID"]]
            if channel is None or not mine or row.get("ICUSTAY_ID") not in (None, "", mine[0]["ICUSTAY_ID"]):
                continue
            value = cleaned(channel, row["VALUE"], row["VALUEUOM"], LABELS.get(int(row["ITEMID"]), ""))
            if value is None:
                continue
            time = time_of(row["CHARTTIME"])
            recorded[subject].add((time, mine[0]["ICUSTAY_ID"]))
            before = cells[subject].get((time, channel))
            cells[subject][time, channel] = value if before is None else max(before, value)
    found = {}
    for stay in stays:
        subject, rows = stay["SUBJECT_ID"], []
        for time, identity in sorted(recorded[subject]):
            if identity == stay["ICUSTAY_ID"] or stay["INTIME"] <= time <= stay["OUTTIME"]:
                values = [cells[subject].get((time, channel)) for channel in range(len(CHANNELS))]
                texts = ["" if value is None else value if isinstance(value, str) else repr(value) for value in values]
                rows.append(((time - stay["INTIME"]).total_seconds() / 60 / 60, texts))
        found[stay["ICUSTAY_ID"]] = rows
    return found


def cleaned(channel: int, text: str, unit: str, label: str) -> float | str | None:
    """The number of a text, or the text itself where a channel has no rule; None for nothing."""
    cleaner, unit, label = CHANNELS[channel].cleaner, unit.lower(), label.lower()
    if text in ("", "NA", "N/A", "NULL", "NaN", "nan", "n/a", "null"):
        return None
    if cleaner == "none":
        return text
    if cleaner == "crr":
        return _REFILL.get(text)
    if cleaner in ("lab", "o2sat") and not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
        return None
    if cleaner in ("sbp", "dbp") and "/" in text:
        both = re.fullmatch(r"(\d+)/(\d+)", text)
        return float(both[1 + (cleaner == "dbp")]) if both else None
    try:
        value = float(text)
    except ValueError:
        return None
    in_pounds, in_ounces = "lb" in unit + label, "oz" in unit + label
    if cleaner == "fio2" and "torr" not in unit:
        return value / 100
    if cleaner == "o2sat" and value <= 1:
        return value * 100
    if cleaner == "temperature" and value >= 79:
        return (value - 32) * 5 / 9
    if cleaner == "weight" and (in_pounds or in_ounces):
        return (value / 16 if in_ounces else value) * 0.453592
    if cleaner == "height" and "in" in unit + label:
        return float(round(value * 2.54))
    return value


def time_of(text: str) -> datetime.datetime:
    """Of a time stamp."""
    return datetime.datetime.fromisoformat(text)


def grid(
    hours: Sequence[float],
    channels: Sequence[int],
    values: Sequence[float],
    end: float,
    timestep: float = 1.0,
    imputation: str = "previous",
) -> list[list[float]]:
    """The bins of one stay, by a loop over its measurements and one over bins and channels."""
    size = int(end / timestep + 1 - 1e-6)
    last: list[list[float | None]] = [[None] * len(CHANNELS) for _ in range(size)]
    for hour, channel, value in zip(hours, channels, values, strict=True):
        if hour <= end + 1e-6:
            last[int(hour / timestep - 1e-6)][channel] = value
    rows = []
    for place in range(size):
        columns, masks = [], []
        for channel, known in enumerate(CHANNELS):
            shown = last[place][channel]
            masks.append(float(shown is not None))
            if shown is None and imputation in ("previous", "next"):
                seen = range(place, -1, -1) if imputation == "previous" else range(place, size)
                shown = next((last[other][channel] for other in seen if last[other][channel] is not None), None)
            categories = list(known.categories)
            if shown is None and imputation != "zero":
                shown = float(categories.index(known.normal) if categories else known.normal)
            columns += [float(shown == other) for other in range(len(categories))] or [shown or 0.0]
        rows.append(columns + masks)
    return rows
