"""Columns of numbers in units of their standard deviation; zeros after the end of a stay."""

import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._files import read_arrays, whole_file, write_arrays
from infotheory_dl._validation import edge, require_choice, require_finite, require_rank, require_shape
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._discretisation import Discretized
from infotheory_dl.clinical._tasks import TASKS, Task
from infotheory_dl.clinical.channels import layout
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Scalar

_LEAST = 1e-7
_BINS_AT_ONCE = 1 << 16
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

    The published moments of hourly tasks are those of their samples, each of which has all bins from INTIME on; so are
    those that `train_network` fits.

    Args:
      discretized: of `discretize`.

    Raises:
      ValueError: if there are fewer than two bins.
    """
    values = np.asarray(discretized.values)
    return moments_of(values[np.arange(values.shape[1]) < np.asarray(discretized.lengths)[:, None]])


def moments_of(
    rows: Float[np.ndarray, "bins columns"], times_seen: Int[np.ndarray, " bins"] | None = None
) -> Normalizer:
    """The core of `fit_normalizer`, of bins end to end, each of which counts as often as it is seen; default once.

    Raises:
      ValueError: if there are fewer than two bins.
    """
    weights = np.ones(len(rows)) if times_seen is None else times_seen.astype(float)
    total = weights.sum()
    if total < 2:
        raise ValueError(f"moments need 2 bins at least, got {total:g}")
    # all bins of the full data set in double precision would be gigabytes
    blocks = [slice(first, first + _BINS_AT_ONCE) for first in range(0, len(rows), _BINS_AT_ONCE)]
    mean = np.sum([weights[block] @ rows[block].astype(float) for block in blocks], axis=0) / total
    squares = np.sum([weights[block] @ np.square(rows[block] - mean) for block in blocks], axis=0)
    return Normalizer(mean, np.maximum(np.sqrt(squares / (total - 1)), _LEAST))


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
def published_normalizer(task: Task, *, timestep: Scalar = 1.0) -> Normalizer:
    """The moments that the benchmark's authors computed on the training set of MIMIC-III.

    Args:
      task: as in `read`.
      timestep: hours of a bin.

    Raises:
      ValueError: if there is no such task, or none were published of such bins.

    Source: the repository of Harutyunyan et al., 2019.
    """
    require_choice("task", task, TASKS)
    published = {name: values for name, values in _facts.moments().items() if name.startswith(f"{task}_")}
    if (name := f"{task}_{float(timestep)}") not in published:
        known = ", ".join(name.removeprefix(f"{task}_") for name in sorted(published))
        raise ValueError(f"of {task} the moments of bins of {known} h were published, not of {timestep:g} h: fit them")
    return Normalizer(*published[name])


@edge
def read_normalizer(path: str | os.PathLike[str], name: str = "") -> Normalizer:
    """Reads moments from an .npz file.

    Args:
      path: of the file.
      name: in front of the arrays, such as "ihm_ts1.0" of `ihm_ts1.0/mean`; default none.

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
