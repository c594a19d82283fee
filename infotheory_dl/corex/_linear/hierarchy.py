"""Layers of linear CorEx: factors of factors."""

from collections.abc import Sequence
from typing import Unpack, cast

import jax
from jaxtyping import Array, Int

from infotheory_dl._validation import edge
from infotheory_dl.corex._linear.fitting import LinearSettings, fit
from infotheory_dl.corex._linear.model import LinearCorex, transform
from infotheory_dl.corex.assignment import clusters
from infotheory_dl.types import AnyTable, Key

_OF_THE_TABLE = ("preprocessing", "missing", "missing_value", "on_constant")


@edge
def fit_hierarchy(
    key: Key, x: AnyTable, layers: Sequence[int], **settings: Unpack[LinearSettings]
) -> tuple[LinearCorex, ...]:
    """Fits linear CorEx to a table, then to the factors of that, and so on.

    Args:
      key: source of randomness.
      x: one row for each sample.
      layers: number of factors in each layer, from the table upwards.
      settings: as in `fit`; those of the table count in the first layer.

    Returns:
      The fits, from the table upwards: the variables of each are the factors of the one before.

    Raises:
      TypeError, ValueError: as `fit`; ValueError if there are no layers.

    Source: Steeg and Galstyan, 2014.
    """
    if not layers:
        raise ValueError("a hierarchy needs at least one layer, got none")
    of_factors = cast(LinearSettings, {name: value for name, value in settings.items() if name not in _OF_THE_TABLE})
    keys = jax.random.split(key, len(layers))
    models = [fit(keys[0], x, layers[0], **settings)]
    values = transform(
        models[0], x, missing=settings.get("missing", "refuse"), missing_value=settings.get("missing_value")
    )
    for key_layer, num_factors in zip(keys[1:], layers[1:], strict=True):
        models.append(fit(key_layer, values, num_factors, **of_factors))
        values = transform(models[-1], values)
    return tuple(models)


def hierarchy_clusters(models: Sequence[LinearCorex]) -> tuple[Int[Array, " variables"], ...]:
    """Assigns every variable of the table to one factor in each layer, through the factor of the layer below.

    Args:
      models: of `fit_hierarchy`.

    Returns:
      For each layer the number of a factor for each variable; variables that share one share those above it.
    """
    assigned = clusters(models[0])
    layers = [assigned]
    for model in models[1:]:
        assigned = clusters(model)[assigned]
        layers.append(assigned)
    return tuple(layers)
