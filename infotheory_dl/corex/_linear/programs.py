"""Fits from several starts, as one program: what choosing among restarts and among numbers of factors share."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex._linear.objective import drawn_objective, exact_objective
from infotheory_dl.corex._settings import PRECISION, QUASI_NEWTON_ITERATIONS, TOLERANCE
from infotheory_dl.corex.annealing import EndOfStage, Solution, first_entries
from infotheory_dl.corex.correlations import second_moment_product, unit_noise_correlations
from infotheory_dl.corex.moments import FactorMoments, all_moments, noise_is_lost
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, FactorObjective
from infotheory_dl.corex.preprocessing import (
    Method,
    Missing,
    Preprocessing,
    apply_preprocessing,
    fit_preprocessing,
    pairwise_root,
)
from infotheory_dl.corex.solvers import fixed_point, gradient, quasi_newton
from infotheory_dl.types import AnyArray, Key, Scalar

Solver = Literal["quasi_newton", "adam", "fixed_point"]


class LinearSetup(NamedTuple):
    """What a fit is compiled for; see `fit`."""

    solver: Solver = "quasi_newton"
    max_iterations: int = QUASI_NEWTON_ITERATIONS
    sampled: bool = False
    precision: str = PRECISION


class LinearRates(NamedTuple):
    """Settings of a fit that are values in its program; see `fit`."""

    objective: FactorObjective = CORRELATION_EXPLANATION
    tolerance: Scalar = TOLERANCE
    learning_rate: Scalar = 1e-3
    l1: Scalar = 0.0


class Fits(NamedTuple):
    """Fits from several starts: weights of factors of unit noise, sorted, and what belongs to them.

    Attributes:
      weights: in descending order of the total correlations; rows that are no factors come last.
      moments: of the weights.
      solution: what the solver returned, its weights in their first order.
      diverged: whether the solver did, or a factor has lost its noise to rounding.
    """

    weights: Float[Array, "starts factors variables"]
    moments: FactorMoments
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


def fit_starts(
    key: Key,
    rows: Array,
    initial_weights: Array | None,
    active: Array,
    noises: Array,
    setup: LinearSetup,
    rates: LinearRates,
) -> Fits:
    """Fits from all starts.

    Args:
      key: source of randomness.
      rows: of `prepare`.
      initial_weights: the one start; None for random ones.
      active: (starts, factors), False for rows of a random start that are no factors.
      noises: standard deviation of the noise in each stage.
      setup, rates: settings.

    Returns:
      All fits.
    """
    with jax.default_matmul_precision(setup.precision):
        return _fit_all(key, rows, initial_weights, active, noises, rates, setup)


@functools.partial(jax.jit, static_argnames="setup")
def _fit_all(
    key: Key,
    rows: Array,
    initial_weights: Array | None,
    active: Array,
    noises: Array,
    rates: LinearRates,
    setup: LinearSetup,
) -> Fits:
    """Fits from all starts as one program; a row of `active` says which rows of a random start are factors."""
    key_start, key_solver = jax.random.split(key)
    num_starts, num_factors = active.shape
    if initial_weights is None:
        shape = (num_starts, num_factors, rows.shape[1])
        starts = jax.random.normal(key_start, shape, rows.dtype) * active[..., None]
        if setup.solver == "quasi_newton":
            starts = jax.vmap(quasi_newton.scaled_start, (0, None))(starts, rows)
        else:
            starts /= rows.shape[1] ** 0.5
    else:
        starts = initial_weights[None]
    fit_one = functools.partial(_fit_one, rows=rows, noises=noises, rates=rates, setup=setup)
    keys = jax.random.split(key_solver, num_starts)
    if num_starts == 1:
        # what a batch of loops costs, a selection between old and new in every iteration, one start need not pay
        return jax.tree.map(lambda leaf: leaf[None], fit_one(keys[0], starts[0]))
    return jax.vmap(fit_one)(keys, starts)


def _fit_one(key: Key, start: Array, *, rows: Array, noises: Array, rates: LinearRates, setup: LinearSetup) -> Fits:
    solution = _solve(key, start, rows, noises, rates, setup)
    weights = solution.weights
    # no factor explains nothing, and comes last
    used = jnp.any(weights != 0, axis=1)
    order = jnp.argsort(jnp.where(used, -moments_of(weights, rows, rates.objective).total_correlations, jnp.inf))
    moments = moments_of(weights[order], rows, rates.objective)
    return Fits(weights[order], moments, solution, solution.diverged | noise_is_lost(moments))


def _solve(key: Key, start: Array, rows: Array, noises: Array, rates: LinearRates, setup: LinearSetup) -> Solution:
    ends: EndOfStage = {"tolerance": rates.tolerance, "max_iterations": setup.max_iterations}
    if setup.solver == "quasi_newton":
        return quasi_newton.solve(rows, start, noises, objective=rates.objective, **ends)
    if setup.solver == "fixed_point":
        return fixed_point.solve(rows, start, noises, **ends)

    def objective(weights: Array, key: Key, noise: Array) -> Array:
        if setup.sampled:
            value = drawn_objective(key, weights, rows, noise)
        else:
            value = exact_objective(weights, rows, noise, rates.objective)
        # as published, with its subgradient
        return value - rates.l1 * jnp.abs(weights).sum()

    return gradient.solve(key, objective, start, noises, learning_rate=rates.learning_rate, **ends)


@jax.jit
def moments_of(weights: Array, rows: Array, objective: FactorObjective) -> FactorMoments:
    """The moments of factors with the data that the rows stand for."""
    return all_moments(unit_noise_correlations(weights, second_moment_product(weights, rows)), objective)


def model_of(fits: Fits, index: int, prepared: Preprocessing) -> LinearCorex:
    """The fit from one of the starts."""
    weights, moments, solution, diverged = _pick(fits, index)
    return LinearCorex(
        weights=weights,
        moments=moments,
        preprocessing=prepared,
        history=first_entries(solution.history, solution.num_iterations),
        converged=solution.converged & ~diverged,
        diverged=diverged,
    )


@jax.jit
def _pick(fits: Fits, index: Array) -> Fits:
    return jax.tree.map(lambda leaf: leaf[index], fits)
