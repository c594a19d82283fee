"""How much rows depend on their neighbours in the order in which they come."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Real

from infotheory_dl._validation import edge, require_finite, require_not_empty, require_rank, require_same_length
from infotheory_dl.types import AnyArray


@edge
def serial_correlation(
    values: Real[AnyArray, "rows columns"], groups: Integer[AnyArray, " rows"] | None = None
) -> Float[Array, ""]:
    """Computes how much a row has in common with the next one.

    Of rows whose order tells nothing it is about -1 / rows. What chance makes of it is told by
    `information.chance.permutation_null`, which permutes the rows, within groups where these are `given` to it.

    Args:
      values: one row for each example, in their order; all columns in one unit.
      groups: of the rows, such as their classes, as whole numbers. The next row is then the next one of the same group,
        and the means of the groups are no matter.

    Returns:
      The sum of the products of every row with the next, over the sum of the squares, of rows less the mean of their
      group. Zero where nothing varies.

    Raises:
      ValueError: if there is no row, an entry is NaN or infinite, or the lengths differ.

    Source: Wald and Wolfowitz, 1943.
    """
    require_rank("values", values, 2, "(rows, columns)")
    require_not_empty(values=values)
    require_finite(values=values)
    if groups is None:
        groups = jnp.zeros(len(values), int)
    require_same_length(values=values, groups=groups)
    return _correlation_in_order(jnp.asarray(values, float), jnp.asarray(groups))


@jax.jit
def _correlation_in_order(values: Float[Array, "rows columns"], groups: Integer[Array, " rows"]) -> Float[Array, ""]:
    order = jnp.argsort(groups, stable=True)
    rows, ordered = values[order], groups[order]
    goes_on = ordered[1:] == ordered[:-1]
    codes = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(~goes_on)])
    sums = jax.ops.segment_sum(jnp.concatenate([rows, jnp.ones_like(rows[:, :1])], axis=1), codes, len(rows))
    centred = rows - (sums[:, :-1] / jnp.maximum(sums[:, -1:], 1))[codes]
    # what rounding leaves of a constant is no variation
    squares = jnp.square(centred).sum()
    varies = squares > 1e-12 * jnp.square(rows).sum()
    products = jnp.where(goes_on[:, None], centred[1:] * centred[:-1], 0).sum()
    return jnp.where(varies, products / jnp.where(varies, squares, 1), 0)
