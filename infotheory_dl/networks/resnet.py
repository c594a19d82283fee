"""Residual networks with the weights of torchvision, which the user brings as arrays."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from infotheory_dl.networks.layers import BatchNorm, Conv, Dense, Implementation, Initialization, Initializer, zeros
from infotheory_dl.types import AnyArray, Params

_EXPANSION = 4
_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def _normal_by_fan_out(fan_in: int) -> Initializer:
    return nn.initializers.variance_scaling(2.0, "fan_out", "normal")


_INITIALIZATION = Initialization(_normal_by_fan_out, zeros)


class Bottleneck(nn.Module):
    """Three convolutions, 1x1, 3x3 and 1x1, each with batch norm, added to their input.

    Attributes:
      width: channels of the first two; the third has four times as many.
      strides: of the 3x3 convolution.
      implementation: of the convolutions, see `Conv`.
    """

    width: int
    strides: int = 1
    implementation: Implementation = "auto"

    @nn.compact
    def __call__(
        self,
        maps: Float[AnyArray, "examples height width channels"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples rows columns features"]:
        """Maps of every example; `train` and `mask` are those of `BatchNorm`."""
        norm = lambda name, maps: BatchNorm(name=name)(maps, train=train, mask=mask)
        conv = lambda name, maps, *sizes: _conv(name, self.implementation, *sizes)(maps)
        features = _EXPANSION * self.width
        hidden = nn.relu(norm("bn1", conv("conv1", maps, self.width, 1)))
        hidden = nn.relu(norm("bn2", conv("conv2", hidden, self.width, 3, self.strides, 1)))
        hidden = norm("bn3", conv("conv3", hidden, features, 1))
        if self.strides > 1 or maps.shape[-1] != features:
            maps = norm("downsample_1", conv("downsample_0", maps, features, 1, self.strides))
        return nn.relu(hidden + maps)


class ResNet(nn.Module):
    """A residual network of bottlenecks, as torchvision has it, for images of 32 pixels or more a side.

    Attributes:
      depths: number of bottlenecks of every stage; each stage but the first halves the maps.
      outputs: number of outputs.
      width: channels of the stem and of the first stage; each further stage doubles them.
      implementation: of the convolutions, see `Conv`.
    """

    depths: tuple[int, ...]
    outputs: int
    width: int = 64
    implementation: Implementation = "auto"

    @nn.compact
    def __call__(
        self,
        images: Float[AnyArray, "examples height width channels"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples outputs"]:
        """Outputs of every image; `train` and `mask` are those of `BatchNorm`, errors those of `Conv`."""
        maps = _conv("conv1", self.implementation, self.width, 7, 2, 3)(images)
        maps = nn.relu(BatchNorm(name="bn1")(maps, train=train, mask=mask))
        maps = nn.max_pool(maps, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                strides = 2 if stage > 0 and place == 0 else 1
                name = f"layer{stage + 1}_{place}"
                block = Bottleneck(self.width * 2**stage, strides, self.implementation, name=name)
                maps = block(maps, train=train, mask=mask)
        return Dense(self.outputs, name="fc")(maps.mean((1, 2)))


def resnet50(outputs: int, *, implementation: Implementation = "auto") -> ResNet:
    """ResNet-50 with the stride in the 3x3 convolutions: 25,557,032 parameters with 1000 outputs.

    Source: He et al., 2016; torchvision.
    """
    return ResNet((3, 4, 6, 3), outputs, implementation=implementation)


def variables_from_torch(arrays: Mapping[str, Shaped[AnyArray, "..."]], variables: Params) -> Params:
    """Puts the weights of a torchvision state dict into the variables of a `ResNet`.

    Args:
      arrays: the state dict as arrays by name, such as `np.load` of an .npz file.
      variables: of `init`; they tell the structure and the dtype.

    Returns:
      The variables with the weights and running moments of the arrays. The head keeps what was drawn where its number
      of outputs differs.

    Raises:
      ValueError: if an array is absent, has another shape, or belongs to no layer, naming it.
    """
    unused = {name for name in arrays if not name.endswith("num_batches_tracked")}

    def weights(path: tuple[jax.tree_util.DictKey, ...], leaf: AnyArray) -> AnyArray:
        *layers, last = (part.key for part in path[1:])
        # layer1_0 is torch's layer1.0
        name = ".".join([*layers, ""]).replace("_", ".") + _LEAVES[last]
        if name not in arrays:
            raise ValueError(f"the state dict lacks {name}: it is not one of this network")
        unused.discard(name)
        array = np.asarray(arrays[name])
        if last == "kernel":
            # outputs first in torch, last here
            array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        if array.shape == leaf.shape:
            return jnp.asarray(array, leaf.dtype)
        if layers == ["fc"] and array.shape[:-1] == leaf.shape[:-1]:
            return leaf
        raise ValueError(f"{name} must fit a parameter of shape {leaf.shape}, got shape {np.shape(arrays[name])}")

    found = jax.tree_util.tree_map_with_path(weights, variables)
    if unused:
        raise ValueError(f"the state dict has {min(unused)}, which this network lacks")
    return found


def _conv(
    name: str, implementation: Implementation, features: int, size: int, strides: int = 1, padding: int = 0
) -> Conv:
    return Conv(features, size, strides, padding, implementation, _INITIALIZATION, use_bias=False, name=name)
