"""What a page holds of its suspects, before any script runs."""

import json
import re

import numpy as np

from infotheory_dl import data
from infotheory_dl.audit import representation
from infotheory_dl.audit.report import _review, findings, render
from infotheory_dl.audit.report.sentences import scored_by
from tests.audit.made import HOSTILE, made_audit


def content_of(result) -> dict:
    page = render(result, title="", facts={})
    return json.loads(re.search(r'id="suspects">(.*?)</script>', page)[1])


def test_a_row_tells_of_its_suspect_and_of_the_nearest_examples_of_both_classes():
    result = made_audit(300, suspects=60, pictures=False)
    content = content_of(result)
    assert content["classes"] == list(result.examples.class_names)
    place, name, given, suggested, told, wrong, repair, verdict, beside, looks = content["rows"][7]
    assert (place, name, given, suggested) == (7, f"7 {HOSTILE}", 1, 2)
    assert wrong == round(result.label_errors.wrong[7], 4)
    assert told == f"wrong with {100 * wrong:.1f}\u00a0%, margin {result.scores.margins[7]:.2f}".replace("-", "−")
    assert repair
    assert verdict is None
    x, labels = result.examples.x, result.examples.labels
    trusted = np.arange(300) >= 60
    distances = np.square(x - x[7]).sum(1)
    near, far = (min(np.flatnonzero(trusted & (labels == c)), key=lambda i: distances[i]) for c in (1, 2))
    assert beside == [f"dog, wet: {near} {HOSTILE}", f"{HOSTILE}: {far} {HOSTILE}"]
    told = np.square(x[7] - x[near]) - np.square(x[7] - x[far])
    assert [feature for feature, *_ in looks] == np.argsort(-told)[:6].tolist()
    assert looks[0][1:] == [f"{x[i, looks[0][0]]:.4g}".replace("-", "−") for i in (7, near, far)]


def test_a_picture_stands_in_the_page_once_and_as_many_as_it_can_hold(monkeypatch):
    result = made_audit(300, suspects=60, pictures=True)
    content = content_of(result)
    assert len(content["pictures"]) == len(set(content["pictures"]))
    numbers = np.array([row[-1] for row in content["rows"]])
    assert sorted(set(numbers.ravel())) == list(range(len(content["pictures"])))
    monkeypatch.setattr(_review, "_PICTURES_AT_ONCE", 20)
    monkeypatch.setattr(_review, "_PICTURE_CHARACTERS", 3000)
    looks = [row[-1] for row in content_of(result)["rows"]]
    assert None not in looks[:20]
    assert looks[-20:] == [None] * 20


def test_confirmed_labels_are_no_suspects():
    result = made_audit(300, suspects=60, pictures=True)
    confirmed = result.examples._replace(confirmed=np.arange(300) < 50)
    assert [row[0] for row in content_of(result._replace(examples=confirmed))["rows"]] == list(range(50, 60))


def test_a_card_says_where_a_class_has_no_other_example_or_all_of_them_are_in_doubt():
    result = made_audit(9, suspects=3, pictures=False)
    alone = np.array([0, 1, 2, 1, 2, 1, 1, 2, 1])
    result = result._replace(
        examples=result.examples._replace(labels=alone),
        scores=result.scores._replace(margins=np.where(alone == 1, -1.0, result.scores.margins)),
    )
    rows = {row[0]: row for row in content_of(result)["rows"]}
    beside, looks = rows[0][-2:]
    assert beside[0] == "there is no other cat"
    assert beside[1].endswith(", in doubt too")
    assert {values[1] for _, *values in looks} == {"—"}


def test_what_examples_are_compared_by_has_words_and_hard_examples_are_no_mistakes():
    result = made_audit(60, suspects=6, pictures=False)
    words = [
        scored_by(result._replace(representation=name)) for name in (representation.KERNEL, *representation._NAMES)
    ]
    assert len(set(words)) == len(words)
    certain = result.label_errors._replace(interval=np.array([0.0, 0.01]), repaired=np.zeros(60, bool))
    sentence = findings(result._replace(label_errors=certain))[1]
    # by a sharpness of 5 a prediction of one against zeros is that of another class in 1.3 %
    assert "6 labels are contradicted" in sentence
    assert f"About {60 * 2 / (2 + np.exp(5)):.0f} are expected if every label is right" in sentence


def test_dates_are_written_as_dates_and_durations_as_days():
    result = made_audit(30, suspects=6, pictures=False)
    start, hours = np.datetime64("2024-02-28", "h"), np.arange(30)
    stay = np.random.default_rng(0).permutation(30)
    table = data.as_table({"seen": start + 24 * hours, "left": start + hours, "stay": stay * np.timedelta64(1, "D")})
    examples = result.examples._replace(
        x=table.x, inputs=table.x, feature_names=table.feature_names, dates=table.encoding.dates
    )
    content = content_of(result._replace(examples=examples))
    for row in content["rows"]:
        shown = {content["features"][feature]: value for feature, value, *_ in row[-1]}
        place = row[0]
        assert shown["seen"] == str((start + 24 * place).astype("M8[D]"))
        assert shown["left"] == f"2024-02-28{f' {place:02}:00' if place else ''}"
        assert shown["stay"] == str(stay[place])
