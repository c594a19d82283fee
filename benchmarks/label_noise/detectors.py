"""Detectors of wrong labels: ours, and cleanlab by its documented interface on the same probabilities.

A detector maps a task to scores of all examples, higher for more suspect labels, by their names; several can come of
one training. Those of a library that is absent are None.
"""

import functools
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from benchmarks.harness import Row, timed
from benchmarks.label_noise.systems import ADAM, NUM_CLASSES, make_early_learning, make_system, pair
from infotheory_dl import data, metrics, networks, training
from infotheory_dl.audit import classifiers
from infotheory_dl.label_noise import detection
from infotheory_dl.label_noise.cross_validation import cross_validated_probabilities
from infotheory_dl.label_noise.leave_one_out import leave_one_out_targets
from infotheory_dl.linearization import (
    KernelEigen,
    kernel_eigen,
    leave_one_out_predictions,
    mean_kernel,
    select_weight_decay,
)
from infotheory_dl.types import Key

_FOLDS = 5
_CLEANLAB_METHODS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


class LabelTask(NamedTuple):
    """Images whose labels are wrong in places.

    Attributes:
      images: pixels in [0, 1].
      labels: as given.
      flipped: which are wrong; not for detectors.
      seed: of what a method draws.
    """

    images: Float[np.ndarray, "examples height width channels"]
    labels: Int[np.ndarray, " examples"]
    flipped: Bool[np.ndarray, " examples"]
    seed: int

    @property
    def standardized(self) -> Float[np.ndarray, "examples height width channels"]:
        """The images as the paper's networks see them."""
        return data.standardize(self.images, 0.456, 0.224)

    @property
    def rows(self) -> Float[np.ndarray, "examples pixels"]:
        """The images as a table."""
        return self.standardized.reshape(len(self.images), -1)

    @property
    def folds(self) -> Int[np.ndarray, " examples"]:
        """For the classifiers of a cross-validation."""
        return data.stratified_folds(jax.random.key(self.seed), self.labels, _FOLDS)


Scores: TypeAlias = dict[str, Float[Any, " examples"] | None]
Detector: TypeAlias = Callable[[LabelTask], Scores]


def label_task(key: Key, images: data.ImageSet, *, size: int, flipped: float) -> LabelTask:
    """Draws a sample and replaces labels in it, each with probability `flipped`, by another class at random."""
    sample_key, flip_key, seed_key = jax.random.split(key, 3)
    sample = data.random_subset(sample_key, images.x, images.y, size)
    noisy = data.corrupt_labels(flip_key, sample.y, data.uniform_transition(NUM_CLASSES, flipped))
    pixels = sample.x / np.float32(images.x.max())
    return LabelTask(pixels, noisy.labels, noisy.flipped, int(jax.random.randint(seed_key, (), 0, 2**31 - 1)))


def all_detectors(*, epochs: int, fold_epochs: int) -> dict[str, Detector]:
    """The detectors by name.

    Args:
      epochs: of LIMIT and of early-learning regularization.
      fold_epochs: of the networks of a cross-validation, which remember the wrong labels when trained for long.
    """
    return {
        "LIMIT": functools.partial(limit_pair, num_epochs=epochs),
        "leave-one-out kernel": leave_one_out_kernel,
        "leave-one-out kernel, squared error": least_squares_kernel,
        "early-learning regularization": functools.partial(remembered, num_epochs=epochs),
        "cross-validated CNN": functools.partial(cross_validated_network, num_epochs=fold_epochs),
        "cross-validated logistic regression": cross_validated_regression,
    }


def limit_pair(task: LabelTask, *, num_epochs: int) -> Scores:
    """LIMIT with Laplacian gradients: what its two networks say of the labels at the end of the training."""
    shape, images = task.images.shape[1:], task.standardized
    system = make_system("LIMIT", shape)
    initial_key, key = jax.random.split(jax.random.key(task.seed))
    trained = training.train(
        key, system.step, system.init(initial_key), (images, task.labels), num_epochs=num_epochs, batch_size=256
    )
    confidences, guesses = (
        jax.nn.softmax(training.predict(network.apply, part.variables, images))
        for network, part in zip(pair(shape), trained.state.networks, strict=True)
    )
    return {
        "ours: distance of gradients": detection.gradient_distance(guesses, task.labels),
        "ours: classifier's self-confidence": detection.low_self_confidence(confidences, task.labels),
    }


def leave_one_out_kernel(task: LabelTask) -> Scores:
    """Leave-one-out predictions under the mean kernel of untrained networks, everything chosen by their likelihood."""
    targets = leave_one_out_targets(_mean_kernel(task), task.labels, NUM_CLASSES)
    return {
        "ours: margin": detection.low_margin(targets.predictions, task.labels),
        "ours: distance of gradients": detection.gradient_distance(targets.probabilities, task.labels),
    }


def least_squares_kernel(task: LabelTask) -> Scores:
    """Leave-one-out margins under the same kernel, weight decay by their squared error."""
    eigen, targets = _mean_kernel(task), data.targets(task.labels, NUM_CLASSES, centered=True)
    predictions = leave_one_out_predictions(eigen, targets, select_weight_decay(eigen, targets))
    return {"ours: margin": detection.low_margin(predictions, task.labels)}


def remembered(task: LabelTask, *, num_epochs: int) -> Scores:
    """The memory of early-learning regularization, the running mean of the predictions, at the end of the training."""
    system = make_early_learning(task.images.shape[1:], len(task.labels))
    initial_key, key = jax.random.split(jax.random.key(task.seed))
    trained = training.train(
        key,
        system.step,
        system.init(initial_key),
        (task.standardized, task.labels),
        num_epochs=num_epochs,
        batch_size=256,
    )
    return {"ours: margin of the memory": detection.low_margin(trained.state.memory, task.labels)}


def cross_validated_network(task: LabelTask, *, num_epochs: int) -> Scores:
    """Probabilities of the classifier of LIMIT, trained with cross-entropy on the other folds."""
    classifier, _ = pair(task.images.shape[1:])
    images = task.standardized
    probabilities = cross_validated_probabilities(
        jax.random.key(task.seed),
        classifier,
        images,
        task.labels,
        optimizer=ADAM,
        num_epochs=num_epochs,
        num_folds=_FOLDS,
    )
    return scores_of_both(probabilities, task.labels)


def cross_validated_regression(task: LabelTask) -> Scores:
    """Probabilities of logistic regression fitted to the other folds, with the penalty of cleanlab's tutorials."""
    probabilities = classifiers.logistic_regression(task.rows, task.labels, task.folds, inverse_penalty=1.0)
    return scores_of_both(probabilities, task.labels)


def scores_of_both(probabilities: Float[Any, "examples classes"], labels: Int[np.ndarray, " examples"]) -> Scores:
    """Our scores and cleanlab's from the same probabilities."""
    return {
        "ours: self-confidence": detection.low_self_confidence(probabilities, labels),
        "ours: margin": detection.low_margin(probabilities, labels),
        **{f"cleanlab: {method}": _cleanlab(probabilities, labels, method) for method in _CLEANLAB_METHODS},
    }


def cleanlab_ids(probabilities: np.ndarray, labels: np.ndarray, method: str, jobs: int | None) -> np.ndarray:
    """Ids of wrong labels by cleanlab's filter of the same kind, in as many processes as it chooses, or `jobs`."""
    from cleanlab.filter import find_label_issues

    name = {"predicted_is_not_given": "predicted_neq_given"}.get(method, method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its processes are forks, of which jax warns
        return find_label_issues(
            labels, probabilities, filter_by=name, return_indices_ranked_by="normalized_margin", n_jobs=jobs
        )


def neighbour_probabilities(task: LabelTask) -> Float[np.ndarray, "examples classes"]:
    """Probabilities by nearest neighbours among the other folds: quick for many examples."""
    return classifiers.nearest_neighbours(task.rows, task.labels, task.folds, neighbours=25)


def quality(detector: Detector, tasks: Sequence[LabelTask]) -> Iterator[Row]:
    """How well and how fast each score of a detector finds the wrong labels, mean over the tasks."""
    runs: list[tuple[Scores, float]] = [timed(functools.partial(detector, task)) for task in tasks]
    for name in runs[0][0]:
        ranked = [(scores[name], task.flipped) for (scores, _), task in zip(runs, tasks, strict=True)]
        known = [(scores, flipped) for scores, flipped in ranked if scores is not None]
        if not known:
            yield {"score": name, "missing": "cleanlab"}
            continue
        areas = [float(metrics.area_under_roc(scores, flipped)) for scores, flipped in known]
        precisions = [float(metrics.average_precision(scores, flipped)) for scores, flipped in known]
        yield {
            "score": name,
            "AUROC": statistics.mean(areas),
            "AP": statistics.mean(precisions),
            "sd of AUROC": statistics.pstdev(areas),
            "sd of AP": statistics.pstdev(precisions),
            "seconds": statistics.mean(seconds for _, seconds in runs[1:] or runs),
        }


def _mean_kernel(task: LabelTask) -> KernelEigen:
    network = networks.wide_layer(task.images.shape[1:])
    return kernel_eigen(mean_kernel(jax.random.key(task.seed), network, task.images))


def _cleanlab(probabilities: Array | np.ndarray, labels: np.ndarray, method: str) -> np.ndarray | None:
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return None
    return -get_label_quality_scores(labels, np.asarray(probabilities), method=method)
