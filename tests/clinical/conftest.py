"""A store of made-up tables, one of each mode, and one of the demo of MIMIC-III where that is at hand."""

from pathlib import Path

import jax
import pytest

from infotheory_dl import clinical


@pytest.fixture(scope="session")
def tables():
    return clinical.synthetic(jax.random.key(0), 40)


@pytest.fixture(scope="session")
def source(tables, tmp_path_factory) -> Path:
    return clinical.write_tables(tables, tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="session")
def store(source, tmp_path_factory) -> Path:
    return clinical.build(source, tmp_path_factory.mktemp("stores") / "paper").path


@pytest.fixture(scope="session")
def fixed_store(source, tmp_path_factory) -> Path:
    return clinical.build(source, tmp_path_factory.mktemp("stores") / "fixed", mode="fixed").path


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    import os

    folder = Path(os.environ.get("INFOTHEORY_DL_TEST_DATA", "")) / "mimic3_demo"
    if not (folder / "CHARTEVENTS.csv.gz").exists():
        pytest.skip("the demo of MIMIC-III is absent: set INFOTHEORY_DL_TEST_DATA to the folder that holds mimic3_demo")
    return clinical.build(folder, tmp_path_factory.mktemp("stores") / "demo").path
