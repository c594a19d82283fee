"""What holds of an array whatever it means: numbers, axes, lengths, entries that are finite."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl.types import AnyArray


def is_concrete(value: Any) -> bool:
    """Whether the value can be looked at, which under `jit`, `vmap` or `grad` it cannot."""
    return not isinstance(value, jax.core.Tracer)


def require_finite(**trees: Any) -> None:
    """Raises a ValueError that names the first argument with a NaN or an infinity in it, and says how many."""
    for name, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if not is_concrete(leaf) or not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
                continue
            values = where_it_is(leaf)
            size = np.size(values)
            count = (
                size - int(np.isfinite(values).sum()) if isinstance(values, np.ndarray) else int(_not_finite(values))
            )
            if count:
                where = f"{name}{jax.tree_util.keystr(path)}"
                raise ValueError(f"{where} has {count} of {size} entries that are NaN or infinite")


def require_floating(remedy: str = "", /, **trees: Any) -> None:
    """Raises a TypeError that names the first argument with a leaf that is not floating-point, and what to do."""
    for name, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            dtype = jnp.result_type(leaf)
            if not jnp.issubdtype(dtype, jnp.floating):
                raise TypeError(
                    f"{name}{jax.tree_util.keystr(path)} must be floating-point, got {dtype}{remedy and f': {remedy}'}"
                )


def require_real(**arrays: Any) -> None:
    """Raises a TypeError that names the first argument that holds anything but real numbers and booleans."""
    for name, array in arrays.items():
        dtype = _dtype(array)
        if any(jnp.issubdtype(dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)):
            continue
        remedies = {"O": ": convert it by astype(float)", "c": ": take np.real or np.abs of it"}
        remedy = remedies.get(dtype.kind, "")
        raise TypeError(f"{name} must hold real numbers, got {dtype}{remedy}")


def require_not_half(**arrays: Any) -> None:
    """Raises a TypeError that names the first argument whose numbers have fewer digits than single precision."""
    for name, array in arrays.items():
        dtype = _dtype(array)
        if jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32:
            raise TypeError(f"{name} must be float32 or float64, got {dtype}: compute it in one of these")


def require_rank(name: str, array: Any, rank: int | tuple[int, ...], layout: str) -> None:
    """Raises a ValueError that says the expected layout, such as '(examples, outputs)'."""
    ranks = (rank,) if isinstance(rank, int) else rank
    if np.ndim(array) not in ranks:
        raise ValueError(f"{name} must have {' or '.join(map(str, ranks))} axes {layout}, got shape {np.shape(array)}")


def require_shape(name: str, array: Any, shape: tuple[int, ...], meaning: str = "") -> None:
    """Raises a ValueError that says the expected shape, and by `meaning` why, such as 'that of logits'."""
    if np.shape(array) != shape:
        raise ValueError(f"{name} must have the shape {shape}{meaning and f', {meaning}'}, got {np.shape(array)}")


def require_square(name: str, array: Any, layout: str = "(rows, rows)") -> None:
    """Raises a ValueError if the last two axes are not of one length."""
    shape = np.shape(array)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name} must be square {layout}, got shape {shape}")


def require_not_empty(**arrays: Any) -> None:
    """Raises a ValueError that names the first argument without an entry."""
    for name, array in arrays.items():
        if 0 in np.shape(array):
            raise ValueError(f"{name} must not be empty, got shape {np.shape(array)}")


def require_same_length(**arrays: Any) -> None:
    """Raises a ValueError if the arguments differ in the length of their first axis."""
    lengths = [np.shape(array)[0] for array in arrays.values()]
    if len(set(lengths)) > 1:
        raise ValueError(f"{_listed(arrays)} must have one length, got {_listed(lengths)}")


def require_same_shape(**arrays: Any) -> None:
    """Raises a ValueError if the arguments differ in shape."""
    shapes = [np.shape(array) for array in arrays.values()]
    if len(set(shapes)) > 1:
        raise ValueError(f"{_listed(arrays)} must have one shape, got {_listed(shapes)}")


def require_indices(size: int, /, **arrays: Any) -> None:
    """Raises an error that names the first entry that is no index into an axis of this size."""
    for name, indices in arrays.items():
        dtype = _dtype(indices)
        if not jnp.issubdtype(dtype, jnp.integer):
            remedy = ": of a mask take np.flatnonzero" if dtype.kind == "b" else ""
            raise TypeError(f"{name} must be integers, got {dtype}{remedy}")
        require_all(lambda values: (values >= 0) & (values < size), f"lie in [0, {size})", **{name: indices})


def require_distinct(**arrays: Any) -> None:
    """Raises a ValueError that names the first value that an argument, a vector, has more than once."""
    for name, array in arrays.items():
        if is_concrete(array):
            values, counts = np.unique(np.asarray(array), return_counts=True)
            if (counts > 1).any():
                place = int(np.argmax(counts))
                raise ValueError(f"{name} must differ from each other, got {values[place]} at {counts[place]} places")


def require_all(sound: Callable[[Any], Any], expected: str, remedy: str = "", /, **arrays: Any) -> None:
    """Raises a ValueError that names the first entry of an argument that is not sound, and what is expected of it."""
    for name, array in arrays.items():
        if array is None or not is_concrete(array):
            continue
        values = where_it_is(array)
        flags = sound(values)
        if not bool(flags.all()):
            index = tuple(map(int, np.argwhere(~np.asarray(flags))[0]))
            where = f" at index {index[0] if len(index) == 1 else index}" if index else ""
            raise ValueError(
                f"{name} must {expected}, got {np.asarray(values)[index]}{where}{remedy and f': {remedy}'}"
            )


def where_it_is(array: Any) -> AnyArray:
    """The array in NumPy where this moves nothing; on an accelerator, or spread over devices, as it is.

    So an array is reduced where it lies, and only what is left of it is fetched; and the host compiles nothing.
    """
    if isinstance(array, jax.Array):
        devices = array.devices()
        if len(devices) > 1 or next(iter(devices)).platform != "cpu":
            return array
    return np.asarray(array)


@jax.jit
def _not_finite(values: jax.Array) -> jax.Array:
    return (~jnp.isfinite(values)).sum()


def _dtype(array: Any) -> Any:
    return array.dtype if hasattr(array, "dtype") else np.asarray(array).dtype


def _listed(items: Any) -> str:
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last
