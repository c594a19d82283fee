"""Methods by name: the registry of a room is a mapping `name -> Recipe`, for all that train by name to go through."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

Value = TypeVar("Value")


class Recipe(NamedTuple):
    """One method of a registry.

    Attributes:
      make: `make(network, ...)` makes the system, with the settings that change the program as keyword arguments.
      prepare: `prepare(plan)` makes what a training begins with: labels, variables of trained networks. What is costly
        in the plan are functions, which only those methods call that need them.
      settings: the names of all that the method takes, of `make` and of the states that it begins with.
    """

    make: Callable[..., Any]
    prepare: Callable[[Any], Any]
    settings: tuple[str, ...]

    def taken(self, settings: Mapping[str, Value]) -> dict[str, Value]:
        """Those of the settings that the method takes: a caller has the same ones for all methods."""
        return {name: value for name, value in settings.items() if name in self.settings}
