"""Repaired labels, in the form in which they were given."""

import csv
import io

import numpy as np
import polars as pl
import pytest

from infotheory_dl import data
from infotheory_dl.audit.repaired import repaired_codes, repaired_data
from tests.audit.made import made_audit

NAMES = ("a \u201cbird\u201d", "cat", "dog, wet")


def audited(**changes):
    """Thirty examples, ten of them suspects, and their repairs."""
    result = made_audit(30, suspects=10, pictures=False)
    return result.examples._replace(**{"class_names": NAMES, **changes}), result.label_errors


def expected(examples, errors):
    return [NAMES[code] for code in np.where(errors.repaired, errors.suggested, examples.labels)]


def written_table(folder, suffix, delimiter=","):
    examples, _ = audited()
    path = folder / f"my{suffix}"
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\r\n")
        writer.writerow(["f", " what ", "note"])
        writer.writerows([f"{i}.50", NAMES[code], 'a "b"' if i % 2 else ""] for i, code in enumerate(examples.labels))
    return path


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_a_table_of_text_is_the_same_but_for_its_repaired_labels(suffix, delimiter, tmp_path):
    source = data.Source(written_table(tmp_path, suffix, delimiter), label="what")
    examples, errors = audited()
    found = repaired_data(examples, errors, source.read(labelled=True), source)
    rows = list(csv.DictReader(io.StringIO(found.content), delimiter=delimiter))
    assert found.name == f"repaired{suffix}"
    assert [row["what"] for row in rows] == expected(examples, errors)
    assert [row["f"] for row in rows] == [f"{i}.50" for i in range(30)]
    assert [row["note"] for row in rows] == ['a "b"' if i % 2 else "" for i in range(30)]
    assert found.about == f"is your table with {int(errors.repaired.sum())} labels changed"
    assert ("sep=None" in found.reading) == (delimiter != ",")


def test_a_table_of_numbers_keeps_their_kind_and_loses_the_rows_that_were_dropped(tmp_path):
    examples, errors = audited(class_names=("3", "5", "8"), dropped=np.array([40, 41]), available=42)
    labels = np.array([3, 5, 8])[np.r_[examples.labels, np.zeros(12, int)]]
    frame = pl.DataFrame({"f": np.arange(42) / 2, "digit": labels}).cast({"digit": pl.Int16})
    frame.write_parquet(tmp_path / "my.parquet")
    source = data.Source(tmp_path / "my.parquet", label="digit")
    found = repaired_data(examples, errors, source.read(labelled=True), source)
    after = pl.read_parquet(io.BytesIO(found.content))
    assert after.schema == frame.schema
    assert len(after) == 40
    assert after["digit"][:30].to_list() == np.array([3, 5, 8])[repaired_codes(examples, errors)].tolist()
    assert after["digit"][30:].to_list() == [3] * 10
    assert "changed and 2 rows left out" in found.about


def test_an_array_has_all_labels_in_their_order_those_of_a_part_repaired():
    examples, errors = audited(indices=np.arange(30) * 2, available=60)
    given = np.repeat(np.array(NAMES)[examples.labels], 2)
    found = repaired_data(examples, errors, data.Table(np.zeros((60, 9)), given), None)
    after = np.load(io.BytesIO(found.content))
    assert found.name == "labels.npy"
    assert after[::2].tolist() == expected(examples, errors)
    assert after[1::2].tolist() == given[1::2].tolist()


def test_folders_of_images_have_a_table_of_names(tmp_path):
    examples, errors = audited(class_names=tuple("abc"))
    names = tuple(f"a/{i}.png" for i in range(30))
    table = data.Table(np.zeros((30, 4, 4)), np.array(list("abc"))[examples.labels], row_names=names)
    found = repaired_data(examples, errors, table, data.Source(tmp_path))
    rows = list(csv.DictReader(io.StringIO(found.content)))
    assert [row["name"] for row in rows] == list(names)
    assert [row["label"] for row in rows] == ["abc"[code] for code in repaired_codes(examples, errors)]


def test_a_file_that_has_changed_is_not_mixed_up_with_what_was_audited(tmp_path):
    source = data.Source(written_table(tmp_path, ".csv"), label="what")
    table = source.read(labelled=True)
    source.data.write_text("f,what\n1,cat\n")
    assert repaired_data(*audited(), table, source).name == "labels.npy"


def test_flips_are_undone_and_decisions_kept():
    examples, errors = audited()
    true = examples.labels.copy()
    true[0] = 2  # flipped on purpose, and taken for another class
    confirmed = np.arange(30) == 1
    flipped = examples._replace(true_labels=true, confirmed=confirmed)
    codes = repaired_codes(flipped, errors)
    assert codes[0] == 2
    assert codes[1] == examples.labels[1]
    assert codes[2] == errors.suggested[2]
