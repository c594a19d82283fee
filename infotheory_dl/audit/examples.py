"""What an audit looks at: the examples to be audited, others to measure on, and flips of labels made on purpose."""

from collections import Counter
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from infotheory_dl import data
from infotheory_dl._validation import class_labels, require_count, require_within
from infotheory_dl.audit.columns import features_alone
from infotheory_dl.data.preprocessing import network_inputs
from infotheory_dl.results import concise
from infotheory_dl.types import Key

_FEWEST_EXAMPLES = 20
_FEWEST_OF_A_CLASS = 3
_FEWEST_OF_A_QUANTITY = 20
_SHOWN = 5
_MEASURED_AT_MOST = 10_000
_AND_MORE = " and a fifth more to measure on"


@concise
class Examples(NamedTuple):
    """The examples of an audit.

    Attributes:
      indices: places of the audited examples in the set.
      x: their inputs, as they were given.
      inputs: the same, standardized, as the networks see them.
      labels: their labels in [0, classes), with the flips.
      true_labels: the labels before the flips.
      held_out_inputs: examples on which functions and accuracies are measured: such as are not audited, or, where all
        are, a fifth of them.
      held_out_labels: their labels, never flipped.
      class_names: one for each class.
      feature_names: one for each column of a table, None for images.
      available: number of examples in the set.
      row_names: what the user calls the examples, None if they have no names.
      notices: what was done to the data, in sentences.
      confirmed: labels that a person has decided to be right; None if nobody has decided.
      dropped: places in the set of examples that a person has left out; None likewise.
      measured: places among the audited examples of those held out, which trained networks leave out; none where
        others are held out.
      dates: the features that are days since 1970-01-01.
    """

    indices: Int[np.ndarray, " examples"]
    x: Shaped[np.ndarray, "examples *features"]
    inputs: Float[np.ndarray, "examples *features"]
    labels: Int[np.ndarray, " examples"]
    true_labels: Int[np.ndarray, " examples"]
    held_out_inputs: Float[np.ndarray, "held_out *features"]
    held_out_labels: Int[np.ndarray, " held_out"]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] | None
    available: int
    row_names: tuple[str, ...] | None = None
    notices: tuple[str, ...] = ()
    confirmed: Bool[np.ndarray, " examples"] | None = None
    dropped: Int[np.ndarray, " dropped"] | None = None
    measured: Int[np.ndarray, " measured"] = np.zeros(0, int)
    dates: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What to call the examples: by their names, those that several have with the place, or by places alone."""
        if self.row_names is None:
            return tuple(map(str, self.indices))
        if len(set(self.row_names)) == len(self.row_names):
            return self.row_names
        counts = Counter(self.row_names)
        called = zip(self.row_names, self.indices.tolist(), strict=True)
        return tuple(name if counts[name] == 1 else f"{name} ({place})" for name, place in called)

    @property
    def flipped(self) -> Bool[np.ndarray, " examples"]:
        """Which labels were flipped on purpose."""
        return self.labels != self.true_labels


def draw_examples(
    key: Key,
    table: data.Table,
    *,
    train_size: int | None,
    flip: float,
    keep_apart: bool = False,
    one_scale: bool = False,
) -> Examples:
    """Checks a data set, draws the examples to be audited, and flips labels on purpose.

    Args:
      key: source of randomness.
      table: of all examples. A column that says where they are from is no feature. Those to measure on are `held_out`,
        or else those that are not drawn, at most as many; of all that are drawn a fifth.
      train_size: how many to audit; by default all.
      flip: share of the labels to replace by one of another class.
      keep_apart: whether those to measure on must not be audited: by default a fifth is not then.
      one_scale: whether the columns of a table share one scale.

    Returns:
      The examples, each class with its share. Inputs are centred and scaled in double precision.

    Raises:
      ValueError: if labels are none or of one class only, or a setting is out of its range.
    """
    table = features_alone(table)
    x, held_out = table.x, table.held_out
    if table.y is None:
        raise ValueError("an audit needs labels: give y, or name their column by data.as_table(x, label=...)")
    require_within("[0, 1)", "the share of labels to flip", flip=flip)
    spare = max(1, len(x) // 5) if keep_apart and not held_out else 0
    if len(x) - spare < _FEWEST_EXAMPLES:
        raise ValueError(f"an audit needs {_FEWEST_EXAMPLES} examples{_AND_MORE * keep_apart}, got {len(x)}")
    _require_no_quantity(table.y)
    codes, classes = class_labels(table.y, name="y", to_learn=True)
    if train_size is None:
        train_size = len(codes) - spare
    require_count(_FEWEST_EXAMPLES, len(codes) - min(spare, 1), train_size=train_size)

    if 2 * len(classes) > train_size:
        raise ValueError(
            f"the {train_size} examples to be audited are too few for {len(classes)} classes: raise train_size, or"
            " merge rare classes"
        )

    require_varied(x)
    choice_key, flip_key, held_out_key = jax.random.split(key, 3)
    if train_size == len(codes):
        audited = data.Subset(x, codes, np.arange(len(codes)))
    else:
        audited = data.random_subset(choice_key, x, codes, train_size, stratified=True)
    if np.ptp(audited.y) == 0:
        raise ValueError(f"the {train_size} examples drawn are of one class only; raise train_size")
    measured = np.zeros(0, int)
    if held_out is None:
        rest = np.setdiff1d(np.arange(len(codes)), audited.indices)
        if not len(rest):
            chosen = jax.random.choice(held_out_key, train_size, (train_size // 5,), replace=False)
            rest = measured = np.sort(np.asarray(chosen))[:_MEASURED_AT_MOST]
        shown = data.random_subset(held_out_key, x[rest], codes[rest], min(len(rest), train_size))
        held_out_x, held_out_labels, measured = shown.x, shown.y, measured[shown.indices] if len(measured) else measured
    else:
        held_out_x = held_out[0]
        held_out_labels = class_labels(held_out[1], name="held-out y", names=classes).codes

    transition = data.uniform_transition(len(classes), flip)
    labels = data.corrupt_labels(flip_key, audited.y, transition, exact=True).labels
    moments = data.pixel_moments(audited.x, per="pixel" if x.ndim == 2 and not one_scale else "set")
    rows, rare = table.row_names, [*_told_of_quantity(table.y), *_rare(audited.y, classes)]
    return Examples(
        indices=audited.indices,
        x=_with_channels(audited.x),
        inputs=_with_channels(network_inputs(audited.x, moments)),
        labels=labels,
        true_labels=audited.y,
        held_out_inputs=_with_channels(network_inputs(held_out_x, moments)),
        held_out_labels=held_out_labels,
        measured=measured,
        class_names=tuple(str(name) for name in classes),
        feature_names=table.feature_names,
        available=len(codes),
        row_names=None if rows is None else tuple(rows[place] for place in audited.indices),
        notices=(*table.notices, *rare),
        dates=() if table.encoding is None else table.encoding.dates,
    )


def require_varied(x: Shaped[np.ndarray, "examples *features"]) -> None:
    """Raises a ValueError where all examples have the same features."""
    if len(x) > 1 and all((block == x[:1]).all() for block in np.array_split(x, -(-len(x) // 1024))):
        raise ValueError(f"all {len(x)} examples have the same features: there is nothing to tell them apart by")


def _require_no_quantity(y: Shaped[np.ndarray, " examples"]) -> None:
    """Raises a ValueError where the labels are plainly numbers to be predicted."""
    if y.ndim != 1 or y.dtype.kind not in "iuf":
        return
    distinct = np.unique(y)
    many = len(distinct) > max(2, len(y) // _FEWEST_OF_A_CLASS)
    if many or (y.dtype.kind == "f" and np.isfinite(y).all() and (distinct != np.round(distinct)).any()):
        raise ValueError(
            f"y has {len(distinct)} different numbers from {distinct[0]:g} to {distinct[-1]:g} in {len(y)} examples: is"
            " it a quantity to be predicted? Then audit it by audit.run_regression, by --task regression in commands;"
            " or cut it into classes, such as by np.digitize; if they name the examples, they are no labels"
        )


def _told_of_quantity(y: Shaped[np.ndarray, " examples"]) -> list[str]:
    """A question where the labels are numbers that may be counts, ages or ratings rather than classes."""
    if y.dtype.kind not in "iuf":
        return []
    distinct = np.unique(y)
    if len(distinct) < _FEWEST_OF_A_QUANTITY or distinct[-1] - distinct[0] + 1 == len(distinct):
        return []
    return [
        f"The labels are {len(distinct)} whole numbers from {distinct[0]:g} to {distinct[-1]:g} with gaps. They are"
        " taken for classes; if they are a quantity, give --task regression."
    ]


def _rare(codes: np.ndarray, classes: np.ndarray) -> list[str]:
    """A sentence on the classes of which little can be said, if there are any."""
    counts = np.bincount(codes, minlength=len(classes))
    rare = [f"{classes[place].item()!r} ({counts[place]})" for place in np.flatnonzero(counts < _FEWEST_OF_A_CLASS)]
    shown = ", ".join(rare[:_SHOWN]) + (f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else "")
    sentence = f"Classes with fewer than {_FEWEST_OF_A_CLASS} audited examples can hardly be told: {shown}."
    return [sentence] if rare else []


def _with_channels(x: np.ndarray) -> np.ndarray:
    return x[..., None] if x.ndim == 3 else x
