"""The subcommand `infotheory-dl synergy`."""

import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jax
from rich.console import Console

from infotheory_dl import data
from infotheory_dl._files import require_writable, write_or_keep, write_together
from infotheory_dl._validation import require_count
from infotheory_dl.minsyn._pairs import page, tables
from infotheory_dl.minsyn._pairs.analysis import Measure, find
from infotheory_dl.report import Stages, ran_with, terminal_table


@dataclass(frozen=True)
class Config:
    """Finds the pairs of columns that tell of others only together.

    Attributes:
      source: the table.
      output: folder of the page and the tables.
      target: the column that is told about; by default the label, or else each column by all others.
      sources: the columns that tell; by default all others.
      measure: gaussian sees what is linear, rank_gaussian what is monotone, states whatever counts show; auto takes
        states where a column has few values, and gaussian elsewhere.
      bins: states that a column of many values is cut into, equally frequent.
      factors: number of factors of little synergy to learn too, whose synergy about each column is told.
      resamples: how many for each interval of the first pairs of states, and how many permutations; 0 for none.
      seed: of all that is drawn.
    """

    source: data.Source = field(default_factory=data.Source)
    output: Path = Path("results/synergy")
    target: str | None = None
    sources: tuple[str, ...] = ()
    measure: Measure = "auto"
    bins: int = 3
    factors: int | None = None
    resamples: int = 199
    seed: int = 0


def main(config: Config, console: Console) -> None:
    """Measures all pairs, prints those with the most synergy and writes all."""
    folder = require_writable(config.output)
    require_count(2, 16, bins=config.bins)
    require_count(0, resamples=config.resamples)
    with Stages(console) as stages, jax.enable_x64(True), warnings.catch_warnings():
        # what is flagged in the tables by name is not said by number
        warnings.filterwarnings("ignore", message=".*(near copies|samples for each joint state|joint states are)")
        stages.begin("reading the data")
        found = find(
            jax.random.key(config.seed),
            config.source.read(labelled=False, missing="keep"),
            label=config.source.label,
            target=config.target,
            sources=config.sources,
            measure=config.measure,
            bins=config.bins,
            num_factors=config.factors,
            resamples=config.resamples,
            on_stage=stages.begin,
        )
        stages.begin("writing the page and the tables")
        settings = {name: value for name, value in asdict(config).items() if name != "source"}
        facts = ran_with(settings | {name: getattr(config.source, name) for name in config.source.given})
        contents = tables.files(found)
        contents["report.html"] = page.render(found, title=config.source.name, facts=facts)
    console.print(f"\n{found.rows} rows of {len(found.names)} columns.")
    for notice in found.notices:
        console.print(f"Note: {notice}", soft_wrap=True)
    for sentence in (*tables.findings(found), tables.MEASURE):
        console.print(f"• {sentence}")
    shown = tables.pair_columns(found)
    if shown[0].values:
        console.print(terminal_table(shown))
    folder = write_or_keep(folder, lambda folder: write_together(folder, contents))
    console.print(f"{', '.join(sorted(contents))} are in {folder.resolve()}", soft_wrap=True)
