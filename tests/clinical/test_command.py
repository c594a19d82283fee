"""The subcommand `infotheory-dl clinical`, and what differs between two stores."""

import csv
import shutil

import numpy as np
import polars as pl
import pytest

from infotheory_dl import cli, clinical
from infotheory_dl.clinical import _comparison, _facts, _store
from tests.files_page import require_described


def run(*arguments):
    cli.main(["clinical", *map(str, arguments)])


def fail(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_a_store_is_built_and_all_counts_are_printed(source, store, tmp_path, capsys):
    run("build", source, tmp_path / "store", "--workers", "1")
    printed = capsys.readouterr().out
    built = _store.read_built(tmp_path / "store")
    assert built.events == _store.read_built(store).events
    for words in ("one stay in the admission", "no_hadm_in_stay", "left out of Glucose", f"{built.events['rows']:,}"):
        assert words in printed
    assert "Note: 2 stays have no event that feeds a channel: no task has them." in printed
    assert "The store is in" in printed


def test_the_demo_is_proved(demo, capsys):
    run("verify", demo)
    assert capsys.readouterr().out == (
        "18 of 18 counts of cohort and events are the published ones\n170 of 170 series have the published hash\n"
    )


def test_made_up_tables_are_not_the_published_ones(store, capsys):
    run("verify", store)
    printed = capsys.readouterr().out
    assert "differs" in printed
    assert "0 of 36 series have the published hash" in printed
    assert "counts" not in printed


def test_counts_that_are_not_those_of_the_release_are_told(store, capsys, monkeypatch):
    built = _store.read_built(store)
    release = built.cohort["all"][0]
    fewer = {step: count - 1 if step == "left" else count for step, count in built.events.items()}
    monkeypatch.setitem(_facts.COHORTS, release, tuple(built.cohort.values()))
    monkeypatch.setitem(_facts.EVENTS, release, fewer)
    run("verify", store)
    printed = capsys.readouterr().out
    assert f"left: {built.events['left']:,}, published {built.events['left'] - 1:,}" in printed
    assert "21 of 22 counts of cohort and events are the published ones" in printed


def test_the_quirks_change_these_cells_and_labels(store, fixed_store, tmp_path, capsys):
    run("compare", store, fixed_store, "--output", tmp_path)
    printed = capsys.readouterr().out
    assert "every_fio2_is_percent: True and False" in printed
    found = clinical.compare(store, fixed_store)
    assert found.ages == 2
    # "0.5" of oxygen, 60 degrees Fahrenheit, and a heart rate of 99 at the time of one of 100
    changed = found.changed
    assert changed["Heart Rate"] >= 2
    assert changed["Temperature"] == 2
    assert changed["Fraction inspired oxygen"] >= 2
    assert found.labels["decompensation"] > 0
    assert found.labels["phenotyping"] == found.labels["mortality"] == 0
    assert not found.added
    for words in ("the first cells", "the first labels", "changed_cells.csv, changed_labels.csv are in"):
        assert words in printed
    require_described("clinical", tmp_path)
    same = clinical.compare(store, store)
    assert not any((same.settings, same.changed, same.removed, same.added, same.ages, *same.labels.values()))
    assert len(same.changed_cells.stay) == len(same.changed_labels.stay) == 0


def test_each_cell_and_label_that_differs_is_told(store, fixed_store, tmp_path, monkeypatch):
    monkeypatch.setattr(_comparison, "_STAYS_AT_A_TIME", 7)
    found = clinical.compare(store, fixed_store, output=tmp_path)
    old, new = (cells_of(folder) for folder in (store, fixed_store))
    common = {stay for stay, *_ in old} & {stay for stay, *_ in new}
    expected = [
        (stay, hour, channel, old.get((stay, hour, copy, channel), ""), new.get((stay, hour, copy, channel), ""))
        for stay, hour, copy, channel in sorted(old.keys() | new.keys())
        if stay in common and old.get((stay, hour, copy, channel)) != new.get((stay, hour, copy, channel))
    ]
    cells = found.changed_cells
    names = [channel.name for channel in clinical.CHANNELS]
    rows = list(zip(*(column.tolist() for column in cells), strict=True))
    assert rows == [(stay, hour, names[channel], *values) for stay, hour, channel, *values in expected]
    counted = (*found.changed.values(), *found.removed.values(), *found.added.values())
    assert len(rows) == sum(counted) > 0
    assert {"0.005", "0.5"} <= {*cells.first, *cells.second}

    labels = []
    for task in ("mortality", "decompensation", "length_of_stay", "phenotyping"):
        old, new = (labels_of(folder, task) for folder in (store, fixed_store))
        labels += [
            (task, stay, hour, label, *(str(values.get((stay, hour, label), "")) for values in (old, new)))
            for stay, hour, label in sorted(old.keys() | new.keys())
            if old.get((stay, hour, label)) != new.get((stay, hour, label))
        ]
    with (tmp_path / "changed_labels.csv").open(newline="") as stream:
        header, *written = csv.reader(stream)
    assert header == list(clinical.ChangedLabels._fields)
    assert written == [list(map(str, row)) for row in labels]
    told = found.changed_labels
    assert [*map(str, told.first)] == [row[-2] or "nan" for row in written]
    assert len(told.stay) == len(written) == found.labels["decompensation"]
    with (tmp_path / "changed_cells.csv").open(newline="") as stream:
        _, *written = csv.reader(stream)
    assert written == [list(map(str, row)) for row in rows]
    few = clinical.compare(store, fixed_store, most_rows=3)
    assert few.changed_cells.stay.tolist() == cells.stay[:3].tolist()
    assert (few.changed, few.labels) == (found.changed, found.labels)


def test_labels_that_are_coded_otherwise_and_stays_that_one_has_alone_are_told(store, tmp_path):
    other = shutil.copytree(store, tmp_path / "other")
    samples = clinical.read(store, "phenotyping", "train")
    stay, lost = samples.stays[samples.stay[:2]].tolist()
    stays = _store.read_stays(store)
    phenotypes = [
        [not labels[0], *labels[1:]] if number == stay else labels
        for number, labels in zip(stays["ICUSTAY_ID"], stays["PHENOTYPES"].to_list(), strict=True)
    ]
    stays = stays.with_columns(pl.Series("PHENOTYPES", phenotypes, stays.schema["PHENOTYPES"]))
    stays.filter(pl.col("ICUSTAY_ID") != lost).write_parquet(other / "stays.parquet")
    found = clinical.compare(store, other)
    assert found.stays.tolist() == [lost]
    assert found.labels["phenotyping"] == 2
    told = found.changed_labels
    changed = (told.task == "phenotyping") & (told.stay == stay)
    assert told.label[changed].tolist() == [_facts.phenotypes().names[0]]
    assert told.first[changed] == 1 - told.second[changed] == samples.labels[0, 0]
    alone = told.stay == lost
    assert np.isnan(told.second[alone]).all()
    assert not np.isnan(told.first[alone]).any()
    assert (alone & (told.task == "phenotyping")).sum() == samples.labels.shape[1]
    assert not len(found.changed_cells.stay)


def cells_of(store):
    columns = ("ICUSTAY_ID", "SECONDS", "COPY", "CHANNEL", "NUMBER", "TEXT")
    rows = _store.scan_cells(store).select(columns).collect().iter_rows()
    return {
        (stay, seconds / 60.0 / 60.0, copy, channel): repr(number) if text is None else text
        for stay, seconds, copy, channel, number, text in rows
    }


def labels_of(store, task):
    found = {}
    for part in ("train", "validation", "test"):
        samples = clinical.read(store, task, part)
        for stay, hour, labels in zip(samples.stay, samples.period, samples.labels, strict=True):
            for place, label in enumerate(np.atleast_1d(labels)):
                found[int(samples.stays[stay]), float(hour), place if task == "phenotyping" else ""] = float(label)
    return found


def test_one_rule_changes_what_it_is_about_alone(source, store, tmp_path):
    rules = clinical.Rules()._replace(every_fio2_is_percent=False)
    other = clinical.build(source, tmp_path / "store", mode=rules).path
    found = clinical.compare(store, other)
    assert found.settings == {"every_fio2_is_percent": (True, False)}
    assert found.changed.keys() == {"Fraction inspired oxygen"}
    assert not any((found.removed, found.added, found.ages, *found.labels.values()))


def test_list_files_of_all_parts_are_written(store, tmp_path, capsys):
    run("lists", store, "mortality", "--output", tmp_path)
    assert "samples of train are in" in capsys.readouterr().out
    assert (
        clinical.read_list_file(tmp_path / "mortality_test.csv").names
        == clinical.read(store, "mortality", "test").names
    )


def test_mistakes_end_with_a_message(store, tmp_path, capsys):
    assert "no table CHARTEVENTS: expected CHARTEVENTS.csv, " in fail(capsys, "build", tmp_path, tmp_path / "store")
    assert "is no store: build one by" in fail(capsys, "verify", tmp_path)
    assert "cannot read" in fail(capsys, "build", tmp_path / "nowhere", tmp_path / "store")
