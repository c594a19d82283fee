"""Rows that are distributions over classes."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from infotheory_dl._validation.arrays import is_concrete, require_finite, where_it_is
from infotheory_dl.types import AnyArray


def require_distributions(tolerance: float = 1e-4, remedy: str = "", /, **arrays: Any) -> None:
    """Raises a ValueError that names the first row, along the last axis, that is not a distribution, and its sum.

    Args:
      tolerance: how far from one a sum may be at least, for probabilities that were written with few digits. Of many
        classes, or of what was rounded to half precision, it is more: what rounding adds up to.
      remedy: is said at the end of the error.
      **arrays: rows; a vector is one.
    """
    require_finite(**arrays)
    for name, array in arrays.items():
        if not is_concrete(array):
            continue
        rows = where_it_is(array)
        # low precision would add rounding of its own
        precision = np.float64 if isinstance(rows, np.ndarray) else jnp.promote_types(jnp.result_type(rows), np.float32)
        sums: Any = rows.sum(-1, dtype=precision)
        distance, not_negative = abs(sums - 1), (rows >= 0).all(-1)
        sound = (distance <= tolerance) & not_negative
        if not bool(sound.all()):
            sound = (distance <= max(tolerance, 2 * math.sqrt(rows.shape[-1]) * _rounding(rows))) & not_negative
        if not bool(sound.all()):
            index = tuple(map(int, np.argwhere(~np.asarray(sound))[0]))
            where = f"row {index[0] if len(index) == 1 else index} of {name}" if index else name
            least = np.asarray(rows)[index].min()
            fault = f"has {least:.6g} in it" if least < 0 else f"adds up to {np.asarray(sums)[index]:.6g}"
            raise ValueError(f"{where} must be a distribution, but {fault}{remedy and f': {remedy}'}")


def _rounding(rows: AnyArray) -> float:
    """The relative rounding of the numbers: that of half precision where they are of it, whatever holds them now."""
    for half in (jnp.bfloat16, jnp.float16):
        if bool((rows.astype(half).astype(rows.dtype) == rows).all()):
            return float(jnp.finfo(half).eps)
    return float(jnp.finfo(rows.dtype).eps) if jnp.issubdtype(rows.dtype, jnp.floating) else 0.0
