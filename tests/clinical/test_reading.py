"""Samples of the tasks, from made-up tables by their definition, and from the demo as they were published."""

import jax
import numpy as np
import polars as pl
import pytest

from infotheory_dl import clinical
from infotheory_dl.clinical import _list_files, _store, _text
from tests.conftest import reference

PARTS = ("train", "validation", "test")
PUBLISHED = {
    "mortality": "in_hospital_mortality",
    "decompensation": "decompensation",
    "length_of_stay": "length_of_stay",
    "phenotyping": "phenotyping",
    "multitask": "multitask",
}


@pytest.mark.parametrize("task", ["decompensation", "length_of_stay"])
def test_hourly_samples_are_those_of_a_loop_over_hours(store, task):
    stays = {row["ICUSTAY_ID"]: row for row in _store.read_stays(store).iter_rows(named=True)}
    found = 0
    for part in PARTS:
        samples = clinical.read(store, task, part)
        hourly = list(
            zip(samples.stays[samples.stay].tolist(), samples.period.tolist(), samples.labels.tolist(), strict=True)
        )
        expected = []
        for stay in samples.stays.tolist():
            row = stays[stay]
            length, first = row["LOS"] * 24, row["FIRST_SECONDS"] / 3600
            lived = np.inf if row["DEATHTIME"] is None else (row["DEATHTIME"] - row["INTIME"]) / 3600
            hour = 0
            while hour < (min(length, lived) if task == "decompensation" else length) + 1e-6:
                if hour > 4 and hour > first:
                    label = row["MORTALITY"] and lived - hour < 24 if task == "decompensation" else length - hour
                    expected.append((stay, hour, label))
                hour += 1
        assert hourly == expected
        found += len(hourly)
    assert found > 500


def test_mortality_needs_48_hours_and_an_event_in_them(store):
    stays = _store.read_stays(store)
    samples = [clinical.read(store, "mortality", part) for part in PARTS]
    chosen = stays.filter(pl.col("CODED") & (pl.col("LOS") >= 2) & (pl.col("FIRST_SECONDS") < 48 * 3600))
    assert sorted(stay for part in samples for stay in part.stays) == sorted(chosen["ICUSTAY_ID"])
    assert sum(part.labels.sum() for part in samples) == chosen["MORTALITY"].sum()


def test_a_death_at_an_unknown_time_is_left_out_where_quirks_are_corrected(store, fixed_store):
    stays = _store.read_stays(store).filter(pl.col("MORTALITY") & pl.col("DEATHTIME").is_null())
    unknown = set(stays["ICUSTAY_ID"])
    hours = lambda folder: [clinical.read(folder, "decompensation", part) for part in PARTS]
    kept = [samples for samples in hours(store) if unknown & set(samples.stays.tolist())]
    assert kept
    assert all(not samples.labels[np.isin(samples.stays[samples.stay], list(unknown))].any() for samples in kept)
    assert not any(unknown & set(samples.stays.tolist()) for samples in hours(fixed_store))


def test_series_are_the_rows_in_the_window_of_the_task(store):
    samples = clinical.read(store, "mortality", "train")
    series = clinical.read_series(samples)
    some = clinical.read_series(samples, [3, 1])
    by_stay = {stay: (hours, rows) for stay, hours, rows in _text.rows_by_stay(_store.scan_cells(store).collect())}
    tables = []
    for stay in samples.stays.tolist():
        hours, rows = by_stay[stay]
        kept = [place for place, hour in enumerate(hours) if -1e-6 < hour < 48 + 1e-6]
        tables.append(([hours[place] for place in kept], [rows[place] for place in kept]))
    expected = clinical.as_series(tables)
    for found, wanted in ((series, expected), (some, clinical.as_series([tables[3], tables[1]]))):
        for column, values in found._asdict().items():
            np.testing.assert_array_equal(values, getattr(wanted, column))


TEXTS = np.full((2, 17), "", object)
TEXTS[0, 8] = "86"


def with_text(channel, text):
    texts = TEXTS.copy()
    texts[1, channel] = text
    return texts


BAD = [
    ([([0, 1], TEXTS[:, :3])], r"stay 0 must have texts of the shape \(2, 17\), got \(2, 3\)"),
    ([([], TEXTS[:0])], "stay 0 is empty: leave it out"),
    ([([0, np.nan], TEXTS)], "stay 0 has 1 times that are NaN"),
    ([([0, 1], TEXTS), ([2, 1], TEXTS)], "stay 1 goes back in time at row 1: 1 h after 2 h"),
    (
        [([0, 1], with_text(8, "fast"))],
        "Heart Rate has 'fast', which is not a number; unknown=\"normal\" takes it for normal",
    ),
    ([([0, 1], with_text(5, "16"))], "Glascow coma scale total has '16', which is not one of '11', '10', "),
    ([], "there must be a stay at least, got none"),
]


@pytest.mark.parametrize(("tables", "words"), BAD)
def test_tables_that_are_no_series_are_told(tables, words):
    with pytest.raises(ValueError, match=words):
        clinical.as_series(tables)


def test_unknown_text_can_stand_for_the_normal_value():
    series = clinical.as_series([([0, 1], with_text(8, "fast"))], unknown="normal")
    np.testing.assert_array_equal(series.value, [86, 86])


def test_list_files_come_back(store, tmp_path):
    for task in PUBLISHED.keys() - {"multitask"}:
        samples = clinical.read(store, task, "train")
        clinical.write_list_file(samples, tmp_path / "listfile.csv")
        found = clinical.read_list_file(tmp_path / "listfile.csv")
        assert found.names == [samples.names[stay] for stay in samples.stay]
        np.testing.assert_allclose(found.labels, np.atleast_2d(samples.labels.T).T, atol=1e-6)
        if task != "mortality":
            np.testing.assert_allclose(found.period, samples.period, atol=1e-6)


def test_files_that_are_no_list_files_are_told_by_the_line(tmp_path):
    file = tmp_path / "listfile.csv"
    file.write_text("stay,y_true\n1_episode1_timeseries.csv,0\n2_episode1_timeseries.csv,no\n")
    with pytest.raises(ValueError, match="line 3: expected stay,y_true, got '2_episode1_timeseries\\.csv,no'"):
        clinical.read_list_file(file)
    file.write_text("name,label\n")
    with pytest.raises(ValueError, match="is no list file: its header must begin with stay, got 'name,label'"):
        clinical.read_list_file(file)


@pytest.mark.usefixtures("as_a_user_sees")
def test_unknown_tasks_and_parts_list_those_there_are(store):
    with pytest.raises(ValueError, match="unknown task 'death'; choose one of 'mortality', 'decompensation', "):
        clinical.read(store, "death", "train")
    with pytest.raises(ValueError, match="unknown part 'all'; choose one of 'train', 'validation', 'test'"):
        clinical.read(store, "mortality", "all")


def test_a_part_without_stays_has_no_samples(source, store, tmp_path):
    subject = int(clinical.read(store, "phenotyping", "train").names[0].split("_")[0])
    built = clinical.build(source, tmp_path / "store", subjects=[subject])
    for task in ("decompensation", "multitask"):
        samples = clinical.read(built.path, task, "test")
        assert not len(samples.stays)
        assert clinical.read_series(samples).offsets.tolist() == [0]
    assert samples.labels.shape == (0, 25)
    with pytest.raises(ValueError, match="has no samples of decompensation in its validation part"):
        clinical.train_linear(jax.random.key(0), built.path, "decompensation")


def test_the_demo_has_the_published_hash_of_every_series(demo):
    found = clinical.verify(demo)
    assert (found.agree, found.compared, found.unknown, found.absent) == (170, 170, (), ())


def test_the_demo_has_the_published_counts(demo):
    built = _store.read_built(demo)
    case = reference("clinical_cohort")
    np.testing.assert_array_equal(list(built.cohort.values()), case["flow_stays_admissions_subjects"])
    names = [str(name) for name in case["validate_names"] if name != "could_not_recover"]
    counts = dict(zip(case["validate_names"].tolist(), case["validate_counts"].tolist(), strict=True))
    assert {name: built.events[name] for name in names} == {name: counts[name] for name in names}
    steps = dict(zip(case["clean_step_names"].tolist(), case["clean_step_counts"].tolist(), strict=True))
    assert built.events["with a value"] == steps["value not null"]
    assert built.events["mapped"] == steps["mapped to a variable"]
    assert built.cells["cells"] == steps["(time,variable) cells"]
    shared = built.cells.keys() & steps.keys()
    assert len(shared) == 35
    assert {step: built.cells[step] for step in shared} == {step: steps[step] for step in shared}
    assert built.warnings == ()


def test_the_demo_has_the_published_stays(demo):
    case = reference("clinical_cohort")
    stays = _store.read_stays(demo)
    place = {stay: row for row, stay in enumerate(stays["ICUSTAY_ID"])}
    rows = [place[int(stay)] for stay in case["stay_icustay_id"]]
    np.testing.assert_allclose(stays["AGE"].to_numpy()[rows], case["stay_age"].astype(float), atol=1e-9)
    for name in ("MORTALITY", "MORTALITY_INUNIT"):
        np.testing.assert_array_equal(stays[name].to_numpy()[rows], case[f"stay_{name.lower()}"] == "1")
    phenotypes = np.array(stays["PHENOTYPES"].to_list())[rows]
    np.testing.assert_array_equal(phenotypes, case["stay_phenotype_25"])


def test_the_demo_has_the_published_episodes(demo):
    case = reference("clinical_episodes")
    stays = _store.read_stays(demo)
    names = dict(zip(stays["ICUSTAY_ID"], _store.names_of(stays), strict=True))
    found = {names[stay]: rows for stay, *rows in _text.rows_by_stay(_store.scan_cells(demo).collect())}
    for name in case["names"].tolist():
        hours, rows = found[name]
        np.testing.assert_allclose(hours, case[f"{name}/hours"], rtol=0, atol=1e-9)
        np.testing.assert_array_equal(rows, case[f"{name}/values"])
    for name, (count, first, last) in zip(case["all_names"].tolist(), case["all_rows_first_last"], strict=True):
        hours, _ = found[name]
        assert len(hours) == count
        np.testing.assert_allclose([hours[0], hours[-1]], [first, last], atol=1e-9)


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_demo_has_the_published_samples(demo, task):
    case = reference("clinical_listfiles")
    subjects = set(map(str, reference("clinical_cohort")["subject_id"].tolist()))
    name = PUBLISHED[task]
    assert _list_files.header(task) == case[f"{name}/header"][0]
    for part, theirs in zip(PARTS, ("train", "val", "test"), strict=True):
        lines = _list_files.lines(clinical.read(demo, task, part))
        assert len(lines) == case[f"{name}/{theirs}/n_all"]
        mine = [line for line in lines if line.split("_")[0] in subjects]
        if f"{name}/{theirs}/lines" in case:
            assert sorted(mine) == sorted(case[f"{name}/{theirs}/lines"].tolist())
        else:
            columns = (case[f"{name}/{theirs}/{column}"].tolist() for column in ("stay", "period", "y"))
            split = [line.replace("_timeseries.csv", "").split(",") for line in mine]
            found = [(stay, float(period), float(y)) for stay, period, y in split]
            assert sorted(found) == sorted(zip(*columns, strict=True))
