"""The papers' classifiers, flax modules: `network.init(key, inputs)`, then the pure `network.apply(variables, inputs)`.

`train_fn(network)` is the network while it trains, for those with batch norm or dropout; `training.as_network` finds it
for itself.
"""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Real, Shaped

from infotheory_dl._validation import edge, require_within
from infotheory_dl.networks.layers import (
    HE,
    TORCH,
    BatchNorm,
    Conv,
    Dense,
    Implementation,
    Initialization,
    Padding,
    average_pool,
)
from infotheory_dl.types import AnyArray, TrainFn


class MLP(nn.Module):
    """Dense layers with ReLU, or other units, between them, on the flattened inputs.

    Attributes:
      widths: number of units of every hidden layer.
      outputs: number of outputs.
      batch_norm: whether batch norm stands before every ReLU.
      initialization: of every layer.
      dropout: share of the hidden units that are dropped after every ReLU while the network trains, in [0, 1).
      activation: of the units, in place of ReLU.
    """

    widths: tuple[int, ...]
    outputs: int
    batch_norm: bool = False
    initialization: Initialization = TORCH
    dropout: float = 0.0
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(
        self,
        inputs: Float[AnyArray, "examples *features"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples outputs"]:
        """Outputs of every example; `train` and `mask` are those of `BatchNorm`.

        Raises:
          ValueError: if the dropout does not lie in [0, 1).
        """
        require_within("[0, 1)", dropout=self.dropout)
        hidden = inputs.reshape(inputs.shape[0], -1)
        for width in self.widths:
            hidden = Dense(width, self.initialization)(hidden)
            if self.batch_norm:
                hidden = BatchNorm()(hidden, train=train, mask=mask)
            hidden = nn.Dropout(self.dropout, deterministic=not train)(self.activation(hidden))
        return Dense(self.outputs, self.initialization)(hidden)


class Convolution(NamedTuple):
    """One convolution of a `CNN`.

    Attributes:
      features: number of output channels.
      kernel_size: height and width of the window.
      strides: step of the window.
      padding: rows and columns of zeros on every side, or "SAME" or "VALID".
    """

    features: int
    kernel_size: int
    strides: int = 1
    padding: Padding = 0


class CNN(nn.Module):
    """Convolutions with ReLU, or other units, an average pooling, and a dense head.

    Attributes:
      convolutions: the layers, first to last.
      head: what follows on the flattened maps.
      pooling: window of the average pooling before the head; 1 is none.
      batch_norm: whether batch norm stands before the ReLU of every convolution.
      initialization: of the convolutions.
      implementation: of the convolutions, see `Conv`.
      activation: of their units, in place of ReLU.
    """

    convolutions: tuple[Convolution, ...]
    head: MLP
    pooling: int = 1
    batch_norm: bool = False
    initialization: Initialization = TORCH
    implementation: Implementation = "auto"
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(
        self,
        images: Float[AnyArray, "examples height width channels"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples outputs"]:
        """Outputs of every image; `train` and `mask` are those of `BatchNorm`, errors those of `Conv`."""
        maps = images
        for convolution in self.convolutions:
            maps = Conv(*convolution, self.implementation, self.initialization)(maps)
            if self.batch_norm:
                maps = BatchNorm()(maps, train=train, mask=mask)
            maps = self.activation(maps)
        if self.pooling > 1:
            maps = average_pool(maps, self.pooling)
        return self.head(maps, train=train, mask=mask)


class GroupNormCNN(nn.Module):
    """Convolutions with ReLU and, after it, group norm; the outputs are the means of the last maps.

    Attributes:
      convolutions: the layers, first to last.
      groups: of the channels, each with moments of its own.
      initialization: of the convolutions.
      implementation: of the convolutions, see `Conv`.
    """

    convolutions: tuple[Convolution, ...]
    groups: int = 8
    initialization: Initialization = TORCH
    implementation: Implementation = "auto"

    @nn.compact
    def __call__(self, images: Float[AnyArray, "examples height width channels"]) -> Float[Array, "examples outputs"]:
        """Outputs of every image; errors are those of `Conv`."""
        maps = images
        for convolution in self.convolutions:
            maps = nn.relu(Conv(*convolution, self.implementation, self.initialization)(maps))
            maps = nn.GroupNorm(self.groups, epsilon=1e-5, use_fast_variance=False, param_dtype=maps.dtype)(maps)
        return maps.mean((1, 2))


class Standardized(nn.Module):
    """A network for inputs as they are stored, such as pixels of 8 bits: it is given (inputs / scale - mean) / std.

    Attributes:
      network: takes the standardised inputs.
      mean: one number, or one for each channel.
      std: likewise.
      scale: what to divide by first, such as the largest value of a pixel.
    """

    network: nn.Module
    mean: float | tuple[float, ...] = 0.456
    std: float | tuple[float, ...] = 0.224
    scale: float = 255.0

    def __call__(
        self,
        inputs: Real[AnyArray, "examples *features"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples outputs"]:
        """Outputs of every example, in single precision where the inputs are integers."""
        dtype = jnp.result_type(inputs, jnp.float32)
        mean, std = jnp.asarray(self.mean, dtype), jnp.asarray(self.std, dtype)
        return self.network((jnp.asarray(inputs, dtype) / self.scale - mean) / std, train=train, mask=mask)


def train_fn(network: nn.Module) -> TrainFn:
    """The function that applies a network while it trains: moments of the batch and dropout, if it has them.

    Args:
      network: called as `network(inputs, train=True, mask=mask)`, as those here are; without the mask, if it takes
        none.
    """
    takes_mask = "mask" in inspect.signature(type(network).__call__).parameters

    def apply(variables, inputs, mask, key):
        masked = {"mask": mask} if takes_mask else {}
        return network.apply(variables, inputs, train=True, **masked, mutable=["batch_stats"], rngs={"dropout": key})

    return apply


def features_train_fn(network: nn.Module) -> TrainFn:
    """The `train_fn` of a network whose outputs are a pair: its own, and what its last dense layer makes them of.

    In the features of each example a one stands for the bias of that layer, last, so that the gradient of an output for
    all parameters of the layer is the features.

    Args:
      network: as for `train_fn`.

    Raises:
      TypeError: when it is called, if the network has no dense layer.
    """
    apply = train_fn(network)

    def with_features(variables, inputs, mask, key):
        layers = []

        def listen(call, arguments, keywords, context):
            if isinstance(context.module, (Dense, nn.Dense)):
                layers.append((context.module, arguments[0]))
            return call(*arguments, **keywords)

        with nn.intercept_methods(listen):
            outputs, changed = apply(variables, inputs, mask, key)
        if not layers:
            raise TypeError("the network has no dense layer: there is no activation before it")
        last, features = layers[-1]
        if getattr(last, "use_bias", True):
            features = jnp.concatenate([features, jnp.ones_like(features[..., :1])], axis=-1)
        return (outputs, features), changed

    return with_features


@edge
def four_layer_cnn(
    outputs: int = 1,
    *,
    features: tuple[int, int, int, int] = (32, 32, 64, 256),
    width: int = 256,
    batch_norm: bool = False,
    head_batch_norm: bool = False,
    implementation: Implementation = "auto",
    activation: Callable[[Array], Array] = nn.relu,
) -> CNN:
    """The papers' four-layer CNN for MNIST, with PyTorch's initialisation; for images of 28 pixels or more a side.

    Sample information: the defaults, 249,217 parameters. f-CMI: `outputs=2, width=128, batch_norm=True`, 217,090
    parameters; its wide variant has `features=(128, 128, 256, 1024), width=512`. Label noise: as f-CMI, ten outputs,
    218,122 parameters; the network that predicts gradients has `head_batch_norm=True`, 218,378 parameters.

    Args:
      outputs: number of outputs.
      features: output channels of the four convolutions.
      width: units of the hidden dense layer.
      batch_norm: whether batch norm follows the convolutions.
      head_batch_norm: whether batch norm follows the hidden dense layer.
      implementation: of the convolutions, see `Conv`.
      activation: of all units, in place of ReLU.

    Source: Harutyunyan et al., 2021 (sample information) and 2021 (f-CMI); Harutyunyan et al., 2020 (label noise).
    """
    first, second, third, fourth = features
    convolutions = (
        Convolution(first, kernel_size=4, strides=2, padding=1),
        Convolution(second, kernel_size=4, strides=2, padding=1),
        Convolution(third, kernel_size=3, strides=2),
        Convolution(fourth, kernel_size=3),
    )
    head = MLP((width,), outputs, batch_norm=head_batch_norm, activation=activation)
    return CNN(convolutions, head, batch_norm=batch_norm, implementation=implementation, activation=activation)


@edge
def pooled_cnn(
    outputs: int = 1,
    *,
    features: tuple[int, int, int, int] = (32, 64, 64, 128),
    implementation: Implementation = "auto",
) -> CNN:
    """A CNN whose tangent kernel tells images apart before any training: He's initialisation, for images of any size.

    Pixels are to lie in [0, 1], on a background of 0 like that of the padding. On MNIST 4 against 9 (n = 1000, a tenth
    of the labels flipped) leave-one-out margins under its kernel then find the flips with an AUROC of .99; with the
    papers' standardisation, whose background is -2, of .96.

    Args:
      outputs: number of outputs.
      features: output channels of the four convolutions.
      implementation: of the convolutions, see `Conv`.
    """
    first, second, third, fourth = features
    convolutions = (
        Convolution(first, kernel_size=5, strides=2, padding="SAME"),
        Convolution(second, kernel_size=3, padding="SAME"),
        Convolution(third, kernel_size=3, strides=2, padding="SAME"),
        Convolution(fourth, kernel_size=3, padding="SAME"),
    )
    head = MLP((), outputs, initialization=HE)
    return CNN(convolutions, head, pooling=2, initialization=HE, implementation=implementation)


@edge
def domain_cnn(*, width: int = 64, implementation: Implementation = "auto") -> GroupNormCNN:
    """DomainBed's CNN for Colored and Rotated MNIST: 2 width outputs, to be followed by a linear head.

    By default 371,136 parameters for images of two channels.

    Args:
      width: output channels of the first convolution, half of those of the others.
      implementation: of the convolutions, see `Conv`.

    Source: Gulrajani and Lopez-Paz, 2021 (DomainBed, `MNIST_CNN`).
    """
    convolutions = (
        Convolution(width, kernel_size=3, padding=1),
        Convolution(2 * width, kernel_size=3, strides=2, padding=1),
        Convolution(2 * width, kernel_size=3, padding=1),
        Convolution(2 * width, kernel_size=3, padding=1),
    )
    return GroupNormCNN(convolutions, implementation=implementation)
