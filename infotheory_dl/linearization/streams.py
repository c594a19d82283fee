"""Explicit features of many examples: made block by block, never more of them at once than is asked for."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import require_count, require_finite, require_not_empty, require_rank
from infotheory_dl.types import AnyArray, ApplyFn, Params

Progress = Callable[[float], None]
"""Is told which share of the work is done."""

_BLOCK = 1024


class Block(NamedTuple):
    """Features of some examples, spread over the devices.

    Attributes:
      start: the first of them.
      size: how many examples there are; the further rows fill up the block.
      features: of the examples.
      mask: 1 for examples, 0 for the rows that fill up.
    """

    start: int
    size: int
    features: Float[Array, "rows features"]
    mask: Float[Array, " rows"]


class FeatureStream:
    """Explicit features phi(x) of examples, in blocks.

    Args:
      apply_fn: makes features of inputs, `apply_fn(params, inputs)`; by default the inputs are the features.
      params: of `apply_fn`.
      inputs: of n examples.
      beside: further features of the examples that are there already, after those of `apply_fn`.
      batch_size: examples in a block.
      hold: whether the features are kept in the memory of the host once they are made; if not, they are made again in
        every pass.

    Raises:
      ValueError: if there is no example, an input is not finite, or the features are not a matrix.
    """

    def __init__(
        self,
        inputs: AnyArray,
        apply_fn: ApplyFn | None = None,
        params: Params = None,
        *,
        beside: Float[np.ndarray, "examples columns"] | None = None,
        batch_size: int = _BLOCK,
        hold: bool = False,
    ) -> None:
        require_not_empty(inputs=inputs)
        require_count(1, batch_size=batch_size)
        self._inputs, self._params, self._beside = inputs, params, beside
        self._apply_fn = None if apply_fn is None else jax.jit(apply_fn)
        if apply_fn is None:
            require_rank("features", inputs, 2, "(examples, features)")
            require_finite(features=inputs)
        one = jax.ShapeDtypeStruct((1, *inputs.shape[1:]), jax.dtypes.canonicalize_dtype(inputs.dtype))
        made = one if apply_fn is None else jax.eval_shape(apply_fn, params, one)
        if len(made.shape) != 2:
            raise ValueError(f"features must be a row for each example, got shape {made.shape} of one example")
        self.num_features, self.dtype = made.shape[1], made.dtype
        if beside is not None:
            self.num_features += beside.shape[1]
        devices = jax.devices()
        self._layout = NamedSharding(Mesh(np.array(devices), ("examples",)), PartitionSpec("examples"))
        at_most = min(batch_size, len(inputs))
        self._size = -(-at_most // len(devices)) * len(devices)
        self._held: np.ndarray | None = None
        self._is_held = 0
        if hold and apply_fn is not None:
            self._held = np.empty((len(inputs), self.num_features), self.dtype)

    def __len__(self) -> int:
        return len(self._inputs)

    def blocks(self, progress: Progress | None = None) -> Iterator[Block]:
        """The blocks, in the order of the examples."""
        for start in range(0, len(self), self._size):
            size = min(self._size, len(self) - start)
            features = self._made(start, size)
            mask = (np.arange(self._size) < size).astype(self.dtype)
            yield Block(start, size, features, jax.device_put(mask, self._layout))
            if progress is not None:
                progress((start + size) / len(self))

    def take(self, rows: Int[np.ndarray, " taken"]) -> Float[np.ndarray, "taken features"]:
        """The features of some examples."""
        if self._held is not None and self._is_held == len(self):
            return self._held[rows]
        made = self._taken(np.asarray(self._inputs[rows]))
        return made if self._beside is None else np.concatenate([made, self._beside[rows].astype(self.dtype)], axis=1)

    def _taken(self, taken: np.ndarray) -> Float[np.ndarray, "taken features"]:
        if self._apply_fn is None:
            return taken.astype(self.dtype)
        parts = [self._apply(taken[start : start + self._size]) for start in range(0, len(taken), self._size)]
        sizes = [min(self._size, len(taken) - start) for start in range(0, len(taken), self._size)]
        return np.concatenate([np.asarray(part)[:size] for part, size in zip(parts, sizes, strict=True)])

    def _made(self, start: int, size: int) -> Float[Array, "rows features"]:
        if self._held is not None and start + size <= self._is_held:
            return jax.device_put(_filled(self._held[start : start + size], self._size), self._layout)
        features = self._apply(np.asarray(self._inputs[start : start + size]))
        if self._beside is not None:
            columns = _filled(self._beside[start : start + size].astype(self.dtype), self._size)
            features = jnp.concatenate([features, jax.device_put(columns, self._layout)], axis=1)
        if self._held is not None and start == self._is_held:
            self._held[start : start + size] = np.asarray(features)[:size]
            self._is_held = start + size
        return features

    def _apply(self, inputs: np.ndarray) -> Float[Array, "rows features"]:
        placed = jax.device_put(_filled(inputs, self._size), self._layout)
        return placed.astype(self.dtype) if self._apply_fn is None else self._apply_fn(self._params, placed)


def as_stream(features: "Float[AnyArray, 'examples features'] | FeatureStream") -> FeatureStream:
    """The stream of features that are there."""
    return features if isinstance(features, FeatureStream) else FeatureStream(features)


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
    """Rows up to the size of a block, repeating the last."""
    return rows if len(rows) == size else np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])


@functools.partial(jax.jit, donate_argnums=0)
@jax.default_matmul_precision("highest")
def add_moments(total: Any, block: Block, offset: Float[Array, " features"]) -> Any:
    """Adds the sum of a block's features less an offset, and of their products, to those before."""
    rows = (block.features - offset) * block.mask[:, None]
    sums, products = total
    return sums + rows.sum(0).astype(sums.dtype), products + (rows.T @ rows).astype(products.dtype)


@functools.partial(jax.jit, donate_argnums=0)
@jax.default_matmul_precision("highest")
def add_products(
    total: Float[Array, "features columns"],
    block: Block,
    offset: Float[Array, " features"],
    columns: Float[Array, "rows columns"],
) -> Float[Array, "features columns"]:
    """Adds the products of a block's features less an offset with columns of the same rows to those before."""
    rows = (block.features - offset) * block.mask[:, None]
    return total + (rows.T @ columns.astype(rows.dtype)).astype(total.dtype)
