"""The runs behind a bound: a training procedure on many selections of supersamples, and what it then predicts.

`run_networks` trains them as one program of the training engine. `run` calls a procedure of any framework.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl._files import whole_file
from infotheory_dl._validation import edge, warn
from infotheory_dl.fcmi.sgld import track_gradient_variance
from infotheory_dl.fcmi.supersample import Selection, Supersample, training_rows
from infotheory_dl.results import concise
from infotheory_dl.training import (
    AnyNetwork,
    Data,
    EngineOptions,
    Evaluation,
    Metrics,
    Network,
    Schedule,
    System,
    as_network,
    begin,
    draw_states,
    gather,
    of_variants,
    own_rows,
    predict,
    predicted_classes,
    supervised,
    train_many,
)
from infotheory_dl.types import AnyArray, Key, Params

TrainAndPredict: TypeAlias = Callable[[Key, np.ndarray, np.ndarray, np.ndarray], AnyArray]
"""`train_and_predict(key, inputs, labels, all_inputs)` trains on the first two arrays and predicts on the third.

It returns the class of each input, or an output for each class.
"""


@concise
class Runs(NamedTuple):
    """What trained models predict, as `bounds` take it.

    Attributes:
      predictions: classes of all entries, in integers as small as will do.
      selection: which entry of each row was trained on.
      labels: the true classes.
      valid: False where a training diverged.
      epochs: those after which the predictions were made; 0 for a procedure that counts none.
      gradient_variances: after each update, if they were asked for.
    """

    predictions: Int[np.ndarray, "epochs supersamples runs entries"]
    selection: Int[np.ndarray, "supersamples runs rows"]
    labels: Int[np.ndarray, "supersamples entries"]
    valid: Bool[np.ndarray, "supersamples runs"]
    epochs: Int[np.ndarray, " epochs"]
    gradient_variances: Float[np.ndarray, "supersamples runs updates"] | None = None


@edge
def run(
    key: Key,
    train_and_predict: TrainAndPredict,
    supersamples: Sequence[Supersample],
    selection: Selection,
    *,
    deterministic: bool = False,
    folder: str | Path | None = None,
) -> Runs:
    """Calls a training procedure, in any framework, once for each supersample and selection.

    Args:
      key: whence the keys of the runs derive.
      train_and_predict: the procedure.
      supersamples: one or several, of one size.
      selection: (runs, rows), or (supersamples, runs, rows) where supersamples differ in it.
      deterministic: whether all runs have one key.
      folder: where the predictions of this procedure are kept as they come, for the same call to go on from.

    Returns:
      The predictions.

    Raises:
      ValueError: if shapes do not fit.
    """
    inputs, labels, rows = _checked(supersamples, selection)
    keys = _keys(key, rows.shape[:2], deterministic)

    def predict_once(z: int, s: int) -> np.ndarray:
        outputs = np.asarray(train_and_predict(keys[z, s], inputs[z][rows[z, s]], labels[z][rows[z, s]], inputs[z]))
        if outputs.ndim > 2 or outputs.shape[:1] != labels[z].shape:
            raise ValueError(
                f"train_and_predict must return a class, or outputs, for each of the {labels.shape[1]} entries, got"
                f" shape {outputs.shape}"
            )
        return outputs

    outputs = []
    for z, s in np.ndindex(rows.shape[:2]):
        once = functools.partial(predict_once, z, s)
        told = (jax.random.key_data(keys[z, s]), inputs[z], labels[z], rows[z, s])
        outputs.append(once() if folder is None else _kept(Path(folder), told, once))
    stacked = np.stack(outputs).reshape(*rows.shape[:2], *outputs[0].shape)
    predictions = stacked if stacked.ndim == 3 else np.asarray(predicted_classes(stacked))
    valid = np.isfinite(stacked).reshape(*rows.shape[:2], -1).all(-1)
    return _runs(predictions[None], rows, labels, valid, np.zeros(1, int))


@edge
def run_networks(
    key: Key,
    network: AnyNetwork,
    supersamples: Sequence[Supersample],
    selection: Selection,
    *,
    num_epochs: int = 200,
    epochs: Sequence[int] | None = None,
    batch_size: int | Schedule = 128,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[[Array, Array], Array] = optax.softmax_cross_entropy_with_integer_labels,
    deterministic: bool = False,
    gradient_variance_every: int | None = None,
    evaluation_batch_size: int = 1000,
    **options: Unpack[EngineOptions],
) -> Runs:
    """Trains a network on every selection of every supersample, all of them in one program.

    Args:
      key: whence the initial parameters and the orders of the examples derive.
      network: a flax module, or whatever else `training.as_network` takes that has an `init`; it has an output for each
        class.
      supersamples: one or several, of one size. Their inputs stay on the device as they are, such as images of 8 bits,
        which `networks.Standardized` takes.
      selection: (runs, rows), or (supersamples, runs, rows) where supersamples differ in it.
      num_epochs: passes over the training set.
      epochs: those after which predictions are made; default the last.
      batch_size: examples per step, or a schedule of the engine.
      optimizer: of optax; default Adam with the learning rate 1e-3.
      loss: `loss(outputs, labels)` of each example.
      deterministic: whether all models begin with the same parameters and see the rows in the same order, so that what
        is learned is a function of the selection alone.
      gradient_variance_every: updates between two of the variances that the bound of SGLD needs; default none.
      evaluation_batch_size: inputs that are predicted at once.
      options: see `training.EngineOptions`.

    Returns:
      The predictions. A model that diverged is not valid, and a warning names it.

    Raises:
      ValueError: if shapes do not fit, a setting is impossible, or batch norm would meet a batch of one.

    Source: Harutyunyan et al., 2021 (f-CMI, section 5).
    """
    inputs, labels, rows = _checked(supersamples, selection)
    n = rows.shape[-1]
    entries = labels.shape[1]
    data = inputs.reshape(-1, *inputs.shape[2:]), labels.ravel()
    network = as_network(network)
    subsets = (rows + entries * np.arange(len(rows))[:, None, None]).reshape(-1, n)

    optimizer = _ADAM if optimizer is None else optimizer
    if isinstance(batch_size, int) and 1 in (n, batch_size, n % batch_size):
        drawn = jax.eval_shape(lambda: begin(network, _ADAM, network.init(key, data[0][:1])))
        if drawn.collections:
            raise ValueError(
                f"{n} examples in batches of {batch_size} leave a batch of one, whose moments do not exist"
            )
    system = _system_of_runs(network, optimizer, loss, gradient_variance_every, evaluation_batch_size)
    init_keys, train_keys = (_keys(part, rows.shape[:2], deterministic).reshape(-1) for part in jax.random.split(key))
    own: dict[str, AnyArray] = {"variant": np.repeat(np.arange(len(rows)), rows.shape[1])}
    if gradient_variance_every is not None:
        own["rows"] = subsets
    states = draw_states(init_keys, network, system, data[0][:1], **own)
    training = train_many(
        train_keys,
        system.step,
        states,
        data,
        shared=None if gradient_variance_every is None else data,
        num_epochs=num_epochs,
        batch_size=batch_size,
        subsets=subsets,
        evaluation=Evaluation(
            system.evaluate,
            (data[0], np.arange(labels.size).reshape(labels.shape)),
            epochs=(num_epochs,) if epochs is None else epochs,
        ),
        **options,
    )
    diverged, predictions, metrics = gather((training.diverged, training.evaluations["predictions"], training.metrics))
    variances = metrics.get("gradient_variance")
    return _runs(
        predictions.reshape(*rows.shape[:2], -1, entries).transpose(2, 0, 1, 3),
        rows,
        labels,
        ~diverged.reshape(rows.shape[:2]),
        np.asarray((num_epochs,) if epochs is None else epochs),
        None if variances is None else variances.reshape(*rows.shape[:2], -1),
    )


# optax makes new functions for the same settings, for which the engine would compile anew
_ADAM = optax.adam(1e-3)


@functools.lru_cache(maxsize=32)  # with the same functions the engine finds its program compiled
def _system_of_runs(
    network: Network,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Array, Array], Array],
    gradient_variance_every: int | None,
    batch_size: int,
) -> System:
    """The ordinary system, whose evaluation predicts the entries of a model's own supersample."""

    def losses(variables: Params, data: Data) -> Array:
        return loss(network.apply(variables, data[0]), data[1])

    def evaluate(state: Any, data: Data, *shared: Any) -> Metrics:
        outputs = predict(network.apply, state.variables, *data, batch_size=batch_size)
        smallest = next(size for size in (jnp.int8, jnp.int16, jnp.int32) if outputs.shape[-1] <= jnp.iinfo(size).max)
        return {"predictions": predicted_classes(outputs, threshold=0.0).astype(smallest)}

    system = supervised(network, optimizer, loss)
    if gradient_variance_every is not None:
        system = track_gradient_variance(system, losses, every=gradient_variance_every)
    return of_variants(system._replace(evaluate=evaluate), step=None, evaluation=own_rows)


def _checked(supersamples, selection):
    """Inputs, labels and training rows, each with an axis of supersamples."""
    shapes = [np.shape(supersample.inputs) for supersample in supersamples]
    if len(set(shapes)) != 1 or any(len(labels) != shapes[0][0] for _, labels in supersamples):
        raise ValueError(f"supersamples must be one or several, of one size, got inputs of shapes {shapes}")
    given, selection = np.shape(selection), np.asarray(selection)
    if selection.ndim == 2:
        selection = np.broadcast_to(selection, (len(shapes), *selection.shape))
    if selection.ndim != 3 or len(selection) != len(shapes) or 2 * selection.shape[-1] != shapes[0][0]:
        raise ValueError(
            f"selection must be (runs, {shapes[0][0] // 2}), or have an axis of {len(shapes)} supersamples before, got"
            f" shape {given}"
        )
    if not np.isin(selection, (0, 1)).all():
        raise ValueError(f"selection must be 0 or 1, got values from {selection.min()} to {selection.max()}")
    inputs = np.stack([np.asarray(supersample.inputs) for supersample in supersamples])
    labels = np.stack([np.asarray(supersample.labels) for supersample in supersamples])
    return inputs, labels, np.asarray(training_rows(selection))


def _keys(key: Key, shape: tuple[int, int], deterministic: bool) -> Keys[Array, "supersamples runs"]:
    """A key for each run, which does not depend on how many runs there are."""
    if deterministic:
        return key[jnp.zeros(shape, int)] if key.ndim else jnp.broadcast_to(key, shape)
    fold = jax.vmap(jax.random.fold_in, (None, 0))
    return jax.vmap(fold, (0, None))(fold(key, jnp.arange(shape[0])), jnp.arange(shape[1]))


def _runs(predictions, rows, labels, valid, epochs, gradient_variances=None) -> Runs:
    if not valid.all():
        names = ", ".join(f"supersample {z} run {s}" for z, s in np.argwhere(~valid))
        warn(f"diverged, and left out of the bounds: {names}")
    return Runs(predictions, (rows % 2).astype(np.int8), labels, valid, epochs, gradient_variances)


def _kept(folder: Path, told: Sequence[Any], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """What a run has predicted before, from all that it was told, or predicts now; a file is whole or absent."""
    digest = hashlib.sha256()
    for array in map(np.ascontiguousarray, told):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.view(np.uint8).data)
    file = folder / f"{digest.hexdigest()[:16]}.npy"
    if file.exists():
        return np.load(file)
    outputs = compute()
    with whole_file(file) as stream:
        np.save(stream, outputs)
    return outputs
