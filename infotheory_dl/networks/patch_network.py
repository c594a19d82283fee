"""A network for photographs whose first layer is a dictionary of their own patches, so that little is left to learn."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from infotheory_dl._validation import edge
from infotheory_dl.networks.feature_maps import likeness
from infotheory_dl.networks.layers import HE, BatchNorm, Conv, Dense, average_pool
from infotheory_dl.types import AnyArray, Params

_STRIDE, _THRESHOLD = 2, 0.3


class PatchFeatures(nn.Module):
    """How like the patches of an image are to those of a dictionary, and two convolutions of that with batch norm.

    The dictionary is not trained; `with_dictionary` sets it.

    Attributes:
      num_patches: of the dictionary.
      window: pixels along a side of a patch.
      widths: channels of the convolutions; of the last the largest values over the image are the features.
    """

    num_patches: int = 64
    window: int = 6
    widths: tuple[int, int] = (128, 256)

    @nn.compact
    def __call__(
        self,
        images: Float[AnyArray, "examples height width channels"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples features"]:
        """Features of every image; `train` and `mask` are those of `BatchNorm`."""
        images = jnp.asarray(images)
        shape = (self.window, self.window, images.shape[-1], self.num_patches)
        filters = self.variable("dictionary", "filters", jnp.zeros, shape, images.dtype).value
        maps = likeness(filters, images, threshold=_THRESHOLD, stride=_STRIDE, gathered=True)
        first, second = self.widths
        maps = BatchNorm()(average_pool(maps, 2), train=train, mask=mask)
        maps = _largest(self._convolved(maps, first, train, mask))
        return self._convolved(maps, second, train, mask).max((1, 2))

    def _convolved(self, maps: Array, width: int, train: bool, mask: Shaped[AnyArray, " examples"] | None) -> Array:
        maps = Conv(width, 3, padding=1, initialization=HE, use_bias=False)(maps)
        return nn.relu(BatchNorm()(maps, train=train, mask=mask))


def _largest(maps: Float[Array, "examples height width maps"]) -> Array:
    """The largest of each square of two by two; maps are not negative, so that zeros fill up an odd side."""
    maps = jnp.pad(maps, ((0, 0), (0, maps.shape[1] % 2), (0, maps.shape[2] % 2), (0, 0)))
    examples, height, width, channels = maps.shape
    return maps.reshape(examples, height // 2, 2, width // 2, 2, channels).max((2, 4))


class PatchNetwork(nn.Module):
    """A linear classifier on `PatchFeatures`, for photographs of some 32 pixels a side.

    Attributes:
      outputs: number of classes.
      body: what makes the features.
    """

    outputs: int
    body: PatchFeatures = PatchFeatures()

    def setup(self) -> None:
        """Names the two parts."""
        self.layers = self.body.clone()
        self.head = Dense(self.outputs)

    def __call__(
        self,
        images: Float[AnyArray, "examples height width channels"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples outputs"]:
        """Outputs of every image; `train` and `mask` are those of `BatchNorm`."""
        return self.head(self.layers(images, train=train, mask=mask))

    def features(self, images: Float[AnyArray, "examples height width channels"]) -> Float[Array, "examples features"]:
        """What the classifier is linear in."""
        return self.layers(images)


@edge
def with_dictionary(
    variables: Mapping[str, Any], filters: Float[AnyArray, "rows columns channels patches"]
) -> dict[str, Params]:
    """Variables of a `PatchNetwork` with that dictionary.

    Args:
      variables: of its `init`.
      filters: `image_dictionary(...).params`.
    """
    return {**variables, "dictionary": {"layers": {"filters": jnp.asarray(filters)}}}
