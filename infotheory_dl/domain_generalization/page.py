"""Diagnoses as one HTML page."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from infotheory_dl import report
from infotheory_dl.data import Features, pixel_moments, standardize
from infotheory_dl.domain_generalization.files import Case
from infotheory_dl.domain_generalization.report import (
    ACCURACIES,
    TERMS,
    accuracy_columns,
    error_columns,
    findings,
    test_columns,
)
from infotheory_dl.domain_generalization.results import Diagnosis, Estimate, Term
from infotheory_dl.report import Bar, Column, Html, Points

_POINTS = 600
_GROUPS = 5
_SHORT = {"sources": "sources", "unseen": "unseen", "unseen_given_class": "within a class"}


def render(diagnoses: Sequence[tuple[Case, Diagnosis]], *, title: str, lead: str, facts: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
      diagnoses: of each unseen domain.
      title: name of the data.
      lead: what the data are, in a sentence.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    first = diagnoses[0][1]
    figures = [
        (f"{1 - float(first.accuracies.own_on_unseen.value):.3f}", f"error in {diagnoses[0][0].unseen}"),
        (f"{1 - float(first.accuracies.own_on_sources.value):.3f}", "error in the source domains"),
        (TERMS[first.dominant] if first.dominant else "—", "the largest term, where the data can tell"),
    ]
    found = [sentence for case, diagnosis in diagnoses for sentence in findings(diagnosis, unseen=case.unseen)]
    return report.page(
        f"Domains of {title}",
        report.header(f"Domains of {title}", lead, figures if len(diagnoses) == 1 else [], found),
        overview([(case.unseen, diagnosis) for case, diagnosis in diagnoses]) if len(diagnoses) > 1 else "",
        *(part for case, diagnosis in diagnoses for part in domain_sections(case, diagnosis)),
        report.section("Settings and versions", report.facts(facts)),
    )


def overview(diagnoses: Sequence[tuple[str, Diagnosis]]) -> Html:
    """A row for each unseen domain."""
    number = "{:.3f}".format
    columns = [
        Column("unseen domain", [name for name, _ in diagnoses]),
        Column("error", [1 - float(diagnosis.accuracies.own_on_unseen.value) for _, diagnosis in diagnoses], number),
        *(
            Column(TERMS[term], [float(getattr(diagnosis.errors, term).value) for _, diagnosis in diagnoses], number)
            for term in get_args(Term)
        ),
        Column("largest", [TERMS[one.dominant] if one.dominant else "cannot be told" for _, one in diagnoses]),
    ]
    text = "Each domain in turn is the one that is not trained on. The error there is the sum of the four terms."
    return report.section("Each domain unseen", report.paragraph(text), report.table(columns))


def domain_sections(case: Case, diagnosis: Diagnosis) -> list[Html]:
    """Where the error sits, what tells the domains apart, and how the representations lie."""
    text = (
        "The error is the sum of four terms: that of the model in its source domains; what a linear probe fitted to the"
        " unseen domain still gets wrong there; what one rule for all domains costs beyond; and what the head of the"
        " model costs beyond. A term can be negative, by chance or where the model is better than a probe."
    )
    return [
        report.section(
            f"Where the error in {case.unseen} sits",
            report.paragraph(text),
            report.table(error_columns(diagnosis)),
            report.figures(
                _bars([(TERMS[term], getattr(diagnosis.errors, term)) for term in TERMS], "error"),
                _bars(
                    [(name[:2], getattr(diagnosis.accuracies, key)) for key, name in list(ACCURACIES.items())[:4]],
                    "accuracy",
                ),
            ),
            report.table(accuracy_columns(diagnosis)),
        ),
        report.section(
            f"What tells {case.unseen} from the other domains",
            report.paragraph(
                "A linear probe tells domains apart by the representations. On the scale from 0 to 1, 0 is as good as"
                " always naming the most frequent domain; in nats it is a lower bound on what they tell of the domain."
            ),
            report.table(test_columns(diagnosis)),
            _bars([(name, getattr(diagnosis.distinguishability, key)) for key, name in _SHORT.items()], "from 0 to 1"),
        ),
        _projections(case),
    ]


def _bars(named: Sequence[tuple[str, Estimate]], x_label: str) -> Html:
    bars = [Bar(name, float(one.value), float(one.interval[0]), float(one.interval[1])) for name, one in named]
    return report.bar_chart(bars, title=x_label, x_label=f"{x_label}, with 95% intervals")


def _projections(case: Case) -> Html:
    """Some examples of each domain on the two directions in which all of them vary most."""
    parts = [case.features[0], *case.features[2:]]
    random = np.random.default_rng(0)
    chosen = [_some(part, random) for part in parts]
    x, labels, domains = (np.concatenate([np.asarray(part[column]) for part in chosen]) for column in range(3))
    labels, domains = labels.astype(str), domains.astype(str)
    scaled = standardize(x, *pixel_moments(x, per="pixel"), dtype=float)
    _, _, directions = np.linalg.svd(scaled, full_matrices=False)
    places = scaled @ directions[:2].T
    if places.shape[1] < 2:
        places = np.stack([places[:, 0], np.zeros(len(places))], axis=1)
    is_unseen = domains == case.unseen
    shown = {
        "by domain": (np.ones(len(x), bool), domains),
        "by class, in the source domains": (~is_unseen, labels),
        f"by class, in {case.unseen}": (is_unseen, labels),
    }
    charts = [
        report.point_chart(
            _grouped(places[own], values[own], case.unseen if values is domains else None),
            title=f"representations {what}",
            x_label=f"first principal component, {what}",
            y_label="second",
        )
        for what, (own, values) in shown.items()
    ]
    text = (
        "Some representations of each domain, in units of their standard deviations. Where classes lie elsewhere in the"
        " unseen domain, they are misaligned; where they lie on each other, inseparable, unless further directions part"
        " them."
    )
    return report.section("How the representations lie", report.paragraph(text), report.figures(*charts))


def _some(features: Features, random: np.random.Generator) -> Features:
    """Some of the examples."""
    number = min(len(features.labels), _POINTS)
    rows = np.sort(random.choice(len(features.labels), number, replace=False))
    return Features(np.asarray(features.representations)[rows], features.labels[rows], features.domains[rows])


def _grouped(places: np.ndarray, values: np.ndarray, first: str | None) -> list[Points]:
    """Points by value, the given one first; beyond five values the last group is of all others."""
    names = sorted(np.unique(values).tolist(), key=lambda name: (name != first, name))
    kept = names if len(names) <= _GROUPS else names[: _GROUPS - 1]
    groups = [Points(name, *places[values == name].T) for name in kept]
    if len(kept) < len(names):
        groups.append(Points("others", *places[~np.isin(values, kept)].T))
    return groups
