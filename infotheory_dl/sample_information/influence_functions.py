"""Influence functions: what leaving an example out changes, to first order at the trained weights."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float, PyTree, Shaped

from infotheory_dl import linearization
from infotheory_dl._blocks import map_blocks, map_examples, per_example_gradients, per_example_jacobians, sum_blocks
from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_choice,
    require_finite,
    require_not_negative,
    warn,
)
from infotheory_dl.results import concise
from infotheory_dl.sample_information._examples import Loss, checked_examples, loss_of_example
from infotheory_dl.sample_information.problem import require_examples
from infotheory_dl.training import half_squared_error
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params

Method = Literal["exact", "gauss_newton", "conjugate_gradient", "lissa"]
Scalar = float | Float[AnyArray, ""]

# Systems that are solved together: enough for matrix products, few enough that their vectors stay small.
_SYSTEMS_AT_ONCE = 16
# LiSSA has no tolerance of its own: a relative residual beyond which its changes are not those of the Newton step
_UNSOLVED = 0.01


@concise
class Influence(NamedTuple):
    """What leaving each example out changes, (without it) - (with all).

    Attributes:
      weight_change: squared norm of the change of the weights.
      output_change: squared norm of the change of the outputs, mean over the reference inputs.
      output_changes: the changes of the outputs themselves.
      solver_error: relative residual of the linear system of each example; zero for the direct methods.
      weight_changes: a tree like the parameters with an axis of examples in front, if asked for.
    """

    weight_change: Float[Array, " examples"]
    output_change: Float[Array, " examples"]
    output_changes: Float[Array, "examples references outputs"]
    solver_error: Float[Array, " examples"]
    weight_changes: PyTree[Float[Array, "examples ..."]] | None = None


@edge
@jax.default_matmul_precision("highest")
def influence(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Shaped[AnyArray, "examples ..."],
    reference_inputs: Float[AnyArray, "references ..."],
    *,
    method: Method = "exact",
    loss: Loss = half_squared_error,
    weight_decay: Scalar = 0.0,
    initial_params: Params | None = None,
    damping: Scalar = 0.0,
    iterations: int = 1000,
    tolerance: float = 1e-5,
    scale: Scalar = 1000.0,
    minibatch_size: int | None = None,
    key: Key | None = None,
    keep_weight_changes: bool = False,
    batch_size: int = 128,
) -> Influence:
    """Approximates leaving an example out by one Newton step, H^-1 grad l_i / n.

    H is the Hessian of the mean loss with weight decay, l_i the loss of example i with its penalty, both at the trained
    weights.

    Args:
      apply_fn: the network.
      params: the trained weights, d numbers in all.
      inputs: n training examples.
      targets: whatever the loss takes, one row for each example.
      reference_inputs: where changes of outputs are measured.
      method: "exact" builds the Hessian and decomposes it, O(n d²) and O(d³). "gauss_newton" replaces it by
        Jᵀ L J / n, with L the Hessian of the loss in the outputs, which for a convex loss has no negative curvature;
        where d > n k it is inverted through the kernel, O((n k)³). "conjugate_gradient" and "lissa" need only products
        of the Hessian with vectors.
      loss: loss of one example, `loss(outputs, target)`, twice differentiable; ½‖outputs - target‖² by default.
      weight_decay: penalty on the mean loss, (weight_decay / 2)‖w - w0‖².
      initial_params: w0, needed with weight decay.
      damping: added to the diagonal of H, and to nothing else.
      iterations: of conjugate gradients at most, of LiSSA exactly.
      tolerance: relative residual at which conjugate gradients stop.
      scale: LiSSA divides H by it; larger than half the largest eigenvalue of H. The published setting adds damping
        0.01 to the scaled H: 0.01 * scale here.
      minibatch_size: examples, drawn anew with replacement, on which LiSSA takes H in each iteration (published:
        128); by default all.
      key: of these draws.
      keep_weight_changes: whether to return the change vectors, n d numbers.
      batch_size: examples in a block; memory grows with it.

    Returns:
      Scores and changes with the signs and scales of `leave_one_out`.

    Raises:
      ValueError: if the arguments do not fit together, hold NaN or infinity, H is singular, or LiSSA diverges.
      TypeError: if a parameter is not floating-point.

    Warns:
      UserWarning: if the exact Hessian has negative eigenvalues, or conjugate gradients do not reach the tolerance, or
        LiSSA, on all examples, ends further from the solution than a hundredth of it.

    Source: Koh and Liang, 2017 (section 2); Agarwal et al., 2017 (LiSSA); Harutyunyan et al., 2021.
    """
    require_choice("method", method, ("exact", "gauss_newton", "conjugate_gradient", "lissa"))
    inputs, targets = checked_examples(apply_fn, params, inputs, targets, loss)
    require_finite(reference_inputs=reference_inputs)
    n = len(inputs)
    require_examples(n)
    require_not_negative(weight_decay=weight_decay, damping=damping)
    if initial_params is None:
        if not (is_concrete(weight_decay) and weight_decay == 0):
            raise ValueError("weight_decay pulls to the initial weights: pass them as initial_params")
        initial_params = params
    require_finite(initial_params=initial_params)
    draws = None
    if minibatch_size is not None:
        if key is None or minibatch_size < 1:
            raise ValueError(f"minibatches need a key and a positive size, got key={key} and size {minibatch_size}")
        draws = jax.random.randint(key, (iterations, minibatch_size), 0, n)

    program = _Program(apply_fn, loss, method, iterations, tolerance, keep_weight_changes, batch_size)
    reference_inputs = jnp.asarray(reference_inputs)
    problem = _Problem(
        params, initial_params, inputs, targets, reference_inputs, weight_decay, weight_decay + damping, scale, draws
    )
    if method in ("conjugate_gradient", "lissa"):
        changes = _example_by_example(program, problem, None)
        _check_convergence(program, changes, draws is not None)
        return changes

    num_params = sum(np.size(leaf) for leaf in jax.tree.leaves(params))
    if method == "gauss_newton" and num_params > n * jax.eval_shape(apply_fn, params, inputs).shape[1]:
        return _through_kernel(program, problem)
    eigen = jnp.linalg.eigh(_curvature(program, problem))
    _check_spectrum(eigen.eigenvalues)
    return _example_by_example(program, problem, eigen)


class _Program(NamedTuple):
    """What fixes the compiled program."""

    apply_fn: ApplyFn
    loss: Loss
    method: Method
    iterations: int
    tolerance: float
    keep_weight_changes: bool
    batch_size: int


class _Problem(NamedTuple):
    """What it runs on: `shift` is all that is added to the diagonal of H, `draws` the rows of LiSSA's minibatches."""

    params: Params
    initial_params: Params
    inputs: Array
    targets: Array
    reference_inputs: Array
    weight_decay: Scalar
    shift: Scalar
    scale: Scalar
    draws: Array | None


def _flat(program: _Program, params: Params) -> tuple[Array, ApplyFn]:
    """The parameters as a vector, and the network as a function of it."""
    weights, unravel = ravel_pytree(params)
    return weights, lambda w, x: program.apply_fn(unravel(w), x)


def _summed_loss(program: _Program, network: ApplyFn, mask: Array, x: Array, y: Array) -> Callable[[Array], Array]:
    return lambda w: (mask * jax.vmap(program.loss)(network(w, x), y)).sum()


@functools.partial(jax.jit, static_argnums=0)
def _curvature(program: _Program, problem: _Problem) -> Float[Array, "parameters parameters"]:
    """The Hessian written out, or its Gauss-Newton part."""
    weights, network = _flat(program, problem.params)
    identity = jnp.eye(len(weights), dtype=weights.dtype)

    def hessian(mask: Array, x: Array, y: Array) -> Array:
        _, product = jax.linearize(jax.grad(_summed_loss(program, network, mask, x, y)), weights)
        return map_examples(product, (identity,), _SYSTEMS_AT_ONCE)

    def gauss_newton(mask: Array, x: Array, y: Array) -> Array:
        rows = per_example_jacobians(network, weights, x)
        bends = mask[:, None, None] * jax.vmap(jax.hessian(program.loss))(network(weights, x), y)
        return jnp.einsum("iad,iab,ibe->de", rows, bends, rows, optimize="optimal")

    block = gauss_newton if program.method == "gauss_newton" else hessian
    total = sum_blocks(block, (problem.inputs, problem.targets), program.batch_size) / len(problem.inputs)
    return (total + total.T) / 2 + problem.shift * identity


@functools.partial(jax.jit, static_argnums=0)
def _example_by_example(program: _Program, problem: _Problem, eigen: tuple[Array, Array] | None) -> Influence:
    """Solves for the change of the weights by each example; with `eigen`, the spectrum of H, directly."""
    inputs, targets, shift, scale = problem.inputs, problem.targets, problem.shift, problem.scale
    n = len(inputs)
    weights, network = _flat(program, problem.params)
    penalty = problem.weight_decay * (weights - ravel_pytree(problem.initial_params)[0])
    _, outputs_along = jax.linearize(lambda w: network(w, problem.reference_inputs), weights)

    def hessian_product(vector: Array, x: Array = inputs, y: Array = targets) -> Array:
        def block(*rows: Array) -> Array:
            return jax.jvp(jax.grad(_summed_loss(program, network, *rows)), (weights,), (vector,))[1]

        return sum_blocks(block, (x, y), program.batch_size) / len(x) + shift * vector

    def lissa(vector: Array) -> Array:
        def step(estimate: Array, rows: Array | None) -> tuple[Array, None]:
            batch = (inputs, targets) if rows is None else (inputs[rows], targets[rows])
            return vector + estimate - hessian_product(estimate, *batch) / scale, None

        return jax.lax.scan(step, vector, problem.draws, program.iterations)[0] / scale

    def solve(vector: Array) -> tuple[Array, Array]:
        if eigen is not None:
            eigenvalues, eigenvectors = eigen
            return eigenvectors @ ((eigenvectors.T @ vector) / eigenvalues), jnp.zeros((), vector.dtype)
        if program.method == "lissa":
            solution = lissa(vector)
        else:
            solution, _ = cg(hessian_product, vector, tol=program.tolerance, maxiter=program.iterations)
        error = jnp.linalg.norm(hessian_product(solution) - vector)
        return solution, error / jnp.maximum(jnp.linalg.norm(vector), jnp.finfo(vector.dtype).tiny)

    def leave_out(gradient: Array) -> Influence:
        solution, error = solve(gradient + penalty)
        change = solution / n
        changes = outputs_along(change)
        kept = ravel_pytree(problem.params)[1](change) if program.keep_weight_changes else None
        return Influence(change @ change, _mean_square(changes), changes, error, kept)

    def leave_each_out(*rows: Array) -> Influence:
        return jax.vmap(leave_out)(per_example_gradients(loss_of_example(network, program.loss), weights, *rows))

    return map_blocks(leave_each_out, (inputs, targets), _SYSTEMS_AT_ONCE)


def _through_kernel(program: _Program, problem: _Problem) -> Influence:
    """Inverts the Gauss-Newton matrix in the space of outputs: (JᵀLJ / n + s)⁻¹ Jᵀ = Jᵀ (LK / n + s)⁻¹, K = JJᵀ."""
    apply_fn, params, inputs, references = program.apply_fn, problem.params, problem.inputs, problem.reference_inputs
    if is_concrete(problem.shift) and problem.shift == 0:
        raise ValueError(
            "a Gauss-Newton matrix of more parameters than outputs of examples is singular: set weight_decay or damping"
        )
    kernel = linearization.empirical_kernel(apply_fn, params, inputs)
    reference_kernel = linearization.empirical_kernel(apply_fn, params, references, inputs)
    changes, coefficients, along_drift = _kernel_influence(program, problem, kernel, reference_kernel)
    if not program.keep_weight_changes:
        return changes
    n, k = coefficients.shape[0], coefficients.shape[1] // len(coefficients)
    pulled = linearization.transposed_jacobian_products(
        apply_fn, params, inputs, coefficients.reshape(n, n, k), batch_size=program.batch_size
    )
    weight_changes = jax.tree.map(
        lambda change, final, start: change + along_drift * (final - start), pulled, params, problem.initial_params
    )
    return changes._replace(weight_changes=weight_changes)


@functools.partial(jax.jit, static_argnums=0)
def _kernel_influence(
    program: _Program, problem: _Problem, kernel: Array, reference_kernel: Array
) -> tuple[Influence, Float[Array, "examples rows"], Float[Array, ""]]:
    """The scores, and the changes of the weights as Jᵀ coefficients + along_drift (w - w0)."""
    apply_fn, params, inputs, shift = program.apply_fn, problem.params, problem.inputs, problem.shift
    drift = jax.tree.map(jnp.subtract, params, problem.initial_params)
    outputs, output_drift = jax.jvp(lambda p: apply_fn(p, inputs), (params,), (drift,))
    _, reference_drift = jax.jvp(lambda p: apply_fn(p, problem.reference_inputs), (params,), (drift,))
    slopes = jax.vmap(jax.grad(program.loss))(outputs, problem.targets)
    bends = jax.vmap(jax.hessian(program.loss))(outputs, problem.targets)

    n, k = outputs.shape

    def bend(columns: Array) -> Array:
        return (bends @ columns.reshape(n, k, -1)).reshape(n * k, -1) / n

    own_slopes = (jnp.eye(n, dtype=slopes.dtype)[:, None] * slopes[:, :, None]).reshape(n * k, n)
    solved = jnp.linalg.solve(
        bend(kernel) + shift * jnp.eye(n * k, dtype=kernel.dtype),
        jnp.concatenate([own_slopes, bend(output_drift)], axis=1),
    )
    # the gradient of the penalty is not in the range of Jᵀ: the part of its solution along w - w0 is kept apart
    along_drift = problem.weight_decay / (shift * n)
    coefficients = solved[:, :n].T / n - along_drift * solved[:, n]
    moved = (coefficients @ reference_kernel.T).reshape(n, *reference_drift.shape) + along_drift * reference_drift
    squared_length = (
        jnp.sum(coefficients @ kernel * coefficients, axis=1)
        + 2 * along_drift * coefficients @ output_drift.ravel()
        + along_drift**2 * sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(drift))
    )
    # rounding may leave the squared length of a vanishing change below zero
    weight_change = jnp.maximum(squared_length, 0)
    changes = Influence(weight_change, jax.vmap(_mean_square)(moved), moved, jnp.zeros_like(weight_change))
    return changes, coefficients, jnp.asarray(along_drift)


def _mean_square(changes: Float[Array, "references outputs"]) -> Float[Array, ""]:
    return jnp.mean(jnp.sum(changes**2, axis=-1))


def _check_spectrum(eigenvalues: Float[Array, " parameters"]) -> None:
    if not is_concrete(eigenvalues):
        return
    values = np.asarray(eigenvalues)
    if np.abs(values).min() <= len(values) * np.finfo(values.dtype).eps * np.abs(values).max():
        raise ValueError(
            f"the curvature is singular in {values.dtype}: its eigenvalues range from {values[0]:.3g} to"
            f" {values[-1]:.3g}, and one is zero. Set weight_decay or damping"
        )
    if values[0] < 0:
        warn(
            f"the Hessian has {(values < 0).sum()} negative eigenvalues, down to {values[0]:.3g}: the weights are not"
            " at a minimum. Train longer, use method='gauss_newton', or set damping"
        )


def _check_convergence(program: _Program, changes: Influence, stochastic: bool) -> None:
    if not is_concrete(changes.solver_error):
        return
    worst = float(changes.solver_error.max())
    if program.method == "lissa" and not np.isfinite(worst):
        raise ValueError("LiSSA diverged: scale must exceed half the largest eigenvalue of the Hessian")
    if program.method == "lissa" and worst > _UNSOLVED:
        noise = ", or minibatch_size" if stochastic else ""
        warn(
            f"LiSSA ended after {program.iterations} iterations at a relative residual of {worst:.3g}: the changes lack"
            " the directions of the smallest eigenvalues of the Hessian. Raise iterations, lower scale (to no less than"
            f" half the largest eigenvalue){noise}, or set damping"
        )
    if program.method == "conjugate_gradient" and not worst <= 10 * program.tolerance:
        warn(
            f"conjugate gradients stopped after {program.iterations} iterations at a relative residual of {worst:.3g},"
            f" tolerance {program.tolerance:.3g}: the Hessian is indefinite or ill-conditioned. Set damping, or raise"
            " iterations"
        )
