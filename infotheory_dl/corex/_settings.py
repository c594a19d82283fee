"""What the fits of both systems share: the defaults of the solvers, and checks of what is asked of them."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from infotheory_dl._validation import (
    is_concrete,
    require_count,
    require_finite,
    require_not_negative,
    require_positive,
    require_within,
    warn,
)
from infotheory_dl.types import AnyArray, Scalar

TOLERANCE = 1e-5
"""The published one of both solvers: absolute for a quasi-Newton iteration, relative for the steps of the other."""

QUASI_NEWTON_ITERATIONS = 10_000
GRADIENT_ITERATIONS = 1000
"""The published numbers of iterations in each stage of noise."""

PRECISION = "highest"
"""Of matrix products: less lets accelerators round so much that line searches fail."""


def require_stages(noises: Sequence[float] | AnyArray, max_iterations: int) -> None:
    """Raises an error if the stages of noise, or the iterations of each, are impossible."""
    require_within("[0, 1)", noises=np.asarray(noises))
    if len(noises) == 0 or noises[-1] != 0:
        raise ValueError(f"noises must end with 0, got {list(noises)}")
    require_count(1, max_iterations=max_iterations)


def require_ascent(*, tolerance: Scalar, learning_rate: Scalar, **costs: Scalar) -> None:
    """Raises an error that names the first impossible setting of a solver; costs are those of penalties, by name."""
    require_positive(tolerance=tolerance, learning_rate=learning_rate)
    require_not_negative(**costs)


def require_num_factors(num_factors: int, num_variables: int) -> None:
    """Raises an error that says how many factors there may be."""
    require_count(1, num_factors=num_factors)
    require_within(f"[1, {num_variables}]", "the number of variables", num_factors=num_factors)


def require_start(initial_weights: AnyArray, *shapes: tuple[int, ...]) -> None:
    """Raises a ValueError that says the shapes that weights to start from may have, or that not all are finite."""
    if np.shape(initial_weights) not in shapes:
        allowed = " or ".join(map(str, shapes))
        raise ValueError(f"initial_weights must have the shape {allowed}, got {np.shape(initial_weights)}")
    require_finite(initial_weights=initial_weights)


def keyword_defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only settings of a function and their defaults, for others that pass settings on to its core."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}


def warn_unless_settled(converged: Any, diverged: Any, max_iterations: int, *, remedy: str = "") -> None:
    """Warns of a fit that ended for another reason than that it had settled, with what to change."""
    if not (is_concrete(converged) and is_concrete(diverged)):
        return
    if diverged:
        warn(
            "the fit ended at something infinite, or a factor has lost its noise to rounding: variables are copies of"
            " each other, or samples are too few. Drop copies, fit fewer factors,"
            f" {remedy}or compute in double precision by jax.config.update('jax_enable_x64', True)"
        )
    elif not converged:
        warn(
            f"the last stage of the fit did not settle in {max_iterations} iterations: raise max_iterations or"
            " tolerance"
        )
