"""Examples that are there twice: the same, or nearly, within a class and across classes, and in held-out examples."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl import data
from infotheory_dl.audit.columns import features_alone
from infotheory_dl.audit.examples import Examples
from infotheory_dl.information.neighbours import near_copies
from infotheory_dl.results import concise
from infotheory_dl.types import Key

LEVEL = 0.05
_FEWEST = 20
_TAKES_VALUES = 0.5  # a column of fewer distinct values, of the rows, is not continuous


@concise
class Copies(NamedTuple):
    """Pairs of examples that are nearer to each other than independent draws are.

    Attributes:
      first: places of the examples among the audited or, of leaks, the held-out ones.
      second: of what they are copies of, among the audited ones.
      distance: between the two, in standardized units; zero for the same.
      p_value: probability of so near a neighbour among independent draws.
      across: whether the labels of the two differ.
      looked_at: how many examples were.
      by_chance: how many pairs the same rule finds in a table whose columns are shuffled, each by itself, within the
        classes. Zero of images and of columns that all are continuous, where the level holds without.
    """

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    distance: Float[np.ndarray, " pairs"]
    p_value: Float[np.ndarray, " pairs"]
    across: Bool[np.ndarray, " pairs"]
    looked_at: int
    by_chance: int

    @property
    def same(self) -> Bool[np.ndarray, " pairs"]:
        """Which pairs are the same to the last digit."""
        return self.distance == 0


def find_copies(key: Key, examples: Examples, table: data.Table) -> Copies:
    """Pairs of audited examples; none where a table of shuffled columns has as many.

    The level is that of Benjamini and Hochberg: where there is no copy, one is found with a probability of 5 %. Rows of
    few distinct values are alike by chance too. Of these as many pairs are named as there are in the table that are 20
    times as many as in a shuffled one.
    """
    rows = examples.inputs.reshape(len(examples.inputs), -1)
    if len(rows) < _FEWEST:
        return _none(len(rows))
    found = near_copies(rows)
    limit, shuffled = _limit(found.p_value), None
    if examples.feature_names is not None and _takes_values(rows):
        shuffled = near_copies(_shuffled(key, rows, examples.labels, table)).p_value
        limit = min(limit, _limit_by_decoys(found.p_value, shuffled))
    chosen = np.flatnonzero(found.p_value <= limit)
    pairs, places = np.unique(
        np.sort(np.stack([chosen, found.neighbour[chosen]], axis=1), axis=1), axis=0, return_index=True
    )
    return Copies(
        pairs[:, 0],
        pairs[:, 1],
        found.distance[chosen][places],
        found.p_value[chosen][places],
        examples.labels[pairs[:, 0]] != examples.labels[pairs[:, 1]],
        looked_at=len(rows),
        by_chance=0 if shuffled is None else int((shuffled <= limit).sum()),
    )


def find_leaks(examples: Examples) -> Copies:
    """Held-out examples that are copies of audited ones."""
    rows = examples.inputs.reshape(len(examples.inputs), -1)
    others = examples.held_out_inputs.reshape(len(examples.held_out_inputs), -1)
    if len(rows) < _FEWEST:
        return _none(len(others))
    found = near_copies(others, rows)
    chosen = np.flatnonzero(found.p_value <= _limit(found.p_value))
    return Copies(
        chosen,
        found.neighbour[chosen],
        found.distance[chosen],
        found.p_value[chosen],
        examples.held_out_labels[chosen] != examples.labels[found.neighbour[chosen]],
        looked_at=len(others),
        by_chance=0,
    )


def _none(looked_at: int) -> Copies:
    nothing = np.zeros(0)
    return Copies(
        nothing.astype(int), nothing.astype(int), nothing, nothing, nothing.astype(bool), looked_at, by_chance=0
    )


def _limit(p_values: Float[np.ndarray, " examples"]) -> float:
    """The greatest p-value of a discovery by Benjamini and Hochberg's rule among those that are not the same."""
    from scipy.stats import false_discovery_control

    nearly = p_values[p_values > 0]
    return float(np.max(nearly[false_discovery_control(nearly) <= LEVEL], initial=0.0)) if len(nearly) else 0.0


def _limit_by_decoys(p_values: Float[np.ndarray, " examples"], decoys: Float[np.ndarray, " examples"]) -> float:
    """The greatest p-value up to which the decoys are no more than the level's share of the examples."""
    ordered = np.sort(p_values)
    number = np.searchsorted(ordered, ordered, side="right")
    false = np.searchsorted(np.sort(decoys), ordered, side="right")
    return float(np.max(ordered[false <= LEVEL * number], initial=-1.0))


def _takes_values(rows: Float[np.ndarray, "examples features"]) -> bool:
    """Whether some column is of few distinct values, so that rows may be alike by chance."""
    ordered = np.sort(rows, axis=0)
    distinct = 1 + (ordered[1:] > ordered[:-1]).sum(0)
    return bool((distinct < _TAKES_VALUES * len(rows)).any())


def _shuffled(
    key: Key, rows: Float[np.ndarray, "examples features"], labels: Int[np.ndarray, " examples"], table: data.Table
) -> Float[np.ndarray, "examples features"]:
    """The rows with each column of the table permuted by itself within the classes."""
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
    places = np.argsort(labels, kind="stable")
    sizes = [1] * rows.shape[1]
    encoding = features_alone(table).encoding
    if encoding is not None:
        sizes = [len(column.features) for column in encoding.columns if column.features]
    shuffled, first = np.empty_like(rows), 0
    for size in sizes:
        drawn = np.lexsort((random.random(len(rows)), labels))
        shuffled[places, first : first + size] = rows[drawn, first : first + size]
        first += size
    return shuffled
