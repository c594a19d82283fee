"""The types that every room speaks, under one name each."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Key as _Key
from jaxtyping import Real

AnyArray: TypeAlias = jax.Array | np.ndarray
"""What a public function accepts: arrays of JAX or of NumPy. It returns arrays of JAX."""

AnyLabels: TypeAlias = Any
"""Class labels, one for each example, as people hold them: integers, whole floats, booleans, strings or bytes, in
arrays, lists or columns of pandas. Where the number of classes is known, numbers are codes in [0, classes)."""

AnyTable: TypeAlias = Any
"""Numbers in rows and columns as people hold them: arrays of JAX or of NumPy, lists of rows, or DataFrames of pandas or
polars and mappings of columns, whose columns have names."""

Scalar: TypeAlias = float | int | np.number | Real[AnyArray, ""]
"""One real number: of Python, of NumPy, or an array without axes, which may be traced."""

Params: TypeAlias = Any
"""A pytree of floating-point arrays."""

ApplyFn: TypeAlias = Callable[[Params, Any], Any]
"""A network as a pure function: `apply_fn(params, inputs) -> outputs`, rows of `outputs` belong to rows of `inputs`."""

TrainFn: TypeAlias = Callable[[Params, Any, Any, Any], tuple[Any, dict[str, Any]]]
"""A network while it trains: `train_fn(variables, inputs, mask, key) -> (outputs, collections)`.

The variables are flax's: a dictionary with the parameters under "params" and other collections beside them, such as the
moments of batch norm. `collections` are those that the batch has changed. The mask is that of the batch, the key one
for dropout.
"""

Key: TypeAlias = _Key[jax.Array, ""]
"""A typed key of `jax.random.key`."""
