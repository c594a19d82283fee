"""Penalties and masks of gradients."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_not_negative, require_rank, require_within
from infotheory_dl.domain_generalization.objectives._rows import (
    Labels,
    Logits,
    Mask,
    Representations,
    checked_logits,
    checked_representations,
    require_counted,
    require_domains,
)
from infotheory_dl.types import AnyArray, Params, Scalar

_NO_MEAN = 1e-10


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
      ValueError: if the shapes do not fit, a label is out of range, or no row of a domain counts.

    Source: Rame et al., 2022.
    """
    logits, labels, counted = checked_logits(logits, labels, mask)
    representations, _ = checked_representations(representations, counted, least_domains=1, least_rows=1)
    require_counted(1, counted)
    errors = jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
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
    require_domains(variances=variances)
    return jnp.var(jnp.asarray(variances), axis=0).mean()


@edge
def iga_penalty(gradients: Params) -> Float[Array, ""]:
    """Computes Σ ‖gᵢ - ḡ‖² over domains and parameters; no gradient goes through the mean ḡ.

    Args:
      gradients: of the risk of each domain, a pytree with an axis of domains in front.

    Raises:
      ValueError: if there is one domain only.

    Source: Koyama and Yamaguchi, 2020.
    """
    _require_gradients(gradients)
    apart = lambda leaf: ((leaf - jax.lax.stop_gradient(_mean(leaf))) ** 2).sum()
    return jnp.asarray(sum(map(apart, jax.tree.leaves(gradients))))


@edge
def and_mask(gradients: Params, *, threshold: Scalar = 1.0) -> Any:
    """Averages gradients over domains and leaves out the parameters on whose sign too few domains agree.

    Args:
      gradients: of the risk of each domain, a pytree with an axis of domains in front; of two domains at least.
      threshold: least absolute mean of the signs.

    Returns:
      The gradients, each tensor over the share of its parameters that is kept.

    Raises:
      ValueError: if there is one domain only, or the threshold lies outside [0, 1].

    Source: Parascandolo et al., 2021.
    """
    require_within("[0, 1]", threshold=threshold)
    _require_gradients(gradients)
    return _masked(gradients, lambda leaf: (jnp.abs(_mean(jnp.sign(leaf))) >= threshold).astype(leaf.dtype))


@edge
def sand_mask(gradients: Params, *, threshold: Scalar = 1.0, sharpness: Scalar = 10.0) -> Any:
    """Averages gradients over domains, smoothly less of the parameters on whose sign fewer domains agree.

    Args:
      gradients: of the risk of each domain, a pytree with an axis of domains in front; of two domains at least.
      threshold: absolute mean of the signs at which nothing is left; with 1, DomainBed's default, nothing of any.
      sharpness: of the transition, over the variance of the gradients.

    Returns:
      The gradients, each tensor over the mean of its mask.

    Raises:
      ValueError: if there is one domain only, the threshold lies outside [0, 1] or the sharpness is negative.

    Source: Shahtalebi et al., 2021.
    """
    require_within("[0, 1]", threshold=threshold)
    require_not_negative(sharpness=sharpness)
    _require_gradients(gradients)

    def mask(leaf: Array) -> Array:
        agreement = jnp.abs(_mean(jnp.sign(leaf))) - threshold
        variance = _mean((leaf - _mean(leaf)) ** 2) * len(leaf) / (len(leaf) - 1)
        # of equal gradients infinity times zero
        return jnp.maximum(0, jnp.nan_to_num(jnp.tanh(sharpness / variance * agreement)))

    return _masked(gradients, mask)


def _require_gradients(gradients: Params) -> None:
    leaves = jax.tree.leaves(gradients)
    if not leaves:
        raise ValueError("gradients must have arrays, with an axis of domains in front, got none")
    if any(np.ndim(leaf) == 0 or len(leaf) != len(leaves[0]) for leaf in leaves):
        shapes = ", ".join(str(np.shape(leaf)) for leaf in leaves[:6])
        raise ValueError(f"gradients must have an axis of domains in front, the same of all, got shapes {shapes}")
    require_domains(gradients=leaves[0])


def _mean(values: Array) -> Array:
    """Over domains, as a sum of terms: XLA's reduction over a first axis of few takes three times as long on a CPU."""
    return functools.reduce(jnp.add, values) / len(values)


def _masked(gradients: Params, mask: Any) -> Any:
    def one(leaf: Array) -> Array:
        kept = mask(leaf)
        return kept * _mean(leaf) / (_NO_MEAN + kept.mean())

    return jax.tree.map(one, jax.tree.map(jnp.asarray, gradients))
