"""Mutual information of variables whose dependence is that of a Gaussian, whatever the distribution of each.

Each column is replaced by its normal scores, so that units and monotone changes of a column do not matter. Of variables
that depend on each other in another way the estimate is a lower bound, but for chance.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, ndtri
from jaxtyping import Array, Float, Real

from infotheory_dl._validation import edge, require_same_length
from infotheory_dl.information._tables import as_table, result_dtype
from infotheory_dl.information.discrete import places
from infotheory_dl.types import AnyArray

__all__ = ["conditional_mutual_information", "mutual_information", "normal_scores"]


@edge
def normal_scores(samples: Real[AnyArray, "samples variables"]) -> Float[Array, "samples variables"]:
    """Replaces every value by the normal quantile of its rank, rank / (samples + 1); of equal values the mean rank.

    Args:
      samples: independent draws.

    Raises:
      ValueError: if a sample is NaN or infinite, or there is none.
    """
    return _scores(as_table("samples", samples), result_dtype(samples))


@edge
def mutual_information(
    x: Real[AnyArray, "samples x_variables"], y: Real[AnyArray, "samples y_variables"]
) -> Float[Array, ""]:
    """Estimates the mutual information of two variables with a Gaussian copula, either of several columns.

    Args:
      x, y: independent draws of the pair.

    Returns:
      The information in nats of Gaussians with the canonical correlations of the normal scores, less its bias. It may
      be negative; zero if a variable does not vary, infinite if a combination of columns of one is one of the other's.

    Raises:
      ValueError: if a sample is NaN or infinite, the numbers of samples differ, or there are no more samples than
        columns and one.

    Source: Ince et al., 2017; Miller, 1955, and Misra, Singh and Demchuk, 2005, for the bias of Gaussian entropies.
    """
    return _estimate(x=x, y=y)


@edge
def conditional_mutual_information(
    x: Real[AnyArray, "samples x_variables"],
    y: Real[AnyArray, "samples y_variables"],
    given: Real[AnyArray, "samples given_variables"],
) -> Float[Array, ""]:
    """Estimates what two variables tell of each other where a third is known, with a Gaussian copula of all.

    Args:
      x, y, given: independent draws of the three.

    Returns:
      The information in nats, less its bias, as in `mutual_information`.

    Raises:
      ValueError: as in `mutual_information`.

    Source: Ince et al., 2017.
    """
    return _estimate(x=x, y=y, given=given)


def _estimate(**variables: Any) -> Array:
    tables = {name: as_table(name, samples) for name, samples in variables.items()}
    require_same_length(**tables)
    columns = sum(table.shape[1] for table in tables.values())
    count = len(tables["x"])
    if count < columns + 2:
        raise ValueError(
            f"a Gaussian copula of {columns} columns needs at least {columns + 2} samples, got {count}: take fewer"
            " columns, or the estimators by neighbours"
        )
    dtype = result_dtype(*variables.values())
    return _information(*(_scores(table, dtype) for table in tables.values()))


def _scores(table: Any, dtype: Any) -> Array:
    from_above = ~table if jnp.issubdtype(table.dtype, jnp.integer) else -table
    return _quantiles(places(table), places(from_above), dtype)


@partial(jax.jit, static_argnums=2)
def _quantiles(smaller: Array, larger: Array, dtype: Any) -> Array:
    count = len(smaller)
    # of equal values the mean of the first place and the last
    ranks = (smaller + count + 1 - larger).astype(dtype) / 2
    return ndtri(ranks / (count + 1))


@jax.jit
def _information(x: Array, y: Array, given: Array | None = None) -> Array:
    freedom = jnp.asarray(len(x) - 1.0, x.dtype)
    x, y = x - x.mean(0), y - y.mean(0)
    if given is not None:
        known, rank = _basis(given - given.mean(0))
        x, y = (table - known @ (known.T @ table) for table in (x, y))
        freedom = freedom - rank
    (x, x_rank), (y, y_rank) = _basis(x), _basis(y)
    correlations = jnp.linalg.svd(x.T @ y, compute_uv=False)
    left = (1 - correlations) * (1 + correlations)
    # what is left of a correlation of one is rounding
    left = jnp.where(left <= 32 * jnp.finfo(left.dtype).eps, 0, left)
    bias = _bias(x_rank, freedom, x.shape[1]) + _bias(y_rank, freedom, y.shape[1])
    bias = bias - _bias(x_rank + y_rank, freedom, x.shape[1] + y.shape[1])
    return -jnp.log(left).sum() / 2 - bias


def _basis(table: Array) -> tuple[Array, Array]:
    """Orthonormal columns that span those of the table, zero beyond its rank; and its rank."""
    basis, sizes, _ = jnp.linalg.svd(table, full_matrices=False)
    # scores have a deviation of one, so that what is smaller than their rounding is nothing
    found = sizes > 64 * jnp.finfo(table.dtype).eps * table.size**0.5
    return jnp.where(found, basis, 0), found.sum()


def _bias(rank: Array, freedom: Array, most: int) -> Array:
    """Of the entropy of a Gaussian by a covariance of so many degrees of freedom, but for terms that cancel."""
    places = jnp.arange(most)
    return jnp.where(places < rank, digamma((freedom - places) / 2), 0).sum() / 2
