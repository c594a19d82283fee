"""The networks of the f-CMI experiment."""

from typing import Any, Literal

import flax.linen as nn
import jax
import numpy as np

from infotheory_dl import networks, training

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


def pretrained(network: training.Network, arrays: dict[str, np.ndarray]) -> training.Network:
    """A network whose parameters are those of a torchvision state dict, but for a head of another size."""

    def filled(variables: Any) -> Any:
        if all(set(collection) == {"network"} for collection in variables.values()):
            inner = filled({name: collection["network"] for name, collection in variables.items()})
            return {name: {"network": collection} for name, collection in inner.items()}
        return networks.variables_from_torch(arrays, variables)

    return network._replace(init=lambda key, inputs: filled(network.init(key, inputs)))
