"""Columns that do not vary, in the tables of linear CorEx and in the windows of T-CorEx."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def varying(mean: Float[Array, "*periods columns"], std: Float[Array, "*periods columns"]) -> Bool[Array, "..."]:
    """Which columns vary: deviations no larger than the rounding of the mean are no variation, nor is NaN."""
    return std > 4 * jnp.finfo(mean.dtype).eps * jnp.abs(mean)


def named(columns: Bool[np.ndarray, " columns"]) -> str:
    """The numbers of the columns that are marked, for an error; of many the first ten."""
    numbers = np.flatnonzero(columns).tolist()
    return ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
