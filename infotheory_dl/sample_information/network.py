"""From a network and its training set to the information of every example."""

import functools
from typing import NamedTuple, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from infotheory_dl._sharding import automatically_sharded
from infotheory_dl._validation import edge, is_concrete, require_choice, require_positive, require_same_length
from infotheory_dl.linearization import (
    Dynamics,
    KernelEigen,
    Outputs,
    empirical_kernel,
    transposed_jacobian_products,
)
from infotheory_dl.linearization.eigen import eigen_of
from infotheory_dl.linearization.kernels import blockwise_kernel, require_network
from infotheory_dl.results import concise
from infotheory_dl.sample_information._leave_one_out import coefficient_changes, leave_one_out
from infotheory_dl.sample_information.removal import Regularization, TrainingSettings
from infotheory_dl.types import AnyArray, ApplyFn, Params, Scalar


@concise
class SampleInformation(NamedTuple):
    """The information of n training examples of a network.

    Attributes:
      weight_change: ‖w_-i - w‖², in squared units of the weights.
      output_change: ‖f_-i - f‖², mean over the reference inputs, in squared units of the outputs.
      output_changes: f_-i - f on each reference input.
      weight_information: sample information in the weights, weight_change / (2 sigma²), in nats; None without sigma.
      function_information: functional sample information, output_change / (2 sigma²), in nats; None without sigma.
      residuals: target minus the prediction for each example by the network trained without it.
      kernel: the eigendecomposition of the training kernel, from which `leave_one_out` gives other times, weight
        decays and targets at little cost.
      reference_kernel: between reference and training examples.
      initial_outputs: of the training examples, before training.
    """

    weight_change: Float[Array, " examples"]
    output_change: Float[Array, " examples"]
    output_changes: Float[Array, "examples references outputs"]
    weight_information: Float[Array, " examples"] | None
    function_information: Float[Array, " examples"] | None
    residuals: Float[Array, "examples outputs"]
    kernel: KernelEigen
    reference_kernel: Float[Array, "..."]
    initial_outputs: Float[Array, "examples outputs"]


@edge
def sample_information(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Float[AnyArray, "examples outputs"],
    reference_inputs: Float[AnyArray, "references ..."],
    *,
    time: Scalar,
    learning_rate: Scalar,
    weight_decay: Scalar = 0.0,
    dynamics: Dynamics = "continuous",
    regularization: Regularization = "fixed",
    outputs: Outputs = "full",
    sigma: Scalar | None = None,
    batch_size: int | None = None,
) -> SampleInformation:
    """Computes how much each training example informs the weights and the function of a network.

    In nats the information of example i in the weights is ‖w - w_-i‖² / (2 sigma²): the divergence of w + noise from
    w_-i + noise, where w_-i is trained without the example and the noise is N(0, sigma²).

    Args:
      apply_fn: the network, deterministic, `apply_fn(params, inputs) -> (examples, outputs)`.
      params: where training starts.
      inputs: n training inputs. May be sharded over the examples, likewise `reference_inputs`: the kernels and the
        changes are then computed on all their devices.
      targets: one column for each output.
      reference_inputs: m inputs on which the functions are compared, such as a validation set.
      time: number of full-batch steps, or infinity.
      learning_rate: step size on the mean over the examples of ½‖f - y‖².
      weight_decay: penalty on that mean loss, towards `params`.
      dynamics: "continuous" (gradient flow) or "discrete" (gradient descent).
      regularization: "fixed" or "rescaled", see `leave_one_out`.
      outputs: the kernel: "full" is exact; "class_wise" and "trace" neglect what outputs have in common, for many
        classes.
      sigma: standard deviation of the noise, on weights and on outputs; with it come the scores in nats.
      batch_size: examples in a block of the kernel.

    Returns:
      The information, the changes and residuals behind it, and the kernels.

    Raises:
      ValueError: if shapes do not fit, an argument holds NaN or infinity, `apply_fn` is stochastic, or a setting is
        out of its range.
      TypeError: if a parameter or the targets are not floating-point.
      StepSizeError: if gradient descent diverges; names the largest stable learning rate.
      SingularKernelError: if time is infinite, there is no weight decay and the kernel is singular.

    Source: Harutyunyan et al., 2021 (equations 5 to 10).
    """
    require_positive(sigma=sigma)
    require_same_length(inputs=inputs, targets=targets)
    require_choice("outputs", outputs, ("full", "class_wise", "trace"))
    require_network(apply_fn, params, inputs=inputs, reference_inputs=reference_inputs)
    inputs, reference_inputs = automatically_sharded(inputs), automatically_sharded(reference_inputs)
    _require_deterministic(apply_fn, params, inputs)

    kernel_between = functools.partial(blockwise_kernel, apply_fn, params, outputs=outputs, batch_size=batch_size)
    eigen = eigen_of(kernel_between(inputs))
    reference_kernel = kernel_between(reference_inputs, inputs)
    initial_outputs = apply_fn(params, inputs)
    result = leave_one_out(
        eigen,
        initial_outputs,
        targets,
        reference_kernel,
        time=time,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dynamics=dynamics,
        regularization=regularization,
    )
    assert result.output_change is not None
    assert result.output_changes is not None
    nats = None if sigma is None else 1 / (2 * jnp.square(sigma))
    return SampleInformation(
        result.weight_change,
        result.output_change,
        result.output_changes,
        None if nats is None else nats * result.weight_change,
        None if nats is None else nats * result.output_change,
        result.residuals,
        eigen,
        reference_kernel,
        initial_outputs,
    )


@edge(half=False)
def weight_changes(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Float[AnyArray, "examples outputs"],
    examples: Int[AnyArray, " removed"],
    kernel: Float[AnyArray, "rows rows"] | KernelEigen | None = None,
    *,
    batch_size: int | None = None,
    **training: Unpack[TrainingSettings],
) -> PyTree[Float[Array, "removed ..."]]:
    """Computes w_-i - w, the change of the trained weights when each of some examples is left out.

    Args:
      apply_fn, params, inputs, targets: as in `sample_information`.
      examples: indices of the examples to leave out, each alone.
      kernel: of the training inputs for all outputs, if it is at hand.
      batch_size: training examples at once.
      **training: time, learning_rate, ... of `leave_one_out`, which see for the errors too.

    Returns:
      A pytree like `params` whose leaves have an axis of removed examples in front.
    """
    if kernel is None:
        kernel = empirical_kernel(apply_fn, params, inputs, batch_size=batch_size)
    initial_outputs = apply_fn(params, jnp.asarray(inputs))
    changes = coefficient_changes(kernel, initial_outputs, targets, examples, **training)
    return transposed_jacobian_products(apply_fn, params, inputs, changes, batch_size=batch_size)


def _require_deterministic(apply_fn: ApplyFn, params: Params, inputs: Array) -> None:
    first, second = (apply_fn(params, inputs[:1]) for _ in range(2))
    if is_concrete(first) and not np.array_equal(first, second):
        raise ValueError(
            "apply_fn gives different outputs for the same inputs: switch dropout off and batch norm to its averages"
        )
