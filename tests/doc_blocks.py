"""The blocks of code in a page of the docs."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCED = re.compile(r"^(`{3,})(\w*)(?: title=\"([^\"\n]+)\")?\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code.

    Attributes:
      language: "python", "diff", or nothing.
      title: the file that the block is of, if any; what has none is run.
      text: the code.
      line: of the page, on which the code begins, from zero.
    """

    language: str
    title: str | None
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page in their order; what a block holds between fences of its own is part of it."""
    for match in _FENCED.finditer(page):
        yield Block(match[2], match[3], match[4], page[: match.start(4)].count("\n"))


def run_block(block: Block, name: str, namespace: dict[str, object]) -> None:
    """Runs a block of Python; a traceback tells the line of the page."""
    exec(compile("\n" * block.line + block.text, name, "exec"), namespace)
