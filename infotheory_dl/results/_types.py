"""Types of results by name: the shortest public one, so that a class may move between the files of its room."""

import dataclasses
import importlib
import sys
from typing import Any, TypeGuard

# those that a file may have imported; any other class must be there already
_PACKAGES = ("infotheory_dl", "jax", "flax", "optax")


def is_record(value: Any) -> bool:
    """Whether a value is a NamedTuple or of a dataclass."""
    return not isinstance(value, type) and is_record_type(type(value))


def is_record_type(kind: Any) -> TypeGuard[type]:
    """Whether a class is a NamedTuple or a dataclass."""
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def field_names(kind: Any) -> list[str]:
    """The names of the fields of a NamedTuple or a dataclass."""
    if not dataclasses.is_dataclass(kind):
        return list(kind._fields)
    return [field.name for field in dataclasses.fields(kind) if field.init]


def fields(record: Any) -> dict[str, Any]:
    """The fields of a NamedTuple or of a dataclass, by name."""
    return {name: getattr(record, name) for name in field_names(type(record))}


def type_name(kind: type) -> str:
    """The name of a class, `package.room:Name`.

    Raises:
      TypeError: if nothing imports it, as a class within a function.
    """
    parts = kind.__module__.split(".")
    above = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    beside = {module for module in sys.modules if module.startswith(".".join(parts[:2]) + ".")}
    found = [name for name in above | beside if _attribute(sys.modules.get(name), kind.__qualname__) is kind]
    public = [name for name in found if kind.__qualname__ in getattr(sys.modules[name], "__all__", ())]
    if not found:
        raise TypeError(f"{kind.__qualname__} of {kind.__module__} cannot be saved: a class must be one of a module")
    shortest = min(public or above.intersection(found), key=lambda name: (len(name), name))
    return f"{shortest}:{kind.__qualname__}"


def find_type(name: str) -> type | None:
    """The NamedTuple or the dataclass of this name, or None if there is none."""
    module, _, qualname = name.partition(":")
    if module.partition(".")[0] in _PACKAGES:
        try:
            importlib.import_module(module)
        except ImportError:
            return None
    kind = _attribute(sys.modules.get(module), qualname)
    return kind if is_record_type(kind) else None


def _attribute(module: Any, qualname: str) -> Any:
    value = module
    for part in qualname.split("."):
        value = getattr(value, part, None)
    return value
