"""Linear MinSyn: factors that tell as much of the variables as they can, less their synergy.

It is linear CorEx with two weights, of synergy and of capacity: its solver finds the factors, and what it returns is a
`LinearCorex`, so that `transform`, `clusters` and `save` of `corex.linear` are those of MinSyn too.
"""

from collections.abc import Sequence
from typing import Any, Unpack, cast

import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_count, require_not_negative
from infotheory_dl.corex import linear
from infotheory_dl.corex._linear.fitting import LinearSettings
from infotheory_dl.corex.linear import LinearCorex, Objective
from infotheory_dl.types import AnyArray, AnyTable, Key, Scalar

__all__ = ["fit", "objective"]

_OF_THE_WEIGHTS = {"objective", "warm_up", "overlapping", "num_restarts"}


@edge
def objective(
    weights: Float[AnyArray, "factors variables"],
    x: Float[AnyArray, "samples variables"],
    *,
    synergy_weight: Scalar = 1.0,
    capacity_weight: Scalar = 1.0,
    calibrated: bool = True,
) -> Float[Array, ""]:
    """Computes what linear MinSyn maximises: information less synergy and capacity, in closed form.

    It is sum_i [I(X_i; Z) - synergy_weight S(X_i; Z)] - capacity_weight sum_j I(Z_j; X). With both weights one, the
    calibrated one is TC(X; Z) - TC(Z) - sum_i S_cal(X_i; Z), the objective of linear CorEx.

    Args:
      weights: of factors of unit noise, Z_j = w_j x + noise of variance one.
      x: variables of mean zero and variance one.
      synergy_weight: 0 allows synergy, more than 1 costs more than what a reader loses.
      capacity_weight: of what the factors tell of all variables, that the variables pay for.
      calibrated: whether synergy is S_cal, what is lost by a reader who takes the factors to be independent given X_i,
        and knows the variance of its errors; else S_CI, of one who does not.

    Returns:
      The objective, nats.

    Raises:
      ValueError: if the shapes do not fit, an entry is NaN or infinite, or a weight is negative.

    Source: ours, from the abstract of Ver Steeg et al., 2017, and the objective of Steeg et al., 2019.
    """
    require_not_negative(synergy_weight=synergy_weight, capacity_weight=capacity_weight)
    of_weights = _weighed(synergy_weight, capacity_weight, calibrated)
    return linear.explained_total_correlation(weights, x, objective=of_weights)


@edge
def fit(
    key: Key,
    x: AnyTable,
    num_factors: int,
    *,
    restarts: int = 8,
    synergy_weight: Scalar | Sequence[float] = 1.0,
    capacity_weight: Scalar = 1.0,
    calibrated: bool = True,
    **settings: Unpack[LinearSettings],
) -> LinearCorex:
    """Finds linear factors of much information and little synergy: the maximum of `objective`.

    Args:
      key: source of randomness, for the starts.
      x: one row for each sample, as `corex.linear.fit` takes it: it is standardised first, and columns that do not vary
        drop out, which `preprocessing.kept` of the fit tells.
      num_factors: number of factors.
      restarts: random starts, side by side; the one with the largest objective is kept.
      synergy_weight: as in `objective`; or several, of which each begins where the one before it ended, such as
        (0, 1, 2). The fit is of the last.
      capacity_weight, calibrated: as in `objective`.
      settings: the others of `corex.linear.fit`, such as `initial_weights`, which take the place of restarts, and
        `noise`, without which nothing bounds what variables that are copies of each other are worth.

    Returns:
      The fit; `total_correlation` and `history` are of the objective.

    Raises:
      TypeError, ValueError: as `corex.linear.fit`, or if a weight is negative.

    Warns:
      UserWarning: if the fit has not settled, or has diverged.

    Source: ours, from the abstract of Ver Steeg et al., 2017; the solver is that of Steeg et al., 2019.
    """
    require_count(1, restarts=restarts)
    path = list(cast(Sequence[Scalar], synergy_weight)) if np.ndim(synergy_weight) else [synergy_weight]
    if not path:
        raise ValueError("synergy_weight must be a number or several, got none")
    for one in path:
        require_not_negative(synergy_weight=one, capacity_weight=capacity_weight)
    if taken := sorted(settings.keys() & _OF_THE_WEIGHTS):
        raise ValueError(f"{taken[0]} is not a setting of MinSyn: synergy_weight, capacity_weight and restarts say it")
    *warm_up, last = (_weighed(cast(Scalar, one), capacity_weight, calibrated) for one in path)
    if settings.get("initial_weights") is not None:
        restarts = 1
    asked: dict[str, Any] = {"on_constant": "drop", **settings}
    return linear.fit(key, x, num_factors, objective=last, warm_up=warm_up, num_restarts=restarts, **asked)


def _weighed(synergy_weight: Scalar, capacity_weight: Scalar, calibrated: bool) -> Objective:
    """The objective of CorEx's solver: I - w S is (1 - w) I + w (I - S), and a term of weight zero is left out."""
    joint = None if _is(1, synergy_weight) else 1 - synergy_weight
    independent = None if _is(0, synergy_weight) else synergy_weight
    terms = {"calibrated": independent} if calibrated else {"calibrated": None, "uncalibrated": independent}
    return Objective(joint=joint, capacity=capacity_weight, **terms)


def _is(number: int, weight: Scalar) -> bool:
    """Whether a weight is known, and this number: what is traced may be any."""
    return isinstance(weight, float | int) and weight == number
