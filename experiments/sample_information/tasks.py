"""What the parts of the experiment share: settings, tasks, networks and their kernels."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl import data, networks
from infotheory_dl.linearization import empirical_kernel, kernel_eigen
from infotheory_dl.types import ApplyFn, Params

Part = Literal["correlation", "mislabel", "summarization", "examples", "subclass", "trained"]
NetworkName = Literal["mlp", "cnn"]
Units = Literal["relu", "gelu"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment; those of the paper by default."""

    dataset: str = "mnist"
    classes: tuple[int, int] = (4, 9)
    rare: int = 7
    """Class that joins the first in the part `subclass`."""
    parts: tuple[Part, ...] = ("correlation", "mislabel", "summarization", "examples", "subclass", "trained")
    networks: tuple[NetworkName, ...] = ("mlp", "cnn")
    width: int = 1024
    """Units of the hidden layer of the MLP."""
    num_examples: int = 1000
    """Training examples, and as many for reference."""
    steps: int = 2000
    mlp_learning_rate: float = 1e-3
    cnn_learning_rate: float = 1e-2
    late_learning_rate: float = 0.3
    """For the detection of wrong labels and for summarization, which want a late time."""
    flip: float = 0.1
    """Fraction of wrong labels."""
    retrained_examples: int = 1000
    """Training examples of the comparison with retraining, each of which is left out."""
    trained_epochs: int = 100
    """Of the part `trained`, whose networks are trained by SGD with momentum in batches, as fast as by full batches."""
    trained_batch: int = 50
    left_out: int = 100
    """Examples without which they are really trained."""
    projections: int = 64
    """Random projections of the trained weights, and of the outputs, for the scores of all examples."""
    trained_units: tuple[Units, ...] = ("relu", "gelu")
    """Of those networks: the paper's, and smooth ones."""
    midpoint_of_all: tuple[NetworkName, ...] = ("mlp",)
    """Networks of which all examples are scored at the midpoint too, a training for each."""
    seeds: int = 3
    output: Path = Path("results/sample_information/paper")


PRESETS = {
    "smoke": Settings(
        dataset="digits",
        networks=("mlp",),
        width=64,
        num_examples=120,
        steps=200,
        mlp_learning_rate=0.1,
        retrained_examples=12,
        trained_epochs=3,
        trained_batch=20,
        left_out=6,
        projections=8,
        trained_units=("relu",),
        seeds=1,
        output=Path("results/sample_information/smoke"),
    ),
    "laptop": Settings(
        width=256,
        num_examples=500,
        steps=500,
        mlp_learning_rate=4e-3,
        cnn_learning_rate=4e-2,
        late_learning_rate=1.2,
        retrained_examples=30,
        trained_epochs=50,
        left_out=30,
        seeds=2,
        output=Path("results/sample_information/laptop"),
    ),
    "paper": Settings(),
    "cifar10_laptop": Settings(
        dataset="cifar10",
        classes=(3, 4),
        rare=5,
        parts=("examples", "subclass"),
        networks=("cnn",),
        output=Path("results/sample_information/cifar10_laptop"),
    ),
}


class Task(NamedTuple):
    """A binary task: training and reference sets, labels 0 and 1.

    Attributes:
      x, labels: of the training examples.
      origin: the class of each in the data set.
      reference_x, reference_labels: of the reference examples.
    """

    x: np.ndarray
    labels: np.ndarray
    origin: np.ndarray
    reference_x: np.ndarray
    reference_labels: np.ndarray


@functools.cache
def load(name: str) -> data.ImageSet:
    """The training images of a set; colour ones take longer to decode than what is done with them."""
    return data.load(name, "train")


def draw_task(settings: Settings, seed: int, size: int, *, group: tuple[int, ...] | None = None) -> Task:
    """Draws two classes of the data set; with `group`, class 0 is that group of classes in place of the first."""
    images = load(settings.dataset)
    first, second = settings.classes
    chosen = (*(group or (first,)), second)
    subset = data.select_classes(images.x, images.y, chosen)
    drawn = data.random_subset(jax.random.key(seed), subset.x, subset.y, min(2 * size, len(subset.y)))
    # the papers' constants for MNIST; other sets by their own moments
    moments = (0.456 * 255, 0.224 * 255) if settings.dataset == "mnist" else data.pixel_moments(drawn.x)
    x, labels = data.standardize(drawn.x, *moments), (drawn.y == len(chosen) - 1).astype(np.int32)
    origin = np.array(chosen)[drawn.y]
    half = len(x) // 2
    return Task(x[:half], labels[:half], origin[:half], x[half:], labels[half:])


def make_network(
    settings: Settings, name: NetworkName, seed: int, x: np.ndarray, units: Units = "relu"
) -> tuple[ApplyFn, Params]:
    """The paper's network of that name, with fresh parameters, and with other units than its own where they are."""
    activation = {"relu": jax.nn.relu, "gelu": jax.nn.gelu}[units]
    if name == "mlp":
        network: Any = networks.MLP((settings.width,), 1, activation=activation)
    else:
        network = networks.four_layer_cnn(activation=activation)
    return network.apply, network.init(jax.random.key(1000 + seed), x[:1])


def kernels(apply_fn: ApplyFn, params: Params, task: Task) -> dict[str, Any]:
    """The arguments of `leave_one_out` but for the targets."""
    return {
        "kernel": kernel_eigen(empirical_kernel(apply_fn, params, task.x)),
        "reference_kernel": empirical_kernel(apply_fn, params, task.reference_x, task.x),
        "initial_outputs": apply_fn(params, jnp.asarray(task.x)),
    }


def learning_rate(settings: Settings, name: NetworkName) -> float:
    """The paper's step size for the network of that name."""
    return settings.mlp_learning_rate if name == "mlp" else settings.cnn_learning_rate
