"""The clinical benchmark on any store: what its tasks consist of, beside the paper's numbers.

python -m experiments.clinical --preset smoke|demo|paper [--source FOLDER]

Smoke runs on made-up tables. The paper's numbers need the credentialed MIMIC-III; those of its open demo show that all
works, and nothing else.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from experiments.harness import Results, Row, in_parts, main
from infotheory_dl import clinical

Part = Literal["data"]
# samples of train with validation, and of test
PAPER: dict[clinical.Task, tuple[int, int]] = {
    "mortality": (17_903, 3_236),
    "decompensation": (2_908_414, 523_208),
    "length_of_stay": (2_925_434, 525_912),
    "phenotyping": (35_621, 6_281),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment."""

    parts: tuple[Part, ...] = ("data",)
    source: Path | None = None
    """Folder of the tables of MIMIC-III; none for made-up ones."""
    num_subjects: int = 100
    """Of the made-up tables."""
    seed: int = 0
    output: Path = Path("results/clinical/paper")


PRESETS = {
    "smoke": Settings(num_subjects=40, output=Path("results/clinical/smoke")),
    "demo": Settings(source=Path("mimic3_demo"), output=Path("results/clinical/demo")),
    "paper": Settings(source=Path("mimic3")),
}


def store_of(settings: Settings, results: Results) -> Path:
    """The store, built if it is not there."""
    source = settings.source
    if source is None:
        tables = clinical.synthetic(jax.random.key(settings.seed), settings.num_subjects)
        source = clinical.write_tables(tables, results.folder / "tables")
    return clinical.build(source, results.folder / "store").path


def data(settings: Settings, results: Results) -> None:
    """Samples of every task and part, their positives, and whether the series are the published ones."""
    store = store_of(settings, results)

    def row(task: clinical.Task) -> Row:
        parts = [clinical.read(store, task, part) for part in ("train", "validation", "test")]
        counts = [len(samples.labels) for samples in parts]
        row: Row = dict(zip(("train", "validation", "test"), counts, strict=True))
        if task in ("mortality", "decompensation"):
            row["positives in test"] = int(parts[-1].labels.sum())
        elif task == "length_of_stay":
            row["mean hours left"] = float(np.mean(parts[-1].labels)) if counts[-1] else None
        return row

    rows = []
    for task, (train, test) in PAPER.items():
        found = results.once(task, functools.partial(row, task))
        rows.append({"task": task, **found, "paper, train and validation": train, "paper, test": test})
    verified = clinical.verify(store)
    notes = [f"{verified.agree} of {verified.compared} series have the published hash."]
    if settings.source is None:
        notes.append("The tables are made up, under SUBJECT_IDs of the published split.")
    results.table("Samples", rows, notes=notes)


PARTS = {"data": data}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
