"""Decisions on suspects: read back and applied."""

import numpy as np
import pytest

from infotheory_dl.audit import Decisions, read_decisions
from infotheory_dl.audit.decisions import apply_decisions, settle
from infotheory_dl.audit.examples import Examples
from infotheory_dl.sample_information import find_label_errors

pytestmark = pytest.mark.usefixtures("as_a_user_sees")
HEADER = "example,name,label,suggested_label,decision,new_label\n"


def examples(true_labels=(0, 1, 0, 1, 0, 1)) -> Examples:
    x = np.arange(12.0).reshape(6, 2)
    return Examples(
        indices=np.array([1, 3, 5, 7, 9, 11]),
        x=x,
        inputs=x,
        labels=np.array([0, 1, 0, 1, 0, 1]),
        true_labels=np.array(true_labels),
        held_out_inputs=x,
        held_out_labels=np.array([0, 1, 0, 1, 0, 1]),
        class_names=("cat", "dog, wet"),
        feature_names=("a", "b"),
        available=20,
        row_names=tuple("abcdef"),
    )


def written(folder, text, encoding="utf-8"):
    (folder / "decisions.csv").write_text(text, encoding=encoding)
    return folder / "decisions.csv"


ROWS = '3,b,"dog, wet",cat,relabel,cat\n5,c,cat,"dog, wet",keep,\n7,d,"dog, wet",cat,drop,\n9,e,cat,cat,,\n'


def test_decisions_are_read_as_the_page_writes_them_and_as_a_spreadsheet_does(tmp_path):
    found = read_decisions(written(tmp_path, HEADER + ROWS))
    assert found.examples.tolist() == [3, 5, 7]
    assert found.kinds == ("relabel", "keep", "drop")
    assert found.labels == ("dog, wet", "cat", "dog, wet")
    assert found.new_labels == ("cat", "cat", "dog, wet")
    semicolons = "example;label;decision;new_label\r\n3;dog, wet;Relabel;cat\r\n"
    assert read_decisions(written(tmp_path, semicolons, "utf-8-sig")).kinds == ("relabel",)
    assert len(read_decisions(written(tmp_path, HEADER)).examples) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("example,label,decision\n", "lacks the column 'new_label': decisions have example, label, decision"),
        (HEADER + "3,b,cat,dog,delete,\n", "line 2: the decision must be one of keep, relabel, drop, got 'delete'"),
        (HEADER + "-3,b,cat,dog,keep,\n", "an example is called by its place in the data, from 0, got '-3'"),
        (HEADER + "3,b,cat,dog,keep,\n3,b,cat,dog,drop,\n", "line 3: example 3 has a decision already"),
        (HEADER + "3,b,cat,dog,relabel,\n", "example 3 is to be relabelled, but new_label is empty"),
    ],
)
def test_what_is_no_table_of_decisions_is_told(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_decisions(written(tmp_path, text))


def test_a_file_that_is_absent_or_no_text_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot read .*decisions\.csv"):
        read_decisions(tmp_path / "decisions.csv")
    (tmp_path / "decisions.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not text in UTF-8"):
        read_decisions(tmp_path / "decisions.csv")


def test_labels_change_dropped_examples_leave_and_others_are_confirmed(tmp_path):
    decisions = read_decisions(written(tmp_path, HEADER + ROWS + "8,,cat,,drop,\n"))
    found = apply_decisions(examples(), decisions)
    assert found.indices.tolist() == [1, 3, 5, 9, 11]
    assert found.labels.tolist() == [0, 0, 0, 0, 1]
    assert found.confirmed.tolist() == [False, True, True, False, False]
    assert found.row_names == ("a", "b", "c", "e", "f")
    assert found.x[:, 0].tolist() == [0, 2, 4, 8, 10]
    assert found.dropped.tolist() == [7]
    assert not found.flipped.any()


def test_later_decisions_follow_on_earlier_ones():
    first = Decisions(np.array([3, 5]), ("dog, wet", "cat"), ("relabel", "drop"), ("cat", "cat"))
    second = Decisions(
        np.array([3, 1, 5]), ("cat", "cat", "cat"), ("relabel", "drop", "keep"), ("dog, wet", "cat", "cat")
    )
    found = apply_decisions(apply_decisions(examples(), first), second)
    assert found.indices.tolist() == [3, 7, 9, 11]
    assert found.labels.tolist() == [1, 1, 0, 1]
    assert found.confirmed.tolist() == [True, False, False, False]
    assert found.dropped.tolist() == [5, 1]


def test_where_labels_were_flipped_on_purpose_the_true_ones_stay():
    decisions = Decisions(np.array([3]), ("dog, wet",), ("relabel",), ("cat",))
    found = apply_decisions(examples(true_labels=(1, 0, 0, 1, 0, 1)), decisions)
    assert found.flipped.tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("place", "label", "kind", "new", "message"),
    [
        (20, "cat", "keep", "cat", "a decision is on example 20, but the data have 20, from 0"),
        (3, "cat", "keep", "cat", "example 3 was made on the label 'cat', but it has 'dog, wet'"),
        (1, "cat", "relabel", "bird", "is to be relabelled 'bird', which is no class of the data: they are cat, dog"),
    ],
)
def test_decisions_on_other_data_are_refused(place, label, kind, new, message):
    with pytest.raises(ValueError, match=message):
        apply_decisions(examples(), Decisions(np.array([place]), (label,), (kind,), (new,)))


def test_two_classes_must_be_left():
    places = np.array([3, 7, 11])
    decisions = Decisions(places, ("dog, wet",) * 3, ("drop",) * 3, ("dog, wet",) * 3)
    with pytest.raises(ValueError, match="fewer than two classes"):
        apply_decisions(examples(), decisions)


def test_what_is_confirmed_is_neither_wrong_nor_repaired():
    labels = np.arange(300) % 3
    random = np.random.default_rng(0)
    predictions = np.eye(3)[labels] + random.normal(size=(300, 3)) / 4
    labels[:30] = (labels[:30] + random.integers(1, 3, 30)) % 3
    errors = find_label_errors(predictions, labels)._replace(repaired=np.arange(300) < 10)
    assert errors.wrong[3] > 0.9
    settled = settle(errors, np.arange(300) == 3)
    assert settled.wrong[3] == settled.repairable[3] == 0
    assert np.flatnonzero(errors.repaired & ~settled.repaired).tolist() == [3]
    assert settled.expected_precision == pytest.approx(errors.repairable[settled.repaired].mean())
    assert settle(errors, None) is errors
    assert np.isnan(settle(errors, np.ones(300, bool)).expected_precision)
