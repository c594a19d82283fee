"""The subcommand `infotheory-dl synergy`."""

import csv

import numpy as np
import polars
import pytest

from infotheory_dl import cli
from tests.files_page import require_described
from tests.report.reader import Page

RANDOM = np.random.default_rng(0)
ROWS = 200
COINS = RANDOM.integers(0, 2, size=(ROWS, 3))
XOR = {
    "a": COINS[:, 0],
    "noise": RANDOM.normal(size=ROWS),
    "b": COINS[:, 1],
    "other": COINS[:, 2],
    "kind": np.array(["red", "green", "blue"])[RANDOM.integers(0, 3, ROWS)],
    "xor": np.array(["no", "yes"])[COINS[:, 0] ^ COINS[:, 1]],
}
# the second source tells what is in the first besides the target: linear, and synergy
DISTURBANCE = RANDOM.normal(size=ROWS)
LINEAR = {
    "signal": RANDOM.normal(size=ROWS),
    "disturbance": DISTURBANCE + 0.1 * RANDOM.normal(size=ROWS),
    "free": RANDOM.normal(size=ROWS),
}
LINEAR["mixed"] = LINEAR["signal"] + DISTURBANCE
NOISE = {name: RANDOM.normal(size=ROWS) for name in "abcde"}


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write(folder, columns, name="my.csv"):
    polars.DataFrame(columns).fill_nan(None).write_csv(folder / name)
    return folder / name


def run(capsys, folder, path, *arguments) -> str:
    cli.main(["synergy", "--data", str(path), "--output", str(folder / "out"), "--debug", *map(str, arguments)])
    return " ".join(capsys.readouterr().out.split())


def fail(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["synergy", *map(str, arguments)])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def first_pair(folder):
    row = rows_of(folder / "out" / "pairs.csv")[0]
    return {row["first"], row["second"]}, row


def test_xor_is_found_and_all_its_information_is_synergy(tmp_path, capsys):
    printed = run(capsys, tmp_path, write(tmp_path, XOR), "--target", "xor", "--resamples", 99)
    assert "200 rows of 6 columns." in printed
    assert "1 pair carries synergy about 'xor', of 10" in printed
    assert "Synergy is S_CI" in printed
    assert "no synergy of a partial information decomposition" in printed
    pair, row = first_pair(tmp_path)
    assert pair == {"a", "b"}
    assert float(row["synergy"]) == pytest.approx(float(row["information"]), rel=0.02)
    assert float(row["information"]) == pytest.approx(np.log(2), abs=0.01)
    assert row["verdict"] == "synergy"
    assert row["measured_as"] == "states"
    assert float(row["permutation_p_value"]) == 0.01
    assert float(row["low"]) < float(row["synergy"]) < float(row["high"]) + 0.05
    assert float(row["by_chance"]) < 0.05
    others = rows_of(tmp_path / "out" / "pairs.csv")[1:]
    assert {other["verdict"] for other in others} <= {"chance", "too few rows"}
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    for words in ("Synergy in my", "pairs that carry synergy", "95 % interval", "S_CI, what a reader loses"):
        assert words in page.text


def test_the_label_is_the_target_in_any_order_of_rows_and_columns(tmp_path, capsys):
    order = RANDOM.permutation(ROWS)
    columns = {name: np.asarray(XOR[name])[order] for name in reversed(XOR)}
    run(capsys, tmp_path, write(tmp_path, columns), "--label", "xor", "--resamples", 0)
    pair, row = first_pair(tmp_path)
    assert pair == {"a", "b"}
    assert row["target"] == "xor"
    assert row["low"] == ""


def test_numbers_are_measured_as_gaussians_in_any_units(tmp_path, capsys):
    found = []
    for scale, shift in ((1.0, 0.0), (-1e-3, 1e6)):
        columns = {name: scale * values + shift for name, values in LINEAR.items()}
        printed = run(capsys, tmp_path, write(tmp_path, columns), "--target", "signal")
        pair, row = first_pair(tmp_path)
        assert pair == {"mixed", "disturbance"}
        assert (row["measured_as"], row["verdict"]) == ("Gaussians", "synergy")
        assert "--measure states sees more" in printed
        found.append(float(row["synergy"]))
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0] > 0.5


def test_all_columns_are_targets_by_default_and_noise_has_no_synergy(tmp_path, capsys):
    printed = run(capsys, tmp_path, write(tmp_path, NOISE))
    assert "No pair carries synergy about any other column that is more than chance, of 30." in printed
    assert {row["verdict"] for row in rows_of(tmp_path / "out" / "pairs.csv")} == {"chance"}
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "None is more than chance." in page.text


def test_a_noisy_echo_of_a_source_is_not_said_to_carry_synergy(tmp_path, capsys):
    random = np.random.default_rng(8)
    first = random.normal(size=ROWS)
    columns = {
        "target": 0.4 * first + random.normal(size=ROWS),
        "first": first,
        "echo": 0.4 * first + random.normal(size=ROWS),
    }
    printed = run(capsys, tmp_path, write(tmp_path, columns), "--target", "target")
    row = rows_of(tmp_path / "out" / "pairs.csv")[0]
    assert float(row["q_value"]) < 0.05 < float(row["sign_q_value"])
    assert row["verdict"] == "either"
    assert "No pair carries synergy about 'target' that is more than chance, of 1." in printed
    assert "Of 1 pair the rows do not tell whether both columns tell more together than for themselves" in printed


def test_more_pairs_than_can_be_measured_are_refused_with_the_remedy(tmp_path, capsys):
    columns = {f"c{place}": values for place, values in enumerate(RANDOM.normal(size=(300, 20)))}
    told = fail(capsys, "--data", write(tmp_path, columns), "--output", tmp_path / "out")
    assert "300 targets and pairs of 300 columns are 13,455,000 triples, and at most 10,000,000 can be measured" in told
    assert "name a --target, or fewer --sources" in told


def test_learned_factors_and_gaps_and_copies_are_told(tmp_path, capsys):
    columns = LINEAR | {
        "copy": 2 * LINEAR["free"],
        "same": [1.0] * ROWS,
        "gaps": LINEAR["free"] + RANDOM.normal(size=ROWS),
    }
    columns["gaps"][:7] = np.nan
    printed = run(capsys, tmp_path, write(tmp_path, columns), "--target", "signal", "--factors", 2)
    assert "7 of 200 rows have missing values and are left out" in printed
    assert "Left out, columns that do not vary: 'same'." in printed
    assert "1 pair is near copies, and not judged." in printed or "1 pairs are near copies" in printed
    require_described("synergy", tmp_path / "out")
    factors = {row["column"]: row for row in rows_of(tmp_path / "out" / "factors.csv")}
    assert set(factors) == {"signal", "disturbance", "free", "mixed", "copy", "gaps"}
    assert float(factors["free"]["information"]) > 0.5
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "Factors of little synergy" in page.text


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        (LINEAR, ("--target", "signall"), "there is no column 'signall' to be a target; did you mean 'signal'?"),
        (
            LINEAR | {"same": [1.0] * ROWS},
            ("--target", "same"),
            "column 'same' cannot be a target: it is left out with those that do not vary",
        ),
        (
            XOR,
            ("--target", "a", "--sources", "b", "kind", "--measure", "gaussian"),
            "column 'kind' cannot be a source: it is left out with those that are text, which Gaussians have no",
        ),
        (LINEAR, ("--sources", "free", "freee"), "there is no column 'freee' to be a source; did you mean 'free'?"),
        (
            LINEAR,
            ("--target", "free", "--sources", "mixed"),
            "a pair needs at least 2 sources beside the target, got 1",
        ),
        (LINEAR, ("--bins", 1), "bins must lie in [2, 16], got 1"),
        (LINEAR, ("--factors", 9), "factors must lie in [1, 4], the number of columns of numbers, got 9"),
        (
            {name: values[:9] for name, values in LINEAR.items()},
            (),
            "synergy needs at least 20 rows without gaps, got 9",
        ),
        ({"a": [1.0, None] * 50, "b": [1.0, 2.0, 3.0, 4.0] * 25}, ("--drop", "c"), "there is no column 'c' to drop"),
        (
            {"a": [1.0, *[None] * 99], "b": [1.0, 2.0, 3.0, 4.0] * 25},
            (),
            "got 1: column 'a' lacks 99%, leave it out by --drop",
        ),
    ],
)
@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_measured_is_told_with_the_remedy(columns, arguments, message, tmp_path, capsys):
    told = fail(capsys, "--data", write(tmp_path, columns), "--output", tmp_path / "out", *arguments)
    assert message in told
    assert len(told.splitlines()) == 1
