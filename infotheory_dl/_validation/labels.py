"""Class labels as people hold them, in one form: codes and names."""

from numbers import Real
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, Integer, Shaped

from infotheory_dl._validation.arrays import is_concrete, require_all
from infotheory_dl._validation.containers import is_missing
from infotheory_dl.types import AnyArray

_FEWEST_EXAMPLES_OF_A_CLASS = 3


class ClassLabels(NamedTuple):
    """Labels by the places of their classes; `names[codes]` are the labels.

    Attributes:
      codes: the class of every example, in [0, classes).
      names: of the classes: whole numbers, booleans or strings, ascending.
    """

    codes: Int[np.ndarray, " examples"]
    names: Shaped[np.ndarray, " classes"]


def class_labels(
    labels: Any,
    *,
    name: str = "labels",
    num_classes: int | None = None,
    names: Shaped[np.ndarray, " classes"] | None = None,
    num_examples: int | None = None,
    to_learn: bool = False,
) -> ClassLabels:
    """Brings labels into one form, whatever holds them.

    They may be integers of any width, floats that are whole, booleans, strings or bytes, in arrays of JAX or NumPy,
    lists, or columns of pandas and its like: numbers, objects, strings, categories. What holds them is of no account.

    Args:
      labels: one for each example.
      name: what errors call them.
      num_classes: how many classes there are. Numbers then are codes, in [0, num_classes), and so are their names;
        other labels must be of as many classes, which are numbered in ascending order. By default the classes are those
        that occur.
      names: of classes that are known already, ascending, instead of their number: no others may occur.
      num_examples: how many labels there must be.
      to_learn: whether a classifier is to learn them. Then they must be of two classes at least, and where the classes
        are those that occur, of no more than a third as many as there are examples: what has more is a number, or a
        name of the examples.

    Returns:
      Codes, as integers of the default width, and names.

    Raises:
      ValueError: if there are no labels, not one for each example, one is missing, a fraction, or none of the classes,
        or what occurs cannot be learned; each with what to do.
      TypeError: if they are no labels: complex numbers, dates, objects of several types.
    """
    _require_one_each(labels, name, num_examples)
    values = _plain(labels, name)
    if names is not None:
        found = _places(values, name, names)
    elif num_classes is None:
        unique, codes = np.unique(values, return_inverse=True)
        found = ClassLabels(codes.astype(int), unique)
    elif values.dtype.kind in "iub":
        is_code = lambda codes: (codes >= 0) & (codes < num_classes)
        require_all(is_code, f"lie in [0, {num_classes})", "number the classes from 0", **{name: values})
        found = ClassLabels(values.astype(int), np.arange(num_classes))
    else:
        found = _of_as_many_classes(values, name, num_classes)
    if to_learn:
        _require_learnable(found, name, are_known=names is not None or num_classes is not None)
    return found


def class_codes(
    labels: Any, *, num_classes: int, name: str = "labels", num_examples: int | None = None
) -> Integer[AnyArray, " examples"]:
    """The codes of `class_labels` where labels may be traced: these must be integers, and are taken on trust."""
    if is_concrete(labels):
        return class_labels(labels, name=name, num_classes=num_classes, num_examples=num_examples).codes
    _require_one_each(labels, name, num_examples)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers under a transformation of JAX, got {labels.dtype}")
    return labels


def _require_one_each(labels: Any, name: str, num_examples: int | None) -> None:
    if hasattr(labels, "toarray"):
        raise ValueError(f"{name} must be one class for each example, got a sparse matrix: take toarray() of it")
    try:
        shape = np.shape(labels)
    except ValueError:
        raise ValueError(f"{name} must be one class for each example, got rows of unequal lengths") from None
    if len(shape) != 1:
        given, remedy = shape or type(labels).__name__, ""
        if len(shape) == 2:
            remedy = f": of {'a column take np.ravel' if shape[1] == 1 else 'one-hot rows take np.argmax(.., 1)'}"
        raise ValueError(f"{name} must be of shape (examples,), got {given}{remedy}")
    if num_examples not in (None, shape[0]):
        raise ValueError(f"{name} must be one for each of the {num_examples} examples, got {shape[0]}")
    if shape[0] == 0:
        raise ValueError(f"{name} must be of at least 1 example, got none")


def _plain(labels: Any, name: str) -> np.ndarray:
    """The labels as an array of integers, booleans or strings, none of them missing."""
    if isinstance(labels, list | tuple):
        # NumPy would make one type of several, and a string of a number
        labels = np.fromiter(labels, object, len(labels))
    values = np.asarray(labels)
    if values.dtype.kind in "OT":
        values = values.astype(object)
        _require_none_missing(np.array([is_missing(value) for value in values]), name)
        values = _of_one_type(values, name)
    if isinstance(labels, np.ma.MaskedArray):
        _require_none_missing(np.ma.getmaskarray(labels), name)
    if jnp.issubdtype(values.dtype, jnp.floating):
        _require_none_missing(np.isnan(values), name)
        remedy = "a continuous target must be cut into classes first, such as by np.digitize"
        require_all(_are_whole, "be whole numbers or names of classes", remedy, **{name: values})
        return values.astype(int)
    if values.dtype.kind == "S":
        return _decoded(values, name)
    if jnp.issubdtype(values.dtype, jnp.integer):
        return values if values.max() > np.iinfo(int).max else values.astype(int)
    if values.dtype.kind not in "bU":
        raise TypeError(f"{name} must be classes: whole numbers, booleans or strings, got {values.dtype}")
    return values


def _require_none_missing(missing: np.ndarray, name: str) -> None:
    if missing.any():
        raise ValueError(
            f"{name} has {missing.sum()} of {len(missing)} missing, the first at index {np.argmax(missing)}: leave"
            " these examples out, or give them a class of their own"
        )


def _are_whole(values: np.ndarray) -> np.ndarray:
    values = values.astype(float)
    return (values == np.round(values)) & (np.abs(values) < 2**53)


def _of_one_type(values: np.ndarray, name: str) -> np.ndarray:
    """The objects as an array of what all of them are: strings, bytes, booleans or numbers."""
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    for kind in (str, bytes, bool, Real):
        if all(isinstance(value, kind) for value in plain):
            return np.array(plain)
    kinds = sorted({type(value).__name__ for value in plain})
    raise TypeError(f"{name} must be classes of one type, got {' and '.join(kinds)}: convert them, such as by str")


def _decoded(values: np.ndarray, name: str) -> np.ndarray:
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} are bytes that are not UTF-8, {error.object!r}: decode them first") from None


def _places(values: np.ndarray, name: str, names: np.ndarray) -> ClassLabels:
    """The places of the labels among the names."""
    # NumPy would compare numbers with strings as strings
    alike = (values.dtype.kind == "U") == (names.dtype.kind == "U")
    known = np.isin(values, names) if alike else np.zeros(len(values), bool)
    if not known.all():
        index = int(np.argmin(known))
        raise ValueError(
            f"{name} must be among the classes {_shortened(names)}, got {values[index].item()!r} at index {index}"
        )
    return ClassLabels(np.searchsorted(names, values).astype(int), names)


def _of_as_many_classes(values: np.ndarray, name: str, num_classes: int) -> ClassLabels:
    unique, codes = np.unique(values, return_inverse=True)
    if len(unique) != num_classes:
        raise ValueError(
            f"{name} must be of {num_classes} classes, got the {len(unique)} {_shortened(unique)}: give the number"
            f" of each, in [0, {num_classes})"
        )
    return ClassLabels(codes.astype(int), unique)


def _shortened(names: np.ndarray) -> str:
    shown = ", ".join(repr(value.item()) for value in names[:5])
    return f"{shown}, …" if len(names) > 5 else shown


def _require_learnable(labels: ClassLabels, name: str, *, are_known: bool) -> None:
    occurring, counts = np.unique(labels.codes, return_counts=True)
    if len(occurring) < 2:
        raise ValueError(f"{name} has one class only, {labels.names[occurring[0]].item()!r}; at least 2 are needed")
    classes, examples = len(occurring), len(labels.codes)
    if are_known or classes <= max(2, examples // _FEWEST_EXAMPLES_OF_A_CLASS):
        return
    single = int((counts == 1).sum())
    remedy = "if they name the examples, they are no labels"
    if labels.names.dtype.kind in "iu":
        remedy = f"if {name} is a number to be predicted, cut it into classes, such as by np.digitize; {remedy}"
    raise ValueError(
        f"{name} has {classes} classes in {examples} examples, {single} of them with one example only, such as"
        f" {labels.names[occurring[np.argmin(counts)]].item()!r}: more classes than a third of the examples cannot be"
        f" learned; {remedy}; merge rare classes, or leave them out"
    )
