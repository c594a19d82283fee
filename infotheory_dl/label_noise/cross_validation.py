"""Probabilities for every example by a network that was not trained on it."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Num

from infotheory_dl._validation import class_labels, edge, require_count
from infotheory_dl.data.folds import stratified_order
from infotheory_dl.label_noise.losses import cross_entropy
from infotheory_dl.training import AnyNetwork, as_network, draw_states, predict, supervised, train_many
from infotheory_dl.types import AnyArray, AnyLabels, Key


@edge
def cross_validated_probabilities(
    key: Key,
    network: AnyNetwork,
    inputs: Num[AnyArray, "examples ..."],
    labels: AnyLabels,
    *,
    optimizer: optax.GradientTransformation,
    num_epochs: int,
    batch_size: int = 128,
    num_folds: int = 5,
    loss: Callable[[Array, Array], Array] = cross_entropy,
    evaluation_batch_size: int | None = None,
) -> Float[Array, "examples classes"]:
    """Trains one network for each fold on all the others, in one program, and predicts the fold that it has not seen.

    All folds have ceil(examples / folds) examples, so that all networks are trained on equally many, none of them
    twice. Where the examples do not divide by the folds, the last folds are filled up with examples of the first, which
    then are left out more than once; their probabilities are those of the first network. Each fold has its share of
    every class, up to one example or two.

    Args:
      key: source of randomness: of the folds, the initial networks and the batches.
      network: see `training.as_network`, with an `init`; its outputs are logits.
      inputs: rows that the network accepts.
      labels: given labels, in [0, classes).
      optimizer: of optax.
      num_epochs: passes over a training set.
      batch_size: examples per step.
      num_folds: number of networks, at least 2.
      loss: `loss(logits, labels)` per example.
      evaluation_batch_size: examples per call of the network when it predicts; default all.

    Returns:
      The probabilities, softmax of the logits; NaN in the fold of a network that has diverged.

    Raises:
      ValueError: if there are not as many labels as inputs, a label is not one of the network's classes, or the folds
        are fewer than 2 or more than the examples.
    """
    inputs = jnp.asarray(inputs)
    network = as_network(network)
    logits = jax.eval_shape(lambda key: network.apply(network.init(key, inputs[:1]), inputs[:1]), key)
    given = class_labels(labels, num_classes=logits.shape[-1], num_examples=len(inputs)).codes
    require_count(2, len(given), "the number of examples", num_folds=num_folds)
    key_order, key_initial, key_training = jax.random.split(key, 3)
    order = stratified_order(key_order, given)
    size = -(-len(order) // num_folds)
    starts = size * np.arange(num_folds)[:, None]
    folds = order[(starts + np.arange(size)) % len(order)]
    others = order[(starts + np.arange(size, len(order))) % len(order)]

    system = supervised(network, optimizer, loss)
    training = train_many(
        jax.random.split(key_training, num_folds),
        system.step,
        draw_states(jax.random.split(key_initial, num_folds), network, system, inputs[:1]),
        (inputs, jnp.asarray(given)),
        num_epochs=num_epochs,
        batch_size=batch_size,
        subsets=others,
    )
    models = training.state.variables, training.diverged, jnp.asarray(folds)
    probabilities = _predict_folds(network.apply, evaluation_batch_size, models, inputs)
    # one fold after the other is the order of the examples, and then once more its beginning
    in_order = probabilities.reshape(-1, probabilities.shape[-1])[: len(order)]
    return jnp.zeros_like(in_order).at[order].set(in_order)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _predict_folds(apply_fn, batch_size, models, inputs):
    def predict_fold(model):
        variables, diverged, rows = model
        logits = predict(apply_fn, variables, inputs[rows], batch_size=batch_size)
        return jax.nn.softmax(jnp.where(diverged, jnp.nan, logits))

    return lax.map(predict_fold, models)
