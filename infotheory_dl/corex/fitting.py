"""Fitting of linear CorEx to a table, by one of the solvers, from several starts at once."""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from infotheory_dl._validation import require_choice, require_finite
from infotheory_dl.corex import adam, fixed_point, quasi_newton
from infotheory_dl.corex.annealing import NOISE_SCHEDULE, Solution
from infotheory_dl.corex.model import LinearCorex, covariance
from infotheory_dl.corex.moments import (
    CORRELATION_EXPLANATION,
    OVERLAPPING,
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
from infotheory_dl.information import low_rank
from infotheory_dl.types import AnyArray, Key, Scalar

Solver = Literal["quasi_newton", "adam", "fixed_point"]


class _Program(NamedTuple):
    """What a fit is compiled for."""

    solver: Solver
    max_iterations: int
    sampled: bool = False


class _Rates(NamedTuple):
    """Settings of a fit that are values in its program."""

    objective: Objective
    tolerance: Scalar
    learning_rate: Scalar = 1e-3
    l1: Scalar = 0.0


class _Fits(NamedTuple):
    """Fits from several starts: weights of normalized factors, sorted, and what belongs to them."""

    weights: Float[Array, "starts factors variables"]
    moments: Moments
    solution: Solution
    diverged: Bool[Array, " starts"]


def fit(
    key: Key,
    x: Num[AnyArray, "samples columns"],
    num_factors: int,
    *,
    solver: Solver = "quasi_newton",
    overlapping: bool = False,
    objective: Objective | None = None,
    preprocessing: Method = "standard",
    missing: Missing = "refuse",
    missing_value: float | None = None,
    on_constant: Literal["raise", "drop"] = "raise",
    initial_weights: Float[AnyArray, "factors variables"] | None = None,
    num_restarts: int = 1,
    noises: Sequence[float] | None = None,
    max_iterations: int | None = None,
    tolerance: float = 1e-5,
    learning_rate: float = 1e-3,
    l1: float = 0.0,
    sampled: bool = False,
    precision: str = "highest",
) -> LinearCorex:
    """Finds the linear factors that explain the correlations of a table, each variable by few of them.

    Maximises sum_i I_cal(X_i; Z) - sum_j I(Z_j; X), which is TC(X; Z) - TC(Z) less the synergy of the factors, in
    O(samples variables factors) an iteration. Rows of a table that has more samples than variables are first compressed
    to as many as variables, without loss.

    Args:
      key: source of randomness, for the starts and the sampled noise.
      x: one row for each sample. May be sharded over its columns: the fit then runs on all their devices.
      num_factors: number of factors.
      solver: "quasi_newton"; "adam", the published gradient solver; "fixed_point", the published solver of the
        overlapping mode.
      overlapping: whether a variable may be explained by several factors together, so that synergy costs nothing.
      objective: another objective for "quasi_newton" and "adam", in place of these two.
      preprocessing: as the method of `fit_preprocessing`.
      missing: whether to "refuse" missing values, or put the "mean" in their place, or take every correlation over the
        samples that have both variables ("pairwise": needs memory for variables by variables).
      missing_value: a number that stands for a missing value; NaN always does.
      on_constant: whether columns that are constant or empty "raise" an error or "drop" out.
      initial_weights: of normalized factors, where to start; by default random.
      num_restarts: random starts, side by side; the one with the largest objective is kept.
      noises: standard deviation of the noise on the variables, stage by stage, in [0, 1) and 0 at last; by default the
        published 0.6, 0.36, …, 0 from random starts, and 0 alone from given ones and where `overlapping`.
      max_iterations: in each stage; 1000 for "adam", else 10000.
      tolerance: a stage ends when an iteration changes the objective by less, in nats; with "adam", when its mean over
        50 iterations changes by less, relatively.
      learning_rate: of "adam".
      l1: penalty of "adam" on the weights of factors of unit noise.
      sampled: whether "adam" draws its noise, as published, instead of integrating it out.
      precision: of matrix products. Less than "highest" lets accelerators round so much that the line search fails.

    Returns:
      The fit.

    Raises:
      TypeError: if x does not hold numbers.
      ValueError: if x is not a matrix of at least two samples, has missing or infinite values or constant columns,
        which are named, or a setting is impossible.

    Source: Steeg et al., 2019 ("quasi_newton", "fixed_point"); Harutyunyan et al., 2019 ("adam").
    """
    require_choice("solver", solver, ("quasi_newton", "adam", "fixed_point"))
    if solver == "fixed_point" and not overlapping:
        raise ValueError("the solver 'fixed_point' is of the overlapping mode; set overlapping=True")
    if sampled and solver != "adam":
        raise ValueError(f"only the solver 'adam' can be sampled, got {solver!r}")
    if sampled and (overlapping or objective is not None):
        raise ValueError("the sampled objective is the default one: neither overlapping nor another")
    if num_restarts < 1:
        raise ValueError(f"num_restarts must be at least 1, got {num_restarts}")
    if initial_weights is not None and num_restarts > 1:
        raise ValueError("restarts are from random weights; give either initial_weights or num_restarts")
    if not (learning_rate > 0 and l1 >= 0):
        raise ValueError(f"learning_rate must be positive and l1 not negative, got {learning_rate} and {l1}")
    if noises is None:
        noises = NOISE_SCHEDULE if initial_weights is None and not overlapping else (0.0,)
    if max_iterations is None:
        max_iterations = 1000 if solver == "adam" else 10000
    if objective is None:
        objective = OVERLAPPING if overlapping else CORRELATION_EXPLANATION

    prepared, rows = _prepare(x, preprocessing, missing, missing_value, on_constant, precision)
    _require_factors(num_factors, rows.shape[1])
    if initial_weights is not None:
        if initial_weights.shape != (num_factors, rows.shape[1]):
            raise ValueError(
                f"initial_weights must have the shape {(num_factors, rows.shape[1])}, got {initial_weights.shape}"
            )
        require_finite(initial_weights=initial_weights)
        initial_weights = jnp.asarray(initial_weights, rows.dtype)
    fits = _fit_checked(
        key,
        rows,
        initial_weights,
        jnp.ones((num_restarts, num_factors), bool),
        noises,
        _Program(solver, max_iterations, sampled),
        _Rates(objective, tolerance, learning_rate, l1),
        precision,
    )
    total = fits.moments.total_correlation
    best = int(jnp.argmax(jnp.where(jnp.isfinite(total), total, -jnp.inf)))
    return _model(fits, best, prepared)


class FactorSelection(NamedTuple):
    """How well different numbers of factors do.

    Attributes:
      num_factors: the number that was chosen.
      candidates: the numbers that were tried.
      scores: of each; see `choose_num_factors`.
      model: the fit with the chosen number.
    """

    num_factors: int
    candidates: Int[np.ndarray, " candidates"]
    scores: Float[Array, " candidates"]
    model: LinearCorex


def choose_num_factors(
    key: Key,
    x: Num[AnyArray, "samples columns"],
    candidates: Sequence[int],
    *,
    validation: Num[AnyArray, "validation_samples columns"] | None = None,
    overlapping: bool = False,
    preprocessing: Method = "standard",
    missing: Missing = "refuse",
    missing_value: float | None = None,
    max_iterations: int = 10000,
    tolerance: float = 1e-5,
    precision: str = "highest",
) -> FactorSelection:
    """Fits with several numbers of factors, as one program, and chooses one.

    Args:
      key: source of randomness for the starts, which share their rows.
      x: training data.
      candidates: numbers of factors, ascending.
      validation: other data with the same columns. With them a score is their mean log-density, and the best is chosen.
        Without, it is the total correlation with each variable given to one factor, and the best before the first
        that falls below 95 % of the best so far is chosen, as published.
      overlapping, preprocessing, missing, missing_value, max_iterations, tolerance, precision: as in `fit`.

    Returns:
      The choice, all scores and the fit.

    Raises:
      TypeError, ValueError: as `fit`; ValueError if the candidates do not ascend, or if validation data are given with
        "outliers" or "empirical" preprocessing, after which the log-density is not that of the data.
    """
    numbers = np.asarray(candidates)
    if numbers.ndim != 1 or len(numbers) == 0 or (np.diff(numbers) <= 0).any():
        raise ValueError(f"candidates must be numbers of factors in ascending order, got {list(candidates)}")
    if validation is not None and preprocessing in ("outliers", "empirical"):
        raise ValueError(f"no log-density follows from {preprocessing!r} preprocessing; choose without validation data")
    prepared, rows = _prepare(x, preprocessing, missing, missing_value, "raise", precision)
    for number in numbers[[0, -1]]:
        _require_factors(int(number), rows.shape[1])
    # a row of zeros is no factor and stays one: every start has as many rows as the largest
    active = jnp.asarray(np.arange(numbers[-1]) < numbers[:, None])
    rates = _Rates(OVERLAPPING if overlapping else CORRELATION_EXPLANATION, tolerance)
    noises = (0.0,) if overlapping else NOISE_SCHEDULE
    fits = _fit_checked(key, rows, None, active, noises, _Program("quasi_newton", max_iterations), rates, precision)
    models = [_model(fits, index, prepared) for index in range(len(numbers))]
    if validation is None:
        scores = fits.moments.total_correlation_no_overlap
        falls = np.flatnonzero(np.asarray(scores) < 0.95 * np.maximum.accumulate(np.asarray(scores)))
        chosen = int(jnp.argmax(scores[: falls[0]] if len(falls) else scores))
    else:
        observed = apply_preprocessing(prepared, validation, missing=missing, missing_value=missing_value)
        points = observed * prepared.std + prepared.mean
        scores = jnp.stack([low_rank.log_density(covariance(model), points).mean() for model in models])
        chosen = int(jnp.argmax(scores))
    model = models[chosen]
    weights = model.weights[: numbers[chosen]]
    with jax.default_matmul_precision(precision):
        model = model._replace(weights=weights, moments=_moments_of(weights, rows, rates.objective))
    return FactorSelection(int(numbers[chosen]), numbers, scores, model)


def _prepare(
    x: AnyArray,
    method: Method,
    missing: Missing,
    missing_value: float | None,
    on_constant: Literal["raise", "drop"],
    precision: str,
) -> tuple[Preprocessing, Array]:
    """The preprocessing, and rows that have the second moment of the standardised table: no more than variables."""
    prepared = fit_preprocessing(
        x, method=method, missing=missing, missing_value=missing_value, on_constant=on_constant
    )
    standardise = functools.partial(apply_preprocessing, x=x, missing=missing, missing_value=missing_value)
    with jax.default_matmul_precision(precision):
        if missing == "pairwise":
            holes = prepared._replace(fill=jnp.full_like(prepared.fill, jnp.nan))
            return prepared, pairwise_root(standardise(holes))
        rows = standardise(prepared)
        samples, variables = rows.shape
        if samples > variables:
            rows = jnp.linalg.qr(rows, mode="r") * (variables / samples) ** 0.5
        return prepared, rows


def _require_factors(num_factors: int, num_variables: int) -> None:
    if not 1 <= num_factors <= num_variables:
        raise ValueError(f"num_factors must lie in [1, {num_variables}], the number of variables, got {num_factors}")


def _fit_checked(
    key: Key,
    rows: Array,
    initial_weights: Array | None,
    active: Array,
    noises: Sequence[float],
    program: _Program,
    rates: _Rates,
    precision: str,
) -> _Fits:
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
    rates: _Rates,
    program: _Program,
) -> _Fits:
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


def _solve(
    key: Key, start: Array, *, rows: Array, noises: Array, rates: _Rates, program: _Program, random: bool
) -> _Fits:
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
    order = jnp.argsort(jnp.where(used, -_moments_of(weights, rows, objective).total_correlations, jnp.inf))
    moments = _moments_of(weights[order], rows, objective)
    lost = (1 - moments.signal_variances).min() <= quasi_newton.noise_floor(rows.dtype)
    return _Fits(weights[order], moments, solution, solution.diverged | lost)


def _moments_of(weights: Array, rows: Array, objective: Objective) -> Moments:
    return all_moments(normalized_correlations(weights, second_moment_product(weights, rows)), objective)


def _to_unit_noise(weights: Array, rows: Array) -> Array:
    """Weights of the same factors in units in which their noise has variance one."""
    signal = (weights * second_moment_product(weights, rows)).sum(-1)
    return weights / jnp.sqrt(1 - jnp.minimum(signal, quasi_newton.LARGEST_SIGNAL))[:, None]


def _model(fits: _Fits, index: int, prepared: Preprocessing) -> LinearCorex:
    """The fit from one of the starts."""
    weights, moments, solution, diverged = jax.tree.map(lambda leaf: leaf[index], fits)
    return LinearCorex(
        weights=weights,
        moments=moments,
        preprocessing=prepared,
        history=solution.history[: int(solution.num_iterations)],
        converged=solution.converged & ~diverged,
        diverged=diverged,
    )
