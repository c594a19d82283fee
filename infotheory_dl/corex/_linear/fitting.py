"""Fitting of linear CorEx to a table."""

from collections.abc import Sequence
from typing import Literal, TypedDict

import jax.numpy as jnp
from jaxtyping import Float

from infotheory_dl._validation import edge, require_choice, require_count, require_within
from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex._linear.programs import (
    LinearRates,
    LinearSetup,
    Solver,
    best_of,
    fit_starts,
    model_of,
    prepare,
)
from infotheory_dl.corex._settings import (
    GRADIENT_ITERATIONS,
    PRECISION,
    QUASI_NEWTON_ITERATIONS,
    TOLERANCE,
    require_ascent,
    require_num_factors,
    require_stages,
    require_start,
    warn_unless_settled,
)
from infotheory_dl.corex.annealing import NOISE_SCHEDULE
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, OVERLAPPING, FactorObjective
from infotheory_dl.corex.preprocessing import Missing, PreprocessingName
from infotheory_dl.types import AnyArray, AnyTable, Key, Scalar


class LinearSettings(TypedDict, total=False):
    """The settings of `fit`, for functions that pass them on."""

    solver: Solver
    overlapping: bool
    objective: FactorObjective | None
    warm_up: Sequence[FactorObjective]
    preprocessing: PreprocessingName
    missing: Missing
    missing_value: Scalar | None
    on_constant: Literal["raise", "drop"]
    initial_weights: Float[AnyArray, "factors variables"] | None
    num_restarts: int
    noises: Sequence[float] | None
    noise: Scalar
    max_iterations: int | None
    tolerance: Scalar
    learning_rate: Scalar
    l1: Scalar
    sampled: bool
    precision: str


@edge
def fit(
    key: Key,
    x: AnyTable,
    num_factors: int,
    *,
    solver: Solver = "quasi_newton",
    overlapping: bool = False,
    objective: FactorObjective | None = None,
    warm_up: Sequence[FactorObjective] = (),
    preprocessing: PreprocessingName = "standard",
    missing: Missing = "refuse",
    missing_value: Scalar | None = None,
    on_constant: Literal["raise", "drop"] = "raise",
    initial_weights: Float[AnyArray, "factors variables"] | None = None,
    num_restarts: int = 1,
    noises: Sequence[float] | None = None,
    noise: Scalar = 0.0,
    max_iterations: int | None = None,
    tolerance: Scalar = TOLERANCE,
    learning_rate: Scalar = 1e-3,
    l1: Scalar = 0.0,
    sampled: bool = False,
    precision: str = PRECISION,
) -> LinearCorex:
    """Finds the linear factors that explain the correlations of a table, each variable by few of them.

    Maximises sum_i I_cal(X_i; Z) - sum_j I(Z_j; X), which is TC(X; Z) - TC(Z) less the synergy of the factors, in
    O(samples variables factors) an iteration. Rows of a table that has more samples than variables are first compressed
    to as many as variables, without loss.

    Args:
      key: source of randomness, for the starts and the sampled noise.
      x: one row for each sample; of a DataFrame the names of the columns are kept. It is standardised on the host, in
        double precision, then fitted in that of x. May be sharded over its columns: the fit then runs on all their
        devices.
      num_factors: number of factors.
      solver: "quasi_newton"; "adam", the published gradient solver; "fixed_point", the published solver of the
        overlapping mode.
      overlapping: whether a variable may be explained by several factors together, so that synergy costs nothing.
      objective: another one for "quasi_newton" and "adam" in place of these two: an `Objective` or any pytree that can
        be called, as `FactorObjective` says.
      warm_up: objectives that are maximised before it, each from where the one before it ended; the stages of noise are
        those of the first. What the fit returns is of the last.
      preprocessing: as in `fit_preprocessing`; "outliers" for tables that have some.
      missing: whether to "refuse" missing values, or put the "mean" in their place, which weakens correlations, or take
        every correlation over the samples that have both variables ("pairwise": needs memory for variables by
        variables).
      missing_value: a number that stands for a missing value; NaN always does.
      on_constant: whether columns that are constant or empty "raise" an error or "drop" out.
      initial_weights: of factors of unit noise, where to start; by default random.
      num_restarts: random starts, side by side; the one with the largest objective is kept.
      noises: standard deviation of the noise on the variables, stage by stage, in [0, 1) and 0 at last; by default the
        published 0.6, 0.36, …, 0 from random starts, and 0 alone from given ones and where `overlapping`.
      noise: that of the last stage, which stays, in [0, 1); stages of less are left out. The objective and all moments
        are then those of the noisy variables. It bounds what variables that are copies of each other are worth.
      max_iterations: in each stage; 1000 for "adam", else 10000.
      tolerance: a stage ends when an iteration changes the objective by less, in nats; with "adam", when its mean over
        50 iterations changes by less, relatively.
      learning_rate: of "adam".
      l1: penalty of "adam" on the absolute sum of the weights.
      sampled: whether "adam" draws its noise, as published, instead of integrating it out.
      precision: of matrix products. Less than "highest" lets accelerators round so much that the line search fails.

    Returns:
      The fit, its factors in descending order of their total correlations; from a random start with the signs that make
      the sum of their cubed correlations with the variables positive, so that neither the order of the columns nor that
      of the rows matters. Whether they tell more than chance does, `total_correlation_test` says.

    Raises:
      TypeError: if x does not hold numbers.
      ValueError: if x is not a matrix of at least two samples, has missing or infinite values or constant columns,
        which are named, or a setting is impossible.

    Warns:
      UserWarning: if the fit has not settled, or has diverged.

    Source: Steeg et al., 2019 ("quasi_newton", "fixed_point"); Harutyunyan et al., 2019 ("adam").
    """
    noises, setup, rates = asked(
        solver=solver,
        overlapping=overlapping,
        objective=objective,
        warm_up=warm_up,
        initial_weights=initial_weights,
        num_restarts=num_restarts,
        noises=noises,
        noise=noise,
        max_iterations=max_iterations,
        tolerance=tolerance,
        learning_rate=learning_rate,
        l1=l1,
        sampled=sampled,
        precision=precision,
    )
    # sampled moments are those of as many draws as there are samples
    prepared, rows = prepare(x, preprocessing, missing, missing_value, on_constant, precision, compress=not sampled)
    num_variables, dtype = rows.values.shape[1], rows.values.dtype
    require_num_factors(num_factors, num_variables)
    if initial_weights is not None:
        require_start(initial_weights, (num_factors, num_variables))
        initial_weights = jnp.asarray(initial_weights, dtype)
    active = jnp.ones((num_restarts, num_factors), bool)
    fits = fit_starts(key, rows, initial_weights, active, jnp.asarray(noises, dtype), setup, rates)
    model = model_of(fits, int(best_of(fits)), prepared)
    remedy = "leave noise on the variables, such as noise=0.1, "
    warn_unless_settled(model.converged, model.diverged, setup.max_iterations, remedy=remedy)
    return model


def asked(
    *,
    solver: Solver,
    overlapping: bool,
    objective: FactorObjective | None,
    warm_up: Sequence[FactorObjective],
    initial_weights: AnyArray | None,
    num_restarts: int,
    noises: Sequence[float] | None,
    noise: Scalar,
    max_iterations: int | None,
    tolerance: Scalar,
    learning_rate: Scalar,
    l1: Scalar,
    sampled: bool,
    precision: str,
) -> tuple[Sequence[float], LinearSetup, LinearRates]:
    """Checks the settings of a solver, and gives the stages of noise and what its program takes; see `fit`."""
    require_choice("solver", solver, ("quasi_newton", "adam", "fixed_point"))
    if solver == "fixed_point" and not overlapping:
        raise ValueError("the solver 'fixed_point' is of the overlapping mode; set overlapping=True")
    if solver == "fixed_point" and (objective is not None or warm_up):
        raise ValueError("the solver 'fixed_point' has an objective of its own; give another solver or no objective")
    if sampled and solver != "adam":
        raise ValueError(f"only the solver 'adam' can be sampled, got {solver!r}")
    if sampled and (overlapping or objective is not None or warm_up):
        raise ValueError("the sampled objective is the default one: neither overlapping nor another")
    require_count(1, num_restarts=num_restarts)
    if initial_weights is not None and num_restarts > 1:
        raise ValueError("restarts are from random weights; give either initial_weights or num_restarts")
    if noises is None:
        noises = NOISE_SCHEDULE if initial_weights is None and not overlapping else (0.0,)
    if max_iterations is None:
        max_iterations = GRADIENT_ITERATIONS if solver == "adam" else QUASI_NEWTON_ITERATIONS
    require_stages(noises, max_iterations)
    require_within("[0, 1)", noise=noise)
    if noise != 0:
        noises = (*(stage for stage in noises if stage > noise), float(noise))
    require_ascent(tolerance=tolerance, learning_rate=learning_rate, l1=l1)
    if solver != "adam" and l1 != 0:
        raise ValueError(f"only the solver 'adam' has an l1 penalty, got {solver!r}")
    if objective is None:
        objective = OVERLAPPING if overlapping else CORRELATION_EXPLANATION
    setup = LinearSetup(solver, max_iterations, sampled, precision)
    return noises, setup, LinearRates(objective, tolerance, learning_rate, l1, tuple(warm_up))
