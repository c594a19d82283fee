"""Checks at the public edge. Values that are being traced are taken on trust: only their shapes are known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl.types import AnyArray


def is_concrete(value: Any) -> bool:
    """Whether the value can be looked at, which under `jit`, `vmap` or `grad` it cannot."""
    return not isinstance(value, jax.core.Tracer)


def require_finite(**trees: Any) -> None:
    """Raises a ValueError that names the first argument with a NaN or an infinity in it."""
    for name, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if not is_concrete(leaf) or not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
                continue
            bad = int(np.size(leaf)) - int(np.isfinite(np.asarray(leaf)).sum())
            if bad:
                where = f"{name}{jax.tree_util.keystr(path)}"
                raise ValueError(f"{where} has {bad} of {np.size(leaf)} entries that are NaN or infinite")


def require_floating(**trees: Any) -> None:
    """Raises a TypeError that names the first argument with a leaf that is not floating-point."""
    for name, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            dtype = jnp.result_type(leaf)
            if not jnp.issubdtype(dtype, jnp.floating):
                raise TypeError(f"{name}{jax.tree_util.keystr(path)} must be floating-point, got {dtype}")


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raises a ValueError that lists the choices."""
    if value not in choices:
        raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(map(repr, choices))}")


def require_rank(name: str, array: AnyArray, rank: int, layout: str) -> None:
    """Raises a ValueError that says the expected layout, such as '(examples, outputs)'."""
    if np.ndim(array) != rank:
        raise ValueError(f"{name} must have {rank} axes {layout}, got shape {np.shape(array)}")
