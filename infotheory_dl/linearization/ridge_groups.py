"""Ridge regression without a group of examples, in closed form, from the moments that every fit shares.

In the eigenbasis of the moments the normal equations are diagonal, D w = b. Without the rows Z of a group they are
(D - ZᵀZ) w' = b - Zᵀy, so that with e = y - Z w the weights move by -D⁻¹Zᵀr, where (1 - Z D⁻¹Zᵀ) r = e has as many rows
as the group: what is solved is the smaller of the two.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, require_finite, require_not_negative, require_rank
from infotheory_dl.linearization.eigen import SingularKernelError
from infotheory_dl.linearization.moments import FeatureMoments, feature_moments
from infotheory_dl.linearization.ridge import fitted
from infotheory_dl.linearization.streams import FeatureStream, as_stream
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

_BLOCK = 1024


@concise
class RidgeLeaveGroupsOut(NamedTuple):
    """What ridge regression says without each group of examples.

    Attributes:
      groups: their numbers, ascending.
      residuals: of every example: its target minus its prediction by the fit to all that are not in its group.
      weight_change: squared norm of the change of the weights without the group, but for the intercept.
      output_change: squared norm of the change of the outputs without it, mean over all other examples.
      weight_decay: penalty on the mean loss.
    """

    groups: Int[np.ndarray, " groups"]
    residuals: Float[np.ndarray, "examples outputs"]
    weight_change: Float[np.ndarray, " groups"]
    output_change: Float[np.ndarray, " groups"]
    weight_decay: float


@edge(half=False)
def ridge_leave_groups_out(
    features: Float[AnyArray, "examples features"] | FeatureStream,
    targets: Float[AnyArray, "examples outputs"],
    groups: Int[AnyArray, " examples"],
    *,
    weight_decay: float | None = None,
    moments: FeatureMoments | None = None,
) -> RidgeLeaveGroupsOut:
    """Predicts every example from all that are not in its group, in closed form; see `ridge_leave_one_out`.

    The penalty on the sum of the losses is that of the fit to all.

    Args:
      features: of the examples, or a stream of them.
      targets: y.
      groups: the number of each example's group: its source, its patient, its family of copies.
      weight_decay: penalty on the mean loss; by default the one of least leave-one-out error, example by example.
      moments: of `feature_moments`, where they are there already.

    Returns:
      Residuals, and what the fit without each group changes.

    Raises:
      ValueError: if the shapes do not fit, an argument holds NaN or infinity, or there is one group only.
      SingularKernelError: if without weight decay and a group the weights are not determined.

    Source: Allen, 1974 (PRESS).
    """
    stream = as_stream(features)
    require_rank("targets", targets, 2, "(examples, outputs)")
    require_rank("groups", groups, 1, "(examples,)")
    require_finite(targets=targets)
    require_not_negative(weight_decay=weight_decay)
    if not len(targets) == len(groups) == len(stream):
        raise ValueError(
            f"features of {len(stream)} examples need as many targets and groups, got {len(targets)} and {len(groups)}"
        )
    codes = np.asarray(groups)
    if len(np.unique(codes)) < 2:
        raise ValueError("all examples are in one group: without it none is left")
    known = feature_moments(stream) if moments is None else moments
    return without_groups_of_features(stream, known, np.asarray(targets), codes, weight_decay)


def without_groups_of_features(
    stream: FeatureStream,
    moments: FeatureMoments,
    targets: Float[np.ndarray, "examples outputs"],
    groups: Int[np.ndarray, " examples"],
    weight_decay: float | None,
) -> RidgeLeaveGroupsOut:
    """The core of `ridge_leave_groups_out`."""
    fit = fitted(stream, moments, targets, weight_decay)
    mean = moments.mean.astype(stream.dtype)

    def coordinates(rows: Int[np.ndarray, " taken"]) -> Float[np.ndarray, "taken directions"]:
        projected = (stream.take(rows) - mean) @ moments.eigenvectors
        return np.concatenate([projected, np.ones((len(rows), 1), projected.dtype)], axis=1)

    n = moments.num_examples
    weights = np.concatenate([fit.weights, fit.intercept[None]])
    spectrum = np.append(moments.eigenvalues, n)
    penalty = np.append(np.full(len(moments.eigenvalues), n * fit.weight_decay), 0.0)
    return without_groups(coordinates, spectrum, penalty, weights, targets, groups, has_intercept=True)


def without_groups(
    coordinates: Callable[[Int[np.ndarray, " taken"]], Float[np.ndarray, "taken directions"]],
    spectrum: Float[np.ndarray, " directions"],
    penalty: Float[np.ndarray, " directions"],
    weights: Float[np.ndarray, "directions outputs"],
    targets: Float[np.ndarray, "examples outputs"],
    groups: Int[np.ndarray, " examples"],
    *,
    has_intercept: bool,
) -> RidgeLeaveGroupsOut:
    """Leaves each group out of a fit in coordinates whose second moments are diagonal.

    Args:
      coordinates: of the examples at these places.
      spectrum: the sum of the squares of each coordinate over all examples.
      penalty: on the square of each weight, in the sum of the losses; 0 for an intercept.
      weights: of the fit to all.
      targets: y.
      groups: the number of each example's group.
      has_intercept: whether the last coordinate is one, which is no weight.
    """
    n, codes = len(targets), np.unique(groups)
    residuals = np.empty((n, targets.shape[1]))
    weight_change, output_change = np.empty(len(codes)), np.empty(len(codes))
    for place, code in enumerate(codes):
        members = np.flatnonzero(groups == code)
        change = _change(coordinates, spectrum + penalty, weights, targets, members, code)
        moved = 0.0
        for rows in _blocks(members):
            own = coordinates(rows)
            residuals[rows] = targets[rows] - own @ (weights + change)
            moved += float(np.square(own @ change).sum())
        squares = np.square(change).sum(1)
        weight_change[place] = squares[: len(squares) - has_intercept].sum()
        output_change[place] = max(spectrum @ squares - moved, 0.0) / (n - len(members))
    return RidgeLeaveGroupsOut(codes, residuals, weight_change, output_change, float(penalty.max()) / n)


def _change(coordinates, diagonal, weights, targets, members, code) -> Float[np.ndarray, "directions outputs"]:
    """What the weights change by without the members."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    is_small = len(members) <= len(diagonal)
    try:
        if is_small:
            own = coordinates(members).astype(float)
            scaled = own / diagonal
            remaining = cho_factor(np.eye(len(members)) - scaled @ own.T)
            return -scaled.T @ cho_solve(remaining, targets[members] - own @ weights)
        products, sums = np.diag(diagonal), np.zeros_like(weights, dtype=float)
        for rows in _blocks(members):
            own = coordinates(rows)
            products -= own.T @ own
            sums += own.T @ (targets[rows] - own @ weights)
        return -cho_solve(cho_factor(products), sums)
    except LinAlgError as error:
        raise SingularKernelError(
            f"without group {code}, {len(members)} of {len(targets)} examples, the weights are not determined: give"
            " weight decay, or features in double precision"
        ) from error


def _blocks(members: Int[np.ndarray, " members"]) -> list[Int[np.ndarray, " block"]]:
    return [members[start : start + _BLOCK] for start in range(0, len(members), _BLOCK)]
