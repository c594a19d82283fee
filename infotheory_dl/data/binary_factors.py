"""Binary factors, and pixels that tell them: where a synergistic representation is as good as one that is not."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, require_count, require_within
from infotheory_dl.results import concise
from infotheory_dl.types import Key, Scalar


@concise
class GrueBleen(NamedTuple):
    """Things that are green or blue, seen before or after a time, and what pixels tell of both.

    Attributes:
      x: pixels, 0 or 1: those of the colour, then those of the time.
      colour: 0 green, 1 blue.
      time: 0 before, 1 after.
      grue: colour and time together, by exclusive or: 0 grue, green before and blue after; 1 bleen. With the time it
        tells the colour, as well as the colour itself does, and without it nothing.
    """

    x: Float[np.ndarray, "samples pixels"]
    colour: Int[np.ndarray, " samples"]
    time: Int[np.ndarray, " samples"]
    grue: Int[np.ndarray, " samples"]


@edge
def grue_bleen(
    key: Key, num_samples: int, *, pixels: int = 8, flip: Scalar = 0.1, agreement: Scalar = 0.5
) -> GrueBleen:
    """Draws things of two colours at two times.

    Args:
      key: source of randomness.
      num_samples: how many things.
      pixels: that tell the colour, and as many that tell the time.
      flip: how often a pixel is wrong, in [0, 1].
      agreement: how often things are green before and blue after, in [0, 1]; one half where colour and time are
        independent.

    Returns:
      The pixels and the factors.

    Raises:
      ValueError: if there are to be no samples or pixels, or a share is out of its range.

    Source: the example in the paper of Ver Steeg et al., 2017, after Goodman, 1955; the pixels are ours.
    """
    require_count(1, num_samples=num_samples, pixels=pixels)
    require_within("[0, 1]", flip=flip, agreement=agreement)
    key_time, key_grue, key_pixels = jax.random.split(key, 3)
    often = lambda key, share, *shape: np.asarray(jax.random.uniform(key, shape, np.float32)) < share
    time = often(key_time, 0.5, num_samples).astype(int)
    grue = 1 - often(key_grue, agreement, num_samples).astype(int)
    colour = time ^ grue
    told = np.repeat(np.stack([colour, time], axis=1), pixels, axis=1)
    x = told ^ often(key_pixels, flip, *told.shape)
    return GrueBleen(x.astype(np.float32), colour, time, grue)
