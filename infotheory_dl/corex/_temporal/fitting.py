"""Fitting of T-CorEx to periods, each fit one program."""

from collections.abc import Sequence
from typing import Literal, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_choice, require_count, require_within
from infotheory_dl.corex._settings import (
    GRADIENT_ITERATIONS,
    PRECISION,
    TOLERANCE,
    require_ascent,
    require_num_factors,
    require_stages,
    require_start,
    warn_unless_settled,
)
from infotheory_dl.corex._temporal.model import TemporalCorex
from infotheory_dl.corex._temporal.objective import Smoothed
from infotheory_dl.corex._temporal.periods import (
    MissingInPeriods,
    Tables,
    Units,
    as_samples,
    decay_logits,
    require_varying,
    window_reach,
    windows_of,
)
from infotheory_dl.corex._temporal.program import Problem, TemporalRates, TemporalSetup, run
from infotheory_dl.corex.annealing import NOISE_SCHEDULE, first_entries
from infotheory_dl.types import AnyArray, Key, Scalar

_WARM_SCHEDULE = (0.216, 0.0)
"""The noise after linear CorEx. Without any, the fit stays close to the maximum of that, which depends on the start."""


class TemporalSettings(TypedDict, total=False):
    """The settings of `fit` but those that `select` tries, for functions that pass them on."""

    smoothed: Smoothed
    max_smoothed_covariance: int
    l1_step: Literal["proximal", "subgradient"] | None
    max_window_samples: int | None
    weighted_objective: bool
    learn_sample_weights: bool
    concentration: Scalar
    warm_start: bool
    initial_weights: Float[AnyArray, "*periods factors variables"] | None
    noises: Sequence[float] | None
    max_iterations: int
    tolerance: Scalar
    learning_rate: Scalar
    sampled: bool
    precision: str
    missing: MissingInPeriods
    missing_value: Scalar | None


class FitSettings(TemporalSettings, total=False):
    """All settings of `fit`."""

    decay: Scalar
    l1: Scalar
    l2: Scalar


@edge
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
    max_iterations: int = GRADIENT_ITERATIONS,
    tolerance: Scalar = TOLERANCE,
    learning_rate: Scalar = 1e-2,
    sampled: bool = False,
    precision: str = PRECISION,
    missing: MissingInPeriods = "refuse",
    missing_value: Scalar | None = None,
) -> TemporalCorex:
    """Finds the linear factors of each period of a time series, which change little from one to the next.

    Maximises what the factors explain of the samples of each period, with moments of the factors over a window in which
    samples of other periods count less by `decay` for each period that they are away, less the cost of changes. A step
    takes O(periods samples variables factors) operations, with the samples of all periods, and memory for about twenty
    arrays like the weights; variables that are fewer than all samples take the second moments of every period too.

    Args:
      key: source of randomness, for the start and the sampled noise.
      periods: the samples of each period, as many as it has, or none: such a period is explained from its window.
        Tables are standardised from levels and units that are computed on the host, in double precision; of
        DataFrames the names of the columns are kept. May be sharded over variables.
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
      missing: whether to "refuse" missing values, or put the "mean" of the variable in its period in their place. A
        variable may have no value in some periods: its moments are those of the others in the window.
      missing_value: a number that stands for a missing value; NaN always does.

    Returns:
      The fit, with means and standard deviations of NumPy, in double precision.

    Raises:
      TypeError: if a period does not hold numbers, or the periods are one table.
      ValueError: if there are no periods or samples, an entry is infinite, or missing where that is not allowed, the
        periods have different variables, variables are constant or without a value in a window, all of which are named,
        or a setting is impossible.

    Warns:
      UserWarning: if the fit has not settled, or has diverged.

    Source: Harutyunyan et al., 2019, and its published code.
    """
    setup, problem, units = prepare(
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
        missing=missing,
        missing_value=missing_value,
    )
    rates = TemporalRates(decay, l1, l2, concentration, tolerance, learning_rate)
    require_rates(problem, units, rates)
    model, num_steps = run(key, problem, rates, setup)
    warn_unless_settled(model.converged, model.diverged, setup.max_iterations)
    return in_units(model._replace(history=first_entries(model.history, num_steps)), units)


def in_units(model: TemporalCorex, units: Units) -> TemporalCorex:
    """The fit in the units of the data."""
    mean, std = units.given(model.mean, model.std)
    return model._replace(mean=mean, std=std, columns=units.columns)


def prepare(
    periods: Tables,
    num_factors: int,
    *,
    smoothed: Smoothed,
    max_smoothed_covariance: int,
    l1_step: Literal["proximal", "subgradient"] | None,
    max_window_samples: int | None,
    weighted_objective: bool,
    learn_sample_weights: bool,
    warm_start: bool,
    initial_weights: AnyArray | None,
    noises: Sequence[float] | None,
    max_iterations: int,
    sampled: bool,
    precision: str,
    missing: MissingInPeriods,
    missing_value: Scalar | None,
) -> tuple[TemporalSetup, Problem, Units]:
    """Checks the data and what a program is compiled for; see `fit`."""
    require_choice("smoothed", smoothed, ("weights", "mutual_informations", "covariances"))
    l1_step = l1_step or ("proximal" if smoothed == "weights" else "subgradient")
    require_choice("l1_step", l1_step, ("proximal", "subgradient"))
    if l1_step == "proximal" and smoothed != "weights":
        raise ValueError(f"a proximal step is known for changes of the weights, not of {smoothed!r}; use 'subgradient'")
    require_count(1, max_window_samples=max_window_samples)
    if noises is None:
        noises = _WARM_SCHEDULE if warm_start else NOISE_SCHEDULE
        noises = noises if initial_weights is None else (0.0,)
    require_stages(noises, max_iterations)
    samples, units = as_samples(periods, missing=missing, missing_value=missing_value)
    num_periods, _, num_variables = samples.values.shape
    require_num_factors(num_factors, num_variables)
    if smoothed == "covariances" and num_variables > max_smoothed_covariance:
        raise ValueError(
            f"smooth covariances need matrices of {num_variables} by {num_variables}, more than"
            f" {max_smoothed_covariance}; smooth the weights instead, or raise max_smoothed_covariance"
        )
    if samples.present.sum() < 2:
        raise ValueError("periods must have at least 2 samples in all, got 1")
    if initial_weights is not None:
        shape = (num_periods, num_factors, num_variables)
        require_start(initial_weights, shape, shape[1:])
        initial_weights = jnp.broadcast_to(jnp.asarray(initial_weights, samples.values.dtype), shape)
    setup = TemporalSetup(
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
    return setup, Problem(samples, reach, jnp.asarray(noises, samples.values.dtype), initial_weights), units


def require_rates(problem: Problem, units: Units, rates: TemporalRates) -> None:
    """Raises an error if a setting is impossible, or variables do not vary in a window."""
    require_within("[0, 1]", decay=rates.decay)
    require_ascent(
        tolerance=rates.tolerance,
        learning_rate=rates.learning_rate,
        l1=rates.l1,
        l2=rates.l2,
        concentration=rates.concentration,
    )
    require_varying(*units.given(*map(np.asarray, _window_scale(problem, rates.decay))), units)


@jax.jit
def _window_scale(problem: Problem, decay: Scalar) -> tuple[Array, Array]:
    windows = windows_of(problem.samples, decay_logits(decay, problem.reach))
    return windows.mean, windows.std
