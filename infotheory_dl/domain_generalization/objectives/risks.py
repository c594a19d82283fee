"""Penalties of risks and logits."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from infotheory_dl._roots import bisection
from infotheory_dl._validation import edge, require_not_negative, require_rank, require_same_shape, require_within
from infotheory_dl.domain_generalization.objectives._rows import (
    Labels,
    Logits,
    Mask,
    checked_logits,
    checked_representations,
    require_counted,
    require_domains,
    require_rows,
    row_mean,
)
from infotheory_dl.types import AnyArray, Scalar


@edge
def domain_risks(logits: Logits, labels: Labels, *, mask: Mask | None = None) -> Float[Array, " domains"]:
    """Computes the mean cross-entropy of each domain, in nats.

    Args:
      logits: of every row of every domain.
      labels: classes, in [0, classes).
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit, a label is out of range, or no row of a domain counts.
    """
    logits, labels, counted = checked_logits(logits, labels, mask)
    require_counted(1, counted)
    return row_mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels), counted)


@edge
def irm_penalty(logits: Logits, labels: Labels, *, mask: Mask | None = None) -> Float[Array, ""]:
    """Computes the mean over domains of g·g', the derivatives of the risks of even and odd rows by a scale of logits.

    The derivative at scale one is the mean of Σ_c (p_c - [y = c]) l_c, with the probabilities p and the logits l. The
    product of two independent halves is an unbiased estimate of the squared derivative, and can be negative.

    Args:
      logits: of every row of every domain; two rows at least, an even and an odd one that count.
      labels: classes, in [0, classes).
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit, a label is out of range, or there are too few rows.

    Source: Arjovsky et al., 2019; the two halves as in its published code and DomainBed.
    """
    logits, labels, counted = checked_logits(logits, labels, mask)
    require_rows(2, logits=logits)
    for half, which in enumerate(("even rows", "odd rows")):
        require_counted(1, counted[:, half::2], which)
    of_labels = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    slopes = ((jax.nn.softmax(logits) - of_labels) * logits).sum(-1)
    even, odd = (row_mean(slopes[:, half::2], counted[:, half::2]) for half in (0, 1))
    return (even * odd).mean()


@edge
def vrex_penalty(risks: Float[AnyArray, " domains"]) -> Float[Array, ""]:
    """Computes the variance of the risks over the domains.

    Args:
      risks: of `domain_risks`; of two domains at least.

    Raises:
      ValueError: if there is one domain only.

    Source: Krueger et al., 2021.
    """
    require_rank("risks", risks, 1, "(domains,)")
    require_domains(risks=risks)
    return jnp.var(jnp.asarray(risks))


@edge
def group_dro_weights(
    weights: Float[AnyArray, " domains"], risks: Float[AnyArray, " domains"], *, step_size: Scalar = 1e-2
) -> Float[Array, " domains"]:
    """Moves the weights of the domains towards those of large risk: q ∝ q exp(η R), which adds up to one.

    The risk that is minimised is Σ q R with the new weights in DomainBed, with those before in WILDS.

    Args:
      weights: before; ones at first.
      risks: of `domain_risks`; no gradient goes through them here.
      step_size: η.

    Raises:
      ValueError: if the shapes differ, or a weight or the step is negative.

    Source: Sagawa et al., 2020.
    """
    require_same_shape(weights=weights, risks=risks)
    require_not_negative(weights=weights, step_size=step_size)
    weights, risks = jnp.asarray(weights), jax.lax.stop_gradient(jnp.asarray(risks))
    # the largest exponent is zero, so that large risks do not overflow
    moved = weights * jnp.exp(step_size * (risks - risks.max()))
    return moved / moved.sum()


@edge
def logit_penalty(logits: Logits, *, mask: Mask | None = None) -> Float[Array, ""]:
    """Computes the mean square of the logits of all rows (spectral decoupling).

    Args:
      logits: of every row of every domain.
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit.

    Source: Pezeshki et al., 2021.
    """
    logits, counted = checked_representations(logits, mask, least_domains=1, least_rows=1, name="logits")
    squares = jnp.where(counted, (logits**2).mean(-1), 0)
    return squares.sum() / counted.sum()


@edge
def quantile_risk(risks: Float[AnyArray, " domains"], *, quantile: Scalar = 0.75) -> Float[Array, ""]:
    """Computes a quantile of the risks over the domains, of a density of Gaussian kernels around them.

    The kernels have the width 1.06 s / n^(1/5), with the standard deviation s of the n risks. The quantile lies between
    those of the kernels at the least and at the greatest risk, and its gradient is that of this mean of both, as
    DomainBed has it; that of the quantile itself would go through all risks.

    Args:
      risks: of `domain_risks`; of two domains at least.
      quantile: α.

    Raises:
      ValueError: if there is one domain only or the quantile lies outside (0, 1).

    Source: Eastwood et al., 2022, as in DomainBed.
    """
    require_rank("risks", risks, 1, "(domains,)")
    require_domains(risks=risks)
    require_within("(0, 1)", quantile=quantile)
    risks = jnp.asarray(risks)
    # equal risks have no width, and their standard deviation no derivative
    differ = risks.max() > risks.min()
    deviation = jnp.std(jnp.where(differ, risks, jnp.arange(len(risks))), ddof=1)
    width = 1.06 * deviation * len(risks) ** -0.2
    reach = width * jax.scipy.stats.norm.ppf(quantile).astype(risks.dtype)
    low, high = risks.min() + reach, risks.max() + reach
    still_low, still_high, centres, still_width = jax.lax.stop_gradient((low, high, risks, width))

    def above(share: Array) -> Array:
        place = still_low + share * (still_high - still_low)
        return jax.scipy.stats.norm.cdf((place - centres) / still_width).mean() - quantile

    share = bisection(above, jnp.zeros_like(low), jnp.ones_like(low))
    return jnp.where(differ, low + jax.lax.stop_gradient(share) * (high - low), risks.mean())
