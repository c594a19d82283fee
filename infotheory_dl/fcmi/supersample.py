"""Supersamples, and the selections that split them into training and ghost examples.

A supersample is a table of n rows and two columns of examples, stored flat: entry 2i + c is column c of row i. The
selection S of a run takes entry 2i + S_i of every row for training and leaves the other, the ghost, for testing.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Int8, Shaped

from infotheory_dl._validation import edge, require_choice, require_count
from infotheory_dl.data import random_subset, select_classes
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key

Design = Literal["iid", "antithetic", "paired"]
Selection = Int[AnyArray, "*runs rows"] | Bool[AnyArray, "*runs rows"]

MAX_ENUMERATED_ROWS = 10
"""All selections are 2^n: beyond this many rows they are too many to train on each."""


@concise
class Supersample(NamedTuple):
    """2n examples in n rows of two.

    Attributes:
      inputs: the examples; entry 2i + c is column c of row i.
      labels: their classes.
    """

    inputs: Shaped[np.ndarray, "entries *features"]
    labels: Int[np.ndarray, " entries"]


@edge
def make_supersample(
    key: Key,
    x: Shaped[AnyArray, "pool *features"],
    y: Int[AnyArray, " pool"],
    n: int,
    *,
    classes: Sequence[int] | None = None,
) -> Supersample:
    """Draws 2n examples without replacement. A smaller supersample is the head of a larger one of the same key.

    Args:
      key: source of randomness.
      x: inputs of the pool.
      y: their labels.
      n: number of rows, the size of the training sets.
      classes: labels to keep, which become 0, 1, … in this order; all of them, as they are, by default.

    Raises:
      ValueError: if the pool is smaller than 2n, or a class is given twice or has no examples.
    """
    if classes is not None:
        x, y, _ = select_classes(x, y, classes)
    _require_pool(n, len(y))
    chosen = random_subset(key, x, y, 2 * n)
    return Supersample(chosen.x, chosen.y)


@edge
def make_supersample_legacy(
    seed: int,
    x: Shaped[AnyArray, "pool *features"],
    y: Int[AnyArray, " pool"],
    n: int,
    *,
    classes: Sequence[int] | None = (4, 9),
    fraction: float = 0.8,
) -> Supersample:
    """Draws the supersample that the published experiments drew with this seed.

    Args:
      seed: of the supersample, 0 to 4 there.
      x: inputs of the whole training file, in its original order, which other distributions of a data set may change.
      y: their labels.
      n: number of rows.
      classes: labels to keep, which become 0, 1, …: 4 and 9 of MNIST; None keeps all.
      fraction: share of the file that is drawn from; 1 where all of it is needed.

    Raises:
      ValueError: as in `legacy_indices`.

    Source: Harutyunyan et al., 2021, and their published code.
    """
    indices = legacy_indices(seed, y, n, classes=classes, fraction=fraction)
    labels = np.asarray(y)[indices]
    if classes is not None:
        labels = (labels[:, None] == np.asarray(classes)).argmax(axis=1).astype(labels.dtype)
    return Supersample(np.asarray(x)[indices], labels)


@edge
def legacy_indices(
    seed: int,
    y: Int[AnyArray, " pool"],
    n: int,
    *,
    classes: Sequence[int] | None = (4, 9),
    fraction: float = 0.8,
) -> Int[np.ndarray, " entries"]:
    """Places, in the original training file, of the examples of `make_supersample_legacy`.

    Args:
      seed, y, n, classes, fraction: as there.

    Raises:
      ValueError: if fewer than 2n examples of these classes are in the drawn share of the file.
    """
    labels = np.asarray(y)
    pool = _legacy_generator(seed).permutation(len(labels))[: int(fraction * len(labels))]
    if classes is not None:
        pool = pool[np.isin(labels[pool], classes)]
    _require_pool(n, len(pool))
    return pool[_legacy_generator(seed).choice(len(pool), 2 * n, replace=False)]


@edge
def draw_selection(key: Key, runs: int, n: int, *, design: Design = "iid") -> Int8[Array, "runs rows"]:
    """Draws the selections of some runs: fair coins in every row.

    Args:
      key: source of randomness.
      runs: number of selections.
      n: number of rows.
      design: "iid"; "antithetic" (each odd run takes the complement of the run before it, so that every row is
        balanced; runs must be even); or "paired" (blocks of n + 1 runs: independent coins, followed by the n
        selections that differ from them in one row, for `conditional_fcmi`; runs must be a multiple of n + 1).

    Raises:
      ValueError: if the number of runs does not fit the design, or there are no runs or rows.
    """
    require_choice("design", design, ("iid", "antithetic", "paired"))
    require_count(1, runs=runs, n=n)
    block = {"iid": 1, "antithetic": 2, "paired": n + 1}[design]
    if runs % block:
        raise ValueError(f"runs must be a multiple of {block} in the {design} design of {n} rows, got {runs}")
    coins = jax.random.bernoulli(key, shape=(runs // block, 1, n))
    changes = {
        "iid": jnp.zeros((1, n), bool),
        "antithetic": jnp.array([[False], [True]]),
        "paired": jnp.eye(n + 1, n, k=-1, dtype=bool),
    }
    return (coins ^ changes[design]).reshape(runs, n).astype(jnp.int8)


@edge
def draw_selection_legacy(seeds: Sequence[int] | Int[AnyArray, " runs"], n: int) -> Int8[np.ndarray, "runs rows"]:
    """Draws the selections that the published experiments drew with these seeds, one for each run."""
    return np.stack([_legacy_generator(int(seed)).randint(2, size=n) for seed in seeds]).astype(np.int8)


@edge
def enumerate_selections(n: int) -> Int8[Array, "runs rows"]:
    """All 2^n selections of n rows; bit i of the number of a run is its choice in row i.

    Raises:
      ValueError: if n is not in [1, 10].
    """
    require_enumerable(n)
    return ((jnp.arange(2**n)[:, None] >> jnp.arange(n)) & 1).astype(jnp.int8)


@edge
def training_rows(selection: Selection) -> Int[Array, "*runs rows"]:
    """Entries of the supersample that are trained on, 2i + S_i."""
    selection = jnp.asarray(selection).astype(int)
    return 2 * jnp.arange(selection.shape[-1]) + selection


@edge
def ghost_rows(selection: Selection) -> Int[Array, "*runs rows"]:
    """Entries of the supersample that are left out, 2i + 1 - S_i."""
    return training_rows(1 - jnp.asarray(selection).astype(int))


def require_enumerable(n: int) -> None:
    """Raises a ValueError if the rows are too many, or none."""
    require_count(1, MAX_ENUMERATED_ROWS, "the rows of which all selections can be enumerated", n=n)


def _legacy_generator(seed: int) -> np.random.RandomState:
    # the published draws are of this generator
    return np.random.RandomState(seed)


def _require_pool(n: int, pool: int) -> None:
    if not 2 <= 2 * n <= pool:
        raise ValueError(f"a supersample of n = {n} rows needs 2n = {2 * n} examples, but the pool has {pool}")
