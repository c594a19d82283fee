"""Larger data of the same kind: the tables of MIMIC-III over and over, each time with other patients."""

from pathlib import Path

import polars as pl

TABLES = ("ICUSTAYS", "ADMISSIONS", "PATIENTS", "DIAGNOSES_ICD", "CHARTEVENTS", "LABEVENTS", "OUTPUTEVENTS")
_IDS = ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID")
_STEP = 1_000_000


def write_copies(source: Path, folder: Path, times: int) -> None:
    """Writes the tables with so many times the rows, as plain CSV in the layout of the release."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TABLES, "D_ICD_DIAGNOSES"):
        table = pl.read_csv(source / f"{name}.csv.gz", infer_schema=False)
        ids = [column for column in _IDS if column in table.columns]
        table = table.with_columns(pl.col(column).cast(pl.Int64) for column in [*ids, "ROW_ID"])
        # a dictionary is the same for all patients
        copies = times if ids else 1
        with (folder / f"{name}.csv").open("wb") as stream:
            for copy in range(copies):
                shifted = table.with_columns(
                    *(pl.col(column) + copy * _STEP for column in ids), pl.col("ROW_ID") + copy * len(table)
                )
                shifted.write_csv(stream, include_header=copy == 0, quote_style="non_numeric")
