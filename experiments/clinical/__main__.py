"""The clinical benchmark on any store: what its tasks consist of, and the linear baselines, beside the paper's numbers.

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
from infotheory_dl import clinical, metrics

Part = Literal["data", "linear"]
# samples of train with validation, and of test
PAPER: dict[clinical.Task, tuple[int, int]] = {
    "mortality": (17_903, 3_236),
    "decompensation": (2_908_414, 523_208),
    "length_of_stay": (2_925_434, 525_912),
    "phenotyping": (35_621, 6_281),
}
PAPER_LINEAR: dict[clinical.Task, Row] = {
    "mortality": {"paper AUC-ROC": 0.848, "paper AUC-PR": 0.474},
    "decompensation": {"paper AUC-ROC": 0.870, "paper AUC-PR": 0.214},
    "length_of_stay": {"paper kappa": 0.402},
    "phenotyping": {"paper macro AUC": 0.739},
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment."""

    parts: tuple[Part, ...] = ("data", "linear")
    source: Path | None = None
    """Folder of the tables of MIMIC-III; none for made-up ones."""
    num_subjects: int = 100
    """Of the made-up tables."""
    most_samples: int = 100_000
    """Of the training set, drawn at random."""
    num_resamples: int = 1000
    seed: int = 0
    output: Path = Path("results/clinical/paper")


PRESETS = {
    "smoke": Settings(num_subjects=60, most_samples=300, num_resamples=100, output=Path("results/clinical/smoke")),
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


def linear(settings: Settings, results: Results) -> None:
    """Logistic regressions on the features of each task; intervals by resampling patients."""
    store = store_of(settings, results)

    def table_of(samples: clinical.Samples) -> np.ndarray:
        series = clinical.read_series(samples)
        return clinical.features(series, stay=samples.stay, end=samples.period)

    def row(task: clinical.Task) -> Row:
        train, test = (clinical.read(store, task, part) for part in ("train", "test"))
        if len(train.labels) > settings.most_samples:
            chosen = np.random.default_rng(settings.seed).choice(
                len(train.labels), settings.most_samples, replace=False
            )
            train = train._replace(stay=train.stay[chosen], period=train.period[chosen], labels=train.labels[chosen])
        penalty, inverse = clinical.LINEAR_PENALTIES[task]
        labels = train.labels
        if task == "length_of_stay":
            labels = np.eye(10, dtype=int)[clinical.length_classes(labels)]
        if task == "phenotyping":
            # a regression needs examples of both
            both = np.flatnonzero((np.ptp(train.labels, axis=0) > 0) & (np.ptp(test.labels, axis=0) > 0))
            labels, test = labels[:, both], test._replace(labels=test.labels[:, both])
        model = clinical.fit_linear(table_of(train), labels, penalty=penalty, inverse_penalty=inverse)
        found = np.asarray(clinical.predict_linear(model, table_of(test)))
        if task == "length_of_stay":
            error = clinical.length_error(test.labels, clinical.class_lengths(found.argmax(1)))
            return {"kappa": error.kappa, "mean hours off": error.mad}
        if task == "phenotyping":
            areas = metrics.multilabel(test.labels, found)
            return {"labels": found.shape[1], "macro AUC": areas.macro, "micro AUC": areas.micro}
        if np.ptp(test.labels) == 0:
            return {}
        measures = metrics.binary(test.labels, found)
        key = jax.random.key(settings.seed)
        patients = np.array([int(name.split("_")[0]) for name in test.names])[test.stay]
        drawn = metrics.bootstrap(
            key, metrics.binary, test.labels, found, groups=patients, num_resamples=settings.num_resamples
        )
        low, high = np.nanpercentile(np.asarray(drawn.auroc), (2.5, 97.5))
        return {"AUC-ROC": measures.auroc, "from": low, "to": high, "AUC-PR": measures.auprc}

    rows = []
    for task, paper in PAPER_LINEAR.items():
        rows.append({"task": task, **results.once(f"linear {task}", functools.partial(row, task)), **paper})
    notes = ["The paper's numbers are recalled, but those of mortality; they need the credentialed data."]
    results.table("Logistic regressions, on test", rows, notes=notes)


PARTS = {"data": data, "linear": linear}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
