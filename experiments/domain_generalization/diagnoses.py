"""Diagnoses of models that were trained, as rows and as pictures."""

from collections.abc import Sequence
from typing import Any, get_args

import jax
import numpy as np

from experiments.harness import Row
from infotheory_dl import domain_generalization
from infotheory_dl.data import Features
from infotheory_dl.domain_generalization import Term

TERMS: tuple[Term, ...] = get_args(Term)
COLORS = ("C0", "C5", "C1", "C2")


def diagnosed(key: jax.Array, train: Features, validation: Features, unseen: Features, *, resamples: int = 200) -> Row:
    """The numbers of a diagnosis."""
    found = domain_generalization.diagnose(key, train, validation, unseen, resamples=resamples)
    accuracies = [float(each.value) for each in found.accuracies[:4]]
    errors: Row = {term: float(getattr(found.errors, term).value) for term in TERMS}
    told = [float(each.value) for each in found.distinguishability]
    domains = [float(each.value) for each in found.domain_accuracies]
    return {
        **{f"G{place}": value for place, value in enumerate(accuracies)},
        **errors,
        **{f"I{place}": value for place, value in enumerate(domains)},
        **{f"d{place}": value for place, value in enumerate(told)},
        "largest": found.largest,
    }


def mean_row(rows: Sequence[Row]) -> Row:
    """The means of numbers over rows, and the term that is largest most often."""
    numbers: Row = {
        name: float(np.mean([row[name] for row in rows])) for name, value in rows[0].items() if name != "largest"
    }
    names = [row["largest"] for row in rows]
    most = max(sorted(set(names)), key=names.count)
    return {**numbers, "largest": f"{most} ({names.count(most)} of {len(names)})"}


def shown(row: Row) -> Row:
    """The columns of a table: the four terms by number, without what only the figures and `metrics.jsonl` have."""
    numbers = {f"e{place}": row[term] for place, term in enumerate(TERMS)}
    tests = {name: row[name] for name in ("G0", "G1", "G2", "G3")}
    return tests | numbers | {name: row[name] for name in ("I0", "I1", "I2", "largest")}


def stacked(axes: Any, places: Sequence[float], rows: Sequence[Row], *, bars: bool, title: str, legend: bool) -> None:
    """The four terms on top of each other, those below zero beneath it, and the error that they add up to.

    Args:
      axes: to draw on.
      places: along the axis below, or as its labels where there are bars.
      rows: of diagnoses.
      bars: whether places have nothing between them.
      title: of the picture.
      legend: whether it says what the colours are.
    """
    terms = np.array([[row[term] for term in TERMS] for row in rows]).T
    x = np.arange(len(places)) if bars else np.asarray(places, float)
    width = 0.8 if bars else 0.9 * float(np.diff(x).min()) if len(x) > 1 else 1.0
    above, below = np.zeros(len(x)), np.zeros(len(x))
    for term, values, color in zip(TERMS, terms, COLORS, strict=True):
        bottom = np.where(values >= 0, above, below)
        axes.bar(x, values, width, bottom=bottom, color=color, label=term.replace("_", "-") if legend else None)
        above, below = above + np.maximum(values, 0), below + np.minimum(values, 0)
    axes.plot(x, terms.sum(0), "k.-", label="error in the unseen domain" if legend else None)
    axes.axhline(0, color="black", linewidth=0.8)
    if bars:
        axes.set_xticks(x, [f"{place:g}" for place in places])
    axes.set_title(title, fontsize="medium")
