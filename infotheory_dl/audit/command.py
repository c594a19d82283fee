"""The subcommand `infotheory-dl audit`."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import jax
from rich.console import Console

from infotheory_dl import data
from infotheory_dl._files import require_writable, write_or_keep
from infotheory_dl.audit._run import run
from infotheory_dl.audit.decisions import read_decisions
from infotheory_dl.audit.files import write_report
from infotheory_dl.audit.folder import require_apart
from infotheory_dl.audit.predictions import read_probabilities
from infotheory_dl.audit.regression import regression_findings, run_regression, write_regression_report
from infotheory_dl.audit.regression.next_steps import worst as worst_targets
from infotheory_dl.audit.report import findings, worst
from infotheory_dl.audit.settings import Settings
from infotheory_dl.audit.stages import KEPT, forget
from infotheory_dl.report import Stages, command_line, terminal_table

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Config:
    """Audits a data set: which labels are wrong, which examples tell the most, what can be left out.

    Attributes:
      dataset: a named set: digits, the default, which needs no download, or one of tensorflow-datasets, such as mnist.
      source: or one of your own. A column called source or domain says where examples are from and is no feature.
      split: part of a named set, such as train[:5000].
      output: folder of the report. Finished stages of an audit that is cut short are kept in it until there is one.
      decisions: tables of what was decided on suspects, exported from pages of audits of the same data, the oldest
        first: labels are changed and examples dropped by them, before all else.
      restart: whether to begin anew, and not after the stages that are kept.
      probabilities: a file of predictions of yours, made for each example by a model that was not trained on it: a
        column for each class, a row for each example of the data. They are scored beside the audit's own.
      task: whether the labels are classes, or numbers to be predicted: "regression".
      seed: of all that is drawn.
      settings: how the audit is made.
    """

    dataset: str | None = None
    source: data.Source = field(default_factory=data.Source)
    split: str = "train"
    output: Path = Path("results/audit")
    decisions: tuple[Path, ...] = ()
    probabilities: Path | None = None
    task: Task = "classification"
    seed: int = 0
    restart: bool = False
    settings: Settings = field(default_factory=Settings)


def main(config: Config, console: Console) -> None:
    """Runs an audit, prints what was found and writes the report."""
    require_apart(config.output, config.source)
    require_writable(config.output)
    if config.task == "regression":
        _main_of_numbers(config, console)
        return
    decisions = [read_decisions(path) for path in config.decisions]
    with Stages(console) as stages:
        stages.begin("reading the data")
        title, table = _load(config)
        result = run(
            jax.random.key(config.seed),
            table,
            decisions=decisions,
            probabilities=None if config.probabilities is None else read_probabilities(config.probabilities),
            on_plan=console.print,
            on_stage=stages.begin,
            on_progress=stages.progress,
            keep=config.output / KEPT,
            restart=config.restart,
            **asdict(config.settings),
        )
    console.print()
    for notice in dict.fromkeys((*table.notices, *result.examples.notices)):
        console.print(f"Note: {notice}", soft_wrap=True)
    for sentence in findings(result):
        console.print(f"• {sentence}")
    record = {name: value for name, value in asdict(config).items() if name not in ("settings", "source", "restart")}
    record["decisions"] = " ".join(map(str, config.decisions)) or None
    record |= {name: getattr(config.source, name) for name in config.source.given}
    suspects = worst(result)
    if suspects[0].values:
        console.print(terminal_table(suspects, title="\nThe most suspect labels"))
    source = config.source if config.source.given else None

    def write(folder: Path) -> Path:
        return write_report(
            result,
            folder,
            title=title,
            config=record,
            table=table,
            source=source,
            **_lines(config),
        )

    report = write_or_keep(config.output, write)
    forget(config.output / KEPT)
    console.print(f"\nThe report: {report.resolve()}", soft_wrap=True)


def _main_of_numbers(config: Config, console: Console) -> None:
    """The same where the labels are numbers to be predicted."""
    if config.probabilities:
        raise ValueError("--probabilities is of labels that are classes: leave it out, or --task regression")
    if config.dataset is None and not config.source.given:
        raise ValueError("--task regression needs numbers to be predicted: name a file by --data, and its --label")
    decisions = [read_decisions(path) for path in config.decisions]
    with Stages(console) as stages:
        stages.begin("reading the data")
        title, table = _load(config)
        result = run_regression(
            jax.random.key(config.seed),
            table,
            decisions=decisions,
            on_plan=console.print,
            on_stage=stages.begin,
            on_progress=stages.progress,
            keep=config.output / KEPT,
            restart=config.restart,
            **asdict(config.settings),
        )
    console.print()
    for notice in result.examples.notices:
        console.print(f"Note: {notice}", soft_wrap=True)
    for sentence in regression_findings(result):
        console.print(f"• {sentence}")
    record: dict[str, object] = {"task": config.task, "output": str(config.output), "seed": config.seed}
    record["decisions"] = " ".join(map(str, config.decisions)) or None
    record |= {name: getattr(config.source, name) for name in config.source.given}
    farthest = worst_targets(result)
    if farthest[0].values:
        console.print(terminal_table(farthest, title="\nThe targets farthest out of line"))

    def write(folder: Path) -> Path:
        return write_regression_report(result, folder, title=title, config=record, **_lines(config))

    report = write_or_keep(config.output, write)
    forget(config.output / KEPT)
    console.print(f"\nThe report: {report.resolve()}", soft_wrap=True)


def _lines(config: Config) -> dict[str, str]:
    """The command of this audit, that of the next, and the name under which the page exports the decisions between."""
    made = len(config.decisions)
    export = f"decisions-{made + 1}.csv" if made else "decisions.csv"
    following = replace(config, decisions=(*config.decisions, Path(export)), restart=False)
    return {
        "command": command_line("audit", config),
        "again": command_line("audit", following),
        "export": export,
    }


def _load(config: Config) -> tuple[str, data.Table]:
    given = config.source.given
    if config.dataset is not None and given:
        raise ValueError(f"give --dataset or --{given[0].replace('_', '-')}, not both: a named set has its labels")
    if given:
        return config.source.name, config.source.read(labelled=True)
    images = data.load(config.dataset or "digits", config.split)
    return images.name, data.as_table(images.x, images.y)
