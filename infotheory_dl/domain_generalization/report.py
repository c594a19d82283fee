"""A diagnosis in sentences and as tables."""

from collections.abc import Iterable
from typing import get_args

from infotheory_dl._files import csv_table
from infotheory_dl._validation import edge
from infotheory_dl.domain_generalization.results import Diagnosis, Estimate, Term
from infotheory_dl.report import Column

TERMS: dict[Term, str] = {term: term.replace("_", "-") for term in get_args(Term)}
_MEANINGS: dict[Term, str] = {
    "underfitting": "the model is wrong in its source domains already",
    "inseparability": "its representations there do not tell the classes apart, even by a linear rule of their own",
    "misalignment": "its representations there tell the classes apart, but by another linear rule than in the sources",
    "non_invariance": "one linear rule on its representations holds in all domains, but the model has another",
}
_REMEDIES: dict[Term, str] = {
    "underfitting": "a larger model, longer training, a weaker penalty, or a look for wrong labels",
    "inseparability": "a richer representation: pretraining, augmentation, a weaker penalty of invariance",
    "misalignment": "invariance of the representations given the class, or a head fitted to some labels from there",
    "non_invariance": "another head on the same representations, refitted or penalised for what differs in domains",
}
TESTS = {
    "sources": "the source domains, one from another",
    "unseen": "the unseen domain from the sources",
    "unseen_given_class": "the unseen domain, within each class",
}
ACCURACIES = {
    "own_on_sources": "G0: the model in the source domains",
    "probe_on_unseen": "G1: a probe of the unseen domain there",
    "joint_on_unseen": "G2: a probe of all domains there",
    "own_on_unseen": "G3: the model in the unseen domain",
    "joint_on_sources": "a probe of all domains in the source domains",
}


@edge
def findings(diagnosis: Diagnosis, *, unseen: str = "the unseen domain") -> list[str]:
    """What goes wrong in an unseen domain, and what to try, in sentences.

    Args:
      diagnosis: of `diagnose`.
      unseen: what the sentences call the domain.
    """
    error = 1 - float(diagnosis.accuracies.own_on_unseen.value)
    total = f"The model errs on {100 * error:.1f} % of the examples of {unseen}"
    largest, dominant = diagnosis.largest, diagnosis.dominant
    term: Estimate = getattr(diagnosis.errors, largest)
    named = f"{total}. The largest of the four terms of its error is {TERMS[largest]} ({written(term)})"
    if dominant is None:
        found = [f"{named}, but the data cannot tell it from the others."]
    else:
        found = [f"{named}: {_MEANINGS[dominant]}.", f"What may help: {_REMEDIES[dominant]}."]
    told = diagnosis.distinguishability
    among, unknown = float(told.sources.value), told.unseen_given_class
    if unknown.interval[0] > 0:
        found.append(
            f"Within a class the representations tell {unseen} from the source domains"
            f" ({float(unknown.value):.2f} on a scale from 0 to 1; the sources from each other {among:.2f})."
        )
    return found


def written(estimate: Estimate) -> str:
    """A number with its interval."""
    low, high = estimate.interval
    return f"{float(estimate.value):.3f}, 95% interval {low:.3f} to {high:.3f}"


def error_columns(diagnosis: Diagnosis) -> list[Column]:
    """The four terms."""
    return _columns("error", [(TERMS[term], getattr(diagnosis.errors, term)) for term in get_args(Term)])


def accuracy_columns(diagnosis: Diagnosis) -> list[Column]:
    """The accuracies behind them."""
    return _columns("accuracy of", [(text, getattr(diagnosis.accuracies, name)) for name, text in ACCURACIES.items()])


def test_columns(diagnosis: Diagnosis) -> list[Column]:
    """The three tests of invariance."""
    parts = diagnosis.domain_accuracies, diagnosis.distinguishability, diagnosis.information
    heads = "right", "from 0 to 1", "nats, at least"
    columns = [Column("a probe tells", list(TESTS.values()))]
    for head, part in zip(heads, parts, strict=True):
        estimates = [getattr(part, name) for name in TESTS]
        columns.append(Column(head, [float(one.value) for one in estimates], "{:.3f}".format))
        columns.append(Column("±", [float(one.standard_error) for one in estimates], "{:.3f}".format))
    return columns


def numbers_csv(diagnoses: Iterable[tuple[str, Diagnosis]]) -> str:
    """Every number of every unseen domain."""
    rows = []
    for unseen, diagnosis in diagnoses:
        for part in ("errors", "accuracies", "domain_accuracies", "distinguishability", "information"):
            for name, estimate in getattr(diagnosis, part)._asdict().items():
                low, high = estimate.interval.tolist()
                rows.append(
                    {
                        "unseen": unseen,
                        "of": part,
                        "name": name,
                        "value": float(estimate.value),
                        "standard_error": float(estimate.standard_error),
                        "low": low,
                        "high": high,
                    }
                )
    return csv_table({name: [row[name] for row in rows] for name in rows[0]})


def _columns(heading: str, named: list[tuple[str, Estimate]]) -> list[Column]:
    estimates = [estimate for _, estimate in named]
    intervals = [tuple(estimate.interval.tolist()) for estimate in estimates]
    return [
        Column(heading, [name for name, _ in named]),
        Column("value", [float(estimate.value) for estimate in estimates], "{:.3f}".format),
        Column("standard error", [float(estimate.standard_error) for estimate in estimates], "{:.3f}".format),
        Column("95% interval", intervals, lambda ends: f"{ends[0]:.3f} to {ends[1]:.3f}", right=True),
    ]
