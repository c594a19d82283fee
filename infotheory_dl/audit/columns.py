"""The column of a table that says where its examples are from, and the table without it."""

import numpy as np
from jaxtyping import Shaped

from infotheory_dl import data
from infotheory_dl.data.tables.variables import variables_of

SOURCES = ("source", "sources", "domain", "domains")
DOMAINS = ("domain", "domains")

_MOST_GROUPS = 100


def groups_by_name(table: data.Table, names: tuple[str, ...]) -> tuple[str, Shaped[np.ndarray, " examples"]] | None:
    """The first column that has one of these names, in any case, and what it says of every example as text.

    None where no column has one, it has one value or so many that they are no groups, or the data have no columns.
    """
    if table.encoding is None:
        return None
    column = next((one.name for one in table.encoding.columns if one.name.strip().lower() in names), None)
    found = next((one for one in variables_of(table) if one.name == column), None)
    if found is None or not 2 <= len(np.unique(found.values)) <= _MOST_GROUPS:
        return None
    if found.states:
        return found.name, np.array(found.states)[found.values.astype(int)]
    return found.name, np.array([f"{value:g}" for value in found.values.tolist()])


def all_groups(table: data.Table) -> dict[str, Shaped[np.ndarray, " examples"]]:
    """The columns that say where examples are from, by name."""
    found = (groups_by_name(table, names) for names in (SOURCES, DOMAINS))
    return dict(one for one in found if one is not None)


def features_alone(table: data.Table) -> data.Table:
    """The table without the columns that say where examples are from, by which wrong labels of a source look right.

    Raises:
      ValueError: if nothing else is left.
    """
    groups = all_groups(table)
    if not groups or table.encoding is None or table.feature_names is None:
        return table
    columns = table.encoding.columns
    kept = np.concatenate([np.full(len(one.features), one.name not in groups) for one in columns])
    told = " and ".join(map(repr, groups))
    if not kept.any():
        raise ValueError(
            f"all that there is besides the labels, {told}, says where examples are from, which is no feature of an"
            " audit: give columns to predict labels by; if it is one, give it another name"
        )
    others = tuple(one for one in columns if one.name not in groups)
    say, it = ("says", "it is no feature") if len(groups) == 1 else ("say", "they are no features")
    held_out = table.held_out
    return table._replace(
        x=table.x[:, kept],
        held_out=None if held_out is None else (held_out[0][:, kept], held_out[1]),
        feature_names=tuple(np.array(table.feature_names, object)[kept]),
        encoding=table.encoding._replace(columns=others),
        notices=(
            *table.notices,
            f"{told} {say} where examples are from: {it} that labels are predicted by. If that is wrong, give another"
            " name.",
        ),
    )
