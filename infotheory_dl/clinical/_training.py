"""Recurrent networks trained on a store: from several seeds at once, on stays of any length, with the best epoch."""

import functools
import os
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl._validation import edge, require_count, require_not_empty
from infotheory_dl.clinical._configurations import HOURLY_TASKS, Configuration, require_configuration
from infotheory_dl.clinical._lengths import class_lengths
from infotheory_dl.clinical._networks import network
from infotheory_dl.clinical._normalization import Normalizer, moments_of
from infotheory_dl.clinical._objectives import probabilities
from infotheory_dl.clinical._reading import Samples, read_some
from infotheory_dl.clinical._sequences import Rows, bins_of, normalised, rows_of, sequences_of, times_seen
from infotheory_dl.clinical._systems import Prefixes, read_rows, system
from infotheory_dl.results import concise
from infotheory_dl.training import EngineOptions, Evaluation, Minibatches, Schedule, draw_states, train_many
from infotheory_dl.types import Key, Params

_LEAST_BINS = 64
# bins that are predicted at once
_BINS_AT_ONCE = 1 << 15


@concise
class TrainedNetwork(NamedTuple):
    """Recurrent networks of one configuration, each from a seed of its own.

    Attributes:
      configuration: of the network.
      normalizer: of its inputs.
      variables: at the best epoch, with an axis of seeds in front.
      best_epoch: of each seed, counted from 1.
      selected_by: the validation score that is greatest there, or "loss", which is least.
      losses: of each seed and epoch, the mean over its steps.
      evaluations: losses and scores on the validation part, by name, of each seed and epoch.
    """

    configuration: Configuration
    normalizer: Normalizer
    variables: Params
    best_epoch: Int[Array, " seeds"]
    selected_by: str
    losses: Float[Array, "seeds epochs"]
    evaluations: dict[str, Float[Array, "seeds epochs"]]


@edge
def train_network(
    keys: Keys[Array, " seeds"],
    store: str | os.PathLike[str],
    configuration: Configuration,
    *,
    normalizer: Normalizer | None = None,
    num_epochs: int | None = None,
    steps_per_epoch: int | None = None,
    **options: Unpack[EngineOptions],
) -> TrainedNetwork:
    """Trains a recurrent network on the training part of a task, from several seeds in one program.

    Stays of like length make a batch, as in the benchmark. Hourly tasks train on whole stays where all layers read
    forwards, which is exact: at an hour such a network has seen no more than the sample. The epoch is kept whose score
    on the validation part is the greatest: area under the ROC, kappa of lengths, or mean area of phenotypes; of several
    tasks, and where no label varies, that of the least loss.

    Args:
      keys: a seed for each network, such as `jax.random.split(jax.random.key(0), 3)`.
      store: folder of a store that `build` made.
      configuration: such as `configuration("ihm/S")`.
      normalizer: of the inputs, such as `published_normalizer("mortality")`; default that of the samples of the
        training part, of which hourly ones have the bins of their stay up to their hour.
      num_epochs: default those of the configuration.
      steps_per_epoch: at most, of batches drawn anew for each epoch; default all. The benchmark takes 2,000 where
        samples are hours.
      **options: of `training.train_many`, such as a checkpoint, from which an interrupted training goes on. The
        configuration is part of it.

    Returns:
      The networks; `predict_network` applies them.

    Raises:
      ValueError: if the store has no sample of the task in the training or the validation part, or a setting is out of
        range.

    Source: Harutyunyan et al., 2019 (LSTM-based models).
    """
    require_configuration(configuration)
    require_count(1, num_epochs=num_epochs, steps_per_epoch=steps_per_epoch)
    trained = _trained_on(configuration)
    parts = {part: read_some(store, configuration.task, part) for part in ("train", "validation")}
    together = {part: rows_of(samples, configuration.timestep) for part, samples in parts.items()}
    seen = times_seen(parts["train"], together["train"], configuration)
    normalizer = normalizer or moments_of(together["train"].values, seen)
    train_rows, validation_rows = (normalised(rows, normalizer) for rows in together.values())
    # one array for both: validation stays come after those of training
    validation_rows = validation_rows._replace(offsets=validation_rows.offsets + len(train_rows.values))
    shared = np.concatenate([train_rows.values, validation_rows.values])
    lengths = _lengths(trained, (train_rows, validation_rows))
    data = {
        part: sequences_of(parts[part], rows, trained, lengths[-1])
        for part, rows in (("train", train_rows), ("validation", validation_rows))
    }
    selected_by = f"{configuration.task}_score" if _varies(parts["validation"]) else "loss"
    of_network = system(trained, lengths=lengths, evaluation_batch_size=max(1, _BINS_AT_ONCE // lengths[-1]))
    inputs = jnp.zeros((1, lengths[0], shared.shape[1]), jnp.float32)
    evaluation = Evaluation(
        of_network.evaluate,
        tuple(data["validation"]),
        minimize="loss" if selected_by == "loss" else None,
        maximize=None if selected_by == "loss" else selected_by,
    )
    bins = np.asarray(data["train"].inputs.bins)
    checkpoint = options.get("checkpoint")
    if checkpoint is not None:
        own = {**configuration._asdict(), **checkpoint.configuration}
        options["checkpoint"] = checkpoint._replace(configuration=own)
    training = train_many(
        keys,
        of_network.step,
        draw_states(keys, network(trained), of_network, inputs),
        tuple(data["train"]),
        shared=shared,
        num_epochs=num_epochs or configuration.num_epochs,
        batch_size=by_length(bins, min(configuration.batch_size, len(bins)), steps_per_epoch),
        evaluation=evaluation,
        **options,
    )
    assert training.best is not None  # the evaluation selects
    return TrainedNetwork(
        configuration,
        normalizer,
        training.best.state.variables,
        training.best.epoch,
        selected_by,
        jnp.mean(training.metrics["loss"], axis=-1),
        training.evaluations,
    )


@edge
def predict_network(trained: TrainedNetwork, samples: Samples) -> Float[np.ndarray, "seeds samples *labels"]:
    """Predicts the samples of a task with the networks of all seeds.

    Args:
      trained: of `train_network`.
      samples: of `read`, of the task that the networks learned; of networks of several tasks, of any of them.

    Returns:
      Of each seed, in the form of the labels of the samples: probabilities, or hours that are left. Of classes of
      lengths the likeliest one counts.

    Raises:
      ValueError: if the networks did not learn the task, or there are no samples.
    """
    require_not_empty(samples=samples.labels)
    configuration = _trained_on(trained.configuration)
    task = samples.task
    if task not in configuration.tasks:
        raise ValueError(f"the networks learned {', '.join(configuration.tasks)}, not {task}")
    rows = normalised(rows_of(samples, configuration.timestep), trained.normalizer)
    first, bins = rows.offsets[:-1], np.diff(rows.offsets)
    at_hours = task in HOURLY_TASKS and configuration.at_every_bin(task)
    last = bins_of(samples.period, configuration)
    if task in HOURLY_TASKS and not at_hours:
        first, bins = first[samples.stay], last + 1
    seeds = len(trained.best_epoch)
    found = np.zeros((seeds, len(samples.stay), *_outputs(configuration, task)), np.float32)
    sizes = _sizes(configuration, bins)
    for size in np.unique(sizes).tolist():
        chosen = np.flatnonzero(sizes == size)
        at_once = max(1, _BINS_AT_ONCE // size)
        for start in range(0, len(chosen), at_once):
            places = chosen[start : start + at_once]
            block = np.resize(places, at_once)
            prefixes = Prefixes(jnp.asarray(first[block], jnp.int32), jnp.asarray(bins[block], jnp.int32))
            values = np.asarray(_predicted(configuration, task, size, trained.variables, rows.values, prefixes))
            if at_hours:
                mine = np.flatnonzero(np.isin(samples.stay, places))
                place_of = np.zeros(len(bins), int)
                place_of[places] = np.arange(len(places))
                found[:, mine] = values[:, place_of[samples.stay[mine]], last[mine]]
            else:
                found[:, places] = values[:, : len(places)]
    if task == "length_of_stay" and configuration.length_in_classes:
        return np.asarray(class_lengths(found.argmax(-1).ravel())).reshape(found.shape[:2])
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _predicted(
    configuration: Configuration, task: str, size: int, variables: Params, rows: Array, prefixes: Prefixes
) -> Array:
    inputs = read_rows(rows, prefixes, size)
    apply: Any = network(configuration).apply
    return jax.lax.map(lambda seed: probabilities(configuration, apply(seed, inputs))[task], variables)


def by_length(bins: Int[np.ndarray, " sequences"], batch_size: int, most_steps: int | None = None) -> Schedule:
    """The schedule that puts sequences of like length into a batch: they are shuffled, sorted, cut, and the batches
    shuffled."""
    num_steps = -(-len(bins) // batch_size)
    lengths = jnp.asarray(bins)

    def schedule(key: Key, epoch: Int[Array, ""]) -> Minibatches:
        key_order, key_batches = jax.random.split(jax.random.fold_in(key, epoch))
        order = jax.random.permutation(key_order, len(bins))
        order = order[jnp.argsort(lengths[order], stable=True)]
        mask = (jnp.arange(num_steps * batch_size) < len(bins)).reshape(num_steps, batch_size)
        batches = jax.random.permutation(key_batches, num_steps)[: most_steps or num_steps]
        return Minibatches(jnp.resize(order, (num_steps, batch_size))[batches], mask[batches])

    return schedule


def _trained_on(configuration: Configuration) -> Configuration:
    """The same network, which learns hours on whole stays where it reads forwards."""
    if configuration.task in HOURLY_TASKS and configuration.is_causal:
        return configuration._replace(supervision="deep")
    return configuration


def _sizes(configuration: Configuration, bins: np.ndarray) -> np.ndarray:
    """Of each sequence the number of bins that a program for it has: few programs, and little that is padded."""
    if configuration.task == "mortality":
        return np.full(len(bins), max(bins))
    return np.maximum(_LEAST_BINS, 1 << np.ceil(np.log2(np.maximum(bins, 1))).astype(int))


def _lengths(configuration: Configuration, parts: tuple[Rows, ...]) -> tuple[int, ...]:
    bins = np.concatenate([np.diff(rows.offsets) for rows in parts])
    return tuple(np.unique(_sizes(configuration, bins)).tolist())


def _outputs(configuration: Configuration, task: str) -> tuple[int, ...]:
    outputs = configuration.num_outputs(task)
    return (outputs,) if outputs > 1 else ()


def _varies(samples: Samples) -> bool:
    """Whether a score can be computed."""
    return samples.task != "multitask" and bool(np.ptp(np.asarray(samples.labels, float), axis=0).any())
