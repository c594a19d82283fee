"""Recurrent networks as systems of the training engine, for stays of any length."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from infotheory_dl._blocks import map_blocks
from infotheory_dl._validation import edge, require_count
from infotheory_dl.clinical._configurations import Configuration
from infotheory_dl.clinical._networks import Recurrent, network, observed_bins
from infotheory_dl.clinical._objectives import losses, scores
from infotheory_dl.networks import train_fn
from infotheory_dl.results import concise
from infotheory_dl.training import (
    Batch,
    Data,
    Metrics,
    Network,
    NetworkState,
    System,
    as_network,
    begin,
    descend,
    forward,
)
from infotheory_dl.types import AnyArray, Key, Params, Scalar


@concise
class Prefixes(NamedTuple):
    """Samples that are the first bins of stays, of which the training has the bins end to end as its `shared` array.

    Attributes:
      first: of each sample, where the first bin of its stay lies.
      bins: how many bins the sample sees, from there on.
    """

    first: Int[AnyArray, " samples"]
    bins: Int[AnyArray, " samples"]


class ConfiguredState(NamedTuple):
    """A network, and the settings of its configuration that do not shape its program.

    Attributes:
      state: of the network.
      dropout, replication, loss_weights: as in `Configuration`. The learning rate is in the state of the optimizer.
    """

    state: NetworkState
    dropout: Float[Array, ""]
    replication: Float[Array, ""]
    loss_weights: Float[Array, " tasks"]

    @property
    def variables(self) -> Params:
        """Those of the network."""
        return self.state.variables


def _adam(learning_rate: Scalar) -> optax.GradientTransformation:
    """With Keras' settings of the time."""
    return optax.adam(learning_rate, eps=1e-7)


_fixed_adam = functools.lru_cache(maxsize=64)(_adam)
# whose learning rate is a leaf of its state
_free_adam = optax.inject_hyperparams(_adam)


@edge
def system(
    configuration: Configuration,
    optimizer: optax.GradientTransformation | None = None,
    *,
    lengths: Sequence[int] = (),
    evaluation_batch_size: int | None = None,
) -> System:
    """The system that trains a recurrent network, from data `(inputs, targets)`.

    Inputs are (stays, bins, columns), or `Prefixes` of the bins that the training has as its `shared` array; targets a
    mapping of `Targets` by task. A step reports the losses of its batch before the update; an evaluation those of its
    data, and the `scores` of each task under "mortality_score" and the like.

    Args:
      configuration: of the network.
      optimizer: of optax; default Adam with the settings of the benchmark, and the learning rate of the configuration.
      lengths: numbers of bins, increasing. A step computes with the smallest of them that holds its batch, and with all
        bins where none does; a schedule that puts stays of like length together then saves what the others would add.
        Of `Prefixes` the last must hold the longest sample.
      evaluation_batch_size: stays at once in an evaluation; default all.

    Returns:
      The functions of the system, whose state is a `NetworkState`. Equal arguments give the same ones.

    Raises:
      ValueError: if a setting is out of range.
    """
    require_count(1, **{f"lengths[{place}]": length for place, length in enumerate(lengths)})
    if list(lengths) != sorted(set(lengths)):
        raise ValueError(f"lengths must increase, got {list(lengths)}")
    return _system(
        configuration, optimizer or _adam(configuration.learning_rate), tuple(lengths), evaluation_batch_size
    )


@functools.lru_cache(maxsize=64)
def _system(
    configuration: Configuration,
    optimizer: optax.GradientTransformation,
    lengths: tuple[int, ...],
    evaluation_batch_size: int | None,
) -> System:
    trained = as_network(network(configuration))

    def init(variables: Params) -> NetworkState:
        return begin(trained, optimizer, variables)

    def step(state: NetworkState, batch: Batch, key: Key) -> tuple[NetworkState, Metrics]:
        return _step(configuration, trained, optimizer, lengths, state, batch, key)

    def evaluate(state: NetworkState, data: Data, shared: Any = None) -> Metrics:
        return _evaluate(configuration, trained, lengths, evaluation_batch_size, state, data, shared)

    return System(init, step, evaluate)


def program_of(configuration: Configuration) -> Configuration:
    """The configuration that stands for all that share its program: those of other dropout, if any, learning rate,
    replication and loss weights."""
    default = Configuration(configuration.task, configuration.channel_wise, configuration.size)
    free = ("learning_rate", "replication", "loss_weights", "best_epoch", "validation_loss")
    same: dict[str, Any] = {name: getattr(default, name) for name in free}
    # without any dropout less is computed
    return configuration._replace(**same, dropout=0.5 if configuration.dropout else 0.0)


@functools.lru_cache(maxsize=64)
def configured_system(program: Configuration, lengths: tuple[int, ...], evaluation_batch_size: int | None) -> System:
    """The system of networks of many configurations that share a program, each of which its state has.

    Its `init(variables, dropout=, learning_rate=, replication=, loss_weights=)` takes the settings.

    Args:
      program: of `program_of`.
      lengths, evaluation_batch_size: as in `system`.
    """
    of_program = as_network(network(program))
    optimizer = _free_adam(learning_rate=program.learning_rate)

    def init(
        variables: Params, *, dropout: Array, learning_rate: Array, replication: Array, loss_weights: Array
    ) -> ConfiguredState:
        state = begin(of_program, _free_adam(learning_rate=learning_rate), variables)
        return ConfiguredState(state, dropout, replication, loss_weights)

    def configuration_of(model: ConfiguredState) -> Configuration:
        own: dict[str, Any] = {"replication": model.replication, "loss_weights": model.loss_weights}
        if program.dropout:
            own["dropout"] = model.dropout
        return program._replace(**own)

    def step(model: ConfiguredState, batch: Batch, key: Key) -> tuple[ConfiguredState, Metrics]:
        configuration = configuration_of(model)
        trained = of_program._replace(train=train_fn(Recurrent(configuration)))
        state, metrics = _step(configuration, trained, optimizer, lengths, model.state, batch, key)
        return model._replace(state=state), metrics

    def evaluate(model: ConfiguredState, data: Data, shared: Any = None) -> Metrics:
        configuration = configuration_of(model)
        return _evaluate(configuration, of_program, lengths, evaluation_batch_size, model.state, data, shared)

    return System(init, step, evaluate)


def _step(
    configuration: Configuration,
    trained: Network,
    optimizer: optax.GradientTransformation,
    lengths: tuple[int, ...],
    state: NetworkState,
    batch: Batch,
    key: Key,
) -> tuple[NetworkState, Metrics]:
    inputs, targets = batch.data
    most = _most_bins(inputs, lengths)
    network_key, optimizer_key = jax.random.split(key)

    def gradient_of(bins: int) -> Any:
        read = _read(inputs, batch.shared, bins)
        cut = jax.tree.map(lambda leaf: leaf[:, :bins] if leaf.ndim > 1 and leaf.shape[1] == most else leaf, targets)

        def objective(params: Params) -> Any:
            outputs, _ = forward(network_key, trained, state._replace(params=params), read, batch.mask)
            found = losses(configuration, outputs, cut, steps=observed_bins(read), examples=batch.mask)
            return found["loss"], found

        return jax.grad(objective, has_aux=True)(state.params)

    least = configuration.mortality_bin if configuration.task == "multitask" else 0
    choices = [*(length for length in lengths if least < length < most), most]
    choice = jnp.searchsorted(jnp.asarray(choices), _used_bins(inputs))
    gradient, found = lax.switch(choice, [functools.partial(gradient_of, bins) for bins in choices])
    return descend(optimizer_key, optimizer, state, gradient, state.collections), found


def _evaluate(
    configuration: Configuration,
    trained: Network,
    lengths: tuple[int, ...],
    batch_size: int | None,
    state: NetworkState,
    data: Data,
    shared: Any,
) -> Metrics:
    inputs, targets = data
    most = _most_bins(inputs, lengths)

    def outputs_of(inputs: Any) -> Any:
        read = _read(inputs, shared, most)
        return trained.apply(state.variables, read), observed_bins(read)

    outputs, steps = map_blocks(outputs_of, (inputs,), batch_size)
    of_tasks = {f"{task}_score": score for task, score in scores(configuration, outputs, targets).items()}
    return {**losses(configuration, outputs, targets, steps=steps), **of_tasks}


def read_rows(
    rows: Float[Array, "all_bins columns"], prefixes: Prefixes, bins: int
) -> Float[Array, "samples bins columns"]:
    """The bins of samples; zeros after those that a sample sees."""
    seen = jnp.arange(bins) < prefixes.bins[:, None]
    return jnp.where(seen[..., None], rows[prefixes.first[:, None] + jnp.arange(bins)], 0)


def _read(inputs: Any, shared: Any, bins: int) -> Array:
    return read_rows(shared, inputs, bins) if isinstance(inputs, Prefixes) else inputs[:, :bins]


def _most_bins(inputs: Any, lengths: tuple[int, ...]) -> int:
    """The bins of the longest sample; of prefixes the last of the lengths."""
    return lengths[-1] if isinstance(inputs, Prefixes) else inputs.shape[1]


def _used_bins(inputs: Any) -> Int[Array, ""]:
    """The bins of the longest sample of a batch."""
    if isinstance(inputs, Prefixes):
        return inputs.bins.max()
    return jnp.max(jnp.where(observed_bins(inputs), jnp.arange(1, 1 + inputs.shape[1]), 0))
