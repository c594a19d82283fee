"""Series of stays from their events: one value for each time and channel, in the rows of the benchmark."""

from typing import TYPE_CHECKING, NamedTuple

from infotheory_dl.clinical.channels import CHANNELS, LABELS
from infotheory_dl.clinical.cleaners import cleaned
from infotheory_dl.clinical.rules import Rules

if TYPE_CHECKING:
    import polars as pl

# hours, of the benchmark
EPSILON = 1e-6
_HEIGHT, _WEIGHT = (next(i for i, c in enumerate(CHANNELS) if c.name == name) for name in ("Height", "Weight"))


class Episodes(NamedTuple):
    """The stays of some subjects.

    Attributes:
      cells: by stay, time and channel: `ICUSTAY_ID`, `SECONDS` since INTIME, `COPY`, which tells rows of one time from
        each other, `CHANNEL`, its `NUMBER`, and the `TEXT` of channels whose text is kept.
      summary: of each stay the number of its rows, the seconds of the first one in the unit, first height and weight.
      counts: of events and cells.
    """

    cells: "pl.DataFrame"
    summary: "pl.DataFrame"
    counts: dict[str, int]


def episodes(events: "pl.DataFrame", stays: "pl.DataFrame", rules: Rules) -> Episodes:
    """Makes the series of some subjects.

    Args:
      events: of `extract`, all of these subjects.
      stays: of these subjects.
      rules: of the benchmark that are kept.
    """
    import polars as pl

    values, counts = _clean(events, rules)
    by_text = pl.col("TEXT").is_not_null()
    at = ["SUBJECT_ID", "CHARTTIME", "CHANNEL"]
    # the last in the order of numbers; of text in that of text, or, where it is numbers, of both
    order = ["NUMBER", "TEXT"] if not rules.conflicts_by_text else [pl.when(~by_text).then("NUMBER"), "TEXT"]
    ordered = values.sort(*at, *order, nulls_last=False)
    cells = ordered.unique(at, keep="last", maintain_order=True)
    counts["cells"] = len(cells)
    per_cell = values.group_by(at).agg(pl.struct("NUMBER", "TEXT").n_unique().alias("values"))
    counts["cells with conflicting values"] = int((per_cell["values"] > 1).sum())

    rows = _rows(values, stays, rules)
    counts["rows of stays"] = len(rows)
    cells = rows.join(cells, on=["SUBJECT_ID", "CHARTTIME"])
    cells = cells.select("ICUSTAY_ID", "SECONDS", "COPY", "CHANNEL", "NUMBER", "TEXT")
    cells = cells.sort("ICUSTAY_ID", "SECONDS", "COPY", "CHANNEL")
    return Episodes(cells, _summary(rows, cells, stays), counts)


def _clean(events: "pl.DataFrame", rules: Rules) -> tuple["pl.DataFrame", dict[str, int]]:
    """Events with the number and, where it is kept, the text of their channel; those that have neither are left out."""
    import polars as pl

    items = pl.DataFrame(
        [(item, place, LABELS.get(item, "")) for place, channel in enumerate(CHANNELS) for item in channel.items],
        schema={"ITEMID": pl.Int32, "CHANNEL": pl.Int8, "LABEL": pl.String},
        orient="row",
    )
    events = events.join(items, on="ITEMID")
    parts, counts = [], {}
    for place, channel in enumerate(CHANNELS):
        part = events.filter(pl.col("CHANNEL") == place)
        text = pl.col("VALUE")
        if channel.cleaner == "none":
            # the number is what conflicts are solved by, and what a model sees of channels of numbers
            number, kept = text.str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None), text
        else:
            number = cleaned(channel.cleaner, text, pl.col("VALUEUOM"), pl.col("LABEL"), rules)
            kept = pl.lit(None, pl.String)
        counts[f"in: {channel.name}"] = len(part)
        part = part.select(
            "SUBJECT_ID", "STAY", "CHARTTIME", "CHANNEL", number.alias("NUMBER"), kept.alias("TEXT")
        ).filter(pl.col("NUMBER").is_not_null() | pl.col("TEXT").is_not_null())
        counts[f"kept: {channel.name}"] = len(part)
        parts.append(part)
    return pl.concat(parts), counts


def _rows(values: "pl.DataFrame", stays: "pl.DataFrame", rules: Rules) -> "pl.DataFrame":
    """The times of each stay: those of events with its ICUSTAY_ID, and all of its subject while it was in the unit."""
    import polars as pl

    recorded = values.select("SUBJECT_ID", "CHARTTIME", "STAY").unique()
    every = recorded.join(stays.select("SUBJECT_ID", "ICUSTAY_ID", "INTIME", "OUTTIME"), on="SUBJECT_ID")
    within = pl.col("CHARTTIME").is_between("INTIME", "OUTTIME")
    if rules.rows_by_stay_id:
        every = every.filter(within | (pl.col("STAY") == pl.col("ICUSTAY_ID")))
    else:
        every = every.filter(within).unique(["ICUSTAY_ID", "CHARTTIME"])
    rows = every.sort("ICUSTAY_ID", "CHARTTIME", "STAY").with_columns(
        # where two stays share a time the published tables have the row twice
        pl.int_range(pl.len()).over("ICUSTAY_ID", "CHARTTIME").cast(pl.Int8).alias("COPY"),
        (pl.col("CHARTTIME") - pl.col("INTIME")).cast(pl.Int32).alias("SECONDS"),
    )
    return rows.select("SUBJECT_ID", "ICUSTAY_ID", "CHARTTIME", "SECONDS", "COPY")


def _summary(rows: "pl.DataFrame", cells: "pl.DataFrame", stays: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    los = stays.select("ICUSTAY_ID", (pl.col("LOS") * 86_400).alias("LENGTH"))
    in_unit = (pl.col("SECONDS") > -EPSILON * 3600) & (pl.col("SECONDS") < pl.col("LENGTH") + EPSILON * 3600)
    summary = (
        rows.join(los, on="ICUSTAY_ID")
        .group_by("ICUSTAY_ID")
        .agg(pl.len().alias("ROWS"), pl.col("SECONDS").filter(in_unit).min().alias("FIRST_SECONDS"))
    )
    for name, channel in (("HEIGHT", _HEIGHT), ("WEIGHT", _WEIGHT)):
        first = cells.filter(pl.col("CHANNEL") == channel).unique("ICUSTAY_ID", keep="first", maintain_order=True)
        summary = summary.join(first.select("ICUSTAY_ID", pl.col("NUMBER").alias(name)), on="ICUSTAY_ID", how="left")
    return summary.sort("ICUSTAY_ID")
