"""How the factors of a table change over time, and which changes are more than chance."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.corex import temporal
from infotheory_dl.corex._linear.programs import standardised_table
from infotheory_dl.corex._report.reading import Columns, Times
from infotheory_dl.corex._report.static import Explanation, explain
from infotheory_dl.corex._temporal.significance import ChangeTest
from infotheory_dl.corex.preprocessing import Missing, PreprocessingName
from infotheory_dl.data.preprocessing import observed_moments
from infotheory_dl.types import Key

_FEWEST_ROWS = 16
# rows of a time, on average, from which on times are periods
_ROWS_OF_A_TIME = 5
_MOST_PERIODS = 60
_PERIODS = 20
_ROWS_OF_A_PERIOD = 24
# rows of the shortest period that can spare a fifth to choose the settings by
_ROWS_TO_CHOOSE = 10
_DECAYS, _PENALTIES = (0.3, 0.6, 0.9), (0.1, 1.0, 10.0)
_DEFAULT_DECAY, _DEFAULT_PENALTY = 0.5, 0.3
_ITERATIONS = 500
_STRETCHES = 4


class Development(NamedTuple):
    """The factors of a table over time.

    Attributes:
      overall: of all rows together, each less the mean of its period, in standard deviations of the period.
      spans: the first and the last time of each period.
      starts: its first row.
      test: of the changes, with the fit.
      decay, penalty: of the fit.
      chosen: whether they were, by rows that were held out.
      block: how many neighbouring rows stay together in the test.
    """

    overall: Explanation
    spans: tuple[tuple[str, str], ...]
    starts: Int[np.ndarray, " periods"]
    test: ChangeTest
    decay: float
    penalty: float
    chosen: bool
    block: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the periods."""
        return tuple(first if first == last else f"{first} to {last}" for first, last in self.spans)

    def segments(self) -> list[tuple[int, int]]:
        """The periods between change points: the first, and the one after the last."""
        edges = [0, *(self.test.change_points + 1).tolist(), len(self.names)]
        return list(itertools.pairwise(edges))

    def correlations(self, first: int, end: int) -> Float[np.ndarray, "columns columns"]:
        """What the factors imply, in the mean of some periods."""
        loadings = np.asarray(self.test.model.moments.loadings)[first:end]
        implied = np.einsum("tjp,tjq->pq", loadings, loadings) / (end - first)
        np.fill_diagonal(implied, 1)
        return implied


def follow(
    key: Key,
    columns: Columns,
    times: Times,
    *,
    period: int | None,
    num_factors: int | None,
    preprocessing: PreprocessingName,
    missing: Missing | None,
    num_restarts: int,
    num_permutations: int,
    on_stage: Callable[[str], None],
) -> Development:
    """Finds the factors of all periods of a table.

    Args:
      key: source of randomness.
      columns, times: of `read_series`.
      period: rows in a period; by default each time is one, if it has some rows, or else about a twentieth of the rows.
      num_factors, preprocessing, missing, num_restarts, num_permutations, on_stage: as in `explain`.

    Returns:
      What was found.

    Raises:
      ValueError: if there are too few rows, or as `explain`.
    """
    spans, starts = _cut(times, period)
    slices = list(zip(starts.tolist(), [*starts[1:].tolist(), len(times.codes)], strict=True))
    values = columns.values
    if preprocessing != "standard":
        values = np.asarray(standardised_table(values, preprocessing, "pairwise", None, "raise")[1])
    key_overall, key_select, key_test = jax.random.split(key, 3)
    deviations = np.concatenate([_deviations(values[first:end]) for first, end in slices])
    overall = explain(
        key_overall,
        columns._replace(values=deviations),
        num_factors=num_factors,
        preprocessing="standard",
        missing=missing,
        num_restarts=num_restarts,
        num_permutations=num_permutations,
        on_stage=on_stage,
    )
    number = len(overall.significant)
    periods = [values[first:end] for first, end in slices]
    decay, penalty, chosen = _DEFAULT_DECAY, _DEFAULT_PENALTY, False
    if min(map(len, periods)) >= _ROWS_TO_CHOOSE:
        on_stage("choosing how much periods share")
        train = [rows[: -(len(rows) // 5)] for rows in periods]
        others = [rows[-(len(rows) // 5) :] for rows in periods]
        selection = temporal.select(
            key_select,
            train,
            number,
            others,
            decay=_DECAYS,
            l1=_PENALTIES,
            max_iterations=_ITERATIONS,
            missing="mean",
        )
        decay, penalty, chosen = float(selection.decay), float(selection.l1), True
    on_stage("fitting the periods, and series whose rows are in another order")
    block = _dependence(values)
    test = temporal.change_test(
        key_test,
        periods,
        number,
        num_permutations=num_permutations,
        block=block,
        decay=decay,
        l1=penalty,
        max_iterations=_ITERATIONS,
        missing="mean",
    )
    return Development(overall, spans, starts, test, decay, penalty, chosen, block)


def _cut(times: Times, period: int | None) -> tuple[tuple[tuple[str, str], ...], Int[np.ndarray, " periods"]]:
    """The first and the last time of each period, and its first row."""
    rows, distinct = len(times.codes), len(times.names)
    if distinct < 2:
        raise ValueError(f"all rows have one time, {times.names[0]}; a change needs two periods")
    if rows < _FEWEST_ROWS:
        raise ValueError(f"periods need at least {_FEWEST_ROWS} rows in all, got {rows}")
    if period is None and distinct <= _MOST_PERIODS and rows >= _ROWS_OF_A_TIME * distinct:
        return tuple((name, name) for name in times.names), np.searchsorted(times.codes, np.arange(distinct))
    if period is None:
        period = max(math.ceil(rows / _PERIODS), min(_ROWS_OF_A_PERIOD, rows // 4))
    elif not 2 <= period <= rows // 2:
        raise ValueError(f"period must lie in [2, {rows // 2}], half of the rows, got {period}")
    starts = np.arange(0, rows - period + 1, period)
    ends = np.append(starts[1:], rows)
    named = lambda place: times.names[times.codes[place]]
    return tuple((named(first), named(end - 1)) for first, end in zip(starts, ends, strict=True)), starts


def _deviations(rows: np.ndarray) -> np.ndarray:
    """From the mean of the period, in its standard deviations."""
    mean, std, _, _ = observed_moments(rows)
    return (rows - mean) / np.where(std > 0, std, 1)


def _dependence(values: np.ndarray) -> int:
    """How many rows are to stay together: twice the sum of the autocorrelations, in the mean of the columns.

    Of deviations from the means of long stretches: the mean of a short one takes what its rows share for its level.
    """
    rows = len(values)
    filled = np.nan_to_num(np.concatenate([_deviations(part) for part in np.array_split(values, _STRETCHES)]))
    total, variance = 1.0, np.square(filled).mean()
    for lag in range(1, rows // 8):
        correlation = (filled[:-lag] * filled[lag:]).mean() / variance
        if correlation < 2 / np.sqrt(rows):
            break
        total += 2 * correlation
    return max(1, min(2 * math.ceil(total - 0.5), rows // 8)) if total > 1 else 1


def changed_columns(found: Development, point: int, level: float = 0.05) -> Sequence[int]:
    """The columns that change at a change point by more than chance, those that change most first."""
    order = np.argsort(-np.asarray(found.test.changes.variables)[point], kind="stable")
    return [column for column in order.tolist() if found.test.variable_p_values[point, column] <= level]
