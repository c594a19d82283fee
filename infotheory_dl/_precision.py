"""Double precision within functions that are given single: for small differences of large numbers."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl._validation import is_concrete

Result = TypeVar("Result")


def is_double_off() -> bool:
    """Whether JAX makes single precision of double."""
    return jax.dtypes.canonicalize_dtype(float) != np.float64


def in_double(function: Callable[..., Result], *arguments: Any, dtype: Any) -> Result:
    """Calls a function in double precision, and returns its floating-point results in the precision of the caller.

    Under a transformation of JAX, such as `jit`, where double precision is off, the precision is that of the arguments.

    Args:
      function: of pytrees of arrays.
      arguments: of it; arrays of floating-point numbers are given to it in double precision.
      dtype: of the results that are floating-point.

    Returns:
      What the function returns.
    """
    if all(map(is_concrete, jax.tree.leaves(arguments))):
        # also where a function that is being traced holds all of them as constants
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            return _cast(function(*_cast(arguments, np.float64)), dtype)
    if is_double_off():
        return function(*arguments)
    return _cast(function(*_cast(arguments, np.float64)), dtype)


def _cast(tree: Any, dtype: Any) -> Any:
    floating = lambda leaf: hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if floating(leaf) else leaf, tree)
