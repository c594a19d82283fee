"""The second moments of explicit features about their mean, decomposed: what every linear fit to them shares."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from infotheory_dl._validation import edge
from infotheory_dl.linearization.streams import FeatureStream, Progress, add_moments, as_stream
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray


@concise
class FeatureMoments(NamedTuple):
    """The second moments of features about their mean, decomposed: what every fit to the same examples shares.

    Attributes:
      num_examples: n.
      mean: of the features.
      eigenvalues: of the sum of products, not divided by n; ascending, non-negative. Of fewer examples than features
        those that are not zero.
      eigenvectors: columns, in the same order.
    """

    num_examples: int
    mean: Float[np.ndarray, " features"]
    eigenvalues: Float[np.ndarray, " directions"]
    eigenvectors: Float[np.ndarray, "features directions"]


@edge(half=False)
def feature_moments(
    features: Float[AnyArray, "examples features"] | FeatureStream, *, progress: Progress | None = None
) -> FeatureMoments:
    """Decomposes the moments of features, O(n d min(n, d) + min(n, d)^3) for n examples of d features.

    Products of a block are in the precision of the features, their sum is in double precision.

    Args:
      features: of the examples, or a stream of them.
      progress: is told which share of the examples is done.

    Returns:
      The decomposition.

    Raises:
      ValueError: if there are fewer than two examples, or a feature is not finite.
    """
    stream = as_stream(features)
    if len(stream) < 2:
        raise ValueError(f"moments of features need at least 2 examples, got {len(stream)}")
    return _of_few(stream) if len(stream) < stream.num_features else _of_many(stream, progress)


def _of_many(stream: FeatureStream, progress: Progress | None) -> FeatureMoments:
    d, offset, total = stream.num_features, None, None
    for block in stream.blocks(progress):
        with jax.enable_x64(True):
            if total is None:
                offset = block.features.mean(0)
                total = jnp.zeros(d), jnp.zeros((d, d))
            total = add_moments(total, block, offset)
    assert total is not None
    sums, products = (np.asarray(part) for part in total)
    shift = sums / len(stream)
    products = products - len(stream) * np.outer(shift, shift)
    eigenvalues, eigenvectors = _decomposed(products)
    mean = np.asarray(offset, float) + shift
    return FeatureMoments(len(stream), mean, np.maximum(eigenvalues, 0), eigenvectors.astype(stream.dtype))


def _of_few(stream: FeatureStream) -> FeatureMoments:
    """By the products of the examples, which have the same eigenvalues."""
    features = np.concatenate([np.asarray(block.features)[: block.size] for block in stream.blocks()]).astype(float)
    mean = features.mean(0)
    features -= mean
    eigenvalues, vectors = _decomposed(features @ features.T)
    # of n examples about their mean at most n - 1 are not zero but for rounding; of features that are all alike none
    known = eigenvalues > len(stream) * np.finfo(float).eps * eigenvalues[-1]
    known[-1] = True
    eigenvalues, vectors = np.maximum(eigenvalues[known], 0), vectors[:, known]
    directions = features.T @ (vectors / np.sqrt(np.maximum(eigenvalues, np.finfo(float).tiny)))
    return FeatureMoments(len(stream), mean, eigenvalues, directions.astype(stream.dtype))


def _decomposed(products: Float[np.ndarray, "size size"]) -> tuple[np.ndarray, np.ndarray]:
    if not np.isfinite(products).all():
        raise ValueError("the features hold NaN or infinity, or overflow when they are multiplied")
    with jax.enable_x64(True):
        eigenvalues, eigenvectors = jnp.linalg.eigh(products)
        return np.asarray(eigenvalues), np.asarray(eigenvectors)
