"""Examples of several domains, checked, in an order that depends on nothing but what they are, and parted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from infotheory_dl._validation import (
    class_labels,
    real_array,
    require_finite,
    require_not_empty,
    require_rank,
    to_numpy,
)
from infotheory_dl.data import Features, pixel_moments, standardize, stratified_folds
from infotheory_dl.data.preprocessing import network_inputs
from infotheory_dl.types import Key

# of a domain, or of a class within one
FEWEST = 10
NUM_TENTHS = 10


class Rows(NamedTuple):
    """Examples of some domains.

    Attributes:
      x: representations.
      classes: codes.
      domains: codes.
      right: whether the model classifies each right; None without predictions.
    """

    x: Float[np.ndarray, "rows features"]
    classes: Int[np.ndarray, " rows"]
    domains: Int[np.ndarray, " rows"]
    right: Bool[np.ndarray, " rows"] | None

    def taken(self, order: np.ndarray) -> "Rows":
        """Some of the rows."""
        right = None if self.right is None else self.right[order]
        return Rows(self.x[order], self.classes[order], self.domains[order], right)


class Names(NamedTuple):
    """What the codes stand for.

    Attributes:
      classes: of the training examples.
      sources: domains of the training examples.
    """

    classes: Shaped[np.ndarray, " classes"]
    sources: Shaped[np.ndarray, " sources"]


def source_rows(name: str, given: Features, names: Names | None = None) -> tuple[Rows, Names]:
    """The examples of source domains.

    Args:
      name: what errors call them.
      given: as they are given.
      names: of the classes and the sources, where they are known; else those that occur.

    Raises:
      ValueError: if they are not as they must be, naming what.
    """
    x = _representations(name, given)
    classes = class_labels(
        given.labels,
        name=f"{name}.labels",
        names=None if names is None else names.classes,
        num_examples=len(x),
        to_learn=names is None,
    )
    domains = class_labels(
        given.domains,
        name=f"{name}.domains",
        names=None if names is None else names.sources,
        num_examples=len(x),
    )
    if len(domains.names) < 2:
        only = domains.names[0].item()
        raise ValueError(f"{name}.domains must be of two source domains at least, got {only!r} alone")
    found = Names(classes.names, domains.names)
    right = _right(name, given.predictions, classes.codes, found.classes)
    return Rows(x, classes.codes, domains.codes, right), found


def unseen_rows(name: str, given: Features, names: Names, others: tuple[Any, ...] = ()) -> tuple[Rows, Any]:
    """The examples of one unseen domain, whose code is the number of the sources and of the others, and its name.

    Args:
      name: what errors call them.
      given: as they are given.
      names: of the classes and the sources.
      others: names of other unseen domains.

    Raises:
      ValueError: if they are not as they must be, naming what.
    """
    x = _representations(name, given)
    labels = class_labels(given.labels, name=f"{name}.labels", names=names.classes, num_examples=len(x))
    domains = class_labels(given.domains, name=f"{name}.domains", num_examples=len(x))
    if len(domains.names) > 1:
        first, second, *_ = (domain.item() for domain in domains.names)
        raise ValueError(
            f"{name}.domains must be of one unseen domain, got {len(domains.names)} of them, {first!r} and {second!r}"
            " first: give each by itself, a second one as test"
        )
    domain = domains.names[0].item()
    known = [*names.sources.tolist(), *others]
    if domain in known:
        raise ValueError(f"{name}.domains must be of a domain that is not among the others, got {domain!r}")
    if len(x) < 2 * FEWEST:
        raise ValueError(f"{name} must have {2 * FEWEST} examples at least, a tenth to be held out, got {len(x)}")
    right = _right(name, given.predictions, labels.codes, names.classes)
    return Rows(x, labels.codes, np.full(len(x), len(known)), right), domain


def require_same_features(**rows: Rows) -> None:
    """Raises a ValueError if representations differ in length."""
    (first, expected), *others = rows.items()
    for name, other in others:
        if other.x.shape[1] != expected.x.shape[1]:
            raise ValueError(
                f"{name}.representations must have {expected.x.shape[1]} features as those of {first}, got"
                f" {other.x.shape[1]}"
            )


def in_order(rows: Rows) -> Rows:
    """The rows in an order that neither their places, nor those of the columns, nor units have a part in.

    It is that of their distances from the mean in standard deviations. Rows at the same distance, and the sums that the
    mean and the standard deviation are, follow the bits of the rows.
    """
    # zero has one form
    bits = (np.ascontiguousarray(rows.x, float) + 0.0).view(np.uint64)
    factors = np.random.default_rng(0).integers(1 << 62, size=bits.shape[1], dtype=np.uint64) * 2 + 1
    digest = ((bits ^ (bits >> np.uint64(32))) * factors).sum(1, dtype=np.uint64)
    for column in (rows.classes, rows.domains, rows.right):
        if column is not None:
            digest = digest * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64)
    rows = rows.taken(np.argsort(digest, kind="stable"))
    scaled = standardize(rows.x, *pixel_moments(rows.x, per="pixel"), dtype=float)
    return rows.taken(np.argsort(np.square(scaled).sum(1), kind="stable"))


def tenths(key: Key, rows: Rows) -> Int[np.ndarray, " rows"]:
    """The tenth, in [0, 10), of every row; each has its share of every class in every domain."""
    _, cells = np.unique(rows.domains * (rows.classes.max() + 1) + rows.classes, return_inverse=True)
    # numbered as they come first, so that the names of classes and domains have no part in it
    _, first, codes = np.unique(cells, return_index=True, return_inverse=True)
    return stratified_folds(key, np.argsort(np.argsort(first))[codes], NUM_TENTHS)


def tenths_by_place(rows: Rows) -> Int[np.ndarray, " rows"]:
    """The rows 0, 10, 20, ... are the first tenth, and so on."""
    return np.arange(len(rows.x)) % NUM_TENTHS


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several parts; of the first the model may say nothing."""
    right = [np.zeros(len(part.x), bool) if part.right is None else part.right for part in parts]
    x, classes, domains = (np.concatenate([part[column] for part in parts]) for column in range(3))
    return Rows(x, classes, domains, np.concatenate(right))


def standardized(parts: Sequence[Rows], *others: Rows) -> list[Rows]:
    """The rows of all in units of the parts, to which probes are fitted, so that no penalty depends on units."""
    moments = pixel_moments(np.concatenate([part.x for part in parts]), per="pixel")
    return [rows._replace(x=network_inputs(rows.x, moments)) for rows in (*parts, *others)]


def _representations(name: str, given: Features) -> np.ndarray:
    if not isinstance(given, Features):
        raise TypeError(f"{name} must be Features(representations, labels, domains, predictions), got {type(given)}")
    x = np.asarray(real_array(f"{name}.representations", given.representations))
    require_rank(f"{name}.representations", x, 2, "(examples, features)")
    require_not_empty(**{f"{name}.representations": x})
    require_finite(**{f"{name}.representations": x})
    return x


def _right(name: str, predictions: Any, codes: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
    """Whether the predictions, classes or outputs for all of them, are the labels."""
    if predictions is None:
        return None
    held = to_numpy(predictions)
    if held.ndim == 1:
        return class_labels(held, name=f"{name}.predictions", names=classes, num_examples=len(codes)).codes == codes
    if held.shape != (len(codes), len(classes)):
        raise ValueError(
            f"{name}.predictions must be classes, of shape {(len(codes),)}, or outputs for each of the {len(classes)}"
            f" classes, of shape {(len(codes), len(classes))}, got {held.shape}"
        )
    outputs = np.asarray(real_array(f"{name}.predictions", held))
    require_finite(**{f"{name}.predictions": outputs})
    return outputs.argmax(1) == codes
