"""Whether probabilities mean what they say."""

from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from infotheory_dl._validation import class_codes, edge, require_choice, require_count, require_distributions
from infotheory_dl.metrics._weighing import Weighing, measured, require_weights
from infotheory_dl.metrics.predictions import checked_labels
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels

Bins: TypeAlias = Literal["width", "quantile"]


@concise
class Calibration(NamedTuple):
    """How far probabilities are from how often the label occurs.

    Attributes:
      ece: expected calibration error: the mean over the examples of the difference between the two in their bin.
      brier: mean squared difference of probability and label, of several classes summed over them.
      predicted: mean probability of each bin; NaN where it is empty.
      observed: share of each bin where the label, or the likeliest class, is the right one; likewise.
      share: of the examples in each bin.
    """

    ece: Float[Array, "*resamples"]
    brier: Float[Array, "*resamples"]
    predicted: Float[Array, "*resamples bins"]
    observed: Float[Array, "*resamples bins"]
    share: Float[Array, "*resamples bins"]


@edge
def calibration(
    labels: AnyLabels,
    probabilities: Real[AnyArray, " examples"] | Real[AnyArray, "examples classes"],
    *,
    weights: Real[AnyArray, " examples"] | None = None,
    bins: Bins = "width",
    num_bins: int = 10,
) -> Calibration:
    """Compares probabilities, bin by bin, with how often they are right.

    Args:
      labels: 0 or 1; or classes.
      probabilities: of label 1; or of each class, of which the likeliest is looked at.
      weights: how much each example counts; default all alike.
      bins: of equal "width", or between "quantile"s of the probabilities, so that each has as many examples.
      num_bins: how many.

    Raises:
      ValueError: if the lengths differ, a label is out of range, a probability is not in [0, 1] or those of an example
        do not add up to 1, a weight is negative, or a setting is out of range.

    Source: Brier, 1950; Guo et al., 2017 (ECE).
    """
    return measured(CALIBRATION, labels, probabilities, weights=weights, bins=bins, num_bins=num_bins)


def _checked(
    labels: AnyLabels,
    probabilities: AnyArray,
    *,
    weights: AnyArray | None = None,
    bins: Bins = "width",
    num_bins: int = 10,
) -> tuple[Array, Array, Array]:
    """Whether what is looked at is right, its probability, and the squared error."""
    require_choice("bins", bins, ("width", "quantile"))
    require_count(1, num_bins=num_bins)
    if np.ndim(probabilities) != 2:
        occurs, share = checked_labels(labels, probabilities, weights=weights, both=False)
        return occurs, share, jnp.square(share - occurs)
    require_distributions(probabilities=probabilities)
    codes = class_codes(labels, num_classes=probabilities.shape[1], num_examples=len(probabilities))
    require_weights(weights, codes)
    shares = jnp.asarray(probabilities, float)
    truth = jax.nn.one_hot(codes, shares.shape[1], dtype=shares.dtype)
    return shares.argmax(1) == codes, shares.max(1), jnp.square(shares - truth).sum(1)


def _binned(
    occurs: Array, probabilities: Array, squared: Array, bins: Bins = "width", num_bins: int = 10
) -> tuple[Array, ...]:
    inner = jnp.linspace(0, 1, num_bins + 1, dtype=probabilities.dtype)[1:-1]
    edges = inner if bins == "width" else jnp.quantile(probabilities, inner)
    columns = jnp.stack([jnp.ones_like(probabilities), probabilities, occurs.astype(probabilities.dtype)], axis=1)
    return columns, squared, jnp.searchsorted(edges, probabilities), jnp.zeros((num_bins, 3), probabilities.dtype)


def _calibration(prepared: tuple[Array, ...], weights: Float[Array, " examples"]) -> Calibration:
    columns, squared, places, empty = prepared
    share, predicted, observed = empty.at[places].add(weights[:, None] * columns).T / weights.sum()
    return Calibration(
        jnp.abs(observed - predicted).sum(),
        weights @ squared / weights.sum(),
        predicted / share,
        observed / share,
        share,
    )


CALIBRATION = Weighing(_checked, _binned, _calibration, lambda found: jnp.isfinite(found.ece))
