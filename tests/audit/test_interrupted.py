"""Audits that are killed, meet a full disk, or write to one folder at once."""

import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from infotheory_dl import cli
from infotheory_dl.audit import representation

FILES = ["config.json", "labels.npy", "report.html", "scores.csv"]
KILLED = """
import os
import signal
import sys

from infotheory_dl import _files, cli
from infotheory_dl.audit import representation

representation.EXACT_AT_MOST, representation._NUM_FEATURES = 40, 16
replace = os.replace


def end_before(staging, path):
    # the file of the stage is complete, but has not its name yet
    if path.name == "scores.npz":
        os.kill(os.getpid(), 9)
    replace(staging, path)


_files.os.replace = end_before
cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module", autouse=True)
def few_are_many():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(representation, "EXACT_AT_MOST", 40)
        patch.setattr(representation, "_NUM_FEATURES", 16)
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 90)
    path = tmp_path_factory.mktemp("data") / "my.npz"
    np.savez(path, x=random.normal(size=(90, 4)) + 2 * np.eye(3, 4)[y], y=y)
    return path


def command(table: Path, output: Path) -> list[str]:
    return ["audit", "--data", str(table), "--output", str(output), "--sweep", "0", "--runs", "0", "--seeds", "0"]


@pytest.fixture(scope="module")
def scores(table, tmp_path_factory) -> bytes:
    """Of an audit that nothing disturbs."""
    output = tmp_path_factory.mktemp("whole")
    cli.main(command(table, output))
    assert sorted(path.name for path in output.iterdir()) == FILES
    return (output / "scores.csv").read_bytes()


def test_a_killed_audit_goes_on_and_ends_with_the_same_bytes(table, scores, tmp_path, capsys):
    arguments = command(table, tmp_path)
    x64 = {"JAX_ENABLE_X64": str(int(jax.config.jax_enable_x64))}
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=os.environ | x64, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    kept = sorted(path.name for path in tmp_path.glob("stages/*/*.npz"))
    assert kept == ["representation.npz", "solution.npz"]
    assert [path.name for path in tmp_path.iterdir()] == ["stages"]
    capsys.readouterr()
    cli.main(arguments)
    assert capsys.readouterr().out.count("as kept") == len(kept)
    assert (tmp_path / "scores.csv").read_bytes() == scores
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


def test_a_full_disk_is_told_and_leaves_nothing_half_written(table, scores, tmp_path, monkeypatch, capsys):
    output, refuge = tmp_path / "audit", tmp_path / "temporary"
    refuge.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(refuge))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # stages are smaller than the page
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 15, hard))
        with pytest.raises(SystemExit) as stopped:
            cli.main(command(table, output))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stopped.value.code == 2
    assert f"cannot write to {output}: File too large" in capsys.readouterr().err.replace("\n", "")
    assert not list(refuge.iterdir())
    assert [path.name for path in output.iterdir()] == ["stages"]
    cli.main(command(table, output))
    assert "as kept" in capsys.readouterr().out
    assert (output / "scores.csv").read_bytes() == scores


def test_two_audits_that_write_to_one_folder_both_end(table, scores, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cli.main, [command(table, tmp_path)] * 2))
    assert (tmp_path / "scores.csv").read_bytes() == scores
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
