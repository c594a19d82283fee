"""What the objectives check and average: arrays with axes of domains and rows, of which a mask lets some count."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import require_all, require_indices, require_not_empty, require_rank, require_shape
from infotheory_dl.types import AnyArray

Logits = Float[AnyArray, "domains rows classes"]
Labels = Int[AnyArray, "domains rows"]
Representations = Float[AnyArray, "domains rows features"]
Mask = Bool[AnyArray, "domains rows"]


def row_mean(values: Array, counted: Array) -> Array:
    """The mean over the rows of each domain that count."""
    return jnp.where(counted, values, 0).sum(1) / counted.sum(1)


def checked_logits(logits: AnyArray, labels: AnyArray, mask: AnyArray | None) -> tuple[Array, Array, Array]:
    """Logits and labels that fit, as arrays, and which rows count."""
    logits, counted = checked_representations(logits, mask, least_domains=1, least_rows=1, name="logits")
    require_shape("labels", labels, logits.shape[:2], "one for each row of logits")
    require_indices(logits.shape[-1], labels=labels)
    return logits, jnp.asarray(labels), counted


def checked_representations(
    values: AnyArray,
    mask: AnyArray | None,
    *,
    least_domains: int,
    least_rows: int,
    name: str = "representations",
) -> tuple[Array, Array]:
    """Representations, with zeros where rows do not count, and which do."""
    require_rank(name, values, 3, f"(domains, rows, {'classes' if name == 'logits' else 'features'})")
    require_not_empty(**{name: values})
    if least_domains > 1:
        require_domains(**{name: values})
    require_rows(least_rows, **{name: values})
    if mask is None:
        return jnp.asarray(values), jnp.ones(values.shape[:2], bool)
    require_shape("mask", mask, values.shape[:2], f"one for each row of {name}")
    mask = jnp.asarray(mask)
    return jnp.where(mask[..., None], values, 0), mask


def require_counted(least: int, counted: Array, which: str = "rows") -> None:
    """Raises a ValueError that names a domain of which a mask lets fewer rows count."""
    expected = f"let {least} of the {which} of each domain count at least"
    require_all(lambda counts: counts >= least, expected, mask=counted.sum(1))


def require_domains(**arrays: Any) -> None:
    """Raises a ValueError that names an array of one domain only."""
    for name, array in arrays.items():
        if np.shape(array)[0] < 2:
            raise ValueError(f"{name} must be of two domains at least, got shape {np.shape(array)}")


def require_rows(least: int, **arrays: Any) -> None:
    """Raises a ValueError that names an array with fewer rows in each domain."""
    for name, array in arrays.items():
        if np.shape(array)[1] < least:
            raise ValueError(f"{name} must have {least} rows in each domain at least, got shape {np.shape(array)}")
