"""Series on a grid of time: what was last measured in each bin, and what stands in where nothing was."""

import functools
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import (
    edge,
    require_all,
    require_choice,
    require_count,
    require_not_negative,
    require_positive,
    require_shape,
)
from infotheory_dl.clinical._series import Series, normal_values
from infotheory_dl.clinical.channels import CHANNELS, NUM_CHANNELS, layout
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Scalar

Imputation: TypeAlias = Literal["previous", "normal_value", "next", "zero"]
_IMPUTATIONS = ("previous", "normal_value", "next", "zero")

# hours, of the benchmark
_EPSILON = 1e-6
# of each column of values its channel, and its category; none of a number
_CHANNEL = np.repeat(np.arange(NUM_CHANNELS, dtype=np.int32), layout().width)
_CATEGORY = np.concatenate([np.arange(len(c.categories)) if c.categories else [-1] for c in CHANNELS])


@concise
class Discretized(NamedTuple):
    """Stays on a grid of time.

    Attributes:
      values: by stay, bin and column: 59 of values and categories, then 17 masks; zero after the end of a stay.
      lengths: bins of each stay.
      empty: fraction of a stay's bins without any measurement.
      overwritten: fraction of a stay's measurements after which the same bin has another of the same channel.
    """

    values: Float[Array, "stays bins columns"]
    lengths: Int[Array, " stays"]
    empty: Float[Array, " stays"]
    overwritten: Float[Array, " stays"]


@edge
def discretize(
    series: Series,
    *,
    end: Scalar | Float[AnyArray, " stays"] | None = None,
    timestep: Scalar = 1.0,
    imputation: Imputation = "previous",
    start: Literal["zero", "relative"] = "zero",
    num_bins: int | None = None,
) -> Discretized:
    """Puts all stays on a grid of time: of each channel the last measurement in a bin, categories as zeros and one.

    With "zero" for the start, all imputations but "next" look back only: the first bins of a stay are those of its
    prefix, so that hourly samples are slices of their stay.

    Args:
      series: of `read_series` or `as_series`.
      end: hours at which a stay ends, for all or each; default the last measurement.
      timestep: hours of a bin. Bins are open on the left, closed on the right.
      imputation: what stands where nothing was measured: the "previous" measurement, and before the first one the
        normal value; the "normal_value"; the "next" measurement, and after the last one the normal value; or "zero".
      start: of the grid: INTIME, or the first measurement.
      num_bins: of the result, to have one program for many batches; default as many as the longest stay needs.

    Returns:
      The grid; `layout().columns` of the channels names its columns.

    Raises:
      ValueError: if a setting is out of range, a stay has no measurement, a time is NaN or a bin and more before the
        start, or there are more bins than `num_bins`.

    Source: Harutyunyan et al., 2019 (baselines).
    """
    require_choice("imputation", imputation, _IMPUTATIONS)
    require_choice("start", start, ("zero", "relative"))
    require_positive(timestep=timestep)
    require_count(1, num_bins=num_bins)
    num_stays = len(series.offsets) - 1
    counts = np.diff(series.offsets)
    if (counts < 1).any():
        raise ValueError(f"each stay needs a measurement, stay {int(np.argmin(counts))} has none: leave it out")
    require_all(np.isfinite, "be finite", "leave such rows out", hours=series.hours)
    hours = np.asarray(series.hours, float)
    first = hours[series.offsets[:-1]] if start == "relative" else np.zeros(num_stays)
    if end is None:
        ends = np.maximum.reduceat(hours, series.offsets[:-1])
    else:
        require_not_negative(end=end)
        ends = np.asarray(end, float)
        if ends.ndim:
            require_shape("end", ends, (num_stays,), "one for each stay")
        ends = np.broadcast_to(ends, num_stays)

    # in double precision, whatever JAX computes in: a millionth of an hour decides
    span = ends - first
    lengths = np.maximum(0, (span / float(timestep) + 1 - _EPSILON).astype(int))
    longest = int(lengths.max(initial=1))
    if num_bins is not None and num_bins < longest:
        raise ValueError(f"the longest stay has {longest} bins, more than num_bins={num_bins}")
    size = max(1, longest) if num_bins is None else num_bins
    since = hours - first[series.stay]
    within = since <= span[series.stay] + _EPSILON
    places = (since / float(timestep) - _EPSILON).astype(int)
    if (places < 0).any():
        row = int(np.argmin(places))
        raise ValueError(
            f"stay {int(series.stay[row])} has a measurement at {hours[row]:g} h, before its grid begins: leave it out"
        )
    within &= places < lengths[series.stay]
    # lengths of powers of two: few programs
    padding = (1 << (len(hours) - 1).bit_length()) - len(hours)
    padded = lambda values, fill: np.pad(values.astype(np.int32), (0, padding), constant_values=fill)
    return _on_grid(
        padded(np.where(within, series.stay, num_stays), num_stays),
        padded(places, 0),
        padded(series.channel, 0),
        jnp.asarray(np.pad(series.value, (0, padding)), float),
        jnp.asarray(lengths, jnp.int32),
        imputation=imputation,
        shape=(num_stays, size),
    )


@functools.partial(jax.jit, static_argnames=("imputation", "shape"))
def _on_grid(
    stay: Int[Array, " cells"],
    places: Int[Array, " cells"],
    channel: Int[Array, " cells"],
    value: Float[Array, " cells"],
    lengths: Int[Array, " stays"],
    *,
    imputation: str,
    shape: tuple[int, int],
) -> Discretized:
    num_stays, size = shape
    cells = jnp.arange(len(value), dtype=jnp.int32)
    # what lies outside is scattered beyond the grid, and dropped
    latest = jnp.full((*shape, NUM_CHANNELS), -1, jnp.int32).at[stay, places, channel].max(cells, mode="drop")
    observed = latest >= 0
    if imputation == "previous":
        shown = lax.cummax(latest, axis=1)
    elif imputation == "next":
        following = lax.cummin(jnp.where(observed, latest, len(value)), axis=1, reverse=True)
        shown = jnp.where(following < len(value), following, -1)
    else:
        shown = latest
    values = jnp.where(shown >= 0, value[shown], jnp.asarray(normal_values(), value.dtype))[..., _CHANNEL]
    columns = jnp.where(_CATEGORY < 0, values, values == _CATEGORY)
    inside = jnp.arange(size) < lengths[:, None]
    keep = observed[..., _CHANNEL] if imputation == "zero" else True
    columns = jnp.where(inside[..., None] & keep, columns, 0)
    masks = (observed & inside[..., None]).astype(value.dtype)

    in_stay = (stay < num_stays).astype(value.dtype)
    total = jnp.zeros(num_stays, value.dtype).at[stay].add(in_stay, mode="drop")
    empty = (inside & ~observed.any(-1)).sum(1) / jnp.maximum(lengths, 1)
    overwritten = (total - observed.sum((1, 2))) / jnp.maximum(total, 1)
    return Discretized(jnp.concatenate([columns, masks], axis=-1), lengths, empty, overwritten)
