"""Leave-one-out of chosen examples at convergence, where the kernel is too large to decompose, or to hold at all.

Only products of the kernel with vectors are needed, which a network gives by one backward and one forward pass.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from infotheory_dl._blocks import map_examples, sum_blocks
from infotheory_dl._validation import edge, is_concrete, require_not_negative, warn
from infotheory_dl.linearization.kernels import require_network
from infotheory_dl.sample_information._leave_one_out import LeaveOneOut, mean_square
from infotheory_dl.sample_information.problem import checked_indices, checked_residuals, require_examples
from infotheory_dl.types import AnyArray, ApplyFn, Params, Scalar

KernelProduct: TypeAlias = Callable[[Any], Any]
"""A kernel by its products: maps (vectors, examples, outputs) to (vectors, others, outputs)."""


@edge
def kernel_product(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    other_inputs: Float[AnyArray, "others ..."] | None = None,
    *,
    batch_size: int = 128,
) -> KernelProduct:
    """Makes the product with the empirical kernel J(x') J(x)ᵀ of a network; neither kernel nor Jacobian is ever held.

    Args:
      apply_fn: the network, each row of its outputs a function of the same row of its inputs.
      params: its parameters, d numbers in all.
      inputs: x, which the vectors belong to.
      other_inputs: x', which the products belong to; `inputs` by default.
      batch_size: examples at once.

    Returns:
      A function of vectors (vectors, examples, outputs). While it runs it holds one gradient for each vector, vectors d
      numbers, and what a pass of the network over a batch takes for each of them.

    Raises:
      ValueError: if an argument holds NaN or infinity, is empty, or the outputs are not (examples, outputs).
      TypeError: if a parameter is not floating-point.
    """
    require_network(apply_fn, params, inputs=inputs, other_inputs=other_inputs)
    others = inputs if other_inputs is None else other_inputs
    # a pytree, so that a program that uses it takes the arrays as arguments
    return Partial(_product_of(apply_fn, batch_size), params, jnp.asarray(inputs), jnp.asarray(others))


@edge
def matrix_free_leave_one_out(
    product: KernelProduct,
    initial_outputs: Float[AnyArray, "examples outputs"],
    targets: Float[AnyArray, "examples outputs"],
    examples: Sequence[int] | Int[AnyArray, " removed"],
    reference_product: KernelProduct | None = None,
    *,
    weight_decay: Scalar = 0.0,
    tolerance: float = 1e-6,
    iterations: int = 1000,
) -> LeaveOneOut:
    """Computes what some examples tell a linearized network trained to convergence, by conjugate gradients.

    All of them are solved at once: an iteration takes one product of the kernel with as many vectors as examples.

    Args:
      product: of the kernel of the n training examples with vectors, traceable by JAX: of `kernel_product`, or any
        function such as `lambda v: jnp.einsum("ij,vjk->vik", kernel, v)`.
      initial_outputs: of the network before training, f0.
      targets: y, one column for each output.
      examples: indices of the examples to leave out, each alone.
      reference_product: of the kernel between reference inputs and training examples.
      weight_decay: penalty on the mean loss; the shift n weight_decay of the kernel stays when an example leaves.
        The number of iterations grows like the square root of the largest eigenvalue over the shift.
      tolerance: relative residual, of the training and of its change by each example, at which to stop.
      iterations: at most.

    Returns:
      The fields of `leave_one_out` for the chosen examples, in their order.

    Raises:
      ValueError: if shapes do not fit, an argument holds NaN or infinity, a setting is out of its range, or the kernel,
        seen along the directions of the iteration, has a negative eigenvalue.
      TypeError: if targets are labels and not floating-point columns.

    Warns:
      UserWarning: if the tolerance is not reached.

    Source: Hestenes and Stiefel, 1952.
    """
    residuals = checked_residuals(initial_outputs, targets)
    n, k = residuals.shape
    require_examples(n)
    examples = checked_indices("examples", examples, n)
    require_not_negative(weight_decay=weight_decay)
    shape = jax.eval_shape(product, residuals[None]).shape
    if shape != (1, n, k):
        raise ValueError(f"product must keep the shape of vectors, (1, {n}, {k}), got {shape}")
    if reference_product is not None:
        shape = jax.eval_shape(reference_product, residuals[None]).shape
        if len(shape) != 3 or shape[::2] != (1, k):
            raise ValueError(f"reference_product must map (1, {n}, {k}) to (1, references, {k}), got {shape}")
        reference_product = _as_pytree(reference_product)

    shift = n * weight_decay
    result, errors, least = _leave_one_out(
        _as_pytree(product), reference_product, residuals, examples, shift, tolerance, iterations
    )
    if not is_concrete(errors):
        return result
    if least < 0:
        raise ValueError(
            "product must be that of a positive semi-definite kernel, but with weight decay its least eigenvalue is"
            f" {float(least):.3g} or lower: it is no kernel J Jᵀ of features"
        )
    worst = float(errors.max())
    if not worst <= tolerance:
        warn(
            f"conjugate gradients stopped after {iterations} iterations at a relative residual of {worst:.3g},"
            f" tolerance {tolerance:.3g}: the kernel is ill-conditioned. Add weight decay, or allow more iterations"
        )
    return result


@jax.jit
@jax.default_matmul_precision("highest")
def _leave_one_out(
    product: Any,
    reference_product: Any,
    residuals: Float[Array, "examples outputs"],
    examples: Int[AnyArray, " removed"],
    shift: Scalar,
    tolerance: Scalar,
    iterations: Scalar,
) -> tuple[LeaveOneOut, Float[Array, " systems"], Float[Array, ""]]:
    """The scores, the relative residual of each system, and a bound on the least eigenvalue; zero if none is lower."""

    def shifted(vectors: Array) -> Array:
        return product(vectors) + shift * vectors

    trained, error, least = _conjugate_gradients(shifted, -residuals[None], tolerance, iterations)
    # x of the others alone solves A_oo x = -r_o, and A_oo a_o + A_oi a_i = -r_o, so A_oo (x - a_o) = A_oi a_i: solved
    # for the change itself, to which the tolerance is then relative
    others = 1 - jax.nn.one_hot(examples, len(residuals), dtype=residuals.dtype)[:, :, None]
    own = (1 - others) * trained
    inside, errors, least_inside = _conjugate_gradients(
        lambda vectors: others * shifted(vectors), others * product(own), tolerance, iterations
    )
    changes = inside - own
    moved = product(changes)
    output_changes = None if reference_product is None else reference_product(changes)
    unfitted = shift * trained[0, examples] - moved[jnp.arange(len(examples)), examples]
    weight_change = jnp.maximum(jnp.sum(changes * moved, axis=(1, 2)), 0)
    result = LeaveOneOut(weight_change, mean_square(output_changes), output_changes, unfitted)
    return result, jnp.concatenate([error, errors]), jnp.minimum(least, least_inside)


def _conjugate_gradients(
    operator: Callable[[Array], Array],
    right: Float[Array, "systems examples outputs"],
    tolerance: Scalar,
    iterations: Scalar,
) -> tuple[Float[Array, "systems examples outputs"], Float[Array, " systems"], Float[Array, ""]]:
    """Solves operator(x) = right for several systems at once, each with its own steps.

    Returns:
      The solutions, their relative residuals, and the least quotient vᵀ A v / vᵀ v below zero, beyond rounding, that
      was met. There the iteration ends: the operator is not positive definite.
    """

    def dot(left: Array, right: Array) -> Array:
        return jnp.sum(left * right, axis=(1, 2), keepdims=True)

    goal = tolerance**2 * dot(right, right)

    def unfinished(state: Any) -> Array:
        *_, square, _, least, iteration = state
        return jnp.any(square > goal) & (iteration < iterations) & (least >= 0)

    def iterate(state: Any) -> Any:
        solution, residual, direction, square, largest, least, iteration = state
        image = operator(direction)
        # a system at its goal rests until the last one is there
        curvature, length = dot(direction, image), dot(direction, direction)
        step = jnp.where(square > goal, square / curvature, 0)
        quotient = jnp.where(square > goal, curvature / length, 0)
        largest = jnp.maximum(largest, jnp.abs(quotient).max())
        rounding = 100 * np.sqrt(np.prod(right.shape[1:])) * jnp.finfo(right.dtype).eps * largest
        least = jnp.where(quotient.min() < -rounding, quotient.min(), 0)
        solution, residual = solution + step * direction, residual - step * image
        previous, square = square, dot(residual, residual)
        direction = residual + jnp.where(previous > goal, square / previous, 0) * direction
        return solution, residual, direction, square, largest, least, iteration + 1

    none = jnp.zeros((), right.dtype)
    start = (jnp.zeros_like(right), right, right, dot(right, right), none, none, 0)
    solution, _, _, square, _, least, _ = jax.lax.while_loop(unfinished, iterate, start)
    size = dot(right, right)
    return solution, jnp.sqrt(jnp.where(size > 0, square / size, 0))[:, 0, 0], least


@functools.lru_cache(maxsize=32)  # with the same function a second solution finds its program compiled
def _product_of(apply_fn: ApplyFn, batch_size: int) -> KernelProduct:
    return functools.partial(_product, apply_fn, batch_size)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _product(
    apply_fn: ApplyFn,
    batch_size: int,
    params: Params,
    inputs: Float[Array, "examples ..."],
    others: Float[Array, "others ..."],
    vectors: Float[AnyArray, "vectors examples outputs"],
) -> Float[Array, "vectors others outputs"]:
    """J(others) J(inputs)ᵀ vectors, batch by batch."""

    def pull(mask: Array, block: Array, cotangents: Array) -> Params:
        _, pullback = jax.vjp(lambda p: apply_fn(p, block), params)
        return jax.vmap(lambda cotangent: pullback(cotangent)[0], in_axes=1)(mask[:, None, None] * cotangents)

    def push(x: Array) -> Array:
        def along(direction: Params) -> Array:
            return jax.jvp(lambda p: apply_fn(p, x[None])[0], (params,), (direction,))[1]

        return jax.vmap(along)(directions)

    directions = sum_blocks(pull, (inputs, jnp.moveaxis(jnp.asarray(vectors), 0, 1)), batch_size)
    return jnp.moveaxis(map_examples(push, (others,), batch_size), 0, 1)


def _as_pytree(function: Callable[..., Any]) -> Partial:
    return function if isinstance(function, Partial) else Partial(function)
