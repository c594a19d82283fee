"""Files of predictions, and what predictions are worth."""

import jax
import numpy as np
import pytest

from infotheory_dl import clinical, metrics

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def samples(store):
    return {
        task: clinical.read(store, task, "train")
        for task in ("mortality", "decompensation", "length_of_stay", "phenotyping")
    }


def some_predictions(samples, seed=0):
    random = np.random.default_rng(seed)
    noise = random.random(samples.labels.shape)
    return samples.labels * noise if samples.task == "length_of_stay" else 0.4 * samples.labels + 0.6 * noise


@pytest.mark.parametrize("task", ["mortality", "decompensation", "length_of_stay", "phenotyping"])
def test_predictions_come_back_in_whatever_order(task, samples, tmp_path):
    given = some_predictions(samples[task])
    clinical.write_predictions(samples[task], given, tmp_path / "predictions.csv")
    header, *lines = (tmp_path / "predictions.csv").read_text().splitlines()
    (tmp_path / "shuffled.csv").write_text("\n".join([header, *reversed(lines)]))
    found = clinical.match_predictions(samples[task], clinical.read_predictions(tmp_path / "shuffled.csv"))
    np.testing.assert_allclose(found, given, atol=1e-6)
    assert header.split(",")[:2] == ["stay", "prediction" if task == "mortality" else "period_length"]


def patients_of(samples):
    return np.array([name.split("_")[0] for name in samples.names])[samples.stay]


def test_measures_and_intervals_are_those_of_metrics(samples):
    of = samples["decompensation"]
    first, second = some_predictions(of), some_predictions(of, 1)
    found = clinical.evaluate(KEY, of, first, against=second, num_resamples=50)
    patients = patients_of(of)
    assert (found.samples, found.patients) == (len(of.labels), len(np.unique(patients)))
    drawn = metrics.bootstrap(KEY, metrics.binary, of.labels, first, groups=patients, num_resamples=50)
    values = metrics.binary(of.labels, first)
    for name, interval in found.measures.items():
        np.testing.assert_allclose(interval.value, getattr(values, name), rtol=1e-6)
        np.testing.assert_allclose(interval[2:], np.nanquantile(getattr(drawn, name), (0.025, 0.975)), rtol=1e-6)
    less = metrics.difference(KEY, metrics.binary, of.labels, first, second, groups=patients, num_resamples=50)
    np.testing.assert_allclose(found.difference["auroc"][2:], np.nanquantile(less.auroc, (0.025, 0.975)), atol=1e-6)
    np.testing.assert_allclose(found.calibration.ece, metrics.calibration(of.labels, first).ece, rtol=1e-6)


def test_subgroups_are_the_patients_of_the_store(samples):
    of = samples["decompensation"]
    found = clinical.evaluate(KEY, of, some_predictions(of), num_resamples=50)
    by = {}
    for group in found.subgroups:
        by.setdefault(group.of, []).append(group.samples)
    assert {of_group: sum(counts) for of_group, counts in by.items()} == dict.fromkeys(by, len(of.labels))
    assert by.keys() == {"sex", "age", "ethnicity"}


def test_lengths_are_measured_as_length_error_does(samples):
    of = samples["length_of_stay"]
    predictions = some_predictions(of)
    found = clinical.evaluate(KEY, of, predictions, by="sample", num_resamples=20)
    expected = clinical.length_error(of.labels, predictions)
    for name, value in expected._asdict().items():
        np.testing.assert_allclose(found.measures[name].value, value, rtol=1e-5)
    assert found.calibration is None


def test_labels_that_all_stays_have_are_left_out(samples):
    of = samples["phenotyping"]
    found = clinical.evaluate(KEY, of, some_predictions(of), num_resamples=20)
    varying = np.ptp(of.labels, axis=0) > 0
    assert len(found.per_label) == varying.sum() < 25
    expected = metrics.multilabel(of.labels[:, varying], some_predictions(of)[:, varying])
    np.testing.assert_allclose(found.measures["macro"].value, expected.macro, rtol=1e-5)
    assert {name for group in found.subgroups for name in group.measures} <= {"micro"}


def changed(edit):
    def call(samples, folder):
        of = samples["decompensation"]
        file = folder / "predictions.csv"
        clinical.write_predictions(of, some_predictions(of), file)
        file.write_text("\n".join(edit(file.read_text().splitlines())))
        clinical.match_predictions(of, clinical.read_predictions(file))

    return call


BAD = [
    (changed(lambda lines: lines[:-2]), "2 samples have no prediction, such as "),
    (changed(lambda lines: [*lines, lines[-1]]), "has several predictions"),
    (changed(lambda lines: [*lines, "9_episode9_timeseries.csv,5.0,0.1,0"]), "1 predictions are of no sample, such as"),
    (
        changed(lambda lines: [*lines[:-1], lines[-1].rsplit(",", 1)[0] + ",2"]),
        "the labels of 1 predictions differ from those of the store",
    ),
    (
        changed(lambda lines: [*lines[:3], "7_episode1_timeseries.csv,5.0,nan,0"]),
        "line 4: expected a stay and 3 finite numbers",
    ),
    (changed(lambda lines: ["name,label", *lines[1:]]), "holds no predictions: its header must be stay,prediction"),
    (
        lambda samples, folder: clinical.match_predictions(
            samples["mortality"],
            clinical.Predictions(["1_episode1"], np.array([5.0]), np.array([0.5]), np.array([0.0])),
        ),
        "these are no predictions of mortality",
    ),
    (
        lambda samples, folder: clinical.write_predictions(samples["mortality"], [0.5], folder / "file.csv"),
        "predictions must have the shape",
    ),
    (
        lambda samples, folder: clinical.evaluate(
            KEY, samples["mortality"], np.full(len(samples["mortality"].labels), 1.5)
        ),
        r"predictions must lie in \[0, 1\]",
    ),
    (
        lambda samples, folder: clinical.evaluate(
            KEY, samples["mortality"], np.full(len(samples["mortality"].labels), 0.5), by="hospital"
        ),
        "unknown by 'hospital'; choose one of 'patient', 'sample'",
    ),
]


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(("call", "words"), BAD)
def test_predictions_that_do_not_fit_are_told(call, words, samples, tmp_path):
    with pytest.raises(ValueError, match=words):
        call(samples, tmp_path)
