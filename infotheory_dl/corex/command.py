"""The subcommand `infotheory-dl corex`."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import jax
from rich.console import Console

from infotheory_dl import data
from infotheory_dl._files import require_writable, write_or_keep, write_together
from infotheory_dl._validation import require_count
from infotheory_dl.corex._report import page, tables
from infotheory_dl.corex._report.reading import Columns, read_columns
from infotheory_dl.corex._report.static import explain
from infotheory_dl.report import Stages, ran_with, terminal_table


@dataclass(frozen=True)
class Config:
    """Finds the factors that explain why the columns of a table depend on each other.

    Attributes:
      source: the table.
      output: folder of the page and the tables.
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
    with Stages(console) as stages, jax.enable_x64(True):
        stages.begin("reading the data")
        columns = read_columns(config.source)
        _require_factors(config.factors, columns)
        found = explain(
            jax.random.key(config.seed),
            columns,
            num_factors=config.factors,
            preprocessing=config.preprocessing,
            missing=config.missing,
            num_restarts=config.restarts,
            num_permutations=config.permutations,
            on_stage=stages.begin,
        )
        stages.begin("writing the page and the tables")
        contents = tables.files(found)
        contents["report.html"] = page.render(found, title=config.source.name, facts=_facts(config))
    console.print(f"\n{len(columns.rows)} rows of {len(columns.names)} columns.")
    for notice in columns.notices:
        console.print(f"Note: {notice}", soft_wrap=True)
    for sentence in tables.findings(found):
        console.print(f"• {sentence}")
    if not found.is_chance:
        console.print(terminal_table(tables.factor_columns(found)))
    _write(folder, contents, console)


def _require_factors(factors: int | None, columns: Columns) -> None:
    if factors is not None:
        require_count(1, len(columns.names), "the number of columns", factors=factors)


def _facts(config: Config) -> dict[str, object]:
    settings = {name: value for name, value in asdict(config).items() if name != "source"}
    return ran_with(settings | {name: getattr(config.source, name) for name in config.source.given})


def _write(folder: Path, contents: dict[str, str | bytes], console: Console) -> None:
    folder = write_or_keep(folder, lambda folder: write_together(folder, contents))
    console.print(f"{', '.join(sorted(contents))} are in {folder.resolve()}", soft_wrap=True)
