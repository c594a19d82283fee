"""The subcommand `infotheory-dl domains`."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import jax
from rich.console import Console

from infotheory_dl import data
from infotheory_dl._files import require_writable, write_or_keep, write_together
from infotheory_dl.domain_generalization.diagnosis import diagnose
from infotheory_dl.domain_generalization.files import Case, cases, read_features
from infotheory_dl.domain_generalization.page import render
from infotheory_dl.domain_generalization.report import error_columns, findings, numbers_csv
from infotheory_dl.domain_generalization.results import Diagnosis
from infotheory_dl.report import Stages, count, ran_with, terminal_table


@dataclass(frozen=True)
class Config:
    """Tells why a model fails in a domain that it has not seen, by its representations and predictions.

    Attributes:
      source: the representations and the classes.
      output: folder of the page and the table.
      domain: the column or the array with the domain of each example; by default domain.
      prediction: the column or the array with the class that the model predicts, or in an .npz file an output for each
        class; by default prediction, if there is one. Without it a logistic regression stands for the model.
      split: the column or the array that says train where the model was trained on an example, anything else elsewhere;
        by default split, if there is one. Without it a fifth of the source examples stands for further ones.
      unseen: the domain that the model has not seen; without predictions by default each in turn.
      test: a second domain that it has not seen.
      resamples: of the bootstrap behind the intervals.
      seed: of all that is drawn.
    """

    source: data.Source = field(default_factory=data.Source)
    output: Path = Path("results/domains")
    domain: str | None = None
    prediction: str | None = None
    split: str | None = None
    unseen: str | None = None
    test: str | None = None
    resamples: int = 200
    seed: int = 0


def main(config: Config, console: Console) -> None:
    """Diagnoses, prints what dominates the error and writes all."""
    folder = require_writable(config.output)
    given = read_features(config.source, domain=config.domain, prediction=config.prediction, split=config.split)
    key_split, key = jax.random.split(jax.random.key(config.seed))
    chosen, notices = cases(key_split, given, unseen=config.unseen, test=config.test)
    found: list[tuple[Case, Diagnosis]] = []
    with Stages(console) as stages:
        for number, case in enumerate(chosen):
            stages.begin(f"diagnosing {case.unseen}")
            diagnosis = diagnose(
                jax.random.fold_in(key, number),
                *case.features[:3],
                test=case.features[3] if len(case.features) > 3 else None,
                resamples=config.resamples,
            )
            found.append((case, diagnosis._replace(test=None)))
            if diagnosis.test is not None and config.test is not None:
                train, validation, _, test = case.features
                found.append((Case(config.test, (train, validation, test)), diagnosis.test))
    names = sorted({*given.domains.tolist()})
    lead = f"{count(len(given.x), 'example', 'examples')} of {len(names)} domains, {given.x.shape[1]} features."
    console.print(f"\n{lead}")
    for notice in (*given.notices, *notices):
        console.print(f"Note: {notice}", soft_wrap=True)
    for case, diagnosis in found:
        for sentence in findings(diagnosis, unseen=case.unseen):
            console.print(f"• {sentence}", soft_wrap=True)
        console.print(terminal_table(error_columns(diagnosis), title=f"the error in {case.unseen}"))
    settings = {name: value for name, value in asdict(config).items() if name != "source"}
    facts = ran_with(settings | {name: getattr(config.source, name) for name in config.source.given})
    contents: dict[str, str | bytes] = {
        "domains.csv": numbers_csv((case.unseen, diagnosis) for case, diagnosis in found),
        "report.html": render(found, title=config.source.name, lead=lead, facts=facts),
    }
    folder = write_or_keep(folder, lambda folder: write_together(folder, contents))
    console.print(f"{', '.join(sorted(contents))} are in {folder.resolve()}", soft_wrap=True)
