"""A store has what the rules written plainly find, and is the same however it was built."""

import gzip
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from benchmarks.clinical import plain
from infotheory_dl import clinical
from infotheory_dl.clinical import _store, _text


def content(folder):
    return {file.relative_to(folder): file.read_bytes() for file in sorted(folder.rglob("*.parquet"))}


def rows_of(store):
    cells = _store.scan_cells(store).collect()
    return {stay: (hours, rows) for stay, hours, rows in _text.rows_by_stay(cells)}


def test_series_are_those_of_the_rules_written_plainly(source, store):
    expected = {int(stay): rows for stay, rows in plain.series(source).items() if rows}
    found = rows_of(store)
    assert found.keys() == expected.keys()
    for stay, (hours, rows) in found.items():
        assert hours == [hour for hour, _ in expected[stay]]
        assert rows == [texts for _, texts in expected[stay]]


def test_the_counts_are_those_of_the_rules_written_plainly(source, store):
    built = clinical.build(source, store)
    stays = plain.cohort(source)
    kept = {"HADM_ID": {stay["HADM_ID"] for stay in stays}, "SUBJECT_ID": {stay["SUBJECT_ID"] for stay in stays}}
    assert built.cohort["adults"] == (len(stays), len(kept["HADM_ID"]), len(kept["SUBJECT_ID"]))
    events = [row for name in ("CHARTEVENTS", "LABEVENTS", "OUTPUTEVENTS") for row in plain.rows_of(source, name)]
    mine = [row for row in events if row["SUBJECT_ID"] in kept["SUBJECT_ID"]]
    assert built.events["rows"] == len(events)
    assert built.events["n_events"] == len(mine)
    assert built.events["empty_hadm"] == sum(not row["HADM_ID"] for row in mine) > 0
    assert built.events["no_hadm_in_stay"] == sum(row["HADM_ID"] not in {*kept["HADM_ID"], ""} for row in mine) > 0
    assert built.events["icustay_missing_in_stays"] == 2
    assert [warning.split(" stays ")[1] for warning in built.warnings] == [
        "have no diagnosis that D_ICD_DIAGNOSES knows: no task has them",
        "have no event that feeds a channel: no task has them",
    ]


@pytest.mark.parametrize("form", ["gz", "parquet", "lower"])
def test_a_store_is_the_same_whatever_holds_the_tables(form, tables, store, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, table in tables.items():
        if form == "gz":
            (folder / f"{name}.csv.gz").write_bytes(gzip.compress(table.write_csv(quote_style="always").encode()))
        elif form == "lower":
            lower = table.rename(str.lower).select(sorted(map(str.lower, table.columns)))
            (folder / f"{name.lower()}.csv").write_text(lower.write_csv())
        else:
            numbers = [
                column for column in ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "ITEMID") if column in table.columns
            ]
            stamps = [column for column in table.columns if "TIME" in column]
            table = table.with_columns(pl.col(numbers).cast(pl.Int64), pl.col(stamps).str.to_datetime())
            table.write_parquet(folder / f"{name}.parquet")
    assert content(clinical.build(folder, tmp_path / "store").path) == content(store)


def test_pieces_and_workers_change_nothing(source, store, tmp_path, monkeypatch):
    monkeypatch.setattr("infotheory_dl.clinical._building._PIECES", 1 << 14)
    seen = []
    built = clinical.build(source, tmp_path / "store", workers=3, progress=seen.append)
    assert content(built.path) == content(store)
    assert len(seen) > 10
    assert seen[-1].share == 1


def test_buckets_of_subjects_change_the_files_and_nothing_else(source, store, tmp_path, monkeypatch):
    monkeypatch.setattr("infotheory_dl.clinical._building._BYTES_OF_EVENT", 1 << 17)
    built = clinical.build(source, tmp_path / "store")
    assert len(list((built.path / "cells").iterdir())) > 3
    assert rows_of(built.path) == rows_of(store)


def test_subjects_can_be_chosen(source, store, tmp_path):
    subjects = [stay["SUBJECT_ID"] for stay in plain.cohort(source)][:3]
    built = clinical.build(source, tmp_path / "store", subjects=[*map(int, subjects), 999_999])
    assert "1 of the 4 subjects that were chosen have no stay in the cohort" in built.warnings
    none = clinical.build(source, tmp_path / "none", subjects=[999_999])
    assert "no stay is in the cohort: no task has a sample" in none.warnings
    every = rows_of(store)
    assert all(every[stay] == rows for stay, rows in rows_of(built.path).items())
    assert set(_store.read_stays(built.path)["SUBJECT_ID"]) == set(map(int, subjects))


def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(source, store, tmp_path):
    output = tmp_path / "store"
    program = f"""
import time
from infotheory_dl import clinical
from infotheory_dl.clinical import _building
_building._PIECES = 1 << 14
clinical.build({str(source)!r}, {str(output)!r}, workers=1, progress=lambda progress: time.sleep(0.2))
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    pieces = tmp_path / "store.building" / "pieces"
    deadline = time.monotonic() + 60
    while len(list(pieces.glob("*.parquet"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {file.name: file.stat().st_mtime_ns for file in pieces.glob("*.parquet")}
    assert before
    assert not output.exists()
    kept = []

    def look(progress):
        kept.append({name: (pieces / name).stat().st_mtime_ns for name in before if (pieces / name).exists()})

    pytest.MonkeyPatch().setattr("infotheory_dl.clinical._building._PIECES", 1 << 14)
    clinical.build(source, output, progress=look)
    assert kept[0] == before
    assert content(output) == content(store)
    assert not (tmp_path / "store.building").exists()


def test_a_finished_store_is_returned_and_another_is_refused_by_what_differs(source, store, tmp_path):
    stamp = (store / "store.json").stat().st_mtime_ns
    assert clinical.build(source, store).path == store
    assert (store / "store.json").stat().st_mtime_ns == stamp
    with pytest.raises(
        ValueError, match=r"holds a store with rules: every_fio2_is_percent = True, not False, .*another out"
    ):
        clinical.build(source, store, mode="fixed")
    with pytest.raises(
        ValueError, match=r"holds a store with subjects: subjects = None, not \[3\]; choose another output"
    ):
        clinical.build(source, store, subjects=[3])
    (tmp_path / "papers").mkdir()
    with pytest.raises(ValueError, match="papers exists and is no store: choose another output, or remove it"):
        clinical.build(source, tmp_path / "papers")


def test_a_store_of_another_version_is_refused(store, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    text = (store / "store.json").read_text().replace('"format": 1', '"format": 0')
    (other / "store.json").write_text(text)
    with pytest.raises(ValueError, match="is a store of format 0, this version reads 1: build it again"):
        clinical.read(other, "mortality", "train")
    with pytest.raises(FileNotFoundError, match=r"is no store: build one by clinical.build\(source, "):
        clinical.verify(tmp_path / "nowhere")


def damaged(tables, name, folder, change):
    clinical.write_tables({**tables, name: change(tables[name])}, folder)
    return folder


BAD = {
    "a column is missing": (
        "CHARTEVENTS",
        lambda table: table.drop("VALUEUOM"),
        r"CHARTEVENTS.csv has no column VALUEUOM; it has ROW_ID, SUBJECT_ID",
    ),
    "a time is none": (
        "CHARTEVENTS",
        lambda table: table.with_columns(
            CHARTTIME=pl.when((pl.col("ITEMID") == "211") & (pl.col("SUBJECT_ID") == pl.col("SUBJECT_ID").last()))
            .then(pl.lit("soon"))
            .otherwise("CHARTTIME")
        ),
        r"CHARTEVENTS, ROW_ID \d+: CHARTTIME is no time stamp YYYY-MM-DD HH:MM:SS: 'soon'",
    ),
    "a birth is none": (
        "PATIENTS",
        lambda table: table.with_columns(DOB=pl.when(pl.col("ROW_ID") == "3").then(pl.lit("1/2/3")).otherwise("DOB")),
        r"PATIENTS, ROW_ID 3: DOB is no time stamp YYYY-MM-DD HH:MM:SS: '1/2/3'",
    ),
    "an id is none": (
        "LABEVENTS",
        lambda table: table.with_columns(
            HADM_ID=pl.when(pl.col("ROW_ID") == "5").then(pl.lit("5x")).otherwise("HADM_ID")
        ),
        r"LABEVENTS, ROW_ID 5: HADM_ID is no number of the type Int64: '5x'",
    ),
    "a stay occurs twice": (
        "ICUSTAYS",
        lambda table: pl.concat([table, table[:1]]),
        r"ICUSTAYS has ICUSTAY_ID \d+ more than once: each stay is to have a row",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_told_by_table_and_row(case, tables, tmp_path):
    name, change, words = BAD[case]
    folder = damaged(tables, name, tmp_path / "tables", change)
    with pytest.raises(ValueError, match=words):
        clinical.build(folder, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_an_absent_table_is_named(tables, tmp_path):
    folder = clinical.write_tables(
        {name: table for name, table in tables.items() if name != "LABEVENTS"}, tmp_path / "t"
    )
    with pytest.raises(FileNotFoundError, match=r"has no table LABEVENTS: expected LABEVENTS.csv, LABEVENTS.csv.gz, "):
        clinical.build(folder, tmp_path / "store")


def test_bytes_that_are_no_text_are_told(tables, tmp_path):
    folder = clinical.write_tables(tables, tmp_path / "tables")
    content = (folder / "CHARTEVENTS.csv").read_bytes()
    (folder / "CHARTEVENTS.csv").write_bytes(content.replace(b"4 Spontaneously", b"4 Spontan\xe9", 1))
    with pytest.raises(ValueError, match=r"CHARTEVENTS.csv cannot be read: line \d+ of piece 1 is not UTF-8; convert"):
        clinical.build(folder, tmp_path / "store")


def test_a_file_that_was_cut_off_is_told(tables, tmp_path):
    folder = clinical.write_tables(tables, tmp_path / "tables")
    whole = gzip.compress((folder / "CHARTEVENTS.csv").read_bytes())
    (folder / "CHARTEVENTS.csv").unlink()
    (folder / "CHARTEVENTS.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match=r"CHARTEVENTS.csv.gz: the file is not whole: .*; download it again"):
        clinical.build(folder, tmp_path / "store")


def test_a_row_that_was_cut_off_is_told(tables, tmp_path):
    folder = clinical.write_tables(tables, tmp_path / "tables")
    whole = (folder / "LABEVENTS.csv").read_bytes().rstrip()
    (folder / "LABEVENTS.csv").write_bytes(whole[: whole.rindex(b",")])
    columns = whole.count(b",", 0, whole.index(b"\n")) + 1
    words = (
        rf"LABEVENTS.csv cannot be read: line 1 of piece 2 has {columns - 1} of {columns} columns; download it again"
    )
    with pytest.raises(ValueError, match=words):
        clinical.build(folder, tmp_path / "store")


def test_a_full_disk_is_told_and_the_build_goes_on_later(source, store, tmp_path, monkeypatch):
    def full(file, frame):
        raise OSError(28, os.strerror(28), str(file))

    with monkeypatch.context() as patch:
        patch.setattr("infotheory_dl.clinical._building.write_parquet", full)
        with pytest.raises(OSError, match="No space left on device"):
            clinical.build(source, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    assert content(clinical.build(source, tmp_path / "store").path) == content(store)


def test_a_table_that_is_shorter_than_its_release_is_told(tables, tmp_path, monkeypatch):
    release = {len(tables["ICUSTAYS"]): {"CHARTEVENTS": 99_999, "LABEVENTS": len(tables["LABEVENTS"])}}
    monkeypatch.setattr("infotheory_dl.clinical._facts.RELEASES", release)
    built = clinical.build(clinical.write_tables(tables, tmp_path / "tables"), tmp_path / "store")
    rows = len(tables["CHARTEVENTS"])
    assert f"CHARTEVENTS has {rows:,} rows, its release 99,999: it may not be whole" in built.warnings


def test_fixed_rules_change_what_they_are_about(store, fixed_store):
    paper, fixed = _store.read_stays(store), _store.read_stays(fixed_store)
    old = (paper["AGE"] > 150).to_numpy()
    assert old.any()
    np.testing.assert_array_equal(fixed["AGE"].to_numpy()[old], 91.4)
    by_stay = rows_of(fixed_store)
    assert all(hours[0] >= 0 and len(set(hours)) == len(hours) for hours, _ in by_stay.values())
    assert any(hours[0] < 0 for hours, _ in rows_of(store).values())
    assert any(len(set(hours)) < len(hours) for hours, _ in rows_of(store).values())
