"""The harness of the benchmarks: parts by name, rows that are kept as they come, and libraries that are missing."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks.harness import Part, Report, in_turns, main, of_peer


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Settings of a made-up part."""

    sizes: tuple[int, ...] = (10, 20)


@dataclasses.dataclass(frozen=True)
class Rates:
    """Settings of another one."""

    rate: float = 0.5


def by_size(settings):
    def rows():
        for size in settings.sizes:
            yield {"size": size, "program": "ours", "ms": np.float32(size / 8)}
            yield {"size": size} | of_peer(needs_a_library)

    return Report("Milliseconds by size", rows(), ["A note."])


def by_rate(settings):
    return Report("By rate", [{"rate": settings.rate}])


def needs_a_library():
    import a_library_that_is_not_there.part

    return {"ms": a_library_that_is_not_there.part.ms}


PARTS = {"by-size": Part(by_size, Sizes(), Sizes((1,))), "by-rate": Part(by_rate, Rates())}


def rows_of(folder):
    return [json.loads(line) for line in (folder / "made_up.jsonl").read_text().splitlines()]


def test_all_parts_run_and_every_row_says_where_it_comes_from(tmp_path, capsys):
    main("made_up", "A benchmark.", PARTS, ["--output", str(tmp_path)])
    rows = rows_of(tmp_path)
    assert [(row["part"], row.get("size"), row.get("ms"), row.get("rate")) for row in rows] == [
        ("by-size", 10, 1.25, None),
        ("by-size", 20, 2.5, None),
        ("by-rate", None, None, 0.5),
    ]
    assert rows[0]["benchmark"] == "made_up"
    assert rows[0]["settings"] == {"sizes": [10, 20]}
    assert {"machine", "versions", "at"} <= rows[0].keys()
    # two rows lack it, which is said once
    assert capsys.readouterr().out.count("a_library_that_is_not_there is not installed") == 1


def test_one_part_runs_by_its_name_with_other_settings(tmp_path):
    main("made_up", "A benchmark.", PARTS, ["--output", str(tmp_path), "by-size", "--sizes", "3", "4"])
    assert [row["size"] for row in rows_of(tmp_path)] == [3, 4]


def test_smoke_runs_the_parts_that_have_small_settings_and_keeps_its_rows_apart(tmp_path, capsys):
    main("made_up", "A benchmark.", PARTS, ["--preset", "smoke", "--output", str(tmp_path)])
    assert [(row["part"], row["size"]) for row in rows_of(tmp_path)] == [("by-size", 1)]
    with pytest.raises(SystemExit):
        main("made_up", "A benchmark.", PARTS, ["--preset", "smoke"])
    assert "smoke measures nothing: name a folder for its rows by --output" in capsys.readouterr().err


def test_a_fault_of_ours_is_no_missing_library():
    def imports_what_was_renamed():
        from benchmarks.harness import a_name_of_yesterday  # type: ignore[attr-defined]

        return {"ms": a_name_of_yesterday}

    with pytest.raises(ImportError, match="a_name_of_yesterday"):
        of_peer(imports_what_was_renamed)


def test_programs_are_measured_in_turns_and_a_library_may_be_missing():
    programs = {"ours": lambda: {"ms": 2.0}, "theirs": needs_a_library, "others": lambda: {"ms": 3.0}}
    assert dict(in_turns(programs, processes=0)) == {
        "ours": {"ms": 2.0},
        "theirs": {"missing": "a_library_that_is_not_there"},
        "others": {"ms": 3.0},
    }
