"""The public names of the package, and the page of the docs that lists them, which `make reference` writes."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import infotheory_dl

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"
_HEAD = """# Reference

Every public name, where to import it from, and the first line of what `help` tells. `make reference` writes this page.
"""


def faces() -> Iterator[ModuleType]:
    """The rooms, and the modules that a room lists among its names, each once."""
    found: dict[str, ModuleType] = {}

    def visit(module: ModuleType) -> None:
        if module.__name__ not in found:
            found[module.__name__] = module
            for value in names_of(module).values():
                if inspect.ismodule(value):
                    visit(value)

    for room in infotheory_dl.__all__:
        value = getattr(infotheory_dl, room)
        if inspect.ismodule(value):
            visit(value)
    yield from found.values()


def names_of(face: ModuleType) -> dict[str, Any]:
    """What a face offers, by name."""
    return {name: getattr(face, name) for name in face.__all__}


def functions() -> dict[str, Any]:
    """Every public function, once, by the first of the names that it is imported by; as it was before it was jitted."""
    found: dict[Any, str] = {}
    for face in faces():
        for name, value in names_of(face).items():
            function = inspect.unwrap(value) if callable(value) else value
            if inspect.isfunction(function):
                found.setdefault(function, f"{face.__name__}.{name}")
    return {name: function for function, name in found.items()}


def page() -> str:
    """The page of the docs."""
    parts = [_HEAD]
    for face in faces():
        parts.append(f"## `{face.__name__}`\n\n{_first_line(face)}\n")
        rows = [
            f"| `{name}` | {_first_line(value)} |"
            for name, value in names_of(face).items()
            if not inspect.ismodule(value)
        ]
        if rows:
            parts.append("\n".join(["| name | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _first_line(value: Any) -> str:
    if get_origin(value) is Literal:
        return f"One of {', '.join(f'`{choice!r}`' for choice in get_args(value))}."
    value = inspect.unwrap(value) if callable(value) else value
    if not (inspect.ismodule(value) or inspect.isclass(value) or inspect.isfunction(value)):
        return "A type." if get_origin(value) else f"A constant, `{type(value).__name__}`."
    text = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
