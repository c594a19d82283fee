"""The clinical benchmark on any store: its tasks, all baselines beside the paper's numbers, and what the library adds.

python -m experiments.clinical --preset smoke|demo|paper [--source FOLDER]

Smoke runs on made-up tables. The paper's numbers need the credentialed MIMIC-III; those of its open demo show that all
works, and nothing else.
"""

import functools

import numpy as np

from experiments.clinical.analyses import channels, generalization, information, noise
from experiments.clinical.baselines import linear, networks
from experiments.clinical.settings import PRESETS, Settings, store_of
from experiments.harness import Results, Row, in_parts, main
from infotheory_dl import clinical

# samples of train with validation, and of test
PAPER: dict[clinical.Task, tuple[int, int]] = {
    "mortality": (17_903, 3_236),
    "decompensation": (2_908_414, 523_208),
    "length_of_stay": (2_925_434, 525_912),
    "phenotyping": (35_621, 6_281),
}


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


PARTS = {
    "data": data,
    "linear": linear,
    "networks": networks,
    "information": information,
    "generalization": generalization,
    "noise": noise,
    "channels": channels,
}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
