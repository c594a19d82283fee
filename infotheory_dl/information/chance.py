"""How far chance carries an estimate of information: what it would be of independent variables, and an interval.

Both take any estimator as a function of arrays: one of this package with the settings that one likes, or of others.
"""

import statistics
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from infotheory_dl._validation import (
    class_labels,
    edge,
    is_concrete,
    require_count,
    require_same_length,
    require_within,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key

__all__ = ["Interval", "PermutationNull", "halving_interval", "permutation_null"]

Estimator = Callable[..., Any]

_CELL = 8  # samples among which those with nearly the same value of a given variable are exchanged


@concise
class PermutationNull(NamedTuple):
    """What an estimate of mutual information would be if the variables were independent.

    Attributes:
      information: the estimate itself.
      mean: its mean over permutations of one variable, which is the bias of the estimate under independence.
      p_value: share of the permutations, the identity among them, that give at least the estimate.
      debiased: the estimate less that mean, non-negative. An estimate, not an upper bound.
    """

    information: Float[Array, "*rows"]
    mean: Float[Array, "*rows"]
    p_value: Float[Array, "*rows"]
    debiased: Float[Array, "*rows"]


@concise
class Interval(NamedTuple):
    """An estimate of information and how far chance in the samples carries it.

    Attributes:
      information: the estimate itself.
      standard_error: its standard deviation over sets of as many samples.
      interval: its ends, the estimate and so many standard errors on either side. The bias of the estimator is not in
        it.
      mean_of_halves: the mean of the estimates from half of the samples. Where it is standard errors away from the
        information, the estimate still depends on the number of samples, and is biased.
    """

    information: Float[Array, "*rows"]
    standard_error: Float[Array, "*rows"]
    interval: Float[Array, "2 *rows"]
    mean_of_halves: Float[Array, "*rows"]


@edge
def permutation_null(
    key: Key,
    estimate: Estimator,
    x: Shaped[AnyArray, "samples ..."],
    y: Shaped[AnyArray, "samples ..."],
    *,
    given: Shaped[AnyArray, "samples ..."] | None = None,
    num_permutations: int = 200,
) -> PermutationNull:
    """Compares an estimate of mutual information with the same estimate after permutations of the samples of x.

    Args:
      key: source of randomness.
      estimate: `estimate(x, y)`, or `estimate(x, y, given)` of a conditional information.
      x, y: samples, whose first axis is permuted in x and stays in y.
      given: of a conditional information, what the variables are to be independent given. Samples are exchanged with
        those of the same value where it has one axis, as labels have; else with those of nearly the same values, in
        cells of eight samples, or of up to twice as many.
      num_permutations: how many random permutations. No p-value is below 1 / (1 + num_permutations).

    Returns:
      The estimate, its null mean and its p-value, each of the shape of an estimate.

    Raises:
      ValueError: if there is no permutation, the numbers of samples differ, or as `estimate` does.

    Source: Phipson and Smyth, 2010, for the p-value; Runge, 2018, for permutations among those of nearly the same
    values of what is given.
    """
    require_count(1, num_permutations=num_permutations)
    others: tuple[Any, ...] = (y,) if given is None else (y, given)
    require_same_length(**dict(zip(("x", "y", "given"), (x, *others), strict=False)))
    first, *rest = _alike(key, x, *others)
    permuted = lambda order: estimate(first[order], *rest)
    information = jnp.asarray(estimate(first, *rest))
    return null_of(information, _each(permuted, _orders(key, _cells(len(x), given), num_permutations), first, *rest))


@edge
def halving_interval(
    key: Key,
    estimate: Estimator,
    *columns: Shaped[AnyArray, "samples ..."],
    num_halvings: int = 100,
    level: float = 0.95,
) -> Interval:
    """Tells the standard error of an estimate from its differences between halves of the samples.

    The halves are drawn without replacement: a bootstrap repeats samples, which nearest neighbours take for information
    and counts for concentration. Two halves are independent, and the variance of an estimate falls with the number of
    samples, so that of all samples is a quarter of the mean square of the difference.

    Args:
      key: source of randomness.
      estimate: `estimate(*columns)`, of any samples.
      *columns: arrays with one row for each sample, which are drawn together.
      num_halvings: into how many pairs of halves the samples are cut, at random.
      level: confidence of the interval, that of a normal distribution.

    Returns:
      The estimate, its standard error and its interval, each of the shape of an estimate.

    Raises:
      ValueError: if there are fewer than four samples, their numbers differ, there is no halving, the level is not in
        (0, 1), or as `estimate` does of half the samples.

    Source: Shao and Wu, 1989; Holmes and Nemenman, 2019, for neighbour estimators.
    """
    require_count(1, num_halvings=num_halvings)
    require_within("(0, 1)", level=level)
    require_same_length(**{f"columns[{place}]": column for place, column in enumerate(columns)})
    count = len(columns[0])
    require_count(4, **{"the number of samples": count})
    half = count // 2
    columns = _alike(key, *columns)

    information = jnp.asarray(estimate(*columns))
    orders = _orders(key, jnp.zeros(count, int), num_halvings)
    parts = orders[:, : 2 * half].reshape(2 * num_halvings, half)
    halves = _each(lambda rows: estimate(*(column[rows] for column in columns)), parts, *columns)
    halves = halves.reshape(num_halvings, 2, *halves.shape[1:])
    variance_of_half = ((halves[:, 0] - halves[:, 1]) ** 2).mean(0) / 2
    error = jnp.sqrt(variance_of_half * half / count)
    reach = statistics.NormalDist().inv_cdf((1 + level) / 2) * error
    return Interval(information, error, jnp.stack([information - reach, information + reach]), halves.mean((0, 1)))


def null_of(information: Float[Array, "*rows"], null: Float[Array, "permutations *rows"]) -> PermutationNull:
    """The core of `permutation_null`, once its estimates are there."""
    # equal tables in another order differ by rounding, and must tie
    threshold = information - jnp.finfo(information.dtype).eps ** 0.5 * abs(information)
    p_value = (1 + (null >= threshold).sum(0)) / (1 + len(null))
    mean = null.mean(0)
    return PermutationNull(information, mean, p_value.astype(information.dtype), jnp.maximum(information - mean, 0))


def _alike(key: Key, *columns: Any) -> tuple[Any, ...]:
    """The columns as they are where all can be looked at; else all as arrays that a tracer may be an index of."""
    return columns if all(map(is_concrete, (key, *columns))) else tuple(map(jnp.asarray, columns))


def _each(measure: Callable[[Any], Any], orders: Int[Array, "times samples"], *columns: Any) -> Array:
    """The measure of each order: one after the other on the host, where estimators may look for a tree, or traced."""
    if not all(is_concrete(array) for array in (orders, *columns)):
        return lax.map(measure, orders)
    with warnings.catch_warnings():
        # what is to be said has been said of all samples
        warnings.simplefilter("ignore")
        return jnp.stack([jnp.asarray(measure(order)) for order in np.asarray(orders)])


@partial(jax.jit, static_argnums=2)
def _orders(key: Key, cells: Int[Array, " samples"], times: int) -> Int[Array, "times samples"]:
    """Random permutations that exchange only what is in the same cell."""
    places = jnp.argsort(cells, stable=True)

    def order(key: Key) -> Array:
        drawn = jnp.lexsort((jax.random.uniform(key, cells.shape), cells))
        return jnp.zeros_like(drawn).at[places].set(drawn)

    return lax.map(order, jax.random.split(key, times))


def _cells(count: int, given: Any) -> Any:
    """Where samples have the same label, or nearly the same values: halves of halves, one column after the other."""
    numpy = np if is_concrete(given) else jnp
    cells = numpy.zeros(count, int)
    if given is None:
        return cells
    if np.ndim(given) == 1:
        return class_labels(given, name="given").codes if is_concrete(given) else given
    for halving in range(max(0, (count // _CELL).bit_length() - 1)):
        order = numpy.lexsort((given[:, halving % given.shape[1]], cells))
        ordered = cells[order]
        first, last = (numpy.searchsorted(ordered, ordered, side=side) for side in ("left", "right"))
        upper = 2 * (numpy.arange(count) - first) >= last - first
        cells = (2 * ordered + upper)[numpy.argsort(order)]
    return cells
