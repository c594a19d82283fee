"""What algorithms add to the risk so that domains agree: pure functions of arrays with an axis of domains in front.

Each is the penalty of its paper at weight one. Masks let domains have batches of different sizes; rows that do not
count may hold anything.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import (
    edge,
    require_indices,
    require_not_empty,
    require_not_negative,
    require_positive,
    require_rank,
    require_same_shape,
    require_shape,
    require_within,
)
from infotheory_dl.types import AnyArray, Params, Scalar

__all__ = [
    "MMD_GAMMAS",
    "and_mask",
    "bottleneck_penalty",
    "coral_penalty",
    "domain_risks",
    "fishr_penalty",
    "gradient_variances",
    "group_dro_weights",
    "iga_penalty",
    "irm_penalty",
    "logit_penalty",
    "mmd_penalty",
    "sand_mask",
    "vrex_penalty",
]

MMD_GAMMAS = (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""The inverse squared widths of the kernels that DomainBed sums."""

_NO_MEAN = 1e-10

Logits = Float[AnyArray, "domains rows classes"]
Labels = Int[AnyArray, "domains rows"]
Representations = Float[AnyArray, "domains rows features"]
Mask = Bool[AnyArray, "domains rows"]


@edge
def domain_risks(logits: Logits, labels: Labels, *, mask: Mask | None = None) -> Float[Array, " domains"]:
    """Computes the mean cross-entropy of each domain, in nats.

    Args:
      logits: of every row of every domain.
      labels: classes, in [0, classes).
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit or a label is out of range.
    """
    logits, labels, counted = _checked_logits(logits, labels, mask)
    return _row_mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels), counted)


@edge
def irm_penalty(logits: Logits, labels: Labels, *, mask: Mask | None = None) -> Float[Array, ""]:
    """Computes the mean over domains of g·g', the derivatives of the risks of even and odd rows by a scale of logits.

    The derivative at scale one is the mean of Σ_c (p_c - [y = c]) l_c, with the probabilities p and the logits l. The
    product of two independent halves is an unbiased estimate of the squared derivative, and can be negative.

    Args:
      logits: of every row of every domain; two rows at least.
      labels: classes, in [0, classes).
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit, a label is out of range, or there is one row only.

    Source: Arjovsky et al., 2019; the two halves as in its published code and DomainBed.
    """
    logits, labels, counted = _checked_logits(logits, labels, mask)
    _require_rows(2, logits=logits)
    slopes = ((jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[-1])) * logits).sum(-1)
    even, odd = (_row_mean(slopes[:, half::2], counted[:, half::2]) for half in (0, 1))
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
    _require_domains(risks=risks)
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
def coral_penalty(representations: Representations, *, mask: Mask | None = None) -> Float[Array, ""]:
    """Compares the means and covariances of domains: the mean over pairs of their mean squared differences.

    Over pairs, Σ ‖aᵢ - aⱼ‖² is the number of domains times Σ ‖aᵢ - ā‖², so that its cost grows with the domains, not
    with the pairs.

    Args:
      representations: of every row of every domain; two domains and two rows at least.
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit, or there is one domain or one row only.

    Source: Sun and Saenko, 2016, as in DomainBed, which adds the means.
    """
    representations, counted = _checked_representations(representations, mask, least_domains=2, least_rows=2)
    means = _row_mean(representations, counted[..., None])
    centred = jnp.where(counted[..., None], representations - means[:, None], 0)
    covariances = jnp.einsum("erk,erl->ekl", centred, centred) / (counted.sum(1) - 1)[:, None, None]
    return _mean_over_pairs(means) + _mean_over_pairs(covariances)


@edge
def mmd_penalty(
    representations: Representations, *, gammas: Sequence[float] = MMD_GAMMAS, mask: Mask | None = None
) -> Float[Array, ""]:
    """Computes the mean over pairs of domains of the squared maximum mean discrepancy, by a sum of Gaussian kernels.

    It is the biased estimate, with the diagonal. One Gram matrix of all rows serves all pairs.

    Args:
      representations: of every row of every domain; two domains at least.
      gammas: of the kernels exp(-γ ‖a - b‖²).
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit, there is one domain only, or a γ is not positive.

    Source: Li et al., 2018, as in DomainBed; Gretton et al., 2012.
    """
    require_positive(gammas=np.asarray(gammas, float))
    representations, counted = _checked_representations(representations, mask, least_domains=2, least_rows=1)
    domains, rows, features = representations.shape
    # a common offset would cost digits of the distances
    centred = (representations - _row_mean(representations, counted[..., None]).mean(0)).reshape(-1, features)
    squares = (centred**2).sum(1)
    distances = squares[:, None] + squares - 2 * centred @ centred.T
    distances = jnp.where(jnp.eye(len(centred), dtype=bool), 0, jnp.maximum(distances, 0))
    kernel = sum(jnp.exp(-gamma * distances) for gamma in gammas)
    shares = (counted / counted.sum(1, keepdims=True)).reshape(-1)
    weighted = shares[:, None] * jnp.asarray(kernel) * shares
    means = weighted.reshape(domains, rows, domains, rows).sum((1, 3))
    own, all_pairs = jnp.trace(means), means.sum()
    return 2 * (domains * own - all_pairs) / (domains * (domains - 1))


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
    logits, counted = _checked_representations(logits, mask, least_domains=1, least_rows=1, name="logits")
    squares = jnp.where(counted, (logits**2).mean(-1), 0)
    return squares.sum() / counted.sum()


@edge
def gradient_variances(
    representations: Representations, logits: Logits, labels: Labels, *, mask: Mask | None = None
) -> Float[Array, "domains parameters"]:
    """Computes for each domain the variance over rows of the gradient of every parameter of a linear head.

    The gradient of a weight is (p_c - [y = c]) z_k, so that two products of matrices give the variances of all.

    Args:
      representations: what the head is given.
      logits: of the head.
      labels: classes, in [0, classes).
      mask: rows that count; default all.

    Returns:
      The variances of the biases, then of the weights, class by class.

    Raises:
      ValueError: if the shapes do not fit or a label is out of range.

    Source: Rame et al., 2022.
    """
    logits, labels, counted = _checked_logits(logits, labels, mask)
    representations, _ = _checked_representations(representations, counted, least_domains=1, least_rows=1)
    errors = jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[-1])
    errors = jnp.where(counted[..., None], errors, 0)
    inputs = jnp.concatenate([jnp.ones_like(representations[..., :1]), representations], axis=-1)
    numbers = counted.sum(1)[:, None, None]
    product = lambda left, right: jnp.einsum("erc,erk->eck", left, right) / numbers
    variances = product(errors**2, inputs**2) - product(errors, inputs) ** 2
    return jnp.concatenate([variances[..., 0], variances[..., 1:].reshape(len(variances), -1)], axis=1)


@edge
def fishr_penalty(variances: Float[AnyArray, "domains parameters"]) -> Float[Array, ""]:
    """Computes the mean square by which variances of gradients differ from their mean over the domains.

    Args:
      variances: of `gradient_variances`, or averages of them over steps; of two domains at least.

    Raises:
      ValueError: if there is one domain only.

    Source: Rame et al., 2022.
    """
    require_rank("variances", variances, 2, "(domains, parameters)")
    _require_domains(variances=variances)
    return jnp.var(jnp.asarray(variances), axis=0).mean()


@edge
def bottleneck_penalty(representations: Representations, *, mask: Mask | None = None) -> Float[Array, ""]:
    """Computes the mean over domains and features of the variance of the representations, without bias.

    Args:
      representations: of every row of every domain; two rows at least.
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit or there is one row only.

    Source: Ahuja et al., 2021 (information bottleneck).
    """
    representations, counted = _checked_representations(representations, mask, least_domains=1, least_rows=2)
    means = _row_mean(representations, counted[..., None])
    squares = jnp.where(counted[..., None], (representations - means[:, None]) ** 2, 0)
    return (squares.sum(1) / (counted.sum(1) - 1)[:, None]).mean()


@edge
def iga_penalty(gradients: Params) -> Float[Array, ""]:
    """Computes Σ ‖gᵢ - ḡ‖² over domains and parameters; no gradient goes through the mean ḡ.

    Args:
      gradients: of the risk of each domain, a pytree with an axis of domains in front.

    Raises:
      ValueError: if there is one domain only.

    Source: Koyama and Yamaguchi, 2020.
    """
    _require_domains(gradients=jax.tree.leaves(gradients)[0])
    apart = lambda leaf: ((leaf - jax.lax.stop_gradient(leaf.mean(0))) ** 2).sum()
    return jnp.asarray(sum(map(apart, jax.tree.leaves(gradients))))


@edge
def and_mask(gradients: Params, *, threshold: Scalar = 1.0) -> Any:
    """Averages gradients over domains and leaves out the parameters on whose sign too few domains agree.

    Args:
      gradients: of the risk of each domain, a pytree with an axis of domains in front.
      threshold: least absolute mean of the signs.

    Returns:
      The gradients, each tensor over the share of its parameters that is kept.

    Raises:
      ValueError: if the threshold lies outside [0, 1].

    Source: Parascandolo et al., 2021.
    """
    require_within("[0, 1]", threshold=threshold)
    return _masked(gradients, lambda leaf: (jnp.abs(jnp.sign(leaf).mean(0)) >= threshold).astype(leaf.dtype))


@edge
def sand_mask(gradients: Params, *, threshold: Scalar = 1.0, sharpness: Scalar = 10.0) -> Any:
    """Averages gradients over domains, smoothly less of the parameters on whose sign fewer domains agree.

    Args:
      gradients: of the risk of each domain, a pytree with an axis of domains in front; of two domains at least.
      threshold: absolute mean of the signs at which nothing is left.
      sharpness: of the transition, over the variance of the gradients.

    Returns:
      The gradients, each tensor over the mean of its mask.

    Raises:
      ValueError: if there is one domain only, the threshold lies outside [0, 1] or the sharpness is negative.

    Source: Shahtalebi et al., 2021.
    """
    require_within("[0, 1]", threshold=threshold)
    require_not_negative(sharpness=sharpness)
    _require_domains(gradients=jax.tree.leaves(gradients)[0])

    def mask(leaf: Array) -> Array:
        agreement = jnp.abs(jnp.sign(leaf).mean(0)) - threshold
        return jnp.maximum(0, jnp.tanh(sharpness / leaf.var(0, ddof=1) * agreement))

    return _masked(gradients, mask)


def _masked(gradients: Params, mask: Any) -> Any:
    def one(leaf: Array) -> Array:
        kept = mask(leaf)
        return kept * leaf.mean(0) / (_NO_MEAN + kept.mean())

    return jax.tree.map(one, gradients)


def _mean_over_pairs(statistics: Float[Array, "domains ..."]) -> Array:
    """The mean over pairs of domains of the mean squared difference."""
    return 2 * jnp.var(statistics, axis=0, ddof=1).mean()


def _row_mean(values: Array, counted: Array) -> Array:
    """The mean over the rows of each domain that count."""
    return jnp.where(counted, values, 0).sum(1) / counted.sum(1)


def _checked_logits(logits: AnyArray, labels: AnyArray, mask: AnyArray | None) -> tuple[Array, Array, Array]:
    logits, counted = _checked_representations(logits, mask, least_domains=1, least_rows=1, name="logits")
    require_shape("labels", labels, logits.shape[:2], "one for each row of logits")
    require_indices(logits.shape[-1], labels=labels)
    return logits, jnp.asarray(labels), counted


def _checked_representations(
    values: AnyArray,
    mask: AnyArray | None,
    *,
    least_domains: int,
    least_rows: int,
    name: str = "representations",
) -> tuple[Array, Array]:
    require_rank(name, values, 3, f"(domains, rows, {'classes' if name == 'logits' else 'features'})")
    require_not_empty(**{name: values})
    if least_domains > 1:
        _require_domains(**{name: values})
    _require_rows(least_rows, **{name: values})
    if mask is None:
        return jnp.asarray(values), jnp.ones(values.shape[:2], bool)
    require_shape("mask", mask, values.shape[:2], f"one for each row of {name}")
    mask = jnp.asarray(mask)
    return jnp.where(mask[..., None], values, 0), mask


def _require_domains(**arrays: Any) -> None:
    for name, array in arrays.items():
        if np.shape(array)[0] < 2:
            raise ValueError(f"{name} must be of two domains at least, got shape {np.shape(array)}")


def _require_rows(least: int, **arrays: Any) -> None:
    for name, array in arrays.items():
        if np.shape(array)[1] < least:
            raise ValueError(f"{name} must have {least} rows in each domain at least, got shape {np.shape(array)}")
