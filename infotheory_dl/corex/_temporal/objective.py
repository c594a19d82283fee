"""The objective of T-CorEx: what the factors of each period explain, less how much they change.

All periods are one axis of the weights, and a window is a weighting of all samples: one product with the data gives the
factors of all periods, and a second one their moments with all variables.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl.corex._temporal.periods import Windows
from infotheory_dl.corex.correlations import (
    add_noise,
    independent_loadings,
    pairwise_informations,
    sum_over_factors,
    unit_noise_correlations,
)
from infotheory_dl.corex.moments import FactorMoments, all_moments
from infotheory_dl.types import AnyArray, Key, Scalar

# about what lies in the caches with what is made of it
_ENTRIES_AT_ONCE = 2**20

Smoothed = Literal["weights", "mutual_informations", "covariances"]


class SecondMoments(NamedTuple):
    """Second moments of variables x and factors z of unit noise, of one period or along an axis of periods.

    Attributes:
      variables: E x_i².
      cross: E z_j x_i.
      factors: E z_j z_k.
    """

    variables: Float[Array, "*periods variables"]
    cross: Float[Array, "*periods factors variables"]
    factors: Float[Array, "*periods factors factors"]


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
    of_one = functools.partial(_exact_moments_of_one, values=windows.values, noise=noise)
    return jax.vmap(of_one)(weights, _one_by_one(windows, second))


def explained_by_each(
    weights: Float[AnyArray, "periods factors variables"],
    windows: Windows,
    noise: Scalar,
    second: Float[Array, "periods variables variables"] | None = None,
    *,
    weighted: bool = False,
) -> Float[Array, " periods"]:
    """`explained` of `exact_moments`, where nothing but the weights shall be differentiated.

    Large periods come one after the other, the gradient of each with its value: what is between them and the weights
    is never there for all periods.

    Args:
      weights, windows, noise, second: as in `exact_moments`.
      weighted: whether all samples of the window are predicted instead of the period's.

    Returns:
      The value for each period.
    """
    num_periods, *size = weights.shape

    @with_gradient
    def of_one(weights: Array, period: _Period, values: Array, noise: Scalar) -> Array:
        window, own = _exact_moments_of_one(weights, period, values, noise)
        return explained(window, window if weighted else own)

    return jax.lax.map(
        lambda one: of_one(*one, windows.values, noise),
        (weights, _one_by_one(windows, second)),
        batch_size=max(1, min(num_periods, _ENTRIES_AT_ONCE // math.prod(size))),
    )


def with_gradient(function: Callable[..., Array]) -> Callable[..., Array]:
    """A scalar function that, when differentiated, takes the gradient by its first argument along with its value.

    By the other arguments the derivative is zero. No intermediate values are kept for a way back.
    """

    @jax.custom_vjp
    def of(first: Any, *others: Any) -> Array:
        return function(first, *others)

    def forward(first: Any, *others: Any) -> tuple[Array, tuple[Any, tuple[Any, ...]]]:
        value, gradient = jax.value_and_grad(function)(first, *others)
        return value, (gradient, (None,) * len(others))

    def backward(residual: tuple[Any, tuple[Any, ...]], cotangent: Array) -> tuple[Any, ...]:
        gradient, others = residual
        return jax.tree.map(lambda leaf: cotangent * leaf, gradient), *others

    of.defvjp(forward, backward)
    return of


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
    noisy = windows._replace(values=jnp.sqrt(1 - noise**2) * windows.values + noise * draws.variables)

    def of_one(
        weights: AnyArray, period: _Period, own: AnyArray, window: AnyArray
    ) -> tuple[SecondMoments, SecondMoments]:
        own_scores, window_scores = _scores(weights, period.values), _scores(weights, noisy.values)
        over_window = _over_window(window_scores + window, period, noisy.values)
        return over_window, period.explains(_over_own(own_scores + own, period), over_window)

    return jax.vmap(of_one)(weights, _one_by_one(noisy), draws.own, draws.window)


def correlations_of(window: SecondMoments) -> Float[Array, "*periods factors variables"]:
    """Correlations of factors and variables in the window, whose variables count as of variance one."""
    return window.cross / jnp.sqrt(_variances(window))[..., None]


def explained(window: SecondMoments, readers: SecondMoments) -> Float[Array, "*periods"]:
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
    readout = independent_loadings(correlations_of(window)) / jnp.sqrt(variances)[..., None]
    quadratic = readout * (readers.factors @ readout - 2 * readers.cross)
    errors = readers.variables + sum_over_factors(quadratic)
    # what rounding has made negative, or as good as zero
    errors = jnp.maximum(errors, max(1e-8, 4 * float(jnp.finfo(errors.dtype).eps)))
    return -(jnp.log(errors).sum(-1) + jnp.log(variances).sum(-1)) / 2


def window_moments(weights: Float[Array, "periods factors variables"], window: SecondMoments) -> FactorMoments:
    """Everything that follows from the exact moments of factors of unit noise; see `FactorMoments`.

    A sample is standardised by the window of its own period, so that in another's window the variables have variances
    about one. Here they are correlations all the same, where the published code lets them exceed one.
    """
    correlations = unit_noise_correlations(weights, window.cross)
    variables = correlations.variables / jnp.sqrt(window.variables)[:, None]
    return all_moments(correlations._replace(variables=variables))


def changes_of(
    weights: Float[Array, "periods factors variables"], window: SecondMoments | None, smoothed: Smoothed
) -> Float[Array, "changes ..."]:
    """The change of what shall be smooth from each period to the next.

    Args:
      weights: of factors of unit noise.
      window: their moments, which for weights are not asked for.
      smoothed: the "weights", the "mutual_informations" of factors and variables, or the estimates of the correlations
        of the variables ("covariances": needs memory for variables by variables).

    Returns:
      The differences.
    """
    if smoothed == "weights" or window is None:
        return jnp.diff(weights, axis=0)
    rho = correlations_of(window)
    if smoothed == "mutual_informations":
        return jnp.diff(pairwise_informations(rho), axis=0)
    shared = independent_loadings(rho)
    off_diagonal = ~jnp.eye(shared.shape[-1], dtype=bool)
    return jnp.diff(off_diagonal * jnp.einsum("tmp,tmq->tpq", shared, shared), axis=0)


class _Period(NamedTuple):
    """What one period sees: its own samples and their weights, and its window.

    `squares` are E x_i² over its own samples, `window_squares` those over the window; `empty` is None where every
    period has samples.
    """

    values: Float[Array, "*periods rows variables"]
    own_weights: Float[Array, "*periods rows"]
    sample_weights: Float[Array, "*periods all rows"]
    squares: Float[Array, "*periods variables"]
    window_squares: Float[Array, "*periods variables"]
    second: Float[Array, "*periods variables variables"] | None
    empty: Bool[Array, "*periods"] | None

    def explains(self, own: SecondMoments, window: SecondMoments) -> SecondMoments:
        """The moments over what is to be explained: its own samples, or those of its window if it has none."""
        empty = self.empty
        return own if empty is None else jax.tree.map(lambda one, other: jnp.where(empty, other, one), own, window)


def _one_by_one(windows: Windows, second: Array | None = None) -> _Period:
    """The periods, along a leading axis."""
    squares = (windows.own_weights[..., None] * jnp.square(windows.values)).sum(1)
    window_squares = windows.sample_weights.sum(2) @ squares
    weights = windows.own_weights, windows.sample_weights
    return _Period(windows.values, *weights, squares, window_squares, second, windows.empty)


def _exact_moments_of_one(
    weights: AnyArray, period: _Period, values: Array, noise: Scalar
) -> tuple[SecondMoments, SecondMoments]:
    own = _over_own(_scores(weights, period.values), period)
    if period.second is None:
        window = _over_window(_scores(weights, values), period, values)
    else:
        cross = jnp.asarray(weights @ period.second)
        window = SecondMoments(period.window_squares, cross, cross @ weights.T)
    # the noise on the variables goes through the weights, that on the factors has variance one
    through = weights @ weights.T
    with_noise = lambda moments: SecondMoments(
        add_noise(moments.variables, jnp.ones_like(moments.variables), noise),
        add_noise(moments.cross, weights, noise),
        add_noise(moments.factors, through, noise) + jnp.eye(len(weights), dtype=through.dtype),
    )
    return with_noise(window), with_noise(period.explains(own, window))


def _scores(weights: AnyArray, values: Array) -> Array:
    """The factors at samples, less their noise."""
    return jnp.einsum("mp,...np->m...n", weights, values)


def _over_own(factors: Array, period: _Period) -> SecondMoments:
    """Moments over the samples of a period."""
    weighted = factors * period.own_weights
    return SecondMoments(period.squares, weighted @ period.values, weighted @ factors.T)


def _over_window(factors: Array, period: _Period, values: Array) -> SecondMoments:
    """Moments over the samples of its window."""
    weighted = factors * period.sample_weights
    return SecondMoments(
        period.window_squares,
        jnp.einsum("min,inp->mp", weighted, values),
        jnp.einsum("jin,kin->jk", weighted, factors),
    )


def _variances(window: SecondMoments) -> Array:
    return jnp.diagonal(window.factors, axis1=-2, axis2=-1)
