"""The Python of the README and of every page in docs runs as it stands, each page in a folder of its own."""

import re
from pathlib import Path

import pytest

import infotheory_dl
from tests import files_page

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_run(page, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        line = text[: block.start(1)].count("\n")
        # blank lines in front make a traceback tell the line of the page
        exec(compile("\n" * line + block[1], str(page), "exec"), namespace)


def test_the_page_of_files_describes_the_scores_as_the_audit_does():
    assert files_page.PAGE.read_text(encoding="utf-8") == files_page.page(), "`make reference` writes the page anew"


def test_the_citation_and_the_changes_are_of_this_version():
    version = infotheory_dl.__version__
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## ")[2].startswith(f"{version} (")
