"""Where the examples are from several sources: whether the labels of some are worse."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl import data
from infotheory_dl.audit.columns import SOURCES, groups_by_name
from infotheory_dl.audit.examples import Examples
from infotheory_dl.information.chance import permutation_null
from infotheory_dl.results import concise
from infotheory_dl.types import Key

_PERMUTATIONS = 999


@concise
class Sources(NamedTuple):
    """The sources of the examples.

    Attributes:
      column: that they are named in.
      names: of the sources.
      sizes: examples of each.
      doubt: how much the labels of each are in doubt: the share that is contradicted, that is, of margins below zero;
        of targets that are numbers the mean of the absolute standardized residuals.
      expected: what that would be if labels of the same class were alike in all sources.
      p_value: of each, probability that it exceeds what is expected by as much where they are alike.
      q_value: the same by Benjamini and Hochberg: those below 5 % are false in 5 % of the cases.
    """

    column: str
    names: tuple[str, ...]
    sizes: Int[np.ndarray, " sources"]
    doubt: Float[np.ndarray, " sources"]
    expected: Float[np.ndarray, " sources"]
    p_value: Float[np.ndarray, " sources"]
    q_value: Float[np.ndarray, " sources"]


def sources_of(
    examples: Examples, table: data.Table
) -> tuple[str, tuple[str, ...], Int[np.ndarray, " examples"]] | None:
    """The column of the sources, their names, and which of them each audited example is from.

    None where no column is called source or domain, or those that are audited are of one.
    """
    found = groups_by_name(table, SOURCES)
    if found is None:
        return None
    column, of_all = found
    names, codes = np.unique(of_all[examples.indices], return_inverse=True)
    return (column, tuple(map(str, names)), codes) if len(names) > 1 else None


def compare_sources(
    key: Key, examples: Examples, table: data.Table, doubt: Float[np.ndarray, " examples"]
) -> Sources | None:
    """Compares the mean doubt about labels with that after permutations within the classes; None without sources."""
    found = sources_of(examples, table)
    if found is None:
        return None
    column, names, codes = found
    from scipy.stats import false_discovery_control

    sizes = np.bincount(codes)
    mean = lambda values: np.bincount(codes, values) / sizes
    by_class = np.bincount(examples.labels, doubt) / np.maximum(np.bincount(examples.labels), 1)
    expected = mean(by_class[examples.labels])
    excess = lambda values, places, given: jnp.asarray(mean(values) - expected)
    null = permutation_null(key, excess, doubt, codes, given=examples.labels, num_permutations=_PERMUTATIONS)
    p_value = np.asarray(null.p_value, float)
    return Sources(
        column,
        names,
        sizes,
        mean(doubt),
        expected,
        p_value,
        false_discovery_control(p_value),
    )
