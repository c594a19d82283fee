"""Results as files: an .npz file of their arrays, and beside these in words what they are part of. No pickle.

The arrays have the names of the attributes, such as `moments.loadings`, so that any program reads them. The entry
`infotheory_dl` is a text in JSON: the version of the library, and the result with the names of arrays in their places.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np

import infotheory_dl
from infotheory_dl._files import read_arrays, whole_file, write_arrays
from infotheory_dl._validation import warn
from infotheory_dl.results._types import field_names, fields, find_type, is_record, type_name

Result = TypeVar("Result")

DESCRIPTION = "infotheory_dl"
_FORMAT = 1
_REMEDY = "make one by infotheory_dl.results.save"


def save(path: str | os.PathLike[str], result: Any) -> Path:
    """Writes a result into an .npz file, whole or not at all.

    Args:
      path: of the file; its folder is made if it is absent.
      result: a NamedTuple or a dataclass, of arrays, typed keys, numbers, texts, None, and of tuples, lists, dicts,
        NamedTuples and dataclasses of these, flax networks among them.

    Returns:
      The path.

    Raises:
      TypeError: if the result holds something else, naming where.
      OSError: if the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = _described(result, "", type(result).__name__, arrays)
    description = {"format": _FORMAT, "version": infotheory_dl.__version__, "result": tree}
    with whole_file(path) as stream:
        write_arrays(stream, {DESCRIPTION: np.array(json.dumps(description)), **arrays})
    return Path(path)


@overload
def load(path: str | os.PathLike[str]) -> Any: ...
@overload
def load(path: str | os.PathLike[str], kind: type[Result]) -> Result: ...
def load(path: str | os.PathLike[str], kind: type | None = None) -> Any:
    """Reads a result from a file of `save`.

    Args:
      path: of the file.
      kind: the type that the result must have, a NamedTuple or a dataclass; by default any.

    Returns:
      The result, of the type that was saved, with arrays of NumPy or of JAX as they were.

    Raises:
      ValueError: if the file holds no result, one of another type, one that this version of the library does not know,
        or one of a class that is not imported.
      OSError: if it cannot be opened.

    Warns:
      UserWarning: if arrays of JAX were in double precision, which is off.
    """
    arrays = read_arrays(path, remedy=_REMEDY)
    if DESCRIPTION not in arrays:
        raise ValueError(f"{path} holds no result but the arrays {', '.join(arrays) or '()'}; {_REMEDY}")
    description = json.loads(str(arrays[DESCRIPTION]))
    if description["format"] != _FORMAT:
        raise ValueError(
            f"{path} is in the format {description['format']} of infotheory_dl {description['version']}, this is"
            f" {infotheory_dl.__version__}, which reads the format {_FORMAT}: use that version"
        )
    reader = _Reader(path, description["version"], arrays)
    if kind is not None and find_type(held := reader.outermost(description["result"])) is not kind:
        raise ValueError(f"{path} is of the type {held.rpartition(':')[2]}, expected is {kind.__name__}")
    result = reader.restored(description["result"])
    if reader.rounded:
        warn(
            f"{path} was saved in double precision, which is off: {', '.join(reader.rounded)} are rounded;"
            " jax.config.update('jax_enable_x64', True) keeps them"
        )
    return result


def _described(value: Any, name: str, place: str, arrays: dict[str, np.ndarray]) -> Any:
    """What JSON says of a value; its arrays are added to those before.

    Args:
      value: of a result.
      name: of its arrays, dotted.
      place: of the value, for errors.
      arrays: by name.
    """
    entry = lambda part, key: _described(part, f"{name}.{key}" if name else str(key), f"{place}.{key}", arrays)
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return _described_array(value, name, place, arrays)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_record(value):
        parts = {}
        defaults = _defaults(type(value))
        for key, part in fields(value).items():
            # a function, say, has no place in a file, but what the class itself fills in needs none
            parts[key] = {"default": True} if part is defaults.get(key) and not _is_plain(part) else entry(part, key)
        return {"type": type_name(type(value)), "fields": parts}
    if type(value) in (tuple, list):
        return {type(value).__name__: [entry(part, i) for i, part in enumerate(value)]}
    if isinstance(value, Mapping) and all(type(key) in (str, int) for key in value):
        return {"dict": [[key, entry(part, key)] for key, part in value.items()]}
    raise TypeError(
        f"{place} is a {type(value).__name__}, which a file cannot hold: only arrays, numbers, texts, None, and tuples,"
        " lists, dicts, NamedTuples and dataclasses of these"
    )


def _described_array(value: Any, name: str, place: str, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    if isinstance(value, jax.core.Tracer):
        raise TypeError(f"{place} is traced: save what a compiled function returns, not within it")
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        raise ValueError(f"{place} is spread over processes: save what training.gather returns of it")
    kind = "jax" if isinstance(value, jax.Array) else ("numpy" if isinstance(value, np.ndarray) else "scalar")
    description = {"array": name, "of": kind}
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        description["key"] = str(jax.random.key_impl(value))
        value = jax.random.key_data(value)
    array = np.asarray(value)
    if array.dtype == object:
        raise TypeError(f"{place} is an array of Python's objects, which a file cannot hold: make it one of text")
    if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16 and its like, which NumPy's files do not name
        description["dtype"] = array.dtype.name
        array = array.view(f"u{array.dtype.itemsize}")
    while name in arrays:  # {"a.b": ..., "a": {"b": ...}}
        description["array"] = name = f"{name}'"
    arrays[name] = array
    return description


class _Reader:
    """Makes a result of its description and its arrays."""

    def __init__(self, path: str | os.PathLike[str], version: str, arrays: dict[str, np.ndarray]) -> None:
        self.path, self.version, self.arrays = path, version, arrays
        self.rounded: list[str] = []

    def outermost(self, node: Any) -> str:
        """The name of its type."""
        return node["type"] if isinstance(node, dict) and "type" in node else type(self.restored(node)).__name__

    def restored(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if "array" in node:
            return self._array(node)
        if "type" in node:
            return self._record(node)
        if "dict" in node:
            return {key: self.restored(part) for key, part in node["dict"]}
        ((container, parts),) = node.items()
        return {"tuple": tuple, "list": list}[container](map(self.restored, parts))

    def _array(self, node: dict[str, str]) -> Any:
        array = self.arrays[node["array"]]
        if "dtype" in node:
            array = array.view(jnp.dtype(node["dtype"]))
        if "key" in node:
            return jax.random.wrap_key_data(jnp.asarray(array), impl=node["key"])
        if node["of"] == "scalar":
            return array[()]
        if node["of"] == "numpy":
            return array
        if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
            self.rounded.append(node["array"])
            array = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
        return jnp.asarray(array)

    def _record(self, node: dict[str, Any]) -> Any:
        kind = find_type(node["type"])
        name, writer = node["type"].rpartition(":")[2], f"it was written by infotheory_dl {self.version}"
        if kind is None:
            module = node["type"].partition(":")[0]
            remedy = "use that version" if module.startswith("infotheory_dl") else f"import {module} first"
            raise ValueError(
                f"{self.path} is of the type {name}, which {module} does not have here; {writer}: {remedy}"
            )
        expected, held = field_names(kind), list(node["fields"])
        if set(expected) != set(held):
            raise ValueError(
                f"{self.path} is of a type {name} with {', '.join(held)}, here it has {', '.join(expected)}; {writer}:"
                " use that version"
            )
        return kind(**{key: self.restored(part) for key, part in node["fields"].items() if part != {"default": True}})


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _defaults(kind: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(kind):
        return kind._field_defaults
    return {field.name: field.default for field in dataclasses.fields(kind)}
