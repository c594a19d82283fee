"""Recurrent networks trained on a store: from several seeds at once, on stays of any length, with the best epoch."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl._validation import edge, require_choice, require_count, require_not_empty
from infotheory_dl.clinical._configurations import HOURLY_TASKS, Configuration, require_configuration
from infotheory_dl.clinical._lengths import class_lengths
from infotheory_dl.clinical._networks import network
from infotheory_dl.clinical._normalization import Normalizer, moments_of
from infotheory_dl.clinical._objectives import probabilities
from infotheory_dl.clinical._reading import Samples, read_some
from infotheory_dl.clinical._sequences import Rows, bins_of, normalised, rows_of, sequences_of, times_seen
from infotheory_dl.clinical._systems import Prefixes, configured_system, program_of, read_rows
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


@concise
class NetworkSelection(NamedTuple):
    """Recurrent networks of many configurations.

    Attributes:
      trained: of each configuration, in their order.
      scores: of each, what the validation part was selected by, of each seed at its best epoch.
      chosen: the number of the configuration whose mean over the seeds is the best.
    """

    trained: tuple[TrainedNetwork, ...]
    scores: Float[np.ndarray, "configurations seeds"]
    chosen: int

    @property
    def best(self) -> TrainedNetwork:
        """The networks of the chosen configuration."""
        return self.trained[self.chosen]


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
    return _train(keys, store, (configuration,), normalizer, num_epochs, steps_per_epoch, None, options)[0]


@edge
def select_network(
    keys: Keys[Array, " seeds"],
    store: str | os.PathLike[str],
    configurations: Sequence[Configuration],
    *,
    by: str | None = None,
    normalizer: Normalizer | None = None,
    num_epochs: int | None = None,
    steps_per_epoch: int | None = None,
    **options: Unpack[EngineOptions],
) -> NetworkSelection:
    """Trains the networks of many configurations of one task, and chooses the best by the validation part.

    Configurations that differ in dropout, learning rate, replication or loss weights alone are one program, with the
    seeds beside them; those of other shapes, or without any dropout, are one program for each. All begin with the
    weights of their seed and see the stays in its order.

    Args:
      keys, store, normalizer, num_epochs, steps_per_epoch: as in `train_network`.
      configurations: such as `[configuration("ihm/S")._replace(dropout=share) for share in (0.1, 0.3, 0.5)]`.
      by: "loss", or the score of a task, such as "mortality_score", by which epochs and the configuration are chosen;
        default as in `train_network`.
      **options: of `training.train_many`. Each program has a folder of its own in that of a checkpoint.

    Returns:
      The networks of all configurations, and which is the best.

    Raises:
      ValueError: if tasks differ, losses of other weights would have to be compared, the store has no sample of the
        task in the training or the validation part, or a setting is out of range.
    """
    if not configurations:
        raise ValueError("configurations must be one at least, got none")
    for configuration in configurations:
        require_configuration(configuration)
    require_count(1, num_epochs=num_epochs, steps_per_epoch=steps_per_epoch)
    first = configurations[0]
    if len(tasks := sorted({configuration.task for configuration in configurations})) > 1:
        raise ValueError(f"configurations must be of one task, to be compared, got {', '.join(tasks)}")
    if by is not None:
        require_choice("by", by, ("loss", *(f"{task}_score" for task in first.tasks)))
    by = by or _selected_by(first, read_some(store, first.task, "validation"))
    if by == "loss" and len(set(map(_weighting, configurations))) > 1:
        raise ValueError(
            "losses of different weights or supervision cannot be compared: give by, such as"
            f" {f'{first.tasks[0]}_score'!r}"
        )
    programs: dict[Configuration, list[int]] = {}
    for place, configuration in enumerate(configurations):
        programs.setdefault(program_of(_trained_on(configuration)), []).append(place)
    found: dict[int, TrainedNetwork] = {}
    checkpoint = options.get("checkpoint")
    for number, places in enumerate(programs.values()):
        own: EngineOptions = {**options}
        if checkpoint is not None:
            own["checkpoint"] = checkpoint._replace(folder=Path(checkpoint.folder) / f"program_{number}")
        chosen = tuple(configurations[place] for place in places)
        trained = _train(keys, store, chosen, normalizer, num_epochs, steps_per_epoch, by, own)
        found.update(zip(places, trained, strict=True))
    networks = tuple(found[place] for place in range(len(configurations)))
    reached = np.stack([_reached(trained) for trained in networks])
    means = -reached.mean(-1) if by == "loss" else reached.mean(-1)
    return NetworkSelection(networks, reached, int(np.argmax(np.where(np.isnan(means), -np.inf, means))))


def _train(
    keys: Keys[Array, " seeds"],
    store: str | os.PathLike[str],
    configurations: tuple[Configuration, ...],
    normalizer: Normalizer | None,
    num_epochs: int | None,
    steps_per_epoch: int | None,
    by: str | None,
    options: EngineOptions,
) -> list[TrainedNetwork]:
    """The networks of configurations that share a program."""
    configuration = configurations[0]
    trained = program_of(_trained_on(configuration))
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
    selected_by = by or _selected_by(configuration, parts["validation"])
    of_networks = configured_system(trained, lengths, max(1, _BINS_AT_ONCE // lengths[-1]))
    inputs = jnp.zeros((1, lengths[0], shared.shape[1]), jnp.float32)
    evaluation = Evaluation(
        of_networks.evaluate,
        tuple(data["validation"]),
        minimize="loss" if selected_by == "loss" else None,
        maximize=None if selected_by == "loss" else selected_by,
    )
    bins = np.asarray(data["train"].inputs.bins)
    checkpoint = options.get("checkpoint")
    if checkpoint is not None:
        own = {"configurations": [each._asdict() for each in configurations], **checkpoint.configuration}
        options = {**options, "checkpoint": checkpoint._replace(configuration=own)}
    # the seeds of the first configuration, then those of the second
    every = keys[np.tile(np.arange(len(keys)), len(configurations))]
    settings = {
        name: np.repeat(np.array([getattr(each, name) for each in configurations], np.float32), len(keys), axis=0)
        for name in ("dropout", "learning_rate", "replication", "loss_weights")
    }
    training = train_many(
        every,
        of_networks.step,
        draw_states(every, network(trained), of_networks, inputs, **settings),
        tuple(data["train"]),
        shared=shared,
        num_epochs=num_epochs or configuration.num_epochs,
        batch_size=by_length(bins, min(configuration.batch_size, len(bins)), steps_per_epoch),
        evaluation=evaluation,
        **options,
    )
    assert training.best is not None  # the evaluation selects
    best, losses = training.best, jnp.mean(training.metrics["loss"], axis=-1)
    found = []
    for place, each in enumerate(configurations):
        mine = slice(place * len(keys), (place + 1) * len(keys))
        variables, evaluations = jax.tree.map(
            lambda leaf, mine=mine: leaf[mine], (best.state.variables, training.evaluations)
        )
        found.append(
            TrainedNetwork(each, normalizer, variables, best.epoch[mine], selected_by, losses[mine], evaluations)
        )
    return found


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
    configuration = program_of(_trained_on(trained.configuration))
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


def _selected_by(configuration: Configuration, validation: Samples) -> str:
    """What the epochs are chosen by: the score, where it can be computed."""
    return f"{configuration.task}_score" if _varies(validation) else "loss"


def _weighting(configuration: Configuration) -> tuple[object, ...]:
    """What a loss is a sum of."""
    replicated = configuration.supervision == "replicated"
    weights = configuration.loss_weights if configuration.task == "multitask" else None
    return replicated, replicated and configuration.replication, weights, configuration.length_in_classes


def _reached(trained: TrainedNetwork) -> Float[np.ndarray, " seeds"]:
    """What the networks were selected by, at their best epochs."""
    values, places = np.asarray(trained.evaluations[trained.selected_by]), np.asarray(trained.best_epoch) - 1
    return values[np.arange(len(values)), places]


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
