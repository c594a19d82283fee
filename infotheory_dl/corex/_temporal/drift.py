"""How much the estimates of T-CorEx change from one period to the next: change points, and which variables changed."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import edge, require_choice, require_within
from infotheory_dl.corex._temporal.model import TemporalCorex
from infotheory_dl.corex.moments import estimated_covariance
from infotheory_dl.information import low_rank
from infotheory_dl.information.low_rank import LowRankPlusDiagonal
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

# of the start of a power iteration, which does not depend on it
_START = 0
# turns the median absolute deviation of a Gaussian into its standard deviation
_DEVIATIONS = 1.4826


@concise
class Changes(NamedTuple):
    """How far the matrices of neighbouring periods lie apart; change t is that from period t to t + 1.

    Attributes:
      scores: norm of each difference.
      variables: Euclidean norm of each variable's row of it.
    """

    scores: Float[AnyArray, " changes"]
    variables: Float[AnyArray, "changes variables"]


def changes(
    model: TemporalCorex,
    *,
    of: Literal["inverse_correlations", "correlations", "covariances"] = "inverse_correlations",
    norm: Literal["frobenius", "spectral"] = "frobenius",
) -> Changes:
    """Measures the change from each period to the next, O(factors² variables) for each.

    Args:
      model: the fit, of at least two periods.
      of: which matrices: the "inverse_correlations", in which a pair of variables counts given all others, the
        "correlations", or the "covariances", in which variables of large variance count most.
      norm: of the scores.

    Returns:
      The changes.

    Raises:
      ValueError: if there is one period alone, a word is another, or variances are beyond double precision.

    Source: Harutyunyan et al., 2019 (section 5).
    """
    require_choice("of", of, ("inverse_correlations", "correlations", "covariances"))
    require_choice("norm", norm, ("frobenius", "spectral"))
    if len(model.weights) < 2:
        raise ValueError("a change needs at least 2 periods, got 1")
    loadings, spectral = model.moments.loadings, norm == "spectral"
    if of != "covariances":
        return correlation_changes(loadings, inverse=of == "inverse_correlations", spectral=spectral)
    # in units of the largest of all, on the devices: no square is beyond their precision
    std = np.asarray(model.std, float)
    unit = std.max()
    scale = jnp.asarray(std / unit, loadings.dtype)
    found = _changes_between(estimated_covariance(loadings, jnp.zeros_like(scale), scale), spectral)
    if not 1e-150 < unit < 1e150:
        place = int(np.argmax(std.max(0)))
        variable = place if model.columns is None else repr(model.columns.names[place])
        raise ValueError(
            f"variances of variable {variable}, of the standard deviation {unit:.6g}, are beyond double precision:"
            " ask for changes of correlations, or give it another unit"
        )
    return Changes(*(unit**2 * np.asarray(norms, float) for norms in found))


def correlation_changes(
    loadings: Float[Array, "periods factors variables"], *, inverse: bool = False, spectral: bool = False
) -> Changes:
    """The core of `changes` of the correlations that loadings imply, or of their inverses."""
    one = jnp.ones_like(loadings[:, 0])
    matrices = estimated_covariance(loadings, jnp.zeros_like(one), one)
    if inverse:
        matrices = jax.vmap(low_rank.inverse)(matrices)
    return _changes_between(matrices, spectral)


def change_points(found: Changes, *, num_deviations: float = 3.0) -> Int[np.ndarray, " points"]:
    """Finds the changes that stand out: peaks of the scores, far above their median.

    Args:
      found: the changes.
      num_deviations: how far, in standard deviations of the scores, estimated by their median absolute deviation.

    Returns:
      Indices of changes, ascending; t means between periods t and t + 1. With few samples in a period the
      scores of sampling noise are large too: `change_test` says which are more.
    """
    scores = np.asarray(found.scores)
    spread = _DEVIATIONS * np.median(np.abs(scores - np.median(scores)))
    surrounded = np.pad(scores, 1, constant_values=-np.inf)
    peak = (scores > surrounded[:-2]) & (scores >= surrounded[2:])
    return np.flatnonzero(peak & (scores > np.median(scores) + num_deviations * spread))


@edge
def most_changed(found: Changes, num_variables: int) -> Int[Array, "changes most"]:
    """Lists the variables that changed most at each change, the most changed first.

    Args:
      found: the changes.
      num_variables: how many to list.

    Returns:
      Numbers of variables.

    Raises:
      ValueError: if there are not so many variables.
    """
    available = found.variables.shape[1]
    require_within(f"[1, {available}]", "the number of variables", num_variables=num_variables)
    return lax.top_k(found.variables, num_variables)[1]


def _changes_between(matrices: LowRankPlusDiagonal, spectral: bool) -> Changes:
    before, after = (jax.tree.map(lambda leaf, s=s: leaf[s], matrices) for s in (slice(-1), slice(1, None)))

    def compare(pair: tuple[LowRankPlusDiagonal, LowRankPlusDiagonal]) -> Changes:
        rows = low_rank.row_distances(*pair)
        score = low_rank.spectral_distance(jax.random.key(_START), *pair) if spectral else jnp.linalg.norm(rows)
        return Changes(score, rows)

    return lax.map(compare, (before, after))
