"""What users bring, checked and in one layout: supersamples, runs, entries."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Num

from infotheory_dl._validation import is_concrete
from infotheory_dl.information.discrete import require_alphabet
from infotheory_dl.types import AnyArray


class CheckedRuns(NamedTuple):
    """Runs on some supersamples.

    Attributes:
      selection: of every run; the same array may be repeated for all supersamples.
      weights: how often each run counts: zero leaves it out.
      outputs: what they gave, by name: "predictions", labels; "losses", in [0, 1]; or both.
    """

    selection: Int[Array, "supersamples runs rows"]
    weights: Int[Array, "supersamples runs"]
    outputs: dict[str, Num[Array, "supersamples runs entries"]]


def checked_runs(
    selection: AnyArray,
    *,
    predictions: AnyArray | None = None,
    num_classes: int | None = None,
    losses: AnyArray | None = None,
    loss_range: tuple[float, float] | None = (0.0, 1.0),
    valid: AnyArray | None = None,
) -> CheckedRuns:
    """Checks runs, gives them an axis of supersamples, and scales losses to [0, 1], unless they have no range.

    What excluded runs hold is replaced.
    """
    outputs = {name: value for name, value in [("predictions", predictions), ("losses", losses)] if value is not None}
    if not outputs:
        raise ValueError("a bound needs predictions or losses, got neither")
    shape = _checked_shape(outputs, selection)
    selection = jnp.broadcast_to(jnp.asarray(selection), (*shape, np.shape(selection)[-1]))
    valid = _checked_valid(valid, shape)
    require_alphabet("selection", selection, 2)
    keep = valid[..., None]
    checked = {}
    if predictions is not None:
        checked["predictions"] = _checked_predictions(jnp.where(keep, predictions, 0), num_classes)
    if losses is not None:
        checked["losses"] = _checked_losses(losses, keep, loss_range)
    expand = lambda array: array.reshape(-1, *array.shape[len(shape) - 1 :])
    return CheckedRuns(
        expand(selection.astype(int)),
        expand(valid.astype(int)),
        {name: expand(values) for name, values in checked.items()},
    )


def _checked_shape(outputs: dict[str, AnyArray], selection: AnyArray) -> tuple[int, ...]:
    """The shape of the runs, (runs,) or (supersamples, runs)."""
    if np.ndim(selection) not in (2, 3):
        raise ValueError(f"selection must be of shape ([supersamples,] runs, rows), got {np.shape(selection)}")
    *given, rows = np.shape(selection)
    for name, values in outputs.items():
        if np.ndim(values) not in (2, 3):
            raise ValueError(f"{name} must be of shape ([supersamples,] runs, 2 rows), got {np.shape(values)}")
        *shape, entries = np.shape(values)
        if entries != 2 * rows:
            raise ValueError(
                f"{name} must have 2n = {2 * rows} entries on the last axis, for a selection of n = {rows} rows,"
                f" got {entries}"
            )
        if shape[-len(given) :] != given:
            raise ValueError(
                f"{name} and selection must agree on ([supersamples,] runs), got {tuple(shape)} and {tuple(given)}"
            )
    shapes = {np.shape(values) for values in outputs.values()}
    if len(shapes) > 1:
        raise ValueError(
            f"predictions and losses must have one shape, got {np.shape(outputs['predictions'])} and"
            f" {np.shape(outputs['losses'])}"
        )
    return shapes.pop()[:-1]


def _checked_valid(valid: AnyArray | None, shape: tuple[int, ...]) -> Bool[Array, "..."]:
    if valid is None:
        valid = jnp.ones(shape, bool)
    elif np.shape(valid) not in (shape, shape[-1:]):
        raise ValueError(f"valid must be of shape {shape}, one entry for each run, got {np.shape(valid)}")
    valid = jnp.broadcast_to(jnp.asarray(valid), shape)
    counts = valid.sum(-1) if is_concrete(valid) else np.array(shape[-1])
    if counts.min() < 2:
        raise ValueError(f"a bound needs at least 2 runs on every supersample, got {counts.min()}")
    return valid


def _checked_predictions(predictions: Array, num_classes: int | None) -> Array:
    if not jnp.issubdtype(predictions.dtype, jnp.integer):
        raise TypeError(f"predictions must be integer labels, got {predictions.dtype}; `predicted_labels` takes logits")
    if num_classes is None or not 2 <= num_classes <= 46340:
        # pairs of labels are coded in 32 bits
        raise ValueError(f"num_classes must lie in [2, 46340], got {num_classes}")
    require_alphabet("predictions", predictions, num_classes)
    return predictions


def _checked_losses(losses: AnyArray, keep: Array, loss_range: tuple[float, float] | None) -> Array:
    low, high = (-np.inf, np.inf) if loss_range is None else loss_range
    if not low < high:
        raise ValueError(f"loss_range must be (low, high) with low < high, got {loss_range}")
    losses = jnp.asarray(losses, jnp.result_type(losses, float))
    losses = jnp.where(keep, losses, 0 if loss_range is None else low)
    if is_concrete(losses):
        values = np.asarray(losses)
        outside = ~(np.isfinite(values) & (values >= low) & (values <= high))
        if outside.any():
            index = tuple(int(i) for i in np.argwhere(outside)[0])
            remedy = "clip them, or give loss_range=(low, high)"
            if not np.isfinite(values[index]):
                remedy = "leave diverged runs out by `valid`"
            raise ValueError(
                f"losses must lie in [{low:g}, {high:g}], got {values[index]:g} at index {index}: {remedy}"
            )
    return losses if loss_range is None else (losses - low) / (high - low)
