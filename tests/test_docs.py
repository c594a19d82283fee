"""The Python of the README and of every page in docs runs as it stands, each page in a folder of its own."""

import re
from pathlib import Path

import pytest

import infotheory_dl
from tests import files_page
from tests.doc_blocks import Block, blocks, run_block

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def examples(page: str) -> list[Block]:
    """The blocks that run; those with a title are files."""
    return [block for block in blocks(page) if block.language == "python" and block.title is None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in examples(page.read_text(encoding="utf-8")):
        run_block(block, str(page), namespace)


@pytest.mark.parametrize("block", examples(README), ids=lambda block: f"line {block.line}")
def test_each_snippet_of_the_readme_stands_alone_and_prints(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_block(block, "README.md", {"__name__": "README"})
    assert capsys.readouterr().out.strip()


def test_the_page_of_files_describes_the_scores_as_the_audit_does():
    assert files_page.PAGE.read_text(encoding="utf-8") == files_page.page(), "`make reference` writes the page anew"


def test_the_citation_and_the_changes_are_of_this_version():
    version, changes = infotheory_dl.__version__, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = dict(re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE))
    assert citation["version"] == version
    assert changes.partition("\n## ")[2].startswith(f"{version} ({citation['date-released']})\n")
