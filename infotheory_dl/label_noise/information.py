"""Information that weights hold about the labels, I(w : y | x): what training errors and losses say of it, what noisy
gradients allow of it.

Cross-entropy can fall below the entropy of the labels, and the training error below the rate of the noise, only as far
as the weights remember the labels.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr, xlogy
from jaxtyping import Array, Float, Integer

from infotheory_dl._roots import bisection
from infotheory_dl._validation import (
    class_codes,
    edge,
    is_concrete,
    require_all,
    require_choice,
    require_count,
    require_distributions,
    require_finite,
    require_indices,
    require_not_negative,
    require_positive,
    require_rank,
    require_shape,
    require_within,
)
from infotheory_dl.data.label_noise import require_transition
from infotheory_dl.types import AnyArray, AnyLabels, Scalar

__all__ = ["Unit", "channel_capacity", "fano_error", "fano_information", "memorized_information"]

Unit = Literal["nats", "bits"]


@edge
def fano_error(
    noise_distribution: Float[AnyArray, " classes"],
    information: Scalar | Float[AnyArray, "*curve"],
    *,
    unit: Unit = "nats",
) -> Float[Array, "*curve"]:
    """Computes the least expected error on noisy training labels that weights with so much information can have.

    The smallest r with r log(K - 1) + h(r) >= H(p) - I, h being the binary entropy, for labels that are drawn
    independently, each given its input from the distribution p in some order of the classes.

    Args:
      noise_distribution: p, of the noisy label given the input, such as a row of a transition matrix.
      information: I(w : y | x) / n, for each label, in [0, H(p)].
      unit: of the information, "nats" or "bits".

    Returns:
      The error rates r, in [0, 1 - 1/K]. With uniform noise and no information it is the rate of the noise.

    Raises:
      ValueError: if p is not a distribution over at least two classes, or the information not in [0, H(p)].

    Source: Harutyunyan et al., 2020 (section 2); Fano, 1961.
    """
    scale = _nats(unit)
    noise = _distribution(noise_distribution)
    information = _values(information, "information", noise)
    _require_below_entropy(information, noise, scale)
    return _least_error(noise, information * scale)


@edge
def fano_information(
    noise_distribution: Float[AnyArray, " classes"],
    error: Scalar | Float[AnyArray, "*curve"],
    *,
    unit: Unit = "nats",
) -> Float[Array, "*curve"]:
    """Computes the least information about the labels with which an expected training error of r is possible.

    max(0, H(p) - r log(K - 1) - h(r)), the inverse of `fano_error`.

    Args:
      noise_distribution: p, as in `fano_error`, which see for the source too.
      error: r, the expected share of noisy training labels that are not predicted, in [0, 1].
      unit: of the information, "nats" or "bits".

    Returns:
      I(w : y | x) / n, for each label.

    Raises:
      ValueError: if p is not a distribution over at least two classes, or an error rate not in [0, 1].
    """
    scale = _nats(unit)
    noise = _distribution(noise_distribution)
    error = _values(error, "error", noise)
    require_within("[0, 1]", error=error)
    return jnp.maximum(_error_shortfall(error, len(noise)) - _shortfall(noise), 0) / scale


@edge
def channel_capacity(
    squared_norm: Scalar | Float[AnyArray, "*steps"], *, variance: Scalar | Float[AnyArray, "*steps"], dimension: int
) -> Float[Array, "*steps"]:
    """Bounds the information that a gradient with Gaussian noise carries in one step, (d/2) log(1 + L² / (d variance)).

    The running sum over the steps, `jnp.cumsum` of the result, bounds I(w : y | x) from above, if the labels reach the
    weights only through these gradients. It is at most the running sum of L² / (2 variance).

    Args:
      squared_norm: L², the expected squared norm of the gradient before the noise is added.
      variance: of the noise, independent in every coordinate.
      dimension: d, the number of coordinates.

    Returns:
      The bound of each step, in nats.

    Raises:
      ValueError: if a squared norm is negative, a variance not positive, or there is no coordinate.

    Source: Harutyunyan et al., 2020 (section 3); Shannon, 1948.
    """
    require_count(1, dimension=dimension)
    require_not_negative(squared_norm=squared_norm)
    require_positive(variance=variance)
    return jnp.log1p(jnp.asarray(squared_norm) / (dimension * jnp.asarray(variance))) * (dimension / 2)


@edge
def memorized_information(
    cross_entropies: Float[AnyArray, "*runs examples"],
    transition: Float[AnyArray, "classes classes"],
    clean_labels: AnyLabels,
    noisy_labels: Integer[AnyArray, "*runs examples"] | None = None,
) -> Float[Array, "*runs"]:
    """Estimates from below how much of its noisy training labels a classifier remembers, where the noise is known.

    For the weights w that training returns, E sum_i -log f(y_i | x_i, w) = H(y | x) - I(w : y | x) + E KL, where the
    relative entropy KL, from the posterior of the labels to the classifier, is not negative. Hence I(w : y | x) is at
    least H(y | x) minus the expected cross-entropy. This holds if the input determines the clean class and every noisy
    label is drawn from its row of the transition, independently. The expectation is over labels and training: one run
    is an estimate of the bound, which its fluctuation can carry above I; the mean over runs comes nearer.

    Args:
      cross_entropies: of the classifier on its training examples and their noisy labels, in nats.
      transition: T[i, j] = p(noisy j | clean i).
      clean_labels: the classes before corruption.
      noisy_labels: the classes after it. If given, the surprise -log T of each label stands in the place of its
        expectation, the entropy: the mean is the same, and the chance of the noise cancels.

    Returns:
      The estimate of each run, over all examples together, in nats. Where it is negative the bound says nothing.

    Raises:
      ValueError: if the transition is not a matrix of distributions, a label is not one of its classes, the lengths
        differ, or the transition excludes a noisy label.

    Source: Harutyunyan et al., 2020 (section 2; Achille and Soatto, 2018, for the decomposition); the surprise in the
    place of the entropy is ours.
    """
    require_finite(cross_entropies=cross_entropies)
    transition = require_transition(transition)
    shape = np.shape(cross_entropies)
    clean = class_codes(clean_labels, num_classes=len(transition), num_examples=shape[-1], name="clean_labels")
    losses = jnp.asarray(cross_entropies)
    rows = jnp.asarray(transition, losses.dtype)[jnp.asarray(clean)]
    if noisy_labels is None:
        return (entr(rows).sum(-1) - losses).sum(-1)
    require_shape("noisy_labels", noisy_labels, shape, "as the cross-entropies say")
    require_indices(len(transition), noisy_labels=noisy_labels)
    likelihoods = jnp.take_along_axis(
        jnp.broadcast_to(rows, (*shape, len(transition))), jnp.asarray(noisy_labels)[..., None], axis=-1
    )[..., 0]
    if is_concrete(likelihoods) and not (likelihoods > 0).all():
        place = tuple(map(int, np.argwhere(np.asarray(likelihoods) <= 0)[0]))
        raise ValueError(
            f"the transition excludes the noisy label {noisy_labels[place]} of class {clean[place[-1]]}"
            f" at index {place[-1]}"
        )
    return (-jnp.log(likelihoods) - losses).sum(-1)


def _shortfall(probabilities: Array) -> Array:
    """log K - H(p)."""
    num_classes = probabilities.shape[-1]
    return _divergence(num_classes * probabilities).sum(-1) / num_classes


def _error_shortfall(error: Array, num_classes: int) -> Array:
    """log K - r log(K - 1) - h(r): the shortfall of a distribution with 1 - r on one class and r on the others."""
    others = num_classes - 1
    return (_divergence(num_classes * (1 - error)) + others * _divergence(num_classes / others * error)) / num_classes


def _divergence(ratio: Array) -> Array:
    """Term of a relative entropy to the uniform distribution; of second order near it, so that no digits are lost."""
    return xlogy(ratio, ratio) - (ratio - 1)


@jax.jit
def _least_error(noise: Array, information: Array) -> Array:
    num_classes = len(noise)
    allowed = _shortfall(noise) + information
    excess = lambda error: allowed - _error_shortfall(error, num_classes)
    return bisection(excess, jnp.zeros_like(information), jnp.full_like(information, 1 - 1 / num_classes))


def _nats(unit: Unit) -> float:
    require_choice("unit", unit, ("nats", "bits"))
    return math.log(2) if unit == "bits" else 1.0


def _distribution(values: AnyArray) -> Array:
    require_rank("noise_distribution", values, 1, "(classes,)")
    if len(values) < 2:
        raise ValueError(f"noise_distribution must be of at least 2 classes, got {len(values)}")
    require_distributions(1e-6, noise_distribution=values)
    return jnp.asarray(values)


def _values(values: Scalar | AnyArray, name: str, like: Array) -> Array:
    require_finite(**{name: values})
    return jnp.asarray(values, jnp.result_type(like, values))


def _require_below_entropy(information: Array, noise: Array, scale: float) -> None:
    if not (is_concrete(noise) and is_concrete(information)):
        return
    entropy = float(entr(noise).sum()) / scale
    tolerance = 1e-9 + 8 * float(jnp.finfo(noise.dtype).eps) * entropy
    sound = lambda values: (values >= -tolerance) & (values <= entropy + tolerance)
    require_all(sound, f"lie in [0, {entropy:.6g}], the entropy of the noise", information=information)
