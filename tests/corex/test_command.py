"""The subcommand `infotheory-dl corex`, and the tables that it reads."""

import csv

import numpy as np
import polars
import pytest

from infotheory_dl import cli, data
from infotheory_dl.corex._report import reading
from tests.files_page import require_described
from tests.report.reader import Page

RANDOM = np.random.default_rng(0)
ROWS = 60
FIRST, SECOND = RANDOM.normal(size=(2, ROWS))
NAMES = ("a", "b", "c", "d", "e", "f", "g")
# two factors of three columns each, one of them falling, and a column of its own
TABLE = {
    **{name: FIRST + 0.4 * RANDOM.normal(size=ROWS) for name in "abc"},
    **{name: sign * SECOND + 0.4 * RANDOM.normal(size=ROWS) for name, sign in zip("def", (1, 1, -1), strict=True)},
    "g": RANDOM.normal(size=ROWS),
}
NOISE = {name: RANDOM.normal(size=ROWS) for name in NAMES}
HOLES = {name: np.where(RANDOM.random(ROWS) < 0.1, np.nan, values) for name, values in TABLE.items()}


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write(folder, columns, name="my.csv"):
    polars.DataFrame(columns).fill_nan(None).write_csv(folder / name)
    return folder / name


def run(capsys, folder, path, *arguments) -> str:
    cli.main(["corex", "--data", str(path), "--output", str(folder / "out"), "--debug", *map(str, arguments)])
    return capsys.readouterr().out


def fail(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["corex", *map(str, arguments)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def grouped(folder):
    """The columns of each factor, whatever its number is."""
    groups = {}
    for row in rows_of(folder / "out" / "variables.csv"):
        groups.setdefault(row["factor"], set()).add(row["column"])
    return {frozenset(group) for number, group in groups.items() if number}


MODULES = {frozenset("abc"), frozenset("def")}


def test_copies_are_left_out_where_their_gaps_differ(tmp_path):
    random = np.random.default_rng(3)
    a, b, c = random.normal(size=(3, 40))
    missing = lambda values, *rows: np.where(np.isin(np.arange(40), rows), np.nan, values)
    columns = {"a": missing(a, 3, 5), "b": b, "less": missing(7 - 2e6 * a, 8), "twice": 2 * b, "c": missing(c, 1)}
    columns["near"] = missing(b + 1e-5 * c, 4)
    read = reading.read_columns(data.Source(write(tmp_path, columns)))
    assert read.names == ("b", "less", "c", "near")
    assert "'twice' (of 'b')" in read.notices[-1]
    assert "'a' (of 'less')" in read.notices[-1]


def test_factors_are_found_chosen_and_told(tmp_path, capsys):
    extra = {"id": [f"r{row}" for row in range(ROWS)], "same": [1.0] * ROWS, "twice": 5 - 2 * TABLE["a"]}
    kinds = {"kind": ["x", "y", "z"] * (ROWS // 3)}
    printed = run(capsys, tmp_path, write(tmp_path, {**extra, **TABLE, **kinds}))
    assert "60 rows of 7 columns." in printed
    assert "2 factors explain" in printed
    assert "(p = 0.05)" in printed
    assert "1 column belongs to no factor: g." in printed
    flat = printed.replace("\n", " ")
    assert "Left out, columns that do not vary: 'same'." in flat
    assert "Left out, copies of columns" in flat
    assert "'a' (of 'twice')" in flat
    assert "Left out, text of more than two values" in flat
    assert max(len(line) for line in printed.splitlines() if not line.startswith(("Note", "cov"))) <= 80
    out = tmp_path / "out"
    require_described("corex", out, own=("twice", *TABLE))
    assert grouped(tmp_path) == {frozenset({"twice", "b", "c"}), frozenset("def")}
    variables = {row["column"]: row for row in rows_of(out / "variables.csv")}
    assert variables["f"]["sign"] != variables["d"]["sign"] == variables["e"]["sign"]
    factors = rows_of(out / "factors.csv")
    assert [float(row["p_value"]) for row in factors] == [0.05, 0.05]
    explained = [float(row["total_correlation"]) for row in factors]
    assert explained == sorted(explained, reverse=True)
    scores = {row["row"]: row for row in rows_of(out / "rows.csv")}
    assert len(scores) == ROWS
    number = variables["d"]["factor"]
    factor = [float(scores[f"r{row}"][f"factor_{number}"]) for row in range(ROWS)]
    assert abs(np.corrcoef(factor, SECOND)[0, 1]) > 0.95
    density = [float(row["log_density"]) for row in rows_of(out / "rows.csv")]
    assert density == sorted(density)
    null = [float(row["total_correlation"]) for row in rows_of(out / "null.csv")]
    assert len(null) == 20
    assert null[0] > max(null[1:])
    covariance = {row["column"]: row for row in rows_of(out / "covariance.csv")}
    assert float(covariance["d"]["d"]) == pytest.approx(np.var(TABLE["d"]), rel=1e-6)
    assert float(covariance["d"]["f"]) == pytest.approx(np.cov(TABLE["d"], TABLE["f"])[0, 1], rel=0.2)
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    for words in ("Factors of my", "2 factors were chosen", "factors that are more than chance", "factor 2"):
        assert words in page.text


def test_noise_has_no_factors(tmp_path, capsys):
    printed = run(capsys, tmp_path, write(tmp_path, NOISE), "--factors", 2)
    assert "No factors: what 2 factors explain" in printed
    assert "is no more than of columns that share nothing" in printed.replace("\n", " ")
    for name in ("factors", "variables", "links", "rows", "covariance"):
        assert rows_of(tmp_path / "out" / f"{name}.csv") == []
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "No factors: what 2 factors explain" in page.text
    assert "Correlations, factor by factor" not in page.text


def test_units_orders_and_formats_change_no_factor(tmp_path, capsys):
    run(capsys, tmp_path, write(tmp_path, TABLE), "--factors", 2)
    assert grouped(tmp_path) == MODULES
    labelled = run(
        capsys, tmp_path, write(tmp_path, {**TABLE, "class": ["x", "y"] * 30}), "--factors", 2, "--label", "class"
    )
    assert "Note: The labels are left out" in labelled
    assert grouped(tmp_path) == MODULES
    expected = [float(row["total_correlation"]) for row in rows_of(tmp_path / "out" / "factors.csv")]
    order = RANDOM.permutation(ROWS)
    others = {name: (1e6 + 1e-3 * TABLE[name])[order] for name in reversed(NAMES)}
    polars.DataFrame(others).write_parquet(tmp_path / "my.parquet")
    np.savez(tmp_path / "my.npz", x=np.stack(list(others.values()), axis=1), feature_names=list(others))
    for file in ("my.parquet", "my.npz"):
        run(capsys, tmp_path, tmp_path / file, "--factors", 2)
        assert grouped(tmp_path) == MODULES
        found = [float(row["total_correlation"]) for row in rows_of(tmp_path / "out" / "factors.csv")]
        np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("missing", ["pairwise", "mean"])
def test_missing_values_are_no_hindrance(missing, tmp_path, capsys):
    printed = run(capsys, tmp_path, write(tmp_path, HOLES), "--factors", 2, "--missing", missing)
    assert "Missing values stayed NaN" in printed
    assert grouped(tmp_path) == MODULES


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (TABLE, ("--factors", 8), "factors must lie in [1, 7], the number of columns, got 8"),
        (TABLE, ("--factors", 0), "factors must lie in [1, 7], the number of columns, got 0"),
        (TABLE, ("--permutations", 5), "permutations must be at least 19, got 5"),
        (TABLE, ("--label", "h"), "there is no column 'h' of the labels; it has 'a', 'b'"),
        ({"a": [1.0, 2.0] * 10}, (), "2 columns or more share, and 1 of numbers is left: a"),
        ({"a": [1.0, 2.0] * 10, "b": [3.0] * 20}, (), "1 of them varies; constant: 'b'"),
        ({"a": [1.0, 2.0] * 10, "b": [4.0, 2.0] * 10}, (), "1 of them varies; copies: 'b' (of 'a')"),
        ({"a": [1.0, 2.0, 5.0], "b": [3.0, 2.0, 0.0]}, (), "factors need at least 8 rows, got 3"),
        ({"a": [1.0, np.inf] * 10, "b": [3.0, 2.0] * 10}, (), "column 'a' has 10 of 20 values that are infinite"),
    ],
)
@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_explained_is_told_with_the_remedy(columns, arguments, message, tmp_path, capsys):
    told = fail(capsys, "--data", write(tmp_path, columns), "--output", tmp_path / "out", *arguments)
    assert message in told
    assert len(told.splitlines()) == 1


def test_without_data_the_options_that_are_needed_are_told(tmp_path, capsys):
    assert "give the path of the data" in fail(capsys, "--output", tmp_path)
    assert "No such file or directory" in fail(capsys, "--data", tmp_path / "absent.csv", "--output", tmp_path)


def series(change):
    """Rows of days whose columns change the factor they belong to in the middle, or do not."""
    random = np.random.default_rng(1)
    parents = np.where(np.arange(240)[:, None] < (120 if change else 240), np.repeat([0, 1], 3), np.tile([0, 1], 3))
    factors = random.normal(size=(240, 2))
    x = np.take_along_axis(factors, parents, axis=1) + 0.4 * random.normal(size=(240, 6))
    days = [f"2020-{1 + day // 28:02}-{1 + day % 28:02}" for day in range(240)]
    return {"day": days, **dict(zip("abcdef", x.T, strict=True))}


SHORT = ("--period", 40, "--factors", 2)


def test_a_change_point_is_found_with_the_columns_that_change(tmp_path, capsys):
    columns = series(change=True)
    order = RANDOM.permutation(240)  # the rows of a file may be in any order
    path = write(tmp_path, {name: np.asarray(values)[order] for name, values in columns.items()})
    printed = run(capsys, tmp_path, path, "--time", "day", *SHORT)
    printed = " ".join(printed.split())
    before, after = columns["day"][119], columns["day"][120]
    assert "240 rows of 6 columns, in 6 periods." in printed
    assert f"1 change point: between {before} and {after}." in printed
    out = tmp_path / "out"
    require_described("corex", out, own=tuple(columns))
    periods = rows_of(out / "periods.csv")
    assert [row["change_point"] for row in periods] == ["no"] * 2 + ["yes"] + ["no"] * 2 + [""]
    assert [row["rows"] for row in periods] == ["40"] * 6
    assert periods[2]["period"] == f"{columns['day'][80]} to {before}"
    assert periods[2]["p_value"] == "0.05"
    changed = {row["column"] for row in rows_of(out / "changes.csv") if float(row["p_value"]) <= 0.05}
    assert changed >= {"b", "e"}
    clusters = rows_of(out / "clusters.csv")
    assert clusters[0]["a"] == clusters[0]["b"] != clusters[0]["d"] == clusters[0]["e"]
    assert clusters[5]["a"] == clusters[5]["c"] == clusters[5]["e"] != clusters[5]["b"]
    matrices = rows_of(out / "correlations.csv")
    assert {row["periods"] for row in matrices} == {
        f"{columns['day'][0]} to {before}",
        f"{after} to {columns['day'][239]}",
    }
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    for words in ("Factors of my over time", "Correlations between change points", f"between {before} and {after}"):
        assert words in page.text


def test_no_change_point_is_claimed_where_nothing_changes(tmp_path, capsys):
    printed = run(capsys, tmp_path, write(tmp_path, series(change=False)), "--time", "day", *SHORT)
    printed = " ".join(printed.split())
    assert "No change point: the largest change" in printed
    assert "is no more than of the same rows in another order" in printed
    assert {row["change_point"] for row in rows_of(tmp_path / "out" / "periods.csv")} == {"no", ""}


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (series(change=False), ("--period", 5), "--period is of a series; give --time too"),
        (
            series(change=False),
            ("--time", "date"),
            "the column of times: there is no column 'date'; it has",
        ),
        (
            series(change=False),
            ("--time", "day", "--period", 130),
            "period must lie in [2, 120], half of the rows, got 130",
        ),
        ({**TABLE, "time": [2020] * ROWS}, ("--time", "time"), "all rows have one time, 2020; a change needs two"),
        (
            {**TABLE, "time": [None, *range(1, ROWS)]},
            ("--time", "time"),
            "the column of times: column 'time' has 1 of 60 labels missing, the first in row 0",
        ),
    ],
)
@pytest.mark.usefixtures("as_a_user_sees")
def test_what_is_no_series_is_told_with_the_remedy(columns, arguments, message, tmp_path, capsys):
    told = fail(capsys, "--data", write(tmp_path, columns), "--output", tmp_path / "out", *arguments)
    assert message in told
    assert len(told.splitlines()) == 1
