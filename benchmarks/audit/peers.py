"""A part of the benchmark on audits: what people use today, cleanlab on cross-validated probabilities."""

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int

from benchmarks.audit.measuring import COLUMNS, Suspicion, Wrong, audited, measured, measured_suspicion
from benchmarks.audit.people import labels_of_people
from benchmarks.harness import Part, Report, Row, in_turns
from benchmarks.tables import Table
from infotheory_dl import audit, data
from infotheory_dl.audit.examples import draw_examples

Classifier: TypeAlias = Literal["logistic regression", "small CNN"]
_FOLDS = 5


@dataclass(frozen=True)
class Peers:
    """What people use today, on the same draw."""

    set: str = "mnist"
    examples: tuple[int, ...] = (10_000, 60_000)
    flipped: float = 0.1
    epochs: int = 10
    """Of the CNN, in each fold."""
    labels: tuple[str, ...] = ("aggregate",)
    """Of CIFAR-10N, where the audit's rows are those of the part human."""
    processes: int = 1


def peers(settings: Peers) -> Report:
    """Detection by the audit and by cleanlab, from cross-validated probabilities of two classifiers."""

    def rows() -> Iterator[Row]:
        for n in settings.examples:
            draw = settings.set, n, settings.flipped
            programs: dict[str, Callable[[], Row]] = {
                "the audit": functools.partial(_audit, *draw),
                "cleanlab, logistic regression": functools.partial(_of_flips, *draw, "logistic regression", 0),
                "cleanlab, small CNN": functools.partial(_of_flips, *draw, "small CNN", settings.epochs),
            }
            for name, row in in_turns(programs, processes=settings.processes):
                yield {"set": settings.set, "examples": n, "method": name} | row
        for labels in settings.labels:
            programs = {
                "cleanlab, logistic regression": functools.partial(_of_people, labels, "logistic regression", 0),
                "cleanlab, small CNN": functools.partial(_of_people, labels, "small CNN", settings.epochs),
            }
            for name, row in in_turns(programs, processes=settings.processes):
                yield {"set": f"CIFAR-10N, {labels}", "examples": 50_000, "method": name} | row

    return Report(f"{settings.flipped:.0%} wrong labels, or those of people", rows())


def _audit(name: str, examples: int, flipped: float) -> Row:
    images = data.load(name)
    size = None if examples >= len(images.y) else examples
    return measured(functools.partial(audited, 0, images.x, images.y, flipped, train_size=size))


def _of_flips(name: str, examples: int, flipped: float, classifier: Classifier, epochs: int) -> Row:
    images = data.load(name)
    size = None if examples >= len(images.y) else examples
    # the very examples and flips of the audit
    draw_key = jax.random.split(jax.random.key(0), 3)[0]
    drawn = draw_examples(draw_key, data.as_table(images.x, images.y), train_size=size, flip=flipped)
    return measured_suspicion(functools.partial(_suspicion, drawn, classifier, epochs, drawn.flipped))


def _of_people(labels: str, classifier: Classifier, epochs: int) -> Row:
    images, given, wrong = labels_of_people(labels)
    drawn = draw_examples(jax.random.key(0), data.as_table(images.x, given), train_size=None, flip=0.0)
    return measured_suspicion(functools.partial(_suspicion, drawn, classifier, epochs, wrong))


def _suspicion(drawn: audit.Examples, classifier: Classifier, epochs: int, wrong: Wrong) -> tuple[Suspicion, Wrong]:
    """Less cleanlab's normalized margin, from probabilities that are cross-validated in five folds."""
    from cleanlab.rank import get_label_quality_scores

    folds = data.stratified_folds(jax.random.key(1), drawn.labels, _FOLDS)
    probabilities = _of_cnn(drawn, folds, epochs) if classifier == "small CNN" else _of_regression(drawn, folds)
    return -get_label_quality_scores(drawn.labels, probabilities, method="normalized_margin"), wrong


def _of_regression(drawn: audit.Examples, folds: Int[np.ndarray, " examples"]) -> Float[np.ndarray, "examples classes"]:
    """On the pixels, of images in colour on the audit's features."""
    from sklearn.linear_model import LogisticRegression

    rows = drawn.inputs.reshape(len(folds), -1)
    if drawn.inputs.shape[-1] == 3:
        rows = _features(drawn.inputs)
    probabilities = np.zeros((len(folds), len(drawn.class_names)))
    for fold in range(_FOLDS):
        own = folds == fold
        with warnings.catch_warnings():
            # a hundred steps are what it is given
            warnings.simplefilter("ignore")
            model = LogisticRegression(C=0.1, max_iter=100).fit(rows[~own], drawn.labels[~own])
        probabilities[own] = model.predict_proba(rows[own])
    return probabilities


def _features(images: Float[np.ndarray, "examples height width channels"]) -> Float[np.ndarray, "examples features"]:
    """Those of `image_dictionary`, standardized."""
    from infotheory_dl import linearization, networks

    made = networks.image_dictionary(jax.random.key(2), images)
    stream = linearization.FeatureStream(images, made.apply_fn, made.params, batch_size=made.batch_size)
    rows = np.concatenate([np.asarray(block.features)[: block.size] for block in stream.blocks()])
    rows -= rows.mean(0)
    rows /= rows.std(0) + 1e-6
    return rows


def _of_cnn(
    drawn: audit.Examples, folds: Int[np.ndarray, " examples"], epochs: int
) -> Float[np.ndarray, "examples classes"]:
    """Of the audit's small network, some epochs on each four fifths."""
    import optax

    from infotheory_dl import networks, training

    network = networks.small_classifier(drawn.inputs.shape[1:], len(drawn.class_names))
    system = training.supervised(network, optax.adam(1e-3), optax.softmax_cross_entropy_with_integer_labels)
    probabilities = np.zeros((len(folds), len(drawn.class_names)))
    for fold in range(_FOLDS):
        own, key = folds == fold, jax.random.key(fold)
        state = system.init(network.init(key, drawn.inputs[:1]))
        others = drawn.inputs[~own], drawn.labels[~own]
        fitted = training.train(key, system.step, state, others, num_epochs=epochs, batch_size=100)
        logits = training.predict(network.apply, fitted.state.variables, drawn.inputs[own], batch_size=500)
        probabilities[own] = np.asarray(jax.nn.softmax(logits))
    return probabilities


PARTS = {"peers": Part(peers, Peers(), table=Table(("set", "examples", "method"), COLUMNS, digits=4))}
