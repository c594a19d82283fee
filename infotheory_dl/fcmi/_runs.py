"""What users bring, checked and in one layout: supersamples, runs, entries."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Num

from infotheory_dl._validation import is_concrete, require_all, require_count, require_same_shape, require_within
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
    require_within("[0, 2)", selection=selection)
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
    require_same_shape(**outputs)
    return np.shape(next(iter(outputs.values())))[:-1]


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
        raise TypeError(
            f"predictions must be integer labels, got {predictions.dtype}: of probabilities or logits take"
            " np.argmax(.., axis=-1), or `predicted_labels`"
        )
    if num_classes is None:
        raise ValueError("predictions need num_classes beside them")
    require_count(2, 46340, num_classes=num_classes)  # pairs of labels are coded in 32 bits
    require_within(f"[0, {num_classes})", predictions=predictions)
    return predictions


def _checked_losses(losses: AnyArray, keep: Array, loss_range: tuple[float, float] | None) -> Array:
    low, high = (-np.inf, np.inf) if loss_range is None else loss_range
    if not low < high:
        raise ValueError(f"loss_range must be (low, high) with low < high, got {loss_range}")
    losses = jnp.asarray(losses, jnp.result_type(losses, float))
    losses = jnp.where(keep, losses, 0 if loss_range is None else low)
    require_all(lambda x: abs(x) < np.inf, "be finite", "leave diverged runs out by `valid`", losses=losses)
    remedy = "clip them, or give loss_range=(low, high)"
    require_all(lambda x: (x >= low) & (x <= high), f"lie in [{low:g}, {high:g}]", remedy, losses=losses)
    return losses if loss_range is None else (losses - low) / (high - low)
