"""Synergy of Gaussian variables, in closed form."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_count,
    require_finite,
    require_square,
    warn,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

# sources that share more than this of their variance are counted twice by a reader who takes them to be independent
NEAR_COPY = 0.999
# of squared correlations below one: what the decoder's precision is bounded by
_LEAST_NOISE = 1e-12


@concise
class GaussianSynergy(NamedTuple):
    """What Gaussian sources say of one target, or of each of many, in nats.

    Attributes:
      information: I(X; Z), of all sources together.
      informations: I(X; Zⱼ), of each.
      whole_minus_sum: I(X; Z) - Σ I(X; Zⱼ): synergy less redundancy, of either sign.
      synergy: S_CI, what a reader loses who takes the sources to be independent given the target.
      independent_information: I_CI = I - S_CI, what is left to that reader; it may be negative.
      calibrated_synergy: what that reader loses who corrects the variance of its predictions, at most S_CI.
      calibrated_information: what is left to the corrected reader, the information of linear CorEx.
      coefficients: of the standardised sources in that reader's prediction of the standardised target.
      clamped: whether a source tells the target exactly; its noise is then taken to be 1e-12 of the variance.
    """

    information: Float[Array, "*targets"]
    informations: Float[Array, "*targets sources"]
    whole_minus_sum: Float[Array, "*targets"]
    synergy: Float[Array, "*targets"]
    independent_information: Float[Array, "*targets"]
    calibrated_synergy: Float[Array, "*targets"]
    calibrated_information: Float[Array, "*targets"]
    coefficients: Float[Array, "*targets sources"]
    clamped: Array


@edge
def gaussian(correlations: Float[AnyArray, "variables variables"], *, target: int = 0) -> GaussianSynergy:
    """Measures the synergy of jointly Gaussian sources about a Gaussian target.

    With b = R/(1 - R²) over the sources and r = Σ R b, the reader who takes the sources to be independent given the
    target predicts Σ b z/(1 + r) with the variance 1/(1 + r). What it loses is the divergence of this from the true
    conditional, summed here from terms that are not negative.

    Args:
      correlations: of all variables, or their covariance; symmetric and positive definite.
      target: which of them is the target; the others are the sources, in their order.

    Returns:
      All measures, in nats.

    Raises:
      ValueError: if the matrix is not square, symmetric, finite and positive definite, or the target is out of range.

    Warns:
      UserWarning: if two sources are near copies of each other (correlation above .999), which such a reader counts
        twice: that loss is no synergy.

    Source: ours, from the measure of Nirenberg and Latham, 2003; the calibrated one is the information that linear
      CorEx maximises (Ver Steeg, Harutyunyan, Moyer and Galstyan, 2019).
    """
    require_square("correlations", correlations, "(variables, variables)")
    require_finite(correlations=correlations)
    variables = len(correlations)
    require_count(0, variables - 1, "the number of variables", target=target)
    require_positive_definite("correlations", correlations)
    matrix = jnp.asarray(correlations)
    matrix = matrix if jnp.issubdtype(matrix.dtype, jnp.floating) else matrix.astype(float)
    scale = jnp.sqrt(jnp.diagonal(matrix))
    matrix = matrix / scale[:, None] / scale
    sources = np.delete(np.arange(variables), target)
    among = matrix[sources[:, None], sources]
    warn_of_copies(among)
    return jax.tree.map(lambda values: values[0], measured(matrix[sources, target][:, None], among))


@jax.jit
def measured(correlations: Float[Array, "sources targets"], among: Float[Array, "sources sources"]) -> GaussianSynergy:
    """The core of `gaussian` for many targets: one factorisation of the sources' correlations for all of them.

    Args:
      correlations: of sources with targets.
      among: of the sources, positive definite.
    """
    noise = jnp.maximum((1 - correlations) * (1 + correlations), _LEAST_NOISE)
    evidence = correlations / noise
    total = (correlations * evidence).sum(0)
    reader = evidence / (1 + total)
    factor = jnp.linalg.cholesky(among)
    best = cho_solve((factor, True), correlations)
    explained = (correlations * best).sum(0)
    left = jnp.maximum(1 - explained, _LEAST_NOISE)
    # of the best prediction from that of the reader: both as roots, so that nothing cancels
    apart = (jnp.matmul(factor.T, best - reader, precision="highest") ** 2).sum(0)
    excess = (1 + total) * left - 1
    # where the sources tell nearly all, it is -1 to rounding
    far = excess < -0.5
    log_excess = jnp.where(far, jnp.log1p(total) + jnp.log(left), jnp.log1p(jnp.where(far, 0, excess)))
    information = jnp.log1p(explained / left) / 2
    informations = -jnp.log(noise) / 2
    # what is not negative stays so where rounding is all that is left
    synergy = (jnp.maximum(excess - log_excess, 0) + (1 + total) * apart) / 2
    calibrated = jnp.log1p(apart / left) / 2
    return GaussianSynergy(
        information=information,
        informations=informations.T,
        whole_minus_sum=information - informations.sum(0),
        synergy=synergy,
        independent_information=information - synergy,
        calibrated_synergy=calibrated,
        calibrated_information=information - calibrated,
        coefficients=reader.T,
        clamped=(noise <= _LEAST_NOISE).any(0),
    )


def warn_of_copies(among: Float[Array, "sources sources"]) -> None:
    """Warns of two sources that are near copies of each other, naming them."""
    if is_concrete(among):
        shared = np.abs(np.tril(np.asarray(among), -1))
        if shared.size and shared.max() > NEAR_COPY:
            second, first = np.unravel_index(np.argmax(shared), shared.shape)
            correlation = float(among[second, first])
            warn(
                f"sources {first} and {second} are near copies, their correlation is {correlation:.6f}: what"
                " a reader loses who counts both is no synergy; leave one out, or see calibrated_synergy"
            )


def require_positive_definite(name: str, correlations: AnyArray) -> None:
    """Raises a ValueError if a matrix is not symmetric or not positive definite, naming the variables at fault."""
    if not is_concrete(correlations):
        return
    matrix = np.asarray(correlations, float)
    scale = np.sqrt(np.abs(np.diagonal(matrix)))
    allowed = len(matrix) * np.finfo(np.result_type(np.asarray(correlations).dtype, np.float32)).eps
    if (np.abs(matrix - matrix.T) > allowed * np.outer(scale, scale)).any():
        raise ValueError(f"{name} must be symmetric; average the matrix with its transpose")
    if not (np.diagonal(matrix) > 0).all():
        raise ValueError(f"{name} must have a positive diagonal; leave out variables that do not vary")
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    if values[0] <= allowed:
        tied = np.flatnonzero(np.abs(vectors[:, 0]) > 0.1).tolist()
        raise ValueError(
            f"{name} must be positive definite, the least eigenvalue is {values[0]:.3g}: variables {tied} follow from"
            " each other; leave one out, or add a small multiple of the identity"
        )
