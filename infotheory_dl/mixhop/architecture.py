"""How wide every power of every layer is: by ratios, by what a lasso has left of a wide network, and as JSON."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._files import write_text
from infotheory_dl._validation import (
    edge,
    require_choice,
    require_count,
    require_not_empty,
    require_not_negative,
    require_positive,
)
from infotheory_dl.mixhop import networks, propagated
from infotheory_dl.mixhop.losses import column_norms
from infotheory_dl.mixhop.nodes import NodeRuns
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

Scope: TypeAlias = Literal["layer", "global"]

_NETWORKS = (networks.MixHop, networks.GCN, networks.MLP, networks.NGCN, propagated.SGC, propagated.SIGN)


@concise
class Shrunk(NamedTuple):
    """What is left of a network whose columns were chosen by their norms.

    `network.clone(powers=shrunk.powers, widths=shrunk.widths)` is the network to train anew.

    Attributes:
      powers: of the adjacency, ascending.
      widths: for each layer, how many columns each power keeps.
      norms: for each layer and power, the norms of all columns.
      thresholds: for each layer, the norm of the weakest column that is kept.
      seed: the training whose columns they are.
    """

    powers: tuple[int, ...]
    widths: tuple[tuple[int, ...], ...]
    norms: tuple[tuple[Float[np.ndarray, " _"], ...], ...]
    thresholds: Float[np.ndarray, " layers"]
    seed: int


@edge
def shrink(
    runs: NodeRuns,
    *,
    target_width: int | Sequence[int],
    scope: Scope = "layer",
    num_classes: int | None = None,
    seed: int | None = None,
) -> Shrunk:
    """Finds how wide every power is to be, from a wide network that was trained with a lasso: its strongest columns.

    The strength of a column is its norm. Columns that are exactly zero, as those of a proximal lasso, are never kept.

    Args:
      runs: trainings of a `MixHop`.
      target_width: columns that a layer is to keep; one number for all layers, or one for each.
      scope: whether every "layer" keeps so many, or all layers together ("global") as many as these are in sum, by one
        threshold.
      num_classes: of a network whose head is a weighted sum. Its last layer then keeps a multiple of it, the largest
        that is not above its target, so that no column is unused.
      seed: the training to look at; by default the first of the best by validation accuracy.

    Returns:
      The widths.

    Raises:
      ValueError: if there are fewer columns than are to be kept, if a layer would keep none, or the last one fewer than
        there are classes.

    Source: Abu-El-Haija et al., 2019 (section on learning architectures).
    """
    require_choice("scope", scope, ("layer", "global"))
    require_count(1, num_classes=num_classes)
    require_count(0, len(runs.best_step) - 1, seed=seed)
    chosen = int(np.argmax(runs.validation_accuracy)) if seed is None else seed
    powers, norms = _norms(runs, chosen)
    targets = [target_width] * len(norms) if isinstance(target_width, int) else list(target_width)
    if len(targets) != len(norms):
        raise ValueError(f"target_width must be one number, or one for each of the {len(norms)} layers, got {targets}")
    sizes = [sum(map(len, of_layer)) for of_layer in norms]
    for layer, (target, size) in enumerate(zip(targets, sizes, strict=True)):
        require_count(1, size, f"the columns of layer {layer}", target_width=target)

    joined = [np.concatenate(of_layer) for of_layer in norms]
    if scope == "global":
        # of all layers the strongest, and of each as many as are among them
        limits = np.cumsum(sizes)
        layers = np.repeat(np.arange(len(sizes)), np.diff(limits, prepend=0))
        strongest = np.argsort(-np.concatenate(joined), kind="stable")[: sum(targets)]
        targets = np.bincount(layers[strongest], minlength=len(sizes)).tolist()
    if num_classes is not None:
        targets[-1] = targets[-1] // num_classes * num_classes
    widths, thresholds = [], []
    for layer, (target, strength, of_layer) in enumerate(zip(targets, joined, norms, strict=True)):
        kept = np.argsort(-strength, kind="stable")[:target]
        kept = kept[strength[kept] > 0]
        is_last = layer == len(norms) - 1
        if is_last and num_classes is not None:
            kept = kept[: len(kept) // num_classes * num_classes]
        if not len(kept):
            needed = f"the {num_classes} that the weighted sum needs" if is_last and num_classes else "one"
            raise ValueError(
                f"layer {layer} would keep fewer columns than {needed}: take a smaller lasso, or more columns"
            )
        ends = np.cumsum([len(of_power) for of_power in of_layer])
        widths.append(tuple(np.bincount(np.searchsorted(ends, kept, side="right"), minlength=len(powers)).tolist()))
        thresholds.append(strength[kept].min())
    return Shrunk(powers, tuple(widths), norms, np.array(thresholds), chosen)


def _norms(runs: NodeRuns, seed: int) -> tuple[tuple[int, ...], tuple[tuple[np.ndarray, ...], ...]]:
    """The powers in ascending order, and the norms of their columns in every layer."""
    params = runs.variables["params"]
    layers = sorted((name for name in params if name.startswith("layer_")), key=lambda name: int(name[6:]))
    powers = tuple(sorted(int(name[6:]) for name in params[layers[0]] if name.startswith("power_")))
    norms = tuple(
        tuple(np.asarray(column_norms(params[layer][f"power_{power}"][seed])) for power in powers) for layer in layers
    )
    return powers, norms


@edge
def split_width(total: int, ratios: Float[AnyArray, " powers"]) -> Int[np.ndarray, " powers"]:
    """Divides columns among powers: each has its share, rounded to the nearest, halves to the even; the last the rest.

    Args:
      total: columns.
      ratios: of the powers, not negative, of any sum.

    Raises:
      ValueError: if the ratios are none, negative, or all zero, or rounding leaves the last power less than nothing.

    Source: the published code of Abu-El-Haija et al., 2019.
    """
    require_count(1, total=total)
    require_not_empty(ratios=ratios)
    require_not_negative(ratios=ratios)
    shares = np.asarray(ratios, float)
    require_positive(**{"the sum of the ratios": shares.sum()})
    widths = np.round(shares * total / shares.sum()).astype(int)
    widths[-1] = total - widths[:-1].sum()
    if widths[-1] < 0:
        raise ValueError(f"{total} columns are too few for the ratios {shares.tolist()}: the last power has none left")
    return widths


def save_architecture(path: str | os.PathLike[str], network: Any) -> None:
    """Writes a network of this room, its settings without parameters, as JSON.

    Raises:
      TypeError: if the network is none of this room.
      OSError: if the file cannot be written.
    """
    write_text(path, architecture_text(network))


def architecture_text(network: Any) -> str:
    """The settings of a network as JSON; a TypeError says that it is none of this room."""
    if type(network) not in _NETWORKS:
        raise TypeError(f"an architecture is one of {_names()}, got {type(network).__name__}")
    settings = {name: getattr(network, name) for name in _fields(type(network))}
    return json.dumps({"network": type(network).__name__, **settings}, indent=2) + "\n"


def load_architecture(path: str | os.PathLike[str]) -> Any:
    """Reads a network that `save_architecture` has written. A file names settings; nothing of it is run.

    Raises:
      ValueError: if the file holds no such thing.
      OSError: if it cannot be read.
    """
    try:
        settings = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): an architecture is written by save_architecture") from error
    kinds = {kind.__name__: kind for kind in _NETWORKS}
    if not isinstance(settings, dict) or settings.get("network") not in kinds:
        raise ValueError(f'{path} must be an object whose "network" is one of {_names()}')
    kind = kinds[settings.pop("network")]
    if unknown := sorted(settings.keys() - _fields(kind)):
        raise ValueError(f"{path} has settings that {kind.__name__} does not know: {', '.join(unknown)}")
    try:
        return kind(**{name: _as_tuples(value) for name, value in settings.items()})
    except TypeError as error:
        raise ValueError(f"{path} does not say all of a {kind.__name__}: {error}") from error


def _names() -> str:
    return ", ".join(kind.__name__ for kind in _NETWORKS)


def _fields(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.name not in ("parent", "name")]


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
