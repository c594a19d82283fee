"""What every page of suspects has: cards that a script makes of an inline table, and pictures that stand there once."""

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from infotheory_dl import report
from infotheory_dl.audit.report._script import SCRIPT
from infotheory_dl.report import Html

MOST_CARDS = 10_000
FEATURES_SHOWN = 6
_PICTURE_CHARACTERS = 6_000_000
_PICTURES_AT_ONCE = 256


def cards(plain: Html, content: dict[str, Any]) -> Html:
    """A list that can be read without a script, which the script turns into cards to be decided on.

    Args:
      plain: the list.
      content: what the script is given: `file`, under which decisions are exported; `id`, under which the browser keeps
        them; `classes`, their names, or None where labels are numbers; `kinds`, what suspects are called that are
        claimed to be wrong and the others; `features` of a table, or None; `pictures`; whether rows are `named`. A row
        is of an example: its place and name, its label and the one suggested (numbers of classes, or the numbers), how
        suspect it is in words and as a number to be sorted by, whether it is claimed to be wrong, the verdict where the
        truth is known, what stands beside it in words, and how all of them look: numbers of pictures, or of features,
        each with its values.
    """
    return report.joined(
        report.element("div", plain, id="review"),
        report.inline_data("suspects", content),
        report.script(SCRIPT),
    )


def identity(*parts: Any) -> str:
    """By which a browser knows the data again."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def pictures_once(
    x: Shaped[np.ndarray, "examples height width channels"], shown: Int[np.ndarray, "suspects looks"]
) -> tuple[list[str], list[list[int | None] | None]]:
    """Every picture once, and for each suspect the numbers of its own; None beyond what a page can hold."""
    limits = float(x.min()), float(x.max())
    pictures: list[str] = []
    number: dict[int, int] = {-1: -1}
    characters, looks = 0, list[list[int | None] | None]()
    for first in range(0, len(shown), _PICTURES_AT_ONCE):
        block = shown[first : first + _PICTURES_AT_ONCE]
        if characters > _PICTURE_CHARACTERS:
            looks += [None] * len(block)
            continue
        new = [place for place in np.unique(block).tolist() if place not in number]
        for place, uri in zip(new, report.data_uris(x[new], limits=limits) if new else (), strict=True):
            number[place] = len(pictures)
            pictures.append(uri)
            characters += len(uri)
        looks += [[None if place < 0 else number[place] for place in row] for row in block.tolist()]
    return pictures, looks
