"""The subcommand `infotheory-dl audit`."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jax
from rich.console import Console

from infotheory_dl import data
from infotheory_dl._files import require_writable
from infotheory_dl.audit._run import Settings, run
from infotheory_dl.audit.examples import Table, read_table
from infotheory_dl.audit.files import write_report
from infotheory_dl.audit.report import findings


@dataclass(frozen=True)
class Config:
    """Audits a data set: which labels are wrong, which examples tell the most, what can be left out.

    Attributes:
      dataset: a named set: digits, the default, which needs no download, or one of tensorflow-datasets, such as mnist.
      data: or an .npz file with the arrays x and y; x_test, y_test and feature_names if there are any.
      split: part of a named set, such as train[:5000].
      output: folder of the report.
      seed: of all that is drawn.
      settings: how the audit is made.
    """

    dataset: str | None = None
    data: Path | None = None
    split: str = "train"
    output: Path = Path("results/audit")
    seed: int = 0
    settings: Settings = field(default_factory=Settings)


def main(config: Config, console: Console) -> None:
    """Runs an audit, writes its report and prints what was found."""
    require_writable(config.output)
    with _Stages(console) as stages:
        stages.begin("reading the data")
        title, table = _load(config)
        result = run(
            jax.random.key(config.seed),
            table.x,
            table.y,
            table.held_out,
            feature_names=table.feature_names,
            on_stage=stages.begin,
            **asdict(config.settings),
        )
        stages.begin("writing the report")
        record = {name: value for name, value in asdict(config).items() if name != "settings"}
        report = write_report(result, config.output, title=title, config=record)
    console.print()
    for sentence in findings(result):
        console.print(f"• {sentence}")
    console.print(f"\nThe report: {report.resolve()}", soft_wrap=True)


def _load(config: Config) -> tuple[str, Table]:
    if config.data is not None and config.dataset is not None:
        raise ValueError(f"give --dataset or --data, not both, got {config.dataset} and {config.data}")
    if config.data is not None:
        return config.data.stem, read_table(config.data)
    images = data.load(config.dataset or "digits", config.split)
    return images.name, Table(images.x, images.y)


class _Stages:
    """Shows what is being done, and how long each stage took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")
        self._current: tuple[str, float] | None = None

    def __enter__(self) -> "_Stages":
        self._status.start()
        return self

    def begin(self, stage: str) -> None:
        self._end()
        self._current = stage, time.perf_counter()
        self._status.update(f"{stage} …")

    def __exit__(self, kind: object, *_: object) -> None:
        self._status.stop()
        if kind is None:
            self._end()

    def _end(self) -> None:
        if self._current is not None:
            stage, start = self._current
            self._console.print(f"{time.perf_counter() - start:6.1f} s  {stage}")
