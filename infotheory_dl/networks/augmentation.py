"""Random changes of the images that a network trains on."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from infotheory_dl._validation import edge, require_count, require_rank
from infotheory_dl.types import AnyArray, Key, TrainFn


@edge
def flip_and_crop(
    key: Key, images: Shaped[AnyArray, "examples height width channels"], *, margin: int = 4
) -> Shaped[Array, "examples height width channels"]:
    """Images that are flipped from left to right at random, and cropped at random out of a margin of zeros.

    Args:
      key: of the randomness.
      images: as they are stored, so that the margin is black.
      margin: pixels on every side; the images are as large after the crop as before.

    Raises:
      ValueError: if the images do not have four axes or the margin is negative.
    """
    require_rank("images", images, 4, "(examples, height, width, channels)")
    require_count(0, margin=margin)
    flip_key, row_key, column_key = jax.random.split(key, 3)
    count, *shape = images.shape
    flips = jax.random.bernoulli(flip_key, shape=(count, 1, 1, 1))
    flipped = jnp.where(flips, images[:, :, ::-1], images)
    padded = jnp.pad(flipped, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    rows, columns = (jax.random.randint(part, (count,), 0, 2 * margin + 1) for part in (row_key, column_key))
    crop = lambda image, row, column: jax.lax.dynamic_slice(image, (row, column, 0), shape)
    return jax.vmap(crop)(padded, rows, columns)


@edge
def augmented(train_fn: TrainFn, *, margin: int = 4) -> TrainFn:
    """The network while it trains on images that `flip_and_crop` has changed.

    Networks that are to see the same images take them from one call of `flip_and_crop` instead.

    Args:
      train_fn: such as `train_fn(network)`.
      margin: that of `flip_and_crop`.
    """

    def apply(variables, images, mask, key):
        image_key, network_key = jax.random.split(key)
        return train_fn(variables, flip_and_crop(image_key, images, margin=margin), mask, network_key)

    return apply
