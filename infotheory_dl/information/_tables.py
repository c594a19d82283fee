"""Samples as people hold them, brought into one form before anything is computed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Real

from infotheory_dl._differences import differences
from infotheory_dl._validation import is_concrete, require_finite, require_not_empty, require_rank, require_real
from infotheory_dl.types import AnyArray


def as_table(name: str, samples: Real[AnyArray, "samples variables"]) -> Any:
    """Checks rows of numbers, and brings them to the host if they can be looked at.

    Raises:
      ValueError: if there are not two axes, there is no entry, or one is NaN or infinite.
      TypeError: if the entries are no real numbers.
    """
    require_rank(name, samples, 2, "(samples, variables)")
    if not is_concrete(samples):
        return samples
    table = np.asarray(samples)
    require_real(**{name: table})
    require_not_empty(**{name: table})
    require_finite(**{name: table})
    return table


def in_double_precision(table: Any) -> Any:
    """A table in double precision, if it can be looked at; of whole numbers the differences from the first row.

    These are exact where double precision would round the numbers, and no estimator of this room notices an offset.
    """
    if not is_concrete(table):
        return table
    floating = jnp.issubdtype(table.dtype, jnp.floating)
    return table.astype(float) if floating else differences(table, table[0].astype(float))


def result_dtype(*variables: Any) -> Any:
    """Single precision, or double where jax has it and a variable is wider than single, or not of floats."""
    dtypes = [variable.dtype for variable in variables if jnp.issubdtype(variable.dtype, jnp.floating)]
    return jax.dtypes.canonicalize_dtype(np.result_type(np.float32, *dtypes) if dtypes else float)
