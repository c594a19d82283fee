"""Runs as files: what trainings predicted, kept for bounds to be evaluated later or elsewhere."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from infotheory_dl._files import read_arrays
from infotheory_dl.fcmi.trainings import Runs
from infotheory_dl.results import concise
from infotheory_dl.results.files import DESCRIPTION, save

_EXPECTED = (
    "expected are predictions or losses, of shape (runs, 2n), (supersamples, runs, 2n) or (epochs, supersamples, runs,"
    " 2n), and selection, of shape (runs, n) or (supersamples, runs, n)"
)


@concise
class SavedRuns(NamedTuple):
    """Runs as a file holds them: those of `Runs`, or losses in the place of predictions.

    Attributes:
      selection: which entry of each row was trained on.
      valid: False where a training diverged.
      epochs: those after which the predictions were made; 0 for a procedure that counts none.
      predictions: classes of all entries, if they are known.
      losses: of all entries, if they are known.
      labels: the true classes, if they are known.
      gradient_variances: after each update, if they are known.
    """

    selection: Int[np.ndarray, "supersamples runs rows"]
    valid: Bool[np.ndarray, "supersamples runs"]
    epochs: Int[np.ndarray, " epochs"]
    predictions: Int[np.ndarray, "epochs supersamples runs entries"] | None = None
    losses: Num[np.ndarray, "epochs supersamples runs entries"] | None = None
    labels: Int[np.ndarray, "supersamples entries"] | None = None
    gradient_variances: Float[np.ndarray, "supersamples runs updates"] | None = None


def write_runs(path: str | os.PathLike[str], runs: Runs | SavedRuns) -> Path:
    """Writes runs into an .npz file, whole or not at all, for `read_runs` and `infotheory-dl fcmi`.

    Args:
      path: of the file.
      runs: of `run`, `run_networks` or `read_runs`.

    Returns:
      The path.

    Raises:
      OSError: if the file cannot be written.
    """
    return save(path, runs)


def read_runs(path: str | os.PathLike[str]) -> SavedRuns:
    """Reads runs from an .npz file, of `write_runs` or of any other program.

    Args:
      path: of the file. It holds `predictions` or `losses`, of shape (runs, 2n), (supersamples, runs, 2n) or (epochs,
        supersamples, runs, 2n), and `selection`; it may hold `labels`, `valid`, `epochs` and `gradient_variances`. The
        selection, the labels and `valid` may lack the axis of supersamples where they are the same for all.

    Returns:
      The runs, with all axes. Without `valid` all of them are; without `epochs` several are numbered from 1.

    Raises:
      ValueError: if the file is not an .npz file, lacks an array, or holds one that does not fit, naming it.
      OSError: if it cannot be opened.
    """
    arrays = read_arrays(path, remedy=_EXPECTED)
    arrays.pop(DESCRIPTION, None)
    outputs = {name: arrays[name] for name in ("predictions", "losses") if name in arrays}
    absent = [] if outputs else ["predictions or losses"]
    absent += [] if "selection" in arrays else ["selection"]
    if absent:
        held = ", ".join(arrays) or "no arrays"
        raise ValueError(f"{path} lacks {' and '.join(absent)}: it has {held}; {_EXPECTED}")
    for name, values in arrays.items():
        if values.dtype.kind not in "biuf":
            raise ValueError(f"{path}: {name} must be numbers, got {values.dtype}")
    if "predictions" in outputs:
        outputs["predictions"] = _classes(path, outputs["predictions"])
    shapes = {values.shape for values in outputs.values()}
    shape = shapes.pop()
    if shapes or len(shape) not in (2, 3, 4):
        got = " and ".join(f"{name} of shape {values.shape}" for name, values in outputs.items())
        raise ValueError(f"{path} has {got}; {_EXPECTED}")
    epochs, supersamples, runs, entries = (1,) * (4 - len(shape)) + shape
    if entries % 2:
        raise ValueError(
            f"{path}: {'/'.join(outputs)} must have an even number of columns, two entries for each row of the"
            f" supersample, got {entries}, of shape {shape}"
        )

    def for_every_supersample(name: str, *rest: int) -> np.ndarray | None:
        if name not in arrays:
            return None
        if arrays[name].shape not in (rest, (supersamples, *rest)):
            raise ValueError(
                f"{path}: {name} must be of shape {rest} or {(supersamples, *rest)} beside {'/'.join(outputs)} of shape"
                f" {shape}, got {arrays[name].shape}"
            )
        return np.broadcast_to(arrays[name], (supersamples, *rest))

    selection = for_every_supersample("selection", runs, entries // 2)
    assert selection is not None
    valid = for_every_supersample("valid", runs)
    numbers = arrays.get("epochs", np.arange(1, epochs + 1) if epochs > 1 else np.zeros(1, int))
    if numbers.shape != (epochs,):
        raise ValueError(f"{path}: epochs must be of shape {(epochs,)}, one for each prediction, got {numbers.shape}")
    return SavedRuns(
        selection,
        np.ones((supersamples, runs), bool) if valid is None else valid.astype(bool),
        numbers,
        **{name: values.reshape(epochs, supersamples, runs, entries) for name, values in outputs.items()},
        labels=for_every_supersample("labels", entries),
        gradient_variances=arrays.get("gradient_variances"),
    )


def _classes(path: str | os.PathLike[str], predictions: np.ndarray) -> np.ndarray:
    """The predictions as whole numbers."""
    if predictions.dtype.kind == "f":
        fractions = predictions[np.isfinite(predictions) & (predictions != np.round(predictions))]
        if fractions.size or not np.isfinite(predictions).all():
            got = f"{fractions[0]:.6g}" if fractions.size else "NaN or infinity"
            raise ValueError(
                f"{path}: predictions must be predicted classes, whole numbers from 0, got {got}: of probabilities or"
                " logits, with the classes on the last axis, take numpy.argmax(.., axis=-1); leave diverged runs out"
                " by valid"
            )
        return predictions.astype(int)
    return predictions
