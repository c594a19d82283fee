"""What an import of the package costs and offers."""

import subprocess
import sys

import pytest

import infotheory_dl

HEAVY = ("jax", "tensorflow", "tensorflow_datasets", "neural_tangents", "matplotlib", "sklearn", "scipy", "grain")
ROOMS_LEAVE_OUT = ("tensorflow", "tensorflow_datasets", "neural_tangents", "matplotlib", "sklearn", "orbax", "grain")


def imported(program: str, packages: tuple[str, ...]) -> str:
    program += f"\nimport sys; print([name for name in {packages} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_the_package_alone_imports_no_heavy_package():
    assert imported("import infotheory_dl", HEAVY) == "[]"


def test_all_rooms_together_import_no_data_loader_and_no_plots():
    program = "import infotheory_dl\nfor room in infotheory_dl.__all__: getattr(infotheory_dl, room)"
    assert imported(program, ROOMS_LEAVE_OUT) == "[]"


def test_what_is_no_room_is_told():
    assert set(infotheory_dl.__all__) < set(dir(infotheory_dl))
    with pytest.raises(AttributeError, match="'infotheory_dl' has no attribute 'attic'"):
        infotheory_dl.attic  # noqa: B018
