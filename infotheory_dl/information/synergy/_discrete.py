"""Synergy of discrete variables whose joint distribution is known."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr, logsumexp
from jaxtyping import Array, Float, Real

from infotheory_dl._roots import bisection
from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_count,
    require_finite,
    require_not_negative,
    require_real,
)
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

_TOLERANCE = 1e-6
# the best exponent of a mismatched decoder may be infinity
_LARGEST_EXPONENT = 8.0


@concise
class DiscreteSynergy(NamedTuple):
    """What sources say of a target, all in nats.

    Attributes:
      information: I(X; Z), of all sources together.
      informations: I(X; Zⱼ), of each.
      target_entropy: H(X).
      total_correlation: TC(Z), what the sources share.
      conditional_total_correlation: TC(Z | X), what they share where the target is known.
      whole_minus_sum: I(X; Z) - Σ I(X; Zⱼ) = TC(Z | X) - TC(Z): synergy less redundancy, of either sign.
      synergy: S_CI, what a reader loses who takes the sources to be independent given the target; in [0, TC(Z | X)].
      independent_information: I_CI = I - S_CI, what is left to that reader; negative where a prior alone does better.
      mismatched_information: the same where the reader may raise all likelihoods to one power in [0, 8].
      mismatched_synergy: what that reader loses, at most S_CI.
      maximum_synergy: what is beyond the best source of each state of the target (Williams and Beer).
      redundancy: what the worst source of each state tells, I_min (Williams and Beer).
    """

    information: Float[Array, ""]
    informations: Float[Array, " sources"]
    target_entropy: Float[Array, ""]
    total_correlation: Float[Array, ""]
    conditional_total_correlation: Float[Array, ""]
    whole_minus_sum: Float[Array, ""]
    synergy: Float[Array, ""]
    independent_information: Float[Array, ""]
    mismatched_information: Float[Array, ""]
    mismatched_synergy: Float[Array, ""]
    maximum_synergy: Float[Array, ""]
    redundancy: Float[Array, ""]


@edge
def discrete(pmf: Real[AnyArray, "..."], *, target_axis: int = 0, normalize: bool = False) -> DiscreteSynergy:
    """Measures the synergy of sources about a target, from their joint distribution.

    The measure is S_CI, conditional-independence synergy: E log p(x | z) / p_CI(x | z), where p_CI is the decoder that
    takes the sources to be independent given the target. It is no synergy of a partial information decomposition: two
    copies of two coins have S_CI = 0 and, by I_min, one bit; see `partial_information` for those.

    Divergences are summed from terms that are not negative, so that small ones hold in single precision. States of the
    target without mass are passed over. Over many distributions go with `jax.vmap`.

    Args:
      pmf: joint probabilities of the target and one source or more, an axis for each.
      target_axis: which axis is the target; the others are the sources, in their order.
      normalize: divide by the sum, such as where `pmf` are counts.

    Returns:
      All measures, in nats.

    Raises:
      ValueError: if there are fewer than two axes, an entry is negative, NaN or infinite, or the entries do not add up
        to one within 1e-6 and `normalize` is not set.

    Source: Nirenberg and Latham, 2003 (S_CI, there the cost of ignoring correlations); Merhav et al., 1994 (mismatched
      decoding); Williams and Beer, 2010 (maximum synergy, I_min).
    """
    return measured(checked_pmf(pmf, target_axis, normalize))


@edge
def independent_decoder(
    pmf: Real[AnyArray, "..."], *, target_axis: int = 0, normalize: bool = False
) -> Float[Array, "..."]:
    """The decoder p_CI(x | z), proportional to p(x) Π p(zⱼ | x), of a reader who takes the sources to be independent.

    Args:
      pmf, target_axis, normalize: as in `discrete`, which see for the errors too.

    Returns:
      The probabilities of the target, along the axis of the target; zero where p_CI(z) is.
    """
    joint = checked_pmf(pmf, target_axis, normalize)
    decoder = jnp.exp(_log_decoder(joint, log_likelihood(joint)))
    return jnp.moveaxis(decoder, 0, target_axis)


def checked_pmf(pmf: Real[AnyArray, "..."], target_axis: int, normalize: bool) -> Float[Array, "target *sources"]:
    """The joint distribution, in floating point, the target first."""
    require_real(pmf=pmf)
    if np.ndim(pmf) < 2:
        raise ValueError(
            f"pmf must have an axis for the target and one for each source, at least two, got shape {np.shape(pmf)}"
        )
    axes = np.ndim(pmf)
    require_count(-axes, axes - 1, target_axis=target_axis)
    require_finite(pmf=pmf)
    require_not_negative(pmf=pmf)
    joint = jnp.asarray(pmf)
    joint = joint if jnp.issubdtype(joint.dtype, jnp.floating) else joint.astype(float)
    total = joint.sum()
    if is_concrete(total):
        if not total > 0:
            raise ValueError("pmf must have mass somewhere, all its entries are 0")
        if not normalize and abs(float(total) - 1) > _TOLERANCE:
            raise ValueError(f"pmf must add up to 1, got {float(total):.7g}; set normalize to divide by the sum")
    return jnp.moveaxis(joint / total, target_axis, 0)


@jax.jit
def measured(joint: Float[Array, "target *sources"]) -> DiscreteSynergy:
    """The core of `discrete`; the target comes first, the sum is one."""
    sources = range(1, joint.ndim)
    target = _marginal(joint, (0,))
    all_sources = joint.sum(0, keepdims=True)
    pairs = [_marginal(joint, (0, source)) for source in sources]
    singles = [_marginal(joint, (source,)) for source in sources]

    # of each state of the target, times its probability
    specific = jnp.stack(
        [
            divergence(pair, _log(target) + _log(single)).reshape(len(joint), -1).sum(1)
            for pair, single in zip(pairs, singles, strict=True)
        ]
    )
    informations = specific.sum(1)
    information = divergence(joint, _log(target) + _log(all_sources)).sum()
    likelihood = log_likelihood(joint)
    decoder = _log_decoder(joint, likelihood)
    synergy = divergence(joint, _log(all_sources) + decoder).sum()
    mismatched = _mismatched_information(joint, likelihood)
    return DiscreteSynergy(
        information=information,
        informations=informations,
        target_entropy=entr(target).sum(),
        total_correlation=divergence(all_sources, functools.reduce(jnp.add, map(_log, singles))).sum(),
        conditional_total_correlation=divergence(joint, _log(target) + likelihood).sum(),
        whole_minus_sum=information - informations.sum(),
        synergy=synergy,
        independent_information=information - synergy,
        mismatched_information=mismatched,
        mismatched_synergy=information - mismatched,
        maximum_synergy=information - specific.max(0).sum(),
        redundancy=specific.min(0).sum(),
    )


def divergence(mass: Float[Array, "*shape"], log_other: Float[Array, "*#shape"]) -> Float[Array, "*shape"]:
    """Terms of KL(mass || other) that are none of them negative, p log(p/q) - p + q; both have the same total.

    Where `mass` is positive, so is the other; its logarithm is minus infinity where it is zero.
    """
    occurs = mass > 0
    other = jnp.exp(log_other)
    excess = jnp.where(occurs, log_other, 0) - jnp.log(jnp.where(occurs, mass, 1))
    near = mass * (jnp.expm1(jnp.minimum(excess, 1)) - jnp.minimum(excess, 1))
    far = other - mass - mass * excess
    return jnp.where(occurs, jnp.where(excess < 1, near, far), other)


def log_likelihood(joint: Float[Array, "target *sources"]) -> Float[Array, "target *sources"]:
    """Σ log p(zⱼ | x), minus infinity where a source never takes the value, or the target has no mass."""
    target = _log(_marginal(joint, (0,)))
    conditionals = [_log(_marginal(joint, (0, source))) for source in range(1, joint.ndim)]
    # of a state without mass there is no conditional: minus infinity less minus infinity
    return functools.reduce(jnp.add, [jnp.where(jnp.isfinite(target), one - target, -jnp.inf) for one in conditionals])


def _log_decoder(
    joint: Float[Array, "target *sources"], likelihood: Float[Array, "target *sources"]
) -> Float[Array, "target *sources"]:
    scores = _log(_marginal(joint, (0,))) + likelihood
    return scores - _finite(logsumexp(scores, axis=0, keepdims=True))


def _mismatched_information(
    joint: Float[Array, "target *sources"], likelihood: Float[Array, "target *sources"]
) -> Float[Array, ""]:
    """max over powers of E log Π p(zⱼ | x)^β / Σ p(x') Π p(zⱼ | x')^β, concave in the power."""
    prior = jnp.where(jnp.isfinite(likelihood), _log(_marginal(joint, (0,))), -jnp.inf)
    finite, sources = _finite(likelihood), joint.sum(0)

    def slope(power: Array) -> Array:
        scores = prior + power * finite
        weights = jnp.exp(scores - _finite(scores.max(0)))
        mean = (weights * finite).sum(0) / jnp.maximum(weights.sum(0), jnp.finfo(weights.dtype).tiny)
        return (sources * mean).sum() - (joint * finite).sum()

    zero = jnp.zeros((), joint.dtype)
    best = jax.lax.stop_gradient(bisection(slope, zero, zero + _LARGEST_EXPONENT))
    gained = (joint * finite).sum() * best - (sources * _finite(logsumexp(prior + best * finite, axis=0))).sum()
    return jnp.maximum(gained, 0)


def _marginal(joint: Float[Array, "target *sources"], kept: tuple[int, ...]) -> Float[Array, "..."]:
    return joint.sum([axis for axis in range(joint.ndim) if axis not in kept], keepdims=True)


def _log(mass: Array) -> Array:
    return jnp.where(mass > 0, jnp.log(jnp.where(mass > 0, mass, 1)), -jnp.inf)


def _finite(values: Array) -> Array:
    """Zero in the place of minus infinity."""
    return jnp.where(jnp.isfinite(values), values, 0)
