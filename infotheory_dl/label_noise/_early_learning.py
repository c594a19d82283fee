"""Training with early-learning regularization, whose memory of every example is part of the state."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from infotheory_dl._validation import edge
from infotheory_dl.label_noise.losses import cross_entropy, early_learning_regularization
from infotheory_dl.training import (
    AnyNetwork,
    Batch,
    Data,
    Metrics,
    NetworkState,
    System,
    as_network,
    descend,
    forward,
    masked_mean,
    predicted_classes,
    supervised,
)
from infotheory_dl.types import Key, Params, Scalar


class EarlyLearningState(NamedTuple):
    """One network, its optimizer, and what it has predicted so far.

    Attributes:
      network: parameters, state of the optimizer, collections.
      memory: running mean of the predictions for every example of the training data.
    """

    network: NetworkState
    memory: Float[Array, "examples classes"]

    @property
    def variables(self) -> Params:
        """What the network is applied with."""
        return self.network.variables


@edge
def early_learning(
    network: AnyNetwork,
    optimizer: optax.GradientTransformation,
    *,
    num_examples: int,
    num_classes: int,
    weight: Scalar = 3.0,
    momentum: Scalar = 0.7,
    evaluation_batch_size: int | None = None,
) -> System:
    """The system that trains one network on `early_learning_regularization`, from data `(inputs, labels)`,
    labels being classes.

    A step reports the `loss` and the `accuracy` of its batch before the update; an evaluation the cross-entropy and the
    accuracy.

    Args:
      network, optimizer, evaluation_batch_size: as in `training.supervised`.
      num_examples: rows of the training data.
      num_classes: outputs of the network.
      weight, momentum: as in `early_learning_regularization`, which see for the source too.

    Returns:
      The functions of the system; `init` takes what that of `training.supervised` takes.
    """
    network = as_network(network)
    system = supervised(network, optimizer, cross_entropy, evaluation_batch_size=evaluation_batch_size)

    def init(variables: Params) -> EarlyLearningState:
        state = system.init(variables)
        dtype = jnp.result_type(*jax.tree.leaves(state.params))
        return EarlyLearningState(state, jnp.zeros((num_examples, num_classes), dtype))

    def step(state: EarlyLearningState, batch: Batch, key: Key) -> tuple[EarlyLearningState, Metrics]:
        inputs, labels = batch.data
        network_key, optimizer_key = jax.random.split(key)

        def objective(params):
            moved = state.network._replace(params=params)
            logits, collections = forward(network_key, network, moved, inputs, batch.mask)
            loss, rows = early_learning_regularization(
                logits, labels, state.memory[batch.indices], weight=weight, momentum=momentum
            )
            accuracy = masked_mean(predicted_classes(logits) == labels, batch.mask)
            metrics = {"loss": masked_mean(loss, batch.mask), "accuracy": accuracy}
            return metrics["loss"], (metrics, rows, collections)

        gradient, (metrics, rows, collections) = jax.grad(objective, has_aux=True)(state.network.params)
        # rows that only fill up the batch are sent out of range, where nothing is written
        places = jnp.where(batch.mask, batch.indices, len(state.memory))
        memory = state.memory.at[places].set(rows, mode="drop")
        moved = descend(optimizer_key, optimizer, state.network, gradient, collections)
        return EarlyLearningState(moved, memory), metrics

    def evaluate(state: EarlyLearningState, data: Data, *shared: Any) -> Metrics:
        return system.evaluate(state.network, data, *shared)

    return System(init, step, evaluate)
