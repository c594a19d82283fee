"""Which probes a diagnosis needs: what each is to tell, from which rows it is fitted, on which it is measured."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl.domain_generalization._rows import FEWEST, Names, Rows


class Probes(NamedTuple):
    """Probes, a row for each.

    Attributes:
      targets: what each is to tell, class or domain; -1 where a row is not its affair.
      fitted_to: the rows that it is fitted to.
      measured_on: the rows that it is measured on.
      columns: of what is measured. Probes of one column are the same but for what was held out from them.
    """

    targets: Int[np.ndarray, "probes rows"]
    fitted_to: Bool[np.ndarray, "probes rows"]
    measured_on: Bool[np.ndarray, "probes rows"]
    columns: Int[np.ndarray, " probes"]


class Test(NamedTuple):
    """One of the three tests of invariance, as a mean over probes.

    Attributes:
      probes: their columns.
      shares: of each in the mean of the accuracies.
      row_shares: of each in the mean of the information: of a class, its share among the rows.
    """

    probes: list[int]
    shares: Float[np.ndarray, " probes"]
    row_shares: Float[np.ndarray, " probes"]


class Questions(NamedTuple):
    """The columns of the probes that say why a model fails in one unseen domain.

    Attributes:
      alone: fitted to the unseen domain.
      joint: fitted to it and to the sources.
      tests: sources, unseen, unseen given the class.
    """

    alone: int
    joint: int
    tests: tuple[Test, Test, Test]


class ProbePlan(NamedTuple):
    """All probes of a diagnosis, and what they are for.

    Attributes:
      probes: all of them.
      questions: of each unseen domain.
      skipped_classes: names of those with too few rows.
      skipped_domains: likewise.
    """

    probes: Probes
    questions: tuple[Questions, ...]
    skipped_classes: tuple[str, ...]
    skipped_domains: tuple[str, ...]


def plan(
    rows: Rows,
    tenth: Int[np.ndarray, " rows"],
    names: Names,
    *,
    num_unseen: int,
    num_turns: int,
    every_source: bool,
) -> ProbePlan:
    """Plans the probes, the first of every column before others of it.

    Args:
      rows: of the sources, and of the unseen domains after them.
      tenth: of every row; the first is held out from all probes.
      names: of classes and sources.
      num_unseen: how many unseen domains there are.
      num_turns: how many tenths of an unseen domain are held out in turn from the probes of the classes.
      every_source: whether the unseen domain takes the place of every source domain in turn, or of the first alone.

    Raises:
      ValueError: if too few source domains or no class have enough rows.
    """
    num_sources, num_classes = len(names.sources), len(names.classes)
    sizes = np.zeros((num_sources + num_unseen, num_classes), int)
    np.add.at(sizes, (rows.domains, rows.classes), 1)
    large = np.flatnonzero(sizes[:num_sources].sum(1) >= FEWEST)
    if len(large) < 2:
        raise ValueError(
            f"train must have two source domains of {FEWEST} examples at least, got"
            f" {_counted(names.sources, sizes[:num_sources].sum(1))}"
        )
    is_source, is_held = rows.domains < num_sources, tenth == 0
    targets: list[np.ndarray] = []
    fitted_to: list[np.ndarray] = []
    measured_on: list[np.ndarray] = []
    columns: list[int] = []

    def add(target: np.ndarray, fit: np.ndarray, measure: np.ndarray, column: int | None = None) -> int:
        targets.append(np.where(fit | measure, target, -1))
        fitted_to.append(fit)
        measured_on.append(measure)
        columns.append(len(columns) if column is None else column)
        return columns[-1]

    def telling_domains(members: np.ndarray, domains: np.ndarray) -> int:
        """Domains are numbered among those that occur."""
        numbers = np.full(num_sources + num_unseen, -1)
        numbers[domains] = np.arange(len(domains))
        return add(numbers[rows.domains], members & ~is_held, members & is_held)

    def test(probes: list[int], groups: Sequence[int]) -> Test:
        """The mean over groups of means over their probes."""
        _, group_of, counts = np.unique(groups, return_inverse=True, return_counts=True)
        measured = np.array([measured_on[probe].sum() for probe in probes], float)
        return Test(probes, 1 / (len(counts) * counts[group_of]), measured / measured.sum())

    among_sources = telling_domains(np.isin(rows.domains, large), large)
    questions = []
    kept_of_any = np.zeros(num_classes, bool)
    for unseen in range(num_sources, num_sources + num_unseen):
        is_unseen = rows.domains == unseen
        alone = add(rows.classes, is_unseen & ~is_held, is_unseen & is_held)
        joint = add(rows.classes, is_source | (is_unseen & ~is_held), is_unseen & is_held)
        replaced = large if every_source else large[:1]
        swapped = []
        for source in replaced:
            domains = np.append(large[large != source], unseen)
            swapped.append(telling_domains(np.isin(rows.domains, domains), domains))
        within, classes = [], []
        for label in range(num_classes):
            enough = large[sizes[large, label] >= FEWEST]
            if sizes[unseen, label] < FEWEST or len(enough) < 2:
                continue
            kept_of_any[label] = True
            for source in enough if every_source else enough[:1]:
                domains = np.append(enough[enough != source], unseen)
                members = np.isin(rows.domains, domains) & (rows.classes == label)
                within.append(telling_domains(members, domains))
                classes.append(label)
        if not within:
            raise ValueError(
                f"no class has {FEWEST} examples in the unseen domain and in two source domains, got"
                f" {_counted(names.classes, sizes[unseen])} in the unseen one"
            )
        tests = test([among_sources], [0]), test(swapped, [0] * len(swapped)), test(within, classes)
        questions.append(Questions(alone, joint, tests))
    for unseen, asked in zip(range(num_sources, num_sources + num_unseen), questions, strict=True):
        for turn in range(1, num_turns):
            held, learned = ((rows.domains == unseen) & part for part in (tenth == turn, tenth != turn))
            add(rows.classes, learned, held, asked.alone)
            add(rows.classes, is_source | learned, held, asked.joint)
    skipped_classes = tuple(str(name) for name in names.classes[~kept_of_any])
    skipped_domains = tuple(str(name) for name in np.delete(names.sources, large))
    probes = Probes(np.stack(targets), np.stack(fitted_to), np.stack(measured_on), np.array(columns))
    return ProbePlan(probes, tuple(questions), skipped_classes, skipped_domains)


def _counted(names: np.ndarray, counts: np.ndarray) -> str:
    return ", ".join(f"{count} of {name!r}" for name, count in zip(names.tolist(), counts.tolist(), strict=True))
