"""The training engine: one loop for every system, for one model or for many, as one XLA program."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl._validation import (
    edge,
    require_choice,
    require_count,
    require_indices,
    require_not_negative,
)
from infotheory_dl.training import _program, checkpoints, parallel
from infotheory_dl.training._program import Data, Evaluate, Minibatches, Schedule, State, Step, TrainingState
from infotheory_dl.training.checkpoints import Checkpoint
from infotheory_dl.types import AnyArray, Key

Callback: TypeAlias = Callable[[TrainingState], Any]


class Evaluation(NamedTuple):
    """What to look at while a model trains.

    Attributes:
      function: `function(state, data)` reports anything of a state: losses, accuracies, predictions. In a training with
        shared arrays it is called as `function(state, data, shared)`.
      data: what it is given; default the training data.
      epochs: after how many epochs it is called, increasing; default after every one.
      maximize: the metric that is largest at the best epoch; default none is selected.
      minimize: or the metric that is smallest at it.
      patience: after how many evaluations without a better one a model stops: its state stays as it is, and nothing
        more is recorded of it. Default it never does.
      tie: which of equally good epochs is the best, the "first" or the "latest"; patience begins anew at the latest.
    """

    function: Evaluate
    data: Data = None
    epochs: Sequence[int] | None = None
    maximize: str | None = None
    minimize: str | None = None
    patience: int | None = None
    tie: Literal["first", "latest"] = "first"


class EngineOptions(TypedDict, total=False):
    """What a function that trains many models hands on to `train_many`, which see."""

    callback: Callback | None
    callback_every: int | None
    checkpoint: Checkpoint | None
    axis: Literal["auto", "vmap", "map"]
    models_at_once: int | None
    mesh: Mesh | None


_NO_EVALUATION = Evaluation(lambda *given: {}, epochs=())


@edge
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
    require_count(1, num_examples=num_examples, batch_size=batch_size)
    size = min(batch_size, num_examples)
    num_steps = -(-num_examples // size)

    def schedule(key: Key, epoch: Int[Array, ""]) -> Minibatches:
        order = jnp.arange(num_examples)
        if shuffle:
            order = jax.random.permutation(jax.random.fold_in(key, epoch), order)
        mask = jnp.arange(num_steps * size) < num_examples
        return Minibatches(jnp.resize(order, (num_steps, size)), mask.reshape(num_steps, size))

    return schedule


@edge
def train(
    key: Key,
    step: Step,
    state: State,
    data: Data,
    *,
    shared: Any = None,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    subset: Int[AnyArray, " rows"] | None = None,
    weights: Float[AnyArray, " examples"] | None = None,
    evaluation: Evaluation | None = None,
    callback: Callback | None = None,
    callback_every: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> TrainingState:
    """Trains one model.

    Without callback and checkpoint this is a pure function: `jit`, `vmap` and `lax.map` apply to it. A program is
    compiled once for the same `step`, schedule and function of the evaluation: make them once, not anew for every call.

    Args:
      key: whence the order of the examples and the keys of the steps derive.
      step: one update of the system.
      state: its initial state.
      data: the training data. They stay on the device in their own dtype; every step gathers its rows.
      shared: arrays without an axis of examples, such as a graph: they are `batch.shared` in every step, and the third
        argument of the evaluation. Like the data they are arguments of the program: others of the same shapes compile
        nothing.
      num_epochs: passes over the training set.
      batch_size: examples per step, as `minibatches` schedules them, or a schedule of another kind. None makes the
        whole training set, in its order, the one batch of an epoch.
      subset: the rows of `data` that are the training set; default all.
      weights: of the examples, one for each row of `data`: they are `batch.weights` in every step, for a step that
        looks at them, as that of `supervised` does. The order of the examples does not depend on them.
      evaluation: what to look at, after which epochs, and which epoch is the best.
      callback: is given the training after every chunk of epochs, such as to show `progress`. Its arrays live until the
        callback returns: the next chunk reuses their memory.
      callback_every: epochs in a chunk; default all. The result does not depend on it.
      checkpoint: where the training is saved after every chunk, before the callback, and whence the same call continues
        one that was interrupted.

    Returns:
      The training at its end.

    Raises:
      ValueError: if the data are empty or of unequal lengths, a setting is impossible, or the checkpoints are those of
        another training.
    """
    keys, states, subsets, own_weights = _with_axis((key, state, subset, weights))
    training = train_many(
        keys,
        step,
        states,
        data,
        shared=shared,
        num_epochs=num_epochs,
        batch_size=batch_size,
        subsets=subsets,
        weights=own_weights,
        evaluation=evaluation,
        callback=None if callback is None else lambda training: callback(_without_axis(training)),
        callback_every=callback_every,
        checkpoint=checkpoint,
        axis="map",
    )
    return _without_axis(training)


@edge
def train_many(
    keys: Keys[Array, " models"],
    step: Step,
    states: State,
    data: Data,
    *,
    shared: Any = None,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    subsets: Int[AnyArray, "models rows"] | None = None,
    weights: Float[AnyArray, "models examples"] | None = None,
    evaluation: Evaluation | None = None,
    callback: Callback | None = None,
    callback_every: int | None = None,
    checkpoint: Checkpoint | None = None,
    axis: Literal["auto", "vmap", "map"] = "auto",
    models_at_once: int | None = None,
    mesh: Mesh | None = None,
) -> TrainingState:
    """Trains many models in one program. Each comes out as `train` would train it; a diverged one harms no other.

    Several devices share the models evenly and exchange nothing. So do those of several processes: after
    `jax.distributed.initialize` each makes the same call with the same arrays, and `gather` brings the result together.

    Args:
      keys: one key per model; equal keys see the examples in the same order.
      step: one update of one model.
      states: initial states, with a leading axis of models.
      data: the training data, the same for all models.
      shared, num_epochs, batch_size, callback_every: as in `train`.
      subsets: the training set of each model, as rows of `data`; default all rows for all models.
      weights: of the examples in each model, see `train`.
      evaluation: what to look at in each model, on the same data.
      callback: is given the training of all models.
      checkpoint: of all models together.
      axis: "vmap" trains the models of a device side by side, "map" one after the other. "auto" is "map" on CPUs, where
        the caches make it the faster one, and "vmap" on accelerators.
      models_at_once: with "vmap", how many models go side by side on a device, to bound the memory of a step; default
        all.
      mesh: the devices to use; default all, those of all processes. The arrays of the result are spread over them.

    Returns:
      The training at its end, with a leading axis of models. With "map" it is the same on any number of devices, bit
      for bit; with "vmap", products of matrices round by how many models go side by side.

    Raises:
      ValueError: as in `train`, and if the states, the subsets or the weights are not as many as the keys.
    """
    require_choice("axis", axis, ("auto", "vmap", "map"))
    evaluation = evaluation or _NO_EVALUATION
    require_choice("tie", evaluation.tie, ("first", "latest"))
    require_count(
        1,
        num_epochs=num_epochs,
        callback_every=callback_every,
        models_at_once=models_at_once,
        patience=evaluation.patience,
    )
    _require_models(len(keys), states=states, subsets=subsets, weights=weights)
    num_examples = count_examples(data)
    require_weights(weights, num_examples)
    if subsets is not None:
        _require_rows(subsets, num_examples)
        num_examples = subsets.shape[1]
    selection, evaluation_epochs = _selection(evaluation), _evaluation_epochs(evaluation, num_epochs)
    mesh = parallel.model_mesh(mesh, len(keys))
    if axis == "auto":
        platform = jax.default_backend() if mesh is None else mesh.devices[0].platform
        axis = "map" if platform == "cpu" else "vmap"

    program = _program.Program(
        step=step,
        schedule=batch_size if batch_size is None or callable(batch_size) else minibatches(num_examples, batch_size),
        evaluate=evaluation.function,
        selection=selection,
        patience=evaluation.patience,
        tie=evaluation.tie,
        num_epochs=num_epochs,
        models_at_once=1 if axis == "map" else models_at_once or len(keys),
        mesh=mesh,
    )
    evaluation_data = data if evaluation.data is None else evaluation.data
    common = parallel.replicate(_program.Common(data, shared, evaluation_data, evaluation_epochs), mesh)
    keys_on, states_on, chosen = parallel.spread((keys, states, _program.Chosen(subsets, weights)), mesh)
    training = _program.begin(program, common, keys_on, states_on, chosen)
    of_models = functools.partial(parallel.without_copies, num_models=len(keys), mesh=mesh)

    callbacks, done = [] if callback is None else [callback], 0
    if checkpoint is not None:
        settings = {
            "num_models": len(keys),
            "num_epochs": num_epochs,
            "batch_size": "a schedule" if callable(batch_size) else batch_size,
            "schedule": _fingerprint_of(batch_size, keys[0], num_epochs) if callable(batch_size) else None,
            "evaluation_epochs": evaluation_epochs.tolist(),
            "selection": selection,
            "patience": evaluation.patience,
            "tie": evaluation.tie,
        }
        arrays = {
            "keys": keys,
            "states": states,
            "subsets": subsets,
            "weights": weights,
            "data": data,
            "shared": shared,
            "evaluation_data": evaluation.data,
        }
        restored = checkpoints.restore(checkpoint, settings, arrays, of_models(training))
        training, done = parallel.spread(restored, mesh), int(restored.epoch)
        callbacks.insert(0, functools.partial(checkpoints.save, checkpoint))

    every = callback_every or num_epochs
    for until in [*range(every, num_epochs, every), num_epochs]:
        if until > done:
            training = _program.advance(program, common, training, chosen, np.int32(until))
            for call in callbacks:
                call(of_models(training))
    return of_models(training)


def _fingerprint_of(schedule: Schedule, key: Key, num_epochs: int) -> str:
    """A digest of the batches of all epochs."""
    compiled = jax.jit(schedule)
    epochs = (checkpoints.fingerprint(compiled(key, np.int32(epoch))) for epoch in range(num_epochs))
    return hashlib.sha256("".join(map(str, epochs)).encode()).hexdigest()[:16]


@jax.jit
def _with_axis(model: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], model)


@jax.jit
def _without_axis(training: TrainingState) -> TrainingState:
    return jax.tree.map(lambda leaf: leaf[0], training._replace(epoch=training.epoch[None]))


def _require_models(num_models: int, **trees: Any) -> None:
    for name, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if np.shape(leaf)[:1] != (num_models,):
                where = f"{name}{jax.tree_util.keystr(path)}"
                raise ValueError(f"{where} must have a leading axis of {num_models} models, got shape {np.shape(leaf)}")


def count_examples(data: Data) -> int:
    """How many examples the data are of.

    Raises:
      ValueError: if the arrays are of unequal lengths or empty.
    """
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(data)]
    if len({shape[:1] for shape in shapes}) != 1 or shapes[0][:1] in ((), (0,)):
        raise ValueError(f"the data must be arrays of the same number of examples, at least 1, got shapes {shapes}")
    return shapes[0][0]


def require_weights(weights: AnyArray | None, num_examples: int) -> None:
    """Raises a ValueError unless there is a weight for each example, finite and not negative, or none is given."""
    if weights is None:
        return
    if weights.shape[-1:] != (num_examples,):
        raise ValueError(f"weights must be of the {num_examples} examples of the data, got {weights.shape[-1]}")
    require_not_negative(weights=weights)


def _require_rows(subsets: AnyArray, num_examples: int) -> None:
    if subsets.size == 0:
        raise ValueError(f"a training set must hold at least one example, got subsets of shape {subsets.shape}")
    require_indices(num_examples, subsets=subsets)


def _selection(evaluation: Evaluation) -> tuple[str, Literal[1, -1]] | None:
    maximize, minimize = evaluation.maximize, evaluation.minimize
    if maximize is not None and minimize is not None:
        raise ValueError(f"one metric selects the best epoch: maximize {maximize!r} or minimize {minimize!r}, not both")
    if maximize is not None:
        return maximize, 1
    if minimize is not None:
        return minimize, -1
    if evaluation.patience is not None:
        raise ValueError("patience waits for a better evaluation: maximize or minimize must say of which metric")
    return None


def _evaluation_epochs(evaluation: Evaluation, num_epochs: int) -> Int[np.ndarray, " evaluations"]:
    epochs = np.arange(1, num_epochs + 1) if evaluation.epochs is None else np.asarray(evaluation.epochs, int)
    if np.any(np.diff(epochs, prepend=0) < 1) or np.any(epochs > num_epochs):
        raise ValueError(f"the epochs of the evaluation must increase within 1 to {num_epochs}, got {epochs.tolist()}")
    return epochs.astype(np.int32)
