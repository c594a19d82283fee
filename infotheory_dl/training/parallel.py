"""The models of a training on several devices: each device trains its share, and nothing passes between them."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Tree = TypeVar("Tree")

_AXIS = "models"
_SPLIT, _WHOLE = PartitionSpec(_AXIS), PartitionSpec()


def model_mesh(mesh: Mesh | None, num_models: int) -> Mesh | None:
    """The devices that share the models, on one axis: those of the mesh or all; None where none has to share."""
    if mesh is not None:
        return Mesh(mesh.devices.ravel(), _AXIS)
    return Mesh(np.array(jax.devices()), _AXIS) if min(num_models, jax.device_count()) > 1 else None


def on_each_device(function: Callable[[Any, Any], Tree], mesh: Mesh | None) -> Callable[[Any, Any], Tree]:
    """`function(models, shared)` as one of the models of each device; what is shared, every device has whole."""
    if mesh is None:
        return function
    return jax.shard_map(function, mesh=mesh, in_specs=(_SPLIT, _WHOLE), out_specs=_SPLIT, check_vma=False)


def spread(models: Tree, mesh: Mesh | None) -> Tree:
    """The models on their devices, as many on each: copies of the last one fill up. Scalars belong to all models."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, models)

    def place(leaf):
        if not np.ndim(leaf):
            return jax.device_put(leaf, NamedSharding(mesh, _WHOLE))
        missing = -len(leaf) % mesh.size
        if missing:
            leaf = leaf[np.minimum(np.arange(len(leaf) + missing), len(leaf) - 1)]
        return jax.device_put(leaf, NamedSharding(mesh, _SPLIT))

    return _map_arrays(place, models)


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """The arrays, whole on every device; one that is in several places of the tree is put there once."""
    put = jnp.asarray if mesh is None else lambda leaf: jax.device_put(leaf, NamedSharding(mesh, _WHOLE))
    leaves, structure = jax.tree.flatten(tree)
    placed = {name: _map_arrays(put, leaf) for name, leaf in {id(leaf): leaf for leaf in leaves}.items()}
    return jax.tree.unflatten(structure, [placed[id(leaf)] for leaf in leaves])


def without_copies(models: Tree, num_models: int, mesh: Mesh | None) -> Tree:
    """The models without the copies that fill up. A number that the devices cannot share evenly is whole on each."""
    return models if mesh is None or num_models % mesh.size == 0 else _first(models, num_models, mesh)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _first(models, num_models, mesh):
    first = jax.tree.map(lambda leaf: leaf[:num_models] if leaf.ndim else leaf, models)
    return lax.with_sharding_constraint(first, NamedSharding(mesh, _WHOLE))


def gather(training: Tree) -> Tree:
    """A training, or any tree of arrays, as NumPy arrays on every host; keys stay keys.

    What several processes have trained is one array over the devices of all of them, of which each sees its share. All
    of them must call this function.
    """

    def to_numpy(leaf):
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            leaf = multihost_utils.process_allgather(leaf, tiled=True)
        return np.asarray(leaf)

    return _map_arrays(to_numpy, training)


def _map_arrays(function, tree):
    """The function of every array, and of the data of every key, which does not travel between processes as a key."""

    def of_leaf(leaf):
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(function(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        return function(leaf)

    return jax.tree.map(of_leaf, tree)
