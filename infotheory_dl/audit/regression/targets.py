"""Targets as numbers, and the examples that they are of."""

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import data
from infotheory_dl._validation import require_count, require_finite, require_within, to_numpy
from infotheory_dl.audit.columns import features_alone
from infotheory_dl.audit.examples import Examples, require_varied
from infotheory_dl.data.preprocessing import network_inputs
from infotheory_dl.data.tables.columns import is_number
from infotheory_dl.types import Key

_FEWEST = 20
_MEASURED_AT_MOST = 10_000


def as_targets(y: object, name: str = "y") -> Float[np.ndarray, " examples"]:
    """The targets in double precision.

    Raises:
      ValueError: if they are no numbers, not one for each example, or not finite.
    """
    values = to_numpy(y)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one number for each example, got shape {values.shape}: take one column of it")
    if values.dtype.kind == "U" and all(map(is_number, values.tolist())):
        values = values.astype(float)  # labels such as 007 are kept as text
    if values.dtype.kind == "b" or values.dtype.kind not in "iuf":
        shown = values[0].item() if values.dtype.kind in "bUS" and len(values) else values.dtype
        raise ValueError(
            f"{name} must be numbers to be predicted, got {shown!r}: classes are audited without --task regression, by"
            " audit.run"
        )
    require_finite(**{name: values})
    return values.astype(float)


def draw_rows(
    key: Key, table: data.Table, *, train_size: int | None, flip: float, one_scale: bool
) -> tuple[Examples, Float[np.ndarray, " examples"], Float[np.ndarray, " examples"]]:
    """The examples to be audited, their targets, and the targets before some were exchanged on purpose.

    Args:
      key: source of randomness.
      table: of all examples. A column that says where they are from is no feature.
      train_size: how many to audit; by default all.
      flip: share of the targets to exchange among one another.
      one_scale: whether the columns share one scale.

    Returns:
      The examples, all of one class as there are none; the targets; the true targets.

    Raises:
      ValueError: if there are too few examples, the targets are no numbers or all the same, or a setting is out of its
        range.
    """
    if table.y is None:
        raise ValueError("an audit needs targets: give y, or name their column by label=, --label in commands")
    require_within("[0, 1)", "the share of targets to exchange", flip=flip)
    table, targets = features_alone(table), as_targets(table.y)
    x = table.x
    require_varied(x)
    if len(x) < _FEWEST:
        raise ValueError(f"an audit needs {_FEWEST} examples, got {len(x)}")
    size = len(x) if train_size is None else train_size
    require_count(_FEWEST, len(x), train_size=size)
    choice_key, flip_key, measured_key = jax.random.split(key, 3)
    order = np.asarray(jax.random.permutation(choice_key, len(x)))
    chosen, rest = np.sort(order[:size]), np.sort(order[size:])
    true = targets[chosen]
    if np.ptp(true) == 0:
        raise ValueError(f"the {size} targets are all {true[0]:g}: there is nothing to predict")
    measured = np.zeros(0, int)
    if table.held_out is not None:
        held_out = table.held_out[0]
    elif len(rest):
        held_out = x[rest]
    else:
        drawn = jax.random.choice(measured_key, size, (max(1, size // 5),), replace=False)
        measured = np.sort(np.asarray(drawn))[:_MEASURED_AT_MOST]
        held_out = x[chosen][measured]
    moments = data.pixel_moments(x[chosen], per="pixel" if x.ndim == 2 and not one_scale else "set")
    with_channels = lambda values: values[..., None] if values.ndim == 3 else values
    rows = table.row_names
    codes = np.zeros(size, int)
    examples = Examples(
        indices=chosen,
        x=with_channels(x[chosen]),
        inputs=with_channels(network_inputs(x[chosen], moments)),
        labels=codes,
        true_labels=codes,
        held_out_inputs=with_channels(network_inputs(held_out, moments)),
        held_out_labels=np.zeros(len(held_out), int),
        class_names=("",),
        feature_names=table.feature_names,
        available=len(x),
        row_names=None if rows is None else tuple(rows[place] for place in chosen.tolist()),
        notices=table.notices,
        measured=measured,
        dates=() if table.encoding is None else table.encoding.dates,
    )
    return examples, exchanged(flip_key, true, flip), true


def exchanged(key: Key, targets: Float[np.ndarray, " examples"], share: float) -> Float[np.ndarray, " examples"]:
    """The targets, a share of which has gone round among one another."""
    count = round(share * len(targets))
    if count < 2:
        return targets
    chosen: Int[np.ndarray, " chosen"] = np.asarray(jax.random.permutation(key, len(targets)))[:count]
    moved = targets.copy()
    moved[chosen] = targets[np.roll(chosen, 1)]
    return moved
