"""Charts are drawn to scale."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from infotheory_dl.report import (
    Bar,
    Hub,
    Line,
    Link,
    Points,
    Row,
    bar_chart,
    distribution_chart,
    heat_map,
    histogram,
    hub_chart,
    line_chart,
    point_chart,
)


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


def test_a_map_has_a_colour_for_each_entry_and_lines_between_groups():
    values = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, np.nan], [-1.0, np.nan, 1.0]])
    labels = ["a < b", "b", "c"]
    drawing = heat_map(values, title="map", limits=(-1.0, 1.0), labels=labels, groups=[2, 1], key="correlation")
    assert drawing.count("a &lt; b") == 2
    picture = re.search(r'pixelated" href="data:image/png;base64,([^"]*)"', drawing)[1]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).astype(int)
    assert pixels.shape == (3, 3, 3)
    assert (pixels[0, 1] == 255).all()
    most, least, unknown = pixels[0, 0], pixels[0, 2], pixels[1, 2]
    assert most[0] > most[2]
    assert least[0] < least[2]
    assert np.ptp(unknown) < 15
    side = float(re.search(r'image x="[^"]*" y="[^"]*" width="([^"]*)"', drawing)[1])
    left, top = map(float, re.search(r'image x="([^"]*)" y="([^"]*)"', drawing).groups())
    across, down = [tuple(map(float, x)) for x in re.findall(r'parting" x1="([^"]*)" x2="[^"]*" y1="([^"]*)"', drawing)]
    assert across == pytest.approx((left, top + 2 * side / 3), abs=0.1)
    assert down == pytest.approx((left + 2 * side / 3, top), abs=0.1)


def test_a_large_map_shows_the_means_of_blocks():
    values = np.kron(np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones((650, 650)))
    drawing = heat_map(values, title="map", limits=(0.0, 1.0), labels=["no"] * 1300)
    assert ">no<" not in drawing
    picture = re.search(r'pixelated" href="data:image/png;base64,([^"]*)"', drawing)[1]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).astype(int)
    assert len(pixels) <= 600
    assert (pixels[0, -1] == 255).all()
    assert (pixels[0, 0] < 255).any()


def test_factors_stand_beside_the_middle_of_their_variables():
    hubs = [
        Hub("first", ["a", "b", "c < d"], [Link(0, 2.0), Link(1, 1.0, positive=False), Link(3, 0.5)]),
        Hub("second", ["e"], [Link(3, 1.0)]),
    ]
    drawing = hub_chart(hubs, title="graph")
    members = [float(y) for y in re.findall(r'class="member" cx="[^"]*" cy="([^"]*)"', drawing)]
    middles = [float(y) for y in re.findall(r'class="dot s\d" cx="[^"]*" cy="([^"]*)"', drawing)]
    assert middles == pytest.approx([members[1], members[3]])
    assert members == sorted(members)
    links = re.findall(r'class="link s(\d)" d="M\d+ ([\d.]+) [^"]* ([\d.]+)" stroke-width="([\d.]+)"( s)?', drawing)
    ends = {(int(hub), float(end)): (float(width), bool(broken)) for hub, _, end, width, broken in links}
    assert ends[0, members[0]][0] == pytest.approx(2 * ends[0, members[1]][0])
    assert [broken for _, broken in ends.values()].count(True) == 1
    assert ends[0, members[1]][1]
    assert "c &lt; d" in drawing


def test_a_histogram_counts_the_values_of_each_group_between_its_ticks():
    many, few = np.repeat([0.25, 0.755], [100, 10]), np.array([0.756])
    drawing = histogram({"<all>": many, "few": few}, title="t", x_label="margin", marks={"at 0": 0.5, "none": -np.inf})
    bars = re.findall(r'class="count s(\d)" x="([^"]*)" y="([^"]*)" width="[^"]*" height="([^"]*)"', drawing)[:3]
    (_, low, _, hundred), (_, high, _, ten), (style, same, _, one) = [[*map(float, bar)] for bar in bars]
    assert style == 1
    assert high == same
    assert hundred - ten == pytest.approx(ten - one, abs=0.2)
    mark = float(re.search(r'class="mark" x1="([^"]*)"', drawing)[1])
    assert low < mark < high
    assert "&lt;all&gt;" in drawing
    assert "none" not in drawing


def test_ticks_around_zero_are_round():
    line = Line("a", np.linspace(-0.3, 0.3, 4), np.linspace(-0.3, 0.3, 4))
    drawing = line_chart([line], title="t", x_label="", y_label="")
    ticks = re.findall(r'class="tick"[^>]*>([^<]*)<', drawing)
    assert set(ticks) == {"−0.3", "−0.2", "−0.1", "0", "0.1", "0.2", "0.3"}


def test_of_many_marked_values_some_are_drawn_among_them_the_ends():
    marked = np.logspace(0, 2, 1001)
    row = Row("many", np.array([1.0, 100.0]), marked)
    drawing = distribution_chart([row], title="t", x_label="")
    places = [float(x) for x in re.findall(r'class="marked" cx="([^"]*)"', drawing)]
    assert len(places) == 200
    ends = distribution_chart([row._replace(marked=marked[[0, -1]])], title="t", x_label="")
    assert [places[0], places[-1]] == [float(x) for x in re.findall(r'class="marked" cx="([^"]*)"', ends)]
    assert np.ptp(np.diff(places)) < 1


def test_points_with_units_lie_between_the_numbers_of_their_axes():
    points = Points("seen", np.array([0.0, 10.0]), np.array([-1.0, 1.0]))
    drawing = str(point_chart([points], title="chart", x_label="given", y_label="predicted", has_units=True))
    ticks = dict(re.findall(r'x="([\d.]+)" y="[\d.]+" text-anchor="middle">([\d.]+)<', drawing))
    at = {float(written): float(place) for place, written in ticks.items()}
    assert {0.0, 10.0} <= set(at)
    assert f'<circle class="s0" cx="{at[0.0]:.1f}"' in drawing
    assert f'<circle class="s0" cx="{at[10.0]:.1f}"' in drawing
    assert ">−1<" in drawing
    plain = str(point_chart([points], title="chart", x_label="given", y_label="predicted"))
    assert ">10<" not in plain
