"""Roots and minima in one variable: in a fixed number of steps, elementwise, differentiable at the solution."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl.types import Scalar


def bisection(
    function: Callable[[Array], Array], low: Float[Array, "..."], high: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Finds the root of an increasing function, elementwise.

    Derivatives in what the function closes over are those of the implicit function theorem; they are zero where the
    root lies at an end.

    Args:
      function: from the argument to a value of the same shape, each depending on its own argument only.
      low, high: the interval.

    Returns:
      The root, or the end of the interval that is nearest to it.
    """
    low, high = jnp.broadcast_arrays(low, high)

    def halve(_: Scalar, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = interval
        middle = (low + high) / 2
        below = lax.stop_gradient(function(middle)) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    start = lax.stop_gradient((low, high))
    inner_low, inner_high = lax.fori_loop(0, _digits(low.dtype), halve, start)
    root = (inner_low + inner_high) / 2
    # one step of Newton: it moves the root by no more than its rounding, and carries its derivative
    value, slope = jax.jvp(function, (root,), (jnp.ones_like(root),))
    steep = lax.stop_gradient(slope) > 0
    root = jnp.where(steep, root - value / lax.stop_gradient(jnp.where(steep, slope, 1)), root)
    root = jnp.where(inner_low == start[0], low, root)
    return jnp.where(inner_high == start[1], high, root)


def golden_section(
    function: Callable[[Array], Array], low: Float[Array, "..."], high: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Finds the minimum of a function with one valley, elementwise.

    Args:
      function: from the argument to a value of the same shape, each depending on its own argument only.
      low, high: the interval. Its ends are approached and not reached.

    Returns:
      The least value. Its derivatives in what the function closes over are those at the minimum, which stands still.
    """
    low, high = lax.stop_gradient(jnp.broadcast_arrays(low, high))
    shrink = (5**0.5 - 1) / 2
    evaluate = lambda argument: lax.stop_gradient(function(argument))

    def narrow(_: Scalar, state: tuple[Array, ...]) -> tuple[Array, ...]:
        low, high, left, right, left_value, right_value = state
        go_left = left_value <= right_value
        low, high = jnp.where(go_left, low, left), jnp.where(go_left, right, high)
        fresh = jnp.where(go_left, high - shrink * (high - low), low + shrink * (high - low))
        value = evaluate(fresh)
        return (
            low,
            high,
            jnp.where(go_left, fresh, right),
            jnp.where(go_left, left, fresh),
            jnp.where(go_left, value, right_value),
            jnp.where(go_left, left_value, value),
        )

    left, right = high - shrink * (high - low), low + shrink * (high - low)
    state = (low, high, left, right, evaluate(left), evaluate(right))
    # log2(1 / shrink) = 0.694 digits a step
    *_, left, right, left_value, right_value = lax.fori_loop(0, int(_digits(low.dtype) / 0.694) + 1, narrow, state)
    return function(jnp.where(left_value <= right_value, left, right))


def _digits(dtype: jnp.dtype) -> int:
    """Binary digits after which an interval does not shrink any more, with some to spare for roots near zero."""
    return jnp.finfo(dtype).nmant + 12
