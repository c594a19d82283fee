"""The page on a system of one's own: its files make a room that the house accepts, and its commands run."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doc_blocks import blocks

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "new_system.md").read_text(encoding="utf-8")
PARTS = ("infotheory_dl", "experiments", "benchmarks", "tests", "docs", "README.md", "mkdocs.yml", "pyproject.toml")
# what of `make reference` is of the page; linters and the site have environments of their own
RECIPES = {"reference": ["python", "-m", "tests.public_names"]}
LEFT_OUT = ("check", "docs")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project with the files and the changes of the page."""
    copy = tmp_path_factory.mktemp("project")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part)
        else:
            shutil.copy2(ROOT / part, copy / part)
    for block in blocks(PAGE):
        if block.title is None:
            continue
        file = copy / block.title
        if block.language == "diff":
            lines = block.text.splitlines()
            text = file.read_text(encoding="utf-8")
            before, after = ("".join(f"{line[1:]}\n" for line in lines if line[:1] in kinds) for kinds in (" -", " +"))
            assert text.count(before) == 1, f"{block.title} no longer has the lines of line {block.line} of the page"
            file.write_text(text.replace(before, after), encoding="utf-8")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    return copy


def commands() -> list[list[str]]:
    """What the last block with commands says, by their programs' names."""
    (block,) = [block for block in blocks(PAGE) if block.text.startswith("make ")]
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        if program == "make":
            found += [] if arguments[0] in LEFT_OUT else [RECIPES[arguments[0]]]
        else:
            found.append([Path(program).name, *arguments])
    return found


def test_the_page_makes_a_room_that_the_house_accepts(project):
    environment = os.environ | {"PYTHONPATH": str(project)}
    for program, *arguments in commands():
        module = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if program == "pytest" else []
        done = subprocess.run(
            [sys.executable, *module, *arguments], cwd=project, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    assert "`usable_information`" in (project / "docs" / "reference.md").read_text(encoding="utf-8")
