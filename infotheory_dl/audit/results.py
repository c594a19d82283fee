"""What the stages of an audit make."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from infotheory_dl.linearization import KernelEigen
from infotheory_dl.linearization.ridge import FeatureMoments
from infotheory_dl.results import concise


@concise
class Representation(NamedTuple):
    """By what examples are compared: a kernel where they are few, explicit features where they are many.

    Attributes:
      name: "tangent kernel", or that of the features.
      kernel: between the audited examples; None with features.
      held_out_kernel: between the held-out ones and these; None with features.
      eigen: of the kernel; None with features.
      moments: of the features; None with a kernel.
    """

    name: str
    kernel: Float[np.ndarray, "examples examples"] | None = None
    held_out_kernel: Float[np.ndarray, "held_out examples"] | None = None
    eigen: KernelEigen | None = None
    moments: FeatureMoments | None = None


@concise
class Solution(NamedTuple):
    """What the linear network says of every example, for any targets.

    Attributes:
      residuals: targets minus the predictions of the network trained without the example, and, at the end of training,
        without the examples whose inputs are equal to it.
      weight_change: squared norm of the change of the weights when the example is left out.
      output_change: squared norm of the change of the outputs, mean over the examples that it is measured on.
      leverage: what an example's own target weighs in its prediction, from 0 to 1.
      coordinates: leading principal coordinates of the kernel or the features, the largest first: squared distances
        between them are those of the kernel, but for what the others add.
      weight_decay: penalty on the mean loss.
      learning_rate: step size on the mean loss, which gives times their unit.
      loss: mean over examples and outputs of the squared residuals.
    """

    residuals: Float[np.ndarray, "examples outputs"]
    weight_change: Float[np.ndarray, " examples"]
    output_change: Float[np.ndarray, " examples"]
    leverage: Float[np.ndarray, " examples"]
    coordinates: Float32[np.ndarray, "examples leading"]
    weight_decay: float
    learning_rate: float
    loss: float
