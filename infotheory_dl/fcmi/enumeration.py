"""Bounds from designed runs: every selection there is, or selections that differ in one row."""

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import edge, is_concrete, require_count
from infotheory_dl.fcmi._runs import checked_runs
from infotheory_dl.fcmi.codes import pair_labels
from infotheory_dl.fcmi.formulas import weight_cmi
from infotheory_dl.fcmi.results import Bound
from infotheory_dl.fcmi.supersample import require_enumerable
from infotheory_dl.information.discrete import entropy, information_from_counts, joint_codes, joint_counts
from infotheory_dl.types import AnyArray

Predictions = Int[AnyArray, "*#supersamples runs entries"]
Selection = Int[AnyArray, "*#supersamples runs rows"] | Bool[AnyArray, "*#supersamples runs rows"]


@edge
def exact_fcmi(
    predictions: Predictions, selection: Selection, *, num_classes: int, subset_size: int | None = None
) -> Bound:
    """Bounds the gap by the information of all predictions on a subset of rows: mean of sqrt(2 I / m) over subsets.

    From the runs of `enumerate_selections` this is the bound itself, not an estimate, if the training is a function of
    the selection. Training with randomness of its own needs the enumeration several times over, and the information of
    a finite number of them is too high.

    Args:
      predictions: predicted labels of every run, (runs, 2n) or (supersamples, runs, 2n).
      selection: every selection equally often, (runs, n) or (supersamples, runs, n), n at most 10.
      num_classes: number of labels.
      subset_size: m; all n rows by default. The bound does not decrease in m, and m = 1 is `fcmi`.

    Returns:
      The bound. `per_example` has the information of every subset, in the order of `itertools.combinations`: for m = n
      the information I(predictions; S), which `squared_gap` takes.

    Raises:
      ValueError: as in `fcmi`; if n exceeds 10, not every selection is there equally often, or there is no such subset.

    Source: Harutyunyan et al., 2021.
    """
    runs = checked_runs(selection, predictions=predictions, num_classes=num_classes)
    rows = runs.selection.shape[-1]
    size = rows if subset_size is None else subset_size
    require_count(1, rows, "the number of rows", subset_size=size)
    _require_enumeration(runs.selection)
    pairs = pair_labels(runs.outputs["predictions"], num_classes)
    subsets = jnp.array(list(combinations(range(rows), size)))
    information = jax.vmap(
        lambda pairs, selection: lax.map(
            lambda subset: _joint_information(pairs[:, subset], selection[:, subset], num_classes**2), subsets
        )
    )(pairs, runs.selection)
    return _bound(weight_cmi(information, subset_size=size).mean(-1), information, predictions)


@edge
def conditional_fcmi(predictions: Predictions, selection: Selection, *, num_classes: int, repeats: int = 1) -> Bound:
    """Bounds the gap by the information of a row given the rest of the selection: mean of sqrt(2 I(pair; S_i | S_-i)).

    It is at least the bound of `fcmi`, and measures how much the prediction on an example depends on training on it.

    Args:
      predictions: predicted labels of every run, (runs, 2n) or (supersamples, runs, 2n).
      selection: of `draw_selection(..., design="paired")`, that whole design repeated `repeats` times.
      num_classes: number of labels.
      repeats: how often the design was run, with new randomness of the training each time. With one repeat the
        information of a row is ln 2 whenever its predictions differ, also if they do by that randomness alone.

    Returns:
      The bound and the conditional information of every row.

    Raises:
      ValueError: as in `fcmi`, or if the selection is not of that design.

    Source: Harutyunyan et al., 2021.
    """
    runs = checked_runs(selection, predictions=predictions, num_classes=num_classes)
    supersamples, num_runs, rows = runs.selection.shape
    if repeats < 1 or num_runs % (repeats * (rows + 1)):
        raise ValueError(
            f"the paired design of {rows} rows and {repeats} repeats has a multiple of {repeats * (rows + 1)} runs, got"
            f" {num_runs}"
        )
    blocks = lambda array: array.reshape(supersamples, repeats, -1, rows + 1, rows)
    selection = blocks(runs.selection)
    changes = selection ^ selection[:, :, :, :1]
    if is_concrete(changes) and (
        (changes != jnp.eye(rows + 1, rows, k=-1, dtype=int)).any() or (selection != selection[:, :1]).any()
    ):
        raise ValueError("selection must be of the paired design: blocks of one and its changes in every single row")
    pairs = blocks(pair_labels(runs.outputs["predictions"], num_classes))
    changed = jnp.arange(rows)
    # the runs that agree on all other rows: (supersamples, repeats, bases, rows), without and with the change of a row
    codes = jnp.stack([pairs[:, :, :, 0], pairs[:, :, :, changed + 1, changed]], axis=1)
    codes = codes.reshape(supersamples, 2 * repeats, -1)
    change = jnp.repeat(jnp.arange(2), repeats)[:, None]
    counts = jax.vmap(lambda codes: joint_counts(codes, change, num_codes=num_classes**2))(codes)
    information = information_from_counts(counts).reshape(supersamples, -1, rows).mean(1)
    return _bound(weight_cmi(information).mean(-1), information, predictions)


def _joint_information(
    pairs: Int[Array, "runs subset"], selection: Int[Array, "runs subset"], num_codes: int
) -> Float[Array, ""]:
    """I(pairs; selection) of several rows at once, from entropies, whose tables are no longer than the runs."""
    predicted, selected = joint_codes(pairs, num_codes=num_codes), joint_codes(selection, num_codes=2)
    both = joint_codes(jnp.stack([predicted, selected], axis=1), num_codes=len(pairs))
    count = lambda codes: jnp.bincount(codes, length=len(pairs))
    return jnp.maximum(entropy(count(predicted)) + entropy(count(selected)) - entropy(count(both)), 0)


def _require_enumeration(selection: Int[Array, "supersamples runs rows"]) -> None:
    _, num_runs, rows = selection.shape
    require_enumerable(rows)
    if not is_concrete(selection):
        return
    numbers = np.asarray(selection) @ (1 << np.arange(rows))
    for number in numbers:
        counts = np.bincount(number, minlength=2**rows)
        fewest, most = np.min(counts), np.max(counts)
        if fewest != most:
            raise ValueError(
                f"selection must hold each of the 2^{rows} = {2**rows} selections equally often, but of {num_runs} runs"
                f" the counts range from {fewest} to {most}"
            )


def _bound(values: Float[Array, " supersamples"], information: Array, predictions: AnyArray) -> Bound:
    none = jnp.zeros((), int)
    return Bound(
        value=values.mean(),
        per_supersample=values,
        spread=values.std(),
        interval=None,
        per_example=information[0] if np.ndim(predictions) == 2 else information,
        degenerate_rows=none,
        excluded=none,
        estimator="plugin",
        kind="gap",
        certificate=True,
    )
