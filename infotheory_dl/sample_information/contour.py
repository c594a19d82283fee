"""The training response as a sum of few poles, so that removing examples needs resolvents of the kernel only."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from infotheory_dl._validation import is_concrete
from infotheory_dl.linearization import Dynamics
from infotheory_dl.results import concise
from infotheory_dl.types import Scalar


@concise
class Poles(NamedTuple):
    """A function of mu >= 0 as the real part of `2 sum_p weights_p / (locations_p + mu)`.

    Attributes:
      locations: where the poles are, with the sign changed; one of each conjugate pair.
      weights: their residues.
    """

    locations: Inexact[Array, " poles"]
    weights: Inexact[Array, " poles"]


def response_poles(*, time: Scalar, rate: Scalar, dynamics: Dynamics, dtype: np.dtype) -> Poles:
    """Writes the response phi(mu) of training as a sum of poles.

    At infinite time phi(mu) = 1 / mu is one pole. At finite time the inverse Laplace transform (gradient flow) or
    Cauchy integral (gradient descent) is summed along a cotangent contour: 12 conjugate pairs give 1e-12 in double
    precision, 7 give 1e-6 in single.

    Args:
      time: number of steps, or infinity.
      rate: step size on the summed loss.
      dynamics: "continuous"; or "discrete" from 8 steps on, where rate mu <= 1 or (1 - rate mu)^time has died out.
      dtype: of mu.

    Returns:
      The poles, complex but at infinite time.

    Source: Weideman and Trefethen, 2007 (section 3); Trefethen et al., 2006 (Talbot quadrature).
    """
    if is_concrete(time) and np.isinf(time):
        return Poles(jnp.zeros(1, dtype), jnp.full(1, 0.5, dtype))
    double = jnp.finfo(dtype).bits == 64
    contour = _cotangent_contour(24 if double else 14)
    z, c = (jnp.asarray(values, jnp.complex128 if double else jnp.complex64) for values in contour)
    if dynamics == "continuous":
        return Poles(z / (rate * time), c / z)
    step = jnp.expm1(z / time)
    return Poles(step / rate, c * jnp.exp(z / time) / (time * step))


def _cotangent_contour(num_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points z on the upper half of the contour, and exp(z) dz times the width of the trapezoid rule over 2 pi i."""
    theta = np.pi * (2 * np.arange(num_points // 2) + 1) / num_points
    angle = 0.6407 * theta
    z = num_points * (0.5017 * theta / np.tan(angle) - 0.6122 + 0.2645j * theta)
    slope = num_points * (0.5017 / np.tan(angle) - 0.5017 * angle / np.sin(angle) ** 2 + 0.2645j)
    return z, np.exp(z) * slope / (1j * num_points)
