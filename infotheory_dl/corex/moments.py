"""Second moments of linear factors and what follows from them: informations, the objective, the covariance.

A factor is Z_j = w_j x + noise. It is `normalized` where the noise has the variance 1 - w_j S w_jᵀ, so that the factor
has variance one (S is the second moment of x), and of `unit noise` where the noise has variance one. Both are
the same factor in other units: all informations follow from correlations. Leading axes, such as one of periods, are
carried along.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from infotheory_dl.types import AnyArray, Scalar

SMALLEST_RESIDUAL = 1e-6


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


class Objective(NamedTuple):
    """What is maximised, as the weights of its terms; None leaves a term out.

    Linear CorEx is the default. With `joint=1` in place of `calibrated` it is blind to synergy (the overlapping mode).

    Attributes:
      calibrated: of sum_i I_cal(X_i; Z), what a reader learns of X_i who takes the factors for independent given X_i,
        and knows the variance of the errors that this makes.
      uncalibrated: of sum_i I_ci(X_i; Z), for a reader who does not know it.
      joint: of sum_i I(X_i; Z).
      capacity: of -sum_j I(Z_j; X).
    """

    calibrated: Scalar | None = 1.0
    uncalibrated: Scalar | None = None
    joint: Scalar | None = None
    capacity: Scalar = 1.0


CORRELATION_EXPLANATION = Objective()
OVERLAPPING = Objective(calibrated=None, joint=1.0)


class Moments(NamedTuple):
    """What normalized factors and variables share. Informations are in nats.

    Attributes:
      correlations: of each factor with each variable.
      factor_correlations: among the factors, with ones on the diagonal.
      signal_variances: w_j S w_jᵀ, the part of a factor's variance that is not noise; below one.
      mutual_informations: I(Z_j; X_i).
      factor_informations: I(Z_j; X).
      variable_informations: I(X_i; Z).
      regression: coefficients that predict the variables from the factors, linearly and best.
      residual_variances: of the variables given the factors.
      loadings: A in the estimate I - diag(AᵀA) + AᵀA of the correlations of the variables.
      total_correlations: of the variables that each factor explains, sum_i I(Z_j; X_i) - I(Z_j; X).
      total_correlation: the objective; of modular factors a lower bound of the variables' total correlation.
      total_correlation_no_overlap: with each variable given to one factor, sum_i max_j I(Z_j; X_i) - sum_j I(Z_j; X).
      total_correlation_direct: sum_i I(X_i; Z) - sum_j I(Z_j; X).
      additivity: sum_i (sum_j I(Z_j; X_i) - I(X_i; Z)), zero where the factors tell different things.
    """

    correlations: Float[Array, "*batch factors variables"]
    factor_correlations: Float[Array, "*batch factors factors"]
    signal_variances: Float[Array, "*batch factors"]
    mutual_informations: Float[Array, "*batch factors variables"]
    factor_informations: Float[Array, "*batch factors"]
    variable_informations: Float[Array, "*batch variables"]
    regression: Float[Array, "*batch factors variables"]
    residual_variances: Float[Array, "*batch variables"]
    loadings: Float[Array, "*batch factors variables"]
    total_correlations: Float[Array, "*batch factors"]
    total_correlation: Float[Array, "*batch"]
    total_correlation_no_overlap: Float[Array, "*batch"]
    total_correlation_direct: Float[Array, "*batch"]
    additivity: Float[Array, "*batch"]


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


def bound(correlations: Correlations, objective: Objective = CORRELATION_EXPLANATION) -> Float[Array, "*batch"]:
    """The objective, nats.

    Args:
      correlations: of the factors.
      objective: weights of its terms.

    Returns:
      The objective; by default sum_i I_cal(X_i; Z) - sum_j I(Z_j; X), in closed form.

    Source: Steeg et al., 2019.
    """
    total = jnp.asarray(-objective.capacity * correlations.informations.sum(-1))
    if objective.calibrated is not None or objective.uncalibrated is not None:
        gain, excess = _slopes(correlations.variables)[1], _excess(correlations)
        if objective.calibrated is not None:
            total += objective.calibrated * (jnp.log1p(gain) - jnp.log1p(excess) / 2).sum(-1)
        if objective.uncalibrated is not None:
            total += objective.uncalibrated * (jnp.log1p(gain) + (gain - excess) / (1 + gain)).sum(-1) / 2
    if objective.joint is not None:
        whitened = _whitening(correlations.factors) @ correlations.variables
        residuals = 1 - sum_over_factors(jnp.square(whitened))
        total -= objective.joint * jnp.log(jnp.maximum(residuals, SMALLEST_RESIDUAL)).sum(-1) / 2
    return total


def loadings(variables: Float[Array, "*batch factors variables"]) -> Float[Array, "*batch factors variables"]:
    """How a reader weighs the factors who takes them for independent given X_i: X_i is about sum_j A_ji Z_j.

    Args:
      variables: correlations rho of factors of variance one with the variables.

    Returns:
      A_ji = q_ji / (1 + sum_j rho_ji q_ji) with q = rho / (1 - rho²).
    """
    slopes, gain = _slopes(variables)
    return slopes / (1 + gain)[..., None, :]


def sum_over_factors(values: Float[Array, "*batch factors variables"]) -> Float[Array, "*batch variables"]:
    """The sum over factors, as a product with ones: on CPUs XLA reduces the rows of a large matrix 30 times slower."""
    ones = jnp.ones((*values.shape[:-2], 1, values.shape[-2]), values.dtype)
    return jnp.matmul(ones, values, precision="highest")[..., 0, :]


def all_moments(correlations: Correlations, objective: Objective = CORRELATION_EXPLANATION) -> Moments:
    """Everything that follows from the correlations; see `Moments`."""
    rho, factors, factor_informations = correlations
    whitening = _whitening(factors)
    whitened = whitening @ rho
    residuals = jnp.maximum(1 - sum_over_factors(jnp.square(whitened)), SMALLEST_RESIDUAL)
    mutual = -jnp.log1p(-_squares(rho)) / 2
    variable_informations = -jnp.log(residuals) / 2
    capacity = factor_informations.sum(-1)
    independent = objective.calibrated is not None or objective.uncalibrated is not None
    return Moments(
        correlations=rho,
        factor_correlations=factors,
        signal_variances=-jnp.expm1(-2 * factor_informations),
        mutual_informations=mutual,
        factor_informations=factor_informations,
        variable_informations=variable_informations,
        regression=jnp.swapaxes(whitening, -1, -2) @ whitened,
        residual_variances=residuals,
        loadings=loadings(rho) if independent else whitened,
        total_correlations=mutual.sum(-1) - factor_informations,
        total_correlation=bound(correlations, objective),
        total_correlation_no_overlap=mutual.max(-2).sum(-1) - capacity,
        total_correlation_direct=variable_informations.sum(-1) - capacity,
        additivity=mutual.sum((-2, -1)) - variable_informations.sum(-1),
    )


def _slopes(variables: Array) -> tuple[Array, Array]:
    """The slopes q = rho / (1 - rho²) and their gain in precision, sum_j rho q, of `loadings`."""
    slopes = variables / (1 - _squares(variables))
    return slopes, sum_over_factors(variables * slopes)


def _excess(correlations: Correlations) -> Array:
    """The variance of the reader's errors is (1 + excess_i) / (1 + gain_i)²; excess = gain for modular factors."""
    slopes, gain = _slopes(correlations.variables)
    # gain² is subtracted factor by factor: for near-duplicate variables it is large, and so is what it is taken from
    return sum_over_factors(slopes * (correlations.factors @ slopes - gain[..., None, :] * correlations.variables))


def _whitening(factors: Array) -> Array:
    """Makes factors uncorrelated: the inverse of the Cholesky factor of their correlations.

    A product with this small inverse stays on the devices of the variables, which a triangular solve does not.
    """
    identity = jnp.broadcast_to(jnp.eye(factors.shape[-1], dtype=factors.dtype), factors.shape)
    return solve_triangular(jnp.linalg.cholesky(factors), identity, lower=True)


def _squares(correlations: Array) -> Array:
    """Squares, below one also where rounding has made correlations of near-duplicate variables one."""
    return jnp.minimum(jnp.square(correlations), 1 - jnp.finfo(correlations.dtype).eps)


def _gram(weights: AnyArray, product: AnyArray) -> Array:
    return jnp.einsum("...jp,...kp->...jk", weights, product)


def _unit_diagonal(matrix: Array) -> Array:
    return jnp.where(jnp.eye(matrix.shape[-1], dtype=bool), 1, matrix)
