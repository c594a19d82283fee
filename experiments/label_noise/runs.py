"""The trainings of the LIMIT experiment: noisy tasks, the papers' networks, methods on all draws, and their quality."""

import dataclasses
import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from experiments.harness import Results, Row
from infotheory_dl import data, label_noise, networks, training
from infotheory_dl.label_noise import METHODS, Grid, LeaveOneOutTargets, Method, MethodName, Start
from infotheory_dl.label_noise.detection import gradient_distance, low_margin, low_self_confidence
from infotheory_dl.linearization import KernelEigen, mean_kernel_eigen
from infotheory_dl.metrics import area_under_roc, average_precision
from infotheory_dl.types import Params

Part = Literal["table", "fano", "curves", "detected"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment; those of the paper for MNIST by default."""

    parts: tuple[Part, ...] = ("table", "fano", "curves", "detected")
    dataset: Literal["digits", "mnist", "cifar10"] = "mnist"
    network: Literal["resnet34", "cnn"] = "resnet34"
    """Of CIFAR-10: the paper's, or where that is too large its four-layer CNN for MNIST."""
    noise: Literal["uniform", "asymmetric"] = "uniform"
    rates: tuple[float, ...] = (0.0, 0.5, 0.8, 0.89)
    """Of wrong labels, to train on and to validate with."""
    n: tuple[int, ...] = (1000, 10_000, 48_000)
    num_draws: int = 5
    """Of the split, the noise and the initial weights."""
    methods: tuple[MethodName, ...] = (
        "cross_entropy",
        "mean_absolute_error",
        "generalized_cross_entropy",
        "forward_correction",
        "dmi",
        "early_learning",
        "co_teaching",
        "penalize",
        "limit_gaussian",
        "limit_laplace",
        "leave_one_out",
    )
    penalties: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    """Of LIMIT, the weight of ‖predicted gradient‖²; noisy validation labels decide."""
    soft_weights: tuple[float, ...] = (1e-3, 1e-2, 3e-2, 1e-1)
    """Of the soft regularization ("penalize"), the weight of the distance of the gradients."""
    soft_penalties: tuple[float, ...] = (0.0, 0.01, 0.1, 1.0, 10.0)
    """Of it, the weight of ‖predicted gradient‖²."""
    forget_rates: tuple[float, ...] = (0.2, 0.5, 0.8)
    """Of co-teaching, the share of the examples that is left out, after ten epochs that lead up to it."""
    dmi_learning_rates: tuple[float, ...] = (1e-3, 1e-4, 1e-5, 1e-6)
    num_networks: int = 5
    """Untrained networks whose mean kernel makes the leave-one-out targets."""
    num_landmarks: int = 3000
    """To interpolate the kernel from, where there are more examples."""
    num_epochs: int = 400
    patience: int | None = 100
    batch_size: int = 256
    validation_size: int | None = None
    """Examples to validate with; default a fifth of the file."""
    evaluate_every: int = 1
    detected_rate: float = 0.8
    """Rate of noise of the figures of detected labels, with the first of the training sizes."""
    curve_rate: float = 0.8
    """Rate of noise of the memorisation curves, with clean validation labels."""
    curve_size: int = 48_000
    curve_penalties: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0)
    curve_weight_decays: tuple[float, ...] = (1e-3, 3e-3, 1e-4)
    curve_dropouts: tuple[float, ...] = (0.25, 0.5, 0.75)
    seed: int = 42
    output: Path = Path("results/label_noise/paper")


class Task(NamedTuple):
    """Noisy labels of one set, of every rate and draw, rates first.

    Attributes:
      images: as they are stored.
      clean: classes of all of them.
      noisy: (examples, rates * draws).
      train: (rates * draws, n), places of the examples to train on.
      validation: those to validate with, of each rate and draw.
      test: images and classes.
      transitions: of each rate.
    """

    images: np.ndarray
    clean: np.ndarray
    noisy: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: tuple[np.ndarray, np.ndarray]
    transitions: np.ndarray


@functools.cache
def load(name: str) -> tuple[data.ImageSet, tuple[np.ndarray, np.ndarray]]:
    """The set and its test part; of digits the last quarter."""
    if name == "digits":
        whole = data.load("digits", "train[:75%]")
        test = data.load("digits", "train[75%:]")
    else:
        whole, test = data.load(name), data.load(name, "test")
    return whole, (test.x, test.y)


def draw_task(settings: Settings, n: int, rates: tuple[float, ...], *, clean_validation: bool = False) -> Task:
    """Draws splits and noise by the published rule, in the order in which the set is stored."""
    images, test = load(settings.dataset)
    make = data.cifar10_transition if settings.noise == "asymmetric" else functools.partial(data.uniform_transition, 10)
    transitions = [make(rate) for rate in rates]
    draws = [
        data.corrupt_split_legacy(settings.seed + draw, images.y, transition, size=n, clean_validation=clean_validation)
        for transition in transitions
        for draw in range(settings.num_draws)
    ]
    return Task(
        images.x,
        images.y,
        np.stack([draw.labels for draw in draws], axis=1),
        np.stack([draw.train for draw in draws]),
        np.stack([draw.validation[: settings.validation_size] for draw in draws]),
        test,
        np.stack(transitions),
    )


def make_networks(settings: Settings) -> tuple[nn.Module, nn.Module]:
    """The paper's classifier and predictor, for images as they are stored."""
    if settings.dataset == "digits":
        network = networks.Standardized(networks.MLP((64,), 10), 0.3, 0.37, 16.0)
        return network, network
    cnn = functools.partial(networks.four_layer_cnn, 10, width=128, batch_norm=True)
    classifier, predictor = cnn(), cnn(head_batch_norm=True)
    if settings.dataset == "mnist":
        return networks.Standardized(classifier), networks.Standardized(predictor)
    moments = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    if settings.network == "resnet34":
        network = networks.Standardized(networks.resnet34(10, stem="cifar", initialization=networks.TORCH), *moments)
        return network, network
    return networks.Standardized(classifier, *moments), networks.Standardized(predictor, *moments)


class Trained(NamedTuple):
    """All classifiers of one method and training size.

    Attributes:
      method: how they were trained.
      grid: the trainings, with one seed: the draws are its variants.
      targets: of each variant, what "leave_one_out" was trained on; None elsewhere.
      seconds: all of it, compilation and targets included.
    """

    method: Method
    grid: Grid
    targets: list[LeaveOneOutTargets] | None
    seconds: float


def untrained_kernel(settings: Settings, task: Task, variant: int) -> KernelEigen:
    """The mean kernel of untrained networks on the training images of a variant, from 0 to 1."""
    rows = task.train[variant]
    return mean_kernel_eigen(
        jax.random.fold_in(jax.random.key(settings.seed), variant),
        networks.wide_layer(task.images.shape[1:]),
        task.images[rows] / np.float32(task.images.max()),
        num_networks=settings.num_networks,
        num_landmarks=settings.num_landmarks if len(rows) > settings.num_landmarks else None,
    )


@functools.lru_cache(maxsize=2)  # DMI begins with the classifiers of cross-entropy
def train(settings: Settings, name: MethodName, n: int, rates: tuple[float, ...], folder: Path) -> Trained:
    """Trains a method on every draw of the noise at these rates, and with every one of its settings."""
    start = time.perf_counter()
    task = draw_task(settings, n, rates)
    classifier, predictor = make_networks(settings)
    method = label_noise.make_method(
        name,
        classifier,
        task.images.shape[1:],
        predictor=predictor,
        transition=task.transitions[0],
        num_examples=len(task.images),
        num_classes=10,
        growth_steps=10 * -(-n // settings.batch_size),
    )
    if settings.dataset == "cifar10":
        method = method._replace(system=augmented(method.system))

    def plain() -> Params:
        trained = train(settings, "cross_entropy", n, rates, folder)
        return jax.tree.map(lambda leaf: leaf[0], trained.grid.best)

    kernel = functools.partial(untrained_kernel, settings, task)
    begun: Start = METHODS[name].prepare(label_noise.Plan(task.noisy, task.train, 10, kernel, plain))
    checkpoints = folder / "checkpoints" / f"{name} n={n} rates={rates}"
    grid = train_on(settings, method, task, begun, tried(settings, name), checkpoints)
    return Trained(method, grid, begun.targets, time.perf_counter() - start)


def tried(settings: Settings, name: MethodName) -> dict[str, tuple[float, ...]]:
    """The values of each setting that noisy validation labels choose from."""
    of_all = {"gradient_weight_decay": settings.penalties, "forget_rate": settings.forget_rates}
    own = {
        "dmi": {"learning_rate": settings.dmi_learning_rates},
        "penalize": {"weight": settings.soft_weights, "gradient_weight_decay": settings.soft_penalties},
    }
    return own.get(name, METHODS[name].taken(of_all))


def augmented(system: training.System) -> training.System:
    """The system on images that are flipped and cropped at random, alike for both networks."""

    def on_changed(state: Any, batch: training.Batch, key: Any) -> tuple[Any, training.Metrics]:
        image_key, step_key = jax.random.split(key)
        images, labels = batch.data
        changed = batch._replace(data=(networks.flip_and_crop(image_key, images), labels))
        return system.step(state, changed, step_key)

    return system._replace(step=on_changed)


def train_on(
    settings: Settings,
    method: Method,
    task: Task,
    begun: Start,
    tried: Mapping[str, tuple[float, ...]],
    checkpoints: Path,
) -> Grid:
    """A grid on a task, that goes on where it was stopped."""
    with training.progress(settings.num_epochs) as show:
        return label_noise.train_grid(
            jax.random.key(settings.seed),
            method,
            task.images,
            begun.labels,
            training_rows=task.train,
            validation_rows=task.validation,
            settings=tried,
            variables=begun.variables,
            num_epochs=settings.num_epochs,
            batch_size=settings.batch_size,
            evaluate_every=settings.evaluate_every,
            patience=settings.patience,
            callback=show,
            callback_every=max(settings.evaluate_every, settings.num_epochs // 10),
            checkpoint=training.Checkpoint(checkpoints),
        )


def evaluate(settings: Settings, task: Task, trained: Trained) -> list[Row]:
    """For each rate of noise, the setting that noisy validation labels select, and what its classifiers do, by draw."""
    method, grid, targets, _ = trained
    shape = len(grid.diverged), len(task.transitions), settings.num_draws
    # the draws of a rate are to the selection what seeds are
    by_rate = grid._replace(
        diverged=grid.diverged.reshape(shape), validation_accuracy=grid.validation_accuracy.reshape(*shape, -1)
    )
    points = label_noise.select_settings(by_rate)
    rows = []
    for rate in range(len(task.transitions)):
        variants = np.arange(settings.num_draws) + rate * settings.num_draws
        point = int(points[rate])
        test = functools.partial(test_accuracy, method, task, point=point, variants=variants)
        row: Row = {name: float(values[point]) for name, values in grid.settings.items()}
        row |= {"best": test(grid.best), "last": test(grid.last.variables), "noisy": [], "suspicion": [], "margin": []}
        row["best_epochs"] = grid.best_epoch[point, variants, 0].tolist()
        row["diverged"] = int(grid.diverged[point, variants, 0].sum())
        for variant in variants.tolist():
            places = task.train[variant]
            noisy, flipped = task.noisy[places, variant], task.noisy[places, variant] != task.clean[places]
            probabilities = predicted(method.classifier, grid.last.variables, point, variant, task.images[places])
            row["noisy"].append(float((probabilities.argmax(-1) == noisy).mean()))
            if not flipped.any():
                continue
            suspicion, margin = low_self_confidence(probabilities, noisy), low_margin(probabilities, noisy)
            if method.predictor is not None:
                guess = predicted(
                    method.predictor, grid.last.networks[1].variables, point, variant, task.images[places]
                )
                suspicion, margin = gradient_distance(guess, noisy), low_margin(guess, noisy)
            if targets is not None:
                suspicion = gradient_distance(targets[variant].probabilities, noisy)
                margin = low_margin(targets[variant].predictions, noisy)
            row["suspicion"].append(rated(suspicion, flipped))
            row["margin"].append(rated(margin, flipped))
        rows.append(row)
    return rows


def rated(suspicion: Any, flipped: np.ndarray) -> tuple[float, float]:
    """Area under the curve and average precision."""
    return float(area_under_roc(suspicion, flipped)), float(average_precision(suspicion, flipped))


def predicted(network: Any, variables: Any, point: int, variant: int, images: np.ndarray) -> np.ndarray:
    """The probabilities by one network of a grid."""
    one = jax.tree.map(lambda leaf: leaf[point, variant, 0][None, None, None], variables)
    return np.asarray(label_noise.predict_grid(network, one, images))[0, 0, 0]


def test_accuracy(method: Method, task: Task, variables: Any, *, point: int, variants: np.ndarray) -> list[float]:
    """On the clean test labels, of each variant."""
    images, labels = task.test
    classes = (predicted(method.classifier, variables, point, v, images).argmax(-1) for v in variants.tolist())
    return [float((guess == labels).mean()) for guess in classes]


def rows_of(settings: Settings, name: MethodName, n: int, results: Results) -> Row:
    """The table's rows of one method and training size, one for each rate."""
    # the correction of the loss is made for one transition matrix
    parts = [(rate,) for rate in settings.rates] if name == "forward_correction" else [settings.rates]
    rows, seconds = [], 0.0
    for rates in parts:
        trained = train(settings, name, n, rates, results.folder)
        rows += evaluate(settings, draw_task(settings, n, rates), trained)
        seconds += trained.seconds
    return {"rates": rows, "seconds": seconds}
