"""Variables of one kind as an exponential family, of which the experts and the reader of MinSyn are made.

The density is exp(η·T(x) - A(η)). An expert p(x_i | z_j) has natural parameters η_ij, the margin p(x_i) has η_i. The
reader who takes the factors to be independent given x_i, p(x_i) prod_j p(x_i | z_j) / p(x_i) up to a factor, has
η_i + sum_j (η_ij - η_i): what experts say is added up.

Arrays are (..., statistics, variables): T is the probability of each level, 0 or 1 where it is seen, or x and x². The
moments that people read are the probabilities of the levels, or the mean and the variance.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Variables: TypeAlias = Literal["binary", "categorical", "gaussian"]

# what a reader is at least, relative to the precision of the margin: many uncertain experts may leave none
_LEAST_PRECISION = 1e-3


class Family(NamedTuple):
    """What is known of variables of one kind. Gaussian ones are standardised.

    Attributes:
      statistics: T of x.
      margin: moments of the margins, from the means of T, and the weight of the smoothing relative to the samples.
      experts: moments given each state, from the shares (factors, states) of the states, the means of T in the state
        times its share, the moments of the margins, and the weight of the smoothing.
      natural: η of moments.
      proper: η of a reader, where the sum of experts might be that of no density.
      log_partition: A, of each variable.
      inputs: of an encoder, from T and the moments of the margins.
      parameters: how many numbers a head of a network says of each variable.
      of_head: η of these numbers, (..., parameters, variables), and of η of the margins, which zeros leave as it is.
      mean: the expected value of each variable, of its moments or of η: one, or one for each level.
    """

    statistics: Callable[[Array], Array]
    margin: Callable[[Array, Array], Array]
    experts: Callable[[Array, Array, Array, Array], Array]
    natural: Callable[[Array], Array]
    proper: Callable[[Array], Array]
    log_partition: Callable[[Array], Array]
    inputs: Callable[[Array, Array], Array]
    parameters: int
    of_head: Callable[[Array, Array], Array]
    mean: Callable[[Array], Array]


def cross_entropies(
    family: Family,
    natural: Float[Array, "... statistics variables"],
    statistics: Float[Array, "... statistics variables"],
) -> Float[Array, "... variables"]:
    """-log of what a density says of each variable of the samples, nats; either may be one for many of the other."""
    return family.log_partition(natural) - (natural * statistics).sum(-2)


@functools.cache
def discrete(num_levels: int) -> Family:
    """Variables of so many levels, 0, 1, ...; of two they may be probabilities of the second."""

    def statistics(x: Array) -> Array:
        if num_levels == 2:
            return jnp.stack([1 - x, x], axis=-2)
        return (x[..., None, :] == jnp.arange(num_levels)[:, None]).astype(x.dtype)

    def margin(means: Array, smoothing: Array) -> Array:
        return (means + smoothing) / (1 + num_levels * smoothing)

    def experts(shares: Array, means: Array, margin: Array, smoothing: Array) -> Array:
        return (means + smoothing * margin) / (shares[..., None, None] + smoothing)

    return Family(
        statistics,
        margin,
        experts,
        natural=jnp.log,
        proper=lambda natural: natural,
        log_partition=lambda natural: jax.nn.logsumexp(natural, axis=-2),
        inputs=lambda statistics, margin: _flat(statistics[..., 1:, :] - margin[1:]),
        parameters=num_levels - 1,
        of_head=lambda outputs, margin: (
            margin + jnp.concatenate([jnp.zeros_like(outputs[..., :1, :]), outputs], axis=-2)
        ),
        mean=lambda natural: _of_levels(jax.nn.softmax(natural, axis=-2)),
    )


def _gaussian() -> Family:
    def margin(means: Array, smoothing: Array) -> Array:
        return jnp.stack([jnp.zeros_like(means[0]), jnp.ones_like(means[1])])

    def experts(shares: Array, means: Array, margin: Array, smoothing: Array) -> Array:
        weights = shares[..., None] + smoothing
        centers = means[:, :, 0] / weights
        # one variance for all states of a factor: it is at most that of the margin, and the reader a density
        within = (means[:, :, 1] - weights * centers**2).sum(1) + smoothing
        variances = jnp.broadcast_to((within / (1 + smoothing))[:, None], centers.shape)
        return jnp.stack([centers, variances], axis=2)

    def proper(natural: Array) -> Array:
        return natural.at[..., 1, :].min(-_LEAST_PRECISION / 2)

    def log_partition(natural: Array) -> Array:
        precision = -2 * natural[..., 1, :]
        return natural[..., 0, :] ** 2 / (2 * precision) + jnp.log(2 * jnp.pi / precision) / 2

    def of_mean(mean: Array, precision: Array) -> Array:
        return jnp.stack([mean * precision, -precision / 2], axis=-2)

    return Family(
        statistics=lambda x: jnp.stack([x, x**2], axis=-2),
        margin=margin,
        experts=experts,
        natural=lambda moments: of_mean(moments[..., 0, :], 1 / moments[..., 1, :]),
        proper=proper,
        log_partition=log_partition,
        inputs=lambda statistics, margin: statistics[..., 0, :],
        parameters=2,
        of_head=lambda outputs, margin: of_mean(outputs[..., 0, :], jnp.exp(outputs[..., 1, :])),
        mean=lambda natural: natural[..., 0, :] / (-2 * natural[..., 1, :]),
    )


GAUSSIAN = _gaussian()


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:-2], -1)


def _of_levels(probabilities: Array) -> Array:
    """The probability of the second of two levels, of more those of all, as the last axis."""
    return probabilities[..., 1, :] if probabilities.shape[-2] == 2 else jnp.swapaxes(probabilities, -1, -2)
