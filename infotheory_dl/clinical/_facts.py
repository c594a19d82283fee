"""What the benchmark fixes: phenotypes, the split of the patients, hashes, counts and moments of the published tables.

The split, the hashes and the moments are those of the repository YerevaNN/mimic3-benchmarks (MIT licence); the
phenotypes are groups of HCUP's Clinical Classifications Software of 2015 for ICD-9 (public domain).
"""

import functools
import json
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np

_FOLDER = "infotheory_dl.clinical.facts"
PARTS = ("train", "validation", "test")
# rows of the releases, by how many stays ICUSTAYS has
RELEASES = {
    61_532: {"CHARTEVENTS": 330_712_484, "LABEVENTS": 27_854_056, "OUTPUTEVENTS": 4_349_219},
    136: {"CHARTEVENTS": 758_355, "LABEVENTS": 76_074, "OUTPUTEVENTS": 11_320},
}
# stays, admissions and subjects after each step of the cohort, by how many stays ICUSTAYS has
COHORTS = {
    61_532: (
        (61_532, 57_786, 46_476),
        (55_830, 52_834, 43_277),
        (50_186, 50_186, 41_587),
        (42_276, 42_276, 33_798),
    ),
    136: ((136, 129, 100), (126, 120, 94), (115, 115, 90), (114, 114, 89)),
}
# rows of the three event tables after each step of the validation
EVENTS = {
    61_532: {
        "n_events": 253_116_833,
        "empty_hadm": 5_162_703,
        "no_hadm_in_stay": 32_266_173,
        "no_icustay": 15_735_688,
        "icustay_missing_in_stays": 7_115_720,
        "left": 208_572_237,
    },
    136: {
        "n_events": 747_793,
        "empty_hadm": 13_184,
        "no_hadm_in_stay": 86_481,
        "no_icustay": 45_336,
        "icustay_missing_in_stays": 1_200,
        "left": 646_928,
    },
}


class Phenotypes(NamedTuple):
    """The twenty-five diagnoses of the phenotyping task.

    Attributes:
      names: in the order of the labels.
      kinds: "acute", "chronic" or "mixed".
      label_of: of each ICD-9 code.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    label_of: dict[str, int]


class Hashes(NamedTuple):
    """MD5 of the published tables of stays, by subject and episode.

    Attributes:
      whole: of the whole stay.
      first_48_hours: of the table of the mortality task.
    """

    whole: dict[tuple[int, int], str]
    first_48_hours: dict[tuple[int, int], str]


@functools.cache
def phenotypes() -> Phenotypes:
    """The definitions."""
    groups: dict[str, Any] = json.loads(files(_FOLDER).joinpath("phenotypes.json").read_text(encoding="utf-8"))
    label_of = {code: label for label, group in enumerate(groups.values()) for code in group["icd9"].split()}
    return Phenotypes(tuple(groups), tuple(group["kind"] for group in groups.values()), label_of)


@functools.cache
def split() -> dict[int, int]:
    """The part of `PARTS`, by its place, of each subject."""
    arrays = _arrays("split.npz")
    return dict(zip(arrays["subject"].tolist(), arrays["part"].tolist(), strict=True))


@functools.cache
def hashes() -> Hashes:
    """Those of the full data set, which are those of the demo as well."""
    arrays = _arrays("hashes.npz")
    stays = list(zip(arrays["subject"].tolist(), arrays["episode"].tolist(), strict=True))
    with_48 = [stay for stay, has in zip(stays, arrays["has_first_48_hours"], strict=True) if has]
    written = lambda digests: [digest.tobytes().hex() for digest in digests]
    return Hashes(
        dict(zip(stays, written(arrays["whole"]), strict=True)),
        dict(zip(with_48, written(arrays["first_48_hours"]), strict=True)),
    )


@functools.cache
def moments() -> dict[str, np.ndarray]:
    """Means and deviations of the columns in the published training sets, by task and hours of a bin."""
    return _arrays("normalizers.npz")


def _arrays(name: str) -> dict[str, np.ndarray]:
    with as_file(files(_FOLDER).joinpath(name)) as path, np.load(path) as arrays:
        return {key: arrays[key] for key in arrays}
