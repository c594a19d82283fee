"""The training engine: one loop for every system, for one model or for many, as one XLA program."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from jaxtyping import Key as Keys

from infotheory_dl._validation import is_concrete, require_choice
from infotheory_dl.training import _program
from infotheory_dl.training._program import Data, Evaluate, Minibatches, Schedule, State, Step, TrainingState
from infotheory_dl.types import AnyArray, Key

Callback: TypeAlias = Callable[[TrainingState], None]


class Evaluation(NamedTuple):
    """What to look at while a model trains.

    Attributes:
      function: `function(state, data)` reports anything of a state: losses, accuracies, predictions.
      data: what it is given; default the training data.
      epochs: after how many epochs it is called, increasing; default after every one.
      maximize: the metric that is largest at the best epoch; default none is selected.
      minimize: or the metric that is smallest at it.
    """

    function: Evaluate
    data: Data = None
    epochs: Sequence[int] | None = None
    maximize: str | None = None
    minimize: str | None = None


_NO_EVALUATION = Evaluation(lambda state, data: {}, epochs=())


@functools.cache  # the same settings give the same function, and a second training finds its program compiled
def minibatches(num_examples: int, batch_size: int, *, shuffle: bool = True) -> Schedule:
    """The schedule that visits every example once per epoch. A short last batch is filled up and masked.

    Args:
      num_examples: size of the training set.
      batch_size: examples per step; a smaller training set makes one batch.
      shuffle: whether every epoch has an order of its own; otherwise the examples come as they lie.

    Raises:
      ValueError: if there are no examples, or batches of none.
    """
    if num_examples < 1 or batch_size < 1:
        raise ValueError(f"num_examples and batch_size must be positive, got {num_examples} and {batch_size}")
    size = min(batch_size, num_examples)
    num_steps = -(-num_examples // size)

    def schedule(key: Key, epoch: Int[Array, ""]) -> Minibatches:
        order = jnp.arange(num_examples)
        if shuffle:
            order = jax.random.permutation(jax.random.fold_in(key, epoch), order)
        mask = jnp.arange(num_steps * size) < num_examples
        return Minibatches(jnp.resize(order, (num_steps, size)), mask.reshape(num_steps, size))

    return schedule


def train(
    key: Key,
    step: Step,
    state: State,
    data: Data,
    *,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    subset: Int[AnyArray, " rows"] | None = None,
    evaluation: Evaluation | None = None,
    callback: Callback | None = None,
    callback_every: int | None = None,
) -> TrainingState:
    """Trains one model.

    Without a callback this is a pure function: `jit`, `vmap` and `lax.map` apply to it. A program is compiled once for
    the same `step`, schedule and function of the evaluation: make them once, not anew for every call.

    Args:
      key: whence the order of the examples and the keys of the steps derive.
      step: one update of the system.
      state: its initial state.
      data: the training data. They stay on the device in their own dtype; every step gathers its rows.
      num_epochs: passes over the training set.
      batch_size: examples per step, as `minibatches` schedules them, or a schedule of another kind. None makes the
        whole training set, in its order, the one batch of an epoch.
      subset: the rows of `data` that are the training set; default all.
      evaluation: what to look at, after which epochs, and which epoch is the best.
      callback: is given the training after every chunk of epochs, to show progress or to save it. Its arrays live until
        the callback returns: the next chunk reuses their memory.
      callback_every: epochs in a chunk; default all. The result does not depend on it.

    Returns:
      The training at its end.

    Raises:
      ValueError: if the data are empty or of unequal lengths, or a setting is impossible.
    """
    keys, states, subsets = _with_axis((key, state, subset))
    training = train_many(
        keys,
        step,
        states,
        data,
        num_epochs=num_epochs,
        batch_size=batch_size,
        subsets=subsets,
        evaluation=evaluation,
        callback=None if callback is None else lambda training: callback(_without_axis(training)),
        callback_every=callback_every,
        axis="map",
    )
    return _without_axis(training)


def train_many(
    keys: Keys[Array, " models"],
    step: Step,
    states: State,
    data: Data,
    *,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    subsets: Int[AnyArray, "models rows"] | None = None,
    evaluation: Evaluation | None = None,
    callback: Callback | None = None,
    callback_every: int | None = None,
    axis: Literal["auto", "vmap", "map"] = "auto",
    models_at_once: int | None = None,
) -> TrainingState:
    """Trains many models in one program. Each comes out as `train` would train it; a diverged one harms no other.

    Args:
      keys: one key per model; equal keys see the examples in the same order.
      step: one update of one model. The settings that are not listed here are those of `train`.
      states: initial states, with a leading axis of models.
      data: the training data, shared by the models.
      subsets: the training set of each model, as rows of `data`; default all rows for all models.
      evaluation: what to look at in each model; its data are shared.
      callback: is given the training of all models.
      axis: "vmap" trains the models side by side, "map" one after the other. "auto" is "map" on CPUs, where the caches
        make it the faster one, and "vmap" on accelerators.
      models_at_once: with "vmap", how many models go side by side, to bound the memory of a step; default all.

    Returns:
      The training at its end, with a leading axis of models.

    Raises:
      ValueError: as in `train`, and if the states or the subsets are not as many as the keys.
    """
    require_choice("axis", axis, ("auto", "vmap", "map"))
    _require_positive(num_epochs=num_epochs, callback_every=callback_every, models_at_once=models_at_once)
    _require_models(len(keys), states=states, subsets=subsets)
    num_examples = _count_examples(data)
    if subsets is not None:
        _require_rows(subsets, num_examples)
        num_examples = subsets.shape[1]
    if axis == "auto":
        axis = "map" if jax.default_backend() == "cpu" else "vmap"

    data, states, subsets = jax.tree.map(jnp.asarray, (data, states, subsets))
    function, evaluation_data, epochs, maximize, minimize = evaluation or _NO_EVALUATION
    program = _program.Program(
        step=step,
        schedule=batch_size if batch_size is None or callable(batch_size) else minibatches(num_examples, batch_size),
        evaluate=function,
        selection=_selection(maximize, minimize),
        num_epochs=num_epochs,
        models_at_once=1 if axis == "map" else min(models_at_once or len(keys), len(keys)),
    )
    shared = _program.Shared(
        data=data,
        evaluation_data=data if evaluation_data is None else jax.tree.map(jnp.asarray, evaluation_data),
        evaluation_epochs=_evaluation_epochs(epochs, num_epochs),
    )
    training = _program.begin(program, shared, keys, states, subsets)
    every = callback_every or num_epochs
    for until in [*range(every, num_epochs, every), num_epochs]:
        training = _program.advance(program, shared, training, subsets, jnp.int32(until))
        if callback is not None:
            callback(training)
    return training


@jax.jit
def _with_axis(model: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], model)


@jax.jit
def _without_axis(training: TrainingState) -> TrainingState:
    return jax.tree.map(lambda leaf: leaf[0], training._replace(epoch=training.epoch[None]))


def _require_positive(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")


def _require_models(num_models: int, **trees: Any) -> None:
    for name, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if np.shape(leaf)[:1] != (num_models,):
                where = f"{name}{jax.tree_util.keystr(path)}"
                raise ValueError(f"{where} must have a leading axis of {num_models} models, got shape {np.shape(leaf)}")


def _count_examples(data: Data) -> int:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(data)]
    if len({shape[:1] for shape in shapes}) != 1 or shapes[0][:1] in ((), (0,)):
        raise ValueError(f"the data must be arrays of the same number of examples, at least 1, got shapes {shapes}")
    return shapes[0][0]


def _require_rows(subsets: AnyArray, num_examples: int) -> None:
    if subsets.size == 0:
        raise ValueError(f"a training set must hold at least one example, got subsets of shape {subsets.shape}")
    if is_concrete(subsets) and not (subsets.min() >= 0 and subsets.max() < num_examples):
        raise ValueError(f"subsets must hold rows from 0 to {num_examples - 1}, got {subsets.min()} to {subsets.max()}")


def _selection(maximize: str | None, minimize: str | None) -> tuple[str, Literal[1, -1]] | None:
    if maximize is not None and minimize is not None:
        raise ValueError(f"one metric selects the best epoch: maximize {maximize!r} or minimize {minimize!r}, not both")
    if maximize is not None:
        return maximize, 1
    return None if minimize is None else (minimize, -1)


def _evaluation_epochs(epochs: Sequence[int] | None, num_epochs: int) -> Int[Array, " evaluations"]:
    numbers = np.arange(1, num_epochs + 1) if epochs is None else np.asarray(epochs, int)
    if np.any(np.diff(numbers, prepend=0) < 1) or np.any(numbers > num_epochs):
        raise ValueError(f"the epochs of the evaluation must increase within 1 to {num_epochs}, got {numbers.tolist()}")
    return jnp.asarray(numbers, jnp.int32)
