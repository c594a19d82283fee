"""How far chance in the examples carries any measure; two models on the same examples; groups of them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Real, Shaped

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_count,
    require_same_length,
    require_within,
    to_numpy,
    warn,
)
from infotheory_dl.metrics import predictions, reliability
from infotheory_dl.metrics._weighing import Weighing
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key

Result: TypeAlias = Any
"""What a measure returns: an array, or a pytree of them."""

# measures whose resamples are weights: how often each example is drawn
_WEIGHINGS: dict[Callable[..., Result], Weighing] = {
    predictions.binary: predictions.BINARY,
    predictions.multilabel: predictions.MULTILABEL,
    predictions.regression: predictions.REGRESSION,
    predictions.cohen_kappa: predictions.KAPPA,
    reliability.calibration: reliability.CALIBRATION,
}
# numbers that resamples which are measured side by side hold together, and how many of them there are at most
_MOST_NUMBERS, _MOST_AT_ONCE = 1 << 25, 256


@concise
class Spread(NamedTuple):
    """What resamples say of a measure, each attribute in its form.

    Attributes:
      mean: over the resamples.
      median: over the resamples.
      std: their standard deviation, the standard error of the measure.
      low: the lower end of the central interval.
      high: its upper end.
    """

    mean: Result
    median: Result
    std: Result
    low: Result
    high: Result


@concise
class Subgroups(NamedTuple):
    """A measure of each group of examples.

    Attributes:
      names: of the groups, in order.
      sizes: examples of each.
      measures: with an axis of groups in front; NaN where a group has one class only.
    """

    names: tuple[Any, ...]
    sizes: np.ndarray
    measures: Result


@edge
def bootstrap(
    key: Key,
    measure: Callable[..., Result],
    *columns: Shaped[AnyArray, "examples ..."],
    groups: Shaped[AnyArray, " examples"] | None = None,
    weights: Real[AnyArray, " examples"] | None = None,
    num_resamples: int = 1000,
    **settings: Any,
) -> Result:
    """Measures again and again on as many examples, drawn from the given ones with replacement.

    Of `binary`, `multilabel`, `regression`, `cohen_kappa` and `calibration` a resample is how often each example is
    drawn: scores are ordered once. Any other measure is given the examples that are drawn.

    Args:
      key: source of randomness. The same key draws the same examples, so that the resamples of two models pair.
      measure: one of the above, or `measure(*columns, **settings)` of some examples, traceable; `jnp.mean` of right and
        wrong is the accuracy. It is compiled once, for columns of the same shapes: give the same function again, not
        another of the same text.
      *columns: arrays with one row for each example, which are drawn together.
      groups: of examples that are drawn together, such as the patient of each sample; as many groups are drawn. By
        default each example is drawn by itself, which makes intervals too narrow where those of a group are alike. For
        the measures above alone.
      weights: how much each example counts, 0 to leave it out. For the measures above alone.
      num_resamples: how often.
      **settings: of the measure.

    Returns:
      The measures, with an axis of resamples in front; NaN where a resample has one class only. Their standard
      deviation is the standard error of the measure on the given examples, their quantiles an interval of confidence:
      `spread`.

    Raises:
      ValueError: if there is no resample, no example, the columns are of unequal lengths, groups or weights are given
        for another measure, or as the measure says.

    Warns:
      UserWarning: if resamples have one class only.

    Source: Efron, 1979; Field and Welsh, 2007 (groups).
    """
    lengths = [np.shape(column)[0] for column in columns]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(f"columns must be of the same number of examples, at least 1, got lengths {lengths}")
    require_count(1, num_resamples=num_resamples)
    if measure not in _WEIGHINGS:
        if groups is not None or weights is not None:
            known = ", ".join(sorted(weighed.__name__ for weighed in _WEIGHINGS))
            raise ValueError(f"groups and weights are for the measures {known}, not for others")
        chosen = functools.partial(measure, **settings) if settings else measure
        return _bootstrap(chosen, num_resamples, key, [jnp.asarray(column) for column in columns])
    found = weighed_resamples(
        key, measure, *columns, groups=groups, weights=weights, num_resamples=num_resamples, **settings
    )
    defined = _WEIGHINGS[measure].is_defined(found)
    if is_concrete(defined) and not bool(defined.all()):
        warn(
            f"{int((~defined).sum())} of {num_resamples} resamples have one class only: what needs both is NaN there,"
            " and spread leaves them out"
        )
    return found


def weighed_resamples(
    key: Key,
    measure: Callable[..., Result],
    *columns: AnyArray,
    groups: AnyArray | None,
    weights: AnyArray | None,
    num_resamples: int,
    **settings: Any,
) -> Result:
    """The core of `bootstrap` of a measure that weighs: it does not tell of resamples with one class only."""
    weighing = _WEIGHINGS[measure]
    arrays = weighing.check(*columns, weights=weights, **settings)
    codes = np.arange(len(columns[0]))
    if groups is not None:
        require_same_length(columns=columns[0], groups=groups)
        codes = np.unique(to_numpy(groups), return_inverse=True)[1]
    counts = jnp.ones(len(codes)) if weights is None else jnp.asarray(weights, float)
    program = _Program(weighing, tuple(sorted(settings.items())), num_resamples, int(codes.max()) + 1)
    return _weighed(program, key, arrays, jnp.asarray(codes), counts)


@edge
def difference(
    key: Key,
    measure: Callable[..., Result],
    labels: Shaped[AnyArray, "examples ..."],
    first: Shaped[AnyArray, "examples ..."],
    second: Shaped[AnyArray, "examples ..."],
    **options: Any,
) -> Result:
    """Measures by how much a model exceeds another, again and again on the same resamples of the examples.

    What makes an example hard for both does not widen the interval of their difference.

    Args:
      key: source of randomness.
      measure: as in `bootstrap`.
      labels: of the examples.
      first: predictions of a model.
      second: predictions of another one.
      **options: those of `bootstrap`.

    Returns:
      Of each resample what the first measures, less what the second does. Zero outside of the interval of `spread` says
      that one is better.

    Raises:
      ValueError: as in `bootstrap`.

    Warns:
      UserWarning: if resamples have one class only.
    """
    one, other = (bootstrap(key, measure, labels, model, **options) for model in (first, second))
    return jax.tree.map(jnp.subtract, one, other)


@edge
def spread(resamples: Result, *, level: float = 0.95) -> Spread:
    """Summarises resamples; those that are NaN are left out.

    Args:
      resamples: of `bootstrap` or `difference`.
      level: share of the resamples in the central interval.

    Raises:
      ValueError: if the level is not in (0, 1).
    """
    require_within("(0, 1)", level=level)
    tail = (1 - level) / 2
    ways = (
        jnp.nanmean,
        jnp.nanmedian,
        jnp.nanstd,
        functools.partial(jnp.nanquantile, q=tail),
        functools.partial(jnp.nanquantile, q=1 - tail),
    )
    return Spread(*(jax.tree.map(functools.partial(way, axis=0), resamples) for way in ways))


@edge
def subgroups(
    measure: Callable[..., Result],
    *columns: Shaped[AnyArray, "examples ..."],
    groups: Shaped[AnyArray, " examples"],
    **settings: Any,
) -> Subgroups:
    """Measures each group of examples, all in one program.

    Args:
      measure: `binary`, `multilabel`, `regression`, `cohen_kappa` or `calibration`.
      *columns: what it takes, with one row for each example.
      groups: the name of each example's group, such as the sex of its patient.
      **settings: of the measure.

    Raises:
      ValueError: if the groups are not as many as the examples, the measure is another, or as it says.
    """
    if measure not in _WEIGHINGS:
        known = ", ".join(sorted(weighed.__name__ for weighed in _WEIGHINGS))
        raise ValueError(f"subgroups are measured by {known}, got {getattr(measure, '__name__', measure)}")
    weighing = _WEIGHINGS[measure]
    require_same_length(columns=columns[0], groups=groups)
    arrays = weighing.check(*columns, weights=None, **settings)
    names, codes = np.unique(to_numpy(groups), return_inverse=True)
    members = codes == np.arange(len(names))[:, None]
    measures = _of_members(weighing, tuple(sorted(settings.items())), arrays, jnp.asarray(members))
    return Subgroups(tuple(names.tolist()), members.sum(1), measures)


class _Program(NamedTuple):
    """What a bootstrap is compiled for."""

    weighing: Weighing
    settings: tuple[tuple[str, Any], ...]
    num_resamples: int
    num_groups: int


@functools.partial(jax.jit, static_argnums=0)
def _weighed(program: _Program, key: Key, columns: Any, groups: Array, weights: Array) -> Result:
    prepared = program.weighing.prepare(*columns, **dict(program.settings))

    def resample(key: Key) -> Result:
        drawn = jax.random.randint(key, (program.num_groups,), 0, program.num_groups)
        counts = jnp.zeros(program.num_groups, weights.dtype).at[drawn].add(1)
        return program.weighing.measure(prepared, weights * counts[groups])

    keys = jax.random.split(key, program.num_resamples)
    at_once = max(1, min(_MOST_AT_ONCE, program.num_resamples, _MOST_NUMBERS // max(column.size for column in columns)))
    return lax.map(resample, keys, batch_size=at_once)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _of_members(
    weighing: Weighing, settings: tuple[tuple[str, Any], ...], columns: Any, members: Bool[Array, "groups examples"]
) -> Result:
    prepared = weighing.prepare(*columns, **dict(settings))
    return jax.vmap(lambda weights: weighing.measure(prepared, weights.astype(float)))(members)


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
