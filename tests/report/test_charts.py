"""Charts are drawn to scale."""

import re

import numpy as np
import pytest

from infotheory_dl.report import Bar, Line, Row, bar_chart, distribution_chart, line_chart


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


def test_bars_begin_at_zero_with_their_intervals_and_marks():
    bars = [Bar("a < b", 0.5, 0.25, 1.0, mark=0.75), Bar("less", -0.5, faint=True)]
    drawing = bar_chart(bars, title="chart", x_label="nats", mark_label="observed")
    found = re.findall(r'class="(bar[^"]*)" x="([^"]*)" y="[^"]*" width="([^"]*)"', drawing)
    (kind, zero, half), (pale, below, width) = [(kind, float(x), float(width)) for kind, x, width in found]
    assert (kind, pale) == ("bar", "bar faint")
    assert below + width == pytest.approx(zero, abs=0.2)
    assert width == pytest.approx(half, abs=0.2)
    low, high = map(float, re.search(r'class="interval" x1="([^"]*)" x2="([^"]*)"', drawing).groups())
    assert low == pytest.approx(zero + half / 2, abs=0.2)
    assert high == pytest.approx(zero + 2 * half, abs=0.2)
    assert float(re.search(r'class="mark" x1="([^"]*)"', drawing)[1]) == pytest.approx(zero + 1.5 * half, abs=0.2)
    assert "a &lt; b" in drawing
    assert "observed" in drawing
