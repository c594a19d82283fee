"""Whether examples that follow one another are alike: then they are no independent draws."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.audit.examples import Examples
from infotheory_dl.information.chance import permutation_null
from infotheory_dl.metrics import serial_correlation
from infotheory_dl.results import concise
from infotheory_dl.types import Key

_PERMUTATIONS = 199
_DIRECTIONS = 16


@concise
class OrderEffect(NamedTuple):
    """How much successive examples have in common.

    Attributes:
      observed: of the order in which the examples are.
      expected: mean over random orders.
      p_value: share of the random orders, the given one among them, that have as much in common.
    """

    observed: float
    expected: float
    p_value: float


@concise
class OrderEffects(NamedTuple):
    """How much successive examples have in common.

    Attributes:
      labels: share of the examples that have the label of the one before.
      inputs: serial correlation of the inputs within the classes.
      margins: serial correlation of the margins within the classes, by their ranks: whether suspects stand together.
    """

    labels: OrderEffect
    inputs: OrderEffect
    margins: OrderEffect


def order_effects(
    key: Key,
    examples: Examples,
    coordinates: Float[np.ndarray, "examples directions"],
    margins: Float[np.ndarray, " examples"],
) -> OrderEffects:
    """Compares the examples, in their order in the data, with random orders."""
    order = np.argsort(examples.indices)
    labels = examples.labels[order]
    ranks = np.argsort(np.argsort(margins[order]))[:, None].astype(np.float32)
    keys = jax.random.split(key, 3)
    is_repeated = lambda x, y: jnp.mean(jnp.asarray(x[1:] == x[:-1], float))
    return OrderEffects(
        _effect(keys[0], is_repeated, labels, None),
        within_groups(keys[1], coordinates[order], labels),
        within_groups(keys[2], ranks, labels),
    )


def within_groups(
    key: Key, values: Float[np.ndarray, "examples columns"], groups: Int[np.ndarray, " examples"]
) -> OrderEffect:
    """The serial correlation of leading columns within the groups, of examples in their order."""
    return _effect(key, lambda x, y, given: serial_correlation(x, given), values[:, :_DIRECTIONS], groups)


def most_alike(order: Sequence[tuple[str, OrderEffect]]) -> tuple[str, float]:
    """In what successive examples are most alike, and how probable as much would be by chance in any of them.

    Source: Bonferroni, 1936.
    """
    name, effect = min(order, key=lambda named: named[1].p_value)
    return name, min(1.0, len(order) * effect.p_value)


def _effect(key: Key, measure: Callable[..., Any], values: np.ndarray, given: np.ndarray | None) -> OrderEffect:
    places = np.arange(len(values))
    found = permutation_null(key, measure, values, places, given=given, num_permutations=_PERMUTATIONS)
    return OrderEffect(float(found.information), float(found.mean), float(found.p_value))
