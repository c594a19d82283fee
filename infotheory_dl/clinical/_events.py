"""Rows of the event tables that belong to the stays and feed a channel, with a count of all that is left out."""

from typing import TYPE_CHECKING

from infotheory_dl.clinical._sources import MISSING, Piece, read, times
from infotheory_dl.clinical.channels import CHANNELS

if TYPE_CHECKING:
    import polars as pl

EVENT_TABLES = ("CHARTEVENTS", "LABEVENTS", "OUTPUTEVENTS")
# what is counted of each piece, in the order of the benchmark's validation
COUNTERS = (
    "rows",
    "n_events",
    "empty_hadm",
    "no_hadm_in_stay",
    "no_icustay",
    "recovered",
    "icustay_missing_in_stays",
    "left",
    "with a value",
    "mapped",
)
_NUMBERS = ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "ITEMID")
_TEXTS = ("CHARTTIME", "VALUE", "VALUEUOM")


def extract(piece: Piece, stays: "pl.DataFrame") -> tuple["pl.DataFrame", dict[str, int]]:
    """The rows of a piece that feed a channel, by subject, and the counters of all its rows.

    Args:
      piece: of an event table.
      stays: of the cohort.

    Raises:
      ValueError: if a row cannot be read; it is named.
    """
    import polars as pl

    has_stays = piece.table.name != "LABEVENTS"
    numbers = [column for column in _NUMBERS if has_stays or column != "ICUSTAY_ID"]
    rows = read(piece, [*numbers, *_TEXTS], dict.fromkeys(numbers, pl.Int64()))
    counts = {"rows": len(rows)}
    if not has_stays:
        rows = rows.with_columns(pl.lit(None, pl.Int64).alias("ICUSTAY_ID"))

    kept = stays.select("SUBJECT_ID", "HADM_ID", pl.col("ICUSTAY_ID").alias("STAY"))
    subjects = kept.select("SUBJECT_ID").unique()
    rows = rows.join(subjects, on="SUBJECT_ID", how="semi")
    counts["n_events"] = len(rows)
    counts["empty_hadm"] = rows["HADM_ID"].null_count()
    rows = rows.join(kept, on=["SUBJECT_ID", "HADM_ID"])
    counts["no_hadm_in_stay"] = counts["n_events"] - counts["empty_hadm"] - len(rows)
    counts["no_icustay"] = counts["recovered"] = rows["ICUSTAY_ID"].null_count()
    in_stay = len(rows)
    rows = rows.filter((pl.col("ICUSTAY_ID") == pl.col("STAY")).fill_null(True))
    counts["icustay_missing_in_stays"] = in_stay - len(rows)
    counts["left"] = len(rows)
    rows = rows.filter(pl.col("VALUE").is_not_null() & ~pl.col("VALUE").is_in(MISSING))
    counts["with a value"] = len(rows)
    items = [item for channel in CHANNELS for item in channel.items]
    rows = rows.filter(pl.col("ITEMID").is_in(items))
    counts["mapped"] = len(rows)

    rows = _timed(rows, piece)
    columns = [pl.col("SUBJECT_ID", "STAY", "ITEMID").cast(pl.Int32), "CHARTTIME", "VALUE", "VALUEUOM"]
    return rows.select(columns).sort("SUBJECT_ID", maintain_order=True), counts


def _timed(rows: "pl.DataFrame", piece: Piece) -> "pl.DataFrame":
    import polars as pl

    if rows.schema["CHARTTIME"] != pl.String:  # of parquet
        return rows.with_columns(pl.col("CHARTTIME").cast(pl.Datetime("ms")).cast(pl.Int64) // 1000)
    try:
        return times(rows, piece.table.name, ["CHARTTIME"])
    except ValueError:
        # the rows before the selection know their ROW_ID
        if "ROW_ID" in piece.header:
            times(read(piece, ["CHARTTIME", "ROW_ID"], {}), piece.table.name, ["CHARTTIME"])
        raise
