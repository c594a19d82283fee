"""Measures of examples that count so often each: what all weights share is computed once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._precision import in_double
from infotheory_dl._validation import is_concrete, require_not_negative, require_same_length
from infotheory_dl.types import AnyArray


class Weighing(NamedTuple):
    """A measure, in steps.

    Attributes:
      check: `check(*columns, **settings)` raises errors, and returns arrays of JAX.
      prepare: `prepare(*columns, **settings)` is what all weights share, such as the order of scores.
      measure: `measure(prepared, weights)`.
      is_defined: whether a measure is, of what `measure` returns.
    """

    check: Callable[..., tuple[Array, ...]]
    prepare: Callable[..., Any]
    measure: Callable[[Any, Array], Any]
    is_defined: Callable[[Any], Array]


class Falling(NamedTuple):
    """Examples from the highest score on.

    Attributes:
      order: their places.
      labels: whether they are positives.
      is_first: whether no example before has the same score.
      is_called: whether the score exceeds one half.
    """

    order: Int[Array, " examples"]
    labels: Bool[Array, " examples"]
    is_first: Bool[Array, " examples"]
    is_called: Bool[Array, " examples"]


class Curves(NamedTuple):
    """What the curves of a threshold that falls come to.

    Attributes:
      auroc: area under the receiver operating characteristic.
      auprc: area under precision over recall.
      minpse: the greatest lesser of precision and recall.
    """

    auroc: Float[Array, ""]
    auprc: Float[Array, ""]
    minpse: Float[Array, ""]


def measured(weighing: Weighing, *columns: AnyArray, weights: AnyArray | None, **settings: Any) -> Any:
    """The measure of checked columns, in double precision."""
    arrays = weighing.check(*columns, weights=weights, **settings)
    counts = jnp.ones(len(arrays[0])) if weights is None else jnp.asarray(weights, float)
    program = functools.partial(_measured, weighing, tuple(sorted(settings.items())))
    return in_double(program, arrays, counts, dtype=jax.dtypes.canonicalize_dtype(float))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _measured(weighing: Weighing, settings: tuple[tuple[str, Any], ...], columns: Any, weights: Array) -> Any:
    return weighing.measure(weighing.prepare(*columns, **dict(settings)), weights)


def require_weights(weights: AnyArray | None, examples: AnyArray) -> None:
    """Raises a ValueError unless there is a weight for each example, and one that is not zero."""
    if weights is None:
        return
    require_same_length(labels=examples, weights=weights)
    require_not_negative(weights=weights)
    if is_concrete(weights) and not np.any(np.asarray(weights)):
        raise ValueError("weights must be positive somewhere, all are 0")


def falling(labels: Bool[Array, " examples"], scores: Float[Array, " examples"]) -> Falling:
    """Orders examples by their scores, the highest first."""
    order = jnp.argsort(-scores)
    ordered = scores[order]
    is_first = jnp.concatenate([jnp.ones(1, bool), ordered[1:] != ordered[:-1]])
    return Falling(order, labels[order], is_first, ordered > 0.5)


def curves(examples: Falling, weights: Float[Array, " examples"]) -> Curves:
    """One pass over the examples with a few sums; many weights at once go through it side by side.

    Examples of one score pass the threshold together: a trapezoid is closed where the next score begins.
    """
    weights = weights[examples.order]
    positives = weights @ examples.labels.astype(weights.dtype)
    negatives = weights.sum() - positives

    def closed(state):
        found, false, precision, under_roc, under_precision, minpse, more, others = state
        found, false, before, found_before = found + more, false + others, precision, found
        # before anything is called positive, precision is one
        precision = jnp.where(found + false > 0, found / (found + false), 1)
        under_roc = _plus(under_roc, others * (found + found_before))
        under_precision = _plus(under_precision, more * (precision + before))
        minpse = jnp.maximum(minpse, jnp.minimum(precision, found / positives))
        return found, false, precision, under_roc, under_precision, minpse

    def step(state, example):
        label, is_first, weight = example
        *sums, more, others = state
        sums = jax.tree.map(lambda new, old: jnp.where(is_first, new, old), closed(state), tuple(sums))
        more = jnp.where(is_first, 0, more) + weight * label
        others = jnp.where(is_first, 0, others) + weight * ~label
        return (*sums, more, others), None

    nothing = jnp.zeros_like(positives)
    start = (nothing, nothing, nothing + 1, (nothing, nothing), (nothing, nothing), nothing, nothing, nothing)
    end, _ = jax.lax.scan(step, start, (examples.labels, examples.is_first, weights))
    *_, (under_roc, _), (under_precision, _), minpse = closed(end)
    # an area needs both classes: 0 / 0 where there is one
    areas = Curves(under_roc / positives / negatives / 2, under_precision / positives / 2, minpse)
    has_both = (positives > 0) & (negatives > 0)
    return jax.tree.map(lambda value: jnp.where(has_both, value, jnp.nan), areas)


def _plus(total: tuple[Array, Array], value: Array) -> tuple[Array, Array]:
    """A sum and what rounding has added to it (Kahan): in single precision, a long sum of small areas drifts."""
    value = value - total[1]
    added = total[0] + value
    return added, (added - total[0]) - value
