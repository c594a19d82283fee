"""What a run shows of a row of the supersample, as one discrete variable: predicted labels, losses, their difference.

Each coding is a function of the one before it, so each carries less information about the selection.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import edge, require_all
from infotheory_dl.training import predicted_classes
from infotheory_dl.types import AnyArray


@edge
def predicted_labels(logits: Float[AnyArray, "*runs entries classes"]) -> Int[Array, "*runs entries"]:
    """The class of the largest logit, the first of equals; of a single logit class 1 where it is positive.

    Raises:
      ValueError: if a logit is NaN, naming the first entry.
    """
    require_all(lambda x: x == x, "be numbers", "leave diverged runs out by `valid`", logits=logits)
    return predicted_classes(logits, threshold=0.0)


@edge
def zero_one_losses(
    predictions: Int[AnyArray, "*supersamples runs entries"], labels: Int[AnyArray, "*#supersamples entries"]
) -> Float[Array, "*supersamples runs entries"]:
    """One where a predicted label is wrong, and zero where it is right.

    Raises:
      ValueError: if the shapes do not fit.
    """
    *supersamples, _, entries = np.shape(predictions)
    if np.shape(labels) not in ((entries,), (*supersamples, entries)):
        raise ValueError(
            f"labels must have one entry for each of the {entries} predictions of a run, got shape {np.shape(labels)}"
        )
    return (jnp.asarray(predictions) != jnp.asarray(labels)[..., None, :]).astype(float)


def columns(entries: Array) -> Array:
    """The two columns of every row, on a last axis."""
    return entries.reshape(*entries.shape[:-1], -1, 2)


def pair_labels(predictions: Int[AnyArray, "*runs entries"], num_classes: int) -> Int[Array, "*runs rows"]:
    """Codes both predicted labels of every row, in [0, num_classes^2)."""
    pair = columns(jnp.asarray(predictions).astype(int))
    return num_classes * pair[..., 0] + pair[..., 1]


def loss_levels(losses: Float[AnyArray, "*runs entries"], num_levels: int) -> Int[Array, "*runs entries"]:
    """Codes losses in [0, 1] by intervals of equal width, in [0, num_levels); two levels are exact for 0 and 1."""
    return jnp.clip(jnp.floor(jnp.asarray(losses) * num_levels).astype(int), 0, num_levels - 1)


def loss_pair(levels: Int[AnyArray, "*runs entries"], num_levels: int) -> Int[Array, "*runs rows"]:
    """Codes both losses of every row, in [0, num_levels^2)."""
    return pair_labels(levels, num_levels)


def loss_difference(levels: Int[AnyArray, "*runs entries"], num_levels: int) -> Int[Array, "*runs rows"]:
    """Codes the second loss of every row less the first, in [0, 2 num_levels - 1)."""
    pair = columns(jnp.asarray(levels))
    return pair[..., 1] - pair[..., 0] + num_levels - 1
