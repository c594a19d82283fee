"""Which factor each variable belongs to, in the fits of both systems."""

from typing import Literal, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import require_choice
from infotheory_dl.corex.moments import FactorMoments


@runtime_checkable
class FactorModel(Protocol):
    """What both fits have."""

    @property
    def weights(self) -> Float[Array, "*periods factors variables"]:
        """Of factors of unit noise."""

    @property
    def moments(self) -> FactorMoments:
        """Of these factors."""


def clusters(
    model: FactorModel, by: Literal["mutual_information", "weight"] = "mutual_information"
) -> Int[Array, "*periods variables"]:
    """Assigns every variable to one factor, in each period of a fit of T-CorEx.

    Args:
      model: the fit.
      by: the factor with the most "mutual_information" with the variable, or with its largest absolute "weight", all
        factors scaled to variance one.

    Returns:
      Numbers of factors; a number means the same factor in all periods.

    Raises:
      ValueError: if `by` is another word.
    """
    require_choice("by", by, ("mutual_information", "weight"))
    if by == "mutual_information":
        return model.moments.mutual_informations.argmax(-2)
    scale = jnp.sqrt(1 - model.moments.signal_shares)[..., None]
    return (scale * jnp.abs(model.weights)).argmax(-2)
