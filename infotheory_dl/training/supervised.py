"""The ordinary system: one network, one optimizer, the mean of a loss."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from infotheory_dl.training._program import Batch, Data, Evaluate, Metrics, Step
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params, Scalar, TrainFn


class SupervisedState(NamedTuple):
    """One network and its optimizer.

    Attributes:
      params: what the optimizer updates: parameters of the network.
      optimizer: state of the optimizer; with `optax.inject_hyperparams` its settings are leaves and can differ.
      collections: what a network with a `train_fn` keeps beside its parameters, such as the moments of batch norm.
    """

    params: Params
    optimizer: optax.OptState
    collections: dict[str, Any] | None = None

    @property
    def variables(self) -> Params:
        """What the network is applied with: the parameters, or with a `train_fn` flax's variables."""
        return self.params if self.collections is None else {**self.collections, "params": self.params}


class Supervised(NamedTuple):
    """The ordinary system, or one that does more in a step.

    Attributes:
      init: `init(variables) -> state`.
      step: what `train` takes.
      evaluate: what `Evaluation` takes.
    """

    init: Callable[..., Any]
    step: Step
    evaluate: Evaluate


def supervised(
    apply_fn: ApplyFn,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Array, Array], Array],
    *,
    train_fn: TrainFn | None = None,
    threshold: float = 0.5,
    evaluation_batch_size: int | None = None,
) -> Supervised:
    """The system that trains one network by an optax optimizer on the mean of a loss, from data `(inputs, targets)`.

    A step reports the `loss` and the `accuracy` of its batch before the update; an evaluation those of its data.

    Args:
      apply_fn: the network; outputs (examples, outputs).
      optimizer: e.g. `optax.adam(1e-3)`; one with noise of its own is given the argument `key` with every update.
      loss: `loss(outputs, targets)` per example, e.g. `half_squared_error` or a softmax cross-entropy of optax.
      train_fn: the network while it trains, if that differs, as with batch norm and dropout; `networks.train_fn`
        makes it of a flax network. `init` then takes the variables of flax.
      threshold: what a single output must exceed to mean class 1: 0.5 for targets 0 and 1, 0 for logits.
      evaluation_batch_size: examples per call of the network in an evaluation, to bound the memory; default all.

    Returns:
      The functions of the system. Every call makes new ones, for which `train` compiles anew.
    """

    optimizer = optax.with_extra_args_support(optimizer)

    def report(outputs, targets, mask):
        accuracy = predicted_classes(outputs, threshold=threshold) == (
            targets if targets.ndim == 1 else predicted_classes(targets)
        )
        return {"loss": masked_mean(loss(outputs, targets), mask), "accuracy": masked_mean(accuracy, mask)}

    def init(variables: Params) -> SupervisedState:
        if train_fn is None:
            return SupervisedState(variables, optimizer.init(variables))
        collections = dict(variables)
        params = collections.pop("params")
        return SupervisedState(params, optimizer.init(params), collections)

    def step(state: SupervisedState, batch: Batch, key: Key) -> tuple[SupervisedState, Metrics]:
        inputs, targets = batch.data
        network_key, optimizer_key = jax.random.split(key)

        def objective(params):
            variables = state._replace(params=params).variables
            if train_fn is None:
                outputs, changed = apply_fn(variables, inputs), dict[str, Any]()
            else:
                outputs, changed = train_fn(variables, inputs, batch.mask, network_key)
            metrics = report(outputs, targets, batch.mask)
            return metrics["loss"], (metrics, changed)

        gradient, (metrics, changed) = jax.grad(objective, has_aux=True)(state.params)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params, key=optimizer_key)
        collections = None if state.collections is None else {**state.collections, **changed}
        return SupervisedState(optax.apply_updates(state.params, updates), optimizer_state, collections), metrics

    def evaluate(state: SupervisedState, data: Data) -> Metrics:
        inputs, targets = data
        outputs = predict(apply_fn, state.variables, inputs, batch_size=evaluation_batch_size)
        return report(outputs, targets, jnp.ones(len(targets), bool))

    return Supervised(init, step, evaluate)


def predicted_classes(
    outputs: Num[AnyArray, "*examples outputs"], *, threshold: Scalar = 0.5
) -> Int[Array, "*examples"]:
    """The class of each example: that of the largest output, the first of equal ones.

    Args:
      outputs: one for each class; or a single one, which means class 1 above the threshold.
      threshold: 0.5 for outputs trained on 0 and 1, 0 for logits.
    """
    outputs = jnp.asarray(outputs)
    return (outputs[..., 0] > threshold).astype(int) if outputs.shape[-1] == 1 else outputs.argmax(-1)


def predict(
    apply_fn: ApplyFn, params: Params, inputs: Num[AnyArray, "examples ..."], *, batch_size: int | None = None
) -> Num[Array, "examples ..."]:
    """The outputs of a network for any number of inputs, `batch_size` of them at a time to bound the memory."""
    inputs = jnp.asarray(inputs)
    if batch_size is None or batch_size >= len(inputs):
        return apply_fn(params, inputs)
    rows = jnp.resize(jnp.arange(len(inputs)), (-(-len(inputs) // batch_size), batch_size))
    outputs = lax.map(lambda batch: apply_fn(params, inputs[batch]), rows)
    return outputs.reshape(-1, *outputs.shape[2:])[: len(inputs)]


def half_squared_error(
    outputs: Float[Array, "examples outputs"], targets: Num[Array, "examples outputs"]
) -> Float[Array, " examples"]:
    """Half the squared error of each example, summed over its outputs: ½‖f(x) - y‖².

    Raises:
      ValueError: if the shapes differ, as those of labels without an axis of outputs.
    """
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs and targets must have one shape, got {outputs.shape} and {targets.shape}")
    return jnp.square(outputs - targets).sum(-1) / 2


def masked_mean(values: Num[Array, "*batch"] | Bool[Array, "*batch"], mask: Bool[Array, "*batch"]) -> Float[Array, ""]:
    """The mean of the values that the mask lets pass; those that it hides may be NaN."""
    return jnp.where(mask, values, 0).sum() / mask.sum()
