"""The scores of an audit: what each example tells networks that are linearized before any training."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from infotheory_dl._validation import require_choice
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization import KernelEigen
from infotheory_dl.metrics import label_margins
from infotheory_dl.sample_information import leave_one_out
from infotheory_dl.types import Scalar

NetworkName = Literal["auto", "mlp", "cnn"]


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
    eigen: KernelEigen,
    held_out_kernel: Float[np.ndarray, "held_out examples"],
    labels: np.ndarray,
    num_classes: int,
    *,
    times: Sequence[Scalar],
    learning_rate: Scalar,
    weight_decay: Scalar,
) -> Scores:
    """Scores every example at each time, from one eigendecomposition shared by all classes; outputs start at zero."""
    targets = jnp.asarray(centred_targets(labels, num_classes))
    by_time = []
    for time in times:
        result = leave_one_out(
            eigen,
            jnp.zeros_like(targets),
            targets,
            held_out_kernel,
            time=time,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
        )
        predictions = targets - result.residuals + 1 / num_classes
        margins = label_margins(predictions, labels)
        by_time.append((result.output_change, result.weight_change, margins, predictions))
    return Scores(*(np.stack([np.asarray(value) for value in values]) for values in zip(*by_time, strict=True)))
