"""How far the linearized network may be trusted to speak for the trained one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_finite, require_shape
from infotheory_dl.linearization.kernels import blockwise_kernel, empirical_kernel
from infotheory_dl.metrics import pearson_correlation
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, ApplyFn, Params


@concise
class LinearizationQuality(NamedTuple):
    """A trained network beside its linearization at the initial parameters.

    Attributes:
      correlation: Pearson's, between the outputs of the two; 1 where the linearization holds.
      relative_error: root mean squared difference of the outputs over the root mean square of the trained network's.
      weight_distance: ‖w - w0‖ / ‖w0‖ of the trained network.
      kernel_alignment: cosine between the kernels before and after training; 1 where the kernel has not turned.
    """

    correlation: Float[Array, ""]
    relative_error: Float[Array, ""]
    weight_distance: Float[Array, ""]
    kernel_alignment: Float[Array, ""]


@edge
def linearization_quality(
    apply_fn: ApplyFn,
    params: Params,
    trained: Params,
    inputs: Float[AnyArray, "examples ..."],
    linear_outputs: Float[AnyArray, "examples outputs"],
    *,
    batch_size: int | None = None,
) -> LinearizationQuality:
    """Compares a trained network with its linearization after the same training.

    Args:
      apply_fn: the network.
      params: before training, where it is linearized.
      trained: after training.
      inputs: where to compare, such as a validation set.
      linear_outputs: of the trained linear network there, such as `trained_outputs`.
      batch_size: examples in a block of the kernels.

    Returns:
      Four numbers.

    Raises:
      ValueError: if the shapes do not fit, or an argument holds NaN or infinity.
    """
    outputs = apply_fn(trained, jnp.asarray(inputs))
    require_shape("linear_outputs", linear_outputs, outputs.shape, "that of the outputs")
    require_finite(trained=trained, linear_outputs=linear_outputs)
    before = empirical_kernel(apply_fn, params, inputs, outputs="trace", batch_size=batch_size)
    after = blockwise_kernel(apply_fn, trained, inputs, outputs="trace", batch_size=batch_size)
    change = jax.tree.map(jnp.subtract, trained, params)
    return LinearizationQuality(
        correlation=pearson_correlation(outputs.ravel(), jnp.ravel(linear_outputs)),
        relative_error=_norm(outputs - linear_outputs) / _norm(outputs),
        weight_distance=_norm(change) / _norm(params),
        kernel_alignment=jnp.vdot(before, after) / (_norm(before) * _norm(after)),
    )


def _norm(tree: Params) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))
