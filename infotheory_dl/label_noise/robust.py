"""For people with a table or images, and wrong labels: a classifier that ignores them, and their ids."""

import functools
from typing import Any, Unpack

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int, Real

from infotheory_dl import networks
from infotheory_dl._validation import (
    ClassLabels,
    class_labels,
    edge,
    is_concrete,
    require_choice,
    require_finite,
    require_rank,
    warn,
)
from infotheory_dl.data import Moments, pixel_moments, standardize, train_validation_split
from infotheory_dl.data.preprocessing import channels_first, network_inputs
from infotheory_dl.label_noise import _core
from infotheory_dl.label_noise.detection import FILTERS, Filter
from infotheory_dl.label_noise.grids import Grid, predict_grid, train_grid
from infotheory_dl.label_noise.methods import METHODS, MethodName, Plan, Start, make_method
from infotheory_dl.linearization import KernelEigen, mean_kernel_eigen
from infotheory_dl.results import concise
from infotheory_dl.training import EngineOptions
from infotheory_dl.training import predict as predict_outputs
from infotheory_dl.types import AnyArray, AnyLabels, Key, Params

_EXACT_KERNEL = 5000
_LANDMARKS = 3000


@concise
@struct.dataclass
class RobustFit:
    """A classifier, and what was found of the labels it was trained on.

    Attributes:
      variables: of the network, after the best epoch.
      predictions: the class of every given example, by its place in `class_names`.
      probabilities: what the suspicion goes by: those of the predictor of LIMIT after the last epoch, of the
        leave-one-out predictor, or of the classifier itself.
      suspicion: `gradient_distance` of these from the given labels, the higher the more suspect.
      noisy_ids: the examples whose labels are taken to be wrong, the most suspect first.
      training_ids: the examples that were trained on; the others chose the epoch.
      epochs: after which the classifier was validated.
      validation_accuracy: on the given labels of the others, after each of these epochs; NaN once out of patience.
      train_accuracy: on the given labels of the training examples, in each epoch; likewise.
      best_epoch: that of the greatest validation accuracy.
      moments: of each column, or channel, by which inputs are standardized.
      network: gives logits of standardized inputs.
      class_names: what y calls the classes: numbers, booleans or strings.
    """

    variables: Params
    predictions: Int[np.ndarray, " examples"]
    probabilities: Float[np.ndarray, "examples classes"]
    suspicion: Float[np.ndarray, " examples"]
    noisy_ids: Int[np.ndarray, " noisy"]
    training_ids: Int[np.ndarray, " training"]
    epochs: Int[np.ndarray, " evaluations"]
    validation_accuracy: Float[np.ndarray, " evaluations"]
    train_accuracy: Float[np.ndarray, " epochs"]
    best_epoch: int
    moments: Moments
    network: nn.Module = struct.field(pytree_node=False)
    class_names: tuple[Any, ...] = struct.field(pytree_node=False)


@edge
def fit_robust(
    key: Key,
    x: Real[AnyArray, "examples *features"],
    y: AnyLabels,
    *,
    method: MethodName = "limit_laplace",
    network: nn.Module | None = None,
    kernel_network: nn.Module | None = None,
    num_classes: int | None = None,
    validation_fraction: float = 0.2,
    num_epochs: int = 100,
    evaluate_every: int = 1,
    patience: int | None = None,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    gradient_weight_decay: float = 10.0,
    forget_rate: float = 0.2,
    transition: Float[AnyArray, "classes classes"] | None = None,
    filter: Filter = "prune_by_noise_rate",
    **options: Unpack[EngineOptions],
) -> RobustFit:
    """Trains a classifier on labels of which some are wrong, and says which.

    A part of the examples is set aside to choose the epoch by; their labels are as noisy as the others, and no label is
    taken to be clean.

    Args:
      key: source of randomness.
      x: rows of a table, or images (examples, height, width, channels). Each column, or channel, is standardized.
      y: given labels: numbers, booleans or strings. Numbers are codes in [0, num_classes), or names where they are
        negative or very large.
      method: how to train, see `make_method`; "cross_entropy" is the plain way. "dmi", which alone does not know which
        class is which, begins with the classifier of cross-entropy, after as many epochs again.
      network: a flax network whose outputs are logits, for standardized inputs; default `networks.small_classifier`.
        The second network of LIMIT and "penalize" is one like it.
      kernel_network: a flax network with one output, for "leave_one_out": the kernel is the mean of those of five
        untrained ones, of more than 5000 examples interpolated from 3000 of them; default `networks.wide_layer`.
      num_classes: default as many as the labels say.
      validation_fraction: share of the examples that are set aside.
      num_epochs: passes over the others.
      evaluate_every, patience, batch_size: as in `train_grid`.
      learning_rate: of Adam.
      gradient_weight_decay: of LIMIT, see `limit.loss`, and of "penalize".
      forget_rate: of "co_teaching", the share of the examples that is left out, such as that of wrong labels; the
        first tenth of the epochs leads up to it.
      transition: T[i, j] = p(noisy j | clean i), for the corrections of the loss.
      filter: how many labels are taken to be wrong, see `noisy_ids`.
      options: see `training.EngineOptions`.

    Returns:
      The classifier, for `predict` and `score`, and the findings.

    Raises:
      ValueError: if the shapes do not fit, an input is NaN or infinite, a label is no class, naming the first, one
        class only occurs, or more than a third as many as examples without `num_classes`, a part of the examples would
        be empty, a setting is impossible, or the method lacks what it needs.

    Warns:
      UserWarning: if no example has one of the classes, images have their channels first by their shape, or the
        training became infinite or NaN and was ended there.
    """
    require_choice("filter", filter, FILTERS)
    require_choice("method", method, tuple(METHODS))
    x = np.asarray(x)
    require_finite(x=x)
    require_rank("x", x, (2, 4), "(examples, features) or (examples, height, width, channels)")
    if channels_first(x.shape):
        warn(
            f"x has the shape {x.shape}, by which the {x.shape[1]} channels of the images come first, and is read as"
            " (examples, height, width, channels): turn it by np.moveaxis(x, 1, -1)"
        )
    given, names = _named(y, num_classes, len(x))
    num_classes = len(names)
    absent = np.setdiff1d(np.arange(num_classes), given)
    if absent.size:
        warn(f"no example has one of the labels {absent.tolist()}: they are never learned")
    key_split, key_kernel, key_training = jax.random.split(key, 3)
    parts = train_validation_split(key_split, x, given, validation_fraction=validation_fraction)
    training, validation = (part.indices for part in parts)

    moments = pixel_moments(x, per="channel")
    inputs = network_inputs(x, moments)
    classifier = network or networks.small_classifier(x.shape[1:], num_classes)
    make = functools.partial(
        make_method,
        classifier=classifier,
        input_shape=x.shape[1:],
        transition=transition,
        num_examples=len(x),
        num_classes=num_classes,
        growth_steps=-(-num_epochs // 10) * -(-len(training) // batch_size),
    )
    settings = {
        "learning_rate": [learning_rate],
        "gradient_weight_decay": [gradient_weight_decay],
        "forget_rate": [forget_rate],
    }

    def train(name: MethodName, start: Start, **options: Unpack[EngineOptions]) -> Grid:
        return train_grid(
            key_training,
            make(name),
            inputs,
            start.labels,
            training_rows=training[None],
            validation_rows=validation[None],
            settings=METHODS[name].taken(settings),
            variables=start.variables,
            num_epochs=num_epochs,
            batch_size=batch_size,
            evaluate_every=evaluate_every,
            patience=patience,
            **options,
        )

    def kernel(variant: int) -> KernelEigen:
        return mean_kernel_eigen(
            key_kernel,
            kernel_network or networks.wide_layer(x.shape[1:]),
            inputs[training] if x.ndim == 2 else _from_zero_to_one(x[training]),
            num_landmarks=_LANDMARKS if len(training) > _EXACT_KERNEL else None,
        )

    def plain() -> Params:
        once: EngineOptions = {**options, "checkpoint": None}  # the checkpoint is that of the second training
        return jax.tree.map(lambda leaf: leaf[0], train("cross_entropy", Start(given[:, None]), **once).best)

    chosen = make(method)
    start: Start = METHODS[method].prepare(Plan(given[:, None], training[None], num_classes, kernel, plain))
    grid = train(method, start, **options)
    if grid.diverged.any():
        warn("the training diverged: a smaller learning_rate may help")
    probabilities = np.array(predict_grid(chosen.classifier, grid.best, inputs)[0, 0, 0])
    predictions = probabilities.argmax(1)
    if chosen.predictor is not None:
        probabilities = np.array(predict_grid(chosen.predictor, grid.last.networks[1].variables, inputs)[0, 0, 0])
    if start.targets is not None:
        # the labels set aside were not trained on: for them the classifier is as ignorant
        probabilities[training] = start.labels[training, 0]
    wrong = _core.noisy_ids(probabilities, given, filter)
    is_given = jax.nn.one_hot(given, num_classes, dtype=probabilities.dtype)
    suspicion = np.asarray(_core.gradient_distance(jnp.asarray(probabilities), is_given))
    order = _core.ids_by_score(suspicion)
    return RobustFit(
        variables=jax.tree.map(lambda leaf: leaf[0, 0, 0], grid.best),
        predictions=predictions,
        probabilities=probabilities,
        suspicion=suspicion,
        noisy_ids=order[np.isin(order, wrong)],
        training_ids=training,
        epochs=grid.epochs,
        validation_accuracy=grid.validation_accuracy[0, 0, 0],
        train_accuracy=grid.train_accuracy[0, 0, 0],
        best_epoch=int(grid.best_epoch[0, 0, 0]),
        moments=moments,
        network=classifier,
        class_names=tuple(names.tolist()),
    )


@edge
def predict(
    fit: RobustFit, x: Real[AnyArray, "examples *features"], *, batch_size: int = 1000
) -> Float[Array, "examples classes"]:
    """The probabilities that the classifier predicts for inputs like those it was fitted to."""
    inputs = network_inputs(x, fit.moments) if is_concrete(x) else (x - fit.moments.mean) / fit.moments.std
    return jax.nn.softmax(predict_outputs(fit.network.apply, fit.variables, jnp.asarray(inputs), batch_size=batch_size))


@edge
def score(fit: RobustFit, x: Real[AnyArray, "examples *features"], y: AnyLabels) -> float:
    """The share of labels that the classifier predicts.

    Raises:
      ValueError: if the labels are not one class of the fit for each input.
    """
    codes = class_labels(y, name="y", names=np.array(fit.class_names), num_examples=len(x)).codes
    return float(np.mean(np.asarray(predict(fit, x)).argmax(1) == codes))


def _named(y: AnyLabels, num_classes: int | None, num_examples: int) -> ClassLabels:
    """The labels; numbers are codes also where their greatest says of how many classes, unless that were too many."""
    labels = class_labels(y, name="y", num_classes=num_classes, num_examples=num_examples, to_learn=True)
    least, greatest = labels.names[[0, -1]]
    if num_classes is None and labels.names.dtype.kind in "iu" and least >= 0 and greatest < num_examples // 3:
        return class_labels(y, name="y", num_classes=int(greatest) + 1)
    return labels


def _from_zero_to_one(images: np.ndarray) -> Float[np.ndarray, "examples *features"]:
    """On a background of 0 like that of the padding."""
    lowest, highest = float(images.min()), float(images.max())
    return standardize(images, lowest, highest - lowest if highest > lowest else 1.0, dtype=np.float32)
