"""What linear CorEx and T-CorEx are compared with: estimators of scikit-learn, and sparse inverses over time."""

import functools
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from sklearn.cluster import KMeans
from sklearn.covariance import OAS, LedoitWolf, graphical_lasso
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from infotheory_dl.corex import linear
from infotheory_dl.information import low_rank

PENALTIES = (0.1, 0.3)
"""Of the graphical lasso on standardised data; the published comparison takes the better one, and so is it here."""

Estimator = Callable[[np.ndarray, int], np.ndarray]


def gaussian_loss(covariances: np.ndarray, second_moments: np.ndarray) -> float:
    """Mean over periods of the negative log-likelihood, nats, of Gaussians of mean zero on samples of these moments."""
    covariances, second_moments = np.asarray(covariances, float), np.asarray(second_moments, float)
    _, determinants = np.linalg.slogdet(covariances)
    distances = np.trace(np.linalg.solve(covariances, second_moments), axis1=-2, axis2=-1)
    return float((covariances.shape[-1] * np.log(2 * np.pi) + determinants + distances).mean() / 2)


def dense(covariance: low_rank.LowRankPlusDiagonal) -> np.ndarray:
    """The covariance written out; of all periods, where there are such."""
    to_dense = low_rank.to_dense if covariance.diagonal.ndim == 1 else jax.vmap(low_rank.to_dense)
    return np.asarray(to_dense(covariance), float)


def second_moments(periods: np.ndarray) -> np.ndarray:
    """Of the samples of each period."""
    return np.swapaxes(periods, -1, -2) @ periods / periods.shape[-2]


def sparse_inverse(x: np.ndarray, penalty: float) -> np.ndarray | None:
    """The covariance of the graphical lasso on standardised data; None where scikit-learn gives up."""
    std = x.std(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            correlation, _ = graphical_lasso(np.corrcoef(x.T), penalty)
    except FloatingPointError:
        return None
    return correlation * std * std[:, None]


def best_sparse_inverse(periods: np.ndarray, loss: Callable[[np.ndarray], float]) -> float:
    """The loss of the graphical lasso in every period, with the better of the penalties; NaN where both fail."""
    losses = []
    for penalty in PENALTIES:
        estimates = [estimate for x in periods if (estimate := sparse_inverse(x, penalty)) is not None]
        if len(estimates) == len(periods):
            losses.append(loss(np.stack(estimates)))
    return min(losses, default=float("nan"))


COVARIANCES: dict[str, Estimator] = {
    "diagonal": lambda x, _: np.diag(x.var(0)),
    "Ledoit-Wolf": lambda x, _: LedoitWolf().fit(x).covariance_,
    "OAS": lambda x, _: OAS().fit(x).covariance_,
    "PCA": lambda x, num_factors: PCA(num_factors).fit(x).get_covariance(),
    "factor analysis": lambda x, num_factors: FactorAnalysis(num_factors).fit(x).get_covariance(),
}


def linear_corex(x: np.ndarray, num_factors: int, seed: int) -> np.ndarray:
    """The covariance of linear CorEx, which knows no periods."""
    return dense(linear.covariance(linear.fit(jax.random.key(seed), x, num_factors)))


def factor_analysis_clusters(x: np.ndarray, num_factors: int, seed: int) -> np.ndarray:
    """Gives every variable to the factor with its largest loading."""
    loadings = FactorAnalysis(num_factors, random_state=seed).fit(x).components_
    return np.abs(loadings).argmax(0)


def principal_component_clusters(x: np.ndarray, num_factors: int, seed: int) -> np.ndarray:
    """k-means of the variables by their loadings, each turned so that its largest one is positive."""
    components = PCA(num_factors, random_state=seed).fit(x)
    loadings = (components.components_ * np.sqrt(components.explained_variance_)[:, None]).T
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(1)[:, None], 1)
    return KMeans(num_factors, n_init=3, random_state=seed).fit_predict(loadings * np.sign(largest))


class _Copies(NamedTuple):
    """What the consensus is among: the inverses, sparse copies, and copies that change little from period to period."""

    own: Array
    before: Array
    after: Array


@functools.partial(jax.jit, static_argnames="num_iterations")
def time_varying_graphical_lasso(
    covariances: Array, sparsity: float, smoothness: float, *, num_iterations: int = 100, step: float = 1.0
) -> Array:
    """Estimates inverse covariances that are sparse and change little, by the method of multipliers.

    Minimises sum_t tr(S_t P_t) - log det P_t + sparsity |P_t|_1, off the diagonal, + smoothness |P_t+1 - P_t|_1.
    Written for this comparison, in O(periods variables³) an iteration.

    Source: Hallac et al., 2017.
    """
    num_periods, size, _ = covariances.shape
    identity = jnp.broadcast_to(jnp.eye(size, dtype=covariances.dtype), covariances.shape)
    off_diagonal = 1 - jnp.eye(size, dtype=covariances.dtype)
    # a period has a copy of its own, and one for each neighbour
    count = 1 + (jnp.arange(num_periods) > 0) + (jnp.arange(num_periods) < num_periods - 1)
    weight = (step * count)[:, None, None]
    soften = lambda values, threshold: jnp.sign(values) * jnp.maximum(jnp.abs(values) - threshold, 0)

    def iterate(_: int, state: tuple[_Copies, _Copies]) -> tuple[_Copies, _Copies]:
        copies, duals = state
        differences = jax.tree.map(jnp.subtract, copies, duals)
        total = differences.own.at[:-1].add(differences.before).at[1:].add(differences.after)
        eigenvalues, vectors = jnp.linalg.eigh(step * total - covariances)
        roots = (eigenvalues + jnp.sqrt(eigenvalues**2 + 4 * weight[..., 0])) / (2 * weight[..., 0])
        inverses = (vectors * roots[:, None]) @ jnp.swapaxes(vectors, 1, 2)

        now = _Copies(inverses, inverses[:-1], inverses[1:])
        targets = jax.tree.map(jnp.add, now, duals)
        middle = (targets.before + targets.after) / 2
        half = soften(targets.after - targets.before, 2 * smoothness / step) / 2
        copies = _Copies(soften(targets.own, sparsity / step * off_diagonal), middle - half, middle + half)
        return copies, jax.tree.map(jnp.subtract, targets, copies)

    start = _Copies(identity, identity[:-1], identity[1:])
    copies, _ = lax.fori_loop(0, num_iterations, iterate, (start, jax.tree.map(jnp.zeros_like, start)))
    # what the consensus has come to, positive definite as the sparse copies need not be
    eigenvalues, vectors = jnp.linalg.eigh(copies.own)
    return (vectors * jnp.maximum(eigenvalues, 1e-3)[:, None]) @ jnp.swapaxes(vectors, 1, 2)


def time_varying_covariances(periods: np.ndarray, sparsity: float, smoothness: float) -> np.ndarray:
    """Covariances of all periods by the time-varying graphical lasso on standardised data."""
    std = periods.std((0, 1))
    inverses = time_varying_graphical_lasso(jnp.asarray(second_moments(periods / std)), sparsity, smoothness)
    return np.linalg.inv(np.asarray(inverses, float)) * std * std[:, None]
