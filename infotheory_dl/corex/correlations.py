"""Correlations of linear factors with the variables and among each other, from products of the weights with the data.

A factor is Z_j = w_j x + noise. It is of `unit noise` where the noise has variance one: so are all weights that leave
or enter this room. It is `normalized` where the noise has the variance 1 - w_j S w_jᵀ, so that the factor has variance
one (S is the second moment of x); the quasi-Newton solver works in these units. Both are the same factor: correlations
and informations are equal. Leading axes, such as one of periods, are carried along.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from infotheory_dl.types import AnyArray, Scalar


class Correlations(NamedTuple):
    """All that the objective depends on.

    Attributes:
      variables: correlation of each factor with each variable.
      factors: correlations among the factors, with ones on the diagonal.
      informations: I(Z_j; X) of each factor, nats.
    """

    variables: Float[Array, "*batch factors variables"]
    factors: Float[Array, "*batch factors factors"]
    informations: Float[Array, "*batch factors"]


def second_moment_product(
    weights: Float[AnyArray, "*batch factors variables"],
    x: Float[AnyArray, "samples variables"],
    *,
    sample_weights: Float[AnyArray, "*batch samples"] | None = None,
) -> Float[Array, "*batch factors variables"]:
    """Multiplies weights by the second moment of x in O(samples factors variables), without forming it.

    Args:
      weights: rows; all leading axes are one large product with x.
      x: standardised data.
      sample_weights: of the samples, summing to one; equal by default.

    Returns:
      weights @ S with S = sum_l sample_weights_l x_l x_lᵀ.
    """
    # samples first: with factors first the product of long rows takes up to three times as long on a CPU
    scores = jnp.einsum("np,...mp->n...m", x, weights)
    of_samples = 1 / len(x) if sample_weights is None else jnp.moveaxis(sample_weights, -1, 0)[..., None]
    return jnp.einsum("n...m,np->...mp", of_samples * scores, x)


def add_noise(
    product: Float[AnyArray, "*rows variables"], weights: Float[AnyArray, "*rows variables"], noise: Scalar
) -> Float[Array, "*rows variables"]:
    """Turns weights @ S into weights @ S_e, with S_e = (1 - noise²) S + noise² I of data mixed with white noise."""
    return jnp.asarray((1 - noise**2) * product + noise**2 * weights)


def normalized_correlations(
    weights: Float[AnyArray, "*batch factors variables"], product: Float[AnyArray, "*batch factors variables"]
) -> Correlations:
    """Correlations of normalized factors from the weights and their product with the second moment."""
    return correlations_from_gram(jnp.asarray(product), _gram(weights, product))


def correlations_from_gram(
    product: Float[Array, "*batch factors variables"], gram: Float[Array, "*batch factors factors"]
) -> Correlations:
    """Correlations of normalized factors from product = weights @ S and gram = weights @ S @ weightsᵀ."""
    signal = jnp.diagonal(gram, axis1=-2, axis2=-1)
    return Correlations(product, _unit_diagonal(gram), -jnp.log1p(-signal) / 2)


def unit_noise_correlations(
    weights: Float[AnyArray, "*batch factors variables"], product: Float[AnyArray, "*batch factors variables"]
) -> Correlations:
    """Correlations of factors of unit noise from the weights and their product with the second moment."""
    signal = (weights * product).sum(-1)
    scale = 1 / jnp.sqrt(1 + signal)
    gram = _gram(weights, product) * scale[..., :, None] * scale[..., None, :]
    return Correlations(scale[..., None] * product, _unit_diagonal(gram), jnp.log1p(signal) / 2)


def independent_loadings(
    variables: Float[Array, "*batch factors variables"],
) -> Float[Array, "*batch factors variables"]:
    """How a reader weighs the factors who takes them for independent given X_i: X_i is about sum_j A_ji Z_j.

    Args:
      variables: correlations rho of factors of variance one with the variables.

    Returns:
      A_ji = q_ji / (1 + sum_j rho_ji q_ji) with q = rho / (1 - rho²).
    """
    slopes, gain = slopes_and_gain(variables)
    return slopes / (1 + gain)[..., None, :]


def sum_over_factors(values: Float[Array, "*batch factors variables"]) -> Float[Array, "*batch variables"]:
    """The sum over factors, as a product with ones: on CPUs XLA reduces the rows of a large matrix 30 times slower."""
    ones = jnp.ones((*values.shape[:-2], 1, values.shape[-2]), values.dtype)
    return jnp.matmul(ones, values, precision="highest")[..., 0, :]


def slopes_and_gain(variables: Array) -> tuple[Array, Array]:
    """The slopes q = rho / (1 - rho²) and their gain in precision, sum_j rho q, of `independent_loadings`."""
    slopes = variables / (1 - _squares(variables))
    return slopes, sum_over_factors(variables * slopes)


def excess_variance(correlations: Correlations) -> Array:
    """The variance of the reader's errors is (1 + excess_i) / (1 + gain_i)²; excess = gain for modular factors."""
    slopes, gain = slopes_and_gain(correlations.variables)
    # gain² is subtracted factor by factor: for near-duplicate variables it is large, and so is what it is taken from
    return sum_over_factors(slopes * (correlations.factors @ slopes - gain[..., None, :] * correlations.variables))


def whitening(factors: Array) -> Array:
    """Makes factors uncorrelated: the inverse of the Cholesky factor of their correlations.

    A product with this small inverse stays on the devices of the variables, which a triangular solve does not.
    """
    identity = jnp.broadcast_to(jnp.eye(factors.shape[-1], dtype=factors.dtype), factors.shape)
    return solve_triangular(jnp.linalg.cholesky(factors), identity, lower=True)


def pairwise_informations(
    variables: Float[Array, "*batch factors variables"],
) -> Float[Array, "*batch factors variables"]:
    """I(Z_j; X_i) from the correlations, nats."""
    return -jnp.log1p(-_squares(variables)) / 2


def _squares(variables: Array) -> Array:
    """Squares, below one also where rounding has made correlations of near-duplicate variables one."""
    return jnp.minimum(jnp.square(variables), 1 - jnp.finfo(variables.dtype).eps)


def _gram(weights: AnyArray, product: AnyArray) -> Array:
    return jnp.einsum("...jp,...kp->...jk", weights, product)


def _unit_diagonal(matrix: Array) -> Array:
    return jnp.where(jnp.eye(matrix.shape[-1], dtype=bool), 1, matrix)
