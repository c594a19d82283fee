"""The most suspect examples of an audit, as a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from infotheory_dl import audit

_COLUMNS = 10
_COLOURS = 32


def draw_suspects(result: audit.AuditResult, count: int, path: Path, names: Sequence[str] | None = None) -> None:
    """Draws the examples of lowest margin, the lowest first, with the label as given and the one suggested.

    Args:
      result: an audit of images.
      count: how many to draw.
      path: of the PNG file.
      names: of the classes, where those of the data are numbers.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    examples, suggested = result.examples, result.label_errors.suggested
    shown = names or examples.class_names
    most = np.argsort(result.scores.margins, kind="stable")[:count]
    rows = -(-len(most) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(0.85 * _COLUMNS, 1.15 * rows), squeeze=False, dpi=110)
    for place in axes.flat:
        place.set_axis_off()
    for place, i in zip(axes.flat, most.tolist(), strict=False):
        place.imshow(examples.x[i].squeeze(), cmap="gray_r")
        arrow = "\n→ " if names else " → "
        place.set_title(f"{shown[examples.labels[i]]}{arrow}{shown[suggested[i]]}", fontsize=8, pad=3)
    figure.tight_layout(pad=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
    # a few greys suffice, and are small
    Image.open(path).convert("L").quantize(_COLOURS).save(path, optimize=True)
