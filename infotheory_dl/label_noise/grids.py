"""Whole grids of settings, noisy labels and seeds as one program of the training engine, and what to choose of them."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Unpack, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num
from jaxtyping import Key as Keys

from infotheory_dl._validation import edge, require_count, require_indices
from infotheory_dl.label_noise._labels import checked_labels
from infotheory_dl.label_noise.methods import Method
from infotheory_dl.results import concise
from infotheory_dl.training import (
    Best,
    Data,
    EngineOptions,
    Evaluation,
    Metrics,
    State,
    System,
    gather,
    of_variants,
    predict,
    predicted_classes,
    train_many,
)
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params


@concise
class Grid(NamedTuple):
    """Trained classifiers, for each point of the settings, variant of the labels and seed.

    Attributes:
      settings: by name, the value at each point.
      epochs: after which the classifiers were validated.
      validation_accuracy: on the noisy labels to validate with, after each of these epochs; NaN once out of patience.
      train_accuracy: on the noisy labels to train on, before each step; mean over the steps of each epoch; likewise.
      best_epoch: that of the greatest validation accuracy, the first of equal ones.
      best: variables of the classifier after it.
      last: state of the method after the last epoch, or the one at which its patience ended.
      diverged: whether a training became infinite; its last state is the one before.
    """

    settings: dict[str, Float[np.ndarray, " points"]]
    epochs: Int[np.ndarray, " evaluations"]
    validation_accuracy: Float[np.ndarray, "points variants seeds evaluations"]
    train_accuracy: Float[np.ndarray, "points variants seeds epochs"]
    best_epoch: Int[np.ndarray, "points variants seeds"]
    best: Params
    last: State
    diverged: Bool[np.ndarray, "points variants seeds"]

    @property
    def best_validation_accuracy(self) -> Float[np.ndarray, "points variants seeds"]:
        """The validation accuracy at the best epoch."""
        return np.nanmax(self.validation_accuracy, axis=-1)


@edge
def train_grid(
    key: Key,
    method: Method,
    inputs: Num[AnyArray, "examples ..."],
    labels: Int[AnyArray, "examples variants"] | Float[AnyArray, "examples variants classes"],
    *,
    training_rows: Int[AnyArray, "variants training"],
    validation_rows: Int[AnyArray, "variants validation"],
    settings: Mapping[str, Sequence[float]] | None = None,
    num_seeds: int = 1,
    variables: Params | None = None,
    num_epochs: int,
    batch_size: int = 256,
    evaluate_every: int = 1,
    patience: int | None = None,
    evaluation_batch_size: int = 100,
    **options: Unpack[EngineOptions],
) -> Grid:
    """Trains a method at every point of a grid of settings, on every variant of the labels, with several seeds.

    Trainings that differ in their settings alone begin with the same weights and see the examples in the same order.

    Args:
      key: whence the weights and orders of each variant and seed derive.
      method: of `make_method`.
      inputs: of all examples.
      labels: their noisy labels, a column for each variant, such as noise of several rates or draws; soft ones have an
        axis of classes.
      training_rows: the examples of each variant to train on.
      validation_rows: those whose labels, as noisy, epochs are selected by; the classifier alone is evaluated.
      settings: for each name the values that the method's system begins with; the grid is all their combinations.
      num_seeds: trainings of each combination.
      variables: of trained classifiers, with axes of variants and seeds, for the method to begin with.
      num_epochs: passes over the training set.
      batch_size: examples per step.
      evaluate_every: epochs between two validations; the last epoch is one.
      patience: validations without a better one after which a model stops.
      evaluation_batch_size: examples that are predicted at once.
      options: see `training.EngineOptions`.

    Returns:
      The trained classifiers.

    Raises:
      ValueError: if shapes do not fit, a label is no class, naming the first of its variant, or a setting is
        impossible.
    """
    num_examples, num_variants = np.shape(labels)[:2]
    for name, rows in {"training_rows": training_rows, "validation_rows": validation_rows}.items():
        if len(rows) != num_variants or rows.size == 0:
            raise ValueError(f"{name} must be those of {num_variants} variants of the labels, got shape {rows.shape}")
        require_indices(num_examples, **{name: rows})
    require_count(1, num_seeds=num_seeds, evaluate_every=evaluate_every)
    settings = settings or {}
    combinations = list(itertools.product(*settings.values()))
    _require_possible(method, [dict(zip(settings, values, strict=True)) for values in combinations], inputs, labels)
    points = np.array(combinations, float).reshape(len(combinations), len(settings))
    shape = len(points), num_variants, num_seeds
    point, variant, seed = (axis.ravel() for axis in np.indices(shape))
    init_key, train_key = jax.random.split(key)
    names = tuple(settings)
    chosen = None if variables is None else jax.tree.map(lambda leaf: jnp.asarray(leaf)[variant, seed], variables)
    system = _of_variants(method, evaluation_batch_size)
    states = _begin(
        system,
        names,
        _fold(init_key, variant, seed),
        chosen,
        jnp.asarray(points[point]),
        jnp.asarray(variant),
    )
    epochs = sorted({*range(evaluate_every, num_epochs + 1, evaluate_every), num_epochs})
    examples = jnp.asarray(inputs), jnp.asarray(labels)
    training = train_many(
        _fold(train_key, variant, seed),
        system.step,
        states,
        examples,
        num_epochs=num_epochs,
        batch_size=batch_size,
        subsets=np.asarray(training_rows)[variant],
        evaluation=Evaluation(
            system.evaluate,
            (*examples, jnp.asarray(validation_rows)),
            epochs=epochs,
            maximize="accuracy",
            patience=patience,
        ),
        **options,
    )
    shaped = lambda tree: jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), gather(tree))
    best = cast(Best, training.best)
    return Grid(
        settings=dict(zip(names, points.T, strict=True)),
        epochs=np.asarray(epochs),
        validation_accuracy=shaped(training.evaluations["accuracy"]),
        train_accuracy=shaped(training.metrics["accuracy"].mean(-1)),
        best_epoch=shaped(best.epoch),
        best=shaped(best.state.state.variables),
        last=shaped(training.state.state),
        diverged=shaped(training.diverged),
    )


def select_settings(grid: Grid) -> Int[np.ndarray, " variants"]:
    """The point of the settings with the greatest validation accuracy, mean over seeds, for each variant.

    Only noisy labels to validate with are looked at. Of equal points the first counts; one with a training that
    diverged does not, unless all did.
    """
    accuracy = np.where(grid.diverged.any(-1), -1.0, grid.best_validation_accuracy.mean(-1))
    return accuracy.argmax(0)


@edge
def predict_grid(
    classifier: ApplyFn, variables: Params, inputs: Num[AnyArray, "examples ..."], *, batch_size: int = 1000
) -> Float[Array, "points variants seeds examples classes"]:
    """The probabilities that the classifiers of a grid predict, one classifier after the other.

    Args:
      classifier: `classifier(variables, inputs)`, the logits, such as `Method.classifier`.
      variables: such as `Grid.best`, or `Grid.last.variables`.
      inputs: the same for all.
      batch_size: inputs at once.
    """
    shape = jax.tree.leaves(variables)[0].shape[:3]
    models = jax.tree.map(lambda leaf: jnp.asarray(leaf).reshape(-1, *leaf.shape[3:]), variables)
    probabilities = _probabilities(classifier, models, jnp.asarray(inputs), batch_size)
    return probabilities.reshape(*shape, *probabilities.shape[1:])


@functools.lru_cache(maxsize=32)  # with the same functions the engine finds its program compiled
def _of_variants(method: Method, batch_size: int) -> System:
    def evaluate(state: State, data: Data) -> Metrics:
        inputs, labels = data
        logits = predict(method.classifier, state.variables, inputs, batch_size=batch_size)
        classes = labels if labels.ndim == 1 else predicted_classes(labels)
        return {"accuracy": (predicted_classes(logits) == classes).mean()}

    def own(data: Data, variant: Int[Array, ""]) -> Data:
        inputs, labels, rows = data
        return inputs[rows[variant]], labels[rows[variant], variant]

    return of_variants(method.system._replace(evaluate=evaluate), evaluation=own)


def _require_possible(
    method: Method, combinations: Sequence[dict[str, float]], inputs: AnyArray, labels: AnyArray
) -> None:
    """Raises what the method raises of settings, and of labels, that it is later given as traced arrays."""
    for settings in combinations:
        state = jax.eval_shape(functools.partial(method.system.init, **settings), jax.random.key(0))
    logits = jax.eval_shape(method.classifier, state.variables, jnp.asarray(inputs[:1]))
    for variant in np.moveaxis(np.asarray(labels), 1, 0):
        checked_labels(variant, len(variant), logits.shape[-1])


@functools.partial(jax.jit, static_argnums=(0, 1))
def _begin(system, names, keys, variables, points, variants):
    def begin(model):
        key, variables, point, variant = model
        return system.init(key, variables, variant=variant, **dict(zip(names, point, strict=True)))

    return lax.map(begin, (keys, variables, points, variants))


def _fold(key: Key, *numbers: Int[np.ndarray, " models"]) -> Keys[Array, " models"]:
    fold = jax.vmap(lambda numbers: functools.reduce(jax.random.fold_in, numbers, key))
    return fold(jnp.stack(numbers, axis=1))


@functools.partial(jax.jit, static_argnums=(0, 3))
def _probabilities(classifier, variables, inputs, batch_size):
    of_model = lambda variables: jax.nn.softmax(predict(classifier, variables, inputs, batch_size=batch_size))
    return lax.map(of_model, variables)
