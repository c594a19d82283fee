"""The spread of weights under the noise of stochastic gradient descent, and what an example changes in its units."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PyTree

from infotheory_dl import linearization
from infotheory_dl._blocks import map_blocks, per_example_gradients
from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_choice,
    require_finite,
    require_not_negative,
    require_positive,
)
from infotheory_dl.information import gaussian
from infotheory_dl.results import concise
from infotheory_dl.sample_information._examples import as_rows, checked_examples, loss_of_example
from infotheory_dl.training import half_squared_error
from infotheory_dl.types import AnyArray, ApplyFn, Params

Noise = Literal["full", "subspace"]
Scalar = float | Float[AnyArray, ""]

_EXAMPLES_AT_ONCE = 64


@concise
class SteadyState(NamedTuple):
    """The Gaussian in which the weights of stochastic gradient descent settle, in the eigenbasis of the curvature H.

    Attributes:
      basis: orthonormal eigenvectors of H, as columns; parameters in the order of `jax.tree.leaves(params)`.
      curvature: their eigenvalues; infinite for a column of zeros, which stands for a direction that is left out.
      covariance: covariance of the weights along the columns of the basis.
    """

    basis: Float[Array, "parameters modes"]
    curvature: Float[Array, " modes"]
    covariance: Float[Array, "modes modes"]


@edge
@jax.default_matmul_precision("highest")
def sgd_steady_state(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Float[AnyArray, "examples outputs"],
    *,
    learning_rate: Scalar,
    batch_size: int,
    weight_decay: Scalar = 0.0,
    curvature_params: Params | None = None,
    noise: Noise = "full",
    jitter: Scalar = 1e-10,
) -> SteadyState:
    """Solves H S + S H = (learning_rate / batch_size) C for the covariance S of the weights near a minimum.

    H = JᵀJ / n + weight_decay is the Gauss-Newton curvature of the mean loss ½‖f - y‖², C the covariance over the
    examples of its gradients. In the eigenbasis of H the solution is a division.

    Args:
      apply_fn: the network.
      params: the final weights, d in all, where the gradients are taken.
      inputs: n training examples.
      targets: their targets; integer classes as one-hot rows.
      learning_rate: of the stochastic descent on the mean loss.
      batch_size: examples in its minibatches.
      weight_decay: penalty on the mean loss, (weight_decay / 2)‖w - w0‖².
      curvature_params: where J is taken, the final weights by default. The published experiments take it at the
        initial weights, where the network is linearized.
      noise: "full" keeps all d directions, O(d³). "subspace" keeps the marginal in the range of Jᵀ, at most n k
        directions, O(d (n k)²): use it where d is large or H is singular without weight decay.
      jitter: added to the diagonals of C and of S, whose eigenvalues otherwise fall below the rounding.

    Returns:
      The steady state.

    Raises:
      ValueError: if the arguments do not fit together, hold NaN or infinity, or H is singular and noise is "full".
      TypeError: if a parameter is not floating-point.

    Source: Mandt et al., 2017; Harutyunyan et al., 2021. The code of the latter takes H of the summed
    loss and no learning rate: learning_rate = batch_size / n here.
    """
    require_choice("noise", noise, ("full", "subspace"))
    inputs, targets = checked_examples(apply_fn, params, inputs, targets)
    require_positive(learning_rate=learning_rate, batch_size=batch_size)
    require_not_negative(weight_decay=weight_decay, jitter=jitter)

    centre = params if curvature_params is None else curvature_params
    n, num_outputs = targets.shape
    jacobian = as_rows(linearization.jacobian(apply_fn, centre, inputs), axes=2).reshape(n * num_outputs, -1)
    if noise == "full" or jacobian.shape[0] >= jacobian.shape[1]:
        squares, basis = jnp.linalg.eigh(jacobian.T @ jacobian)
        squares = jnp.where(squares > _rounding(squares), squares, 0)
    else:
        squares, basis = _range(jacobian)
    in_range = squares > 0
    curvature = squares / n + weight_decay
    if noise == "subspace":
        basis = jnp.where(in_range, basis, 0)
        curvature = jnp.where(in_range, curvature, jnp.inf)
    elif is_concrete(in_range) and is_concrete(weight_decay) and weight_decay == 0 and not bool(in_range.all()):
        raise ValueError(
            f"the curvature is singular: {jacobian.shape[0]} outputs of examples do not determine"
            f" {jacobian.shape[1]} parameters without weight decay. Set weight_decay > 0, or noise='subspace'"
        )

    covariance = _stationary_covariance(
        apply_fn, params, inputs, targets, basis, curvature, learning_rate / batch_size, jitter
    )
    return SteadyState(basis, curvature, covariance)


@jax.jit
def _range(jacobian: Float[Array, "rows parameters"]) -> tuple[Float[Array, " rows"], Float[Array, "parameters rows"]]:
    """Squared singular values and right singular vectors of a wide matrix, by products instead of a slow tall QR."""

    def orthonormalize(_: Array, basis: Array) -> Array:
        squares, mixing = jnp.linalg.eigh(basis.T @ basis)
        return basis @ (mixing * jax.lax.rsqrt(jnp.maximum(squares, _rounding(squares))))

    # each pass brings the columns nearer to orthonormal, as far as the squaring in it keeps the digits
    basis = jax.lax.fori_loop(0, 3, orthonormalize, jacobian.T)
    _, singular_values, rotation = jnp.linalg.svd(jacobian @ basis)
    return jnp.where(singular_values > _rounding(singular_values), singular_values, 0) ** 2, basis @ rotation.T


def _rounding(spectrum: Array) -> Array:
    """How small a part of a spectrum must be to be lost in the rounding of the largest."""
    return len(spectrum) * jnp.finfo(spectrum.dtype).eps * spectrum.max()


@functools.partial(jax.jit, static_argnums=0)
def _stationary_covariance(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Array,
    targets: Array,
    basis: Array,
    curvature: Array,
    rate: Scalar,
    jitter: Scalar,
) -> Float[Array, "modes modes"]:
    loss = loss_of_example(apply_fn, half_squared_error)
    along_basis = lambda *rows: as_rows(per_example_gradients(loss, params, *rows)) @ basis
    gradients = map_blocks(along_basis, (inputs, targets), _EXAMPLES_AT_ONCE)
    deviations = gradients - gradients.mean(0)
    identity = jnp.eye(len(curvature), dtype=curvature.dtype)
    noise = deviations.T @ deviations / len(inputs) + jitter * identity
    return rate * noise / (curvature[:, None] + curvature) + jitter * identity


@jax.default_matmul_precision("highest")
def steady_state_information(
    steady_state: SteadyState,
    weight_changes: PyTree[Float[AnyArray, "examples ..."]],
    *,
    scale: Literal["raw", "nats"] = "raw",
) -> Float[Array, " examples"]:
    """Measures changes of the weights in the metric of the steady state, change^T S^-1 change.

    Args:
      steady_state: of the weights with all examples; it is used with and without the example.
      weight_changes: what leaving an example out changes: a tree like the parameters with an axis of examples in
        front, or its leaves joined to rows.
      scale: "raw" is the squared length, as published; "nats" is half of it, the divergence between the two
        steady states.

    Returns:
      The information that each example gives to weights seen through the noise of the descent. In the subspace it is
      that of the component of the change in the range of Jᵀ.

    Raises:
      ValueError: if the changes do not fit the basis, hold NaN or infinity, or S is not positive definite.

    Source: Harutyunyan et al., 2021.
    """
    require_choice("scale", scale, ("raw", "nats"))
    factor = jnp.linalg.cholesky(steady_state.covariance)
    if is_concrete(factor) and not bool(jnp.isfinite(factor).all()):
        raise ValueError(
            f"the covariance is not positive definite in {factor.dtype}: give the steady state more jitter"
        )
    coordinates = _coordinates(steady_state, weight_changes)
    squared_lengths = jnp.sum(solve_triangular(factor, coordinates.T, lower=True) ** 2, axis=0)
    return squared_lengths / 2 if scale == "nats" else squared_lengths


@jax.default_matmul_precision("highest")
def steady_state_divergence(
    steady_state: SteadyState, other: SteadyState, weight_change: PyTree[Float[AnyArray, "..."]]
) -> Float[Array, ""]:
    """Divergence between the steady states with and without an example, each with its own covariance.

    Args:
      steady_state: with all examples, by noise="full".
      other: without the example, by noise="full".
      weight_change: mean of the other minus mean of the first: a tree like the parameters, or a vector.

    Returns:
      KL(with || without) in nats.

    Raises:
      ValueError: if one of the states is a subspace, the change does not fit, or a covariance is not positive definite.
    """
    for state in (steady_state, other):
        if state.basis.shape[0] != state.basis.shape[1]:
            raise ValueError(
                f"the divergence needs steady states of noise='full', got a subspace of {state.basis.shape[1]} of"
                f" {state.basis.shape[0]} directions"
            )
    change = _coordinates(steady_state, jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], weight_change))[0]
    rotation = steady_state.basis.T @ other.basis
    other_covariance = rotation @ other.covariance @ rotation.T
    return gaussian.kl_divergence(jnp.zeros_like(change), steady_state.covariance, change, other_covariance)


def _coordinates(steady_state: SteadyState, weight_changes: PyTree) -> Float[Array, "examples modes"]:
    require_finite(weight_changes=weight_changes)
    changes = as_rows(weight_changes)
    if changes.shape[1] != len(steady_state.basis):
        raise ValueError(
            f"weight_changes must have {len(steady_state.basis)} parameters like the steady state, got"
            f" {changes.shape[1]}"
        )
    return changes @ steady_state.basis
