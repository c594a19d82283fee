"""Gaussians whose covariance is low rank plus diagonal: algebra in O(variables), with no matrix of them.

The functions take one matrix; over a batch of them, such as one for each period, go with `jax.vmap`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import edge, is_concrete
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key

__all__ = [
    "LowRankPlusDiagonal",
    "frobenius_distance",
    "inverse",
    "log_density",
    "log_determinant",
    "matvec",
    "row_distances",
    "rows",
    "sample",
    "solve",
    "spectral_distance",
    "square_root_matvec",
    "to_dense",
]


# squares of scales beyond this and its inverse are no numbers of double precision
_SMALLEST_SCALE = 1e-150


@concise
class LowRankPlusDiagonal(NamedTuple):
    """The matrix diag(scale) (diag(diagonal) + sign factorsᵀ factors) diag(scale), positive definite, beside a mean.

    Attributes:
      factors: what the variables share; few rows.
      diagonal: positive; what each variable has for itself.
      scale: positive; the standard deviations, where the rest is a correlation matrix. Of NumPy it stays on the host,
        in double precision, as does the mean: units may be beyond single precision.
      mean: of the Gaussian whose covariance the matrix is.
      sign: 1, or -1 in the inverse of such a matrix.
    """

    factors: Float[Array, "*batch factors variables"]
    diagonal: Float[Array, "*batch variables"]
    scale: Float[AnyArray, "*batch variables"]
    mean: Float[AnyArray, "*batch variables"]
    sign: Float[Array, "*batch"] | float = 1.0


def to_dense(matrix: LowRankPlusDiagonal) -> Float[AnyArray, "variables variables"]:
    """Writes the matrix out, the only function here that needs memory for variables by variables.

    Raises:
      ValueError: if an entry is beyond double precision.
    """
    return rows(matrix, jnp.arange(matrix.diagonal.shape[-1]))


@edge
def rows(matrix: LowRankPlusDiagonal, indices: Int[AnyArray, " rows"]) -> Float[AnyArray, "rows variables"]:
    """Writes some rows of the matrix out.

    Raises:
      ValueError: if an entry is beyond double precision.
    """
    shared = matrix.sign * matrix.factors[:, indices].T @ matrix.factors
    unscaled = shared.at[jnp.arange(len(indices)), indices].add(matrix.diagonal[indices])
    if not _is_on_host(matrix.scale):
        return matrix.scale[indices][:, None] * unscaled * matrix.scale
    scale = np.asarray(matrix.scale)
    kept = (scale > _SMALLEST_SCALE) & (scale < 1 / _SMALLEST_SCALE)
    if not kept.all():
        place = int(np.argmin(kept))
        raise ValueError(
            f"the variance of variable {place}, whose scale is {scale[place]:.6g}, is beyond double precision: write"
            " the matrix out at a scale of one, by _replace(scale=jnp.ones_like(diagonal))"
        )
    return scale[np.asarray(indices)][:, None] * np.asarray(unscaled) * scale


@edge
def matvec(
    matrix: LowRankPlusDiagonal, vectors: Float[AnyArray, "*vectors variables"]
) -> Float[AnyArray, "*vectors variables"]:
    """Multiplies vectors by the matrix."""
    scaled = _scaled(matrix.scale, vectors)
    shared = (scaled @ matrix.factors.T) @ matrix.factors
    return _scaled(matrix.scale, matrix.diagonal * scaled + matrix.sign * shared)


def inverse(matrix: LowRankPlusDiagonal) -> LowRankPlusDiagonal:
    """Inverts the matrix by Woodbury's formula, O(factors² variables): low rank plus diagonal again, of other sign."""
    weighted = matrix.factors / matrix.diagonal
    factors = solve_triangular(_capacitance_factor(matrix), weighted, lower=True)
    return LowRankPlusDiagonal(factors, 1 / matrix.diagonal, 1 / matrix.scale, matrix.mean, -matrix.sign)


@edge
def solve(
    matrix: LowRankPlusDiagonal, vectors: Float[AnyArray, "*vectors variables"]
) -> Float[AnyArray, "*vectors variables"]:
    """Multiplies vectors by the inverse of the matrix."""
    return matvec(inverse(matrix), vectors)


def log_determinant(matrix: LowRankPlusDiagonal) -> Float[Array, ""]:
    """Log-determinant of the matrix."""
    capacitance = 2 * jnp.log(jnp.diagonal(_capacitance_factor(matrix))).sum()
    log = np.log if _is_on_host(matrix.scale) else jnp.log
    return capacitance + jnp.log(matrix.diagonal).sum() + 2 * log(matrix.scale).sum()


@edge
def log_density(matrix: LowRankPlusDiagonal, points: Float[AnyArray, "*points variables"]) -> Float[Array, "*points"]:
    """Log-density, in nats, of the Gaussian with the mean and the covariance `matrix`, O(points variables factors)."""
    if _is_on_host(matrix.mean) and is_concrete(points):
        points = np.asarray(points)
    deviations = (points - matrix.mean) / matrix.scale
    of_deviations = matrix._replace(scale=jnp.ones_like(matrix.diagonal))
    distance = (deviations * solve(of_deviations, deviations)).sum(-1)
    return -(deviations.shape[-1] * jnp.log(2 * jnp.pi) + log_determinant(matrix) + distance) / 2


@edge
def square_root_matvec(
    matrix: LowRankPlusDiagonal, vectors: Float[AnyArray, "*vectors variables"]
) -> Float[AnyArray, "*vectors variables"]:
    """Multiplies vectors by B with B Bᵀ = matrix: independent standard normals become draws, less the mean."""
    whitened = matrix.factors / jnp.sqrt(matrix.diagonal)
    eigenvalues, eigenvectors = jnp.linalg.eigh(whitened @ whitened.T)
    # (sqrt(1 + sign eigenvalue) - 1) / eigenvalue, without the cancellation and the division by zero
    stretch = matrix.sign / (1 + jnp.sqrt(1 + matrix.sign * eigenvalues))
    basis = eigenvectors.T @ whitened
    vectors = jnp.asarray(vectors)
    return _scaled(matrix.scale, jnp.sqrt(matrix.diagonal) * (vectors + ((vectors @ basis.T) * stretch) @ basis))


@edge
def sample(key: Key, matrix: LowRankPlusDiagonal, num_samples: int) -> Float[AnyArray, "samples variables"]:
    """Draws from the Gaussian with the mean and the covariance `matrix`."""
    shape = (num_samples, *matrix.diagonal.shape)
    return matrix.mean + square_root_matvec(matrix, jax.random.normal(key, shape, matrix.diagonal.dtype))


def frobenius_distance(first: LowRankPlusDiagonal, second: LowRankPlusDiagonal) -> Float[Array, ""]:
    """Frobenius norm of the difference of two matrices over the same variables, O(factors² variables)."""
    return jnp.linalg.norm(row_distances(first, second))


def row_distances(first: LowRankPlusDiagonal, second: LowRankPlusDiagonal) -> Float[Array, " variables"]:
    """Euclidean norm of each row of the difference of two matrices over the same variables, O(factors² variables)."""
    (factors, diagonal), (other_factors, other_diagonal) = _unscaled(first), _unscaled(second)
    stacked = jnp.concatenate([factors, other_factors])
    signs = jnp.concatenate([jnp.full(len(factors), first.sign), jnp.full(len(other_factors), -second.sign)])
    # row i of the difference is d_i e_i + sum_k s_k f_ki f_k; its square needs only the products of the rows f_k
    signed = signs[:, None] * stacked
    shared = (signed * ((stacked @ stacked.T) @ signed)).sum(0)
    difference = diagonal - other_diagonal
    squares = difference**2 + 2 * difference * (signed * stacked).sum(0) + shared
    return jnp.sqrt(jnp.maximum(squares, 0))


@edge
def spectral_distance(
    key: Key, first: LowRankPlusDiagonal, second: LowRankPlusDiagonal, *, num_iterations: int = 300
) -> Float[Array, ""]:
    """Largest singular value of the difference of two matrices over the same variables, by power iteration.

    Args:
      key: of the random start.
      first, second: the matrices.
      num_iterations: products with the difference; the result is a lower bound that they tighten.

    Returns:
      The spectral norm of first - second.
    """
    difference = lambda vector: matvec(first, vector) - matvec(second, vector)

    def power(_: Array, vector: Array) -> Array:
        product = difference(vector)
        norm = jnp.linalg.norm(product)
        # of equal matrices every vector is as good as any other
        return jnp.where(norm > 0, product / norm, vector)

    start = jax.random.normal(key, first.diagonal.shape, first.diagonal.dtype)
    return jnp.linalg.norm(difference(lax.fori_loop(0, num_iterations, power, start / jnp.linalg.norm(start))))


def _is_on_host(scale: AnyArray) -> bool:
    return isinstance(scale, np.ndarray)


def _scaled(scale: AnyArray, vectors: AnyArray) -> AnyArray:
    """The product, on the host where the scale is there."""
    return scale * (np.asarray(vectors) if _is_on_host(scale) and is_concrete(vectors) else vectors)


def _unscaled(matrix: LowRankPlusDiagonal) -> tuple[Array, Array]:
    """Factors and diagonal of the same matrix with a scale of one."""
    return matrix.factors * matrix.scale, matrix.diagonal * matrix.scale**2


def _capacitance_factor(matrix: LowRankPlusDiagonal) -> Array:
    """Cholesky factor of I + sign factors diag(diagonal)⁻¹ factorsᵀ."""
    product = (matrix.factors / matrix.diagonal) @ matrix.factors.T
    return jnp.linalg.cholesky(jnp.eye(len(product), dtype=product.dtype) + matrix.sign * product)
