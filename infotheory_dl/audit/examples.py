"""What an audit looks at: the examples to be audited, others to measure on, and flips of labels made on purpose."""

import os
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from infotheory_dl import data
from infotheory_dl._files import read_arrays
from infotheory_dl._validation import require_finite, require_rank
from infotheory_dl.types import AnyArray, Key

_FEWEST_EXAMPLES = 20
_DEFAULT_SIZE = 1000


class Table(NamedTuple):
    """A data set of the user, as a file holds it.

    Attributes:
      x: images (examples, height, width[, channels]) or rows (examples, features).
      y: class labels: integers, strings or booleans.
      held_out: further examples and their labels, to measure on; None takes them from x and y.
      feature_names: one for each column of x, or None.
    """

    x: np.ndarray
    y: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray] | None = None
    feature_names: tuple[str, ...] | None = None


class Examples(NamedTuple):
    """The examples of an audit.

    Attributes:
      indices: places of the audited examples in the set.
      x: their inputs, as they were given.
      inputs: the same, standardized, as the networks see them.
      labels: their labels in [0, classes), with the flips.
      true_labels: the labels before the flips.
      held_out_inputs: examples that are not audited; functions and accuracies are measured on them.
      held_out_labels: their labels, never flipped.
      class_names: one for each class.
      feature_names: one for each column of a table, None for images.
      available: number of examples in the set.
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

    @property
    def flipped(self) -> Bool[np.ndarray, " examples"]:
        """Which labels were flipped on purpose."""
        return self.labels != self.true_labels


def read_table(path: str | os.PathLike[str]) -> Table:
    """Reads a data set from an .npz file with the arrays x and y.

    Args:
      path: of the file. It may hold x_test and y_test too, to measure on, and feature_names.

    Returns:
      The arrays.

    Raises:
      ValueError: if the file is not an .npz file or lacks an array.
      OSError: if it cannot be opened.
    """
    arrays = read_arrays(path, remedy=f"make one by numpy.savez({os.fspath(path)!r}, x=x, y=y)")
    absent = [name for name in ("x", "y") if name not in arrays]
    if absent:
        raise ValueError(f"{path} lacks {' and '.join(absent)}: it has {', '.join(arrays) or 'no arrays'}")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise ValueError(f"{path} must have both x_test and y_test, or neither")
    names = arrays.get("feature_names")
    return Table(
        arrays["x"],
        arrays["y"],
        (arrays["x_test"], arrays["y_test"]) if "x_test" in arrays else None,
        None if names is None else tuple(map(str, names)),
    )


def draw_examples(
    key: Key,
    x: AnyArray,
    y: AnyArray,
    held_out: tuple[AnyArray, AnyArray] | None,
    *,
    train_size: int | None,
    flip: float,
    feature_names: tuple[str, ...] | None = None,
) -> Examples:
    """Checks a data set, draws the examples to be audited, and flips labels on purpose.

    Args:
      key: source of randomness.
      x: images (examples, height, width[, channels]) or rows (examples, features).
      y: class labels.
      held_out: examples and labels to measure on; by default those of x and y that are not drawn, at most as many.
      train_size: how many to audit; by default all but a fifth, or all where `held_out` is given, at most 1000.
      flip: share of the labels to replace by one of another class.
      feature_names: of the columns of a table.

    Returns:
      The examples, each class with its share.

    Raises:
      ValueError: if an array does not fit, holds NaN, infinity or one class only, or a setting is out of its range.
    """
    x, y = _checked("", x, y)
    if not 0 <= flip < 1:
        raise ValueError(f"flip must lie in [0, 1), the share of labels to flip, got {flip}")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has one class only, {classes[0].item()!r}; an audit needs at least 2")
    spare = 0 if held_out else max(1, len(y) // 5)
    if train_size is None:
        train_size = min(len(y) - spare, _DEFAULT_SIZE)
    if len(y) - spare < _FEWEST_EXAMPLES:
        raise ValueError(f"an audit needs {_FEWEST_EXAMPLES} examples and a fifth more to measure on, got {len(y)}")
    largest = len(y) - (0 if held_out else 1)
    if not _FEWEST_EXAMPLES <= train_size <= largest:
        raise ValueError(f"train_size must lie in [{_FEWEST_EXAMPLES}, {largest}], got {train_size}")

    choice_key, flip_key, held_out_key = jax.random.split(key, 3)
    audited = data.random_subset(choice_key, x, codes, train_size, stratified=True)
    if np.ptp(audited.y) == 0:
        raise ValueError(f"the {train_size} examples drawn are of one class only; raise train_size")
    if held_out is None:
        rest = np.setdiff1d(np.arange(len(y)), audited.indices)
        measured = data.random_subset(held_out_key, x[rest], codes[rest], min(len(rest), train_size))
        held_out_x, held_out_labels = measured.x, measured.y
    else:
        held_out_x, held_out_y = _checked("held-out ", *held_out)
        if held_out_x.shape[1:] != x.shape[1:]:
            raise ValueError(f"held-out x must have rows of shape {x.shape[1:]} as x has, got {held_out_x.shape[1:]}")
        unknown = np.setdiff1d(held_out_y, classes)
        if unknown.size:
            raise ValueError(f"held-out y has the class {unknown[0].item()!r}, which y lacks")
        held_out_labels = np.searchsorted(classes, held_out_y)
    is_table = x.ndim == 2
    if is_table and feature_names is None:
        feature_names = tuple(f"x{i}" for i in range(x.shape[1]))
    if is_table and feature_names is not None and len(feature_names) != x.shape[1]:
        raise ValueError(f"feature_names must be {x.shape[1]}, one for each column, got {len(feature_names)}")

    transition = data.uniform_transition(len(classes), flip)
    labels = data.corrupt_labels(flip_key, audited.y, transition, exact=True).labels
    moments = data.pixel_moments(audited.x, per="pixel" if is_table else "set")
    return Examples(
        indices=audited.indices,
        x=audited.x,
        inputs=data.standardize(audited.x, *moments),
        labels=labels,
        true_labels=audited.y,
        held_out_inputs=data.standardize(held_out_x, *moments),
        held_out_labels=held_out_labels,
        class_names=tuple(str(name) for name in classes),
        feature_names=feature_names if is_table else None,
        available=len(y),
    )


def _checked(where: str, x: AnyArray, y: AnyArray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of rank 2 or 4 and labels as arrays of NumPy, once they are sound."""
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{where}x must be numbers, got {x.dtype}")
    if x.ndim not in (2, 3, 4):
        layouts = "(examples, features) or (examples, height, width[, channels])"
        raise ValueError(f"{where}x must be {layouts}, got shape {x.shape}")
    require_rank(f"{where}y", y, 1, "(examples,)")
    if len(x) != len(y):
        raise ValueError(f"{where}x and y must have one length, got {len(x)} and {len(y)}")
    require_finite(**{f"{where}x": x})
    if y.dtype.kind == "f":
        require_finite(**{f"{where}y": y})
        y = y.astype(int) if (y == np.round(y)).all() else y
    if y.dtype.kind not in "iubSU":
        raise ValueError(f"{where}y must be class labels, integers or strings, got {y.dtype}")
    if x.dtype.kind == "f":
        # double precision where jax has it
        x = x.astype(jax.dtypes.canonicalize_dtype(np.promote_types(x.dtype, np.float32)))
    x = x.astype(np.uint8) if x.dtype.kind == "b" else x
    return (x[..., None] if x.ndim == 3 else x), y
