"""Samples as the formulas want them: checked, in units of their own spread, without ties; and how they get there."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from infotheory_dl._precision import in_double
from infotheory_dl._validation import is_concrete, require_count, require_same_length
from infotheory_dl.information._tables import as_table, in_double_precision
from infotheory_dl.information.neighbours._search import ALL_PAIRS, TREE, Search
from infotheory_dl.types import Key

Formula = Callable[..., Any]
"""An estimator: `formula(search, neighbours, key, *arrays)` is one number."""

_LEAST_NOISE = 1e-10
_LEVELS = 4  # of the noise, for each sample
_DEFAULT_SEED = 0


class Scaled(NamedTuple):
    """Samples of one variable, each column in units of its own spread.

    The spread is what nine tenths of the deviations from the median are within, of those that are not zero. Unlike a
    standard deviation it hears neither a few outliers nor a value that most samples have.

    Attributes:
      values: deviations from the median; zero in a column that does not vary.
      log_spread: of each column; minus infinity where it does not vary.
      tied: columns that vary and have a value more than once.
    """

    values: Any
    log_spread: Any
    tied: Any


def as_tables(neighbours: int, **variables: Any) -> list[Any]:
    """Checks samples of variables that were drawn together, and brings them into the form that `estimate` takes."""
    tables = {name: as_table(name, samples) for name, samples in variables.items()}
    require_same_length(**tables)
    count = len(next(iter(tables.values())))
    require_count(1, count - 1, "fewer than the samples", neighbours=neighbours)
    return [in_double_precision(table) for table in tables.values()]


def estimate(formula: Formula, neighbours: int, key: Key | None, *arrays: Any, dtype: Any) -> Array:
    """Evaluates a formula on the host where all its arrays can be looked at, unless there is an accelerator."""
    known = all(is_concrete(array) for array in (key, *arrays))
    if known and jax.default_backend() == "cpu":
        # also within a program that is being traced and has these arrays for constants
        with jax.ensure_compile_time_eval(), np.errstate(all="ignore"):
            return jnp.asarray(formula(TREE, neighbours, key, *arrays), dtype)
    if not known:
        arrays = tuple(_before_rounding(array) for array in arrays)
    return in_double(partial(_compiled, formula, neighbours), key, *arrays, dtype=dtype)


def scaled(search: Search, table: Any, valid: Any = None) -> Scaled:
    """Takes samples, of which some may not count, to units of the spread of each column."""
    numpy = search.numpy
    # differences of any two finite numbers are finite then
    table = table / 4
    counts = numpy.ones(len(table), bool) if valid is None else valid
    size = counts.sum()
    ordered = numpy.sort(numpy.where(counts[:, None], table, numpy.inf), axis=0)
    values = table - (ordered[(size - 1) // 2] + ordered[size // 2]) / 2
    deviations = numpy.sort(numpy.where(counts[:, None], abs(values), numpy.inf), axis=0)
    zeros = (deviations == 0).sum(0)
    place = zeros + (9 * (size - zeros) - 1) // 10
    spread = numpy.take_along_axis(deviations, place[None], axis=0)[0]
    varies = spread > 0
    repeated = (ordered[1:] == ordered[:-1]) & numpy.isfinite(ordered[1:])
    largest = numpy.finfo(values.dtype).max / 4
    return Scaled(
        numpy.clip(values / numpy.where(varies, spread, 1), -largest, largest),
        numpy.log(spread) + numpy.log(4.0),
        varies & repeated.any(0),
    )


def without_ties(search: Search, key: Key | None, variable: Scaled, place: int = 0) -> Any:
    """Adds noise to the tied columns of the variable that is at this place among those of an estimator."""
    numpy, values = search.numpy, variable.values
    if numpy is np and not variable.tied.any():
        return values
    key = jax.random.key(_DEFAULT_SEED) if key is None else key
    bits = numpy.asarray(jax.random.bits(jax.random.fold_in(key, place), values.shape, jnp.uint32))
    noise = bits.astype(values.dtype) / 2.0**32 - 0.5
    amplitude = max(_LEAST_NOISE, _LEVELS * len(values) * float(numpy.finfo(values.dtype).eps))
    return values + numpy.where(variable.tied, amplitude * numpy.maximum(abs(values), 1) * noise, 0)


def in_units(search: Search, key: Key | None, *tables: Any) -> list[Any]:
    """Scales variables and breaks the ties of each."""
    return [without_ties(search, key, scaled(search, table), place) for place, table in enumerate(tables)]


def zero_if_constant(search: Search, information: Any, *variables: Any) -> Any:
    """What does not vary tells nothing, whatever a formula says."""
    vary = [(variable != variable[:1]).any() for variable in variables]
    return search.numpy.where(search.numpy.stack(vary).all(), information, 0)


def scaled_if_known(table: Any) -> tuple[Any, Any]:
    """Values and logs of spreads of samples that can be looked at; others as they are, and zeros."""
    if not is_concrete(table):
        return table, np.zeros(table.shape[1])
    with np.errstate(all="ignore"):
        return scaled(TREE, table)[:2]


def _before_rounding(array: Any) -> Array:
    """Tables as floating-point numbers. In which units they are no formula notices."""
    if array.ndim != 2:
        return jnp.asarray(array)
    values = jnp.asarray(scaled_if_known(array)[0])
    return values if jnp.issubdtype(values.dtype, jnp.floating) else values.astype(float)


@partial(jax.jit, static_argnums=(0, 1))
def _compiled(formula: Formula, neighbours: int, key: Key | None, *arrays: Array) -> Array:
    return formula(ALL_PAIRS, neighbours, key, *arrays)
