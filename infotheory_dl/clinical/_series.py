"""Series of stays as arrays: what was measured, when, in which channel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, require_choice
from infotheory_dl.clinical.channels import CHANNELS, NUM_CHANNELS
from infotheory_dl.results import concise

if TYPE_CHECKING:
    import polars as pl

# hours by which times may go back, of the benchmark
_TOLERANCE = 1e-6


@concise
class Series(NamedTuple):
    """The measurements of some stays, one after the other; those of a stay by time.

    Attributes:
      offsets: where the measurements of each stay begin, and the end of the last.
      hours: from INTIME, in double precision: a millionth of an hour decides a bin.
      channel: the place in `CHANNELS`.
      value: the number; of a channel of categories the place of the text among them.
    """

    offsets: Int[np.ndarray, "stays_plus_one"]
    hours: Float[np.ndarray, " cells"]
    channel: Int[np.ndarray, " cells"]
    value: Float[np.ndarray, " cells"]

    @property
    def stay(self) -> Int[np.ndarray, " cells"]:
        """The stay of each measurement."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@edge
def as_series(tables: Sequence[tuple[Any, Any]], *, unknown: Literal["error", "normal"] = "error") -> Series:
    """Makes series of tables of text, as the benchmark's files hold them.

    Args:
      tables: for each stay its hours, (rows,), and the texts of the channels, (rows, 17), empty where there is none.
      unknown: what is done with text that is none of a channel's categories, or no number: an error, or the normal
        value of the channel in its place.

    Raises:
      ValueError: if shapes do not fit, a stay is empty, a time is NaN or before the one above it, or a text is unknown,
        which is named with its channel.
    """
    require_choice("unknown", unknown, ("error", "normal"))
    counts, hours, channels, texts = [], [], [], []
    for place, (times, values) in enumerate(tables):
        times, values = np.asarray(times, float), np.asarray(values).astype(str)
        if values.shape != (len(times), NUM_CHANNELS):
            expected = f"({len(times)}, {NUM_CHANNELS})"
            raise ValueError(f"stay {place} must have texts of the shape {expected}, got {values.shape}")
        if not len(times):
            raise ValueError(f"stay {place} is empty: leave it out")
        if np.isnan(times).any():
            raise ValueError(f"stay {place} has {int(np.isnan(times).sum())} times that are NaN")
        if (back := np.diff(times) < -_TOLERANCE).any():
            row = int(np.argmax(back)) + 1
            raise ValueError(
                f"stay {place} goes back in time at row {row}: {times[row]:g} h after {times[row - 1]:g} h"
            )
        rows, columns = np.nonzero(values != "")
        counts.append(len(rows))
        hours.append(times[rows])
        channels.append(columns)
        texts.append(values[rows, columns])
    if not counts:
        raise ValueError("there must be a stay at least, got none")
    channel = np.concatenate(channels)
    value = _encode_texts(channel, np.concatenate(texts), unknown)
    return Series(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(hours), channel, value)


@edge
def within_limits(series: Series) -> Series:
    """Removes outliers: numbers beyond the outer limits of their channel are left out, others moved to the inner ones.

    The benchmark does not do this; the limits are those that its authors list.

    Args:
      series: of `read_series` or `as_series`.

    Returns:
      The series without them; channels of categories stay as they are.
    """
    limits = np.array([known.limits or (-np.inf, -np.inf, np.inf, np.inf) for known in CHANNELS])
    lowest, low, high, highest = limits[series.channel].T
    kept = (series.value >= lowest) & (series.value <= highest)
    counts = np.bincount(series.stay[kept], minlength=len(series.offsets) - 1)
    return Series(
        np.concatenate([[0], np.cumsum(counts)]),
        series.hours[kept],
        series.channel[kept],
        np.clip(series.value, low, high)[kept],
    )


def series_of_cells(cells: "pl.DataFrame", stays: Sequence[int], unknown: str) -> Series:
    """Series of cells of a store.

    Args:
      cells: with `HOURS`.
      stays: their ICUSTAY_IDs, in the order that is wanted.
      unknown: as in `as_series`.
    """
    import polars as pl

    schema = {"ICUSTAY_ID": pl.Int64, "PLACE": pl.Int64}
    places = pl.DataFrame({"ICUSTAY_ID": list(stays), "PLACE": np.arange(len(stays))}, schema=schema)
    cells = cells.join(places, on="ICUSTAY_ID").sort("PLACE", "SECONDS", "COPY", "CHANNEL")
    counts = np.bincount(cells["PLACE"].to_numpy(), minlength=len(stays))
    channel = cells["CHANNEL"].to_numpy().astype(int)
    value = cells["NUMBER"].fill_null(np.nan).to_numpy().copy()
    # text stands where a category is, and where a number was to be and none can be read
    textual = np.array([bool(known.categories) for known in CHANNELS])[channel] | np.isnan(value)
    texts = cells.filter(pl.Series(textual)).select(pl.coalesce("TEXT", pl.col("NUMBER").cast(pl.String)))
    value[textual] = _encode_texts(channel[textual], texts.to_series().to_numpy().astype(str), unknown)
    return Series(np.concatenate([[0], np.cumsum(counts)]), cells["HOURS"].to_numpy(), channel, value)


def _encode_texts(channel: np.ndarray, texts: np.ndarray, unknown: str) -> np.ndarray:
    """The number of each text, or its place among the categories of its channel."""
    values = np.full(len(texts), np.nan)
    for place in range(NUM_CHANNELS):
        mine = np.flatnonzero(channel == place)
        distinct, inverse = np.unique(texts[mine], return_inverse=True)
        values[mine] = np.array([_encoded(place, text, unknown) for text in distinct.tolist()], float)[inverse]
    return values


def _encoded(place: int, text: str, unknown: str) -> float:
    channel = CHANNELS[place]
    categories = list(channel.categories)
    try:
        return float(categories.index(text) if categories else text)
    except ValueError:
        if unknown == "normal":
            return _encoded(place, channel.normal, "error")
        expected = f"one of {', '.join(map(repr, categories))}" if categories else "a number"
        raise ValueError(
            f'{channel.name} has {text!r}, which is not {expected}; unknown="normal" takes it for normal'
        ) from None


def normal_values() -> np.ndarray:
    """What stands in for each channel before anything is measured."""
    return np.array([_encoded(place, channel.normal, "error") for place, channel in enumerate(CHANNELS)])
