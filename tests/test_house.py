"""The plan of the house holds: imports go down a floor, no room imports another, and commands alone print."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "infotheory_dl"
# from the cellar up; the parts on one floor do not import one another
FLOORS = (
    {"types"},
    {"_validation", "_files", "_roots", "_blocks", "_differences"},
    {"_moments", "_sharding", "_precision", "results"},
    {"information", "data", "networks", "metrics", "linear_models", "report"},
    {"training", "linearization"},
    {"sample_information", "fcmi", "label_noise", "corex", "mixhop", "domain_generalization", "clinical"},
    {"minsyn"},
    {"audit"},
    {"cli"},
)
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
# one room for each system
ROOMS = {room for floor in ("fcmi", "minsyn") for room in FLOORS[FLOOR_OF[floor]]}
# linear MinSyn is linear CorEx with other weights: one solver
STANDS_ON = {"minsyn": {"corex"}}
FILES = sorted(file for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE or file.stem != "__init__")


def part_of(file: Path) -> str:
    """The room, or the file of the house, that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(file: Path) -> Iterator[str]:
    """What a file imports, wherever in the file: of the package the part, of other packages their first name."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for first, _, rest in (name.partition(".") for name in names):
            yield f"infotheory_dl.{rest.split('.')[0]}" if first == "infotheory_dl" else first


def test_every_part_has_its_floor():
    assert {part_of(file) for file in FILES} == set(FLOOR_OF)


@pytest.mark.parametrize("part", sorted(FLOOR_OF))
def test_imports_go_down(part):
    parts = {
        name.removeprefix("infotheory_dl.") for file in FILES if part_of(file) == part for name in imports_of(file)
    }
    beneath = {other for other, floor in FLOOR_OF.items() if floor < FLOOR_OF[part]}
    if part in ROOMS:
        beneath -= ROOMS - STANDS_ON.get(part, set())
    assert (parts & set(FLOOR_OF)) - {part} <= beneath


def test_one_door_leads_to_neural_tangents():
    """By its name, as it is imported late."""
    names_it = lambda file: any(
        isinstance(node, ast.Constant) and str(node.value).split(".")[0] == "neural_tangents"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    )
    assert {part_of(file) for file in FILES if names_it(file)} == {"linearization"}


def test_commands_alone_print_and_read_arguments():
    talks = lambda file: (
        any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        )
        or "tyro" in imports_of(file)
    )
    assert {file.name for file in FILES if talks(file) and file.parent.name != "command"} <= {"command.py", "cli.py"}


@pytest.mark.parametrize("folder", ["experiments", "benchmarks", "tests"])
def test_a_system_has_one_name_everywhere(folder):
    assert not ROOMS - {path.name for path in (PACKAGE.parent / folder).iterdir() if path.is_dir()}
    assert not ROOMS - {page.stem for page in (PACKAGE.parent / "docs").glob("*.md")}
