"""Fits as files, kept for later or for other programs."""

import os
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from infotheory_dl._files import read_arrays, whole_file
from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex._temporal.model import TemporalCorex


def save(path: str | os.PathLike[str], model: LinearCorex | TemporalCorex) -> Path:
    """Writes a fit into an .npz file, whole or not at all; its arrays have the names of the attributes.

    Args:
      path: of the file.
      model: the fit.

    Returns:
      The path.

    Raises:
      OSError: if the file cannot be written.
    """
    leaves = jax.tree_util.tree_leaves_with_path(model)
    with whole_file(path) as stream:
        np.savez(stream, **{jax.tree_util.keystr(at, simple=True, separator="."): leaf for at, leaf in leaves})
    return Path(path)


def load_linear(path: str | os.PathLike[str]) -> LinearCorex:
    """Reads a fit of linear CorEx from a file of `save`.

    Args:
      path: of the file.

    Returns:
      The fit.

    Raises:
      ValueError: if the file holds no such fit.
      OSError: if it cannot be read.
    """
    return _load(path, LinearCorex)


def load_temporal(path: str | os.PathLike[str]) -> TemporalCorex:
    """Reads a fit of T-CorEx from a file of `save`; see `load_linear`."""
    return _load(path, TemporalCorex)


def _load(path: str | os.PathLike[str], kind: type) -> Any:
    arrays = read_arrays(path, remedy="make one by `save`")

    def assemble(kind: type, prefix: str) -> Any:
        parts = {}
        for name, annotation in kind.__annotations__.items():
            if hasattr(annotation, "_fields"):
                parts[name] = assemble(annotation, f"{prefix}{name}.")
            elif prefix + name in arrays:
                parts[name] = jnp.asarray(arrays[prefix + name])
            elif type(None) in get_args(annotation):
                parts[name] = None
            else:
                raise ValueError(f"{path} holds no fit of the type {outermost}: {prefix + name!r} is absent")
        return kind(**parts)

    outermost = kind.__name__
    return assemble(kind, "")
