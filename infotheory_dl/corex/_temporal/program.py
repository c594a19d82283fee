"""The program that fits T-CorEx: its settings, its data, and the objective that the gradient solver climbs."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl.corex._linear.programs import (
    LinearRates,
    LinearSetup,
    Rows,
    fit_starts,
    given_to_variables,
    skewness_of,
)
from infotheory_dl.corex._temporal.model import TemporalCorex
from infotheory_dl.corex._temporal.objective import (
    Smoothed,
    changes_of,
    draw_noise,
    exact_moments,
    explained,
    explained_by_each,
    sampled_moments,
    window_moments,
    window_second_moments,
)
from infotheory_dl.corex._temporal.periods import Samples, Windows, decay_logits, windows_of
from infotheory_dl.corex.annealing import NOISE_SCHEDULE
from infotheory_dl.corex.moments import noise_is_lost
from infotheory_dl.corex.solvers import gradient, quasi_newton
from infotheory_dl.types import Key, Scalar


class TemporalSetup(NamedTuple):
    """What a fit is compiled for; see `fit`."""

    num_factors: int
    smoothed: Smoothed
    l1_step: Literal["proximal", "subgradient"]
    weighted_objective: bool
    learn_sample_weights: bool
    warm_start: bool
    max_iterations: int
    sampled: bool
    precision: str


class TemporalRates(NamedTuple):
    """Settings of a fit that are values in its program; see `fit`."""

    decay: Scalar
    l1: Scalar
    l2: Scalar
    concentration: Scalar
    tolerance: Scalar
    learning_rate: Scalar


class Problem(NamedTuple):
    """What is fitted.

    Attributes:
      samples: of all periods.
      reach: of each window, in periods.
      noises: standard deviation of the noise in each stage.
      initial_weights: where to start; None where the program knows.
    """

    samples: Samples
    reach: Array
    noises: Array
    initial_weights: Array | None


class Learned(NamedTuple):
    """What the solver learns.

    Attributes:
      weights: of factors of unit noise, of each period; or of the first, and their increments after it.
      logits: of a sample of each period in each window; None where the sample weights are given.
    """

    weights: Float[Array, "periods factors variables"]
    logits: Float[Array, "windows periods"] | None


@functools.partial(jax.jit, static_argnames="setup")
def run(key: Key, problem: Problem, rates: TemporalRates, setup: TemporalSetup) -> tuple[TemporalCorex, Array]:
    """Fits, in units of the samples, and counts the steps; the history is NaN beyond them."""
    with jax.default_matmul_precision(setup.precision):
        return _run(key, problem, rates, setup)


def _run(key: Key, problem: Problem, rates: TemporalRates, setup: TemporalSetup) -> tuple[TemporalCorex, Array]:
    key_start, key_solver = jax.random.split(key)
    samples = problem.samples
    num_periods, num_rows, num_variables = samples.values.shape
    logits = decay_logits(rates.decay, problem.reach).astype(samples.values.dtype)
    given = windows_of(samples, logits)
    few_variables = num_variables <= num_periods * num_rows
    second = window_second_moments(given) if few_variables and not setup.learn_sample_weights else None
    proximal = setup.l1_step == "proximal"
    summation = jnp.tril(jnp.ones((num_periods, num_periods), samples.values.dtype))

    def weights_of(learned: Learned) -> Array:
        return jnp.tensordot(summation, learned.weights, 1) if proximal else learned.weights

    def windows_at(learned: Learned) -> Windows:
        return given if learned.logits is None else windows_of(samples, learned.logits)

    def objective(learned: Learned, key: Key, noise: Array) -> Array:
        weights, windows = weights_of(learned), windows_at(learned)
        window = None
        if setup.sampled:
            window, own = sampled_moments(weights, windows, noise, draw_noise(key, weights, windows))
        elif setup.smoothed != "weights" or learned.logits is not None:
            window, own = exact_moments(weights, windows, noise, second)
        if window is None:
            value = explained_by_each(weights, windows, noise, second, weighted=setup.weighted_objective).sum()
        else:
            value = explained(window, window if setup.weighted_objective else own).sum()
        changes = changes_of(weights, window, setup.smoothed)
        value -= rates.l2 * jnp.square(changes).sum()
        if not proximal:
            value -= rates.l1 * jnp.abs(changes).sum()
        if learned.logits is not None:
            value -= rates.concentration * num_variables * windows.sample_weights.max((1, 2)).sum()
        return value

    weights = problem.initial_weights
    if weights is None:
        weights = jnp.broadcast_to(_start(key_start, given, setup), (num_periods, setup.num_factors, num_variables))
    costs = None
    if proximal:
        weights = jnp.concatenate([weights[:1], jnp.diff(weights, axis=0)])
        # the weights of the first period, which are no increments, have no cost
        is_increment = jnp.asarray(jnp.arange(num_periods) > 0, weights.dtype)[:, None, None]
        free = jnp.zeros((), weights.dtype) if setup.learn_sample_weights else None
        costs = Learned(is_increment * rates.l1, free)
    solution = gradient.solve(
        key_solver,
        objective,
        Learned(weights, logits if setup.learn_sample_weights else None),
        problem.noises,
        tolerance=rates.tolerance,
        max_iterations=setup.max_iterations,
        learning_rate=rates.learning_rate,
        costs=costs,
    )
    learned: Learned = solution.weights
    weights, windows = weights_of(learned), windows_at(learned)
    moments_of = lambda weights: window_moments(weights, exact_moments(weights, windows, 0.0, second)[0])
    found = moments_of(weights)
    if problem.initial_weights is None:
        # the sign that the same data give the same, see `linear.fit`
        weights *= jnp.where((found.correlations**3).sum((0, 2)) < 0, -1, 1)[:, None]
    weights = weights[:, jnp.argsort(-found.total_correlations.sum(0))]
    moments = moments_of(weights)
    diverged = solution.diverged | noise_is_lost(moments)
    model = TemporalCorex(
        weights=weights,
        moments=moments,
        mean=windows.mean,
        std=windows.std,
        window_shares=windows.sample_weights.sum(2),
        history=solution.history,
        converged=solution.converged & ~diverged,
        diverged=diverged,
        columns=None,
    )
    return model, solution.num_iterations


def _start(key: Key, windows: Windows, setup: TemporalSetup) -> Array:
    """One set of weights for all periods: of linear CorEx on all samples, or random."""
    num_variables = windows.values.shape[-1]
    shape, dtype = (setup.num_factors, num_variables), windows.values.dtype
    rows = windows.values.reshape(-1, num_variables)
    if not setup.warm_start:
        return given_to_variables(jax.random.normal(key, shape, dtype), skewness_of(rows)) / num_variables**0.5
    # the filling has no part in the mean
    rows = rows * jnp.sqrt(len(rows) / jnp.count_nonzero(windows.own_weights)).astype(rows.dtype)
    of_start = Rows(rows, skewness_of(rows))
    setup_of_start = LinearSetup(max_iterations=setup.max_iterations, precision=setup.precision)
    active, noises = jnp.ones((1, setup.num_factors), bool), jnp.asarray(NOISE_SCHEDULE, dtype)
    fits = fit_starts(key, of_start, None, active, noises, setup_of_start, LinearRates())
    # a factor that has all but lost its noise is given some
    left = 1 - fits.moments.signal_shares[0]
    return fits.weights[0] * jnp.sqrt(left / jnp.maximum(left, 1 - quasi_newton.LARGEST_SHARE))[:, None]
