"""Settings of the clinical experiment, and the store that its parts share."""

import dataclasses
from pathlib import Path
from typing import Literal

import jax

from experiments.harness import Results
from infotheory_dl import clinical
from infotheory_dl.label_noise.methods import MethodName

SingleTask = Literal["mortality", "decompensation", "length_of_stay", "phenotyping"]
Part = Literal["data", "linear", "networks", "information", "generalization", "noise", "channels"]
ALL: tuple[Part, ...] = ("data", "linear", "networks", "information", "generalization", "noise", "channels")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment."""

    parts: tuple[Part, ...] = ALL
    source: Path | None = None
    """Folder of the tables of MIMIC-III; none for made-up ones."""
    num_subjects: int = 100
    """Of the made-up tables."""
    tasks: tuple[SingleTask, ...] = ("mortality", "decompensation", "length_of_stay", "phenotyping")
    """Of the baselines."""
    networks: tuple[str, ...] = ("S", "S+DS", "C", "C+DS", "MS", "MC")
    """Of each task."""
    size: int | None = None
    """Of their layers; default those that the authors chose."""
    num_epochs: int = 100
    """Of the networks, and of those that are trained on flipped labels."""
    steps_per_epoch: int = 2000
    """At most."""
    num_seeds: int = 3
    """Networks of each kind, and draws of flipped labels."""
    most_samples: int = 100_000
    """Of the linear baselines, drawn at random."""
    most_stays: int = 2000
    """Of the other analyses."""
    methods: tuple[MethodName, ...] = ("cross_entropy", "limit_laplace", "leave_one_out")
    """Of training on flipped labels."""
    num_steps: int = 5000
    """Of a fit of T-CorEx."""
    num_runs: int = 1000
    """Regressions for the f-CMI bound."""
    num_resamples: int = 1000
    """Of the patients, for intervals."""
    seed: int = 0
    output: Path = Path("results/clinical/paper")


PRESETS = {
    "smoke": Settings(
        num_subjects=60,
        tasks=("mortality",),
        networks=("S",),
        methods=("limit_laplace",),
        num_steps=50,
        size=2,
        num_epochs=1,
        steps_per_epoch=2,
        num_seeds=1,
        most_samples=100,
        most_stays=30,
        num_runs=20,
        num_resamples=20,
        output=Path("results/clinical/smoke"),
    ),
    "demo": Settings(
        source=Path("mimic3_demo"),
        networks=("S", "S+DS"),
        num_epochs=10,
        steps_per_epoch=100,
        output=Path("results/clinical/demo"),
    ),
    "paper": Settings(source=Path("mimic3")),
}


def store_of(settings: Settings, results: Results) -> str:
    """The store, built if it is not there."""
    source = settings.source
    if source is None:
        tables = clinical.synthetic(jax.random.key(settings.seed), settings.num_subjects)
        source = clinical.write_tables(tables, results.folder / "tables")
    return str(clinical.build(source, results.folder / "store").path)
