"""Repaired labels, in the form in which they were given."""

import csv
import html
import io
import re

import numpy as np
import polars as pl
import pytest

from infotheory_dl import audit, data
from infotheory_dl.audit.repaired import repaired_codes, repaired_data
from infotheory_dl.data.tables.relabelling import relabelled_text
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


def quoted_by_csv(text, delimiter):
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="").writerow([text])
    return stream.getvalue()


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_a_table_of_text_is_the_same_but_for_its_repaired_labels(suffix, delimiter, tmp_path):
    source = data.Source(written_table(tmp_path, suffix, delimiter), label="what")
    examples, errors = audited()
    found = repaired_data(examples, errors, source.read(labelled=True), source)
    changed = source.data.read_bytes().decode().split("\r\n")
    after = found.content.split("\r\n")
    for row, (code, name) in enumerate(zip(examples.labels, expected(examples, errors), strict=True), 1):
        cell = f"{delimiter}{quoted_by_csv(NAMES[code], delimiter)}{delimiter}"
        changed[row] = changed[row].replace(cell, f"{delimiter}{quoted_by_csv(name, delimiter)}{delimiter}")
    assert after == changed
    rows = list(csv.DictReader(io.StringIO(found.content), delimiter=delimiter))
    assert found.name == f"repaired{suffix}"
    assert [row[" what "] for row in rows] == expected(examples, errors)
    assert [row["\ufefff"] for row in rows] == [f"{i}.50" for i in range(30)]
    assert [row["note"] for row in rows] == ['a "b"' if i % 2 else "" for i in range(30)]
    assert found.about == f"is your table with {int(errors.repaired.sum())} labels changed"
    assert found.reading.endswith(f", sep={delimiter!r})") == (delimiter != ",")
    pandas = pytest.importorskip("pandas")
    (tmp_path / "after").write_bytes(found.content.encode())
    program = found.reading.replace("{path}", repr(str(tmp_path / "after")), 1).removeprefix("table = ")
    assert eval(program, {"pandas": pandas})[" what "].tolist() == expected(examples, errors)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quotes_and_ends_of_lines_stay_and_labels_move_as_they_are_written(end, tmp_path):
    rows = ['"f","what"', '1.50,"a"', '"2\n3",b', '"4""",a', '5,"b"']
    path = tmp_path / "my.csv"
    path.write_bytes(end.join(rows).encode())
    found = relabelled_text(path, "what", np.array([1, 0, 3, 2]), np.array([1, 1, 0, 1], bool))
    assert found.text == end.join(['"f","what"', "1.50,b", '"2\n3","a"', "5,a"])
    assert (found.label, found.delimiter) == ("what", ",")


def test_the_line_of_python_writes_the_labels_that_the_audit_suggests(tmp_path):
    pandas = pytest.importorskip("pandas")
    examples, errors = audited()
    for classes in (["None", "minor", "severe"], ["00", "01", "02"], ["EU", "NA", "US"], [0, 1, 2]):
        names = np.array(classes)
        labels = names[examples.labels]
        result = made_audit(30, suspects=10, pictures=False)
        result = result._replace(
            examples=examples._replace(class_names=tuple(map(str, classes))),
        )
        for table in (data.Table(np.zeros((30, 9)), labels), None):
            page = audit.write_report(result, tmp_path, table=table).read_text(encoding="utf-8")
            lines = re.search(r"<pre[^>]*>(?:<code>)?(repairs = .*?)  # y: your labels", page, re.DOTALL).group(1)
            y = labels.copy()
            exec(html.unescape(lines), {"pandas": pandas, "y": y})
            assert y.tolist() == np.where(errors.repaired, names[errors.suggested], labels).tolist()


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
