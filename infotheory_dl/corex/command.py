"""The subcommand `infotheory-dl corex`."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
from rich.console import Console

from infotheory_dl import data
from infotheory_dl._files import require_writable, write_or_keep, write_together
from infotheory_dl._validation import require_count
from infotheory_dl.corex._report import moving_page, moving_tables, page, tables
from infotheory_dl.corex._report.moving import follow
from infotheory_dl.corex._report.reading import Columns, read_columns, read_series
from infotheory_dl.corex._report.static import explain
from infotheory_dl.report import Stages, ran_with, terminal_table


@dataclass(frozen=True)
class Config:
    """Finds the factors that explain why the columns of a table depend on each other.

    Attributes:
      source: the table.
      output: folder of the page and the tables.
      time: the column with the time of each row, numbers, dates or text that sorts; the factors then may change.
      period: rows in a period; by default every time with several rows is one, or a twentieth of the rows are.
      factors: how many; by default as many as explain the most with a factor for each column.
      preprocessing: outliers pulls in what is beyond 4 standard deviations, empirical takes ranks.
      missing: whether correlations are over the rows that have both columns (pairwise), or the mean takes the place of
        missing values; by default pairwise for up to 200 columns.
      restarts: fits from so many random starts, of which the best is kept.
      permutations: tables of columns that share nothing, which tell what is chance.
      seed: of all that is drawn.
    """

    source: data.Source = field(default_factory=data.Source)
    output: Path = Path("results/corex")
    time: str | None = None
    period: int | None = None
    factors: int | None = None
    preprocessing: Literal["standard", "outliers", "empirical"] = "standard"
    missing: Literal["pairwise", "mean"] | None = None
    restarts: int = 1
    permutations: int = 19
    seed: int = 0


def main(config: Config, console: Console) -> None:
    """Fits, prints the factors and writes all."""
    folder = require_writable(config.output)
    # a p-value of 5 % needs as many
    require_count(19, permutations=config.permutations)
    require_count(1, restarts=config.restarts)
    if config.period is not None and config.time is None:
        raise ValueError("--period is of a series; give --time too, the column with the time of each row")
    title, facts = config.source.name, _facts(config)
    with Stages(console) as stages, jax.enable_x64(True):
        stages.begin("reading the data")
        if config.time is None:
            columns = read_columns(config.source)
            overall = explain(jax.random.key(config.seed), columns, **_settings(config, columns, stages))
            stages.begin("writing the page and the tables")
            sentences, contents = tables.findings(overall), tables.files(overall)
            contents["report.html"] = page.render(overall, title=title, facts=facts)
            shown = f"{len(columns.rows)} rows of {len(columns.names)} columns."
        else:
            columns, times = read_series(config.source, config.time)
            settings = _settings(config, columns, stages)
            found = follow(jax.random.key(config.seed), columns, times, period=config.period, **settings)
            overall = found.overall
            stages.begin("writing the page and the tables")
            sentences, contents = moving_tables.findings(found), moving_tables.files(found)
            sentences += moving_tables.overall_findings(found)
            contents["report.html"] = moving_page.render(found, title=title, facts=facts)
            shown = f"{len(columns.rows)} rows of {len(columns.names)} columns, in {len(found.names)} periods."
    console.print(f"\n{shown}")
    for notice in columns.notices:
        console.print(f"Note: {notice}", soft_wrap=True)
    for sentence in sentences:
        console.print(f"• {sentence}")
    if not overall.is_chance:
        console.print(terminal_table(tables.factor_columns(overall)))
    folder = write_or_keep(folder, lambda folder: write_together(folder, contents))
    console.print(f"{', '.join(sorted(contents))} are in {folder.resolve()}", soft_wrap=True)


def _settings(config: Config, columns: Columns, stages: Stages) -> dict[str, Any]:
    """Of the fits."""
    if config.factors is not None:
        require_count(1, len(columns.names), "the number of columns", factors=config.factors)
    return {
        "num_factors": config.factors,
        "preprocessing": config.preprocessing,
        "missing": config.missing,
        "num_restarts": config.restarts,
        "num_permutations": config.permutations,
        "on_stage": stages.begin,
    }


def _facts(config: Config) -> dict[str, object]:
    settings = {name: value for name, value in asdict(config).items() if name != "source"}
    return ran_with(settings | {name: getattr(config.source, name) for name in config.source.given})
