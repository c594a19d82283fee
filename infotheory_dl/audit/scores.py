"""The scores of an audit: what each example tells networks that are linearized before any training."""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import require_choice
from infotheory_dl.metrics.labels import margins
from infotheory_dl.results import concise
from infotheory_dl.sample_information._leave_one_out import left_out
from infotheory_dl.sample_information.problem import Problem
from infotheory_dl.sample_information.removal import Training

NetworkName = Literal["auto", "mlp", "cnn"]


@concise
class Scores(NamedTuple):
    """What an audit says of every example.

    Attributes:
      output_change: squared norm of the change of the outputs when the example is left out, mean over the held-out
        examples: the functional sample information, but for its unit.
      weight_change: squared norm of the change of the weights: the sample information, but for its unit.
      margins: prediction for the given label minus the largest other, by the network trained without the example: the
        lower, the more suspect the label.
      predictions: the predictions themselves, close to 1 for a class that is certain and to 0 for the others.
    """

    output_change: Float[np.ndarray, "*times examples"]
    weight_change: Float[np.ndarray, "*times examples"]
    margins: Float[np.ndarray, "*times examples"]
    predictions: Float[np.ndarray, "*times examples classes"]


def example_shape(name: NetworkName, inputs: Float[np.ndarray, "examples *features"]) -> tuple[int, ...]:
    """The shape in which the network of that name sees an example: "auto" sees images as images.

    Raises:
      ValueError: if the name is unknown, or a CNN is asked for where there are no images.
    """
    require_choice("network", name, ("auto", "mlp", "cnn"))
    if name == "cnn" and inputs.ndim != 4:
        raise ValueError(f"network='cnn' needs images (examples, height, width[, channels]), got shape {inputs.shape}")
    return inputs.shape[1:] if name != "mlp" and inputs.ndim == 4 else (math.prod(inputs.shape[1:]),)


def score(
    problem: Problem,
    labels: Int[np.ndarray, " examples"],
    trainings: Iterable[Training],
    measured: Int[np.ndarray, " measured"],
) -> Scores:
    """Scores every example after each training, from one eigendecomposition shared by all classes.

    Args:
      problem: to learn the labels, as one-hot rows minus 1/classes; outputs start at zero.
      labels: codes.
      trainings: of the network, at several times.
      measured: which examples the references are, if they are among them; else none.
    """
    num_classes = problem.residuals.shape[1]
    is_given = jnp.asarray(labels[:, None] == np.arange(num_classes))
    by_time = []
    for training in trainings:
        result = left_out(problem, training)
        predictions = 1 / num_classes - problem.residuals - result.residuals
        assert result.output_changes is not None
        output_change = change_of_others(result.output_changes, measured)
        by_time.append((output_change, result.weight_change, margins(predictions, is_given), predictions))
    return Scores(*(np.stack([np.asarray(value) for value in values]) for values in zip(*by_time, strict=True)))


def change_of_others(
    changes: Float[jax.Array, "examples references outputs"], measured: Int[np.ndarray, " measured"]
) -> Float[jax.Array, " examples"]:
    """Squared norms of the changes of the outputs, mean over the references that are not the example itself."""
    squares = jnp.square(changes).sum(2)
    counts = jnp.full(len(squares), squares.shape[1])
    if len(measured):
        places = np.arange(len(measured))
        squares, counts = squares.at[measured, places].set(0), counts.at[measured].add(-1)
    return squares.sum(1) / counts
