"""Residual networks with the weights of torchvision, which the user brings as arrays."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypedDict, Unpack

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from infotheory_dl._validation import edge, require_choice
from infotheory_dl.networks.classifiers import Convolution
from infotheory_dl.networks.layers import BatchNorm, Conv, Dense, Implementation, Initialization, Initializer, zeros
from infotheory_dl.types import AnyArray, Params

Block: TypeAlias = Callable[[int, int], tuple[Convolution, ...]]
Stem: TypeAlias = Literal["imagenet", "cifar"]

_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def _normal_by_fan_out(fan_in: int) -> Initializer:
    return nn.initializers.variance_scaling(2.0, "fan_out", "normal")


_BY_FAN_OUT = Initialization(_normal_by_fan_out, zeros)


@edge
def basic_block(width: int, strides: int) -> tuple[Convolution, ...]:
    """Two convolutions of 3x3, the first with the strides."""
    return Convolution(width, 3, strides, padding=1), Convolution(width, 3, padding=1)


@edge
def bottleneck(width: int, strides: int) -> tuple[Convolution, ...]:
    """Convolutions of 1x1, of 3x3 with the strides, and of 1x1 to four times the width."""
    return Convolution(width, 1), Convolution(width, 3, strides, padding=1), Convolution(4 * width, 1)


class ResidualBlock(nn.Module):
    """Convolutions, each with batch norm, added to their input.

    Attributes:
      convolutions: first to last.
      initialization: of the convolutions.
      implementation: of the convolutions, see `Conv`.
      activation: of the units, in place of ReLU.
    """

    convolutions: tuple[Convolution, ...]
    initialization: Initialization
    implementation: Implementation = "auto"
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(
        self,
        maps: Float[AnyArray, "examples height width channels"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples rows columns features"]:
        """Maps of every example; `train` and `mask` are those of `BatchNorm`."""
        layer = functools.partial(_conv_norm, self.initialization, self.implementation, train, mask)
        count, (*inner, last) = len(self.convolutions), self.convolutions
        hidden = maps
        for place, convolution in enumerate(inner, start=1):
            hidden = self.activation(layer(f"conv{place}", f"bn{place}", convolution, hidden))
        hidden = layer(f"conv{count}", f"bn{count}", last, hidden)
        strides = math.prod(convolution.strides for convolution in self.convolutions)
        if strides > 1 or maps.shape[-1] != last.features:
            maps = layer("downsample_0", "downsample_1", Convolution(last.features, 1, strides), maps)
        return self.activation(hidden + maps)


class ResNet(nn.Module):
    """A residual network, as torchvision has it.

    Attributes:
      depths: number of blocks of every stage; each stage but the first halves the maps.
      outputs: number of outputs.
      width: channels of the stem and of the first stage; each further stage doubles them.
      implementation: of the convolutions, see `Conv`.
      block: the convolutions of a block of some width and strides, `bottleneck` or `basic_block`.
      stem: "imagenet" is a convolution of 7x7 and a maximum over 3x3, each with strides of 2, for images of 32 pixels
        a side or more; "cifar" is a convolution of 3x3, for images of any size.
      initialization: of the convolutions; the default is He's by fan_out. The head has PyTorch's.
      activation: of the units, in place of ReLU.
    """

    depths: tuple[int, ...]
    outputs: int
    width: int = 64
    implementation: Implementation = "auto"
    block: Block = bottleneck
    stem: Stem = "imagenet"
    initialization: Initialization = _BY_FAN_OUT
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(
        self,
        images: Float[AnyArray, "examples height width channels"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples outputs"]:
        """Outputs of every image; `train` and `mask` are those of `BatchNorm`, errors those of `Conv`.

        Raises:
          ValueError: if the stem is unknown.
        """
        require_choice("stem", self.stem, ("imagenet", "cifar"))
        stem = Convolution(self.width, 7, 2, 3) if self.stem == "imagenet" else Convolution(self.width, 3, 1, 1)
        layer = functools.partial(_conv_norm, self.initialization, self.implementation, train, mask)
        maps = self.activation(layer("conv1", "bn1", stem, images))
        if self.stem == "imagenet":
            maps = nn.max_pool(maps, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                strides = 2 if stage > 0 and place == 0 else 1
                convolutions = self.block(self.width * 2**stage, strides)
                name = f"layer{stage + 1}_{place}"
                block = ResidualBlock(
                    convolutions, self.initialization, self.implementation, self.activation, name=name
                )
                maps = block(maps, train=train, mask=mask)
        return Dense(self.outputs, name="fc")(maps.mean((1, 2)))


class ResNetSettings(TypedDict, total=False):
    """What the networks by name leave open: attributes of `ResNet`, with its defaults."""

    stem: Stem
    initialization: Initialization
    implementation: Implementation
    activation: Callable[[Array], Array]


@edge
def resnet18(outputs: int, **settings: Unpack[ResNetSettings]) -> ResNet:
    """ResNet-18, of basic blocks: 11,689,512 parameters with 1000 outputs; the settings are those of `ResNet`.

    Source: He et al., 2016; torchvision.
    """
    return ResNet((2, 2, 2, 2), outputs, block=basic_block, **settings)


@edge
def resnet34(outputs: int, **settings: Unpack[ResNetSettings]) -> ResNet:
    """ResNet-34, of basic blocks: 21,797,672 parameters with 1000 outputs; the settings are those of `ResNet`.

    Label noise, on CIFAR-10: `outputs=10, stem="cifar", initialization=TORCH`, 21,282,122 parameters.

    Source: He et al., 2016; torchvision; Harutyunyan et al., 2020 (label noise).
    """
    return ResNet((3, 4, 6, 3), outputs, block=basic_block, **settings)


@edge
def resnet50(outputs: int, **settings: Unpack[ResNetSettings]) -> ResNet:
    """ResNet-50 with the stride in the 3x3 convolutions: 25,557,032 parameters with 1000 outputs; see `ResNet`.

    Source: He et al., 2016; torchvision.
    """
    return ResNet((3, 4, 6, 3), outputs, block=bottleneck, **settings)


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


def _conv_norm(
    initialization: Initialization,
    implementation: Implementation,
    train: bool,
    mask: Shaped[AnyArray, " examples"] | None,
    conv: str,
    norm: str,
    convolution: Convolution,
    maps: AnyArray,
) -> Array:
    """A convolution without a bias and its batch norm, under these names."""
    maps = Conv(*convolution, implementation, initialization, use_bias=False, name=conv)(maps)
    return BatchNorm(name=norm)(maps, train=train, mask=mask)
