"""What a command was told and ran with, to be kept beside what it found."""

import importlib.metadata
import json
import math
import platform
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from typing import Any

_PACKAGES = ("infotheory_dl", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn")


def ran_with(settings: Mapping[str, Any]) -> dict[str, Any]:
    """When a command ran and with which settings, those that are None left out, and on which versions."""
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"created": created, **{name: value for name, value in settings.items() if value is not None}, **versions()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def command_line(name: str, config: Any) -> str:
    """The line of a shell that calls a command with these settings, those that are as by default left out.

    Args:
      name: of the command.
      config: its settings, a dataclass, which may hold others.
    """
    return shlex.join(["infotheory-dl", name, *_options(config)])


def _options(config: Any) -> Iterator[str]:
    for field in fields(config):
        value = getattr(config, field.name)
        option = field.name.replace("_", "-")
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if is_dataclass(value):
            yield from _options(value)
        elif isinstance(value, bool):
            if value != default:
                yield f"--{option}" if value else f"--no-{option}"
        elif value != default and value is not None:
            yield f"--{option}"
            yield from map(str, value if isinstance(value, tuple | list) else [value])


def as_json(record: Mapping[str, Any]) -> str:
    """A record as JSON; what JSON cannot say, such as infinities and paths, becomes text."""
    return json.dumps(_plain(record), indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
