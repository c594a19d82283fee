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
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from infotheory_dl import audit
from infotheory_dl._files import require_writable
from infotheory_dl.audit.charts import Line, Row, distribution_chart, line_chart
from infotheory_dl.audit.pictures import data_uris
from infotheory_dl.audit.report import render


class Page(HTMLParser):
    """What a page shows, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.attributes, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.attributes += [(tag, *pair) for pair in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


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
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in text
    assert not re.search(r"<script|<link|url\(|@import", text)


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
    assert "flipped" not in text
    assert "rank correlation" in text
    assert "true_label" not in (tmp_path / "scores.csv").read_text()


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


def test_images_keep_their_values_and_colours():
    image = np.array([[[[0, 0, 0], [255, 0, 0]]]], np.uint8)
    assert decode(data_uris(image)[0]).tolist() == [[[0, 0, 0], [255, 0, 0]]]
    grey = np.array([[[[-1.0], [0.0], [1.0]]]])
    assert decode(data_uris(grey)[0]).tolist() == [[0, 128, 255]]
    assert max(decode(data_uris(np.zeros((1, 300, 200, 1)))[0]).shape) == 96


def decode(uri: str) -> np.ndarray:
    import base64
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_lines_are_drawn_to_scale_and_labels_do_not_overlap():
    x = np.array([1.0, 10.0, 100.0])
    drawing = line_chart(
        [Line("a < b", x, np.array([0.0, 0.5, 1.0])), Line("flat", x, np.array([1.0, 1.0, 1.0]))],
        title="chart",
        x_label="steps",
        y_label="value",
        log_x=True,
    )
    points = re.search(r'class="line s0" points="([^"]*)"', drawing)[1].split()
    (x0, y0), (x1, y1), (x2, y2) = [map(float, point.split(",")) for point in points]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert y2 < y0
    assert "a &lt; b" in drawing
    places = [float(y) for y in re.findall(r'class="label s\d" x="[^"]*" y="([^"]*)"', drawing)]
    assert abs(places[0] - places[1]) >= 12


def test_boxes_span_the_middle_half():
    values = 10.0 ** np.linspace(-4, 0, 101)
    drawing = distribution_chart([Row("all", values, np.array([1e-4, 1.0]))], title="chart", x_label="score")
    left, width = map(float, re.search(r'class="box" x="([^"]*)" y="[^"]*" width="([^"]*)"', drawing).groups())
    first, last = sorted(float(x) for x in re.findall(r'class="marked" cx="([^"]*)"', drawing))
    assert left - first == pytest.approx((last - first) / 4, abs=0.2)
    assert width == pytest.approx((last - first) / 2, abs=0.2)
