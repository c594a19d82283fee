"""What trains: a system as three functions, and the ordinary one of a network, an optimizer and the mean of a loss."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Num, Shaped
from jaxtyping import Key as Keys

from infotheory_dl._validation import edge, require_same_shape
from infotheory_dl.training._program import Batch, Data, Evaluate, Metrics, State, Step
from infotheory_dl.training.network import (
    AnyNetwork,
    Network,
    NetworkState,
    as_network,
    begin,
    descend,
    forward,
    predict,
    predicted_classes,
)
from infotheory_dl.types import AnyArray, Key, Params


class System(NamedTuple):
    """Anything that trains.

    Attributes:
      init: makes the state before the first step, `init(variables)` for one network.
      step: what `train` takes: `step(state, batch, key) -> (state, metrics)`.
      evaluate: what `Evaluation` takes: `evaluate(state, data)`, or `evaluate(state, data, shared)` in a training with
        shared arrays.
    """

    init: Callable[..., Any]
    step: Step
    evaluate: Evaluate


@edge
def supervised(
    network: AnyNetwork,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Array, Array], Array],
    *,
    threshold: float = 0.5,
    evaluation_batch_size: int | None = None,
) -> System:
    """The system that trains one network by an optax optimizer on the mean of a loss, from data `(inputs, targets)`.

    A step reports the `loss` and the `accuracy` of its batch before the update; an evaluation those of its data.
    Sequences of different lengths are data `(inputs, targets, mask)` with a mask (examples, steps): the means are over
    the steps that it lets pass, and the network is given it while it trains.

    Args:
      network: see `as_network`; outputs (examples, outputs), or of sequences (examples, steps, outputs).
      optimizer: e.g. `optax.adam(1e-3)`; one with noise of its own is given the argument `key` with every update.
      loss: `loss(outputs, targets)` per example, or per example and step, e.g. `half_squared_error` or a softmax
        cross-entropy of optax.
      threshold: what a single output must exceed to mean class 1: 0.5 for targets 0 and 1, 0 for logits.
      evaluation_batch_size: examples per call of the network in an evaluation, to bound the memory; default all.

    Returns:
      The functions of the system, whose state is a `NetworkState`. Equal arguments give the same ones, for which
      nothing is compiled anew; `optax.adam(1e-3)` is another optimizer every time it is called.
    """
    return _supervised(as_network(network), optimizer, loss, threshold, evaluation_batch_size)


@functools.lru_cache(maxsize=64)
def _supervised(
    network: Network,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Array, Array], Array],
    threshold: float,
    evaluation_batch_size: int | None,
) -> System:
    def report(outputs, targets, mask):
        are_classes = targets.ndim == 1 or targets.ndim < outputs.ndim
        classes = targets if are_classes else predicted_classes(targets)
        accuracy = predicted_classes(outputs, threshold=threshold) == classes
        return {"loss": masked_mean(loss(outputs, targets), mask), "accuracy": masked_mean(accuracy, mask)}

    def init(variables: Params) -> NetworkState:
        return begin(network, optimizer, variables)

    def step(state: NetworkState, batch: Batch, key: Key) -> tuple[NetworkState, Metrics]:
        inputs, targets, mask = _masked(batch.data, batch.mask)
        network_key, optimizer_key = jax.random.split(key)

        def objective(params):
            outputs, collections = forward(network_key, network, state._replace(params=params), inputs, mask)
            metrics = report(outputs, targets, mask)
            return metrics["loss"], (metrics, collections)

        gradient, (metrics, collections) = jax.grad(objective, has_aux=True)(state.params)
        return descend(optimizer_key, optimizer, state, gradient, collections), metrics

    def evaluate(state: NetworkState, data: Data, shared: Any = None) -> Metrics:
        inputs, targets, mask = _masked(data, jnp.ones(len(data[1]), bool))
        outputs = predict(network.apply, state.variables, inputs, batch_size=evaluation_batch_size)
        return report(outputs, targets, mask)

    return System(init, step, evaluate)


def _masked(data, of_examples):
    """Inputs, targets and what counts of them: examples, or, where the data say so, the steps of examples."""
    inputs, targets, *of_steps = data
    return inputs, targets, of_examples[:, None] & of_steps[0] if of_steps else of_examples


@edge
def draw_states(
    keys: Keys[Array, " models"],
    network: AnyNetwork,
    system: System,
    inputs: Any,
    **own: Shaped[AnyArray, "models ..."],
) -> State:
    """The states of many models of one network before their first step, each with variables of its own.

    Args:
      keys: one for each model.
      network: see `as_network`; it has an `init`.
      system: whose `init` takes the variables.
      inputs: like those of the training; one is enough.
      own: what the system's `init` is given of each model besides, by name.

    Returns:
      The states, with a leading axis of models.
    """
    return _draw_states(as_network(network).init, system.init, inputs, keys, own)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _draw_states(network_init, system_init, inputs, keys, own):
    return jax.vmap(lambda key, own: system_init(network_init(key, inputs), **own))(keys, own)


@edge
def half_squared_error(
    outputs: Float[Array, "*examples outputs"], targets: Num[Array, "*examples outputs"]
) -> Float[Array, "*examples"]:
    """Half the squared error of each example, or of one, summed over its outputs: ½‖f(x) - y‖².

    Raises:
      ValueError: if the shapes differ, as those of labels without an axis of outputs.
    """
    require_same_shape(outputs=outputs, targets=targets)
    return jnp.square(outputs - targets).sum(-1) / 2


@edge
def masked_mean(values: Num[Array, "*batch"] | Bool[Array, "*batch"], mask: Bool[Array, "*batch"]) -> Float[Array, ""]:
    """The mean of the values that the mask lets pass; those that it hides may be NaN."""
    return jnp.where(mask, values, 0).sum() / mask.sum()
