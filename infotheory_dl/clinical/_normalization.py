"""Columns of numbers in units of their standard deviation; zeros after the end of a stay."""

import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from infotheory_dl._files import read_arrays, whole_file, write_arrays
from infotheory_dl._validation import edge, require_finite, require_rank, require_shape
from infotheory_dl.clinical._discretisation import Discretized
from infotheory_dl.clinical.channels import layout
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

_LEAST = 1e-7
_REMEDY = "expected arrays `mean` and `std` of 76 columns, as write_normalizer writes them"


@concise
class Normalizer(NamedTuple):
    """Moments of the columns.

    Attributes:
      mean: of each column.
      std: of each column, with N - 1, at least 1e-7.
    """

    mean: Float[np.ndarray, " columns"]
    std: Float[np.ndarray, " columns"]


@edge
def fit_normalizer(discretized: Discretized) -> Normalizer:
    """Computes the moments over all bins of all stays, in double precision.

    Args:
      discretized: of `discretize`.

    Raises:
      ValueError: if there are fewer than two bins.
    """
    values = np.asarray(discretized.values, float)
    rows = values[np.arange(values.shape[1]) < np.asarray(discretized.lengths)[:, None]]
    if len(rows) < 2:
        raise ValueError(f"moments need 2 bins at least, got {len(rows)}")
    return Normalizer(rows.mean(0), np.maximum(rows.std(0, ddof=1), _LEAST))


@edge
def normalize(normalizer: Normalizer, discretized: Discretized) -> Discretized:
    """Subtracts means from the twelve columns of numbers, and divides by standard deviations.

    Args:
      normalizer: of `fit_normalizer` or `read_normalizer`.
      discretized: of `discretize`.

    Returns:
      The same grid; categories and masks as they were, zeros after the end of a stay.

    Raises:
      ValueError: if the columns are not as many.
    """
    values: AnyArray = discretized.values
    columns = values.shape[-1]
    for name, moments in zip(("mean", "std"), normalizer, strict=True):
        require_shape(name, moments, (columns,), "one for each column")
    numeric = layout().numeric
    mean, std = np.zeros(columns), np.ones(columns)
    mean[numeric], std[numeric] = normalizer.mean[numeric], normalizer.std[numeric]
    scaled = (values - jnp.asarray(mean, values.dtype)) / jnp.asarray(std, values.dtype)
    inside = jnp.arange(values.shape[1]) < jnp.asarray(discretized.lengths)[:, None]
    return discretized._replace(values=jnp.where(inside[..., None], scaled, 0))


@edge
def read_normalizer(path: str | os.PathLike[str], name: str = "") -> Normalizer:
    """Reads moments from an .npz file.

    Args:
      path: of the file.
      name: in front of the arrays, such as "ihm_ts1.0" of the published ones; default none.

    Raises:
      ValueError: if the file has no such moments.
      OSError: if it cannot be opened.
    """
    arrays = read_arrays(path, remedy=_REMEDY)
    keys = [f"{name}/{moment}" if name else moment for moment in ("mean", "std")]
    if missing := [key for key in keys if key not in arrays]:
        raise ValueError(f"{path} has no {' and no '.join(missing)}; it has {', '.join(sorted(arrays))}; {_REMEDY}")
    mean, std = (np.asarray(arrays[key], float) for key in keys)
    require_finite(mean=mean, std=std)
    require_rank("mean", mean, 1, "(columns,)")
    require_shape("std", std, mean.shape, "that of mean")
    return Normalizer(mean, std)


@edge
def write_normalizer(normalizer: Normalizer, path: str | os.PathLike[str]) -> None:
    """Writes moments as an .npz file.

    Args:
      normalizer: of `fit_normalizer`.
      path: of the file.

    Raises:
      OSError: if it cannot be written.
    """
    with whole_file(path) as stream:
        write_arrays(stream, {name: np.asarray(values) for name, values in normalizer._asdict().items()})
