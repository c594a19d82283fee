"""What is looked for in the data besides wrong labels, each with its number of false alarms."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from infotheory_dl import data
from infotheory_dl.audit.checks.classes import ClassTable, tabulate_classes
from infotheory_dl.audit.checks.copies import Copies, find_copies, find_leaks
from infotheory_dl.audit.checks.order import OrderEffects, order_effects
from infotheory_dl.audit.checks.outlying import Outlying, find_outlying
from infotheory_dl.audit.checks.sources import Sources, compare_sources
from infotheory_dl.audit.examples import Examples
from infotheory_dl.results import concise
from infotheory_dl.sample_information import LabelErrors
from infotheory_dl.types import Key

__all__ = ["Checks", "ClassTable", "Copies", "OrderEffects", "Outlying", "Sources", "check_data"]


@concise
class Checks(NamedTuple):
    """What an audit found besides wrong labels.

    Attributes:
      copies: pairs of audited examples that are the same, or nearly.
      leaks: pairs of a held-out example and an audited one that are; None where the user held none out.
      outlying: examples that are unlike all others.
      classes: sizes of the classes, and which is taken for which.
      order: whether examples that follow one another are alike.
      sources: how they differ; None where no column is called source or domain.
    """

    copies: Copies
    leaks: Copies | None
    outlying: Outlying
    classes: ClassTable
    order: OrderEffects
    sources: Sources | None


def check_data(
    key: Key,
    examples: Examples,
    table: data.Table,
    leverage: Float[np.ndarray, " examples"],
    coordinates: Float[np.ndarray, "examples directions"],
    margins: Float[np.ndarray, " examples"],
    label_errors: LabelErrors,
) -> Checks:
    """Looks for all of it.

    Args:
      key: source of randomness.
      examples: that are audited.
      table: that they are of.
      leverage: of each example in the audit's linear model, in [0, 1).
      coordinates: leading principal ones of the examples.
      margins, label_errors: of the audit.
    """
    copies_key, order_key, sources_key = jax.random.split(key, 3)
    return Checks(
        find_copies(copies_key, examples, table),
        None if table.held_out is None else find_leaks(examples),
        find_outlying(leverage),
        tabulate_classes(examples, label_errors),
        order_effects(order_key, examples, coordinates, margins),
        compare_sources(sources_key, examples, table, (margins < 0).astype(float)),
    )
