import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from infotheory_dl import audit, data
from infotheory_dl._files import require_writable
from infotheory_dl.audit.leaving_out import Summarization
from infotheory_dl.audit.report import render
from infotheory_dl.audit.table import MEANINGS
from infotheory_dl.sample_information import find_label_errors
from tests.report.reader import Page

FILES = ("scores.csv", "config.json", "labels.npy", "repaired.csv", "repaired.parquet", "repaired.tsv")


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "new" / "folder"
    assert audit.write_report(result, folder, title="<digits> & more", config={"seed": 3}) == folder / "report.html"
    return folder


def test_the_page_is_whole_and_needs_nothing_beside_it(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "data")]
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) or source in FILES for source in sources)
    assert "http" not in text
    assert not re.search(r"<script[^>]*src|<link|url\(|@import|import\(|fetch", text)


def test_names_are_escaped(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "<digits>" not in text
    assert "Audit of &lt;digits&gt; &amp; more" in text


def test_the_page_says_what_was_found(folder, result):
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    for sentence in audit.findings(result):
        assert sentence in text
    for found in result.detection:
        assert f"{found.average_precision:.4f}" in text
    assert "10 of 100 (10\u00a0%) were flipped on purpose" in text


def test_examples_are_called_by_the_names_that_they_have(result):
    rows = tuple(f"<row> {place}" for place in result.examples.indices)
    examples = result.examples._replace(row_names=rows, notices=("Dates became days.",))
    named = result._replace(examples=examples)
    table = list(csv.DictReader(io.StringIO(audit.scores_table(named))))
    assert all(row["name"] == f"<row> {row['example']}" for row in table)
    page = render(named, title="", facts={})
    assert "Dates became days." in page
    assert f'alt="example &lt;row&gt; {result.examples.indices[result.scores.margins.argmin()]}"' in page


def test_names_that_repeat_have_the_place_behind_and_a_threshold_near_zero_is_not_zero(result):
    examples = result.examples._replace(row_names=("one", "other", "one", *"abc"), indices=np.arange(6) + 4)
    assert examples.names == ("one (4)", "other", "one (6)", "a", "b", "c")
    for threshold, written in ((-0.003, "−0.003"), (-0.5, "−0.50"), (0.0, "0")):
        errors = result.label_errors._replace(threshold=threshold)
        page = Page(render(result._replace(label_errors=errors), title="", facts={})).text
        assert f"repaired below {written}" in page


def test_every_example_stands_in_the_table(folder, result):
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = {int(row["example"]): row for row in csv.DictReader(file)}
    assert list(rows) == sorted(result.examples.indices)
    for i, index in enumerate(result.examples.indices):
        row = rows[index]
        assert float(row["output_change"]) == result.scores.output_change[i]
        assert float(row["weight_change"]) == result.scores.weight_change[i]
        assert float(row["margin"]) == result.scores.margins[i]
        assert float(row["own_information"]) == result.generalization.own_information[i]
        assert float(row["pair_information"]) == result.generalization.pair_information[i]
        assert row["label"] == result.examples.class_names[result.examples.labels[i]]
        assert row["suggested_label"] == result.examples.class_names[result.label_errors.suggested[i]]
        assert row["true_label"] == result.examples.class_names[result.examples.true_labels[i]]
        assert bool(int(row["flipped"])) == result.examples.flipped[i]
        assert bool(int(row["repaired"])) == result.label_errors.repaired[i]


def test_each_column_of_the_scores_is_described_on_the_page(folder, result):
    header = (folder / "scores.csv").read_text().partition("\n")[0].split(",")
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    for name in header:
        assert MEANINGS[name] in text


def test_the_page_says_what_to_do_next(result, digits, tmp_path):
    given = {"command": "infotheory-dl audit --seed 1", "again": "infotheory-dl audit --decisions d.csv"}
    table = data.as_table(*digits)
    path = audit.write_report(result, tmp_path, **given, export="d.csv", table=table)
    text = path.read_text(encoding="utf-8")
    assert "<code>infotheory-dl audit --decisions d.csv</code>" in text
    assert "<code>infotheory-dl audit --seed 1</code>" in text
    assert '"file":"d.csv"' in text
    assert '<a href="labels.npy">labels.npy</a> holds all your labels' in text
    after, before = np.load(tmp_path / "labels.npy"), result.examples.true_labels
    assert after.dtype == digits[1].dtype
    unflipped = ~result.examples.flipped & ~result.label_errors.repaired
    assert (after[result.examples.indices[unflipped]] == before[unflipped]).all()
    worst = result.scores.margins.argmin()
    assert f"example {result.examples.names[worst]}" in text
    other = audit.write_report(result, tmp_path / "other").read_text(encoding="utf-8")
    assert "audit.run(key, x, y, decisions=[audit.read_decisions(&#x27;decisions.csv&#x27;)])" in other
    assert "labels.npy" not in other


def test_the_settings_are_recorded(folder, result):
    record = json.loads((folder / "config.json").read_text())
    assert record["settings"]["seed"] == 3
    assert record["settings"]["flip"] == 0.1
    assert record["settings"]["time"] == "inf"
    assert record["chosen"]["weight_decay"] == result.weight_decay
    assert {"python", "jax", "infotheory_dl"} <= set(record["versions"])


def test_tables_and_audits_without_flips_or_training_have_reports_too(result, tmp_path):
    examples = result.examples._replace(
        x=result.examples.x.reshape(100, -1),
        true_labels=result.examples.labels,
        feature_names=tuple(f"<f{i}>" for i in range(64)),
    )
    plain = result._replace(
        examples=examples,
        detection=None,
        sweep=result.sweep._replace(average_precision=None),
        repair=None,
        summarization=None,
        linearization=None,
    )
    text = audit.write_report(plain, tmp_path).read_text(encoding="utf-8")
    assert Page(text).open == []
    assert "&lt;f0&gt;" in text
    assert "<img" not in text
    assert '"flipped' not in text
    assert ">flipped" not in text
    assert "rank correlation" in text
    assert "true_label" not in (tmp_path / "scores.csv").read_text()


@pytest.mark.parametrize(
    ("most", "random", "said"),
    [
        # all, a half, a tenth of 80, twice each
        ([0.9, 0.9, 0.89], [0.9, 0.9, 0.8], "The 8 most informative examples (10\u00a0%) suffice: a network"),
        ([0.9, 0.9, 0.9], [0.9, 0.91, 0.92], "8 examples (10\u00a0%) suffice and need not be chosen: a network"),
        ([0.9, 0.9, 0.8], [0.9, 0.89, 0.8], "40 examples (50\u00a0%) suffice and need not be chosen: a network"),
        ([0.9, 0.91, 0.8], [0.9, 0.86, 0.9], "8 examples (10\u00a0%) suffice and need not be chosen: a network"),
        ([0.9, 0.8, 0.8], [0.9, 0.8, 0.8], "No part of the examples that was tried can be left out"),
        # within the range of the trainings
        ([0.9, 0.895, 0.88], [0.9, 0.88, 0.86], "No part of the examples that was tried can be left out"),
    ],
)
def test_examples_are_said_to_suffice_for_being_informative_only_where_random_ones_do_not(result, most, random, said):
    both = lambda accuracies: np.stack([np.array(accuracies) + 0.01, np.array(accuracies) - 0.01], axis=1)
    found = Summarization(np.array([1, 0.5, 0.1]), both(most), both(random), both(random))
    examples = result.examples._replace(measured=np.arange(20))
    told = result._replace(summarization=found, examples=examples)
    (sentence,) = [sentence for sentence in audit.findings(told) if said in sentence]
    page = Page(render(told, title="digits", facts={})).text
    assert sentence in page
    assert ("drawn at random" in page) == ("not be chosen" in said)
    assert ("the most informative, suffice" in page) == ("most informative" in said)


def test_a_report_replaces_the_one_before(result, tmp_path):
    audit.write_report(result, tmp_path, title="first")
    audit.write_report(result, tmp_path, title="second")
    assert "Audit of second" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert sorted(os.listdir(tmp_path)) == ["config.json", "report.html", "scores.csv"]


def test_a_report_that_fails_in_the_middle_leaves_the_one_before(result, tmp_path, monkeypatch):
    audit.write_report(result, tmp_path, title="first")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write = Path.write_bytes

    def fail_late(path, content):
        if path.name == "report.html":
            write(path, content[:100])
            raise OSError("No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail_late)
    with pytest.raises(OSError, match="No space left"):
        audit.write_report(result, tmp_path, title="second")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_an_audit_that_is_killed_leaves_no_file(tmp_path):
    program = """
        import sys
        from infotheory_dl import cli
        from infotheory_dl.audit import command
        command.run = lambda *arguments, **settings: print("running", flush=True) or sys.stdin.read()
        cli.main(["audit", "--output", sys.argv[1]])
    """
    output = tmp_path / "audit"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while "running" not in process.stdout.readline():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(output.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write to .*file/audit: Not a directory"):
        require_writable(tmp_path / "file" / "audit")


def test_what_cannot_be_told_is_not_claimed(result, tmp_path):
    n = len(result.examples.labels)
    nothing = find_label_errors(np.full((n, 10), 0.1), result.examples.labels)
    untold = result._replace(label_errors=nothing)
    sentences = audit.findings(untold)
    assert sentences[0].startswith("Which labels are wrong cannot be told from these inputs")
    assert any("x and y are not in the same order" in sentence for sentence in sentences)
    text = Page(audit.write_report(untold, tmp_path).read_text(encoding="utf-8")).text
    assert sentences[0] in text
    assert "To be repaired" not in text
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["errors_told"], row["repaired"], row["wrong_probability"]) for row in rows} == {("0", "0", "nan")}
    found = json.loads((tmp_path / "config.json").read_text())["found"]
    assert not found["told"]


def test_errors_that_are_not_alike_are_named(result):
    errors, names = result.label_errors, result.examples.class_names
    transition = 0.9 * np.eye(10) + 0.1 * np.roll(np.eye(10), 1, axis=1)
    transition[3, 3], transition[3, 4] = 0.5, 0.5
    alike = result._replace(label_errors=errors._replace(told=True, fits=True))
    uneven = result._replace(label_errors=errors._replace(told=True, fits=False, transition=transition))
    assert "not all alike" not in audit.findings(alike)[0]
    hiding = alike._replace(
        label_errors=alike.label_errors._replace(interval=np.array([0, 0.02]), systematic_rate=0.31)
    )
    assert "one class is taken for another as a rule" in audit.findings(hiding)[0]
    assert "some 31\u00a0% may be wrong then" in audit.findings(hiding)[0]
    assert f"most often {names[3]} is called {names[4]}, in 50\u00a0% of its examples" in audit.findings(uneven)[0]
    labels = np.where(result.examples.labels == 3, 2, result.examples.labels)
    labels[:4] = 3
    rare = uneven._replace(examples=result.examples._replace(labels=labels))
    assert f"most often {names[3]}" not in audit.findings(rare)[0]
    assert "Errors are not all alike: most often" in audit.findings(rare)[0]
