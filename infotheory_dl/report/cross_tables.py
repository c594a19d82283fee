"""Tables of two ways to sort the same things, such as given and suggested classes."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Real

from infotheory_dl.report._drawing import shortened
from infotheory_dl.report.format import with_minus
from infotheory_dl.report.html import Html, element

_DARKEST = 55  # percent of the hue, on which text can still be read


def cross_table(
    values: Real[np.ndarray, "rows columns"],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    corner: str,
    caption: str = "",
    write: Callable[[float], str] = "{:g}".format,
    shades: Float[np.ndarray, "rows columns"] | None = None,
) -> Html:
    """A table with a heading for each row and column, whose larger entries are darker. Zeros are left empty.

    Args:
      values: entries.
      rows, columns: headings.
      corner: what rows and columns are, such as "given \\ suggested".
      caption: what the table shows, above it.
      write: an entry as text.
      shades: how dark each entry is, from 0 to 1; by default its share of the largest.
    """
    if shades is None:
        shades = values / max(values.max(), 1e-300)
    head = (element("th", shortened(name), scope="col", title=name) for name in columns)
    body = []
    for name, entries, darkness in zip(rows, values.tolist(), shades.tolist(), strict=True):
        cells = (
            element("td", with_minus(write(entry)) if entry else "", style=_shade(shade) if entry else None)
            for entry, shade in zip(entries, darkness, strict=True)
        )
        body.append(element("tr", element("th", shortened(name), scope="row", title=name), *cells))
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else "",
            element("thead", element("tr", element("th", corner, scope="col"), *head)),
            element("tbody", *body),
            class_="crossed",
        ),
        class_="scroll",
    )


def _shade(share: float) -> str:
    return f"background:color-mix(in srgb,var(--hue) {_DARKEST * min(1.0, max(0.0, share)):.0f}%,transparent)"
