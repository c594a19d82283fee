"""How far chance in the examples carries any measure."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Shaped

from infotheory_dl._validation import edge, require_count
from infotheory_dl.types import AnyArray, Key


@edge
def bootstrap(
    key: Key,
    measure: Callable[..., Array],
    *columns: Shaped[AnyArray, "examples ..."],
    num_resamples: int = 1000,
) -> Shaped[Array, "resamples ..."]:
    """Measures again and again on as many examples, drawn from the given ones with replacement.

    Args:
      key: source of randomness.
      measure: `measure(*columns)` of some examples, traceable; `jnp.mean` of right and wrong is the accuracy. It is
        compiled once, for columns of the same shapes: give the same function again, not another of the same text.
      *columns: arrays with one row for each example, which are drawn together.
      num_resamples: how often.

    Returns:
      The measures. Their standard deviation is the standard error of the measure on the given examples, their quantiles
      an interval of confidence.

    Raises:
      ValueError: if there is no resample, no example, or the columns are of unequal lengths.

    Source: Efron, 1979.
    """
    lengths = [np.shape(column)[0] for column in columns]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(f"columns must be of the same number of examples, at least 1, got lengths {lengths}")
    require_count(1, num_resamples=num_resamples)
    return _bootstrap(measure, num_resamples, key, [jnp.asarray(column) for column in columns])


@functools.partial(jax.jit, static_argnums=(0, 1))
def _bootstrap(measure: Callable[..., Array], num_resamples: int, key: Key, columns: list[Array]) -> Array:
    measure_rows = lambda rows: measure(*(column[rows] for column in columns))
    return resampled(key, measure_rows, (len(columns[0]),), num_resamples)


def resampled(key: Key, measure: Callable[..., Any], sizes: tuple[int, ...], num_resamples: int) -> Any:
    """The core of `bootstrap`, to be called in a compiled program.

    Args:
      key: source of randomness.
      measure: of rows, drawn with replacement: `measure(*rows)`, one array of indices for each size.
      sizes: of the lists that are drawn from, independently of each other; as many are drawn.
      num_resamples: how often.

    Returns:
      What `measure` returns, with an axis of resamples in front.
    """

    def resample(key: Key) -> Any:
        keys = jax.random.split(key, len(sizes)) if len(sizes) > 1 else [key]
        return measure(*(jax.random.randint(k, (size,), 0, size) for k, size in zip(keys, sizes, strict=True)))

    return lax.map(resample, jax.random.split(key, num_resamples))
