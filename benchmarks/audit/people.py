"""Parts of the benchmark on audits of labels that people gave, whose errors are known."""

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from benchmarks.audit.measuring import COLUMNS, audited, measured
from benchmarks.harness import Part, Report, Row, announce, in_turns
from benchmarks.tables import Table
from infotheory_dl import data
from infotheory_dl.data import ImageSet
from infotheory_dl.metrics import area_under_roc


@dataclass(frozen=True)
class Human:
    """CIFAR-10 with the labels that people gave (CIFAR-10N), whose truth is known."""

    labels: tuple[str, ...] = ("aggregate", "random1", "worst")
    processes: int = 1


@dataclass(frozen=True)
class Verdicts:
    """The test labels of MNIST and CIFAR-10, some of which people have judged: errors among the most suspect."""

    sets: tuple[str, ...] = ("mnist", "cifar10")
    most_suspect: int = 100


def human(settings: Human) -> Report:
    """Detection of the labels that people got wrong."""

    def rows() -> Iterator[Row]:
        # one after the other, so that a run that is cut short has the rows before
        for name in settings.labels:
            for _, row in in_turns({name: functools.partial(_human, name)}, processes=settings.processes):
                yield {"labels": name} | row

    return Report("50,000 images of CIFAR-10 with labels of people", rows())


def verdicts(settings: Verdicts) -> Report:
    """How many labels that people found wrong are among the most suspect."""

    def rows() -> Iterator[Row]:
        for name in settings.sets:
            announce(name)
            table = np.load(_folder() / "label_errors_test.npz")
            images = data.load(name, "test")
            places = np.load(_folder().parent / "tfds_original_index.npz")[f"{name}_test"]
            wrong = np.isin(places, table[f"{name}_index"][table[f"{name}_verdict"] != 0])
            result = audited(0, images.x, images.y, 0.0)
            most = np.argsort(result.scores.margins)[: settings.most_suspect]
            yield {
                "set": name,
                "errors known": int(wrong.sum()),
                "among the most suspect": int(wrong[most].sum()),
                "AUROC": float(area_under_roc(-result.scores.margins, wrong)),
            }

    return Report(f"the {settings.most_suspect} most suspect test labels", rows())


def labels_of_people(name: str) -> tuple[ImageSet, Int[np.ndarray, " examples"], Bool[np.ndarray, " examples"]]:
    """The training images of CIFAR-10, the labels of that name of CIFAR-10N, and which of these are wrong."""
    images = data.load("cifar10")
    given = np.load(_folder() / "cifar10n.npz")[name][images.original_index].astype(int)
    return images, given, given != images.y


def _human(name: str) -> Row:
    images, given, wrong = labels_of_people(name)
    return measured(functools.partial(audited, 0, images.x, given, 0.0), wrong)


def _folder() -> Path:
    place = Path(os.environ.get("INFOTHEORY_DL_TEST_DATA", "")) / "label_errors"
    if not place.is_dir():
        raise FileNotFoundError(f"{place} is not there: INFOTHEORY_DL_TEST_DATA names the folder of label_errors")
    return place


PARTS = {
    "human": Part(human, Human(), table=Table(("labels",), COLUMNS, digits=4)),
    "verdicts": Part(
        verdicts, Verdicts(), table=Table(("set",), ("errors known", "among the most suspect", "AUROC"), digits=4)
    ),
}
