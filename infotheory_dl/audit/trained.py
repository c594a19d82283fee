"""What each example tells the network that is really trained, beside what the linearized one says."""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from infotheory_dl._validation import warn
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.scores import Scores
from infotheory_dl.linearization import empirical_kernel, kernel_eigen
from infotheory_dl.metrics import spearman_correlation
from infotheory_dl.results import concise
from infotheory_dl.sample_information import (
    RetrainedAgreement,
    StepSizeError,
    TrainedInformation,
    trained_information,
)
from infotheory_dl.training import predict, supervised, train
from infotheory_dl.types import Key

_TRAINED_AT_MOST = 1000
_REFERENCES_AT_MOST = 500
_BATCH_SIZE = 50
_STEPS = 300
_MOMENTUM = 0.9
_EVALUATED_AT_ONCE = 250
_PROJECTIONS = 64
_CURVED_EXAMPLES = 100
_SLOWER = (1.0, 0.3, 0.1)


@concise
class Trained(NamedTuple):
    """What each example tells a small network that is really trained.

    Attributes:
      rows: places, among the audited examples, of those that it is trained on, which have scores.
      weight_change: squared change of the trained weights without each of them.
      output_change: mean squared change of the trained outputs on held-out examples.
      weight_standard_error, output_standard_error: of these; None where they are exact.
      agreement: with really training without a few of them; None where there are too few.
      margin_correlation: rank correlation of the output change with minus the margin.
      linearized_correlation: that with the output change of the linearized network.
      accuracy: of the network, on held-out examples.
    """

    rows: Int[np.ndarray, " rows"]
    weight_change: Float[np.ndarray, " rows"]
    output_change: Float[np.ndarray, " rows"]
    weight_standard_error: Float[np.ndarray, " rows"] | None
    output_standard_error: Float[np.ndarray, " rows"] | None
    agreement: RetrainedAgreement | None
    margin_correlation: float
    linearized_correlation: float
    accuracy: float


def score_trained(
    key: Key, network: nn.Module, one_output: nn.Module, examples: Examples, scores: Scores
) -> Trained | None:
    """Trains a small network on at most 1000 of the examples, and differentiates its training.

    Args:
      key: of the choice of the examples, the weights and the order.
      network: with smooth units, and one output for each class.
      one_output: the same with one output, whose kernel tells how large the steps can be.
      examples, scores: of the audit.

    Returns:
      The scores of the trained network; None, with a warning, if its derivatives explode at each of three rates.
    """
    choice_key, init_key, train_key = jax.random.split(key, 3)
    rows = np.setdiff1d(np.arange(len(examples.labels)), examples.measured)
    if len(rows) > _TRAINED_AT_MOST:
        rows = np.sort(np.asarray(jax.random.permutation(choice_key, rows))[:_TRAINED_AT_MOST])
    inputs, labels = jnp.asarray(examples.inputs[rows]), jnp.asarray(examples.labels[rows])
    references = jnp.asarray(examples.held_out_inputs[:_REFERENCES_AT_MOST])
    params = network.init(init_key, inputs[:1])
    # none alone in its batch, where its weight would change nothing
    batch_size = next(size for size in range(min(_BATCH_SIZE, len(rows)), 1, -1) if len(rows) % size != 1)
    schedule: dict[str, Any] = {
        "num_epochs": max(1, round(_STEPS / math.ceil(len(rows) / batch_size))),
        "batch_size": batch_size,
    }
    rate = _learning_rate(init_key, one_output, inputs)
    for slower in _SLOWER:
        optimizer = optax.sgd(slower * rate * (1 - _MOMENTUM), momentum=_MOMENTUM)
        system = supervised(network.apply, optimizer, optax.softmax_cross_entropy_with_integer_labels)
        arguments = train_key, system, system.init(params), (inputs, labels), references
        try:
            found = trained_information(
                *arguments,
                # where a pass for each example is no more than the projections, the better place
                at="midpoint" if len(rows) <= 2 * _PROJECTIONS else "full",
                num_projections=_PROJECTIONS,
                **schedule,
            )
        except StepSizeError:
            continue
        state = train(train_key, system.step, system.init(params), (inputs, labels), **schedule).state
        outputs = predict(network.apply, state.variables, examples.held_out_inputs, batch_size=_EVALUATED_AT_ONCE)
        accuracy = float((np.argmax(outputs, axis=1) == examples.held_out_labels).mean())
        return _beside(rows, found, scores, accuracy)
    warn(
        "the derivatives of the training of the small network explode, at each of three rates: no score of the network"
        " that is really trained is given"
    )
    return None


def _learning_rate(key: Key, network: nn.Module, inputs: jax.Array) -> float:
    """Half of the largest stable step of full batches on the squared error; the cross-entropy is less curved."""
    inputs = inputs[:_CURVED_EXAMPLES]
    eigen = kernel_eigen(empirical_kernel(network.apply, network.init(key, inputs[:1]), inputs))
    return len(inputs) / float(eigen.eigenvalues.max())


def _beside(rows: Int[np.ndarray, " rows"], found: TrainedInformation, scores: Scores, accuracy: float) -> Trained:
    """The scores beside those of the linearized network."""
    ranked = lambda values: float(spearman_correlation(np.asarray(found.output_change, float), values[rows]))
    of_numpy = lambda values: None if values is None else np.asarray(values)
    return Trained(
        rows,
        np.asarray(found.weight_change),
        np.asarray(found.output_change),
        of_numpy(found.weight_standard_error),
        of_numpy(found.output_standard_error),
        jax.tree.map(np.asarray, found.agreement),
        ranked(-scores.margins),
        ranked(scores.output_change),
        accuracy,
    )
