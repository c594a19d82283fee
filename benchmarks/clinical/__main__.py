"""The clinical benchmark's data: from the tables of MIMIC-III to series, beside the rules written plainly.

`python -m benchmarks.clinical --help` lists the parts; without a part all of them run.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax

from benchmarks.clinical.copies import write_copies
from benchmarks.harness import Part, Report, Row, announce, main
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import clinical

# a process of its own for each: what it prints is CPU seconds, seconds and the peak of memory in GiB
_MEASURED = """
import json, re, sys, time
from pathlib import Path
{work}
began, cpu = time.perf_counter(), time.process_time()
rows = run(sys.argv[1], sys.argv[2])
# of this process alone: what getrusage says is at least what the one had that started it
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 2**20
print(json.dumps([time.process_time() - cpu, time.perf_counter() - began, peak, rows]))
"""
_OURS = """
from infotheory_dl import clinical
def run(source, folder):
    return clinical.build(source, Path(folder) / "store").events["rows"]
"""
_PLAINLY = """
from benchmarks.clinical import plain
def run(source, folder):
    plain.series(Path(source))
    return sum(1 for name in ("CHARTEVENTS", "LABEVENTS") for _ in plain.rows_of(Path(source), name))
"""


@dataclass(frozen=True)
class Extraction:
    """From the tables to the series of all stays."""

    source: Path | None = Path(os.environ.get("INFOTHEORY_DL_TEST_DATA", ".")) / "mimic3_demo"
    """Folder of the demo, each table `.csv.gz`; none for made-up tables."""
    times: tuple[int, ...] = (1, 10, 50)
    """How often the tables are repeated, each time with other patients."""
    plainly: tuple[int, ...] = (1,)
    """Of these, where the rules written plainly run too."""
    num_subjects: int = 20
    """Of the made-up tables."""


def extraction(settings: Extraction) -> Report:
    """Seconds, rows in a second and the peak of memory."""

    def rows() -> Iterator[Row]:
        for times in settings.times:
            with tempfile.TemporaryDirectory() as folder:
                source = _source(settings, times, Path(folder) / "tables")
                for program, work in {"ours": _OURS, "the rules written plainly": _PLAINLY}.items():
                    if work is _PLAINLY and times not in settings.plainly:
                        continue
                    announce(f"{program}, {times} times the tables")
                    yield {"program": program, "copies": times, **_measured(work, source, Path(folder))}

    return Report("Seconds from the tables to the series of all stays", rows())


def _source(settings: Extraction, times: int, folder: Path) -> Path:
    if settings.source is None:
        return clinical.write_tables(clinical.synthetic(jax.random.key(0), settings.num_subjects), folder)
    write_copies(settings.source, folder, times)
    return folder


def _measured(work: str, source: Path, folder: Path) -> Row:
    command = [sys.executable, "-c", _MEASURED.format(work=work), str(source), str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    cpu, seconds, peak, rows = json.loads(process.stdout)
    return {"rows": rows, "CPU seconds": cpu, "seconds": seconds, "rows/s": rows / seconds, "peak GiB": peak}


PARTS = {
    "extraction": Part(
        extraction,
        Extraction(),
        Extraction(source=None, times=(1,)),
        table=Table(("program", "copies"), ("rows", "CPU seconds", "peak GiB"), where=ON_CPU),
    ),
}

if __name__ == "__main__":
    main("clinical", __doc__, PARTS)
