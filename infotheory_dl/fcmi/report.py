"""The bounds of saved runs, epoch by epoch, as tables and as a figure."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from infotheory_dl._files import csv_table
from infotheory_dl.fcmi.bounds import LossOptions, evaluate_all, generalization_gap
from infotheory_dl.fcmi.codes import zero_one_losses
from infotheory_dl.fcmi.files import SavedRuns
from infotheory_dl.fcmi.results import Bound, GeneralizationGap
from infotheory_dl.report import Column, count
from infotheory_dl.results import concise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# bounds whose information is worth a column for every row, the finest first
ROW_BOUNDS = ("fcmi", "ecmi", "ldcmi")
# bounds that are not all but the same, for curves
GAP_CURVES = ("fcmi", "ecmi", "ldcmi", "fast_rate")
POPULATION_CURVES = ("binary_kl", "linear")
BOUNDED = {"gap": "gap", "population": "population loss"}
_COLORS = {"gap": "#0b5fa5", "population": "#66717d"}
_OBSERVED = "#b8480b"


@concise
class Evaluation(NamedTuple):
    """What the runs of one epoch show.

    Attributes:
      epoch: after which the predictions were made.
      bounds: by name.
      gap: what was observed; None where neither losses nor labels are known.
    """

    epoch: int
    bounds: dict[str, Bound]
    gap: GeneralizationGap | None

    def observed(self, bound: Bound) -> float | None:
        """What the bound is to be held against: the gap, or the loss on the ghosts."""
        if self.gap is None:
            return None
        return float(self.gap.value if bound.kind == "gap" else self.gap.ghost_loss.mean())


def evaluate_runs(
    runs: SavedRuns, *, num_classes: int | None = None, **options: Unpack[LossOptions]
) -> list[Evaluation]:
    """Evaluates every bound that the arrays allow at every epoch.

    Args:
      runs: predictions with labels, predictions alone, losses, or predictions and losses.
      num_classes: number of labels; by default the largest of the predictions and the labels, plus one.
      options: see `LossOptions`.

    Raises:
      ValueError, TypeError: as in `evaluate_all`.
    """
    options = {"valid": runs.valid, **options}
    if num_classes is None:
        num_classes = _num_classes(runs)
    evaluations = []
    for i, epoch in enumerate(runs.epochs.tolist()):
        predictions = None if runs.predictions is None else runs.predictions[i]
        losses = None if runs.losses is None else runs.losses[i]
        if losses is None and predictions is not None and runs.labels is not None:
            losses = np.asarray(zero_one_losses(predictions, runs.labels))
        bounds = evaluate_all(
            runs.selection, predictions=predictions, losses=losses, num_classes=num_classes, **options
        )
        gap = None if losses is None else generalization_gap(losses, runs.selection, valid=runs.valid)
        evaluations.append(Evaluation(epoch, bounds, gap))
    return evaluations


def bounds_csv(evaluations: Sequence[Evaluation]) -> str:
    """A row for each epoch and bound, beside what was observed."""
    rows = []
    for evaluation in evaluations:
        for name, bound in evaluation.bounds.items():
            low, high = (None, None) if bound.interval is None else np.asarray(bound.interval).tolist()
            rows.append(
                {
                    "epoch": evaluation.epoch,
                    "bound": name,
                    "of": BOUNDED[bound.kind],
                    "value": float(bound.value),
                    "spread": float(bound.spread),
                    "low": low,
                    "high": high,
                    "observed": evaluation.observed(bound),
                    "kind": certainty(bound),
                    "estimator": bound.estimator,
                    "degenerate_rows": int(bound.degenerate_rows),
                    "excluded_runs": int(bound.excluded),
                }
            )
    return csv_table({name: [row[name] for row in rows] for name in rows[0]})


def bound_columns(evaluation: Evaluation) -> list[Column]:
    """The bounds of one epoch beside what was observed, as a table of a page or of a terminal."""
    bounds = evaluation.bounds.values()
    intervals = [None if bound.interval is None else np.asarray(bound.interval) for bound in bounds]
    return [
        Column("bound", list(evaluation.bounds)),
        Column("on the", ["gap" if bound.kind == "gap" else "loss" for bound in bounds]),
        Column("value", [float(bound.value) for bound in bounds], "{:.3f}".format),
        Column("spread", [float(bound.spread) for bound in bounds], "{:.3f}".format),
        Column("95% interval", intervals, lambda ends: "–".join(f"{end:.3f}" for end in ends), right=True),
        Column("observed", [evaluation.observed(bound) for bound in bounds], "{:.3f}".format),
        Column("kind", [certainty(bound) for bound in bounds]),
    ]


def row_columns(runs: SavedRuns, evaluation: Evaluation) -> dict[str, list[Any]]:
    """The information of every row of every supersample, in nats, the most memorised first, by column."""
    information = {
        name: np.asarray(evaluation.bounds[name].per_example) for name in ROW_BOUNDS if name in evaluation.bounds
    }
    shape = runs.selection.shape[0], runs.selection.shape[2]
    supersample, row = (places.ravel() for places in np.indices(shape))
    columns: dict[str, Any] = {"supersample": supersample, "row": row}
    columns |= {f"{name}_information": values.ravel() for name, values in information.items()}
    if runs.labels is not None:
        columns |= {f"label_{column}": runs.labels[:, column::2].ravel() for column in (0, 1)}
    # NaN, where an estimator has too few runs, comes last
    order = np.argsort(-next(iter(information.values())).ravel(), kind="stable")
    return {name: values[order].tolist() for name, values in columns.items()}


def scope(runs: SavedRuns) -> str:
    """How many runs there are, in a sentence."""
    supersamples, per_supersample, rows = runs.selection.shape
    excluded = int((~runs.valid).sum())
    return (
        f"{per_supersample} runs on {count(supersamples, 'supersample', 'supersamples')} of n = {rows} rows"
        f"{f'; {excluded} of {runs.valid.size} are not valid and left out' if excluded else ''}."
    )


def certainty(bound: Bound) -> str:
    """In one word, whether the value is a certificate."""
    return "certificate" if bound.certificate else "estimate"


def draw(evaluations: Sequence[Evaluation]) -> bytes:
    """Draws the bounds beside what was observed, as a PNG: bars for one epoch, curves for several.

    Bars have their 95% intervals, curves the spread over supersamples as a band.
    """
    from matplotlib.figure import Figure

    if len(evaluations) == 1:
        figure = Figure(figsize=(7, 1.2 + 0.32 * len(evaluations[0].bounds)), layout="constrained")
        entries = _draw_bars(figure.add_subplot(), evaluations[0])
        figure.legend(handles=entries, frameon=False, loc="outside lower center", ncols=len(entries))
    else:
        kinds = ("gap",) if evaluations[0].gap is None else ("gap", "population")
        figure = Figure(figsize=(5.2 * len(kinds), 4.4), layout="constrained")
        for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
            _draw_curves(axes, evaluations, kind)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _draw_bars(axes: "Axes", evaluation: Evaluation) -> list[Any]:
    """Draws a bar for each bound, and returns the entries of the legend."""
    for place, (_, bound) in enumerate(evaluation.bounds.items()):
        value, color = float(bound.value), _COLORS[bound.kind]
        axes.barh(place, value, color=color, alpha=1 if bound.certificate else 0.5, height=0.6)
        if bound.interval is not None:
            axes.plot(np.asarray(bound.interval), (place, place), color="black", linewidth=1.2)
        observed = evaluation.observed(bound)
        if observed is not None:
            axes.plot((observed, observed), (place - 0.38, place + 0.38), color=_OBSERVED, linewidth=2.5)
    axes.set_yticks(range(len(evaluation.bounds)), list(evaluation.bounds))
    axes.invert_yaxis()
    kinds = dict.fromkeys(bound.kind for bound in evaluation.bounds.values())
    entries: list[Any] = [axes.barh(0, 0, color=_COLORS[kind], label=f"bound on the {BOUNDED[kind]}") for kind in kinds]
    if evaluation.gap is not None:
        entries += axes.plot([], [], color=_OBSERVED, linewidth=2.5, label="observed")
    axes.spines[["top", "right"]].set_visible(False)
    return entries


def _draw_curves(axes: "Axes", evaluations: Sequence[Evaluation], kind: str) -> None:
    epochs = [evaluation.epoch for evaluation in evaluations]
    names = [name for name in (*GAP_CURVES, *POPULATION_CURVES) if name in evaluations[0].bounds]
    shown = [name for name in names if evaluations[0].bounds[name].kind == kind]
    for i, name in enumerate(shown):
        bounds = [evaluation.bounds[name] for evaluation in evaluations]
        # the first are wider, so that equal curves are all seen
        style = {"label": name, "color": f"C{i}", "linewidth": 3.5 - 0.7 * i}
        _curve(axes, epochs, [bound.per_supersample for bound in bounds], **style)
    gaps = [evaluation.gap for evaluation in evaluations if evaluation.gap is not None]
    if gaps:
        observed = [gap.per_supersample if kind == "gap" else gap.ghost_loss for gap in gaps]
        _curve(axes, epochs, observed, label=f"observed {BOUNDED[kind]}", color="black", linestyle="--", marker=".")
    axes.set(xlabel="epoch", ylabel=BOUNDED[kind])
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.legend(
        handles=axes.lines,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
        ncols=min(3, len(axes.lines)),
    )
    axes.spines[["top", "right"]].set_visible(False)


def _curve(axes: "Axes", epochs: Sequence[int], values: Sequence[Any], **style: Any) -> None:
    """The mean over supersamples of each epoch, and their standard deviation as a band."""
    mean = np.array([np.mean(value) for value in values])
    spread = np.array([np.std(value) for value in values])
    axes.plot(epochs, mean, **style)
    axes.fill_between(epochs, mean - spread, mean + spread, color=style["color"], alpha=0.15, linewidth=0)


def _num_classes(runs: SavedRuns) -> int | None:
    if runs.predictions is None:
        return None
    # what a diverged model predicts is no class
    largest = [runs.predictions[:, runs.valid].max(initial=0)]
    largest += [] if runs.labels is None else [runs.labels.max()]
    return max(2, int(max(largest)) + 1)
