"""Measures of information for Gaussian variables, in nats, from means and covariances."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, is_concrete, require_finite, require_square
from infotheory_dl.types import AnyArray

__all__ = [
    "conditional_mutual_information",
    "entropy",
    "kl_divergence",
    "mutual_information",
    "total_correlation",
]


@edge
def entropy(covariance: Float[AnyArray, "*batch variables variables"]) -> Float[jax.Array, "*batch"]:
    """Differential entropy of a Gaussian, log det(2 pi e covariance) / 2.

    Args:
      covariance: positive definite; leading axes are a batch.

    Returns:
      The entropy in nats, which may be negative.

    Raises:
      ValueError: if a covariance is not finite, square and positive definite.
    """
    units = _deviations(covariance)
    factor = _cholesky("covariance", covariance, units)
    of_units = jnp.asarray(_library(units).log(units).sum(-1), factor.dtype)
    return factor.shape[-1] * (1 + jnp.log(2 * jnp.pi)) / 2 + jnp.log(_diagonal(factor)).sum(-1) + of_units


@edge
def kl_divergence(
    mean: Float[AnyArray, "*#batch variables"],
    covariance: Float[AnyArray, "*#batch variables variables"],
    other_mean: Float[AnyArray, "*#batch variables"],
    other_covariance: Float[AnyArray, "*#batch variables variables"],
) -> Float[jax.Array, "*batch"]:
    """Divergence KL(N(mean, covariance) || N(other_mean, other_covariance)).

    Args:
      mean: of the first Gaussian; leading axes are a batch and broadcast among the four arguments.
      covariance: of the first Gaussian, positive definite.
      other_mean: of the second Gaussian.
      other_covariance: of the second Gaussian, positive definite.

    Returns:
      The divergence in nats, non-negative.

    Raises:
      ValueError: if the sizes differ, an entry is NaN or infinite, or a covariance is not positive definite.
    """
    require_finite(mean=mean, other_mean=other_mean)
    require_square("covariance", covariance, "(variables, variables)")
    sizes = {np.shape(array)[-1] for array in (mean, covariance, other_mean, other_covariance)}
    if len(sizes) > 1:
        raise ValueError(f"means and covariances must be over the same variables, got sizes {sorted(sizes)}")
    # the divergence is the same in any units
    units = _deviations(other_covariance)
    factor, other_factor = (
        _cholesky(name, matrix, units)
        for name, matrix in (("covariance", covariance), ("other_covariance", other_covariance))
    )
    shift = (_in_double(other_mean) - _in_double(mean)) / units
    return _kl_divergence(jnp.asarray(shift, factor.dtype), factor, other_factor)


@edge
def mutual_information(
    covariance: Float[AnyArray, "*batch variables variables"],
    first: Int[AnyArray, " _"],
    second: Int[AnyArray, " _"],
) -> Float[jax.Array, "*batch"]:
    """Mutual information of two groups of Gaussian variables, -sum log(1 - c²) / 2 over their canonical correlations c.

    Args:
      covariance: positive definite; leading axes are a batch.
      first: the variables of one group.
      second: those of the other, none of which is in the first.

    Returns:
      The information in nats, non-negative.

    Raises:
      ValueError: if a covariance is not finite, square and positive definite, or an index is out of range or in both
        groups.
    """
    _require_groups(covariance, first, second)
    return _between(_ordered_factor(covariance, first, second), len(first))


@edge
def conditional_mutual_information(
    covariance: Float[AnyArray, "*batch variables variables"],
    first: Int[AnyArray, " _"],
    second: Int[AnyArray, " _"],
    given: Int[AnyArray, " _"],
) -> Float[jax.Array, "*batch"]:
    """Mutual information of two groups of Gaussian variables where a third is known.

    Args:
      covariance: positive definite; leading axes are a batch.
      first, second: the variables of the two groups.
      given: those that are known; no variable is in two groups.

    Returns:
      The information in nats, non-negative.

    Raises:
      ValueError: as in `mutual_information`.
    """
    _require_groups(covariance, first, second, given)
    known = len(given)
    # the rest of the factor is that of the covariance of what the known variables leave
    return _between(_ordered_factor(covariance, given, first, second)[..., known:, known:], len(first))


@edge
def total_correlation(covariance: Float[AnyArray, "*batch variables variables"]) -> Float[jax.Array, "*batch"]:
    """Total correlation of Gaussian variables, the sum of their entropies less the entropy of all together.

    Args:
      covariance: positive definite; leading axes are a batch.

    Returns:
      The total correlation in nats, non-negative, zero for independent variables.

    Raises:
      ValueError: if a covariance is not finite, square and positive definite.
    """
    factor = _cholesky("covariance", covariance, _deviations(covariance))
    # each variable's squared correlation with those before it: weak dependence does not cancel
    explained = jnp.square(jnp.tril(factor, -1)).sum(-1)
    return jnp.log1p(explained / _diagonal(factor) ** 2).sum(-1) / 2


def _kl_from_factors(shift: jax.Array, factor: jax.Array, other_factor: jax.Array) -> jax.Array:
    ratio = solve_triangular(other_factor, factor, lower=True)
    shift = solve_triangular(other_factor, shift, lower=True)
    diagonal = _diagonal(ratio)
    # trace - dimension + log-determinants, as a sum of terms that are each non-negative: near-equal
    # covariances do not cancel
    excess = (diagonal - 1) * (diagonal + 1)
    return (jnp.sum(jnp.tril(ratio, -1) ** 2) + jnp.sum(excess - jnp.log1p(excess)) + jnp.sum(shift**2)) / 2


_kl_divergence = jnp.vectorize(_kl_from_factors, signature="(d),(d,d),(d,d)->()")


def _require_groups(covariance: AnyArray, *groups: AnyArray) -> None:
    require_square("covariance", covariance, "(variables, variables)")
    variables = np.shape(covariance)[-1]
    indices = np.concatenate([np.asarray(group) for group in groups])
    if not ((indices >= 0) & (indices < variables)).all() or len(np.unique(indices)) < len(indices):
        listed = " and ".join(map(str, groups))
        raise ValueError(f"the groups must be distinct variables in [0, {variables}), got {listed}")


def _ordered_factor(covariance: AnyArray, *groups: AnyArray) -> jax.Array:
    """The factor of the covariance of these groups, one after the other."""
    indices = np.concatenate([np.asarray(group) for group in groups])
    chosen = _in_double(covariance)[..., indices[:, None], indices]
    return _cholesky("covariance", chosen, _deviations(chosen)).astype(jnp.result_type(covariance))


def _between(factor: jax.Array, split: int) -> jax.Array:
    """Information of the variables before the split and those after it, by the factor of their covariance."""
    # rows of the second group: what the first explains of them beside what it leaves
    explained, left = factor[..., split:, :split], factor[..., split:, split:]
    ratio = solve_triangular(left, explained, lower=True)
    return jnp.log1p(jnp.linalg.svd(ratio, compute_uv=False) ** 2).sum(-1) / 2


def _diagonal(matrix: jax.Array) -> jax.Array:
    return jnp.diagonal(matrix, axis1=-2, axis2=-1)


def _in_double(array: AnyArray) -> AnyArray:
    """An array that can be looked at, in double precision on the host: what JAX would round or lose is scaled first."""
    return np.asarray(array, float) if is_concrete(array) else array


def _library(array: AnyArray) -> Any:
    return np if isinstance(array, np.ndarray | np.generic) else jnp


def _deviations(covariance: AnyArray) -> AnyArray:
    """Standard deviations of the variables, in which units a covariance has entries about one."""
    require_square("covariance", covariance, "(variables, variables)")
    covariance = _in_double(covariance)
    numpy = _library(covariance)
    variances = numpy.diagonal(covariance, axis1=-2, axis2=-1)
    return numpy.sqrt(numpy.where(variances > 0, variances, 1))


def _cholesky(name: str, covariance: AnyArray, units: AnyArray) -> jax.Array:
    """The factor of a covariance in these units."""
    require_square(name, covariance, "(variables, variables)")
    require_finite(**{name: covariance})
    # one after the other: a product of units may be out of range where a covariance is not
    scaled = _in_double(covariance) / units[..., :, None] / units[..., None, :]
    factor = jnp.linalg.cholesky(jnp.asarray(scaled, jnp.result_type(covariance)))
    if is_concrete(factor) and not bool(jnp.isfinite(factor).all()):
        raise ValueError(f"{name} must be positive definite; add a small multiple of the identity to a singular one")
    return factor
