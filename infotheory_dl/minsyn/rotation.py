"""The map of given codes, such as those of a PCA or a trained network, that leaves the least synergy in them."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, Real

from infotheory_dl._moments import observed_moments
from infotheory_dl._validation import edge, require_count, require_not_negative, require_within, warn
from infotheory_dl.corex.correlations import Correlations
from infotheory_dl.corex.objectives import Objective
from infotheory_dl.information.synergy._samples import standardised_samples
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key, Scalar


@concise
class Rotation(NamedTuple):
    """Codes of the same information and less synergy.

    Attributes:
      codes: of the samples, of mean zero and variance one, in descending order of what they tell of single variables,
        each with the sign that makes the sum of its cubed correlations with the variables positive.
      matrix: invertible; codes are (given - mean) @ matrixᵀ.
      mean: of the given codes.
      objective: sum_i [I(X_i; Z) - synergy_weight S(X_i; Z)] - capacity_weight TC(Z) at the codes, nats.
      initial_objective: at the given ones.
      converged: whether the search settled within its iterations.
    """

    codes: Float[Array, "samples codes"]
    matrix: Float[Array, "codes given"]
    mean: Float[np.ndarray, " given"]
    objective: Float[Array, ""]
    initial_objective: Float[Array, ""]
    converged: Bool[Array, ""]


@edge
def rotate(
    key: Key,
    codes: Real[AnyArray, "samples given"],
    x: Real[AnyArray, "samples *variables"],
    *,
    restarts: int = 8,
    synergy_weight: Scalar = 1.0,
    capacity_weight: Scalar = 1.0,
    calibrated: bool = True,
    noise: Scalar = 0.1,
    max_iterations: int = 1000,
    tolerance: Scalar = 1e-6,
) -> Rotation:
    """Finds the invertible map of codes that leaves the least synergy about single variables, by Gaussian formulas.

    What the codes tell of x, all together, is the same after any such map, and so is I(X_i; Z). With noise of any kind
    on the codes sum_j I(Z_j; X) = I(X; Z) + TC(Z): what is left of the objective of `minsyn.linear` is synergy and the
    total correlation of the codes, which keeps the map invertible.

    Args:
      key: source of randomness, of the starts.
      codes: of any representation; offsets and units do not matter.
      x: what they are codes of, the same samples.
      restarts: starts, side by side: the codes as they are, and rotations of them by chance.
      synergy_weight, capacity_weight, calibrated: as in `minsyn.linear.objective`; some capacity must count.
      noise: standard deviation of noise on the variables, in [0, 1), as in the stages of linear CorEx: without it a
        variable that a code tells exactly is worth any synergy.
      max_iterations: of the search, by L-BFGS.
      tolerance: the search settles when the gradient is smaller, in nats, or as small as rounding lets it be.

    Returns:
      The map and the codes after it.

    Raises:
      ValueError: if the numbers of samples differ, there are no more samples than codes, an entry is NaN or infinite, a
        code does not vary or follows from the others, or a setting is out of its range.

    Warns:
      UserWarning: if the search has not settled.

    Source: ours.
    """
    require_count(1, restarts=restarts, max_iterations=max_iterations)
    require_not_negative(synergy_weight=synergy_weight, tolerance=tolerance)
    if not capacity_weight > 0:
        raise ValueError(f"capacity_weight must be positive, or codes become copies, got {capacity_weight}")
    require_within("[0, 1)", noise=noise)
    rows = np.reshape(x, (len(x), -1))
    samples = standardised_samples("x", rows, "codes", codes, rank_gaussianize=False)
    mean, spread, *_ = observed_moments(np.asarray(codes))
    if constant := np.flatnonzero(~(spread > 0)).tolist():
        raise ValueError(f"codes must vary, and {constant} do not: leave these out")
    across = jnp.sqrt(1 - noise**2) * samples.across
    weights = synergy_weight, capacity_weight
    with jax.default_matmul_precision("highest"):
        found = _search(key, across, samples.among, weights, tolerance, calibrated, restarts, max_iterations)
        rotated = samples.sources @ found.matrix.T
    if not found.converged:
        warn(f"the map did not settle in {max_iterations} iterations: raise max_iterations or tolerance")
    return Rotation(
        codes=rotated,
        matrix=found.matrix / jnp.asarray(spread, found.matrix.dtype),
        mean=mean,
        objective=found.objective,
        initial_objective=found.initial_objective,
        converged=found.converged,
    )


class _Found(NamedTuple):
    matrix: Array
    objective: Array
    initial_objective: Array
    converged: Array


class _State(NamedTuple):
    matrix: Array
    optimizer: Any
    value: Array
    gradient: Array
    iteration: Array


@functools.partial(jax.jit, static_argnames=("calibrated", "restarts", "max_iterations"))
def _search(
    key: Key,
    across: Float[Array, "codes variables"],
    among: Float[Array, "codes codes"],
    weights: tuple[Scalar, Scalar],
    tolerance: Scalar,
    calibrated: bool,
    restarts: int,
    max_iterations: int,
) -> _Found:
    """The best of the starts, as a map of standardised codes to codes of variance one."""
    synergy_weight, capacity_weight = weights
    root = jnp.linalg.cholesky(among)
    size = len(among)
    # of codes that are uncorrelated: maps of these have rows of length one
    white = solve_triangular(root, across, lower=True)
    of_synergy = Objective(joint=1 - synergy_weight, capacity=0.0)._replace(
        **({"calibrated": synergy_weight} if calibrated else {"calibrated": None, "uncalibrated": synergy_weight})
    )

    def objective(matrix: Array) -> Array:
        rows = matrix / jnp.linalg.norm(matrix, axis=1, keepdims=True)
        total_correlation = -jnp.linalg.slogdet(rows)[1]
        correlations = Correlations(rows @ white, rows @ rows.T, jnp.zeros(size, rows.dtype))
        return of_synergy(correlations) - capacity_weight * total_correlation

    loss = lambda matrix: -objective(matrix)
    optimizer = optax.lbfgs()
    value_and_gradient = optax.value_and_grad_from_state(loss)

    def step(state: _State) -> _State:
        value, gradient = value_and_gradient(state.matrix, state=state.optimizer)
        updates, moved = optimizer.update(
            gradient, state.optimizer, state.matrix, value=value, grad=gradient, value_fn=loss
        )
        matrix = optax.apply_updates(state.matrix, updates)
        value, gradient = (optax.tree.get(moved, name) for name in ("value", "grad"))
        return _State(matrix, moved, value, gradient, state.iteration + 1)

    def climb(start: Array) -> tuple[Array, Array, Array]:
        begun = _State(start, optimizer.init(start), loss(start), jnp.full_like(start, jnp.inf), jnp.asarray(0))
        # rounding of the value leaves some gradient
        least = lambda state: jnp.maximum(tolerance, 64 * jnp.finfo(start.dtype).eps * jnp.abs(state.value))
        settled = lambda state: jnp.abs(state.gradient).max() < least(state)
        end = jax.lax.while_loop(lambda state: ~settled(state) & (state.iteration < max_iterations), step, begun)
        rows = end.matrix / jnp.linalg.norm(end.matrix, axis=1, keepdims=True)
        return rows, objective(rows), settled(end)

    random = jnp.linalg.qr(jax.random.normal(key, (restarts - 1, size, size), root.dtype))[0]
    starts = jnp.concatenate([root[None], random])
    maps, values, settled = jax.vmap(climb)(starts)
    best = jnp.argmax(jnp.where(jnp.isfinite(values), values, -jnp.inf))
    rows = maps[best]
    correlations = rows @ white
    told = -jnp.log1p(-jnp.minimum(correlations**2, 1 - jnp.finfo(rows.dtype).eps)).sum(1)
    signs = jnp.where((correlations**3).sum(1) < 0, -1, 1)
    rows = (signs[:, None] * rows)[jnp.argsort(-told)]
    matrix = solve_triangular(root, rows.T, lower=True, trans=1).T
    return _Found(matrix, values[best], objective(root), settled[best])
