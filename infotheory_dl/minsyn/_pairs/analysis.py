"""Which pairs of columns carry synergy about which others, and what of it is more than chance."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl.corex import linear as corex
from infotheory_dl.corex.linear import LinearCorex
from infotheory_dl.data.tables.columns import first_of
from infotheory_dl.data.tables.encoding import nearest
from infotheory_dl.data.tables.table import Table
from infotheory_dl.data.tables.variables import Variable, variables_of
from infotheory_dl.information import chance, synergy
from infotheory_dl.information.synergy._discrete import measured
from infotheory_dl.minsyn import linear
from infotheory_dl.minsyn._states import states
from infotheory_dl.minsyn.report import SynergyReport, synergy_report
from infotheory_dl.types import Key

Measure = Literal["auto", "gaussian", "rank_gaussian", "states"]

LEVEL = 0.05
"""Of the false discoveries among the pairs that are told."""

TOLD = ("synergy", "either", "redundancy")
"""Verdicts on pairs that are more than chance."""

# pairs and targets whose measures fit into a few gigabytes
_MOST_TRIPLES = 10_000_000

# numbers of more values than these are continuous
_MOST_DISTINCT = 10
_MOST_STATES = 8
_FEWEST_ROWS = 20
_FEWEST_IN_A_CELL = 5
# pairs of states that are looked at more closely
_LOOKED_AT = 5


class Pairs(NamedTuple):
    """Pairs of columns with a target, a row for each; those with most synergy that is more than chance first.

    Attributes:
      target, first, second: places of columns.
      information, first_information, second_information, whole_minus_sum, synergy, calibrated_synergy,
        partial_synergy: see `synergy.PairSynergy`.
      p_values: of no synergy.
      q_values: the least rate of false discoveries at which S_CI is told.
      sign_p_values: of the whole minus the sum having the other sign.
      sign_q_values: the least rate of false signs, among the pairs that are told, at which this one's is.
      verdicts: "synergy", where the pair tells more than both sources for themselves; "redundancy", where it tells
        less, and what a reader loses is what it counts twice; "either", where S_CI is more than chance and the rows do
        not tell which; "chance"; "too few rows", fewer than five for a joint state; or "near copies".
      gaussian: whether the measures are of Gaussians, and not of states.
    """

    target: Int[np.ndarray, " pairs"]
    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    information: Float[np.ndarray, " pairs"]
    first_information: Float[np.ndarray, " pairs"]
    second_information: Float[np.ndarray, " pairs"]
    whole_minus_sum: Float[np.ndarray, " pairs"]
    synergy: Float[np.ndarray, " pairs"]
    calibrated_synergy: Float[np.ndarray, " pairs"]
    partial_synergy: Float[np.ndarray, " pairs"]
    p_values: Float[np.ndarray, " pairs"]
    q_values: Float[np.ndarray, " pairs"]
    sign_p_values: Float[np.ndarray, " pairs"]
    sign_q_values: Float[np.ndarray, " pairs"]
    verdicts: np.ndarray
    gaussian: Bool[np.ndarray, " pairs"]


class Closer(NamedTuple):
    """A pair of states, more closely.

    Attributes:
      interval: of S_CI, 95 %, by a bootstrap of the estimate less its first bias (Miller and Madow).
      by_chance: the mean of S_CI where the second source is permuted among rows of one state of the target.
      p_value: share of these permutations, and the order itself, with as much.
    """

    interval: tuple[float, float]
    by_chance: float
    p_value: float


class Factors(NamedTuple):
    """Factors of little synergy, and what they tell of each column.

    Attributes:
      model: the fit to the columns.
      columns: places of the columns that are told about; a target at last that the fit has not seen.
      report: of the factors about these columns.
    """

    model: LinearCorex
    columns: tuple[int, ...]
    report: SynergyReport


class Synergies(NamedTuple):
    """What was found in a table.

    Attributes:
      names: of all columns.
      target: the place of the one target; None where all are.
      rows: how many were looked at.
      pairs: all of them.
      closer: the first of states, by their place among the pairs.
      factors: None where none were asked for.
      notices: in sentences, what was done to the table that a user should know.
    """

    names: tuple[str, ...]
    target: int | None
    rows: int
    pairs: Pairs
    closer: dict[int, Closer]
    factors: Factors | None
    notices: tuple[str, ...]


class _Columns(NamedTuple):
    names: tuple[str, ...]
    values: Float[np.ndarray, "rows columns"]
    codes: Int[np.ndarray, "rows columns"]
    continuous: Bool[np.ndarray, " columns"]
    numeric: Bool[np.ndarray, " columns"]
    notices: tuple[str, ...]
    left_out: dict[str, str]


def find(
    key: Key,
    table: Table,
    *,
    label: str | None,
    target: str | None,
    sources: Sequence[str],
    measure: Measure,
    bins: int,
    num_factors: int | None,
    resamples: int,
    on_stage: Callable[[str], None],
) -> Synergies:
    """Measures the synergy of all pairs of columns.

    Args:
      key: source of randomness, of intervals, permutations and starts.
      table: read with missing values kept.
      label: what its labels are called, if it has any: they are a column too.
      target: the column that is told about; by default the labels, or else each column by all others.
      sources: the columns that tell; by default all others.
      measure: "auto" takes Gaussians for columns of numbers, and states where one column is of few values.
      bins: into how many states a column of numbers is cut, equally frequent.
      num_factors: of MinSyn, None for none.
      resamples: of the intervals, and permutations, of the first pairs of states.
      on_stage: is told what is being done.

    Returns:
      What was found.

    Raises:
      ValueError: if a column is not there, or too few columns or rows are left.
    """
    columns = _columns(table, label, bins, measure)
    if target is None and table.y is not None:
        target = label
    place = None if target is None else _place(target, columns, "target")
    tells = [_place(name, columns, "source") for name in sources] or list(range(len(columns.names)))
    tells = [one for one in dict.fromkeys(tells) if one != place]
    if len(tells) < 2:
        raise ValueError(f"a pair needs at least 2 sources beside the target, got {len(tells)}")
    if place is None and len(columns.names) < 3:
        raise ValueError(f"pairs and a target need at least 3 columns, got {len(columns.names)}")
    targets = list(range(len(columns.names))) if place is None else [place]
    triples = len(targets) * len(tells) * (len(tells) - 1) // 2
    if triples > _MOST_TRIPLES:
        raise ValueError(
            f"{len(targets)} targets and pairs of {len(tells)} columns are {triples:,} triples, and at most"
            f" {_MOST_TRIPLES:,} can be measured: name a --target, or fewer --sources"
        )
    on_stage("measuring the pairs")
    pairs = _ranked(_all_pairs(columns, targets, tells, measure))
    on_stage("looking at the first pairs more closely")
    key_closer, key_factors = jax.random.split(key)
    closer = _closer(key_closer, columns, pairs, resamples) if resamples else {}
    factors = None
    if num_factors is not None:
        on_stage("fitting factors of little synergy")
        factors = _factors(key_factors, columns, tells, place, num_factors)
    return Synergies(columns.names, place, len(columns.values), pairs, closer, factors, columns.notices)


def _place(name: str, columns: _Columns, kind: str) -> int:
    if name in columns.left_out:
        raise ValueError(f"column {name!r} cannot be a {kind}: it is left out with those that {columns.left_out[name]}")
    if name not in columns.names:
        raise ValueError(f"there is no column {name!r} to be a {kind}{nearest(name, columns.names)}")
    return columns.names.index(name)


def _columns(table: Table, label: str | None, bins: int, measure: Measure) -> _Columns:
    """The columns without gaps, as numbers and as states."""
    found = variables_of(table)
    if table.y is not None:
        found.append(_of_labels(label or "y", table.y))
    notices = [notice for notice in table.notices if not notice.startswith(("Text became", "Missing values"))]
    values = np.stack([one.values for one in found], axis=1)
    complete = ~np.isnan(values).any(1)
    if complete.sum() < _FEWEST_ROWS:
        gaps = np.isnan(values).mean(0)
        worst = int(np.argmax(gaps))
        told = f": column {found[worst].name!r} lacks {gaps[worst]:.0%}, leave it out by --drop" if gaps.any() else ""
        raise ValueError(f"synergy needs at least {_FEWEST_ROWS} rows without gaps, got {complete.sum()}{told}")
    if not complete.all():
        notices.append(f"{(~complete).sum()} of {len(complete)} rows have missing values and are left out.")
    values = values[complete]
    varies = np.ptp(values, axis=0) > 0
    numeric = np.array([len(one.states) <= 2 for one in found])
    kept = varies & numeric if measure in ("gaussian", "rank_gaussian") else varies
    why = {True: "are text, which Gaussians have no measure for", False: "do not vary"}
    left_out = {one.name: why[bool(moves)] for one, here, moves in zip(found, kept, varies, strict=True) if not here}
    for reason in sorted(set(left_out.values())):
        which = [repr(name) for name, told in left_out.items() if told == reason]
        notices.append(f"Left out, columns that {reason}: {first_of(which)}.")
    values, numeric = values[:, kept], numeric[kept]
    distinct = np.array([len(np.unique(column)) for column in values.T])
    continuous = numeric & (distinct > _MOST_DISTINCT)
    codes = (
        np.stack(
            [
                states(column[:, None], bins)[:, 0] if of_numbers else _merged(column)
                for column, of_numbers in zip(values.T, continuous, strict=True)
            ],
            axis=1,
        )
        if kept.any()
        else np.zeros((len(values), 0), int)
    )
    names = tuple(one.name for one, here in zip(found, kept, strict=True) if here)
    return _Columns(names, values, codes, continuous, numeric, tuple(notices), left_out)


def _of_labels(name: str, labels: np.ndarray) -> Variable:
    if labels.dtype.kind in "biuf":
        return Variable(name, labels.astype(float))
    classes, codes = np.unique(labels.astype(str), return_inverse=True)
    return Variable(name, codes.astype(float), tuple(classes.tolist()))


def _merged(column: np.ndarray) -> Int[np.ndarray, " rows"]:
    """The states of a column, of which the rarest share one where there are many."""
    _, codes, counts = np.unique(column, return_inverse=True, return_counts=True)
    if len(counts) <= _MOST_STATES:
        return codes
    rank = np.argsort(np.argsort(-counts, kind="stable"))
    return np.minimum(rank, _MOST_STATES - 1)[codes]


def _all_pairs(columns: _Columns, targets: list[int], sources: list[int], measure: Measure) -> list[Pairs]:
    continuous = columns.continuous
    if measure == "states":
        continuous = np.zeros_like(continuous)
    elif measure != "auto":
        continuous = np.ones_like(continuous)
    found = []
    of_numbers = [one for one in sources if continuous[one]]
    numbers = [one for one in targets if continuous[one]]
    if numbers and len(of_numbers) > 1:
        measured_pairs = synergy.gaussian_pairs(
            columns.values[:, numbers], columns.values[:, of_numbers], rank_gaussianize=measure == "rank_gaussian"
        )
        found.append(_flat(measured_pairs, numbers, of_numbers, gaussian=True))
    by_states = [one for one in targets if not continuous[one] or len(of_numbers) < len(sources)]
    if by_states:
        found_states = synergy.discrete_pairs(columns.codes[:, by_states], columns.codes[:, sources])
        flat = _flat(found_states, by_states, sources, gaussian=False)
        # what Gaussians have measured is not measured again
        again = continuous[flat.target] & continuous[flat.first] & continuous[flat.second]
        found.append(Pairs(*(values[~again] for values in flat)))
    return found


def _flat(found: synergy.PairSynergy, targets: list[int], sources: list[int], *, gaussian: bool) -> Pairs:
    """A row for each target and pair, but those that the target is one of."""
    from scipy.stats import norm

    target = np.repeat(targets, len(found.pairs))
    first, second = (np.tile(np.asarray(sources)[found.pairs[:, place]], len(targets)) for place in (0, 1))
    few = (found.samples_per_cell < _FEWEST_IN_A_CELL).ravel()
    copies = np.tile(found.near_copies, len(targets))
    unknown = np.full(target.shape, np.nan)
    told = np.where(found.whole_minus_sum_z > 0, "synergy", "redundancy").ravel()
    flat = Pairs(
        target,
        first,
        second,
        found.information.ravel(),
        found.informations[..., 0].ravel(),
        found.informations[..., 1].ravel(),
        found.whole_minus_sum.ravel(),
        found.synergy.ravel(),
        found.calibrated_synergy.ravel(),
        found.partial_synergy.ravel(),
        found.p_values.ravel(),
        unknown,
        norm.sf(np.abs(found.whole_minus_sum_z)).ravel(),
        unknown,
        np.where(few, "too few rows", np.where(copies, "near copies", told)),
        np.full(target.shape, gaussian),
    )
    others = (target != first) & (target != second)
    return Pairs(*(values[others] for values in flat))


def _ranked(parts: list[Pairs]) -> Pairs:
    """With verdicts, those of synergy first, then by how much."""
    pairs = Pairs(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    tested = np.isin(pairs.verdicts, ("synergy", "redundancy"))
    q_values = _adjusted(pairs.p_values, tested)
    told = tested & (q_values <= LEVEL)
    sign_q_values = _adjusted(pairs.sign_p_values, told)
    verdicts = np.where(tested & ~told, "chance", pairs.verdicts)
    verdicts = np.where(told & (sign_q_values > LEVEL), "either", verdicts)
    kinds = ["synergy", "either", "redundancy", "chance", "near copies", "too few rows"]
    rank = np.searchsorted(sorted(kinds), verdicts)
    rank = np.array([kinds.index(kind) for kind in sorted(kinds)])[rank]
    order = np.lexsort((-pairs.synergy, rank))
    pairs = pairs._replace(q_values=q_values, sign_q_values=sign_q_values, verdicts=verdicts)
    return Pairs(*(values[order] for values in pairs))


def _adjusted(p_values: np.ndarray, among: np.ndarray) -> Float[np.ndarray, " pairs"]:
    """q-values of Benjamini and Hochberg among some of the pairs; NaN of the others."""
    from scipy.stats import false_discovery_control

    q_values = np.full(p_values.shape, np.nan)
    if among.any():
        q_values[among] = false_discovery_control(np.clip(p_values[among], 0, 1))
    return q_values


def _closer(key: Key, columns: _Columns, pairs: Pairs, resamples: int) -> dict[int, Closer]:
    """Intervals and permutations of the first pairs of states that are more than chance."""
    shown = np.flatnonzero(np.isin(pairs.verdicts, TOLD) & ~pairs.gaussian)[:_LOOKED_AT]
    found = {}
    for place, key_pair in zip(shown.tolist(), jax.random.split(key, max(1, len(shown))), strict=False):
        target, first, second = (columns.codes[:, one[place]] for one in (pairs.target, pairs.first, pairs.second))
        key_interval, key_null = jax.random.split(key_pair)
        sampled = synergy.discrete_from_samples(
            target, [first, second], correction="miller_madow", key=key_interval, resamples=resamples
        )
        shape = tuple(int(codes.max()) + 1 for codes in (target, first, second))
        null = chance.permutation_null(
            key_null,
            lambda moved, kept, given, shape=shape: _synergy_of(given, kept, moved, shape),
            second,
            first,
            given=target,
            num_permutations=resamples,
        )
        interval = float(sampled.lower.synergy), float(sampled.upper.synergy)
        found[place] = Closer(interval, float(null.mean), float(null.p_value))
    return found


def _synergy_of(target: np.ndarray, first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> Array:
    cells = np.ravel_multi_index((target, first, second), shape)
    counts = jnp.asarray(np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape), float)
    return measured(counts / counts.sum()).synergy


def _factors(key: Key, columns: _Columns, sources: list[int], target: int | None, num_factors: int) -> Factors:
    """Of the sources that are numbers; what they tell of each of them, and of a target of numbers."""
    seen = [one for one in sources if columns.numeric[one]]
    if not 1 <= num_factors <= len(seen):
        raise ValueError(f"factors must lie in [1, {len(seen)}], the number of columns of numbers, got {num_factors}")
    x = columns.values[:, seen]
    model = linear.fit(key, x, num_factors)
    codes = np.asarray(corex.transform(model, x))
    told = [*seen, *([target] if target is not None and columns.numeric[target] else [])]
    return Factors(model, tuple(told), synergy_report(codes, columns.values[:, told]))
