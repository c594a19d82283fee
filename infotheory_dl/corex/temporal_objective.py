"""The objective of T-CorEx: what the factors of each period explain, less how much they change.

All periods are one axis of the weights, and a window is a weighting of all samples: one product with the data gives the
factors of all periods, and a second one their moments with all variables.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl.corex.moments import Moments, add_noise, all_moments, loadings, unit_noise_correlations
from infotheory_dl.corex.periods import Windows
from infotheory_dl.types import AnyArray, Key, Scalar

Smoothed = Literal["weights", "mutual_informations", "covariances"]


class SecondMoments(NamedTuple):
    """Second moments of variables x and factors z of unit noise, one set for each period.

    Attributes:
      variables: E x_i².
      cross: E z_j x_i.
      factors: E z_j z_k.
    """

    variables: Float[Array, "periods variables"]
    cross: Float[Array, "periods factors variables"]
    factors: Float[Array, "periods factors factors"]


class Draws(NamedTuple):
    """Standard normal noise of one evaluation of the sampled objective.

    Attributes:
      variables: on the samples.
      own: on the factors of a period at its own samples.
      window: on the factors of each window at all samples.
    """

    variables: Float[AnyArray, "periods rows variables"]
    own: Float[AnyArray, "periods factors rows"]
    window: Float[AnyArray, "windows factors periods rows"]


def window_second_moments(windows: Windows) -> Float[Array, "periods variables variables"]:
    """The second moment of every window: where variables are few, it stands in for the samples of other periods."""
    own = jnp.einsum("tn,tnp,tnq->tpq", windows.own_weights, windows.values, windows.values)
    return jnp.einsum("ti,ipq->tpq", windows.sample_weights.sum(2), own)


def exact_moments(
    weights: Float[AnyArray, "periods factors variables"],
    windows: Windows,
    noise: Scalar,
    second: Float[Array, "periods variables variables"] | None = None,
) -> tuple[SecondMoments, SecondMoments]:
    """Moments of the factors of each period over its window, and over its own samples, all noise integrated out.

    Args:
      weights: of factors of unit noise.
      windows: the data.
      noise: standard deviation of the noise on the variables.
      second: of `window_second_moments`, to be used in place of the samples.

    Returns:
      The moments over the window, and those over the period's own samples.
    """
    own_scores, window_scores = _scores(weights, windows.values)
    own = _over_own(own_scores, windows.values, windows)
    if second is None:
        window = _over_windows(window_scores, windows.values, windows)
    else:
        cross = jnp.einsum("tmp,tpq->tmq", weights, second)
        squares = jnp.diagonal(second, axis1=1, axis2=2)
        window = SecondMoments(squares, cross, jnp.einsum("tjp,tkp->tjk", cross, weights))
    # the noise on the variables goes through the weights, that on the factors has variance one
    through = jnp.einsum("tjp,tkp->tjk", weights, weights)
    identity = jnp.eye(weights.shape[1], dtype=through.dtype)
    with_noise = lambda moments: SecondMoments(
        add_noise(moments.variables, jnp.ones_like(moments.variables), noise),
        add_noise(moments.cross, weights, noise),
        add_noise(moments.factors, through, noise) + identity,
    )
    return with_noise(window), with_noise(own)


def draw_noise(key: Key, weights: Float[Array, "periods factors variables"], windows: Windows) -> Draws:
    """Draws the noise of one evaluation."""
    key_variables, key_own, key_window = jax.random.split(key, 3)
    (num_periods, num_rows, _), dtype = windows.values.shape, weights.dtype
    of_factors = (num_periods, weights.shape[1])
    return Draws(
        variables=jax.random.normal(key_variables, windows.values.shape, dtype),
        own=jax.random.normal(key_own, (*of_factors, num_rows), dtype),
        window=jax.random.normal(key_window, (*of_factors, num_periods, num_rows), dtype),
    )


def sampled_moments(
    weights: Float[AnyArray, "periods factors variables"], windows: Windows, noise: Scalar, draws: Draws
) -> tuple[SecondMoments, SecondMoments]:
    """The same moments over draws, as published; see `exact_moments`."""
    noisy = jnp.sqrt(1 - noise**2) * windows.values + noise * draws.variables
    own, window = _scores(weights, noisy)
    return _over_windows(window + draws.window, noisy, windows), _over_own(own + draws.own, noisy, windows)


def correlations_of(window: SecondMoments) -> Float[Array, "periods factors variables"]:
    """Correlations of factors and variables in the window, whose variables count as of variance one."""
    return window.cross / jnp.sqrt(_variances(window))[..., None]


def explained(window: SecondMoments, readers: SecondMoments) -> Float[Array, " periods"]:
    """What the factors of each period explain, nats.

    A reader of the factors who takes them for independent given each variable predicts the variables from them, in the
    way that the window says. The value is sum_i -log E (x_i - prediction)² / 2 - sum_j I(Z_j; X).

    Args:
      window: moments over the window.
      readers: moments over the samples that are predicted.

    Returns:
      The value for each period; where both moments are of the same samples, the objective of linear CorEx.

    Source: Harutyunyan et al., 2019.
    """
    variances = _variances(window)
    readout = loadings(correlations_of(window)) / jnp.sqrt(variances)[..., None]
    quadratic = readout * (jnp.einsum("tjk,tkp->tjp", readers.factors, readout) - 2 * readers.cross)
    errors = readers.variables + quadratic.sum(1)
    # what rounding has made negative, or as good as zero
    errors = jnp.maximum(errors, max(1e-8, 4 * float(jnp.finfo(errors.dtype).eps)))
    return -(jnp.log(errors).sum(-1) + jnp.log(variances).sum(-1)) / 2


def window_moments(weights: Float[Array, "periods factors variables"], window: SecondMoments) -> Moments:
    """Everything that follows from the exact moments of factors of unit noise; see `Moments`.

    A sample is standardised by the window of its own period, so that in another's window the variables have variances
    about one. Here they are correlations all the same, where the published code lets them exceed one.
    """
    correlations = unit_noise_correlations(weights, window.cross)
    variables = correlations.variables / jnp.sqrt(window.variables)[:, None]
    return all_moments(correlations._replace(variables=variables))


def changes_of(
    weights: Float[Array, "periods factors variables"], window: SecondMoments, smoothed: Smoothed
) -> Float[Array, "changes ..."]:
    """The change of what shall be smooth from each period to the next.

    Args:
      weights: of factors of unit noise.
      window: their moments.
      smoothed: the "weights", the "mutual_informations" of factors and variables, or the estimates of the correlations
        of the variables ("covariances": needs memory for variables by variables).

    Returns:
      The differences.
    """
    if smoothed == "weights":
        return jnp.diff(weights, axis=0)
    rho = correlations_of(window)
    if smoothed == "mutual_informations":
        squares = jnp.minimum(jnp.square(rho), 1 - jnp.finfo(rho.dtype).eps)
        return jnp.diff(-jnp.log1p(-squares) / 2, axis=0)
    shared = loadings(rho)
    off_diagonal = ~jnp.eye(shared.shape[-1], dtype=bool)
    return jnp.diff(off_diagonal * jnp.einsum("tmp,tmq->tpq", shared, shared), axis=0)


def _scores(weights: AnyArray, values: Array) -> tuple[Array, Array]:
    """The factors of each period at its own samples, and at all samples, less their noise."""
    return jnp.einsum("tmp,tnp->tmn", weights, values), jnp.einsum("tmp,inp->tmin", weights, values)


def _over_own(factors: Array, values: Array, windows: Windows) -> SecondMoments:
    """Moments over the samples of each period."""
    weighted = factors * windows.own_weights[:, None]
    return SecondMoments(
        _own_squares(values, windows),
        jnp.einsum("tmn,tnp->tmp", weighted, values),
        jnp.einsum("tjn,tkn->tjk", weighted, factors),
    )


def _over_windows(factors: Array, values: Array, windows: Windows) -> SecondMoments:
    """Moments over the samples of each window."""
    weighted = factors * windows.sample_weights[:, None]
    return SecondMoments(
        windows.sample_weights.sum(2) @ _own_squares(values, windows),
        jnp.einsum("tmin,inp->tmp", weighted, values),
        jnp.einsum("tjin,tkin->tjk", weighted, factors),
    )


def _own_squares(values: Array, windows: Windows) -> Array:
    """E x_i² over the samples of each period."""
    return (windows.own_weights[..., None] * jnp.square(values)).sum(1)


def _variances(window: SecondMoments) -> Array:
    return jnp.diagonal(window.factors, axis1=-2, axis2=-1)
