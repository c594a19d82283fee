"""Which stays the benchmark keeps: adults, in one unit from beginning to end, once in an admission."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._sources import numbers, read_whole, times
from infotheory_dl.clinical.rules import Rules

if TYPE_CHECKING:
    import polars as pl

_STAY = ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID")
_TABLES = {
    "ICUSTAYS": (*_STAY, "FIRST_WARDID", "LAST_WARDID", "FIRST_CAREUNIT", "LAST_CAREUNIT", "INTIME", "OUTTIME", "LOS"),
    "ADMISSIONS": ("SUBJECT_ID", "HADM_ID", "ADMITTIME", "DISCHTIME", "DEATHTIME", "ETHNICITY"),
    "PATIENTS": ("SUBJECT_ID", "GENDER", "DOB", "DOD"),
}
_TIMES = {
    "ICUSTAYS": ("INTIME", "OUTTIME"),
    "ADMISSIONS": ("ADMITTIME", "DISCHTIME", "DEATHTIME"),
    "PATIENTS": ("DOB", "DOD"),
}
_ADULT = 18
# ages over 89 come out near 300
_MOVED, _MEDIAN_ABOVE_89, _NEGATIVE = 150, 91.4, 90.0
_ETHNICITIES = {
    "ASIAN": 1,
    "BLACK": 2,
    "CARIBBEAN ISLAND": 2,
    "HISPANIC": 3,
    "SOUTH AMERICAN": 3,
    "WHITE": 4,
    "MIDDLE EASTERN": 4,
    "PORTUGUESE": 4,
}
_GENDERS = {"F": 1, "M": 2, "": 0}
_OTHER_GENDER = 3


class Cohort(NamedTuple):
    """The stays that are kept.

    Attributes:
      stays: a row for each, by subject and episode.
      diagnoses: ICD-9 codes of their admissions.
      counts: stays, admissions and subjects after each step.
      num_stays: rows of ICUSTAYS, which tell the release.
      warnings: what is out of the ordinary.
    """

    stays: "pl.DataFrame"
    diagnoses: "pl.DataFrame"
    counts: dict[str, tuple[int, int, int]]
    num_stays: int
    warnings: tuple[str, ...]


def read_cohort(source: Path, rules: Rules, subjects: frozenset[int] | None) -> Cohort:
    """Reads the small tables and applies the rules of the cohort, in the order of the benchmark.

    Raises:
      FileNotFoundError: if a table is absent.
      ValueError: if one lacks a column, or holds what cannot be read.
    """
    import polars as pl

    tables = {name: _read(source, name) for name in _TABLES}
    stays = tables["ICUSTAYS"]
    num_stays = len(stays)
    twice = stays.filter(stays["ICUSTAY_ID"].is_duplicated())
    if len(twice):
        raise ValueError(f"ICUSTAYS has ICUSTAY_ID {twice['ICUSTAY_ID'][0]} more than once: each stay is to have a row")
    counts = {"all": _count(stays)}

    stayed = (pl.col("FIRST_WARDID") == pl.col("LAST_WARDID")) & (pl.col("FIRST_CAREUNIT") == pl.col("LAST_CAREUNIT"))
    stays = stays.filter(stayed)
    counts["no transfer"] = _count(stays)
    stays = stays.join(tables["ADMISSIONS"], on=["SUBJECT_ID", "HADM_ID"]).join(tables["PATIENTS"], on="SUBJECT_ID")
    stays = stays.filter(pl.len().over("HADM_ID") == 1)
    counts["one stay in the admission"] = _count(stays)
    stays = stays.with_columns(_age(stays, rules))
    stays = stays.filter(pl.col("AGE") >= _ADULT)
    counts["adults"] = _count(stays)

    warnings = []
    if subjects is not None:
        stays = stays.filter(pl.col("SUBJECT_ID").is_in(sorted(subjects)))
        if absent := len(subjects - set(stays["SUBJECT_ID"])):
            warnings.append(f"{absent:,} of the {len(subjects):,} subjects that were chosen have no stay in the cohort")
    if stays.is_empty():
        warnings.append("no stay is in the cohort: no task has a sample")
    stays = stays.sort("SUBJECT_ID", "INTIME", "OUTTIME", "ICUSTAY_ID")
    known = _facts.split()
    part = [known.get(subject, 0) for subject in stays["SUBJECT_ID"]]
    if strangers := len(set(stays["SUBJECT_ID"]) - set(known)):
        warnings.append(f"{strangers:,} of the subjects are not in the published split: they are in train")
    stays = stays.select(
        *_STAY,
        pl.int_range(1, pl.len() + 1).over("SUBJECT_ID").cast(pl.Int32).alias("EPISODE"),
        "INTIME",
        "OUTTIME",
        "DEATHTIME",
        "LOS",
        "AGE",
        pl.Series("GENDER", [_gender(text) for text in stays["GENDER"]], pl.Int8),
        pl.Series("ETHNICITY", [ethnicity_code(text) for text in stays["ETHNICITY"]], pl.Int8),
        _died("ADMITTIME", "DISCHTIME").alias("MORTALITY"),
        _died("INTIME", "OUTTIME").alias("MORTALITY_INUNIT"),
        pl.Series("PART", part, pl.Int8),
    )
    diagnoses = _diagnoses(source, stays)
    coded = stays["HADM_ID"].is_in(diagnoses["HADM_ID"].unique().to_list())
    if not coded.all():
        warnings.append(f"{int((~coded).sum()):,} stays have no diagnosis that D_ICD_DIAGNOSES knows: no task has them")
    stays = stays.with_columns(coded.alias("CODED"))
    return Cohort(stays, diagnoses, counts, num_stays, tuple(warnings))


def ethnicity_code(text: str | None) -> int:
    """The benchmark's number for an ETHNICITY, of its first words."""
    first = (text or "").replace(" OR ", "/").split(" - ")[0].split("/")[0]
    return _ETHNICITIES.get(first, 0)


def _gender(text: str | None) -> int:
    return _GENDERS.get(text or "", _OTHER_GENDER)


def _read(source: Path, name: str) -> "pl.DataFrame":
    import polars as pl

    frame = times(read_whole(source, name, _TABLES[name]), name, _TIMES[name])
    frame = numbers(frame, name, {column: pl.Int64() for column in _STAY if column in frame.columns})
    if "LOS" in frame.columns:
        frame = numbers(frame, name, {"LOS": pl.Float64()})
    return frame.drop("ROW_ID", strict=False)


def _age(stays: "pl.DataFrame", rules: Rules) -> "pl.Series":
    import polars as pl

    # the divisions of the benchmark, for the last digit
    age = (stays["INTIME"] - stays["DOB"]).cast(pl.Float64).to_numpy() / 60 / 60 / 24 / 365
    age = np.where(age < 0, _NEGATIVE, age)
    if not rules.ages_near_300:
        age = np.where(age > _MOVED, _MEDIAN_ABOVE_89, age)
    return pl.Series("AGE", age)


def _died(start: str, end: str) -> "pl.Expr":
    import polars as pl

    within = lambda time: pl.col(time).is_between(start, end).fill_null(False)
    return within("DOD") | within("DEATHTIME")


def _diagnoses(source: Path, stays: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    codes = read_whole(source, "DIAGNOSES_ICD", ("SUBJECT_ID", "HADM_ID", "SEQ_NUM", "ICD9_CODE"))
    known = read_whole(source, "D_ICD_DIAGNOSES", ("ICD9_CODE",)).select("ICD9_CODE").unique()
    codes = numbers(codes, "DIAGNOSES_ICD", {column: pl.Int64() for column in ("SUBJECT_ID", "HADM_ID", "SEQ_NUM")})
    codes = codes.join(known, on="ICD9_CODE")
    codes = codes.join(stays.select(*_STAY), on=["SUBJECT_ID", "HADM_ID"])
    return codes.select(*_STAY, "SEQ_NUM", "ICD9_CODE").sort("SUBJECT_ID", "HADM_ID", "SEQ_NUM", "ICD9_CODE")


def _count(stays: "pl.DataFrame") -> tuple[int, int, int]:
    return tuple(stays[column].n_unique() for column in reversed(_STAY))  # type: ignore[return-value]
