"""Out-of-fold predictions that a user made are read, put in order, and scored beside the audit's."""

import jax
import numpy as np
import pytest

from infotheory_dl import audit, label_noise, metrics
from infotheory_dl.audit.predictions import Probabilities, as_probabilities, compare_predictions, of_audited
from infotheory_dl.audit.report import findings, predictions, render
from infotheory_dl.audit.table import score_columns
from infotheory_dl.sample_information import find_label_errors


@pytest.fixture(scope="module")
def given(result) -> np.ndarray:
    """Probabilities of all 160 examples that know the true classes but for some noise."""
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(result.examples.available, len(result.examples.class_names)))
    logits[result.examples.indices, result.examples.true_labels] += 6
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.fixture(scope="module")
def compared(result, given):
    examples = result.examples
    rows = of_audited(as_probabilities(given), examples)
    return compare_predictions(rows, examples.labels, result.scores, result.label_errors, 0.95)


def test_they_are_scored_by_the_systems_of_the_house(result, given, compared):
    rows, labels = given[result.examples.indices], result.examples.labels
    np.testing.assert_allclose(compared.probabilities, rows)
    np.testing.assert_allclose(compared.margins, metrics.label_margins(rows, labels))
    np.testing.assert_allclose(
        compared.label_errors.wrong, find_label_errors(np.log(np.maximum(rows, 1e-6)), labels).wrong
    )
    np.testing.assert_allclose(compared.joint, label_noise.confident_joint(rows, labels))
    assert {*np.flatnonzero(compared.candidates)} == {*label_noise.detection.noisy_ids(rows, labels).tolist()}
    np.testing.assert_allclose(compared.calibration.ece, metrics.calibration(labels, rows).ece)
    assert compared.accuracy[0] == (rows.argmax(1) == labels).mean()
    suspected = compared.label_errors.wrong > 0.5, result.label_errors.wrong > 0.5
    np.testing.assert_array_equal(compared.both, suspected[0] & suspected[1])
    np.testing.assert_array_equal(compared.either, suspected[0] | suspected[1])


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "npy", "npz"])
def test_every_form_gives_the_same(form, result, given, tmp_path):
    pandas = pytest.importorskip("pandas")
    names, path = list(result.examples.class_names), tmp_path / f"mine.{form}"
    # a table may have its columns in any order, and names of the rows
    table = pandas.DataFrame(given, columns=names)[names[::-1]]
    table.insert(0, "id", [f"row {i}" for i in range(len(given))])
    if form in ("csv", "tsv"):
        table.to_csv(path, index=False, sep="," if form == "csv" else "\t")
    elif form == "parquet":
        table.to_parquet(path)
    elif form == "npy":
        np.save(path, given)
    else:
        np.savez(path, probabilities=given, other=np.ones(3))
    read = of_audited(audit.read_probabilities(path), result.examples)
    np.testing.assert_allclose(read, given[result.examples.indices], rtol=1e-12)
    if form == "csv":
        np.testing.assert_allclose(of_audited(as_probabilities(table.drop(columns="id")), result.examples), read)


def test_one_column_of_two_classes_is_of_the_second(result):
    examples = result.examples._replace(class_names=("no", "yes"))
    chances = np.linspace(0, 1, examples.available)
    expected = np.stack([1 - chances, chances], axis=1)[examples.indices]
    np.testing.assert_allclose(of_audited(Probabilities(chances[:, None], ("p",)), examples), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:50], "a row for each of the 160 examples of the data, in their order, got 50"),
        (lambda rows: rows[:, :3], "a column for each of the 10 classes '0', '1', '2', '3', '4', …, got 3"),
        (lambda rows: np.log(rows), "must be a distribution, .* of logits take the softmax"),
        (lambda rows: rows[None], "probabilities must be of shape"),
        (
            lambda rows: rows[:, 0],
            r"must be of shape \(examples, classes\), got \(160,\): give a column for each class",
        ),
        (
            lambda rows: np.where(rows == rows[3:4], np.nan, rows),
            "NaN in 1 of 160 rows, the first in row 3 .* where no",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_what_to_do(change, message, result, given):
    with pytest.raises(ValueError, match=message):
        of_audited(as_probabilities(change(given)), result.examples)


def test_of_two_arrays_none_is_taken(given, tmp_path):
    np.savez(tmp_path / "p.npz", train=given, test=given)
    with pytest.raises(ValueError, match=r"p\.npz: which array has the probabilities.* it has train, test"):
        audit.read_probabilities(tmp_path / "p.npz")
    np.savez(tmp_path / "p.npz", mine=given)
    np.testing.assert_array_equal(audit.read_probabilities(tmp_path / "p.npz").values, given)


def test_columns_of_other_names_are_told(result, given):
    named = Probabilities(given, tuple(f"class {i}" for i in range(10)))
    with pytest.raises(ValueError, match="probabilities lack the class '0': name their columns '0', '1'"):
        of_audited(named, result.examples)


def test_flips_that_they_cannot_know_are_refused(digits, given):
    with pytest.raises(ValueError, match="know nothing of labels that are flipped here: leave out flip"):
        audit.run(jax.random.key(0), *digits, flip=0.1, probabilities=given)


def test_the_page_the_table_and_the_sentences_have_them(result, compared):
    with_them = result._replace(given_predictions=compared)
    page = predictions.given_predictions(with_them)
    assert "Your predictions" in page
    assert "Suspected by both" in page
    assert "Your predictions and the audit both suspect" in " ".join(findings(with_them))
    assert "Your predictions" in render(with_them, title="digits", facts={})
    assert {"given_margin", "given_candidate", "suspected_by_both"} <= score_columns(with_them).keys()
    assert predictions.given_predictions(result) == ""


def test_predictions_by_models_that_have_seen_the_labels_are_told(result, compared):
    seen = result._replace(given_predictions=compared._replace(accuracy=np.ones(2)))
    assert "agree with every label" in " ".join(predictions.sentences(seen))


def test_predictions_that_are_all_the_same_or_in_another_order_are_told(result, given):
    def sentence(rows):
        labels = result.examples.labels
        found = compare_predictions(rows[result.examples.indices], labels, result.scores, result.label_errors, 0.95)
        (told,) = predictions.sentences(result._replace(given_predictions=found))
        return told

    for rows in (np.full(given.shape, 0.1), np.broadcast_to(given[0], given.shape)):
        assert sentence(rows).startswith("Your predictions are the same for every example")
    assert "in another order" in sentence(given[np.random.default_rng(1).permutation(len(given))])
    assert "in another order" not in sentence(given)
    # right of the labels as given, and unlike the audit: their order is that of the data
    near = np.full(given.shape, 0.01)
    near[result.examples.indices, result.examples.labels] += np.random.default_rng(2).random(
        len(result.examples.labels)
    )
    near[result.examples.indices[0]] = np.arange(10) == (result.examples.labels[0] + 1) % 10
    assert "in another order" not in sentence(near / near.sum(1, keepdims=True))
