"""What a command was told and ran with, to be kept beside what it found."""

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
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


def as_json(record: Mapping[str, Any]) -> str:
    """A record as JSON; what JSON cannot say, such as infinities and paths, becomes text."""
    return json.dumps(_plain(record), indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
