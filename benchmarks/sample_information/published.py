"""The published algorithm of sample information, one example after the other, to be timed beside ours.

Written from the description of what it computes and in which order; networks with one output, no weight decay.

Source: Harutyunyan et al., 2021 (section 4).
"""

from typing import NamedTuple

import jax
import numpy as np
import scipy.linalg
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from infotheory_dl.linearization import Dynamics
from infotheory_dl.types import ApplyFn, Params


class LinearizedTraining(NamedTuple):
    """What the algorithm holds while it goes through the examples.

    Attributes:
      jacobian: of the training examples, in full.
      kernel: J Jᵀ.
      inverse: of the kernel.
      reference_kernel: J* Jᵀ, rows for the reference inputs.
      residuals: initial outputs minus targets.
      learned_weights: what training on all examples adds to the weights.
      learned_outputs: likewise to the reference outputs.
      learning_rate: step size on the mean loss.
      time: number of steps.
      dynamics: gradient flow or gradient descent.
    """

    jacobian: Float[np.ndarray, "examples parameters"]
    kernel: Float[np.ndarray, "examples examples"]
    inverse: Float[np.ndarray, "examples examples"]
    reference_kernel: Float[np.ndarray, "references examples"]
    residuals: Float[np.ndarray, " examples"]
    learned_weights: Float[np.ndarray, " parameters"]
    learned_outputs: Float[np.ndarray, " references"]
    learning_rate: float
    time: int
    dynamics: Dynamics


def jacobian_by_example(
    apply_fn: ApplyFn, params: Params, inputs: Float[np.ndarray, "examples ..."]
) -> Float[np.ndarray, "examples parameters"]:
    """One backward pass for each example, all gradients kept."""
    gradient = jax.jit(jax.grad(lambda p, x: apply_fn(p, x[None])[0, 0]))
    return np.stack([np.asarray(ravel_pytree(gradient(params, x))[0]) for x in inputs])


def linearized_training(
    jacobian: Float[np.ndarray, "examples parameters"],
    reference_jacobian: Float[np.ndarray, "references parameters"],
    residuals: Float[np.ndarray, " examples"],
    *,
    learning_rate: float,
    time: int,
    dynamics: Dynamics,
) -> LinearizedTraining:
    """Kernels, the inverse, and the training on all examples: once."""
    kernel, reference_kernel = jacobian @ jacobian.T, reference_jacobian @ jacobian.T
    inverse = np.linalg.inv(kernel)
    unlearned = _unlearned(kernel, learning_rate / len(kernel), time, dynamics)
    coefficients = inverse @ (unlearned @ residuals - residuals)
    return LinearizedTraining(
        jacobian,
        kernel,
        inverse,
        reference_kernel,
        residuals,
        jacobian.T @ coefficients,
        reference_kernel @ coefficients,
        learning_rate,
        time,
        dynamics,
    )


def weight_change(training: LinearizedTraining, example: int) -> float:
    """‖w - w_-i‖² of one example."""
    kept, coefficients = _train_without(training, example)
    change = training.jacobian[kept].T @ coefficients - training.learned_weights
    return float(change @ change)


def output_change(training: LinearizedTraining, example: int) -> float:
    """The mean over the reference inputs of |f - f_-i|² of one example."""
    kept, coefficients = _train_without(training, example)
    change = training.reference_kernel[:, kept] @ coefficients - training.learned_outputs
    return float(np.square(change).mean())


def _train_without(training: LinearizedTraining, example: int) -> tuple[np.ndarray, np.ndarray]:
    """Trains on all but one example: their indices, and the coefficients of their gradients."""
    kept = np.delete(np.arange(len(training.residuals)), example)
    block = np.ix_(kept, kept)
    column = training.inverse[kept, example]
    inverse = training.inverse[block] - np.outer(column, column) / training.inverse[example, example]
    rate = training.learning_rate / len(kept)
    unlearned = _unlearned(training.kernel[block], rate, training.time, training.dynamics)
    residuals = training.residuals[kept]
    return kept, inverse @ (unlearned @ residuals - residuals)


def _unlearned(kernel: np.ndarray, rate: float, time: int, dynamics: Dynamics) -> np.ndarray:
    """Maps the residuals before training to those after it, by a fresh exponential or power of a matrix."""
    if dynamics == "continuous":
        return scipy.linalg.expm(-rate * time * kernel)
    return np.linalg.matrix_power(np.eye(len(kernel), dtype=kernel.dtype) - rate * kernel, time)
