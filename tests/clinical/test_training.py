"""Networks and linear baselines trained on a store, and the commands that do so."""

import csv
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import cli, clinical, report, results, training
from infotheory_dl.clinical import _sequences, _training
from infotheory_dl.clinical.command import models
from tests.files_page import columns_of

HOURLY = clinical.Configuration("length_of_stay", False, 2, num_epochs=2)
KEYS = jax.random.split(jax.random.key(0), 2)


@pytest.fixture(scope="module")
def trained(store):
    return clinical.train_network(KEYS, store, HOURLY)


def test_each_hour_is_predicted_as_the_network_reads_its_prefix(trained, store):
    samples = clinical.read(store, "length_of_stay", "test")
    found = clinical.predict_network(trained, samples)
    assert found.shape == (2, len(samples.labels))
    apply = jax.jit(clinical.network(HOURLY).apply)
    for place in (0, 7, len(samples.labels) - 1):
        series = clinical.read_series(samples, [int(samples.stay[place])])
        grid = clinical.normalize(
            trained.normalizer, clinical.discretize(series, end=samples.period[place], num_bins=128)
        )
        for seed in range(2):
            variables = jax.tree.map(lambda leaf, seed=seed: leaf[seed], trained.variables)
            shares = clinical.probabilities(HOURLY, apply(variables, grid.values))["length_of_stay"]
            np.testing.assert_allclose(found[seed, place], clinical.class_lengths(shares.argmax(-1))[0])


def test_an_interrupted_training_goes_on(trained, store, tmp_path):
    checkpoint = training.Checkpoint(tmp_path / "checkpoint")
    options = {"checkpoint": checkpoint, "callback_every": 1}

    def stop(state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clinical.train_network(KEYS, store, HOURLY, callback=stop, **options)
    found = clinical.train_network(KEYS, store, HOURLY, **options)
    jax.tree.map(np.testing.assert_array_equal, found.variables, trained.variables)
    assert found.selected_by == "length_of_stay_score"
    results.save(tmp_path / "networks.npz", found)
    again = results.load(tmp_path / "networks.npz", clinical.TrainedNetwork)
    jax.tree.map(np.testing.assert_array_equal, again.variables, trained.variables)


def test_the_command_goes_on_where_it_was_interrupted_and_ends_with_the_same_bytes(store, tmp_path, monkeypatch):
    settings = clinical.Configuration("length_of_stay", False, 2)
    monkeypatch.setattr(models, "configuration", lambda name: settings)
    progress, seen = report.Stages.progress, []

    def train(folder, *options):
        # as long as the networks of the fixture, whose program is this one
        seen.clear()
        arguments = ("train", store, "length_of_stay", "--model", "S", "--seeds", 2, "--epochs", 2, *options)
        cli.main(["clinical", *map(str, arguments), "--output", str(folder)])

    def interrupted(stages, share):
        progress(stages, share)
        seen.append(share)
        if folder.name == "resumed" and len(seen) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(report.Stages, "progress", interrupted)
    folder = tmp_path / "whole"
    train(folder)
    assert seen == [0.5, 1.0]
    folder = tmp_path / "resumed"
    with pytest.raises(SystemExit) as stopped:
        train(folder)
    assert stopped.value.code == 130
    # the epoch that is done is told already, and saved
    assert [row["epoch"] for row in rows_of(folder / "length_of_stay_S_epochs.csv")] == ["1", "1"]
    with pytest.raises(SystemExit) as stopped:
        train(folder, "--seed", 1)
    assert stopped.value.code == 2
    monkeypatch.setattr(report.Stages, "progress", lambda stages, share: seen.append(share))
    train(folder)
    assert seen == [1.0]
    contents = [{file.name: file.read_bytes() for file in sorted(path.iterdir())} for path in tmp_path.iterdir()]
    assert contents[0] == contents[1]
    assert {name for name in contents[0] if "seed" not in name} == {
        "length_of_stay_S.csv",
        "length_of_stay_S.npz",
        "length_of_stay_S_epochs.csv",
    }
    found = results.load(folder / "length_of_stay_S.npz", clinical.TrainedNetwork)
    rows = rows_of(folder / "length_of_stay_S_epochs.csv")
    assert [(row["seed"], row["epoch"]) for row in rows] == [("0", "1"), ("0", "2"), ("1", "1"), ("1", "2")]
    np.testing.assert_array_equal([float(row["loss"]) for row in rows], np.ravel(found.losses))
    scores = np.ravel(found.evaluations["length_of_stay_score"])
    np.testing.assert_array_equal([float(row["validation_length_of_stay_score"]) for row in rows], scores)
    assert set(rows[0]) <= columns_of("clinical", "`TASK_MODEL_epochs.csv`")


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_batches_hold_all_sequences_once_and_those_of_like_length():
    bins = np.random.default_rng(0).integers(1, 500, 22)
    schedule = _training.by_length(bins, 4)
    found = schedule(jax.random.key(0), jnp.asarray(0))
    indices, mask = np.asarray(found.indices), np.asarray(found.mask)
    np.testing.assert_array_equal(np.sort(indices[mask]), np.arange(22))
    ordered = indices[np.argsort([bins[row[counted]].min() for row, counted in zip(indices, mask, strict=True)])]
    ends = [(bins[row].min(), bins[row].max()) for row in ordered[:-1]]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))
    assert not np.array_equal(indices, np.asarray(schedule(jax.random.key(0), jnp.asarray(1)).indices))
    assert _training.by_length(bins, 4, 2)(jax.random.key(0), jnp.asarray(0)).indices.shape == (2, 4)


def test_hours_of_several_tasks_stand_in_their_bins(store):
    samples = clinical.read(store, "multitask", "train")
    rows = _sequences.rows_of(samples, 1.0)
    settings = clinical.configuration("ihm/MS")
    found = _sequences.sequences_of(samples, rows, settings, int(np.diff(rows.offsets).max()))
    for task in ("decompensation", "length_of_stay"):
        labels, mask = found.targets[task]
        alone = clinical.read(store, task, "train")
        assert mask.sum() == len(alone.labels)
        place = {name: stay for stay, name in enumerate(samples.names)}
        stay = np.array([place[name] for name in alone.names])[alone.stay]
        # hours are in the bin that ends there
        np.testing.assert_allclose(labels[stay, alone.period.astype(int) - 1], alone.labels, rtol=1e-6)
    alone = clinical.read(store, "mortality", "train")
    assert found.targets["mortality"].mask.sum() == len(alone.labels)


def test_a_stay_has_its_bins_once(store):
    samples = clinical.read(store, "decompensation", "test")
    rows = _sequences.rows_of(samples, 1.0)
    grid = clinical.discretize(clinical.read_series(samples), end=samples.length)
    for stay in range(len(samples.stays)):
        mine = rows.values[rows.offsets[stay] : rows.offsets[stay + 1]]
        np.testing.assert_allclose(mine, grid.values[stay, : int(grid.lengths[stay])], rtol=1e-6)


def test_hourly_inputs_are_normalised_by_all_bins_of_all_samples(trained, store):
    samples = clinical.read(store, "length_of_stay", "train")
    rows = _sequences.rows_of(samples, 1.0)
    seen = np.concatenate(
        [
            rows.values[rows.offsets[stay] :][: int(hour)]
            for stay, hour in zip(samples.stay, samples.period, strict=True)
        ]
    )
    np.testing.assert_allclose(trained.normalizer.mean, seen.mean(0, dtype=float), rtol=1e-9, atol=1e-12)
    expected = np.maximum(seen.std(0, ddof=1, dtype=float), 1e-7)
    np.testing.assert_allclose(trained.normalizer.std, expected, rtol=1e-9, atol=1e-12)
    whole = clinical.read(store, "phenotyping", "train")
    times = _sequences.times_seen(whole, _sequences.rows_of(whole, 1.0), HOURLY)
    np.testing.assert_array_equal(times, 1)


def test_the_linear_baseline_of_a_task_is_that_of_its_features(store):
    samples = clinical.read(store, "length_of_stay", "train")
    penalties = (clinical.LINEAR_PENALTIES["length_of_stay"],)
    found = clinical.train_linear(jax.random.key(0), store, "length_of_stay", penalties=penalties)
    table = clinical.features(clinical.read_series(samples), stay=samples.stay, end=samples.period)
    classes = np.asarray(clinical.predict_linear(found.model, table)).argmax(1)
    np.testing.assert_allclose(clinical.predict_task(found.model, samples), clinical.class_lengths(classes))
    fewer = clinical.train_linear(
        jax.random.key(0), store, "length_of_stay", penalties=penalties, most_samples=len(samples.labels)
    )
    np.testing.assert_array_equal(fewer.model.regression.coefficients, found.model.regression.coefficients)


def test_models_are_trained_and_compared_from_the_shell(store, tmp_path, capsys):
    run = lambda *arguments: cli.main(["clinical", *map(str, arguments), "--output", str(tmp_path)])
    run("train", store, "decompensation", "--samples", 60)
    assert "Chosen on the validation part: l" in capsys.readouterr().out
    samples = clinical.read(store, "decompensation", "test")
    clinical.write_predictions(samples, np.random.default_rng(0).random(len(samples.labels)), tmp_path / "chance.csv")
    run(
        "evaluate",
        store,
        tmp_path / "decompensation_linear.csv",
        "--against",
        tmp_path / "chance.csv",
        "--resamples",
        50,
    )
    printed = capsys.readouterr().out
    for words in ("AUC-ROC less that of chance", "min(+P, Se)", "ethnicity", "measures.csv, report.html are in"):
        assert words in printed
    page = (tmp_path / "report.html").read_text()
    for words in ("Calibration", "Subgroups", "Beside chance", "AUC-PR"):
        assert words in page
    assert (tmp_path / "measures.csv").read_text().startswith("of,group,samples,name,value,standard_error,low,high")
    assert columns_of("clinical", "`measures.csv`") == {"of", "group", "samples", "name", *clinical.Interval._fields}


def test_configurations_side_by_side_are_trained_as_each_alone_and_the_best_is_chosen(trained, store, tmp_path):
    dropped = HOURLY._replace(dropout=0.3)
    configurations = [
        dropped._replace(learning_rate=0.01),
        HOURLY,
        dropped,
        HOURLY._replace(learning_rate=1e-30),
    ]
    checkpoint = training.Checkpoint(tmp_path / "checkpoint")
    found = clinical.select_network(KEYS, store, configurations, checkpoint=checkpoint)
    assert sorted(path.name for path in checkpoint.folder.iterdir()) == ["program_0", "program_1"]
    again = clinical.select_network(KEYS, store, configurations, checkpoint=checkpoint)
    jax.tree.map(np.testing.assert_array_equal, again.best.variables, found.best.variables)
    assert [networks.configuration for networks in found.trained] == configurations
    same = lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    jax.tree.map(same, found.trained[1].variables, trained.variables)
    alone = clinical.train_network(KEYS, store, configurations[0])
    jax.tree.map(same, found.trained[0].variables, alone.variables)
    np.testing.assert_allclose(found.trained[0].losses, alone.losses, rtol=1e-5)
    # what differs has an effect, and what learns nothing stays as it began
    assert not np.allclose(found.trained[0].losses, found.trained[2].losses, rtol=1e-3)
    still = found.trained[3].evaluations["loss"]
    np.testing.assert_allclose(still[:, 0], still[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(
        found.scores, [networks.evaluations["length_of_stay_score"].max(-1) for networks in found.trained]
    )
    assert found.chosen == found.scores.mean(-1).argmax()
    assert found.best is found.trained[found.chosen]
    results.save(tmp_path / "selection.npz", found)
    assert results.load(tmp_path / "selection.npz", clinical.NetworkSelection).chosen == found.chosen


@pytest.mark.parametrize(("by", "chosen"), [("loss", 0), ("length_of_stay_score", 1)])
def test_the_best_mean_over_the_seeds_is_chosen(trained, store, monkeypatch, by, chosen):
    values = iter([[[0.5, 0.3], [0.4, 0.2]], [[np.nan] * 2] * 2, [[0.1, 0.9], [0.3, 0.9]], [[0.6, 0.2], [0.2, 0.2]]])
    programs = []

    def train(keys, store, configurations, *settings):
        programs.append(configurations)
        best = np.array([1, 2])
        return [
            trained._replace(configuration=each, selected_by=by, best_epoch=best, evaluations={by: next(values)})
            for each in configurations
        ]

    monkeypatch.setattr(_training, "_train", train)
    configurations = [HOURLY._replace(size=2 + 2 * (place % 2), learning_rate=10.0**-place) for place in range(4)]
    order = [configurations[place] for place in (0, 2, 1, 3)]
    found = clinical.select_network(KEYS, store, configurations, by=by)
    assert programs == [tuple(order[:2]), tuple(order[2:])]
    np.testing.assert_allclose(found.scores, [[0.5, 0.2], [0.1, 0.9], [np.nan, np.nan], [0.6, 0.2]])
    assert found.chosen == chosen


def test_weights_of_the_loss_are_those_of_each_network(store):
    several = clinical.Configuration("multitask", False, 2, supervision="replicated", num_epochs=1, batch_size=16)
    weights = (1.0, 0.0, 2.0, 0.0)
    configurations = [several, several._replace(loss_weights=weights, replication=0.25)]
    found = clinical.select_network(KEYS[:1], store, configurations, by="length_of_stay_score", steps_per_epoch=2)
    for networks in found.trained:
        measured, settings = networks.evaluations, networks.configuration
        mortality = np.average(
            [measured["mortality_last"], measured["mortality_all"]],
            axis=0,
            weights=[1 - settings.replication, settings.replication],
        )
        np.testing.assert_allclose(measured["mortality"], mortality, rtol=1e-6)
        parts = [measured[task] for task in ("mortality", "decompensation", "length_of_stay", "phenotyping")]
        np.testing.assert_allclose(measured["loss"], np.tensordot(settings.loss_weights, parts, 1), rtol=1e-6)
    with pytest.raises(ValueError, match="losses of different weights or supervision cannot be compared: give by"):
        clinical.select_network(KEYS, store, configurations)
    with pytest.raises(ValueError, match="of one task, to be compared, got length_of_stay, multitask"):
        clinical.select_network(KEYS, store, [several, HOURLY])
    with pytest.raises(ValueError, match="configurations must be one at least, got none"):
        clinical.select_network(KEYS, store, [])


def test_what_cannot_be_trained_is_told(store, trained):
    with pytest.raises(ValueError, match="num_epochs must be at least 1, got 0"):
        clinical.train_network(KEYS, store, HOURLY, num_epochs=0)
    with pytest.raises(ValueError, match="the networks learned length_of_stay, not mortality"):
        clinical.predict_network(trained, clinical.read(store, "mortality", "test"))
    with pytest.raises(ValueError, match="unknown task 'multitask'; choose one of 'mortality'"):
        clinical.train_linear(jax.random.key(0), store, "multitask")
