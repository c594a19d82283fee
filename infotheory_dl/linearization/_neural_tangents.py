"""neural_tangents 0.6.5, the last release, under the JAX of today.

What JAX has moved since is put back while it is imported.
"""

import functools
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import jax


@functools.cache
def neural_tangents() -> ModuleType:
    """Imports neural_tangents without its `experimental` part, which would import TensorFlow.

    Jacobian contraction, NTK-vector products, `linearize`, `predict` and the kernels of `stax` work; structured
    derivatives do not.
    """
    with _moved_names_restored():
        return importlib.import_module("neural_tangents")


@contextmanager
def _moved_names_restored() -> Iterator[None]:
    from jax.extend import core
    from jax.interpreters import ad

    names = ("Jaxpr", "JaxprEqn", "Literal", "Var", "Primitive")
    additions = [(jax.core, name, getattr(core, name)) for name in names]
    additions += [(jax.core, name, type(name, (), {})) for name in ("Value", "AbstractValue")]
    additions.append((ad, "zeros_like_p", core.Primitive("zeros_like")))
    added = [(owner, name) for owner, name, value in additions if _add(owner, name, value)]

    util = ModuleType("jax.util")
    util.safe_map, util.safe_zip = _safe_map, _safe_zip  # type: ignore[attr-defined]
    modules = {"jax.util": util, "neural_tangents.experimental": ModuleType("neural_tangents.experimental")}
    modules = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for owner, name in added:
            delattr(owner, name)
        for name in modules:
            del sys.modules[name]


def _add(owner: ModuleType, name: str, value: Any) -> bool:
    if hasattr(owner, name):
        return False
    setattr(owner, name, value)
    return True


def _safe_map(function: Any, *sequences: Any) -> list[Any]:
    return [function(*items) for items in zip(*sequences, strict=True)]


def _safe_zip(*sequences: Any) -> list[tuple[Any, ...]]:
    return list(zip(*sequences, strict=True))
