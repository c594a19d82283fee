"""Explicit features of examples, of networks that nobody trains: wide enough that a linear model on them is enough."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_count
from infotheory_dl.networks.layers import image_patches
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params

_SIDE = 32
_PLACES = 14
_WHITENED_BY = 20_000
# of patches: added to their variance, to the spread of theirs relative to its mean; below which likeness is none
_CONTRAST, _WHITENING, _THRESHOLD = 0.02, 0.1, 0.5


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
    shrink = shrinkage(shape[:2])
    side = min(height, width) // shrink
    window = min(max(3, (side // 4) | 1), 9)
    stride = max(1, round(side / _PLACES))
    filters = jax.random.normal(key, (window, window, channels, num_maps)) * np.sqrt(2 / (window**2 * channels))
    places = -(-(height // shrink) // stride) * -(-(width // shrink) // stride)
    apply_fn = functools.partial(_convolve, shrink=shrink, stride=stride, grid=grid)
    return FeatureMap(_Named(apply_fn), filters, max(32, 2**27 // (4 * places * num_maps)))


@edge
def image_dictionary(
    key: Key,
    images: Float[AnyArray, "examples height width channels"],
    *,
    num_patches: int = 512,
    window: int = 6,
    grid: int = 2,
) -> FeatureMap:
    """Takes patches of images as filters: how like each is, of either sign, in the mean over each part of a grid.

    Patches lose their mean, are brought to one contrast and are whitened. Responses below a half count for nothing, and
    an image and its mirror image have the same features. Of photographs these tell more than random filters do.

    Args:
      key: of the choice of patches.
      images: to take them from; no label enters.
      num_patches: number of filters.
      window: pixels along a side of a patch; images of more than 48 a side are averaged down to some 32 first.
      grid: parts along each side.

    Returns:
      The map, to 2 grid² num_patches features.

    Raises:
      ValueError: if the images are smaller than a patch.

    Source: Coates, Lee and Ng, 2011 (whitened patches); Thiry et al., 2021 (patches of the data themselves).
    """
    require_count(1, num_patches=num_patches, window=window, grid=grid)
    images = np.asarray(images)
    shrink = shrinkage(images.shape[1:3])
    image_key, place_key = jax.random.split(key)
    chosen = np.asarray(jax.random.randint(image_key, (_WHITENED_BY,), 0, len(images)))
    some, where = np.unique(chosen, return_inverse=True)
    small = np.asarray(shrunk(jnp.asarray(images[some]), shrink))
    room = np.array(small.shape[1:3]) - window
    if room.min() < 0:
        raise ValueError(f"patches of {window}x{window} pixels do not fit into images of {small.shape[1:3]}")
    corners = np.asarray(jax.random.randint(place_key, (_WHITENED_BY, 2), 0, room + 1))
    inside = np.arange(window)
    rows, columns = (corners[:, axis, None] + inside for axis in (0, 1))
    patches = small[where[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(_WHITENED_BY, -1).astype(float)
    patches -= patches.mean(1, keepdims=True)
    patches /= np.sqrt(patches.var(1, keepdims=True) + _CONTRAST)
    spread, axes = np.linalg.eigh(patches.T @ patches / len(patches))
    whitening = axes / np.sqrt(spread + _WHITENING * spread.mean()) @ axes.T
    filters = patches[:num_patches] @ whitening
    filters = filters / np.maximum(np.linalg.norm(filters, axis=1, keepdims=True), 1e-12) @ whitening
    # a filter of mean zero takes the mean out of the patch that it meets
    filters -= filters.mean(1, keepdims=True)
    kernel = filters.T.reshape(window, window, images.shape[3], -1)
    places = (room[0] + 1) * (room[1] + 1)
    batch_size = max(16, 2**27 // (8 * int(places) * num_patches))
    return FeatureMap(_Named(functools.partial(_match, shrink=shrink, grid=grid)), jnp.asarray(kernel), batch_size)


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
    images = shrunk(jnp.asarray(images), shrink)
    maps = lax.conv_general_dilated(
        images, filters.astype(images.dtype), (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return pooled(jax.nn.relu(maps), grid).reshape(len(images), -1)


def shrinkage(size: tuple[int, ...]) -> int:
    """By how much images of this height and width are averaged down, to some 32 pixels."""
    return max(1, round(min(size) / _SIDE))


def shrunk(images: Float[Array, "examples height width channels"], shrink: int) -> Array:
    """Images with the mean of each square of so many pixels as one."""
    if shrink == 1:
        return images
    rows, columns = images.shape[1] // shrink, images.shape[2] // shrink
    whole = images[:, : rows * shrink, : columns * shrink]
    return whole.reshape(len(images), rows, shrink, columns, shrink, -1).mean((2, 4))


def _match(
    filters: Float[Array, "rows columns channels maps"],
    images: Float[AnyArray, "examples height width channels"],
    *,
    shrink: int,
    grid: int,
) -> Float[Array, "examples features"]:
    images = shrunk(jnp.asarray(images), shrink)
    one = lambda values: pooled(likeness(filters, values, threshold=_THRESHOLD), grid).reshape(len(values), -1)
    return (one(images) + one(images[:, :, ::-1])) / 2


def likeness(
    filters: Float[Array, "rows columns channels maps"],
    images: Float[Array, "examples height width channels"],
    *,
    threshold: float,
    stride: int = 1,
    gathered: bool = False,
) -> Float[Array, "examples down across signs"]:
    """How like each patch is to each filter of `image_dictionary`, beyond a threshold: first plus, then minus.

    Args:
      filters: of the dictionary.
      images: as large as those that it is of.
      threshold: what counts for nothing.
      stride: of the patches.
      gathered: whether the patches are gathered and multiplied at once; inside a loop that is the faster way on CPU,
        see `Conv`.
    """
    filters = filters.astype(images.dtype)
    if gathered:
        patches = image_patches(images, (filters.shape[0], filters.shape[1]), (stride, stride))
        variance = patches.var(-1, keepdims=True)
        products = jnp.einsum("nrcp,pm->nrcm", patches, filters.reshape(patches.shape[-1], -1))
    else:
        box = jnp.full((*filters.shape[:3], 1), 1 / np.prod(filters.shape[:3]), images.dtype)

        def convolve(values: Array, kernel: Array) -> Array:
            layout = ("NHWC", "HWIO", "NHWC")
            return lax.conv_general_dilated(values, kernel, (stride, stride), "VALID", dimension_numbers=layout)

        variance = jnp.maximum(convolve(images**2, box) - convolve(images, box) ** 2, 0)
        products = convolve(images, filters)
    found = products / jnp.sqrt(variance + _CONTRAST)
    return jnp.concatenate([jax.nn.relu(found - threshold), jax.nn.relu(-found - threshold)], axis=-1)


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
