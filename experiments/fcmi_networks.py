"""The networks of the f-CMI experiment, and how their images are prepared."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl import networks
from infotheory_dl.types import TrainFn

Name = Literal["cnn", "wide", "mlp", "resnet50"]


class Resized(nn.Module):
    """A network for images scaled to another size."""

    network: nn.Module
    size: int

    def __call__(self, images: Any, *, train: bool = False, mask: Any = None) -> Any:
        """Outputs of every image."""
        shape = (len(images), self.size, self.size, images.shape[-1])
        return self.network(jax.image.resize(images, shape, "bilinear"), train=train, mask=mask)


def make_network(name: Name, num_classes: int, *, largest: float, resize: int | None = None) -> nn.Module:
    """The network of this name, for images as they are stored.

    Args:
      name: "cnn" and "wide" are the paper's, "mlp" is for smaller images.
      num_classes: number of outputs.
      largest: value of a pixel.
      resize: pixels a side that the residual network sees; default those of the images.
    """
    if name == "resnet50":
        network: nn.Module = networks.resnet50(num_classes)
        network = network if resize is None else Resized(network, resize)
        return networks.Standardized(network, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), largest)
    if name == "mlp":
        return networks.Standardized(networks.MLP((256,), num_classes), 0.3, 0.37, largest)
    wide: dict[str, Any] = {"features": (128, 128, 256, 1024), "width": 512} if name == "wide" else {"width": 128}
    return networks.Standardized(networks.four_layer_cnn(num_classes, batch_norm=True, **wide), scale=largest)


class Pretrained(NamedTuple):
    """A network whose parameters are given, but for those of a head of another size.

    Attributes:
      network: as `make_network` makes it.
      arrays: of a torchvision state dict.
      apply: that of the network.
    """

    network: nn.Module
    arrays: dict[str, np.ndarray]
    apply: Callable[..., Any]

    def init(self, key: Any, inputs: Any) -> Any:
        """Variables with the given arrays in their places."""
        return self._filled(self.network.init(key, inputs))

    def _filled(self, variables: Any) -> Any:
        if all(set(collection) == {"network"} for collection in variables.values()):
            inner = self._filled({name: collection["network"] for name, collection in variables.items()})
            return {name: {"network": collection} for name, collection in inner.items()}
        return networks.variables_from_torch(self.arrays, variables)


def augmented(train_fn: TrainFn) -> TrainFn:
    """The network while it trains on images that are flipped, and cropped out of a margin of four pixels."""

    def apply(variables, images, mask, key):
        flip_key, row_key, column_key, network_key = jax.random.split(key, 4)
        count, height, width, _ = images.shape
        flips = jax.random.bernoulli(flip_key, shape=(count, 1, 1, 1))
        margins = jnp.pad(jnp.where(flips, images[:, :, ::-1], images), ((0, 0), (4, 4), (4, 4), (0, 0)))
        rows, columns = (jax.random.randint(part, (count,), 0, 9) for part in (row_key, column_key))
        crop = lambda image, row, column: jax.lax.dynamic_slice(
            image, (row, column, 0), (height, width, image.shape[2])
        )
        return train_fn(variables, jax.vmap(crop)(margins, rows, columns), mask, network_key)

    return apply
