"""The subcommand `infotheory-dl domains`, and the files that it reads."""

import csv

import jax
import numpy as np
import pandas as pd
import pytest

from infotheory_dl import cli, data
from infotheory_dl.data import Source
from infotheory_dl.domain_generalization.files import cases, read_features
from tests.files_page import require_described
from tests.report.reader import Page

KEY = jax.random.key(0)
DRAWN = data.gaussian_domains(
    KEY, failure="misalignment", num_sources=2, num_classes=2, num_examples=200, num_features=5, separation=6.0
)
X, LABELS, DOMAINS, PREDICTIONS = (np.concatenate([np.asarray(part[column]) for part in DRAWN]) for column in range(4))
HOSPITALS = np.array(["north", "south", "west"])[DOMAINS]
SPLIT = np.repeat(["train", "validation", "none"], [len(part.labels) for part in DRAWN])


@pytest.fixture
def arrays(tmp_path):
    np.savez(tmp_path / "my.npz", x=X, y=LABELS, domain=HOSPITALS, prediction=PREDICTIONS, split=SPLIT)
    return tmp_path / "my.npz"


@pytest.fixture
def columns(tmp_path):
    frame = pd.DataFrame(X, columns=[f"f{place}" for place in range(5)])
    frame.assign(kind=np.array(["a", "b"])[LABELS], hospital=HOSPITALS).to_csv(tmp_path / "my.csv", index=False)
    return tmp_path / "my.csv"


def fail(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["domains", *map(str, arguments)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_failure_is_named_on_the_terminal_in_the_table_and_on_the_page(arrays, tmp_path, capsys):
    cli.main(["domains", "--data", str(arrays), "--unseen", "west", "--output", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert "The largest of the four terms of its error is misalignment" in told
    assert "What may help: invariance of the representations given the class" in told
    require_described("domains", tmp_path / "out")
    with (tmp_path / "out" / "domains.csv").open(newline="") as stream:
        rows = {(row["of"], row["name"]): row for row in csv.DictReader(stream)}
    terms = [float(rows["errors", name]["value"]) for name in rows_of_errors()]
    np.testing.assert_allclose(sum(terms), 1 - float(rows["accuracies", "own_on_unseen"]["value"]), atol=1e-12)
    assert {row["unseen"] for row in rows.values()} == {"west"}
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "Where the error in west sits" in page.text
    assert "How the representations lie" in page.text


def rows_of_errors():
    return ("underfitting", "inseparability", "misalignment", "non_invariance")


def test_without_predictions_each_domain_is_unseen_in_turn(columns, tmp_path, capsys):
    options = ["--label", "kind", "--domain", "hospital", "--resamples", "20", "--output", str(tmp_path / "out")]
    cli.main(["domains", "--data", str(columns), *options])
    told = capsys.readouterr().out
    assert "the model is a logistic regression on the source examples" in told
    assert "a fifth of the source examples stands for further ones" in told
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "Each domain unseen" in page.text
    for hospital in ("north", "south", "west"):
        assert f"the error in {hospital}" in told


def test_a_file_of_columns_and_one_of_arrays_are_the_same(arrays, columns):
    of_arrays = read_features(Source(data=arrays), domain=None, prediction=None, split=None)
    of_columns = read_features(Source(data=columns, label="kind"), domain="hospital", prediction=None, split=None)
    np.testing.assert_allclose(of_columns.x, of_arrays.x)
    np.testing.assert_array_equal(of_columns.domains, of_arrays.domains)
    np.testing.assert_array_equal(of_columns.labels, np.array(["a", "b"])[of_arrays.labels])
    np.testing.assert_array_equal(of_arrays.trained_on, SPLIT == "train")
    (case,), notices = cases(KEY, of_arrays, unseen="west")
    assert notices == ()
    for part, expected in zip(case.features, DRAWN, strict=True):
        np.testing.assert_array_equal(part.representations, expected.representations)
        np.testing.assert_array_equal(part.predictions, expected.predictions)


def test_a_second_unseen_domain_is_left_out_of_the_sources(arrays):
    given = read_features(Source(data=arrays), domain=None, prediction=None, split=None)
    more = given._replace(domains=np.where(np.arange(len(X)) % 3 == 0, "east", given.domains))
    (case,), _ = cases(KEY, more, unseen="west", test="east")
    assert set(case.features[0].domains) == {"north", "south"}
    assert set(case.features[3].domains) == {"east"}


def test_what_a_file_lacks_is_told(arrays, columns, tmp_path, capsys):
    out = ["--output", tmp_path / "out"]
    assert "which domain has the model not seen?" in fail(capsys, "--data", arrays, *out)
    assert "there is no domain 'east' to be unseen" in fail(capsys, "--data", arrays, "--unseen", "east", *out)
    assert "there is no column 'domain'" in fail(capsys, "--data", columns, "--label", "kind", *out)
    assert "lacks site" in fail(capsys, "--data", arrays, "--domain", "site", "--unseen", "west", *out)
    np.savez(tmp_path / "few.npz", x=X, y=LABELS, domain=np.minimum(DOMAINS, 1))
    assert "two source domains and an unseen one are needed" in fail(capsys, "--data", tmp_path / "few.npz", *out)
    np.savez(tmp_path / "short.npz", x=X, y=LABELS, domain=DOMAINS[:5])
    assert "domain must be one for each of the" in fail(capsys, "--data", tmp_path / "short.npz", *out)
