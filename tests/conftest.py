"""Every test sees the package with its annotations checked, in double precision."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import jaxtyping
import numpy as np
import pytest
from jaxtyping import install_import_hook

from experiments.compilation import quick_flags

jax.config.update("jax_enable_x64", True)
# compiling is what costs: quickly rather than well, and a program once for all processes and runs of the tests
for setting, value in {
    "jax_disable_most_optimizations": True,
    "jax_compilation_cache_dir": str(Path(__file__).parent.parent / ".jax_cache"),
    "jax_persistent_cache_min_compile_time_secs": 0,
}.items():
    if setting.upper() not in os.environ:
        jax.config.update(setting, value)
        os.environ[setting.upper()] = str(value)  # for the processes that tests start
os.environ["XLA_FLAGS"] = quick_flags()
hypothesis.settings.register_profile("infotheory_dl", deadline=None)  # the first example pays for the compilation
hypothesis.settings.load_profile("infotheory_dl")
install_import_hook("infotheory_dl", "beartype.beartype")

REFERENCE = Path(__file__).parent / "reference"
MEMORY_MAPS = Path("/proc/self/maps")


@pytest.fixture(scope="module", autouse=True)
def few_programs_in_memory() -> Iterator[None]:
    """XLA maps memory for every program, and crashes where Linux allows a process no more (65,530 maps by default)."""
    yield
    if MEMORY_MAPS.exists() and MEMORY_MAPS.read_bytes().count(b"\n") > 30_000:
        jax.clear_caches()


@pytest.fixture
def as_a_user_sees() -> Iterator[None]:
    """Switches the run-time checks of the annotations off, so that a wrong call meets the library's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets that some tests use; they skip where it is absent."""
    folder = os.environ.get("INFOTHEORY_DL_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data sets are absent: set INFOTHEORY_DL_TEST_DATA to their folder")
    return Path(folder)


def reference(name: str) -> dict[str, np.ndarray]:
    """The arrays of one reference case, made by running the published implementation.

    Cases with rows of outside data are not part of the project; their tests skip where they are absent.
    """
    file = REFERENCE / f"{name}.npz"
    if not file.exists():
        folder = os.environ.get("INFOTHEORY_DL_TEST_REFERENCE")
        if not folder or not Path(folder).is_dir():
            pytest.skip(f"{name} is absent: set INFOTHEORY_DL_TEST_REFERENCE to the folder of reference cases")
        file = Path(folder) / file.name
    with np.load(file) as arrays:
        return {key: arrays[key] for key in arrays}
