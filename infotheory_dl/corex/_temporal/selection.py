"""Which decay and which penalties: by the likelihood of other samples of the same periods."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._validation import edge
from infotheory_dl.corex._settings import keyword_defaults
from infotheory_dl.corex._temporal.fitting import TemporalSettings, fit, in_units, prepare, require_rates
from infotheory_dl.corex._temporal.model import TemporalCorex, mean_log_densities
from infotheory_dl.corex._temporal.periods import Tables, samples_like
from infotheory_dl.corex._temporal.program import Problem, TemporalRates, TemporalSetup, run
from infotheory_dl.corex.annealing import first_entries
from infotheory_dl.results import concise
from infotheory_dl.types import Key, Scalar


@concise
class TemporalSelection(NamedTuple):
    """How well combinations of settings do.

    Attributes:
      decay: the chosen one.
      l1: the chosen one.
      l2: the chosen one.
      scores: mean over periods, but those without any, of the mean log-density of the validation samples, nats; not
        finite where a fit failed.
      model: the fit with the chosen settings.
    """

    decay: Scalar
    l1: Scalar
    l2: Scalar
    scores: Float[Array, "decays l1s l2s"]
    model: TemporalCorex


@edge
def select(
    key: Key,
    periods: Tables,
    num_factors: int,
    validation: Tables,
    *,
    decay: Sequence[float] = (0.3, 0.5, 0.7),
    l1: Sequence[float] = (0.0, 0.1, 0.3, 1.0),
    l2: Sequence[float] = (0.0,),
    **settings: Unpack[TemporalSettings],
) -> TemporalSelection:
    """Fits with all combinations of decay and penalties, side by side as one program, and keeps the best.

    Args:
      key: source of randomness; all fits start from the same weights.
      periods: training samples.
      num_factors: number of factors.
      validation: other samples of the same periods.
      decay, l1, l2: what is tried.
      settings: the others of `fit`.

    Returns:
      The choice, all scores and the fit.

    Raises:
      TypeError, ValueError: as `fit` and `log_likelihood`; ValueError if there is nothing to try or all fits failed.
    """
    shape = (len(decay), len(l1), len(l2))
    if 0 in shape:
        raise ValueError(f"decay, l1 and l2 must each have a value to try, got {shape} of them")
    others: dict[str, Any] = keyword_defaults(fit) | {**settings}
    of_rates = {name: others.pop(name) for name in TemporalRates._fields}
    setup, problem, units = prepare(periods, num_factors, **others)
    points = [
        TemporalRates(**of_rates | dict(zip(("decay", "l1", "l2"), map(float, point), strict=True)))
        for point in itertools.product(decay, l1, l2)
    ]
    for point in points:
        require_rates(problem, units, point)
    rates = jax.tree.map(lambda *values: jnp.asarray(values, problem.noises.dtype), *points)
    of_missing = {name: others[name] for name in ("missing", "missing_value")}
    held_out = samples_like(units, validation, "validation", **of_missing)
    scores, models, num_steps = _run_all(key, problem, rates, held_out, setup)
    # in the units of the variables
    scores -= np.log(units.unit).sum()
    if not np.isfinite(scores).any():
        raise ValueError(f"all {len(points)} fits failed: none gives the validation samples a finite density")
    best = int(jnp.argmax(jnp.where(jnp.isfinite(scores), scores, -jnp.inf)))
    model = jax.tree.map(lambda leaf: leaf[best], models)
    return TemporalSelection(
        decay=points[best].decay,
        l1=points[best].l1,
        l2=points[best].l2,
        scores=scores.reshape(shape),
        model=in_units(model._replace(history=first_entries(model.history, num_steps[best])), units),
    )


@functools.partial(jax.jit, static_argnames="setup")
def _run_all(
    key: Key, problem: Problem, rates: TemporalRates, validation: tuple[Array, Array], setup: TemporalSetup
) -> tuple[Array, TemporalCorex, Array]:
    """Scores, fits and their numbers of steps for every point of the rates."""

    def run_one(point: TemporalRates) -> tuple[Array, TemporalCorex, Array]:
        model, num_steps = run(key, problem, point, setup)
        deviations, present = validation
        standardised = (deviations - model.mean[:, None]) / model.std[:, None]
        densities = mean_log_densities(model.moments.loadings, standardised, present) - jnp.log(model.std).sum(1)
        return densities.mean(where=present.any(1)), model, num_steps

    return jax.vmap(run_one)(rates)
