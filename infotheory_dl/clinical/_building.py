"""From the tables of MIMIC-III to a store, piece by piece, in bounded memory; what was interrupted goes on."""

import io
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from infotheory_dl._files import require_writable, whole_file, write_text
from infotheory_dl._validation import edge, require_count
from infotheory_dl.clinical import _facts
from infotheory_dl.clinical._cohort import Cohort, read_cohort
from infotheory_dl.clinical._episodes import episodes
from infotheory_dl.clinical._events import COUNTERS, EVENT_TABLES, extract
from infotheory_dl.clinical._sources import Piece, Table, find, pieces
from infotheory_dl.clinical._store import FORMAT, Built, read_built, require_settings
from infotheory_dl.clinical.rules import Mode, Rules, rules_of
from infotheory_dl.results import concise

if TYPE_CHECKING:
    import polars as pl

Done = TypeVar("Done")

# of the memory limit, to hold what a piece and a bucket take while they are worked on; measured
_PIECES, _BYTES_OF_EVENT = 32, 1024
_LEAST_MEMORY = 1 << 28


@concise
class Progress(NamedTuple):
    """How far a build has come.

    Attributes:
      table: being read, or "series" when they are made of what was read.
      share: of it that is done.
      rows: read so far, of all tables.
      rows_per_second: since the build began or went on.
      seconds_left: for this table.
    """

    table: str
    share: float
    rows: int
    rows_per_second: float
    seconds_left: float


@edge
def build(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    mode: Mode = "paper",
    subjects: Sequence[int] | None = None,
    memory_limit: int = 1 << 30,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Built:
    """Makes a store of the benchmark's stays and series from the tables of MIMIC-III.

    A build that was interrupted goes on where it stopped, and ends with the same bytes; a finished one is returned as
    it is.

    Args:
      source: folder of the tables, each `.csv`, `.csv.gz` or `.parquet`: ICUSTAYS, ADMISSIONS, PATIENTS, DIAGNOSES_ICD,
        D_ICD_DIAGNOSES, CHARTEVENTS, LABEVENTS, and OUTPUTEVENTS, of which rows are counted only.
      output: folder of the store. The build lies beside it, in a folder that ends in `.building`, until it is whole.
      mode: "paper", bit for bit the published tables; "fixed", without their quirks; or the `Rules` to keep.
      subjects: SUBJECT_IDs; default all.
      memory_limit: bytes that the process is to stay within, about.
      workers: pieces that are worked on at a time; default as many as there are cores, at most four.
      progress: is called as the build goes on.

    Returns:
      What was built, with all counts.

    Raises:
      FileNotFoundError: if a table is absent.
      ValueError: if a table lacks a column or holds what cannot be read, a stay occurs twice, or the output holds a
        store, or an unfinished one, of another version or other settings.
      OSError: if a file is not whole, or the disk is full.

    Source: Harutyunyan et al., 2019 (methods).
    """
    rules = rules_of(mode)
    require_count(_LEAST_MEMORY, memory_limit=memory_limit)
    require_count(1, workers=workers)
    place, target = Path(source).expanduser(), Path(output).expanduser()
    tables = [find(place, name, required=name != "OUTPUTEVENTS") for name in EVENT_TABLES]
    chosen = None if subjects is None else frozenset(int(subject) for subject in subjects)
    settings = _settings(rules, chosen, [table for table in tables if table is not None])
    if target.exists():
        require_settings(target, settings)
        return read_built(target)

    folder = require_writable(target.with_name(f"{target.name}.building"))
    if (folder / "settings.json").exists():
        require_settings(folder, settings)
        memory_limit = json.loads((folder / "settings.json").read_text(encoding="utf-8"))["memory_limit"]
    else:
        write_text(folder / "settings.json", json.dumps({"settings": settings, "memory_limit": memory_limit}))
    cohort = read_cohort(place, rules, chosen)
    pool_size = workers or min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(pool_size) as pool:
        work = _Work(folder, cohort, rules, memory_limit, pool, pool_size, progress or (lambda _: None))
        by_table = {table.name: work.extract(table) for table in tables if table is not None}
        cells, summary = work.series()
    built = _finish(folder, target, settings, cohort, by_table, cells, summary)
    for scratch in ("pieces", "summaries"):
        shutil.rmtree(folder / scratch, ignore_errors=True)
    (folder / "settings.json").unlink()
    os.replace(folder, target)
    return built._replace(path=target)


class _Work(NamedTuple):
    """A build that is under way."""

    folder: Path
    cohort: Cohort
    rules: Rules
    memory_limit: int
    pool: ThreadPoolExecutor
    pool_size: int
    progress: Callable[[Progress], None]

    def extract(self, table: Table) -> dict[str, int]:
        """Writes the rows of each piece that feed a channel, and returns the counts of all."""
        began, rows_now, counts = time.monotonic(), 0, Counter(dict.fromkeys(COUNTERS, 0))

        def one(piece: Piece) -> tuple[float, dict[str, int], bool]:
            file = self.folder / "pieces" / f"{table.name}-{piece.number:05}.parquet"
            if file.exists():  # of a build that was interrupted
                return piece.share, json.loads(file.with_suffix(".json").read_text(encoding="utf-8")), False
            events, counted = extract(piece, self.cohort.stays)
            write_text(file.with_suffix(".json"), json.dumps(counted))
            write_parquet(file, events)
            return piece.share, counted, True

        cut = pieces(table, min(1 << 26, self.memory_limit // _PIECES))
        for share, counted, is_new in self._in_order(one, cut):
            counts.update(counted)
            rows_now += counted["rows"] * is_new
            seconds = max(1e-9, time.monotonic() - began)
            left = seconds * (1 - share) / share if share else float("inf")
            self.progress(Progress(table.name, share, counts["rows"], rows_now / seconds, left))
        return dict(counts)

    def series(self) -> tuple[dict[str, int], "pl.DataFrame"]:
        """Writes the cells of all stays, a bucket of subjects after the other, and returns counts and a summary."""
        import polars as pl

        files = sorted((self.folder / "pieces").glob("*.parquet"))
        events = pl.scan_parquet(files)
        stays = self.cohort.stays
        began, counts, summaries = time.monotonic(), Counter[str](), []
        buckets = list(self._buckets(events))

        def one(bucket: tuple[int, int, int]) -> tuple[int, dict[str, int], "pl.DataFrame"]:
            number, first, last = bucket
            cells_file = self.folder / "cells" / f"{number:05}.parquet"
            summary_file = self.folder / "summaries" / f"{number:05}.parquet"
            if not cells_file.exists():
                chosen = pl.col("SUBJECT_ID").is_between(first, last)
                of_bucket = events.filter(chosen).collect().cast({"SUBJECT_ID": pl.Int64, "STAY": pl.Int64})
                made = episodes(of_bucket, stays.filter(chosen), self.rules)
                write_text(summary_file.with_suffix(".json"), json.dumps(made.counts))
                write_parquet(summary_file, made.summary)
                write_parquet(cells_file, made.cells)
            counted = json.loads(summary_file.with_suffix(".json").read_text(encoding="utf-8"))
            return number, counted, pl.read_parquet(summary_file)

        for number, counted, summary in self._in_order(one, buckets):
            counts.update(counted)
            summaries.append(summary)
            share = (number + 1) / len(buckets)
            seconds = max(1e-9, time.monotonic() - began)
            self.progress(
                Progress("series", share, counts["cells"], counts["cells"] / seconds, seconds / share - seconds)
            )
        return dict(counts), pl.concat(summaries)

    def _buckets(self, events: "pl.LazyFrame") -> Iterator[tuple[int, int, int]]:
        """Ranges of subjects with few enough events each: number, first and last."""
        import polars as pl

        counted = events.group_by("SUBJECT_ID").agg(pl.len()).collect().sort("SUBJECT_ID")
        most = self.memory_limit // _BYTES_OF_EVENT // self.pool_size
        first, total, number, last = None, 0, 0, 0
        for subject, count in counted.iter_rows():
            if first is not None and total + count > most:
                yield number, first, last
                first, total, number = None, 0, number + 1
            first = subject if first is None else first
            total, last = total + count, subject
        yield number, 0 if first is None else first, last

    def _in_order(self, act: Callable[[Any], Done], items: Iterable[Any]) -> Iterator[Done]:
        """What a function returns of each, in their order, several at a time and never many ahead."""
        waiting: list[Future[Done]] = []
        try:
            for item in items:
                waiting.append(self.pool.submit(act, item))
                if len(waiting) > self.pool_size:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def write_parquet(file: Path, frame: "pl.DataFrame") -> None:
    """Writes a frame, whole or not at all."""
    content = io.BytesIO()
    frame.write_parquet(content, row_group_size=1 << 16)
    with whole_file(file) as stream:
        stream.write(content.getbuffer())


def _settings(rules: Rules, subjects: frozenset[int] | None, tables: Sequence[Table]) -> dict[str, Any]:
    """What a store is made of: two with the same have the same content."""
    return {
        "format": FORMAT,
        "rules": rules._asdict(),
        "subjects": None if subjects is None else sorted(subjects),
        "tables": {table.name: [table.path.name, table.path.stat().st_size] for table in tables},
    }


def _finish(
    folder: Path,
    target: Path,
    settings: Mapping[str, Any],
    cohort: Cohort,
    by_table: Mapping[str, Mapping[str, int]],
    cells: Mapping[str, int],
    summary: "pl.DataFrame",
) -> Built:
    """Writes the stays, the diagnoses and the report."""
    import polars as pl

    names = _facts.phenotypes()
    labels = cohort.diagnoses.select(
        "ICUSTAY_ID", pl.col("ICD9_CODE").replace_strict(names.label_of, default=None, return_dtype=pl.Int32)
    ).drop_nulls()
    of_stay: dict[int, set[int]] = {}
    for stay, label in labels.iter_rows():
        of_stay.setdefault(stay, set()).add(label)
    stays = cohort.stays.join(summary, on="ICUSTAY_ID", how="left", maintain_order="left")
    has = [[label in of_stay.get(stay, ()) for label in range(len(names.names))] for stay in stays["ICUSTAY_ID"]]
    stays = stays.with_columns(
        pl.col("ROWS").fill_null(0), pl.Series("PHENOTYPES", has, pl.Array(pl.Boolean, len(names.names)))
    )
    write_parquet(folder / "stays.parquet", stays)
    write_parquet(folder / "diagnoses.parquet", cohort.diagnoses)
    built = Built(
        path=target,
        cohort=cohort.counts,
        events={name: sum(counted[name] for counted in by_table.values()) for name in COUNTERS},
        cells=dict(cells),
        warnings=(*cohort.warnings, *_warnings(cohort, by_table, stays)),
        settings=dict(settings),
    )
    write_text(folder / "store.json", json.dumps({**built._asdict(), "path": ""}, indent=1))
    return built


def _warnings(cohort: Cohort, by_table: Mapping[str, Mapping[str, int]], stays: "pl.DataFrame") -> Iterator[str]:
    for name, rows in _facts.RELEASES.get(cohort.num_stays, {}).items():
        if name not in by_table:
            yield f"{name} is absent: its rows are not in the counts, and no channel needs them"
        elif by_table[name]["rows"] != rows:
            yield f"{name} has {by_table[name]['rows']:,} rows, its release {rows:,}: it may not be whole"
    if without := int((stays["ROWS"] == 0).sum()):
        yield f"{without:,} stays have no event that feeds a channel: no task has them"
