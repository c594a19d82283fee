"""Fits from several starts, as one program: what choosing among restarts and among numbers of factors share."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex._linear.objective import drawn_objective, exact_objective
from infotheory_dl.corex._settings import PRECISION, QUASI_NEWTON_ITERATIONS, TOLERANCE
from infotheory_dl.corex.annealing import EndOfStage, Solution, first_entries
from infotheory_dl.corex.correlations import add_noise, second_moment_product, unit_noise_correlations
from infotheory_dl.corex.moments import FactorMoments, all_moments, noise_is_lost
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, FactorObjective
from infotheory_dl.corex.preprocessing import (
    Missing,
    Preprocessing,
    PreprocessingName,
    apply_preprocessing,
    fit_preprocessing,
    pairwise_root,
)
from infotheory_dl.corex.solvers import fixed_point, gradient, quasi_newton
from infotheory_dl.types import AnyTable, Key, Scalar

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
    warm_up: tuple[FactorObjective, ...] = ()


class Rows(NamedTuple):
    """Standardised data.

    Attributes:
      values: rows with their second moment; few, where there were more samples than variables.
      skewness: of each variable, by which the start of a fit knows it, wherever its column stands.
    """

    values: Float[Array, "rows variables"]
    skewness: Float[Array, " variables"]


class Fits(NamedTuple):
    """Fits from several starts: weights of factors of unit noise, sorted, and what belongs to them.

    Attributes:
      weights: in descending order of the total correlations; rows that are no factors come last. From random starts
        the sign of each is that which makes the sum of the cubed correlations with the variables positive.
      moments: of the weights.
      solution: what the solver returned, its weights in their first order.
      diverged: whether the solver did, or a factor has lost its noise to rounding.
    """

    weights: Float[Array, "starts factors variables"]
    moments: FactorMoments
    solution: Solution
    diverged: Bool[Array, " starts"]


def prepare(
    x: AnyTable,
    preprocessing: PreprocessingName,
    missing: Missing,
    missing_value: Scalar | None,
    on_constant: Literal["raise", "drop"],
    precision: str,
    compress: bool = True,
) -> tuple[Preprocessing, Rows]:
    """The preprocessing, and rows with the second moment of the standardised table; few if compressed."""
    prepared, standardised = standardised_table(x, preprocessing, missing, missing_value, on_constant)
    with jax.default_matmul_precision(precision):
        if missing == "pairwise":
            return prepared, Rows(pairwise_root(standardised), skewness_of(jnp.nan_to_num(standardised)))
        return prepared, rows_of(standardised, compress=compress)


def standardised_table(
    x: AnyTable,
    preprocessing: PreprocessingName,
    missing: Missing,
    missing_value: Scalar | None,
    on_constant: Literal["raise", "drop"],
) -> tuple[Preprocessing, Float[Array, "samples variables"]]:
    """The preprocessing, and the table after it, with NaN where pairs are to be left out."""
    settings: dict[str, Any] = {"missing": missing, "missing_value": missing_value}
    prepared = fit_preprocessing(x, preprocessing=preprocessing, on_constant=on_constant, **settings)
    kept_out = np.full_like(prepared.fill, np.nan) if missing == "pairwise" else prepared.fill
    return prepared, apply_preprocessing(prepared._replace(fill=kept_out), x, **settings)


def rows_of(standardised: Float[Array, "samples variables"], *, compress: bool = True) -> Rows:
    """Rows of a standardised table without gaps."""
    return Rows(_compressed(standardised) if compress else standardised, skewness_of(standardised))


@jax.jit
def skewness_of(rows: Float[Array, "samples variables"]) -> Float[Array, " variables"]:
    """The third moment of standardised variables."""
    return (rows**3).mean(0)


@jax.jit
def _compressed(rows: Array) -> Array:
    samples, variables = rows.shape
    if samples <= variables:
        return rows
    return jnp.linalg.qr(rows, mode="r") * (variables / samples) ** 0.5


def fit_starts(
    key: Key,
    rows: Rows,
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
    rows: Rows,
    initial_weights: Array | None,
    active: Array,
    noises: Array,
    rates: LinearRates,
    setup: LinearSetup,
) -> Fits:
    """Fits from all starts as one program; a row of `active` says which rows of a random start are factors."""
    key_start, key_solver = jax.random.split(key)
    num_starts, num_factors = active.shape
    values = rows.values
    if initial_weights is None:
        draws = jax.random.normal(key_start, (num_starts, num_factors, values.shape[1]), values.dtype)
        starts = given_to_variables(draws, rows.skewness) * active[..., None]
        if setup.solver == "quasi_newton":
            starts = jax.vmap(quasi_newton.scaled_start, (0, None))(starts, values)
        else:
            starts /= values.shape[1] ** 0.5
    else:
        starts = initial_weights[None]
    free = initial_weights is None
    fit_one = functools.partial(_fit_one, rows=values, noises=noises, rates=rates, setup=setup, free=free)
    keys = jax.random.split(key_solver, num_starts)
    if num_starts == 1:
        # what a batch of loops costs, a selection between old and new in every iteration, one start need not pay
        return jax.tree.map(lambda leaf: leaf[None], fit_one(keys[0], starts[0]))
    return jax.vmap(fit_one)(keys, starts)


def given_to_variables(
    draws: Float[Array, "*starts factors variables"], skewness: Float[Array, " variables"]
) -> Float[Array, "*starts factors variables"]:
    """Draws given out by what the variables are: their order, and the signs of their units, make no difference."""
    ranks = jnp.argsort(jnp.argsort(jnp.abs(skewness)))
    return jnp.where(skewness < 0, -1, 1) * draws[..., ranks]


def _fit_one(
    key: Key, start: Array, *, rows: Array, noises: Array, rates: LinearRates, setup: LinearSetup, free: bool
) -> Fits:
    """One fit; where the signs of the factors are free, they are such that the same data give the same."""
    for objective in rates.warm_up:
        start = _solve(key, start, rows, noises, rates._replace(objective=objective), setup).weights
        noises = noises[-1:]
    solution = _solve(key, start, rows, noises, rates, setup)
    weights = solution.weights
    # no factor explains nothing, and comes last
    used = jnp.any(weights != 0, axis=1)
    found = moments_of(weights, rows, rates.objective, noises[-1])
    order = jnp.argsort(jnp.where(used, -found.total_correlations, jnp.inf))
    if free:
        weights *= jnp.where((found.correlations**3).sum(1) < 0, -1, 1)[:, None]
    weights = weights[order]
    moments = moments_of(weights, rows, rates.objective, noises[-1])
    return Fits(weights, moments, solution, solution.diverged | noise_is_lost(moments))


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
def moments_of(weights: Array, rows: Array, objective: FactorObjective, noise: Scalar = 0.0) -> FactorMoments:
    """The moments of factors with the data that the rows stand for, mixed with noise."""
    product = add_noise(second_moment_product(weights, rows), weights, noise)
    return all_moments(unit_noise_correlations(weights, product), objective)


def best_of(fits: Fits) -> Int[Array, ""]:
    """Which start has the largest objective."""
    total = fits.moments.total_correlation
    return jnp.argmax(jnp.where(jnp.isfinite(total), total, -jnp.inf))


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
