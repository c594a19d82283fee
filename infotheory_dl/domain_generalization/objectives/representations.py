"""Penalties of representations."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import (
    edge,
    require_choice,
    require_indices,
    require_positive,
    require_shape,
    require_within,
)
from infotheory_dl.domain_generalization.objectives._rows import (
    Labels,
    Mask,
    Representations,
    checked_logits,
    checked_representations,
    require_counted,
    row_mean,
)
from infotheory_dl.types import AnyArray, Scalar

MMD_GAMMAS = (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""The inverse squared widths of the kernels that DomainBed sums."""

_TEMPERATURE = 0.07


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
    representations, counted = checked_representations(representations, mask, least_domains=2, least_rows=2)
    require_counted(2, counted)
    means = row_mean(representations, counted[..., None])
    centred = jnp.where(counted[..., None], representations - means[:, None], 0)
    covariances = jnp.einsum("erk,erl->ekl", centred, centred) / (counted.sum(1) - 1)[:, None, None]
    return mean_over_pairs(means) + mean_over_pairs(covariances)


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
    representations, counted = checked_representations(representations, mask, least_domains=2, least_rows=1)
    require_counted(1, counted)
    domains, _, features = representations.shape
    # a common offset would cost digits of the distances
    centred = representations - row_mean(representations, counted[..., None]).mean(0)
    shares = jnp.eye(domains)[:, :, None] * (counted / counted.sum(1, keepdims=True))
    means = _kernel_means(centred.reshape(-1, features), shares.reshape(domains, -1), gammas)
    own, all_pairs = jnp.trace(means), means.sum()
    return 2 * (domains * own - all_pairs) / (domains * (domains - 1))


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
    representations, counted = checked_representations(representations, mask, least_domains=1, least_rows=2)
    require_counted(2, counted)
    means = row_mean(representations, counted[..., None])
    squares = jnp.where(counted[..., None], (representations - means[:, None]) ** 2, 0)
    return (squares.sum(1) / (counted.sum(1) - 1)[:, None]).mean()


@edge
def halves_penalty(
    representations: Representations,
    cuts: Int[AnyArray, " domains"],
    *,
    distance: Literal["coral", "mmd"] = "coral",
    gammas: Sequence[float] = MMD_GAMMAS,
    mask: Mask | None = None,
) -> Float[Array, ""]:
    """Compares two mixtures of the domains: the rows before a cut in each of them, and those after it.

    Args:
      representations: of every row of every domain.
      cuts: how many rows of each domain are in the first mixture, drawn at random.
      distance: that of `coral_penalty` or of `mmd_penalty`.
      gammas: of the latter.
      mask: rows that count; default all.

    Returns:
      The penalty; zero where a mixture has one row or none.

    Raises:
      ValueError: if the shapes do not fit, a cut is out of range, or a setting is impossible.

    Source: Chevalley et al., 2022 (CausIRL), as in DomainBed.
    """
    require_choice("distance", distance, ("coral", "mmd"))
    representations, counted = checked_representations(representations, mask, least_domains=1, least_rows=1)
    domains, rows, features = representations.shape
    require_shape("cuts", cuts, (domains,), "one for each domain")
    require_indices(rows + 1, cuts=cuts)
    is_first = jnp.arange(rows) < jnp.asarray(cuts)[:, None]
    groups = jnp.stack([is_first & counted, ~is_first & counted]).reshape(2, -1)
    possible = (groups.sum(1) > 1).all()
    groups = groups | ~possible
    flat = jnp.broadcast_to(representations.reshape(-1, features), (2, domains * rows, features))
    if distance == "coral":
        penalty = coral_penalty(flat, mask=groups)
    else:
        require_positive(gammas=np.asarray(gammas, float))
        centred = flat[0] - row_mean(flat, groups[..., None]).mean(0)
        means = _kernel_means(centred, groups / groups.sum(1, keepdims=True), gammas)
        penalty = means[0, 0] + means[1, 1] - 2 * means[0, 1]
    return jnp.where(possible, penalty, 0)


@edge
def contrast_penalty(
    representations: Representations,
    labels: Labels,
    *,
    temperature: Scalar = 0.1,
    conditional: bool = False,
    mask: Mask | None = None,
) -> Float[Array, ""]:
    """Computes how much a row is nearer to rows of its own domain: -log of the share of other domains, times T / 0.07.

    The shares are softmax(z·z' / T) over the other rows; with `conditional`, over those of its class. The mean is over
    rows of whose class there is another; with `conditional`, another in another domain. Zero where there is none.

    Args:
      representations: of every row of every domain; two domains at least.
      labels: classes.
      temperature: T.
      conditional: whether rows of one class are compared.
      mask: rows that count; default all.

    Raises:
      ValueError: if the shapes do not fit, there is one domain only, or the temperature is not positive.

    Source: Ruan et al., 2022 (CAD and CondCAD), as in DomainBed.
    """
    require_positive(temperature=temperature)
    representations, counted = checked_representations(representations, mask, least_domains=2, least_rows=1)
    require_shape("labels", labels, representations.shape[:2], "one for each row of representations")
    domains, rows, features = representations.shape
    flat, counted, classes = representations.reshape(-1, features), counted.reshape(-1), jnp.asarray(labels).reshape(-1)
    domain = jnp.repeat(jnp.arange(domains), rows)
    others = counted & ~jnp.eye(len(flat), dtype=bool)
    of_class = others & (classes[:, None] == classes)
    elsewhere = (of_class if conditional else others) & (domain[:, None] != domain)
    valid = counted & (elsewhere if conditional else of_class).any(1) & elsewhere.any(1)
    similarity = flat @ flat.T / temperature
    total = lambda chosen: jax.nn.logsumexp(similarity, axis=1, where=chosen | ~valid[:, None])
    losses = total(of_class if conditional else others) - total(elsewhere)
    return jnp.where(valid, losses, 0).sum() / jnp.maximum(valid.sum(), 1) * temperature / _TEMPERATURE


@edge
def challenge_mask(
    representations: Representations,
    labels: Labels,
    kernel: Float[AnyArray, "features classes"],
    bias: Float[AnyArray, " classes"],
    *,
    feature_share: Scalar = 1 / 3,
    row_share: Scalar = 1 / 3,
    mask: Mask | None = None,
) -> Bool[Array, "domains rows features"]:
    """Finds the features that a linear head relies on most, to be left out in training.

    Of each row those with the largest derivatives of the logit of its class; but of the rows whose probability would
    drop least by that none.

    Args:
      representations: of every row of every domain.
      labels: classes, in [0, classes).
      kernel, bias: of the head.
      feature_share: of the features of a row, that are left out.
      row_share: of the rows, of which features are left out.
      mask: rows that count; default all.

    Returns:
      False where a feature is left out.

    Raises:
      ValueError: if the shapes do not fit, a label is out of range, or a share lies outside [0, 1].

    Source: Huang et al., 2020 (RSC), as in DomainBed.
    """
    require_within("[0, 1]", feature_share=feature_share, row_share=row_share)
    representations, counted = checked_representations(representations, mask, least_domains=1, least_rows=1)
    kernel, bias = jnp.asarray(kernel), jnp.asarray(bias)
    logits = representations @ kernel + bias
    _, labels, _ = checked_logits(logits, labels, counted)
    slopes = kernel.T[labels]
    kept = slopes < jnp.quantile(slopes, 1 - feature_share, axis=-1, keepdims=True)

    def probability(logits: Array) -> Array:
        return jnp.take_along_axis(jax.nn.softmax(logits), labels[..., None], -1)[..., 0]

    drops = probability(logits) - probability(representations * kept @ kernel + bias)
    spared = drops < jnp.nanquantile(jnp.where(counted, drops, jnp.nan), 1 - row_share)
    return jax.lax.stop_gradient(kept | spared[..., None])


def mean_over_pairs(statistics: Float[Array, "domains ..."]) -> Array:
    """The mean over pairs of domains of the mean squared difference."""
    return 2 * jnp.var(statistics, axis=0, ddof=1).mean()


def _kernel_means(
    rows: Float[Array, "rows features"], shares: Float[Array, "groups rows"], gammas: Sequence[float]
) -> Float[Array, "groups groups"]:
    """The mean kernel between the rows of every two groups: one Gram matrix serves all."""
    squares = (rows**2).sum(1)
    distances = squares[:, None] + squares - 2 * rows @ rows.T
    distances = jnp.where(jnp.eye(len(rows), dtype=bool), 0, jnp.maximum(distances, 0))
    kernel = sum(jnp.exp(-gamma * distances) for gamma in gammas)
    shares = shares.astype(rows.dtype)
    return shares @ jnp.asarray(kernel) @ shares.T
