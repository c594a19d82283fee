"""Explicit features of examples, of networks that nobody trains: wide enough that a linear model on them is enough."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_count
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params

_SIDE = 32
_PLACES = 14


class FeatureMap(NamedTuple):
    """Makes features of inputs, `apply_fn(params, inputs)`.

    Attributes:
      apply_fn: a pure function.
      params: arrays.
      batch_size: how many examples to give it at once, for what it holds in between.
    """

    apply_fn: ApplyFn
    params: Params
    batch_size: int


@edge
def random_convolution(key: Key, shape: tuple[int, ...], *, num_maps: int = 256, grid: int = 4) -> FeatureMap:
    """Draws features of images: a random convolution, ReLU, and the mean over each part of a grid.

    Windows are a quarter of the image, at most 9 pixels, and lie on some 14 x 14 places; images of more than 48 pixels
    a side are averaged down to some 32 first.

    Args:
      key: of the filters.
      shape: of an image, (height, width, channels).
      num_maps: number of filters.
      grid: parts along each side.

    Returns:
      The map, to grid² num_maps features.
    """
    require_count(1, num_maps=num_maps, grid=grid)
    height, width, channels = shape
    shrink = max(1, round(min(height, width) / _SIDE))
    side = min(height, width) // shrink
    window = min(max(3, (side // 4) | 1), 9)
    stride = max(1, round(side / _PLACES))
    filters = jax.random.normal(key, (window, window, channels, num_maps)) * np.sqrt(2 / (window**2 * channels))
    places = -(-(height // shrink) // stride) * -(-(width // shrink) // stride)
    apply_fn = functools.partial(_convolve, shrink=shrink, stride=stride, grid=grid)
    return FeatureMap(_Named(apply_fn), filters, max(32, 2**27 // (4 * places * num_maps)))


@edge
def random_layer(key: Key, width: int, *, num_features: int = 4096) -> FeatureMap:
    """Draws features of rows: one layer of random directions with offsets, and ReLU.

    Args:
      key: of the layer.
      width: numbers in a row.
      num_features: how many features.

    Returns:
      The map.
    """
    require_count(1, num_features=num_features)
    weight_key, bias_key = jax.random.split(key)
    weights = jax.random.normal(weight_key, (width, num_features)) / np.sqrt(width)
    return FeatureMap(_layer, (weights, jax.random.normal(bias_key, (num_features,))), 2048)


def linear_features() -> FeatureMap:
    """Rows as they are."""
    return FeatureMap(_rows, (), 4096)


class _Named:
    """A function that equals another of the same settings, so that one compiled program serves both."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.settings = function.func, tuple(sorted(function.keywords.items()))

    def __call__(self, params: Params, inputs: AnyArray) -> Array:
        return self.function(params, inputs)

    def __hash__(self) -> int:
        return hash(self.settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and self.settings == other.settings


def _convolve(
    filters: Float[Array, "rows columns channels maps"],
    images: Float[AnyArray, "examples height width channels"],
    *,
    shrink: int,
    stride: int,
    grid: int,
) -> Float[Array, "examples features"]:
    images = jnp.asarray(images)
    if shrink > 1:
        rows, columns = images.shape[1] // shrink, images.shape[2] // shrink
        whole = images[:, : rows * shrink, : columns * shrink]
        images = whole.reshape(len(images), rows, shrink, columns, shrink, -1).mean((2, 4))
    maps = lax.conv_general_dilated(
        images, filters.astype(images.dtype), (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return pooled(jax.nn.relu(maps), grid).reshape(len(images), -1)


def pooled(maps: Float[Array, "examples height width maps"], grid: int) -> Float[Array, "examples grid grid maps"]:
    """Means over the parts of a grid, as equal as they can be; they overlap by a pixel where a side does not divide."""
    down, across = (jnp.asarray(_parts(size, grid), maps.dtype) for size in maps.shape[1:3])
    return jnp.einsum("gh,nhwm,kw->ngkm", down, maps, across, precision=lax.Precision.HIGHEST)


def _parts(size: int, grid: int) -> Float[np.ndarray, "parts size"]:
    place = np.arange(min(grid, size))
    starts, ends = place * size // len(place), -(-(place + 1) * size // len(place))
    inside = (np.arange(size) >= starts[:, None]) & (np.arange(size) < ends[:, None])
    return inside / inside.sum(1, keepdims=True)


def _layer(params: Params, rows: Float[AnyArray, "examples width"]) -> Float[Array, "examples features"]:
    weights, biases = params
    rows = jnp.asarray(rows).reshape(len(rows), -1)
    outputs = jnp.matmul(rows, weights.astype(rows.dtype), precision=lax.Precision.HIGHEST)
    return jax.nn.relu(outputs + biases.astype(rows.dtype))


def _rows(params: Params, rows: Float[AnyArray, "examples ..."]) -> Float[Array, "examples features"]:
    return jnp.asarray(rows).reshape(len(rows), -1)
