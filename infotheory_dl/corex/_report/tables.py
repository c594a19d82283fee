"""The factors of a table as columns of tables, for the terminal, the page and files, and in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infotheory_dl._files import csv_table
from infotheory_dl.corex import linear
from infotheory_dl.corex._report.static import Explanation
from infotheory_dl.data.tables.columns import first_of
from infotheory_dl.information import low_rank
from infotheory_dl.report import Column, count, nats

_LISTED = 6
# columns of which a matrix is written
MATRIX_UP_TO = 500


def findings(found: Explanation) -> list[str]:
    """What was found, in sentences, and what cannot be told."""
    test, names = found.test, found.columns.names
    chance = f"{nats(test.null.mean())} ± {nats(test.null.std())} nats"
    if found.is_chance:
        return [
            f"No factors: what {count(len(test.factor_p_values), 'factor explains', 'factors explain')},"
            f" {nats(test.total_correlation)} nats, is no more than of columns that share nothing ({chance};"
            f" p = {test.p_value:.2g}). More rows, or fewer columns, may tell."
        ]
    kept = int(found.significant.sum())
    sentences = [
        f"{count(kept, 'factor explains', 'factors explain')} {nats(test.total_correlation)} nats of what {len(names)}"
        f" columns share; of columns that share nothing as many would explain {chance} (p = {test.p_value:.2g})."
    ]
    if kept < len(found.significant):
        dropped = len(found.significant) - kept
        sentences.append(
            f"{count(dropped, 'further factor explains', 'further factors explain')} no more than the best factor of"
            f" columns that share nothing, {nats(test.factor_null.mean())} nats, and {'is' if dropped == 1 else 'are'}"
            " left out."
        )
    alone = [names[place] for place in np.flatnonzero(found.factor_of < 0).tolist()]
    if alone:
        sentences.append(
            f"{count(len(alone), 'column belongs', 'columns belong')} to no factor: {first_of(alone, limit=_LISTED)}."
        )
    model = test.model
    if model.diverged or not model.converged:
        sentences.append("The fit has not settled: take its numbers for a rough guide.")
    return sentences


def factor_columns(found: Explanation, listed: int = _LISTED) -> list[Column]:
    """The factors that are more than chance, a row for each."""
    factors = [] if found.is_chance else np.flatnonzero(found.significant).tolist()
    model = found.test.model
    return [
        Column("factor", [factor + 1 for factor in factors]),
        Column("explains, nats", np.asarray(model.total_correlations)[factors].tolist(), "{:.3f}".format),
        Column("columns", [int((found.factor_of == factor).sum()) for factor in factors]),
        Column(
            "which, by their information in nats; − where the factor falls as they rise",
            [_members(found, factor, listed) for factor in factors],
        ),
    ]


def members(found: Explanation, factor: int) -> list[int]:
    """The columns of a factor, those that it tells most of first."""
    own = np.flatnonzero(found.factor_of == factor)
    return own[np.argsort(-np.asarray(found.test.model.mutual_informations)[factor, own], kind="stable")].tolist()


def signed_name(found: Explanation, factor: int, column: int) -> str:
    """The name of a column with a minus where it is negatively correlated with the factor."""
    negative = np.asarray(found.test.model.moments.correlations)[factor, column] < 0
    return f"−{found.columns.names[column]}" if negative else found.columns.names[column]


def _members(found: Explanation, factor: int, listed: int) -> str:
    informations = np.asarray(found.test.model.mutual_informations)[factor]
    told = [f"{signed_name(found, factor, one)} {nats(informations[one])}" for one in members(found, factor)]
    return first_of(told, limit=listed)


def variable_columns(found: Explanation) -> dict[str, Sequence[Any]]:
    """Every column with its factor, those of one factor together; no rows where there are no factors."""
    order = np.zeros(0, int) if found.is_chance else found.ordered()[0]
    moments = found.test.model.moments
    factor = found.factor_of[order]
    pick = lambda values: np.where(factor < 0, np.nan, np.asarray(values)[factor, order]).tolist()
    correlations = pick(moments.correlations)
    return {
        "column": [found.columns.names[place] for place in order.tolist()],
        "factor": [None if one < 0 else one + 1 for one in factor.tolist()],
        "mutual_information": [None if np.isnan(value) else value for value in pick(moments.mutual_informations)],
        "correlation": [None if np.isnan(value) else value for value in correlations],
        "sign": [None if np.isnan(value) else (1 if value >= 0 else -1) for value in correlations],
        "information_of_all_factors": np.asarray(moments.variable_informations)[order].tolist(),
    }


def row_columns(found: Explanation) -> dict[str, Sequence[Any]]:
    """Every row with its factors, and how expected it is, the least expected first."""
    order = np.zeros(0, int) if found.is_chance else np.argsort(found.log_densities, kind="stable")
    significant = np.flatnonzero(found.significant).tolist()
    return {
        "row": [found.columns.rows[place] for place in order.tolist()],
        **{f"factor_{factor + 1}": found.factors[order, factor].tolist() for factor in significant},
        "log_density": found.log_densities[order].tolist(),
        "least_expected": [found.columns.names[place] for place in found.deviating[order].tolist()],
        "deviations": found.deviations[order].tolist(),
    }


def files(found: Explanation) -> dict[str, str | bytes]:
    """The tables as CSV, by the names of their files."""
    model, names = found.test.model, found.columns.names
    factors = np.zeros(0, int) if found.is_chance else np.flatnonzero(found.significant)
    pairs = [(factor, place) for factor in factors.tolist() for place in range(len(names))]
    informations, correlations = np.asarray(model.mutual_informations), np.asarray(model.moments.correlations)
    contents: dict[str, Mapping[str, Sequence[Any]]] = {
        "factors.csv": {
            "factor": (factors + 1).tolist(),
            "total_correlation": np.asarray(model.total_correlations)[factors].tolist(),
            "p_value": found.test.factor_p_values[factors].tolist(),
            "information": np.asarray(model.moments.factor_informations)[factors].tolist(),
            "columns": [int((found.factor_of == factor).sum()) for factor in factors],
        },
        "variables.csv": variable_columns(found),
        "links.csv": {
            "factor": [factor + 1 for factor, _ in pairs],
            "column": [names[place] for _, place in pairs],
            "mutual_information": [informations[pair] for pair in pairs],
            "correlation": [correlations[pair] for pair in pairs],
        },
        "rows.csv": row_columns(found),
        "null.csv": {
            "table": ["as it is", *(f"permuted {place}" for place in range(1, len(found.test.null) + 1))],
            "total_correlation": [found.test.total_correlation, *found.test.null.tolist()],
            "best_factor": [float(np.max(np.asarray(model.total_correlations))), *found.test.factor_null.tolist()],
        },
        "covariance.csv": _covariance(found),
    }
    return {name: csv_table(columns) for name, columns in contents.items()}


def _covariance(found: Explanation) -> dict[str, Sequence[Any]]:
    """As the factors imply it, of not too many columns, those of one factor together."""
    if found.is_chance or len(found.columns.names) > MATRIX_UP_TO:
        return {"column": []}
    order = found.ordered()[0]
    dense = np.asarray(low_rank.to_dense(linear.covariance(found.test.model)))[np.ix_(order, order)]
    names = [found.columns.names[place] for place in order.tolist()]
    return {"column": names, **dict(zip(names, dense.T.tolist(), strict=True))}
