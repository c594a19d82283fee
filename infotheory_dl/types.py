"""The types that every room speaks, under one name each."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Key as _Key
from jaxtyping import Real

AnyArray: TypeAlias = jax.Array | np.ndarray
"""What a public function accepts: arrays of JAX or of NumPy. It returns arrays of JAX."""

Scalar: TypeAlias = float | int | np.number | Real[AnyArray, ""]
"""One real number: of Python, of NumPy, or an array without axes, which may be traced."""

Params: TypeAlias = Any
"""A pytree of floating-point arrays."""

ApplyFn: TypeAlias = Callable[[Params, Any], Any]
"""A network as a pure function: `apply_fn(params, inputs) -> outputs`, rows of `outputs` belong to rows of `inputs`."""

Key: TypeAlias = _Key[jax.Array, ""]
"""A typed key of `jax.random.key`."""
