"""Made-up tables in the layout of MIMIC-III, with the cases that the rules of the benchmark are about."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from infotheory_dl._files import write_together
from infotheory_dl._validation import edge, require_count
from infotheory_dl.clinical import _facts
from infotheory_dl.types import Key

if TYPE_CHECKING:
    import polars as pl

_EPOCH = np.datetime64("2130-01-01T00:00:00")
_HOUR = 3600
_DIAGNOSES = ("4280", "42731", "5849", "51881", "0389", "25000", "4019", "78552", "4589", "V5861")
_LAYOUT = {
    "PATIENTS": ("SUBJECT_ID", "GENDER", "DOB", "DOD"),
    "ADMISSIONS": ("SUBJECT_ID", "HADM_ID", "ADMITTIME", "DISCHTIME", "DEATHTIME", "ETHNICITY"),
    "ICUSTAYS": (
        *("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "FIRST_CAREUNIT", "LAST_CAREUNIT", "FIRST_WARDID", "LAST_WARDID"),
        *("INTIME", "OUTTIME", "LOS"),
    ),
    "DIAGNOSES_ICD": ("SUBJECT_ID", "HADM_ID", "SEQ_NUM", "ICD9_CODE"),
    "D_ICD_DIAGNOSES": ("ICD9_CODE", "SHORT_TITLE"),
    "CHARTEVENTS": ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "ITEMID", "CHARTTIME", "VALUE", "VALUEUOM"),
    "LABEVENTS": ("SUBJECT_ID", "HADM_ID", "ITEMID", "CHARTTIME", "VALUE", "VALUEUOM"),
    "OUTPUTEVENTS": ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "CHARTTIME", "ITEMID", "VALUE", "VALUEUOM"),
}
# every so many subjects one is of each case
_CYCLE = 20
(
    _TRANSFERRED,
    _TWO_STAYS,
    _CHILD,
    _OLD,
    _DEATH_BY_DATE,
    _NO_DIAGNOSIS,
    _NO_EVENTS,
    _RETURNS,
    _ODD_TEXTS,
    _ODD_IDS,
) = range(10)


class _Stay(NamedTuple):
    """A stay that is being made up."""

    subject: int
    admission: int
    stay: int
    start: int
    hours: float
    severity: float

    @property
    def end(self) -> int:
        return self.start + round(self.hours * _HOUR)


@edge
def synthetic(key: Key, num_subjects: int) -> "dict[str, pl.DataFrame]":
    """Makes up tables of MIMIC-III, so that everything here runs without a download.

    The sicker a patient, the faster heart and breath, the lower the pressure and the likelier death. Of every twenty
    subjects ten have, one each: a transfer; two stays in an admission; an age below 18; one above 89; a death known by
    its date alone; no diagnosis; no event; a second admission whose events share a time with the first stay; texts that
    rules are about, such as pressures "120/80", fractions of oxygen, pounds, inches, Fahrenheit and ">500"; rows with
    missing or wrong ids.

    Args:
      key: source of randomness.
      num_subjects: how many; their SUBJECT_IDs are the first of the published split, so that all parts have some.

    Returns:
      The tables by name, all text. `write_tables` writes them.

    Raises:
      ValueError: if there is to be no subject.
    """
    import polars as pl

    require_count(1, len(_facts.split()), "the subjects of the split", num_subjects=num_subjects)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _LAYOUT}
    rows["D_ICD_DIAGNOSES"] = [(code, f"Diagnosis {code}") for code in _DIAGNOSES]
    for place, subject in enumerate(list(_facts.split())[:num_subjects]):
        _add_subject(random, rows, subject, place % _CYCLE)
    tables = {}
    for name, columns in _LAYOUT.items():
        columns_of = dict(zip(columns, zip(*rows[name], strict=True), strict=True)) if rows[name] else {}
        texts = {
            column: [None if value is None else str(value) for value in columns_of.get(column, ())]
            for column in columns
        }
        table = pl.DataFrame(texts, schema=dict.fromkeys(columns, pl.String))
        numbers = pl.Series("ROW_ID", np.arange(1, len(table) + 1)).cast(pl.String)
        tables[name] = table.select(numbers, *columns)
    return tables


@edge
def write_tables(tables: "Mapping[str, pl.DataFrame]", folder: str | os.PathLike[str]) -> Path:
    """Writes tables as `NAME.csv`, for `build`.

    Args:
      tables: by name, as of `synthetic`.
      folder: where to; made if it is absent.

    Returns:
      The folder.

    Raises:
      OSError: if it cannot be written.
    """
    return write_together(folder, {f"{name}.csv": table.write_csv() for name, table in tables.items()})


def _add_subject(random: np.random.Generator, rows: dict[str, list[Any]], subject: int, case: int) -> None:
    start = int(random.integers(0, 20 * 365 * 24)) * _HOUR
    age = {_CHILD: 9.0, _OLD: 300.0}.get(case, random.uniform(25, 85))
    stays = [_draw_stay(random, subject, 10 * subject, start)]
    died = random.random() < 1 / (1 + np.exp(1.5 - 2 * stays[0].severity))
    if case == _RETURNS:
        died = False
        stays.append(_draw_stay(random, subject, 10 * subject + 1, stays[0].end + 30 * 24 * _HOUR))
    elif case == _TWO_STAYS:
        stays.append(
            _draw_stay(random, subject, 10 * subject, stays[0].end + 5 * _HOUR)._replace(stay=10 * subject + 2)
        )
    died |= case == _DEATH_BY_DATE
    end = stays[-1].end
    date_of_death = _day(end) if died else None
    rows["PATIENTS"].append(
        (subject, random.choice(["F", "M"]), _time(start - round(age * 365.25 * 24) * _HOUR), date_of_death)
    )
    for admission in dict.fromkeys(stay.admission for stay in stays):
        mine = [stay for stay in stays if stay.admission == admission]
        # the date of death is a midnight, which has to lie in the admission
        admitted = min(mine[0].start - 2 * _HOUR, end - 30 * _HOUR)
        death = _time(end) if died and case != _DEATH_BY_DATE and mine[-1] is stays[-1] else None
        ethnicity = random.choice(["WHITE", "BLACK/AFRICAN AMERICAN", "ASIAN - CHINESE", "HISPANIC OR LATINO", "OTHER"])
        rows["ADMISSIONS"].append((subject, admission, _time(admitted), _time(mine[-1].end), death, ethnicity))
        if case != _NO_DIAGNOSIS:
            chosen = random.choice(_DIAGNOSES, 4, replace=False)
            codes = [*chosen, *(["99592X"] if case == _ODD_IDS else [])]  # which the dictionary does not know
            rows["DIAGNOSES_ICD"] += [(subject, admission, place, code) for place, code in enumerate(codes, 1)]
    for stay in stays:
        ward = 7 if case == _TRANSFERRED else 5
        times = _time(stay.start), _time(stay.end), round((stay.end - stay.start) / 86_400, 4)
        rows["ICUSTAYS"].append((*stay[:3], "MICU", "MICU", 5, ward, *times))
        if case != _NO_EVENTS:
            _add_events(random, rows, stay)
    _add_odd_events(rows, stays, case)


def _draw_stay(random: np.random.Generator, subject: int, admission: int, start: int) -> _Stay:
    hours = float(np.clip(random.lognormal(np.log(60), 0.6), 6, 400))
    return _Stay(subject, admission, admission, start, hours, float(random.normal()))


def _add_events(random: np.random.Generator, rows: dict[str, list[Any]], stay: _Stay) -> None:
    s = stay.severity
    normal = random.normal
    whole = lambda mean, spread: lambda size: np.maximum(1, np.round(normal(mean, spread, size))).astype(int)
    tenths = lambda mean, spread: lambda size: np.round(normal(mean, spread, size), 1)
    coma = np.clip(14 - 3 * s, 3, 15)
    chart = [
        (211, 1, whole(85 + 10 * s, 8), "bpm"),
        (455, 1, whole(120 - 8 * s, 10), "mmHg"),
        (8441, 1, whole(62 - 4 * s, 7), "mmHg"),
        (456, 1, tenths(80 - 5 * s, 8), "mmHg"),
        (618, 1, whole(18 + 2 * s, 3), "bpm"),
        (646, 1, lambda size: np.clip(whole(97 - s, 1.5)(size), 70, 100), "%"),
        (678, 4, tenths(98.6 + 0.3 * s, 0.8), "Deg. F"),
        (676, 9, tenths(37 + 0.2 * s, 0.4), "Deg. C"),
        (198, 4, lambda size: np.clip(np.round(normal(coma, 1, size)), 3, 15).astype(int), "points"),
        (
            184,
            4,
            lambda size: random.choice(["4 Spontaneously", "3 To speech", "2 To pain", "1 No Response"], size),
            None,
        ),
        (454, 4, lambda size: random.choice(["6 Obeys Commands", "5 Localizes Pain", "1 No Response"], size), None),
        (723, 4, lambda size: random.choice(["5 Oriented", "4 Confused", "1.0 ET/Trach"], size), None),
        (3420, 6, lambda size: random.choice([40, 50, 60, 100], size), "%"),
        (115, 8, lambda size: random.choice(["Normal <3 secs", "Abnormal >3 secs", "Comment"], size), None),
        (763, 24, tenths(80, 0.5), "kg"),
        (807, 6, whole(130 + 10 * s, 25), None),
        (581, 5, whole(3, 1), None),  # feeds no channel
    ]
    laboratory = [
        (50931, 8, whole(130 + 10 * s, 25), "mg/dL"),
        (50820, 8, lambda size: np.round(normal(7.4, 0.05, size), 2), "units"),
    ]
    for item, every, draw, unit in chart:
        times = _times(random, stay, every)
        values = draw(len(times))
        rows["CHARTEVENTS"] += [(*stay[:3], item, _time(t), v, unit) for t, v in zip(times, values, strict=True)]
    for item, every, draw, unit in laboratory:
        times = _times(random, stay, every)
        values = draw(len(times))
        rows["LABEVENTS"] += [(*stay[:2], item, _time(t), v, unit) for t, v in zip(times, values, strict=True)]
    rows["OUTPUTEVENTS"] += [(*stay[:3], _time(t), 40055, 50, "ml") for t in _times(random, stay, 6)]


def _times(random: np.random.Generator, stay: _Stay, every: int) -> list[int]:
    """Every so many hours, some minutes late, a few before and after the stay; not always."""
    hours = np.arange(-every, stay.hours + every, every)
    hours = hours[random.random(len(hours)) < 0.9]
    late = random.integers(0, 4, len(hours)) * 900
    return (stay.start + np.round(hours * _HOUR).astype(int) + late).tolist()


def _add_odd_events(rows: dict[str, list[Any]], stays: list[_Stay], case: int) -> None:
    first, last = stays[0], stays[-1]
    at = first.start + 2 * _HOUR + 60
    chart = lambda stay, item, time, value, unit=None: rows["CHARTEVENTS"].append(
        (*stay[:3], item, _time(time), value, unit)
    )
    if case == _RETURNS:
        # of both stays at one time, within the first
        for stay in stays:
            chart(stay, 211, at, 90 + (stay is last))
            chart(stay, 618, at, 20)
    if case == _ODD_TEXTS:
        texts = [
            *(
                (455, "120/80", "mmHg"),
                (8441, "120/80", "mmHg"),
                (455, "120/", "mmHg"),
                (211, "99", "bpm"),
                (211, "100", "bpm"),
            ),
            *(
                (223835, "0.5", None),
                (3420, "0.5", "torr"),
                (646, "0.97", "%"),
                (807, ">500", None),
                (807, "12 ", None),
            ),
            *((3581, "154", None), (3582, "2400", None), (1394, "65", None), (226730, "170", "cm"), (211, None, "bpm")),
            *((678, "60", "Deg. F"), (676, "60", "Deg. C"), (676, "99.5", "Deg. C"), (456, "nan", "mmHg")),
        ]
        for place, (item, text, unit) in enumerate(texts):
            chart(first, item, at + 60 * place - 60 * (text == "100"), text, unit)
        for text in ("ERROR", "7.", ".5"):
            rows["LABEVENTS"].append((*first[:2], 50820, _time(at), text, "units"))
    if case == _ODD_IDS:
        odd = [
            (None, first.stay),
            (first.admission + 5, first.stay),
            (first.admission, None),
            (first.admission, first.stay + 7),
        ]
        for admission, identity in odd:
            rows["CHARTEVENTS"].append((first.subject, admission, identity, 211, _time(at), 77, "bpm"))


def _time(seconds: int) -> str:
    return str(_EPOCH + np.timedelta64(seconds, "s")).replace("T", " ")


def _day(seconds: int) -> str:
    return _time(seconds - seconds % 86_400)
