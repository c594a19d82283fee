"""Columns of the tables of linear CorEx and of the windows of T-CorEx: their precision, and those that do not vary."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from infotheory_dl.data.tables.numbers import ColumnNames


def working_dtype(dtype: Any) -> Any:
    """The floating-point type that numbers of a dtype are fitted in: that of JAX, and never half precision."""
    floating = jnp.promote_types(dtype, jnp.float32) if jnp.issubdtype(dtype, jnp.floating) else jnp.dtype(float)
    return jax.dtypes.canonicalize_dtype(floating)


def varying(
    mean: Float[np.ndarray, "*periods columns"], std: Float[np.ndarray, "*periods columns"], dtype: jnp.dtype
) -> Bool[np.ndarray, "*periods columns"]:
    """Which columns vary: deviations no larger than the rounding of their numbers are no variation, nor is NaN."""
    rounding = float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.floating) else 0.0
    return std > rounding * np.abs(mean)


def named(columns: Bool[np.ndarray, " columns"], names: ColumnNames | None = None) -> str:
    """The columns that are marked, for an error: their names, or else their numbers; of many the first ten."""
    places = np.flatnonzero(columns).tolist()
    shown = [str(place) if names is None else repr(names.names[place]) for place in places[:10]]
    return ", ".join(shown) + (", …" if len(places) > 10 else "")
