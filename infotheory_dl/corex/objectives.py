"""What solvers maximise: any function of the correlations of factors and variables, such as that of linear CorEx."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl.corex.correlations import (
    Correlations,
    excess_variance,
    independent_loadings,
    slopes_and_gain,
    sum_over_factors,
    whitening,
)
from infotheory_dl.results import concise
from infotheory_dl.types import Scalar

SMALLEST_RESIDUAL = 1e-6


@runtime_checkable
class FactorObjective(Protocol):
    """What a solver asks of its objective: a pytree, whose leaves may be traced, that can be called.

    A NamedTuple of the weights of its terms is one, with these two methods. Its derivatives are taken by JAX.
    """

    def __call__(self, correlations: Correlations) -> Float[Array, "*batch"]:
        """The value, to be maximised, nats."""

    def loadings(self, correlations: Correlations) -> Float[Array, "*batch factors variables"]:
        """How its reader predicts variables from factors of variance one; the estimated covariance is of these."""


@concise
class Objective(NamedTuple):
    """An objective of three readers, as the weights of its terms; None leaves a term out.

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

    def __call__(self, correlations: Correlations) -> Float[Array, "*batch"]:
        """The value, nats; by default sum_i I_cal(X_i; Z) - sum_j I(Z_j; X), in closed form.

        Source: Steeg et al., 2019.
        """
        total = jnp.asarray(-self.capacity * correlations.informations.sum(-1))
        if self._has_independent_reader():
            gain, excess = slopes_and_gain(correlations.variables)[1], excess_variance(correlations)
            if self.calibrated is not None:
                total += self.calibrated * (jnp.log1p(gain) - jnp.log1p(excess) / 2).sum(-1)
            if self.uncalibrated is not None:
                total += self.uncalibrated * (jnp.log1p(gain) + (gain - excess) / (1 + gain)).sum(-1) / 2
        if self.joint is not None:
            whitened = whitening(correlations.factors) @ correlations.variables
            residuals = 1 - sum_over_factors(jnp.square(whitened))
            total -= self.joint * jnp.log(jnp.maximum(residuals, SMALLEST_RESIDUAL)).sum(-1) / 2
        return total

    def loadings(self, correlations: Correlations) -> Float[Array, "*batch factors variables"]:
        """Of the reader who takes the factors for independent, where one of its terms has a weight."""
        if self._has_independent_reader():
            return independent_loadings(correlations.variables)
        return whitening(correlations.factors) @ correlations.variables

    def _has_independent_reader(self) -> bool:
        return self.calibrated is not None or self.uncalibrated is not None


CORRELATION_EXPLANATION = Objective()
OVERLAPPING = Objective(calibrated=None, joint=1.0)
