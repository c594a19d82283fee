"""The subcommand `infotheory-dl clinical`, and what differs between two stores."""

import pytest

from infotheory_dl import cli, clinical
from infotheory_dl.clinical import _facts, _store


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


def test_the_quirks_change_these_cells_and_labels(store, fixed_store, capsys):
    run("compare", store, fixed_store)
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
    same = clinical.compare(store, store)
    assert not any((same.settings, same.changed, same.removed, same.added, same.ages, *same.labels.values()))


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
