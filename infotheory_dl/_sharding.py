"""Arrays that lie on several devices."""

import jax
import jax.numpy as jnp
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
