"""The subcommand `infotheory-dl fcmi`, and the files that it reads."""

import csv

import jax
import numpy as np
import pytest
from matplotlib.image import imread

from infotheory_dl import cli
from infotheory_dl.fcmi import Runs, bounds, command, draw_selection
from infotheory_dl.fcmi.files import SavedRuns, read_runs, write_runs
from infotheory_dl.results import files
from tests.files_page import require_described
from tests.report.reader import Page

RANDOM = np.random.default_rng(0)
N, RUNS = 6, 8
SELECTION = np.asarray(draw_selection(jax.random.key(0), RUNS, N, design="antithetic"))
LABELS = RANDOM.integers(0, 3, (2, 2 * N))
TRAINED = np.stack([SELECTION == 0, SELECTION == 1], axis=-1).reshape(RUNS, 2 * N)


def predict(error: float) -> np.ndarray:
    """Predictions that are always right on what was trained on, and sometimes wrong elsewhere."""
    wrong = (RANDOM.random((2, RUNS, 2 * N)) < error) & ~TRAINED
    return np.where(wrong, (LABELS[:, None] + 1) % 3, LABELS[:, None]).astype(np.int8)


RUNS_OF_TWO_EPOCHS = Runs(
    predictions=np.stack([predict(0.6), predict(0.3)]),
    selection=np.broadcast_to(SELECTION, (2, RUNS, N)),
    labels=LABELS,
    valid=np.ones((2, RUNS), bool),
    epochs=np.array([10, 20]),
)


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def save(folder, **arrays):
    np.savez(folder / "my.npz", **arrays)
    return folder / "my.npz"


def fail(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fcmi", *map(str, arguments)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_runs_come_back_from_their_file(tmp_path):
    path = write_runs(tmp_path / "runs.npz", RUNS_OF_TWO_EPOCHS)
    again = read_runs(path)
    for name, array in RUNS_OF_TWO_EPOCHS._asdict().items():
        np.testing.assert_array_equal(getattr(again, name), array)
    assert again.losses is None
    assert again.predictions.dtype == np.int8
    assert [file.name for file in tmp_path.iterdir()] == ["runs.npz"]


def test_a_file_that_cannot_be_finished_leaves_the_one_before(tmp_path, monkeypatch):
    path = write_runs(tmp_path / "runs.npz", RUNS_OF_TWO_EPOCHS)
    before = path.read_bytes()

    def fail_late(stream, arrays):
        stream.write(before[:100])
        raise OSError("No space left on device")

    monkeypatch.setattr(files, "write_arrays", fail_late)
    with pytest.raises(OSError, match="No space left"):
        write_runs(path, RUNS_OF_TWO_EPOCHS)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["runs.npz"]


def test_axes_that_a_file_leaves_out_are_added(tmp_path):
    losses = RANDOM.integers(0, 2, (RUNS, 2 * N))
    runs = read_runs(save(tmp_path, losses=losses, selection=SELECTION))
    assert runs.losses.shape == (1, 1, RUNS, 2 * N)
    assert runs.selection.shape == (1, RUNS, N)
    assert runs.valid.all()
    np.testing.assert_array_equal(runs.epochs, [0])
    again = read_runs(write_runs(tmp_path / "again.npz", runs))
    assert isinstance(again, SavedRuns)
    np.testing.assert_array_equal(again.losses, runs.losses)
    predictions = RUNS_OF_TWO_EPOCHS.predictions
    runs = read_runs(save(tmp_path, predictions=predictions, selection=SELECTION, labels=LABELS[0]))
    np.testing.assert_array_equal(runs.epochs, [1, 2])
    np.testing.assert_array_equal(runs.labels, [LABELS[0]] * 2)


def test_tables_and_a_figure_over_epochs(tmp_path, capsys):
    data = write_runs(tmp_path / "runs.npz", RUNS_OF_TWO_EPOCHS)
    cli.main(["fcmi", "--data", str(data), "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "8 runs on 2 supersamples of n = 6 rows." in printed
    assert "epoch 20, the last of 2" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 80

    require_described("fcmi", tmp_path / "out")
    table = rows_of(tmp_path / "out" / "bounds.csv")
    runs = RUNS_OF_TWO_EPOCHS
    for i, epoch in enumerate(("10", "20")):
        found = {row["bound"]: row for row in table if row["epoch"] == epoch}
        expected = bounds.fcmi(runs.predictions[i], runs.selection, num_classes=3)
        losses = bounds.zero_one_losses(runs.predictions[i], runs.labels)
        gap = bounds.generalization_gap(losses, runs.selection)
        assert float(found["fcmi"]["value"]) == pytest.approx(expected.value)
        assert float(found["fcmi"]["spread"]) == pytest.approx(expected.spread)
        assert float(found["fcmi"]["low"]) <= expected.value <= float(found["fcmi"]["high"])
        assert float(found["fcmi"]["observed"]) == pytest.approx(gap.value)
        assert found["fcmi"]["kind"] == "certificate"
        assert found["binary_kl"]["of"] == "population loss"
        assert float(found["binary_kl"]["observed"]) == pytest.approx(gap.ghost_loss.mean())
        # no training loss: the interpolating bounds hold
        assert "interpolating" in found

    memorised = rows_of(tmp_path / "out" / "rows.csv")
    information = [float(row["fcmi_information"]) for row in memorised]
    assert information == sorted(information, reverse=True)
    for row in memorised:
        z, i = int(row["supersample"]), int(row["row"])
        assert float(row["fcmi_information"]) == pytest.approx(expected.per_example[z, i])
        assert [row["label_0"], row["label_1"]] == list(map(str, LABELS[z, 2 * i : 2 * i + 2]))
    assert imread(tmp_path / "out" / "bounds.png").std() > 0

    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    for words in (
        "Generalization of runs",
        "After epoch 20, the last of 2.",
        f"{expected.value:.3f}",
        f"{gap.value:.3f}",
    ):
        assert words in page.text
    assert memorised[0]["fcmi_information"][:5] in page.words


def test_excluded_runs_and_degenerate_rows_are_told(tmp_path, capsys):
    selection = SELECTION.copy()
    selection[:, 0] = 1
    valid = np.arange(RUNS) != 3
    predictions = np.where(valid[:, None], RUNS_OF_TWO_EPOCHS.predictions[0, 0], 99)
    data = save(tmp_path, predictions=predictions, selection=selection, valid=valid)
    cli.main(["fcmi", "--data", str(data), "--output", str(tmp_path / "out"), "--estimator", "miller_madow"])
    printed = capsys.readouterr().out
    assert "8 runs on 1 supersample of n = 6 rows; 1 of 8 are not valid and left out." in printed
    assert "Note: the selection of 1 of 6 rows never varies over the runs" in printed
    # predictions alone allow one bound, and no gap
    (row,) = rows_of(tmp_path / "out" / "bounds.csv")
    assert (row["bound"], row["observed"], row["kind"]) == ("fcmi", "", "estimate")
    assert (row["degenerate_rows"], row["excluded_runs"]) == ("1", "1")
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "1 row has a selection that never varies" in page.text
    assert "an estimate, not a certificate" in page.text
    assert imread(tmp_path / "out" / "bounds.png").std() > 0


PREDICTIONS = RUNS_OF_TWO_EPOCHS.predictions[0, 0]
WRONG_FILES = [
    ({"predictions": PREDICTIONS, "labels": LABELS[0]}, r"lacks selection: it has predictions, labels; expected are"),
    ({"selection": SELECTION}, "lacks predictions or losses: it has selection; expected are"),
    ({}, "lacks predictions or losses and selection: it has no arrays; expected are"),
    ({"predictions": PREDICTIONS[0], "selection": SELECTION}, "has predictions of shape (12,); expected are"),
    (
        {"predictions": PREDICTIONS, "losses": PREDICTIONS[:, :4], "selection": SELECTION},
        "has predictions of shape (8, 12) and losses of shape (8, 4); expected are",
    ),
    (
        {"predictions": PREDICTIONS, "selection": SELECTION[:, :5]},
        "selection must be of shape (8, 6) or (1, 8, 6) beside predictions of shape (8, 12), got (8, 5)",
    ),
    (
        {"predictions": PREDICTIONS, "selection": SELECTION, "valid": np.ones(3, bool)},
        "valid must be of shape (8,) or (1, 8) beside predictions of shape (8, 12), got (3,)",
    ),
    (
        {"predictions": PREDICTIONS, "selection": SELECTION, "epochs": np.arange(3)},
        "epochs must be of shape (1,), one for each prediction, got (3,)",
    ),
    ({"predictions": PREDICTIONS, "selection": SELECTION, "labels": ["cat"] * 12}, "labels must be numbers, got <U3"),
    ({"predictions": PREDICTIONS + 0.5, "selection": SELECTION}, "take numpy.argmax(.., axis=-1)"),
    ({"predictions": PREDICTIONS[..., 1:], "selection": SELECTION}, "must have an even number of columns"),
    ({"losses": np.full((RUNS, 2 * N), 0.5), "selection": SELECTION}, "give bins=, or estimator='neighbours'"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG_FILES)
@pytest.mark.usefixtures("as_a_user_sees")
def test_an_incomplete_file_is_told_with_what_is_expected(arrays, message, tmp_path, capsys):
    told = fail(capsys, "--data", save(tmp_path, **arrays), "--output", tmp_path / "out")
    assert message in told
    assert len(told.splitlines()) == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_absent_or_no_archive_is_told(tmp_path, capsys):
    (tmp_path / "text.npz").write_text("predictions")
    assert "is not an .npz file; expected are" in fail(capsys, "--data", tmp_path / "text.npz", "--output", tmp_path)
    assert "No such file or directory" in fail(capsys, "--data", tmp_path / "absent.npz", "--output", tmp_path)


def test_a_full_disk_loses_neither_the_bounds_nor_the_files(tmp_path, capsys, monkeypatch):
    path, folder = write_runs(tmp_path / "runs.npz", RUNS_OF_TWO_EPOCHS), tmp_path / "full"
    refuge = tmp_path / "refuge"
    refuge.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(refuge))
    write = command.write_together

    def fail_when_full(where, contents):
        if where == folder:
            raise OSError(28, f"cannot write to {folder}: No space left on device")
        return write(where, contents)

    monkeypatch.setattr(command, "write_together", fail_when_full)
    cli.main(["fcmi", "--data", str(path), "--output", str(folder)])
    out = capsys.readouterr().out
    (kept,) = refuge.iterdir()
    assert {file.name for file in kept.iterdir()} == {"bounds.csv", "rows.csv", "bounds.png", "report.html"}
    assert out.index("epoch 20") < out.index(f"Note: [Errno 28] cannot write to {folder}: No space left on device")
    assert f"are in {kept}" in out.replace("\n", "")
