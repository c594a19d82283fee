"""Whether periods differ by more than samples in another order would."""

import functools
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl._validation import edge, require_count, require_within
from infotheory_dl.corex._settings import keyword_defaults, warn_unless_settled
from infotheory_dl.corex._temporal.drift import Changes, correlation_changes
from infotheory_dl.corex._temporal.fitting import FitSettings, fit, in_units, prepare, require_rates
from infotheory_dl.corex._temporal.model import TemporalCorex
from infotheory_dl.corex._temporal.periods import Samples, Tables
from infotheory_dl.corex._temporal.program import Problem, TemporalRates, TemporalSetup, run
from infotheory_dl.corex.annealing import first_entries
from infotheory_dl.results import concise
from infotheory_dl.types import Key, Scalar

# of all series that are fitted side by side
_ENTRIES_AT_ONCE = 2**21


@concise
class ChangeTest(NamedTuple):
    """The changes from each period to the next, beside those of series whose samples are in another order.

    Attributes:
      change_points: the changes that are more than chance, ascending; t is between periods t and t + 1.
      p_values: for each change the share of the permuted series, and the series itself, in which one of the changes
        that are no change points yet is at least as large.
      variable_p_values: the same of each variable at each change, beside the variable that changes most of all.
      changes: of the correlations, as `changes` gives them: those of their inverses, which noise in nearly determined
        variables dominates, tell apart less.
      null: the largest change of each permuted series, but the change points.
      model: the fit.
    """

    change_points: Int[np.ndarray, " points"]
    p_values: Float[np.ndarray, " changes"]
    variable_p_values: Float[np.ndarray, "changes variables"]
    changes: Changes
    null: Float[np.ndarray, " permutations"]
    model: TemporalCorex


@edge
def change_test(
    key: Key,
    periods: Tables,
    num_factors: int,
    *,
    num_permutations: int = 19,
    block: int = 1,
    level: Scalar = 0.05,
    **settings: Unpack[FitSettings],
) -> ChangeTest:
    """Fits a series, and series of the same samples in another order.

    Where correlations do not change, samples of any period may stand in any other: what changes then is what there is
    to be beaten. Each period keeps its mean, so that trends are no change. If the largest change is more than chance,
    it is a change point: samples do not cross it any more, and the largest of the others is tested, until one is no
    more than chance.

    Args:
      key: source of randomness, of the start and of the orders.
      periods: as in `fit`, at least two.
      num_factors: number of factors.
      num_permutations: how many permuted series; the least p-value is 1 / (num_permutations + 1).
      block: how many neighbouring samples stay together, as many as depend on each other. One for samples that are
        independent.
      level: what p-value a change point has at most, in (0, 1).
      settings: of `fit`.

    Returns:
      The test, and the fit to the series.

    Raises:
      TypeError, ValueError: as `fit`; ValueError if there is one period alone, or half of the samples are in a block.

    Warns:
      UserWarning: if the fit has not settled, or has diverged.

    Source: ours, by permutations of blocks and binary segmentation (Vostrikova, 1981); Phipson and Smyth, 2010 (the
      p-values).
    """
    require_count(1, num_permutations=num_permutations)
    require_within("(0, 1)", level=level)
    of_fit: dict[str, Any] = keyword_defaults(fit) | {**settings}
    rates = TemporalRates(**{name: of_fit.pop(name) for name in TemporalRates._fields})
    setup, problem, units = prepare(periods, num_factors, **of_fit)
    if len(problem.samples.values) < 2:
        raise ValueError("a change needs at least 2 periods, got 1")
    present = np.flatnonzero(problem.samples.present)
    require_within(f"[1, {len(present) // 2}]", "half of the samples", block=block)
    require_rates(problem, units, rates)
    key_fit, key_orders, key_null = jax.random.split(key, 3)
    model, num_steps = run(key_fit, problem, rates, setup)
    warn_unless_settled(model.converged, model.diverged, setup.max_iterations)
    model = in_units(model._replace(history=first_entries(model.history, num_steps)), units)
    found = correlation_changes(model.moments.loadings)
    random = np.random.default_rng(np.asarray(jax.random.bits(key_orders, (4,))).tolist())
    keys = jax.random.split(key_null, num_permutations)
    ends = np.asarray(problem.samples.present).sum(1).cumsum().astype(int)
    scores, variables = np.asarray(found.scores), np.asarray(found.variables)
    free, p_values, of_variables = np.ones(len(scores), bool), np.ones(scores.shape), np.ones(variables.shape)
    while True:
        segments = np.split(np.arange(len(present)), ends[:-1][~free])
        orders = np.stack([_order(random, segments, block) for _ in range(num_permutations)])
        null = _null(keys, jnp.asarray(orders), jnp.asarray(present), problem, rates, setup)
        largest, largest_of_variables = (np.asarray(part)[:, free].max(1) for part in null)
        p_values[free] = _p_values(largest, scores[free])
        of_variables[free] = _p_values(largest_of_variables, variables[free])
        next_point = int(np.argmax(np.where(free, scores, -np.inf)))
        if p_values[next_point] > level:
            break
        free[next_point] = False
        if not free.any():
            break
    return ChangeTest(np.flatnonzero(~free), p_values, of_variables, found, largest, model)


def _p_values(null: Float[np.ndarray, " permutations"], scores: np.ndarray) -> Float[np.ndarray, "*scores"]:
    return (1 + (null.reshape(-1, *([1] * scores.ndim)) >= scores).sum(0)) / (1 + len(null))


def _order(random: np.random.Generator, segments: list[np.ndarray], block: int) -> Int[np.ndarray, " samples"]:
    """Blocks of neighbours, cut at a random place, in a random order within each segment."""
    moved = []
    for segment in segments:
        starts = np.arange(random.integers(block), len(segment), block)
        blocks = np.split(segment, starts[starts > 0])
        moved += [blocks[place] for place in random.permutation(len(blocks))]
    return np.concatenate(moved)


@functools.partial(jax.jit, static_argnames="setup")
def _null(
    keys: Keys[Array, " permutations"],
    orders: Array,
    present: Array,
    problem: Problem,
    rates: TemporalRates,
    setup: TemporalSetup,
) -> tuple[Float[Array, "permutations changes"], Float[Array, "permutations changes"]]:
    """The changes of each permuted series, and those of the variables that change most in them."""

    def of_one(given: tuple[Key, Array]) -> tuple[Array, Array]:
        key, order = given
        model, _ = run(key, problem._replace(samples=_permuted(problem.samples, present, order)), rates, setup)
        found = correlation_changes(model.moments.loadings)
        return jnp.asarray(found.scores), jnp.asarray(found.variables).max(1)

    # side by side every fit takes as long as the longest, which accelerators make up for, and CPUs do not
    entries = problem.samples.values.size
    at_once = None if jax.default_backend() == "cpu" else max(1, min(len(keys), _ENTRIES_AT_ONCE // entries))
    return jax.lax.map(of_one, (keys, orders), batch_size=at_once)


def _permuted(samples: Samples, present: Int[Array, " samples"], order: Int[Array, " samples"]) -> Samples:
    """Samples in another order, each period with the mean that it had."""
    weight = samples.present[..., None]
    count = weight.sum(1, keepdims=True)
    rows = samples.values.reshape(-1, samples.values.shape[-1])
    moved = rows.at[present].set(rows[present[order]]).reshape(samples.values.shape)
    centred = weight * (moved - (weight * moved).sum(1, keepdims=True) / jnp.maximum(count, 1))
    # deviations from the mean of one period lose a part of their variance by that of another
    return samples._replace(values=centred * jnp.sqrt(count / jnp.maximum(count - 1, 1)))
