"""Layers of the papers' networks: the initialisation, convolution and batch norm behind their published figures.

Parameters take the dtype of the inputs that `init` sees.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float, Key, Shaped

from infotheory_dl._validation import edge, require_choice, require_floating, require_rank
from infotheory_dl.types import AnyArray

Initializer: TypeAlias = Callable[[Key[Array, ""], tuple[int, ...], Any], Array]
Implementation: TypeAlias = Literal["auto", "patches", "lax"]
Padding: TypeAlias = int | Literal["SAME", "VALID"]


class Initialization(NamedTuple):
    """How a layer's parameters are drawn: two functions from fan_in to an initializer of (key, shape, dtype).

    Attributes:
      kernel: for the weights.
      bias: for the biases.
    """

    kernel: Callable[[int], Initializer]
    bias: Callable[[int], Initializer]


def uniform_by_fan_in(fan_in: int) -> Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), what PyTorch draws weights and biases from."""
    limit = 1 / math.sqrt(fan_in)
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -limit, limit)


def normal_by_fan_in(fan_in: int) -> Initializer:
    """N(0, 2/fan_in), which keeps the variance of activations through layers of ReLU (He et al., 2015)."""
    return nn.initializers.normal(math.sqrt(2 / fan_in))


def uniform_by_fans(fan_in: int) -> Initializer:
    """U(±sqrt(6 / (fan_in + fan_out))), what Keras draws weights from (Glorot and Bengio, 2010)."""
    return nn.initializers.glorot_uniform()


def zeros(fan_in: int) -> Initializer:
    """Zero, whatever the fan_in."""
    return nn.initializers.zeros


# times the images and the outputs, on accelerators
_LARGEST_PATCHES = 4

TORCH = Initialization(uniform_by_fan_in, uniform_by_fan_in)
HE = Initialization(normal_by_fan_in, zeros)
GLOROT = Initialization(uniform_by_fans, zeros)


class Dense(nn.Module):
    """inputs @ kernel + bias.

    Attributes:
      features: number of outputs.
      initialization: `TORCH`, `HE` or `GLOROT`, or any other pair.
    """

    features: int
    initialization: Initialization = TORCH

    @nn.compact
    def __call__(self, inputs: Float[AnyArray, "*batch inputs"]) -> Float[Array, "*batch features"]:
        """Maps the last axis; a TypeError says that the inputs are not floating-point."""
        require_floating(inputs=inputs)
        fan_in = inputs.shape[-1]
        kernel = self.param("kernel", self.initialization.kernel(fan_in), (fan_in, self.features), inputs.dtype)
        bias = self.param("bias", self.initialization.bias(fan_in), (self.features,), inputs.dtype)
        inputs, kernel, bias = promote_dtype(inputs, kernel, bias)
        return inputs @ kernel + bias


@edge
def image_patches(
    images: Float[AnyArray, "examples height width channels"],
    window: tuple[int, int],
    strides: tuple[int, int],
) -> Float[Array, "examples rows columns patch"]:
    """Every window of the images as a vector, in the order (window row, window column, channel).

    The vectors are put together from strided slices, one for each place in the window: XLA's own patches are a
    convolution, and a convolution inside a loop is slow on CPU (jax issue 12868).
    """
    height, width = images.shape[1:3]
    slices = [
        images[:, i : i + height - window[0] + 1 : strides[0], j : j + width - window[1] + 1 : strides[1]]
        for i in range(window[0])
        for j in range(window[1])
    ]
    return jnp.concatenate(slices, axis=-1)


class Conv(nn.Module):
    """Two-dimensional convolution; the kernel has the axes (row, column, input, output).

    Attributes:
      features: number of output channels.
      kernel_size: height and width of the window.
      strides: step of the window in both directions.
      padding: rows and columns of zeros on every side, or "SAME" or "VALID".
      implementation: "patches" gathers the windows and multiplies once by the kernel as a matrix, "lax" is XLA's
        convolution. "auto" takes patches on CPU, where a convolution inside `lax.scan` or `lax.map` is some ten times
        slower, and elsewhere where they are at most four times as large as the images and the outputs together: there
        the convolutions of models side by side run one after the other. All are equal up to rounding.
      initialization: `TORCH`, `HE` or `GLOROT`, or any other pair.
      use_bias: whether a bias is added.
    """

    features: int
    kernel_size: int
    strides: int = 1
    padding: Padding = 0
    implementation: Implementation = "auto"
    initialization: Initialization = TORCH
    use_bias: bool = True

    @nn.compact
    def __call__(
        self, images: Float[AnyArray, "examples height width channels"]
    ) -> Float[Array, "examples rows columns features"]:
        """Convolves every image.

        Raises:
          TypeError: if the images are not floating-point.
          ValueError: if they do not have four axes, the window does not fit into them, or a setting is unknown.
        """
        require_floating(images=images)
        require_rank("images", images, 4, "(examples, height, width, channels)")
        require_choice("implementation", self.implementation, ("auto", "patches", "lax"))
        window, strides = (self.kernel_size,) * 2, (self.strides,) * 2
        fan_in = self.kernel_size**2 * images.shape[-1]
        shape = (*window, images.shape[-1], self.features)
        kernel = self.param("kernel", self.initialization.kernel(fan_in), shape, images.dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.initialization.bias(fan_in), (self.features,), images.dtype)
        maps, kernel, bias = promote_dtype(images, kernel, bias)

        margins = self._margins(images.shape[1:3])
        if not self._gathers_patches(images.shape[1:], margins):
            layout = ("NHWC", "HWIO", "NHWC")
            outputs = lax.conv_general_dilated(maps, kernel, strides, margins, dimension_numbers=layout)
        else:
            if any(map(any, margins)):
                maps = jnp.pad(maps, ((0, 0), *margins, (0, 0)))
            # one row for each feature, kept so: XLA would turn the product in the gradient, three times as slow on CPU
            rows = lax.optimization_barrier(kernel.reshape(fan_in, self.features).T)
            outputs = lax.dot_general(image_patches(maps, window, strides), rows, (((3,), (1,)), ((), ())))
        return outputs if bias is None else outputs + bias

    def _margins(self, size: tuple[int, ...]) -> list[tuple[int, int]]:
        """Rows and columns of zeros before and after the images."""
        if isinstance(self.padding, int):
            margins = [(self.padding, self.padding)] * 2
        else:
            require_choice("padding", self.padding, ("SAME", "VALID"))
            margins = lax.padtype_to_pads(size, (self.kernel_size,) * 2, (self.strides,) * 2, self.padding)
        if any(n + sum(margin) < self.kernel_size for n, margin in zip(size, margins, strict=True)):
            raise ValueError(
                f"a window of {self.kernel_size}x{self.kernel_size} does not fit into {size[0]}x{size[1]} pixels "
                f"with padding {self.padding!r}: the images are too small for this network"
            )
        return margins

    def _gathers_patches(self, shape: tuple[int, ...], margins: list[tuple[int, int]]) -> bool:
        """Whether the windows are gathered, of images of this height, width and channels."""
        if self.implementation != "auto":
            return self.implementation == "patches"
        places = math.prod(
            (n + sum(margin) - self.kernel_size) // self.strides + 1
            for n, margin in zip(shape[:2], margins, strict=True)
        )
        patches = places * self.kernel_size**2 * shape[2]
        is_small = patches <= _LARGEST_PATCHES * (math.prod(shape) + places * self.features)
        return is_small or jax.default_backend() == "cpu"


@edge
def average_pool(
    images: Float[AnyArray, "examples height width channels"], window: int
) -> Float[Array, "examples rows columns channels"]:
    """Mean over windows side by side; what is left over at the right and below is dropped.

    Along an axis shorter than the window, one window spans the axis.
    """
    images = jnp.asarray(images)
    examples, height, width, channels = images.shape
    window_height, window_width = min(window, height), min(window, width)
    rows, columns = height // window_height, width // window_width
    whole = images[:, : rows * window_height, : columns * window_width]
    return whole.reshape(examples, rows, window_height, columns, window_width, channels).mean(axis=(2, 4))


class BatchNorm(nn.Module):
    """Batch norm as PyTorch has it: batches are normalised by the biased variance, the running one is unbiased.

    The collection "batch_stats" holds the running moments `mean` and `var`.

    Attributes:
      momentum: weight of the newest batch in the running moments; none if its mask leaves one value of a feature.
      epsilon: added to the variance.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self,
        inputs: Float[AnyArray, "examples *places features"],
        *,
        train: bool = False,
        mask: Shaped[AnyArray, " examples"] | None = None,
    ) -> Float[Array, "examples *places features"]:
        """Normalises every feature.

        Args:
          inputs: examples first, features last; the moments are over all other axes.
          train: whether to use the moments of this batch, and to move the running ones; otherwise the running ones
            are used.
          mask: (examples,), 1 for examples that count and 0 for those that only fill up a short batch.

        Raises:
          TypeError: if the inputs are not floating-point.
          ValueError: if a training batch has one value per feature, which has no variance.
        """
        require_floating(inputs=inputs)
        shape, dtype = inputs.shape[-1:], inputs.dtype
        scale = self.param("scale", nn.initializers.ones, shape, dtype)
        bias = self.param("bias", nn.initializers.zeros, shape, dtype)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, dtype)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, dtype)

        if not train:
            mean, var = running_mean.value, running_var.value
        else:
            if inputs.size == inputs.shape[-1]:
                raise ValueError(f"batch norm needs more than one value per feature to train on, got {inputs.shape}")
            mean, var, count = batch_moments(inputs, mask)
            if not self.is_initializing():
                unbiased, momentum = var * count / jnp.maximum(count - 1, 1), jnp.where(count > 1, self.momentum, 0)
                running_mean.value += momentum * (mean - running_mean.value)
                running_var.value += momentum * (unbiased - running_var.value)
        # centred as in `batch_moments`
        slope, center = scale * lax.rsqrt(var + self.epsilon), lax.stop_gradient(mean)
        return jnp.subtract(inputs, center) * slope + (bias - (mean - center) * slope)


@edge
def batch_moments(
    inputs: Float[AnyArray, "examples *places features"], mask: Shaped[AnyArray, " examples"] | None = None
) -> tuple[Float[Array, " features"], Float[Array, " features"], Float[Array, ""]]:
    """Mean and biased variance of every feature over the examples that the mask keeps, and the number of values.

    The values are centred by a constant equal to the mean; the mean less that constant, a zero with the mean's
    derivatives, stands apart. So the gradient has no sums over the values that are zero but for the mean's rounding.
    """
    axes = tuple(range(inputs.ndim - 1))
    mask = jnp.ones(inputs.shape[:1]) if mask is None else mask
    weights = jnp.expand_dims(jnp.asarray(mask, inputs.dtype), tuple(range(1, inputs.ndim)))
    count = weights.sum() * math.prod(inputs.shape[1:-1])
    mean = (weights * inputs).sum(axes) / jnp.maximum(count, 1)
    center = lax.stop_gradient(mean)
    var = (weights * (inputs - center) ** 2).sum(axes) / jnp.maximum(count, 1) - (mean - center) ** 2
    return mean, var, count
