"""What really trained networks say: of parts of the data, of repaired labels, and of the linearization itself."""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int
from jaxtyping import Key as Keys

from infotheory_dl.audit.examples import Examples
from infotheory_dl.linearization import (
    LinearizationQuality,
    empirical_kernel,
    kernel_eigen,
    linearization_quality,
    trained_outputs,
)
from infotheory_dl.metrics import area_under_margin
from infotheory_dl.training import (
    Data,
    Evaluation,
    Metrics,
    NetworkState,
    System,
    draw_states,
    half_squared_error,
    of_variants,
    predict,
    supervised,
    train,
    train_many,
)
from infotheory_dl.types import ApplyFn, Key, Params

_BATCH_SIZE = 50
_STEPS = 300
_ADAM = optax.adam(3e-3)
_EVALUATED_AT_ONCE = 250
_COMPARED_EXAMPLES = 100
_COMPARED_STEPS = 400


class TrainingSet(NamedTuple):
    """What a network is trained on.

    Attributes:
      rows: which of the audited examples.
      labels: the labels of all audited examples.
    """

    rows: Int[np.ndarray, " kept"]
    labels: Int[np.ndarray, " examples"]


def held_out_accuracy(
    keys: Keys[jax.Array, " seeds"],
    network: nn.Module,
    examples: Examples,
    training_sets: Sequence[Sequence[TrainingSet]],
) -> Float[np.ndarray, "sets seeds"]:
    """Trains a network on every training set from every seed, by as many steps, and measures its accuracy.

    Args:
      keys: of the initial weights and the order of the examples, one for each seed.
      network: with one output for each class; its loss is the softmax cross-entropy.
      examples: of the audit.
      training_sets: one for each seed, or one for all seeds.

    Returns:
      Accuracies on the held-out examples.
    """
    n, seeds = len(examples.inputs), len(keys)
    of_models = [training_set for sets in training_sets for training_set in (list(sets) * seeds)[:seeds]]
    labelings, variants = np.unique([training_set.labels for training_set in of_models], axis=0, return_inverse=True)
    system = of_variants(_system(network))
    pairs = jnp.concatenate([jax.vmap(jax.random.split)(keys)] * len(training_sets))
    init_keys, keys = pairs[:, 0], pairs[:, 1]
    states = draw_states(init_keys, network, system, examples.inputs[:1], variant=variants.ravel())
    num_epochs = _num_epochs(n)
    held_out = examples.held_out_inputs, examples.held_out_labels
    training = train_many(
        keys,
        system.step,
        states,
        (examples.inputs, labelings.T),
        num_epochs=num_epochs,
        batch_size=_BATCH_SIZE,
        # a smaller set is repeated, so that all models take the same steps in one program
        subsets=np.stack([np.resize(training_set.rows, n) for training_set in of_models]),
        evaluation=Evaluation(system.evaluate, held_out, epochs=(num_epochs,)),
    )
    return np.asarray(training.evaluations["accuracy"]).reshape(len(training_sets), seeds)


def area_under_training_margin(key: Key, network: nn.Module, examples: Examples) -> Float[np.ndarray, " examples"]:
    """The area under the margin of every audited example in one training on all of them; low for wrong labels."""

    def log_outputs(state: NetworkState, data: Data) -> Metrics:
        return {"logits": predict(network.apply, state.variables, data[0], batch_size=_EVALUATED_AT_ONCE)}

    system = _system(network)
    init_key, train_key = jax.random.split(key)
    training = train(
        train_key,
        system.step,
        system.init(network.init(init_key, examples.inputs[:1])),
        (examples.inputs, examples.labels),
        num_epochs=_num_epochs(len(examples.inputs)),
        batch_size=_BATCH_SIZE,
        evaluation=Evaluation(log_outputs),
    )
    return np.asarray(area_under_margin(training.evaluations["logits"], examples.labels))


def compare_linearization(key: Key, network: nn.Module, examples: Examples) -> LinearizationQuality:
    """Trains one network of one output, really and linearized, to tell the first class from the others.

    Both take the same steps of full-batch gradient descent, on a few examples, and are compared on held-out ones.
    """
    inputs = jnp.asarray(examples.inputs[:_COMPARED_EXAMPLES])
    held_out = jnp.asarray(examples.held_out_inputs[:_COMPARED_EXAMPLES])
    targets = jnp.asarray(examples.labels[: len(inputs), None] == examples.labels[0], inputs.dtype) - 0.5
    apply_fn: ApplyFn = network.apply
    init_key, train_key = jax.random.split(key)
    params = network.init(init_key, inputs[:1])

    def centred(weights: Params, x: jax.Array) -> jax.Array:
        return apply_fn(weights, x) - apply_fn(params, x)

    eigen = kernel_eigen(empirical_kernel(apply_fn, params, inputs))
    # half of the largest step that is stable for the linear network, whose curvature the other one does not keep
    learning_rate = len(inputs) / float(eigen.eigenvalues.max())
    linear_outputs = trained_outputs(
        eigen,
        jnp.zeros_like(targets),
        targets,
        empirical_kernel(apply_fn, params, held_out, inputs),
        jnp.zeros((len(held_out), 1), inputs.dtype),
        time=_COMPARED_STEPS,
        learning_rate=learning_rate,
        dynamics="discrete",
    )
    # its outputs too are to start at zero: the targets stand for those of the centred network
    system = supervised(apply_fn, optax.sgd(learning_rate), half_squared_error)
    data = inputs, targets + apply_fn(params, inputs)
    training = train(train_key, system.step, system.init(params), data, num_epochs=_COMPARED_STEPS)
    return linearization_quality(centred, params, training.state.params, held_out, linear_outputs)


def _system(network: nn.Module) -> System:
    loss = optax.softmax_cross_entropy_with_integer_labels
    return supervised(network, _ADAM, loss, evaluation_batch_size=_EVALUATED_AT_ONCE)


def _num_epochs(num_examples: int) -> int:
    return max(1, round(_STEPS * _BATCH_SIZE / num_examples))
