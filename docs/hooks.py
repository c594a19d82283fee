"""Pages of the site that have their owner elsewhere, made while `mkdocs` builds it.

The start page is the README, and other files of the root have a page. Each room of `reference.md` gets a page of what
its docstrings say, to which the names link: a public name that is not on one is a broken link, and the build fails.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference.md"
_TABLE = re.compile(
    r"(?:\n([^\n#<][^#<]*?)\n\n)?<!-- python -m benchmarks tables .*? -->\n(.*?)<!-- end -->", re.DOTALL
)
OF_THE_ROOT = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the pages of the rooms where the navigation has the word REFERENCE."""
    for section in config.nav or []:
        for title, pages in section.items():
            if "REFERENCE" in pages:
                place = pages.index("REFERENCE")
                rooms = [{room: f"reference/{room}.md"} for room in _rooms()]
                section[title] = [*pages[:place], {"By room": rooms}, *pages[place + 1 :]]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    for uri, source in OF_THE_ROOT.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        for page, name in OF_THE_ROOT.items():
            text = text.replace(f"]({name})", f"]({page})")
        files.append(File.generated(config, uri, content=text.replace("](docs/", "](")))
    for room, faces in _rooms().items():
        lower = "\n    options: {heading_level: 2}"
        parts = [f"::: {face}{lower if place else ''}" for place, face in enumerate(faces)]
        # who searches wants the pages of the systems before those of the names
        content = "---\nsearch:\n  boost: 0.3\n---\n\n" + "\n\n".join(parts) + "\n"
        files.append(File.generated(config, f"reference/{room}.md", content=content))
    files.append(File.generated(config, "benchmarks.md", content=_benchmarks()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links files of the root to the pages made of them, and every name of the reference to what is said of it."""
    for uri, source in OF_THE_ROOT.items():
        markdown = markdown.replace(f"](../{source})", f"]({uri})")
    if page.file.src_uri != "reference.md":
        return markdown
    face, lines = "", []
    for line in markdown.splitlines():
        if heading := re.fullmatch(r"## `(.+)`", line):
            face = heading[1]
        lines.append(re.sub(r"^\| `(\w+)` \|", rf"| [`\1`][{face}.\1] |", line))
    return "\n".join(lines)


def _benchmarks() -> str:
    """The tables that `python -m benchmarks tables` writes, of all pages, each under the words that lead to it."""
    parts = ["# Benchmarks", "What was measured, page by page. `python -m benchmarks` measures it anew."]
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        tables = [(lead, table) for lead, table in _TABLE.findall(text) if table.startswith("|")]
        if tables:
            title = text.partition("\n")[0].removeprefix("# ")
            parts.append(f"## [{title}]({path.name})")
            parts += [f"{lead.strip().split(chr(10) * 2)[-1]}\n\n{table.strip()}" for lead, table in tables]
    return "\n\n".join(parts) + "\n"


def _rooms() -> dict[str, list[str]]:
    """The modules of each room, as `reference.md` lists them."""
    faces = re.findall(r"^## `(.+)`$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    rooms: dict[str, list[str]] = {}
    for face in faces:
        rooms.setdefault(face.split(".")[1], []).append(face)
    return rooms
