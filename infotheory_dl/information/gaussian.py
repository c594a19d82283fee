"""Measures of information for Gaussian variables, in nats, from means and covariances."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Float

from infotheory_dl._validation import is_concrete, require_finite
from infotheory_dl.types import AnyArray


def entropy(covariance: Float[AnyArray, "*batch variables variables"]) -> Float[jax.Array, "*batch"]:
    """Differential entropy of a Gaussian, log det(2 pi e covariance) / 2.

    Args:
      covariance: positive definite; leading axes are a batch.

    Returns:
      The entropy in nats, which may be negative.

    Raises:
      ValueError: if a covariance is not finite, square and positive definite.
    """
    factor = _cholesky("covariance", covariance)
    return factor.shape[-1] * (1 + jnp.log(2 * jnp.pi)) / 2 + jnp.log(_diagonal(factor)).sum(-1)


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
    factor, other_factor = _cholesky("covariance", covariance), _cholesky("other_covariance", other_covariance)
    sizes = {np.shape(array)[-1] for array in (mean, covariance, other_mean, other_covariance)}
    if len(sizes) > 1:
        raise ValueError(f"means and covariances must be over the same variables, got sizes {sorted(sizes)}")
    return _kl_divergence(jnp.asarray(mean), factor, jnp.asarray(other_mean), other_factor)


def _kl_from_factors(mean: jax.Array, factor: jax.Array, other_mean: jax.Array, other_factor: jax.Array) -> jax.Array:
    ratio = solve_triangular(other_factor, factor, lower=True)
    shift = solve_triangular(other_factor, other_mean - mean, lower=True)
    diagonal = _diagonal(ratio)
    # trace - dimension + log-determinants, as a sum of terms that are each non-negative: near-equal
    # covariances do not cancel
    excess = (diagonal - 1) * (diagonal + 1)
    return (jnp.sum(jnp.tril(ratio, -1) ** 2) + jnp.sum(excess - jnp.log1p(excess)) + jnp.sum(shift**2)) / 2


_kl_divergence = jnp.vectorize(_kl_from_factors, signature="(d),(d,d),(d),(d,d)->()")


def _diagonal(matrix: jax.Array) -> jax.Array:
    return jnp.diagonal(matrix, axis1=-2, axis2=-1)


def _cholesky(name: str, covariance: AnyArray) -> jax.Array:
    shape = np.shape(covariance)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name} must be square (variables, variables), got shape {shape}")
    require_finite(**{name: covariance})
    factor = jnp.linalg.cholesky(jnp.asarray(covariance))
    if is_concrete(factor) and not bool(jnp.isfinite(factor).all()):
        raise ValueError(f"{name} must be positive definite; add a small multiple of the identity to a singular one")
    return factor
