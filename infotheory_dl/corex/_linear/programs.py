"""Fits from several starts, as one program: what choosing among restarts and among numbers of factors share."""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex.annealing import Solution
from infotheory_dl.corex.moments import (
    Moments,
    Objective,
    all_moments,
    normalized_correlations,
    second_moment_product,
)
from infotheory_dl.corex.preprocessing import (
    Method,
    Missing,
    Preprocessing,
    apply_preprocessing,
    fit_preprocessing,
    pairwise_root,
)
from infotheory_dl.corex.solvers import adam, fixed_point, quasi_newton
from infotheory_dl.types import AnyArray, Key, Scalar

Solver = Literal["quasi_newton", "adam", "fixed_point"]


class Program(NamedTuple):
    """What a fit is compiled for; see `fit`."""

    solver: Solver
    max_iterations: int
    sampled: bool = False


class Rates(NamedTuple):
    """Settings of a fit that are values in its program; see `fit`."""

    objective: Objective
    tolerance: Scalar
    learning_rate: Scalar = 1e-3
    l1: Scalar = 0.0


class Fits(NamedTuple):
    """Fits from several starts: weights of normalized factors, sorted, and what belongs to them.

    Attributes:
      weights: in descending order of the total correlations; rows that are no factors come last.
      moments: of the weights.
      solution: what the solver returned, its weights in its own units and order.
      diverged: whether the solver did, or a factor has lost its noise to rounding.
    """

    weights: Float[Array, "starts factors variables"]
    moments: Moments
    solution: Solution
    diverged: Bool[Array, " starts"]


def prepare(
    x: AnyArray,
    method: Method,
    missing: Missing,
    missing_value: Scalar | None,
    on_constant: Literal["raise", "drop"],
    precision: str,
    compress: bool = True,
) -> tuple[Preprocessing, Array]:
    """The preprocessing, and rows with the second moment of the standardised table; few if compressed."""
    prepared = fit_preprocessing(
        x, method=method, missing=missing, missing_value=missing_value, on_constant=on_constant
    )
    standardise = functools.partial(apply_preprocessing, x=x, missing=missing, missing_value=missing_value)
    with jax.default_matmul_precision(precision):
        if missing == "pairwise":
            holes = prepared._replace(fill=jnp.full_like(prepared.fill, jnp.nan))
            return prepared, pairwise_root(standardise(holes))
        rows = standardise(prepared)
        return prepared, _compressed(rows) if compress else rows


@jax.jit
def _compressed(rows: Array) -> Array:
    samples, variables = rows.shape
    if samples <= variables:
        return rows
    return jnp.linalg.qr(rows, mode="r") * (variables / samples) ** 0.5


def require_num_factors(num_factors: int, num_variables: int) -> None:
    """Raises a ValueError that says how many factors there may be."""
    if not 1 <= num_factors <= num_variables:
        raise ValueError(f"num_factors must lie in [1, {num_variables}], the number of variables, got {num_factors}")


def fit_starts(
    key: Key,
    rows: Array,
    initial_weights: Array | None,
    active: Array,
    noises: Sequence[float],
    program: Program,
    rates: Rates,
    precision: str,
) -> Fits:
    """Checks the settings of the solver and fits from all starts.

    Args:
      key: source of randomness.
      rows: of `prepare`.
      initial_weights: the one start, of normalized factors; None for random ones.
      active: (starts, factors), False for rows of a random start that are no factors.
      noises: standard deviation of the noise in each stage.
      program, rates: settings of the solver.
      precision: of matrix products.

    Returns:
      All fits.

    Raises:
      ValueError: if the noises, the number of iterations or the tolerance are impossible.
    """
    if not len(noises) or not all(0 <= noise < 1 for noise in noises) or noises[-1] != 0:
        raise ValueError(f"noises must lie in [0, 1) and end with 0, got {list(noises)}")
    if program.max_iterations < 1 or not rates.tolerance > 0:
        raise ValueError(
            "max_iterations must be at least 1 and tolerance positive,"
            f" got {program.max_iterations} and {rates.tolerance}"
        )
    with jax.default_matmul_precision(precision):
        return _fit_all(key, rows, initial_weights, active, jnp.asarray(noises, rows.dtype), rates, program)


@functools.partial(jax.jit, static_argnames="program")
def _fit_all(
    key: Key,
    rows: Array,
    initial_weights: Array | None,
    active: Array,
    noises: Array,
    rates: Rates,
    program: Program,
) -> Fits:
    """Fits from all starts as one program; a row of `active` says which rows of a random start are factors."""
    key_start, key_solver = jax.random.split(key)
    num_starts, num_factors = active.shape
    if initial_weights is None:
        shape = (num_starts, num_factors, rows.shape[1])
        starts = jax.random.normal(key_start, shape, rows.dtype) * active[..., None]
    else:
        starts = initial_weights[None]
    solve = functools.partial(
        _solve, rows=rows, noises=noises, rates=rates, program=program, random=initial_weights is None
    )
    keys = jax.random.split(key_solver, num_starts)
    if num_starts == 1:
        # what a batch of loops costs, a selection between old and new in every iteration, one start need not pay
        return jax.tree.map(lambda leaf: leaf[None], solve(keys[0], starts[0]))
    return jax.vmap(solve)(keys, starts)


def _solve(key: Key, start: Array, *, rows: Array, noises: Array, rates: Rates, program: Program, random: bool) -> Fits:
    objective, tolerance = rates.objective, rates.tolerance
    max_iterations = program.max_iterations
    if program.solver == "quasi_newton":
        if random:
            start = quasi_newton.scaled_start(start, rows)
        solution = quasi_newton.solve(
            rows, start, noises, objective=objective, tolerance=tolerance, max_iterations=max_iterations
        )
        weights = solution.weights
    else:
        start = start / start.shape[1] ** 0.5 if random else _to_unit_noise(start, rows)
        if program.solver == "fixed_point":
            solution = fixed_point.solve(rows, start, noises, tolerance=tolerance, max_iterations=max_iterations)
        else:
            solution = adam.solve(
                key,
                rows,
                start,
                noises,
                objective=objective,
                tolerance=tolerance,
                max_iterations=max_iterations,
                learning_rate=rates.learning_rate,
                l1=rates.l1,
                sampled=program.sampled,
            )
        signal = (solution.weights * second_moment_product(solution.weights, rows)).sum(-1)
        weights = solution.weights / jnp.sqrt(1 + signal)[:, None]

    # no factor explains nothing, and comes last
    used = jnp.any(weights != 0, axis=1)
    order = jnp.argsort(jnp.where(used, -moments_of(weights, rows, objective).total_correlations, jnp.inf))
    moments = moments_of(weights[order], rows, objective)
    # negated, so that noise that is NaN is lost too
    lost = ~((1 - moments.signal_variances).min() > quasi_newton.noise_floor(rows.dtype))
    return Fits(weights[order], moments, solution, solution.diverged | lost)


@jax.jit
def moments_of(weights: Array, rows: Array, objective: Objective) -> Moments:
    """The moments of normalized factors with the data that the rows stand for."""
    return all_moments(normalized_correlations(weights, second_moment_product(weights, rows)), objective)


def _to_unit_noise(weights: Array, rows: Array) -> Array:
    """Weights of the same factors in units in which their noise has variance one."""
    signal = (weights * second_moment_product(weights, rows)).sum(-1)
    return weights / jnp.sqrt(1 - jnp.minimum(signal, quasi_newton.LARGEST_SIGNAL))[:, None]


def model_of(fits: Fits, index: int, prepared: Preprocessing) -> LinearCorex:
    """The fit from one of the starts."""
    weights, moments, solution, diverged = _pick(fits, index)
    return LinearCorex(
        weights=weights,
        moments=moments,
        preprocessing=prepared,
        history=solution.history[: int(solution.num_iterations)],
        converged=solution.converged & ~diverged,
        diverged=diverged,
    )


@jax.jit
def _pick(fits: Fits, index: Array) -> Fits:
    return jax.tree.map(lambda leaf: leaf[index], fits)
