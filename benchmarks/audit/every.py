"""Parts of the benchmark on audits of every example: growth, tables, label errors that people made and found."""

import functools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from benchmarks.audit.pictures import draw_suspects
from benchmarks.harness import Part, Report, Row, announce, in_turns, of_peer, peak_memory, reset_peak_memory
from benchmarks.tables import Table
from infotheory_dl import audit, data
from infotheory_dl.audit.examples import draw_examples
from infotheory_dl.metrics import area_under_roc, average_precision

_CLOTHES = {
    "fashion_mnist": ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
}
_COLUMNS = ("AUROC", "AP", "CPU seconds", "seconds", "GiB")


@dataclass(frozen=True)
class Growth:
    """Audits of more and more examples, a tenth of the labels flipped."""

    set: str = "mnist"
    examples: tuple[int, ...] = (1000, 3000, 10_000, 30_000, 60_000)
    draws: int = 3
    flipped: float = 0.1
    processes: int = 1
    """How often each is measured in a process of its own; 0 for all in this one."""


@dataclass(frozen=True)
class Peers:
    """What people use today, on the same draw."""

    set: str = "mnist"
    examples: tuple[int, ...] = (10_000, 60_000)
    flipped: float = 0.1
    processes: int = 1


@dataclass(frozen=True)
class Tables:
    """Tables of numbers, and features of pretrained networks: examples, columns, classes."""

    sizes: tuple[tuple[int, int, int], ...] = ((20_000, 50, 8), (50_000, 768, 100), (50_000, 768, 1000))
    flipped: float = 0.1
    processes: int = 1


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


@dataclass(frozen=True)
class Suspects:
    """The labels that sets were published with, none of them flipped: a picture of the most suspect."""

    sets: tuple[str, ...] = ("mnist", "fashion_mnist")
    examples: int | None = None
    """Of each set; None for all."""
    most_suspect: int = 50
    folder: str | None = "docs/images"
    """Where the pictures go; None draws none."""
    processes: int = 1


def growth(settings: Growth) -> Report:
    """Time, memory and detection by the number of examples."""

    def rows() -> Iterator[Row]:
        programs = {
            f"{n:,} examples": functools.partial(_draws, settings.set, n, settings.flipped, settings.draws)
            for n in settings.examples
        }
        for (_, row), n in zip(in_turns(programs, processes=settings.processes), settings.examples, strict=True):
            yield {"set": settings.set, "examples": n} | row

    return Report(f"{settings.flipped:.0%} wrong labels, mean of {settings.draws} draws", rows())


def peers(settings: Peers) -> Report:
    """Detection by the audit and by cleanlab, from cross-validated probabilities of two classifiers."""

    def rows() -> Iterator[Row]:
        for n in settings.examples:
            draw = settings.set, n, settings.flipped
            programs: dict[str, Callable[[], Row]] = {
                "the audit": functools.partial(_draws, *draw, 1),
                "cleanlab, logistic regression": functools.partial(_cleanlab, *draw, "logistic regression"),
                "cleanlab, small CNN": functools.partial(_cleanlab, *draw, "CNN"),
            }
            for name, row in in_turns(programs, processes=settings.processes):
                yield {"set": settings.set, "examples": n, "method": name} | row

    return Report(f"{settings.flipped:.0%} wrong labels", rows())


def tables(settings: Tables) -> Report:
    """Time, memory and detection on rows of numbers."""

    def rows() -> Iterator[Row]:
        programs = {
            f"{n:,} x {width}, {k} classes": functools.partial(_table, n, width, k, settings.flipped)
            for n, width, k in settings.sizes
        }
        for name, row in in_turns(programs, processes=settings.processes):
            yield {"table": name} | row

    return Report(f"{settings.flipped:.0%} wrong labels", rows())


def human(settings: Human) -> Report:
    """Detection of the labels that people got wrong."""

    def rows() -> Iterator[Row]:
        programs = {name: functools.partial(of_peer, functools.partial(_human, name)) for name in settings.labels}
        for name, row in in_turns(programs, processes=settings.processes):
            yield {"labels": name} | row

    return Report("50,000 images of CIFAR-10 with labels of people", rows())


def verdicts(settings: Verdicts) -> Report:
    """How many labels that people found wrong are among the most suspect."""

    def rows() -> Iterator[Row]:
        for name in settings.sets:
            announce(name)
            table = np.load(_folder() / "label_errors_test.npz")
            images = data.load(name, "test")
            wrong = np.isin(np.asarray(images.original_index), table[f"{name}_index"][table[f"{name}_verdict"] != 0])
            result = _audit(0, images.x, images.y, 0.0)
            most = np.argsort(result.scores.margins)[: settings.most_suspect]
            yield {
                "set": name,
                "errors known": int(wrong.sum()),
                "among the most suspect": int(wrong[most].sum()),
                "AUROC": float(area_under_roc(-result.scores.margins, wrong)),
            }

    return Report(f"the {settings.most_suspect} most suspect test labels", rows())


def suspects(settings: Suspects) -> Report:
    """How many of the published training labels are taken to be wrong, with a picture of the most suspect."""

    def rows() -> Iterator[Row]:
        programs = {
            name: functools.partial(_published, name, settings.examples, settings.most_suspect, settings.folder)
            for name in settings.sets
        }
        for name, row in in_turns(programs, processes=settings.processes):
            yield {"set": name} | row

    return Report(f"training labels as published, and the {settings.most_suspect} most suspect", rows())


def _published(name: str, examples: int | None, most_suspect: int, folder: str | None) -> Row:
    images = data.load(name)
    reset_peak_memory()
    processor, wall = time.process_time(), time.perf_counter()
    result = _audit(0, images.x, images.y, 0.0, train_size=examples)
    seconds = {"CPU seconds": time.process_time() - processor, "seconds": time.perf_counter() - wall}
    memory, errors = peak_memory(), result.label_errors
    if folder is not None:
        draw_suspects(result, most_suspect, Path(folder) / f"suspects_{name}.png", _CLOTHES.get(name))
    found = {
        "examples": len(result.examples.labels),
        "wrong, %": 100 * errors.error_rate,
        "repairs": int(errors.repaired.sum()),
    }
    return found | seconds | {"GiB": memory}


def _folder() -> Path:
    place = Path(os.environ.get("INFOTHEORY_DL_TEST_DATA", "")) / "label_errors"
    if not place.is_dir():
        raise FileNotFoundError(f"{place} is not there: INFOTHEORY_DL_TEST_DATA names the folder of label_errors")
    return place


def _audit(seed: int, x: Any, y: Any, flip: float, **settings: Any) -> audit.AuditResult:
    return audit.run(jax.random.key(seed), x, y, flip=flip, sweep=0, runs=0, seeds=0, **settings)


def _measured(run: Callable[[], audit.AuditResult], wrong: Bool[np.ndarray, " examples"] | None = None) -> Row:
    """Seconds, memory, and how well the wrong labels are found: the flips, or those that are known."""
    reset_peak_memory()
    processor, wall = time.process_time(), time.perf_counter()
    result = run()
    seconds = {"CPU seconds": time.process_time() - processor, "seconds": time.perf_counter() - wall}
    truth = result.examples.flipped if wrong is None else wrong
    margins = result.scores.margins
    found = {"AUROC": float(area_under_roc(-margins, truth)), "AP": float(average_precision(-margins, truth))}
    return found | seconds | {"GiB": peak_memory()}


def _draws(name: str, examples: int, flipped: float, draws: int) -> Row:
    images = data.load(name)
    size = None if examples >= len(images.y) else examples
    rows = [_measured(functools.partial(_audit, i, images.x, images.y, flipped, train_size=size)) for i in range(draws)]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _table(examples: int, width: int, classes: int, flipped: float) -> Row:
    """Classes around three means each; of many columns, such as a network's features, all on one scale."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(classes, 3, width)) * (1.0 if width < 128 else 0.35)
    y = rng.integers(0, classes, examples)
    x = (means[y, rng.integers(0, 3, examples)] + rng.normal(size=(examples, width))).astype(np.float32)
    return _measured(functools.partial(_audit, 0, x, y, flipped, embeddings=width >= 128))


def _human(name: str) -> Row:
    labels = np.load(_folder() / "cifar10n.npz")
    images = data.load("cifar10")
    given = labels[name][images.original_index].astype(int)
    return _measured(functools.partial(_audit, 0, images.x, given, 0.0), given != images.y)


def _cleanlab(name: str, examples: int, flipped: float, classifier: str) -> Row:
    """Self-confidence of cleanlab, from probabilities that are cross-validated in five folds."""
    from cleanlab.rank import get_label_quality_scores

    images = data.load(name)
    size = None if examples >= len(images.y) else examples
    table = data.as_table(images.x, images.y)
    # the very examples and flips of the audit
    draw_key = jax.random.split(jax.random.key(0), 3)[0]
    drawn = draw_examples(draw_key, table, train_size=size, flip=flipped)
    reset_peak_memory()
    processor, wall = time.process_time(), time.perf_counter()
    folds = data.stratified_folds(jax.random.key(1), drawn.labels, 5)
    probabilities = _of_cnn(drawn, folds) if classifier == "CNN" else _of_regression(drawn, folds)
    quality = get_label_quality_scores(drawn.labels, probabilities, method="normalized_margin")
    seconds = {"CPU seconds": time.process_time() - processor, "seconds": time.perf_counter() - wall}
    found = {"AUROC": float(area_under_roc(-quality, drawn.flipped))}
    return found | {"AP": float(average_precision(-quality, drawn.flipped))} | seconds | {"GiB": peak_memory()}


def _of_regression(drawn: audit.Examples, folds: Int[np.ndarray, " examples"]) -> Float[np.ndarray, "examples classes"]:
    from sklearn.linear_model import LogisticRegression

    rows = drawn.inputs.reshape(len(folds), -1)
    probabilities = np.zeros((len(folds), len(drawn.class_names)))
    for fold in range(5):
        own = folds == fold
        model = LogisticRegression(C=0.1, max_iter=100).fit(rows[~own], drawn.labels[~own])
        probabilities[own] = model.predict_proba(rows[own])
    return probabilities


def _of_cnn(drawn: audit.Examples, folds: Int[np.ndarray, " examples"]) -> Float[np.ndarray, "examples classes"]:
    """Of the audit's small network, ten epochs on each four fifths."""
    import optax

    from infotheory_dl import networks, training

    network = networks.small_classifier(drawn.inputs.shape[1:], len(drawn.class_names))
    system = training.supervised(network, optax.adam(1e-3), optax.softmax_cross_entropy_with_integer_labels)
    probabilities = np.zeros((len(folds), len(drawn.class_names)))
    for fold in range(5):
        own, key = folds == fold, jax.random.key(fold)
        state = system.init(network.init(key, drawn.inputs[:1]))
        fitted = training.train(
            key, system.step, state, (drawn.inputs[~own], drawn.labels[~own]), num_epochs=10, batch_size=100
        )
        logits = training.predict(network.apply, fitted.state.variables, drawn.inputs[own], batch_size=500)
        probabilities[own] = np.asarray(jax.nn.softmax(logits))
    return probabilities


PARTS = {
    "growth": Part(
        growth,
        Growth(),
        smoke=Growth(set="digits", examples=(100,), draws=1, processes=0),
        table=Table(("set", "examples"), _COLUMNS, digits=4),
    ),
    "peers": Part(peers, Peers(), table=Table(("set", "examples", "method"), _COLUMNS, digits=4)),
    "tables": Part(
        tables, Tables(), smoke=Tables(sizes=((200, 5, 3),), processes=0), table=Table(("table",), _COLUMNS, digits=4)
    ),
    "human": Part(human, Human(), table=Table(("labels",), _COLUMNS, digits=4)),
    "suspects": Part(
        suspects,
        Suspects(),
        smoke=Suspects(sets=("digits",), examples=100, folder=None, processes=0),
    ),
    "verdicts": Part(
        verdicts, Verdicts(), table=Table(("set",), ("errors known", "among the most suspect", "AUROC"), digits=4)
    ),
}
