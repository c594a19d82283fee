"""Fitting of T-CorEx to periods, each fit one program."""

import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl._validation import require_choice, require_finite
from infotheory_dl.corex._linear import programs as linear_programs
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
from infotheory_dl.corex._temporal.periods import (
    Samples,
    Tables,
    Windows,
    as_samples,
    decay_logits,
    require_varying,
    window_reach,
    windows_of,
)
from infotheory_dl.corex.annealing import NOISE_SCHEDULE
from infotheory_dl.corex.moments import CORRELATION_EXPLANATION
from infotheory_dl.corex.solvers import descent, quasi_newton
from infotheory_dl.types import AnyArray, Key, Scalar

_WARM_SCHEDULE = (0.216, 0.0)
"""The noise after linear CorEx. Without any, the fit stays close to the maximum of that, which depends on the start."""


class Program(NamedTuple):
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


class Rates(NamedTuple):
    """Settings of a fit that are values in its program; see `fit`."""

    decay: Scalar
    l1: Scalar
    l2: Scalar
    concentration: Scalar = 0.2
    tolerance: Scalar = 1e-5
    learning_rate: Scalar = 1e-2


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


def fit(
    key: Key,
    periods: Tables,
    num_factors: int,
    *,
    decay: Scalar = 0.5,
    l1: Scalar = 0.0,
    l2: Scalar = 0.0,
    smoothed: Smoothed = "weights",
    max_smoothed_covariance: int = 4096,
    l1_step: Literal["proximal", "subgradient"] | None = None,
    max_window_samples: int | None = None,
    weighted_objective: bool = False,
    learn_sample_weights: bool = False,
    concentration: Scalar = 0.2,
    warm_start: bool = True,
    initial_weights: Float[AnyArray, "*periods factors variables"] | None = None,
    noises: Sequence[float] | None = None,
    max_iterations: int = 1000,
    tolerance: Scalar = 1e-5,
    learning_rate: Scalar = 1e-2,
    sampled: bool = False,
    precision: str = "highest",
) -> TemporalCorex:
    """Finds the linear factors of each period of a time series, which change little from one to the next.

    Maximises what the factors explain of the samples of each period, with moments of the factors over a window in which
    samples of other periods count less by `decay` for each period that they are away, less the cost of changes. A step
    takes O(periods samples variables factors) operations, with the samples of all periods, and memory for about twenty
    arrays like the weights; variables that are fewer than all samples take the second moments of every period too.

    Args:
      key: source of randomness, for the start and the sampled noise.
      periods: the samples of each period, as many as it has. May be sharded over variables.
      num_factors: number of factors in each period.
      decay: in [0, 1]; the larger, the more a window sees of other periods.
      l1: cost of the absolute sum of changes, nats.
      l2: cost of the sum of squares of changes, nats.
      smoothed: what changes: the "weights", the "mutual_informations" of factors and variables, or the estimated
        correlations of the variables ("covariances": needs memory for variables by variables).
      max_smoothed_covariance: most variables that covariances are smoothed of.
      l1_step: "proximal", by default for weights, after which most changes are exactly zero; "subgradient", as
        published.
      max_window_samples: a window reaches no further than it needs for so many samples.
      weighted_objective: whether all samples of the window are explained, with its weights, instead of the period's.
      learn_sample_weights: whether the weights of periods in windows are learned too, starting from the decay. They
        raise the objective on the training samples; whether they help, only other samples tell.
      concentration: where they are learned, cost of the largest weight of a sample, nats for each variable and period.
      warm_start: whether to start from linear CorEx on all samples, instead of random weights.
      initial_weights: of factors of unit noise, where to start; of each period, or one set for all.
      noises: standard deviation of the noise on the variables, stage by stage, in [0, 1) and 0 at last; by default the
        published 0.6, 0.36, …, 0 from random weights, 0.216 and 0 after linear CorEx, and 0 alone from given ones.
      max_iterations: steps in each stage.
      tolerance: a stage ends when the mean of the objective over 50 steps changes by less, relatively.
      learning_rate: of Adam; published: 0.001, for a sampled objective.
      sampled: whether noise is drawn in every step, as published, instead of integrated out.
      precision: of matrix products.

    Returns:
      The fit.

    Raises:
      TypeError: if a period does not hold numbers.
      ValueError: if there are no periods, one is empty or not finite, they have different variables (the shapes are
        listed), variables are constant in a window (they are named), or a setting is impossible.

    Source: Harutyunyan et al., 2019, and its published code.
    """
    program, problem = prepare(
        periods,
        num_factors,
        smoothed=smoothed,
        max_smoothed_covariance=max_smoothed_covariance,
        l1_step=l1_step,
        max_window_samples=max_window_samples,
        weighted_objective=weighted_objective,
        learn_sample_weights=learn_sample_weights,
        warm_start=warm_start,
        initial_weights=initial_weights,
        noises=noises,
        max_iterations=max_iterations,
        sampled=sampled,
        precision=precision,
    )
    rates = Rates(decay, l1, l2, concentration, tolerance, learning_rate)
    require_rates(problem, rates)
    model, num_steps = run(key, problem, rates, program)
    return model._replace(history=model.history[: int(num_steps)])


def prepare(
    periods: Tables,
    num_factors: int,
    *,
    smoothed: Smoothed = "weights",
    max_smoothed_covariance: int = 4096,
    l1_step: Literal["proximal", "subgradient"] | None = None,
    max_window_samples: int | None = None,
    weighted_objective: bool = False,
    learn_sample_weights: bool = False,
    warm_start: bool = True,
    initial_weights: AnyArray | None = None,
    noises: Sequence[float] | None = None,
    max_iterations: int = 1000,
    sampled: bool = False,
    precision: str = "highest",
) -> tuple[Program, Problem]:
    """Checks the data and what a program is compiled for; see `fit`."""
    require_choice("smoothed", smoothed, ("weights", "mutual_informations", "covariances"))
    l1_step = l1_step or ("proximal" if smoothed == "weights" else "subgradient")
    require_choice("l1_step", l1_step, ("proximal", "subgradient"))
    if l1_step == "proximal" and smoothed != "weights":
        raise ValueError(f"a proximal step is known for changes of the weights, not of {smoothed!r}; use 'subgradient'")
    if max_window_samples is not None and max_window_samples < 1:
        raise ValueError(f"max_window_samples must be at least 1, got {max_window_samples}")
    if noises is None:
        noises = _WARM_SCHEDULE if warm_start else NOISE_SCHEDULE
        noises = noises if initial_weights is None else (0.0,)
    if not len(noises) or not all(0 <= noise < 1 for noise in noises) or noises[-1] != 0:
        raise ValueError(f"noises must lie in [0, 1) and end with 0, got {list(noises)}")
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
    samples = as_samples(periods)
    num_periods, _, num_variables = samples.values.shape
    linear_programs.require_num_factors(num_factors, num_variables)
    if smoothed == "covariances" and num_variables > max_smoothed_covariance:
        raise ValueError(
            f"smooth covariances need matrices of {num_variables} by {num_variables}, more than"
            f" {max_smoothed_covariance}; smooth the weights instead, or raise max_smoothed_covariance"
        )
    if sum(map(len, periods)) < 2:
        raise ValueError("periods must have at least 2 samples in all, got 1")
    if initial_weights is not None:
        shape = (num_periods, num_factors, num_variables)
        if initial_weights.shape not in (shape, shape[1:]):
            raise ValueError(f"initial_weights must have the shape {shape} or {shape[1:]}, got {initial_weights.shape}")
        require_finite(initial_weights=initial_weights)
        initial_weights = jnp.broadcast_to(jnp.asarray(initial_weights, samples.values.dtype), shape)
    program = Program(
        num_factors,
        smoothed,
        l1_step,
        weighted_objective,
        learn_sample_weights,
        warm_start,
        max_iterations,
        sampled,
        precision,
    )
    reach = jnp.asarray(window_reach(samples.present, max_window_samples))
    return program, Problem(samples, reach, jnp.asarray(noises, samples.values.dtype), initial_weights)


def require_rates(problem: Problem, rates: Rates) -> None:
    """Raises a ValueError if a setting is impossible, or variables do not vary in a window."""
    if not 0 <= rates.decay <= 1:
        raise ValueError(f"decay must lie in [0, 1], got {rates.decay}")
    if not (rates.l1 >= 0 and rates.l2 >= 0 and rates.concentration >= 0):
        raise ValueError(
            f"l1, l2 and concentration must not be negative, got {rates.l1}, {rates.l2} and {rates.concentration}"
        )
    if not (rates.tolerance > 0 and rates.learning_rate > 0):
        raise ValueError(
            f"tolerance and learning_rate must be positive, got {rates.tolerance} and {rates.learning_rate}"
        )
    require_varying(*_window_scale(problem, rates.decay))


@jax.jit
def _window_scale(problem: Problem, decay: Scalar) -> tuple[Array, Array]:
    windows = windows_of(problem.samples, decay_logits(decay, problem.reach))
    return windows.mean, windows.std


@functools.partial(jax.jit, static_argnames="program")
def run(key: Key, problem: Problem, rates: Rates, program: Program) -> tuple[TemporalCorex, Array]:
    """Fits, and counts the steps; the history is NaN beyond them."""
    with jax.default_matmul_precision(program.precision):
        return _run(key, problem, rates, program)


def _run(key: Key, problem: Problem, rates: Rates, program: Program) -> tuple[TemporalCorex, Array]:
    key_start, key_solver = jax.random.split(key)
    samples = problem.samples
    num_periods, num_rows, num_variables = samples.values.shape
    logits = decay_logits(rates.decay, problem.reach).astype(samples.values.dtype)
    given = windows_of(samples, logits)
    few_variables = num_variables <= num_periods * num_rows
    second = window_second_moments(given) if few_variables and not program.learn_sample_weights else None
    proximal = program.l1_step == "proximal"
    summation = jnp.tril(jnp.ones((num_periods, num_periods), samples.values.dtype))

    def weights_of(parameters: descent.Parameters) -> Array:
        return jnp.tensordot(summation, parameters.weights, 1) if proximal else parameters.weights

    def windows_at(parameters: descent.Parameters) -> Windows:
        return given if parameters.logits is None else windows_of(samples, parameters.logits)

    def objective(parameters: descent.Parameters, key: Key, noise: Array) -> Array:
        weights, windows = weights_of(parameters), windows_at(parameters)
        window = None
        if program.sampled:
            window, own = sampled_moments(weights, windows, noise, draw_noise(key, weights, windows))
        elif program.smoothed != "weights" or parameters.logits is not None:
            window, own = exact_moments(weights, windows, noise, second)
        if window is None:
            value = explained_by_each(weights, windows, noise, second, weighted=program.weighted_objective).sum()
        else:
            value = explained(window, window if program.weighted_objective else own).sum()
        changes = changes_of(weights, window, program.smoothed)
        value -= rates.l2 * jnp.square(changes).sum()
        if not proximal:
            value -= rates.l1 * jnp.abs(changes).sum()
        if parameters.logits is not None:
            value -= rates.concentration * num_variables * windows.sample_weights.max((1, 2)).sum()
        return value

    weights = problem.initial_weights
    if weights is None:
        weights = jnp.broadcast_to(_start(key_start, given, program), (num_periods, program.num_factors, num_variables))
    if proximal:
        weights = jnp.concatenate([weights[:1], jnp.diff(weights, axis=0)])
    solution = descent.solve(
        key_solver,
        objective,
        descent.Parameters(weights, logits if program.learn_sample_weights else None),
        problem.noises,
        tolerance=rates.tolerance,
        max_iterations=program.max_iterations,
        learning_rate=rates.learning_rate,
        l1=rates.l1 if proximal else 0.0,
    )
    parameters: Any = solution.weights
    weights, windows = weights_of(parameters), windows_at(parameters)
    moments_of = lambda weights: window_moments(weights, exact_moments(weights, windows, 0.0, second)[0])
    weights = weights[:, jnp.argsort(-moments_of(weights).total_correlations.sum(0))]
    moments = moments_of(weights)
    # negated, so that noise that is NaN is lost too
    lost = ~((1 - moments.signal_variances).min() > quasi_newton.noise_floor(weights.dtype))
    diverged = solution.diverged | lost
    model = TemporalCorex(
        weights=weights,
        moments=moments,
        mean=windows.mean,
        std=windows.std,
        window_shares=windows.sample_weights.sum(2),
        history=solution.history,
        converged=solution.converged & ~diverged,
        diverged=diverged,
    )
    return model, solution.num_iterations


def _start(key: Key, windows: Windows, program: Program) -> Array:
    """One set of weights for all periods: of linear CorEx on all samples, or random."""
    num_variables = windows.values.shape[-1]
    shape, dtype = (program.num_factors, num_variables), windows.values.dtype
    if not program.warm_start:
        return jax.random.normal(key, shape, dtype) / num_variables**0.5
    rows = windows.values.reshape(-1, num_variables)
    # the filling has no part in the mean
    rows = rows * jnp.sqrt(len(rows) / jnp.count_nonzero(windows.own_weights)).astype(rows.dtype)
    fits = linear_programs.fit_starts(
        key,
        rows,
        None,
        jnp.ones((1, program.num_factors), bool),
        NOISE_SCHEDULE,
        linear_programs.Program("quasi_newton", program.max_iterations),
        linear_programs.Rates(CORRELATION_EXPLANATION, 1e-5),
        program.precision,
    )
    signal = jnp.minimum(fits.moments.signal_variances[0], quasi_newton.LARGEST_SIGNAL)
    return fits.weights[0] / jnp.sqrt(1 - signal)[:, None]
