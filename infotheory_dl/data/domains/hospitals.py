"""Patches of stained tissue of several hospitals: drawn, as a stand-in, or those of Camelyon17."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, require_count, require_not_negative
from infotheory_dl.data.domains.images import ImageDomains, ImageSplits
from infotheory_dl.types import Key

_SIZE = 32
_CENTRE = (8.0, 24.0)
_CLASSES = ("normal", "tumour")
# optical densities of red, green and blue under hematoxylin and eosin (Ruifrok and Johnston, 2001)
_STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]])
_VALIDATION_SHARE = 4
_BLOCK = 512
# more nuclei than that are as good as never drawn
_MOST_NUCLEI = 48
_MOST_OUTSIDE = 32


class Scanner(NamedTuple):
    """What a hospital does to an image.

    Attributes:
      stains: densities of the three colours, a row for each stain.
      gain: of the brightness.
      blur: standard deviation, in pixels.
      noise: standard deviation of what each pixel is off by.
    """

    stains: Float[np.ndarray, "2 3"]
    gain: float
    blur: float
    noise: float


@edge
def stain_hospitals(
    key: Key, *, num_sources: int = 3, num_examples: int = 1000, shift: float | int = 1.0, size: int = _SIZE
) -> ImageSplits:
    """Draws patches of stained tissue, where tumours have more and larger nuclei, of hospitals that stain differently.

    Light passes two stains: I = gain · exp(-c₁ s₁ - c₂ s₂) + noise. Nuclei hold the first, Gaussian spots: about 6 in
    the middle of a normal patch and 16, of half the radius more, in that of a tumour, and 8 around it in either. The
    tissue between them holds the second, a smooth field. Each hospital has colours of its own, the stains turned by
    an angle of 0.25 standard deviation, a gain in [0.7, 1.2], a blur, and noise. All labels are right.

    Args:
      key: source of randomness.
      num_sources: hospitals to train on.
      num_examples: patches of each hospital, half of them tumours; a quarter as many more for validation.
      shift: factor of all that differs between hospitals; 0 makes them the same.
      size: height and width.

    Returns:
      The patches. The sources are the hospitals 0, 1, ..., the unseen and the test hospital come after them.

    Raises:
      ValueError: if there are fewer than two sources, or too few examples.

    Source: ours; a stand-in for Camelyon17 (Bándi et al., 2018; Koh et al., 2021), which is 10 GB.
    """
    require_count(2, num_sources=num_sources)
    require_count(2 * _VALIDATION_SHARE, num_examples=num_examples)
    require_count(_SIZE // 2, size=size)
    require_not_negative(shift=shift)
    key_scanners, key_train, key_validation = jax.random.split(key, 3)
    names = tuple(f"hospital {number}" for number in range(num_sources + 2))
    scanners = [_scanner(jax.random.fold_in(key_scanners, number), shift) for number in range(len(names))]

    def draw(key: Key, hospitals: range, number: int) -> ImageDomains:
        drawn = [_patches(jax.random.fold_in(key, place), scanners[place], number, size) for place in hospitals]
        x, y = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        return ImageDomains(x, y, np.repeat(np.asarray(hospitals), number), names, _CLASSES)

    sources, unseen, test = range(num_sources), range(num_sources, num_sources + 1), range(num_sources + 1, len(names))
    return ImageSplits(
        draw(key_train, sources, num_examples),
        draw(key_validation, sources, num_examples // _VALIDATION_SHARE),
        draw(key_train, unseen, num_examples),
        draw(key_train, test, num_examples),
    )


def _scanner(key: Key, shift: float | int) -> Scanner:
    key_axis, key_angle, key_levels = jax.random.split(key, 3)
    axis = np.asarray(jax.random.normal(key_axis, (3,)), float)
    angle = shift * 0.25 * float(jax.random.normal(key_angle))
    # no colour is absorbed by less than nothing
    stains = np.maximum(_turned(_STAINS, axis / np.linalg.norm(axis), angle), 0)
    gain, blur, noise = np.asarray(jax.random.uniform(key_levels, (3,)), float)
    return Scanner(
        stains / np.linalg.norm(stains, axis=1, keepdims=True),
        float(1 + shift * (0.5 * gain - 0.3)),
        float(shift * blur),
        float(shift * 0.05 * noise),
    )


def _turned(vectors: Float[np.ndarray, "n 3"], axis: Float[np.ndarray, " 3"], angle: float) -> np.ndarray:
    """Vectors turned about an axis (Rodrigues)."""
    along = (vectors @ axis)[:, None] * axis
    return along + np.cos(angle) * (vectors - along) + np.sin(angle) * np.cross(axis, vectors)


def _patches(key: Key, scanner: Scanner, number: int, size: int) -> tuple[np.ndarray, Int[np.ndarray, " number"]]:
    key_order, *keys = jax.random.split(key, 2 + -(-number // _BLOCK))
    y = np.asarray(jax.random.permutation(key_order, np.arange(number) % 2)).astype(int)
    # blocks of one size, so that draws are one program
    blocks = [
        _block(each, scanner, np.resize(y[place : place + _BLOCK], _BLOCK), size)
        for each, place in zip(keys, range(0, number, _BLOCK), strict=False)
    ]
    return np.concatenate(blocks)[:number], y


def _block(key: Key, scanner: Scanner, y: np.ndarray, size: int) -> Float[np.ndarray, "block size size 3"]:
    random = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), np.uint32)))
    block, pixels, scale = len(y), np.arange(size, dtype=np.float32) + np.float32(0.5), size / _SIZE

    def spots(counts: np.ndarray, radius: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Sums of Gaussian spots: each is the product of a row and a column."""
        height = _uniform(random, 0.6, 1.2, places.shape[1:]) * (np.arange(places.shape[2]) < counts[:, None])
        along = np.exp(-np.square((pixels - places[..., None]) / radius[:, None, None]) / 2)
        return np.matmul((height[..., None] * along[0]).swapaxes(1, 2), along[1])

    low, high = (scale * end for end in _CENTRE)
    middle = _uniform(random, low, high, (2, block, _MOST_NUCLEI))
    around = _uniform(random, 0, size, (2, block, _MOST_OUTSIDE))
    # what falls into the middle is moved out of it, to the left or the right
    inside = ((around > low) & (around < high)).all(0)
    around[1] = np.where(inside, (around[1] + size / 2) % size, around[1])
    larger = (scale * (1.2 + 0.6 * y)).astype(np.float32)
    nuclei = spots(random.poisson(6 + 10 * y), larger, middle)
    nuclei += spots(random.poisson(8, block), np.full(block, scale * 1.2, np.float32), around)
    smooth = _weights(pixels, np.linspace(0, size, 8, dtype=np.float32), size / 8)
    tissue = smooth @ _uniform(random, 0, 1, (block, 8, 8)) @ smooth.T
    stains = scanner.stains.astype(np.float32)[:, :, None, None]
    light = np.exp(-(nuclei[:, None] * stains[0] + tissue[:, None] * stains[1]))
    if scanner.blur > 0:
        blur = _weights(pixels, pixels, scale * scanner.blur)
        light = blur @ light @ blur.T
    light *= np.float32(scanner.gain)
    light += np.float32(scanner.noise) * random.standard_normal(light.shape, np.float32)
    return np.clip(np.moveaxis(light, 1, -1), 0, 1)


def _uniform(random: np.random.Generator, low: float | int, high: float | int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers in single precision."""
    return random.random(shape, np.float32) * np.float32(high - low) + np.float32(low)


def _weights(places: np.ndarray, centres: np.ndarray, width: float | int) -> np.ndarray:
    """Gaussian weights of the centres at each place; they add up to one."""
    weights = np.exp(-np.square((places[:, None] - centres) / np.float32(width)) / 2)
    return weights / weights.sum(1, keepdims=True)
