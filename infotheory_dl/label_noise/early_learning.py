"""Training with early-learning regularization, whose memory of every example is part of the state."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from infotheory_dl.label_noise.losses import cross_entropy, early_learning_regularization
from infotheory_dl.training import (
    Batch,
    Data,
    Metrics,
    Supervised,
    SupervisedState,
    masked_mean,
    predicted_classes,
    supervised,
)
from infotheory_dl.types import ApplyFn, Key, Params, Scalar, TrainFn


class EarlyLearningState(NamedTuple):
    """One network, its optimizer, and what it has predicted so far.

    Attributes:
      network: parameters, state of the optimizer, collections.
      memory: running mean of the predictions for every example of the training data.
    """

    network: SupervisedState
    memory: Float[Array, "examples classes"]

    @property
    def variables(self) -> Params:
        """What the network is applied with."""
        return self.network.variables


def early_learning(
    apply_fn: ApplyFn,
    optimizer: optax.GradientTransformation,
    *,
    num_examples: int,
    num_classes: int,
    weight: Scalar = 3.0,
    momentum: Scalar = 0.7,
    train_fn: TrainFn | None = None,
    evaluation_batch_size: int | None = None,
) -> Supervised:
    """The system that trains one network on `early_learning_regularization`, from data `(inputs, labels)`,
    labels being classes.

    A step reports the `loss` and the `accuracy` of its batch before the update; an evaluation the cross-entropy and the
    accuracy.

    Args:
      apply_fn, optimizer, train_fn, evaluation_batch_size: as in `training.supervised`.
      num_examples: rows of the training data.
      num_classes: outputs of the network.
      weight, momentum: as in `early_learning_regularization`, which see for the source too.

    Returns:
      The functions of the system; `init` takes what that of `training.supervised` takes.
    """
    system = supervised(
        apply_fn, optimizer, cross_entropy, train_fn=train_fn, evaluation_batch_size=evaluation_batch_size
    )
    optimizer = optax.with_extra_args_support(optimizer)

    def init(variables: Params) -> EarlyLearningState:
        network = system.init(variables)
        dtype = jnp.result_type(*jax.tree.leaves(network.params))
        return EarlyLearningState(network, jnp.zeros((num_examples, num_classes), dtype))

    def step(state: EarlyLearningState, batch: Batch, key: Key) -> tuple[EarlyLearningState, Metrics]:
        inputs, labels = batch.data
        network, memory = state
        network_key, optimizer_key = jax.random.split(key)

        def objective(params):
            variables = network._replace(params=params).variables
            logits, changed = (
                (apply_fn(variables, inputs), {})
                if train_fn is None
                else train_fn(variables, inputs, batch.mask, network_key)
            )
            loss, rows = early_learning_regularization(
                logits, labels, memory[batch.indices], weight=weight, momentum=momentum
            )
            accuracy = masked_mean(predicted_classes(logits) == labels, batch.mask)
            metrics = {"loss": masked_mean(loss, batch.mask), "accuracy": accuracy}
            return metrics["loss"], (metrics, rows, changed)

        gradient, (metrics, rows, changed) = jax.grad(objective, has_aux=True)(network.params)
        updates, optimizer_state = optimizer.update(gradient, network.optimizer, network.params, key=optimizer_key)
        params = optax.apply_updates(network.params, updates)
        collections = None if network.collections is None else {**network.collections, **changed}
        # rows that only fill up the batch are sent out of range, where nothing is written
        places = jnp.where(batch.mask, batch.indices, len(memory))
        memory = memory.at[places].set(rows, mode="drop")
        return EarlyLearningState(SupervisedState(params, optimizer_state, collections), memory), metrics

    def evaluate(state: EarlyLearningState, data: Data) -> Metrics:
        return system.evaluate(state.network, data)

    return Supervised(init, step, evaluate)
