"""The column of a table that says where its examples are from."""

import numpy as np
from jaxtyping import Shaped

from infotheory_dl import data
from infotheory_dl.data.tables.variables import variables_of

SOURCES = ("source", "sources", "domain", "domains")
DOMAINS = ("domain", "domains")


def groups_by_name(table: data.Table, names: tuple[str, ...]) -> tuple[str, Shaped[np.ndarray, " examples"]] | None:
    """The first column that has one of these names, in any case, and what it says of every example as text.

    None where no column has one, or the data have no columns.
    """
    if table.encoding is None:
        return None
    column = next((one.name for one in table.encoding.columns if one.name.strip().lower() in names), None)
    found = next((one for one in variables_of(table) if one.name == column), None)
    if found is None:
        return None
    if found.states:
        return found.name, np.array(found.states)[found.values.astype(int)]
    return found.name, np.array([f"{value:g}" for value in found.values.tolist()])
