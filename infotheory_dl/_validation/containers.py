"""Arrays out of whatever people hold them in: lists, frames of pandas and polars, masked arrays, tensors."""

from numbers import Real
from typing import Any

import jax
import numpy as np


def is_missing(value: Any) -> bool:
    """Whether an object stands for a missing value: None, NaN, and those of pandas and NumPy."""
    # the missing values of pandas equal nothing, and not even their comparison is true or false
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real | np.datetime64 | np.timedelta64) and bool(value != value)


def to_numpy(values: Any) -> np.ndarray:
    """The array behind anything that has one: a Series, an array of any framework, a list.

    What is masked becomes NaN in an array of numbers, None in others. Text in a list leaves the other entries what they
    are.

    Raises:
      ValueError: if there is none, such as behind a sparse matrix, with what to do.
    """
    if hasattr(values, "toarray"):
        raise ValueError(f"{type(values).__name__} is sparse; give its toarray()")
    if isinstance(values, np.ma.MaskedArray):
        numbers = values.dtype.kind in "iuf"
        return np.ma.filled(values.astype(float if numbers else object), np.nan if numbers else None)
    if str(getattr(values, "dtype", "")) in ("Int128", "UInt128"):
        values = values.cast(float)
    try:
        array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
        if array.dtype == np.longdouble or (array.dtype.kind == "V" and array.dtype.names is None):
            # NumPy knows bfloat16 and its like by their bytes only
            array = array.astype(float if array.dtype == np.longdouble else np.float32)
        # of a list with text in it NumPy would make everything text
        return np.array(values, object) if isinstance(values, list | tuple) and array.dtype.kind in "SU" else array
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{type(values).__name__} cannot be seen as an array of NumPy: {error}{_remedy(values, str(error))}"
        ) from error


def _remedy(values: Any, fault: str) -> str:
    """What to do, where it can be told."""
    if "BFloat16" in fault:
        return "; give its float()"
    is_pairs = isinstance(values, list | tuple) and len(values) and isinstance(values[0], list | tuple)
    if is_pairs or (hasattr(values, "__getitem__") and hasattr(values, "__len__") and not hasattr(values, "dtype")):
        return "; of pairs of inputs and label give x=[x for x, _ in data] and y=[y for _, y in data]"
    return ""


def is_traced(values: Any) -> bool:
    """Whether a value, or one within a list, is being traced."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))
