"""Linear CorEx: factors that explain the correlations of many variables, from few samples.

`fit` finds the factors of a table; `clusters`, `covariance`, `transform` and `predict` say what they mean. `moments`
and `objective` are the mathematics for weights of one's own.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._sharding import automatically_sharded
from infotheory_dl._validation import is_concrete, require_finite, require_rank
from infotheory_dl.corex._linear.figure import draw_factor_graph, factor_graph
from infotheory_dl.corex._linear.fitting import fit
from infotheory_dl.corex._linear.hierarchy import fit_hierarchy, hierarchy_clusters
from infotheory_dl.corex._linear.model import LinearCorex, clusters, covariance, predict, transform, unit_noise_weights
from infotheory_dl.corex._linear.programs import Solver
from infotheory_dl.corex._linear.selection import FactorSelection, choose_num_factors
from infotheory_dl.corex.annealing import NOISE_SCHEDULE
from infotheory_dl.corex.files import load_linear as load
from infotheory_dl.corex.files import save
from infotheory_dl.corex.moments import (
    CORRELATION_EXPLANATION,
    OVERLAPPING,
    Correlations,
    Moments,
    Objective,
    add_noise,
    all_moments,
    bound,
    normalized_correlations,
    second_moment_product,
)
from infotheory_dl.types import AnyArray, Scalar

__all__ = [
    "CORRELATION_EXPLANATION",
    "NOISE_SCHEDULE",
    "OVERLAPPING",
    "FactorSelection",
    "LinearCorex",
    "Moments",
    "Objective",
    "Solver",
    "choose_num_factors",
    "clusters",
    "covariance",
    "draw_factor_graph",
    "factor_graph",
    "fit",
    "fit_hierarchy",
    "hierarchy_clusters",
    "load",
    "moments",
    "objective",
    "predict",
    "save",
    "transform",
    "unit_noise_weights",
]


def moments(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    *,
    noise: Scalar = 0.0,
    sample_weights: Float[AnyArray, " samples"] | None = None,
    objective: Objective = CORRELATION_EXPLANATION,
) -> Moments:
    """Computes all informations between normalized factors and variables, in closed form.

    Args:
      weights: of factors Z_j = w_j x + noise of the variance 1 - w_j S w_jᵀ, where S is the second moment of x.
      x: variables of mean zero and variance one.
      noise: standard deviation e, in [0, 1), of white noise mixed into the data: S becomes (1 - e²) S + e² I.
      sample_weights: of the samples, summing to one; equal by default.
      objective: what `total_correlation` and the loadings are of.

    Returns:
      The moments.

    Raises:
      ValueError: if the shapes do not fit, an entry is NaN or infinite, the sample weights are negative or do not sum
        to one, the noise is not in [0, 1), or a row of the weights leaves its factor no noise.

    Source: Steeg et al., 2019 (section 3).
    """
    return all_moments(_correlations(weights, x, noise, sample_weights), objective)


def objective(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    *,
    noise: Scalar = 0.0,
    sample_weights: Float[AnyArray, " samples"] | None = None,
) -> Float[Array, ""]:
    """Computes the total correlation that normalized factors explain, to be maximised.

    It is sum_i I_cal(X_i; Z) - sum_j I(Z_j; X), for modular factors a lower bound of the total correlation of the
    variables.

    Args:
      weights, x, noise, sample_weights: as in `moments`.

    Returns:
      The objective, nats.

    Raises:
      ValueError: as `moments`.

    Source: Steeg et al., 2019 (section 3).
    """
    return bound(_correlations(weights, x, noise, sample_weights))


def _correlations(weights: AnyArray, x: AnyArray, noise: Scalar, sample_weights: AnyArray | None) -> Correlations:
    require_rank("weights", weights, 2, "(factors, variables)")
    require_rank("x", x, 2, "(samples, variables)")
    if weights.shape[1] != x.shape[1]:
        raise ValueError(f"weights and x must be over the same variables, got shapes {weights.shape} and {x.shape}")
    require_finite(weights=weights, x=x)
    if sample_weights is not None:
        require_finite(sample_weights=sample_weights)
        if np.shape(sample_weights) != np.shape(x)[:1]:
            raise ValueError(f"sample_weights must be one for each of {len(x)} samples, got {np.shape(sample_weights)}")
        if is_concrete(sample_weights):
            total = float(np.sum(sample_weights))
            if np.min(sample_weights) < 0 or abs(total - 1) > 1e-3:
                raise ValueError(f"sample_weights must not be negative and sum to one, got the sum {total:.6g}")
    if is_concrete(noise) and not 0 <= noise < 1:
        raise ValueError(f"noise must lie in [0, 1), got {noise}")
    weights, x = jnp.asarray(weights), automatically_sharded(x)
    with jax.default_matmul_precision("highest"):
        product = add_noise(second_moment_product(weights, x, sample_weights=sample_weights), weights, noise)
        signal = (weights * product).sum(-1)
        if is_concrete(signal) and not bool((signal < 1).all()):
            row = int(jnp.argmax(signal))
            raise ValueError(
                f"row {row} of weights must have a signal w S wᵀ below 1, the variance of its factor, got"
                f" {signal[row]:.6g}"
            )
        return normalized_correlations(weights, product)
