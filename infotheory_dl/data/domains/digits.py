"""Digits in several domains: coloured with a colour that misleads, or turned."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, Int, Real

from infotheory_dl._validation import (
    edge,
    require_count,
    require_indices,
    require_rank,
    require_shape,
    require_within,
)
from infotheory_dl.data.domains.images import ImageDomains
from infotheory_dl.types import AnyArray, Key

_LARGEST = 255.0
_FIRST_LARGE_DIGIT = 5
_SMALL = ("5 to 9", "0 to 4")


@edge
def colored_digits(
    key: Key,
    images: Real[AnyArray, "examples height width *channels"],
    digits: Int[AnyArray, " examples"],
    *,
    color_noise: Sequence[float | int] = (0.1, 0.2, 0.9),
    label_noise: float = 0.25,
    sizes: Sequence[int] | None = None,
    half_size: bool = False,
) -> ImageDomains:
    """Draws Colored MNIST: the label says whether a digit is below 5, a colour says it too, differently in each domain.

    The label is wrong in a quarter of the images. The colour is that of the label but for `color_noise` of the images:
    in two domains it tells more of the label than the digit does, in the third mostly the opposite. The shape alone
    is right in 75 % of the images of every domain.

    Args:
      key: source of randomness.
      images: of digits, 0 to 255, as `load("mnist")` has them.
      digits: 0 to 9.
      color_noise: of each domain, the share of images with the colour of the other label.
      label_noise: share of wrong labels.
      sizes: images of each domain; default DomainBed's, all images in turn. IRM's are (25_000, 25_000, 10_000).
      half_size: whether every second row and column is left out, as IRM does, or none, as in DomainBed.

    Returns:
      Images of two channels, one of which is zero: the first in images of colour 1.

    Raises:
      ValueError: if a share lies outside [0, 1], there are fewer images than in the domains, or other digits.

    Source: Arjovsky et al., 2019; Gulrajani and Lopez-Paz, 2021 (DomainBed).
    """
    require_within("[0, 1]", color_noise=np.asarray(color_noise, float), label_noise=label_noise)
    images, digits = _gray(images), _digits(digits, len(images))
    key_order, key_labels, key_colors = jax.random.split(key, 3)
    order = np.asarray(jax.random.permutation(key_order, len(images)))
    domains = _domains(len(images), len(color_noise), sizes)
    order = order[: len(domains)]
    of_labels, of_colors = (np.asarray(jax.random.uniform(each, (len(order),))) for each in (key_labels, key_colors))
    noise = np.asarray(color_noise, float)[domains]
    x, y = color(images[order], digits[order], of_labels, of_colors, noise, label_noise)
    names = tuple(f"{100 * (1 - 2 * share):+.0f}%" for share in color_noise)
    return ImageDomains(x[:, ::2, ::2] if half_size else x, y, domains, names, _SMALL)


@edge
def rotated_digits(
    key: Key,
    images: Real[AnyArray, "examples height width *channels"],
    digits: Int[AnyArray, " examples"],
    *,
    angles: Sequence[float | int] = (0, 15, 30, 45, 60, 75),
) -> ImageDomains:
    """Draws Rotated MNIST: each domain has its share of the images, turned by its angle.

    Args:
      key: source of randomness: which images are of which domain.
      images: of digits, 0 to 255, as `load("mnist")` has them.
      digits: 0 to 9.
      angles: of the domains, in degrees, counter-clockwise.

    Returns:
      Images of one channel.

    Raises:
      ValueError: if there are fewer images than angles, or other digits.

    Source: Ghifary et al., 2015; Gulrajani and Lopez-Paz, 2021 (DomainBed).
    """
    images, digits = _gray(images), _digits(digits, len(images))
    order = np.asarray(jax.random.permutation(key, len(images)))
    domains = _domains(len(images), len(angles), None)
    turned = np.stack(
        [turn(image, angles[domain]) for image, domain in zip(images[order], domains.tolist(), strict=True)]
    )
    names = tuple(f"{angle:g}°" for angle in angles)
    return ImageDomains(turned[..., None], digits[order], domains, names, tuple("0123456789"))


def color(
    images: Real[np.ndarray, "examples height width"],
    digits: Int[np.ndarray, " examples"],
    of_labels: Float[np.ndarray, " examples"],
    of_colors: Float[np.ndarray, " examples"],
    color_noise: Float[np.ndarray, " examples"],
    label_noise: float,
) -> tuple[Float[np.ndarray, "examples height width 2"], Int[np.ndarray, " examples"]]:
    """Colours images, and labels them, by uniform numbers."""
    labels = (digits < _FIRST_LARGE_DIGIT) ^ (of_labels < label_noise)
    colors = labels ^ (of_colors < color_noise)
    shown = np.stack([~colors, colors], axis=-1)
    x = (images[..., None] / np.float32(_LARGEST)).astype(np.float32) * shown[:, None, None]
    return x.astype(np.float32), labels.astype(int)


def turn(image: Real[np.ndarray, "height width"], angle: float | int) -> Float[np.ndarray, "height width"]:
    """An image turned about its centre, between pixels linearly; what comes in from outside is zero."""
    from PIL import Image

    turned = Image.fromarray(image.astype(np.uint8)).rotate(angle, resample=Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float32) / np.float32(_LARGEST)


def _domains(num_images: int, num_domains: int, sizes: Sequence[int] | None) -> Int[np.ndarray, " examples"]:
    """The domain of each image: in turn, or so many of each, one domain after the other."""
    require_count(1, num_images, "the number of images", num_domains=num_domains)
    if sizes is None:
        return np.arange(num_images) % num_domains
    if len(sizes) != num_domains or sum(sizes) > num_images:
        raise ValueError(f"sizes must be {num_domains} that add up to {num_images} at most, got {tuple(sizes)}")
    return np.repeat(np.arange(num_domains), sizes)


def _gray(images: AnyArray) -> np.ndarray:
    require_rank("images", images, (3, 4), "(examples, height, width) or with one channel")
    images = np.asarray(images)
    if images.ndim == 4:
        if images.shape[-1] != 1:
            raise ValueError(f"images must have one channel, got shape {images.shape}")
        images = images[..., 0]
    return images


def _digits(digits: AnyArray, num_images: int) -> np.ndarray:
    require_shape("digits", digits, (num_images,), "one for each image")
    require_indices(10, digits=digits)
    return np.asarray(digits)
