"""The columns of a table as variables, of numbers or of states: for systems that ask what columns share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from infotheory_dl.data.tables.encoding import ColumnEncoding, exactly
from infotheory_dl.data.tables.table import Table


class Variable(NamedTuple):
    """One column.

    Attributes:
      name: of the column.
      values: numbers, or the places of the states; NaN where they are missing.
      states: what the states are called; none of numbers.
    """

    name: str
    values: Float[np.ndarray, " rows"]
    states: tuple[str, ...] = ()


def variables_of(table: Table) -> list[Variable]:
    """The columns of a table that was read with its missing values kept; of images the pixels.

    Text is a variable of states, whose rarest share one where there are many of them.
    """
    if table.encoding is None:
        pixels = table.x.reshape(len(table.x), -1).astype(float)
        places = np.indices(table.x.shape[1:]).reshape(table.x.ndim - 1, -1).T.tolist()
        return [
            Variable(f"pixel {','.join(map(str, place))}", values)
            for place, values in zip(places, pixels.T, strict=True)
        ]
    found, first = [], 0
    for column in table.encoding.columns:
        features = table.x[:, first : first + len(column.features)]
        first += len(column.features)
        if column.kind != "left out":
            found.append(_variable(column, features))
    return found


def _variable(column: ColumnEncoding, features: np.ndarray) -> Variable:
    if column.kind != "category":
        return Variable(column.name, exactly(column.name, features[:, 0]).astype(float))
    states: Sequence[str] = [*column.categories, *(["(other)"] if column.has_rest else [])]
    codes = features[:, 0] if len(column.shown) < len(column.categories) else features.argmax(1)
    return Variable(column.name, np.where(np.isnan(features).any(1), np.nan, codes), tuple(states))
