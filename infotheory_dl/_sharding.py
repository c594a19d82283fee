"""Arrays that lie on several devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array

from infotheory_dl._validation import is_concrete
from infotheory_dl.types import AnyArray


def automatically_sharded(x: AnyArray) -> Array:
    """The array on the same devices, with the layout of what is computed from it left to the compiler."""
    x = jnp.asarray(x)
    if not is_concrete(x) or not isinstance(x.sharding, NamedSharding):
        return x
    mesh = x.sharding.mesh
    return jax.device_put(x, NamedSharding(Mesh(mesh.devices, mesh.axis_names), x.sharding.spec))


def placed_like(values: np.ndarray, x: Any) -> Array:
    """An array of the host where another one lies, if that is on devices and the shapes let it; see above."""
    if not isinstance(x, jax.Array):
        return jnp.asarray(values)
    sharding = x.sharding
    if isinstance(sharding, NamedSharding):
        sharding = NamedSharding(Mesh(sharding.mesh.devices, sharding.mesh.axis_names), sharding.spec)
        if values.shape != x.shape and not _divides(sharding, values.shape):
            return jnp.asarray(values)
    return jax.device_put(values, sharding)


def _divides(sharding: NamedSharding, shape: tuple[int, ...]) -> bool:
    try:
        sharding.shard_shape(shape)
    except ValueError:
        return False
    return True
