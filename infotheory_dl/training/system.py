"""What trains: a system as three functions, and the ordinary one of a network, an optimizer and the mean of a loss."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Num, Shaped
from jaxtyping import Key as Keys

from infotheory_dl._validation import edge, require_choice, require_same_shape
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

Weighting: TypeAlias = Literal["rescaled", "fixed"]


class System(NamedTuple):
    """Anything that trains.

    Attributes:
      init: makes the state before the first step, `init(variables)` for one network.
      step: what `train` takes: `step(state, batch, key) -> (state, metrics)`.
      evaluate: what `Evaluation` takes: `evaluate(state, data)`, or `evaluate(state, data, shared)` in a training with
        shared arrays.
      predict: the outputs of a state, `predict(state, inputs)`, where the system says what they are.
    """

    init: Callable[..., Any]
    step: Step
    evaluate: Evaluate
    predict: Callable[[State, Any], Any] | None = None


@edge
def supervised(
    network: AnyNetwork,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Array, Array], Array],
    *,
    threshold: float = 0.5,
    evaluation_batch_size: int | None = None,
    weighting: Weighting = "rescaled",
) -> System:
    """The system that trains one network by an optax optimizer on the mean of a loss, from data `(inputs, targets)`.

    A step reports the `loss` and the `accuracy` of its batch before the update; an evaluation those of its data.
    Where a training has weights of examples, the mean of a batch is weighted by them. An example of weight zero still
    has its place in the batch, and counts in moments of batch norm; the other examples come as they would with it.

    Sequences of different lengths are data `(inputs, targets, mask)` with a mask (examples, steps): the means are over
    the steps that it lets pass, and the network is given it while it trains.

    Args:
      network: see `as_network`; outputs (examples, outputs), or of sequences (examples, steps, outputs).
      optimizer: e.g. `optax.adam(1e-3)`; one with noise of its own is given the argument `key` with every update.
      loss: `loss(outputs, targets)` per example, or per example and step, e.g. `half_squared_error` or a softmax
        cross-entropy of optax.
      threshold: what a single output must exceed to mean class 1: 0.5 for targets 0 and 1, 0 for logits.
      evaluation_batch_size: examples per call of the network in an evaluation, to bound the memory; default all.
      weighting: what the weighted sum over a batch is divided by: "rescaled", by the sum of the weights, so that a
        batch without an example is the mean of the others, and the weight of one that is alone in its batch changes
        nothing unless it is zero; "fixed", by the number of examples, so that each of the others counts as much as
        before. Weights of one are the same in both.

    Returns:
      The functions of the system, whose state is a `NetworkState`. Equal arguments give the same ones, for which
      nothing is compiled anew; `optax.adam(1e-3)` is another optimizer every time it is called.
    """
    require_choice("weighting", weighting, ("rescaled", "fixed"))
    return _supervised(as_network(network), optimizer, loss, threshold, evaluation_batch_size, weighting)


@functools.lru_cache(maxsize=64)
def _supervised(
    network: Network,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Array, Array], Array],
    threshold: float,
    evaluation_batch_size: int | None,
    weighting: Weighting,
) -> System:
    def report(outputs, targets, mask, weights=None):
        are_classes = targets.ndim == 1 or targets.ndim < outputs.ndim
        classes = targets if are_classes else predicted_classes(targets)
        accuracy = predicted_classes(outputs, threshold=threshold) == classes
        mean = functools.partial(masked_mean, mask=mask, weights=weights, weighting=weighting)
        return {"loss": mean(loss(outputs, targets)), "accuracy": mean(accuracy)}

    def init(variables: Params) -> NetworkState:
        return begin(network, optimizer, variables)

    def step(state: NetworkState, batch: Batch, key: Key) -> tuple[NetworkState, Metrics]:
        inputs, targets, mask = _masked(batch.data, batch.mask)
        weights = batch.weights
        if weights is not None:
            weights = weights.reshape(*weights.shape, *[1] * (mask.ndim - weights.ndim))
        network_key, optimizer_key = jax.random.split(key)

        def objective(params):
            outputs, collections = forward(network_key, network, state._replace(params=params), inputs, mask)
            metrics = report(outputs, targets, mask, weights)
            return metrics["loss"], (metrics, collections)

        gradient, (metrics, collections) = jax.grad(objective, has_aux=True)(state.params)
        return descend(optimizer_key, optimizer, state, gradient, collections), metrics

    def evaluate(state: NetworkState, data: Data, shared: Any = None) -> Metrics:
        inputs, targets, mask = _masked(data, jnp.ones(len(data[1]), bool))
        return report(outputs_of(state, inputs), targets, mask)

    def outputs_of(state: NetworkState, inputs: Any) -> Any:
        return predict(network.apply, state.variables, inputs, batch_size=evaluation_batch_size)

    return System(init, step, evaluate, outputs_of)


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
def masked_mean(
    values: Num[Array, "*batch"] | Bool[Array, "*batch"],
    mask: Bool[Array, "*batch"],
    weights: Float[Array, "*#batch"] | None = None,
    *,
    weighting: Weighting = "rescaled",
) -> Float[Array, ""]:
    """The mean of the values that the mask lets pass; those that it hides may be NaN.

    Args:
      values, mask: of a batch.
      weights: of the values; the mean of values without any weight is 0.
      weighting: see `supervised`.
    """
    if weights is None:
        return jnp.where(mask, values, 0).sum() / mask.sum()
    values = jnp.asarray(values)
    if jnp.issubdtype(values.dtype, jnp.floating):
        weights = weights.astype(values.dtype)
    weighted = jnp.where(mask, values * weights, 0).sum()
    if weighting == "fixed":
        return weighted / mask.sum()
    total = jnp.where(mask, weights, 0).sum()
    # the inner one keeps the derivative finite where there is no weight
    return jnp.where(total > 0, weighted / jnp.where(total > 0, total, 1), 0)
