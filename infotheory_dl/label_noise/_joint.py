"""The system that trains a classifier and, beside it, other networks or parameters on one loss of a whole batch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import edge, require_count, require_not_negative
from infotheory_dl.label_noise.losses import cross_entropy
from infotheory_dl.training import (
    AnyNetwork,
    Batch,
    Data,
    Metrics,
    NetworkState,
    System,
    as_network,
    begin,
    descend,
    forward,
    masked_mean,
    predicted_classes,
    supervised,
)
from infotheory_dl.types import Key, Params, Scalar

PARAMETERS = as_network(lambda params, inputs: params)
"""In the place of a network: parameters that the loss is given as they are."""


class JointState(NamedTuple):
    """Networks that are trained together.

    Attributes:
      networks: parameters, state of the optimizer and collections of each, the classifier first.
      settings: of the loss; they are leaves and can differ between models.
      steps: those made so far.
    """

    networks: tuple[NetworkState, ...]
    settings: dict[str, Array]
    steps: Int[Array, ""]

    @property
    def variables(self) -> Params:
        """What the classifier is applied with."""
        return self.networks[0].variables


@edge
def joint(
    loss: Callable[..., tuple[Array, Metrics]],
    networks: Sequence[AnyNetwork],
    optimizer: optax.GradientTransformation,
    *,
    warm_up_steps: int = 0,
    evaluation_batch_size: int | None = None,
) -> System:
    """The system that trains networks together, from data `(inputs, labels)`.

    A step reports the `total` that it minimizes and the metrics of the loss, before the update; an evaluation the
    cross-entropy (`loss`) and the `accuracy` of the classifier alone, as exact means over its data.

    Args:
      loss: `loss(*outputs, labels, mask=mask, key=key, **settings)` is the total of a batch and its metrics.
      networks: the classifier first, then whatever else the loss is given, in its order; see `training.as_network`.
      optimizer: of optax. Each network has a state of its own of it, and what it takes over all parameters, such as a
        norm, it takes over those of one network; one with noise of its own is given the argument `key`.
      warm_up_steps: for how many steps at first the classifier's parameters and its state of the optimizer stand still,
        while all else moves, the moments of its batch norm too.
      evaluation_batch_size: examples per call of the classifier in an evaluation; default all.

    Returns:
      The functions of the system. `init(*variables, **settings)` takes the variables of every network and the settings
      of the loss that can differ between models, finite and not negative. A network that is to start from a trained
      one is given its variables, the moments of batch norm among them.

    Raises:
      ValueError: if the warm-up is negative; from `init`, if there are not as many variables as networks or a setting
        is negative or not finite.
    """
    require_count(0, warm_up_steps=warm_up_steps)
    trained = [as_network(network) for network in networks]
    alone = supervised(trained[0], optimizer, cross_entropy, evaluation_batch_size=evaluation_batch_size)

    def init(*variables: Params, **settings: Scalar) -> JointState:
        if len(variables) != len(trained):
            raise ValueError(f"init takes the variables of {len(trained)} networks, got {len(variables)}")
        require_not_negative(**settings)
        states = tuple(begin(network, optimizer, given) for network, given in zip(trained, variables, strict=True))
        dtype = jnp.result_type(*jax.tree.leaves([state.params for state in states]))
        return JointState(states, {name: jnp.asarray(value, dtype) for name, value in settings.items()}, jnp.int32(0))

    def step(state: JointState, batch: Batch, key: Key) -> tuple[JointState, Metrics]:
        inputs, labels = batch.data
        loss_key, *keys = jax.random.split(key, 1 + 2 * len(trained))
        network_keys, optimizer_keys = keys[::2], keys[1::2]

        def objective(params):
            states = [part._replace(params=moved) for part, moved in zip(state.networks, params, strict=True)]
            results = [
                forward(network_key, network, part, inputs, batch.mask)
                for network_key, network, part in zip(network_keys, trained, states, strict=True)
            ]
            outputs, collections = zip(*results, strict=True)
            total, metrics = loss(*outputs, labels, mask=batch.mask, key=loss_key, **state.settings)
            return total, ({"total": total, **metrics}, collections)

        params = tuple(part.params for part in state.networks)
        gradients, (metrics, collections) = jax.grad(objective, has_aux=True)(params)
        classifier, *others = (
            descend(optimizer_key, optimizer, *moves)
            for optimizer_key, *moves in zip(optimizer_keys, state.networks, gradients, collections, strict=True)
        )
        if warm_up_steps:
            waiting = state.steps < warm_up_steps
            before = state.networks[0]._replace(collections=classifier.collections)
            classifier = jax.tree.map(lambda old, new: jnp.where(waiting, old, new), before, classifier)
        return JointState((classifier, *others), state.settings, state.steps + 1), metrics

    def evaluate(state: JointState, data: Data, *shared: Any) -> Metrics:
        return alone.evaluate(state.networks[0], data, *shared)

    return System(init, step, evaluate)


def classification_metrics(
    logits: Float[Array, "examples classes"],
    targets: Float[Array, "examples classes"],
    mask: Bool[Array, " examples"],
) -> Metrics:
    """The mean cross-entropy (`loss`) and the `accuracy` of the classifier with the given labels."""
    accuracy = predicted_classes(logits) == predicted_classes(targets)
    return {"loss": masked_mean(cross_entropy(logits, targets), mask), "accuracy": masked_mean(accuracy, mask)}
