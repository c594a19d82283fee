"""Detectors of wrong labels: ours, cross-validated classifiers, and libraries by their documented interfaces.

A detector maps a task to one score for each example, higher for more suspect labels. A library that is absent raises
ImportError when its detector is called.
"""

import contextlib
import functools
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from infotheory_dl import data, networks
from infotheory_dl.audit import classifiers
from infotheory_dl.label_noise.detection import low_self_confidence
from infotheory_dl.linearization import empirical_kernel, kernel_eigen, mean_kernel, select_weight_decay
from infotheory_dl.sample_information import label_margins, leave_one_out
from infotheory_dl.types import Key

_FOLDS = 10
_CLASSIFIERS = ("SVM", "logistic regression", "nearest neighbours", "perceptron")
_EPOCHS = 5
_BATCH = 50
_PROJECTED = 512


class LabelTask(NamedTuple):
    """Images whose labels are wrong in places.

    Attributes:
      images: pixels in [0, 1].
      labels: as given, in [0, num_classes).
      flipped: which are wrong; not for detectors.
      num_classes: number of classes.
      held_out_images: others, for the methods that compare on a validation set.
      held_out_labels: theirs, all right.
      seed: of what a method draws.
    """

    images: Float[np.ndarray, "examples height width channels"]
    labels: Int[np.ndarray, " examples"]
    flipped: Bool[np.ndarray, " examples"]
    num_classes: int
    held_out_images: Float[np.ndarray, "others height width channels"]
    held_out_labels: Int[np.ndarray, " others"]
    seed: int


Detector: TypeAlias = Callable[[LabelTask], Float[Any, " examples"]]


def label_task(key: Key, images: data.ImageSet, classes: Sequence[int], *, size: int, flipped: float) -> LabelTask:
    """Draws a sample of some classes and flips labels in it, to another class at random."""
    sample_key, flip_key, seed_key = jax.random.split(key, 3)
    chosen = data.select_classes(images.x, images.y, classes)
    sample = data.random_subset(sample_key, chosen.x, chosen.y, 2 * size)
    pixels = sample.x / np.float32(255)
    noisy = data.corrupt_labels(flip_key, sample.y[:size], data.uniform_transition(len(classes), flipped), exact=True)
    return LabelTask(
        pixels[:size],
        noisy.labels,
        noisy.flipped,
        len(classes),
        pixels[size:],
        sample.y[size:],
        int(jax.random.randint(seed_key, (), 0, 2**31 - 1)),
    )


def all_detectors(num_classes: int, num_networks: int) -> dict[str, Detector]:
    """The detectors by name, ours first."""
    ours: dict[str, Detector] = {
        f"ours: leave-one-out {score}, {count} untrained network{'s' * (count > 1)}": functools.partial(
            untrained_networks, score=score, count=count
        )
        for count in sorted({1, num_networks})
        for score in ("margin", "weight change")
    }
    if num_classes == 2:
        for score in ("weight_change", "output_change"):
            ours[f"paper's setting: {score.replace('_', ' ')}"] = functools.partial(paper_setting, score=score)
    return ours | {
        **{f"cross-validated {name}": functools.partial(cross_validated, classifier=name) for name in _CLASSIFIERS},
        "cleanlab: confident learning, ensemble of the four": cleanlab_ensemble,
        "cleanlab: nearest-neighbour Shapley values": cleanlab_shapley,
        "pyDVL: nearest-neighbour Shapley values, clean validation set": pydvl_shapley,
        "pyDVL: Data-OOB, 1000 trees": pydvl_out_of_bag,
        "TRAK: self-influence": trak,
        "dattri: TracIn self-influence": dattri_tracin,
        "dattri: EK-FAC self-influence": dattri_ekfac,
    }


def untrained_networks(task: LabelTask, *, score: Literal["margin", "weight change"], count: int) -> jax.Array:
    """Leave-one-out scores under the mean kernel of the audit's untrained CNNs, weight decay by leave-one-out error."""
    network = networks.wide_layer(task.images.shape[1:])
    eigen = kernel_eigen(mean_kernel(jax.random.key(task.seed), network, task.images, num_networks=count))
    targets = data.targets(task.labels, task.num_classes, centered=True)
    weight_decay = select_weight_decay(eigen, targets)
    left_out = leave_one_out(
        eigen, jnp.zeros_like(targets), targets, time=jnp.inf, learning_rate=1.0, weight_decay=weight_decay
    )
    if score == "weight change":
        return left_out.weight_change
    predictions = targets - left_out.residuals + 1 / task.num_classes
    return -label_margins(predictions, task.labels)


def paper_setting(task: LabelTask, *, score: Literal["weight_change", "output_change"]) -> jax.Array:
    """Sample information of the paper's CNN, late in training and without weight decay; two classes."""
    network = networks.four_layer_cnn()
    images, others = _standardised(task.images), _standardised(task.held_out_images)
    params = network.init(jax.random.key(task.seed), images[:1])
    kernel = empirical_kernel(network.apply, params, images)
    reference_kernel = empirical_kernel(network.apply, params, others, images)
    targets = data.targets(task.labels, task.num_classes)
    initial_outputs = jnp.asarray(network.apply(params, images))
    left_out = leave_one_out(kernel, initial_outputs, targets, reference_kernel, time=2000, learning_rate=0.3)
    return getattr(left_out, score)


def cross_validated(task: LabelTask, *, classifier: str) -> jax.Array:
    """Probability that a classifier fitted to the other folds gives to other labels than the given one."""
    return low_self_confidence(_probabilities(task, classifier), task.labels)


def cleanlab_ensemble(task: LabelTask) -> np.ndarray:
    """cleanlab's label quality, from the probabilities of four cross-validated classifiers together."""
    from cleanlab.rank import get_label_quality_ensemble_scores

    probabilities = [_probabilities(task, classifier) for classifier in _CLASSIFIERS]
    return -get_label_quality_ensemble_scores(task.labels, probabilities, verbose=False)


def cleanlab_shapley(task: LabelTask) -> np.ndarray:
    """cleanlab's data Shapley values of nearest neighbours."""
    from cleanlab.data_valuation import data_shapley_knn

    return -data_shapley_knn(task.labels, features=_rows(task.images), k=10)


def pydvl_shapley(task: LabelTask) -> np.ndarray:
    """pyDVL's Shapley values of nearest neighbours, for the accuracy on held-out examples with right labels."""
    with _quiet():
        from pydvl.valuation import Dataset, KNNShapleyValuation

    held_out = Dataset(_rows(task.held_out_images), task.held_out_labels)
    valuation = KNNShapleyValuation(KNeighborsClassifier(10), held_out, progress=False)
    return -valuation.fit(Dataset(_rows(task.images), task.labels)).result.values


def pydvl_out_of_bag(task: LabelTask) -> np.ndarray:
    """pyDVL's Data-OOB: the accuracy on each example of the bagged trees that were not grown on it."""
    with _quiet():
        from pydvl.valuation import DataOOBValuation, Dataset

    trees = ExtraTreesClassifier(1000, bootstrap=True, max_samples=0.9, random_state=task.seed)
    trees.fit(_rows(task.images), task.labels)
    return -DataOOBValuation(trees).fit(Dataset(_rows(task.images), task.labels)).result.values


def trak(task: LabelTask) -> np.ndarray:
    """TRAK's score of each example for itself, of the paper's CNN after training."""
    from trak import TRAKer

    training = _torch_training(task)
    batches = [(images, labels) for images, labels in training.batches(250)]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        traker = TRAKer(
            model=training.network,
            task="image_classification",
            train_set_size=len(task.labels),
            save_dir=folder,
            device="cpu",
            proj_dim=_PROJECTED,
            use_half_precision=False,
            logging_level=logging.ERROR,
        )
        traker.load_checkpoint(training.checkpoints[-1], model_id=0)
        for batch in batches:
            traker.featurize(batch=batch, num_samples=len(batch[1]))
        traker.finalize_features()
        traker.start_scoring_checkpoint("self", training.checkpoints[-1], model_id=0, num_targets=len(task.labels))
        for batch in batches:
            traker.score(batch=batch, num_samples=len(batch[1]))
        return np.diag(np.array(traker.finalize_scores("self")))


def dattri_tracin(task: LabelTask) -> np.ndarray:
    """dattri's TracIn: squared norms of the projected gradient of each example, over the checkpoints of a training."""
    import torch
    from dattri.algorithm.tracin import TracInAttributor
    from dattri.task import AttributionTask

    training = _torch_training(task)

    def loss(params: dict[str, Any], example: tuple[Any, Any]) -> Any:
        image, label = example
        outputs = torch.func.functional_call(training.network, params, image[None])
        return torch.nn.functional.cross_entropy(outputs, label[None])

    with _quiet():
        attributor = TracInAttributor(
            AttributionTask(loss, training.network, training.checkpoints),
            weight_list=torch.ones(len(training.checkpoints)),
            normalized_grad=False,
            projector_kwargs={"device": "cpu", "proj_dim": _PROJECTED},
        )
        return attributor.self_attribute(training.batches(250)).numpy()


def dattri_ekfac(task: LabelTask) -> np.ndarray:
    """dattri's influence functions by EK-FAC on the dense layers, of each example on its own loss."""
    import torch
    from dattri.algorithm.influence_function import IFAttributorEKFAC
    from dattri.task import AttributionTask

    training = _torch_training(task)

    def loss(params: dict[str, Any], batch: tuple[Any, Any]) -> Any:
        images, labels = batch
        outputs = torch.func.functional_call(training.network, params, images)
        return torch.nn.functional.cross_entropy(outputs, labels)

    with _quiet():
        attributor = IFAttributorEKFAC(AttributionTask(loss, training.network, training.checkpoints[-1]), damping=0.1)
        everything = training.batches(len(task.labels))
        attributor.cache(everything)
        return np.diag(attributor.attribute(everything, everything).detach().numpy())


class TorchTraining(NamedTuple):
    """The paper's CNN trained by PyTorch on the given labels, for the libraries that explain such a network.

    Attributes:
      network: the module.
      checkpoints: its state after each epoch.
      batches: the training examples in their order, in batches of a given size.
    """

    network: Any
    checkpoints: list[dict[str, Any]]
    batches: Callable[[int], Any]


def _torch_training(task: LabelTask) -> TorchTraining:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(task.seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, 2), nn.ReLU(), nn.Conv2d(64, 256, 3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, task.num_classes)),
    )
    images = torch.tensor(_standardised(task.images)).permute(0, 3, 1, 2)
    dataset = TensorDataset(images, torch.tensor(task.labels, dtype=torch.long))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    checkpoints = []
    for _ in range(_EPOCHS):
        for batch, labels in DataLoader(dataset, _BATCH, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(batch), labels).backward()
            optimizer.step()
        checkpoints.append({name: values.clone() for name, values in network.state_dict().items()})
    return TorchTraining(network, checkpoints, functools.partial(DataLoader, dataset))


def _probabilities(task: LabelTask, classifier: str) -> Float[np.ndarray, "examples classes"]:
    """Probabilities for each example by the classifier fitted to the other folds."""
    folds = data.stratified_folds(jax.random.key(task.seed), task.labels, _FOLDS)
    others = _rows(task.images), task.labels, folds
    if classifier == "logistic regression":
        return classifiers.logistic_regression(*others, inverse_penalty=1e-3)
    if classifier == "nearest neighbours":
        return classifiers.nearest_neighbours(*others)
    if classifier == "perceptron":
        return classifiers.out_of_fold(MLPClassifier((256,), alpha=1.0, max_iter=30, random_state=task.seed), *others)
    # in ten classes these probabilities rank better than decision values or a calibration of them
    return classifiers.out_of_fold(SVC(probability=True, random_state=task.seed), *others)


def _standardised(images: np.ndarray) -> np.ndarray:
    return data.standardize(images, 0.456, 0.224)


def _rows(images: np.ndarray) -> Float[np.ndarray, "examples pixels"]:
    return _standardised(images).reshape(len(images), -1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' progress bars and warnings off the screen."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
