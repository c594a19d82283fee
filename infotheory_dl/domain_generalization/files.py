"""Representations, labels and domains from a file of the user, and the diagnoses that they allow."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Real, Shaped

from infotheory_dl import linear_models
from infotheory_dl._files import read_arrays
from infotheory_dl._validation import class_labels
from infotheory_dl.data import Features, Source, Table, as_table, stratified_folds
from infotheory_dl.data.tables.columns import listed, text_of
from infotheory_dl.domain_generalization._rows import Rows, standardized
from infotheory_dl.domain_generalization.probes import converged_probes
from infotheory_dl.types import Key

_NAMES = {
    "x": ("x", "representations", "features"),
    "y": ("y", "labels"),
    "domain": ("domain", "domains"),
    "prediction": ("prediction", "predictions"),
    "split": ("split",),
}
_EXPECTED = (
    "expected are the arrays x (examples, features), y and domain, and, if there are any, prediction, of shape"
    " (examples,) or (examples, classes), and split"
)
_TRAINED_ON = ("train", "training", "true", "1")
_VALIDATION_SHARE = 5


class Given(NamedTuple):
    """What a file holds.

    Attributes:
      x: representations.
      labels: the true classes.
      domains: as text.
      predictions: of the model, classes or outputs; None if there are none.
      trained_on: whether the model was trained on an example; None if that is not known.
      notices: in sentences, what was done to the data that a user should know.
    """

    x: Real[np.ndarray, "examples features"]
    labels: Shaped[np.ndarray, " examples"]
    domains: Shaped[np.ndarray, " examples"]
    predictions: np.ndarray | None
    trained_on: Bool[np.ndarray, " examples"] | None
    notices: tuple[str, ...] = ()


class Case(NamedTuple):
    """One unseen domain, and what a diagnosis of it is given.

    Attributes:
      unseen: its name.
      features: train, validation, unseen and, if there is a second unseen domain, that.
    """

    unseen: str
    features: tuple[Features, ...]


def read_features(source: Source, *, domain: str | None, prediction: str | None, split: str | None) -> Given:
    """Reads a file.

    Args:
      source: the file; its label is the column of the classes.
      domain: the column or the array with the domains; by default "domain" or "domains".
      prediction: with the predictions; by default "prediction" or "predictions", if there is one.
      split: with what was trained on; by default "split", if there is one.

    Raises:
      ValueError: if it is no such file, naming what is missing.
    """
    named = {"domain": domain, "prediction": prediction, "split": split}
    of_arrays = source.data is not None and source.data.suffix.lower() == ".npz"
    return _of_arrays(source, named) if of_arrays else _of_columns(source, named)


def cases(
    key: Key, given: Given, *, unseen: str | None = None, test: str | None = None
) -> tuple[list[Case], tuple[str, ...]]:
    """The diagnoses that the data allow, and what a user should know of them.

    Args:
      key: source of randomness: of what stands for validation where that is not known.
      given: the data.
      unseen: the unseen domain; None, of data without predictions, for each in turn.
      test: a second unseen domain.

    Raises:
      ValueError: if there is no such domain, or there are predictions and no unseen domain is named.
    """
    names = np.unique(given.domains).tolist()
    for option, name in (("unseen", unseen), ("test", test)):
        if name is not None and name not in names:
            raise ValueError(f"there is no domain {name!r} to be {option}; there are {listed(names, limit=10)}")
    if len(names) < 3:
        raise ValueError(f"two source domains and an unseen one are needed, got {listed(names)} alone")
    if unseen is None and (given.predictions is not None or test is not None):
        raise ValueError(
            "which domain has the model not seen? Name it by unseen=, --unseen in commands; there are"
            f" {listed(names, limit=10)}"
        )
    notices = []
    trained_on = given.trained_on
    if trained_on is None:
        _, cells = np.unique(np.stack([given.domains, given.labels.astype(str)]), axis=1, return_inverse=True)
        trained_on = stratified_folds(key, cells.ravel(), _VALIDATION_SHARE) > 0
        told = "if the model was trained on them too, its error in the source domains is larger than it seems"
        notices.append(
            "No column tells what was trained on: a fifth of the source examples stands for further ones"
            + ("." if given.predictions is None else f"; {told}.")
        )
    if given.predictions is None:
        notices.append("There are no predictions: the model is a logistic regression on the source examples.")
    chosen = [unseen] if unseen is not None else names
    return [_case(given, trained_on, name, test) for name in chosen], tuple(notices)


def _case(given: Given, trained_on: np.ndarray, unseen: str, test: str | None) -> Case:
    is_source = ~np.isin(given.domains, [unseen] if test is None else [unseen, test])
    masks = [is_source & trained_on, is_source & ~trained_on, given.domains == unseen]
    masks += [] if test is None else [given.domains == test]
    for mask, what in zip(masks, ("to train on", "for validation"), strict=False):
        if not mask.any():
            raise ValueError(f"there are no source examples {what}: look at the column of the split")
    predictions = given.predictions
    if predictions is None:
        predictions = _predicted(given, masks[0])
    parts = [Features(given.x[mask], given.labels[mask], given.domains[mask], predictions[mask]) for mask in masks]
    return Case(unseen, tuple(parts))


def _predicted(given: Given, trained_on: np.ndarray) -> np.ndarray:
    """The classes that a regression says which is fitted to some of the examples."""
    labels = class_labels(given.labels, name="labels", to_learn=True)
    everything = Rows(given.x, labels.codes, np.zeros(len(given.x), int), None)
    (scaled,) = standardized([everything.taken(np.flatnonzero(trained_on))], everything)[1:]
    fitted = converged_probes(scaled.x, labels.codes[None], trained_on[None])
    return labels.names[np.asarray(linear_models.probabilities(fitted, scaled.x))[0].argmax(-1)]


def _of_arrays(source: Source, named: dict[str, str | None]) -> Given:
    path = source.data
    assert path is not None
    arrays = read_arrays(path, remedy=_EXPECTED)
    found: dict[str, np.ndarray | None] = {}
    for role, name in {"x": source.x, "y": source.y, **named}.items():
        known = (name,) if name is not None else _NAMES[role]
        found[role] = next((arrays[one] for one in known if one in arrays), None)
        if found[role] is None and (name is not None or role in ("x", "y", "domain")):
            raise ValueError(f"{path} lacks {known[0]}: it has {', '.join(arrays) or 'no arrays'}; {_EXPECTED}")
    try:
        table = as_table(found["x"], found["y"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if table.x.ndim != 2:
        raise ValueError(f"{path}: x must be of shape (examples, features), got {table.x.shape}")
    for role in ("domain", "prediction", "split"):
        values = found[role]
        if values is not None and len(np.atleast_1d(values)) != len(table.x):
            raise ValueError(f"{path}: {role} must be one for each of the {len(table.x)} examples, got {values.shape}")
    return _given(table, found["domain"], found["prediction"], found["split"])


def _of_columns(source: Source, named: dict[str, str | None]) -> Given:
    whole = source.read(labelled=True)
    encoding = whole.encoding
    held = [] if encoding is None else [*(column.name for column in encoding.columns), *encoding.ignored]
    columns: dict[str, str] = {}
    for role, name in named.items():
        known = (name,) if name is not None else _NAMES[role]
        present = [one for one in known if one in held]
        if present:
            columns[role] = present[0]
        elif name is not None or role == "domain":
            raise ValueError(
                f"{source.data}: there is no column {known[0]!r}; it has {listed(held, limit=20)}: name that of the"
                f" {role}s by {role}=, --{role} in commands"
            )
    table = dataclasses.replace(source, drop=(*source.drop, *columns.values())).read(labelled=True)

    def read(role: str) -> np.ndarray | None:
        if role not in columns:
            return None
        free = tuple(name for name in source.drop if name != columns[role])
        return dataclasses.replace(source, label=columns[role], drop=free).read(labelled=True).y

    return _given(table, read("domain"), read("prediction"), read("split"))


def _given(table: Table, domains: np.ndarray | None, predictions: np.ndarray | None, split: np.ndarray | None) -> Given:
    assert table.y is not None
    assert domains is not None
    texts = np.array([text_of(value) for value in domains.tolist()])
    trained_on = None
    if split is not None:
        trained_on = np.array([text_of(value).strip().lower() in _TRAINED_ON for value in split.tolist()])
    return Given(table.x, table.y, texts, predictions, trained_on, table.notices)
