"""Sections of the report on what was looked for besides wrong labels: copies, outlying examples, order, sources."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.checks import Copies, Outlying, Sources
from infotheory_dl.audit.checks.copies import LEVEL
from infotheory_dl.audit.checks.order import OrderEffect, most_alike
from infotheory_dl.audit.checks.outlying import RATE
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.unseen_sources import UnseenSources
from infotheory_dl.report import Column, Html, Picture, count, known, percent, probability

_SHOWN = 24
_CLASSES_SHOWN = 100
_NOTABLE = 0.05
_SMALL_CLASS = 10


class Shown(NamedTuple):
    """How examples are shown.

    Attributes:
      examples: that are audited.
      labels: of each, as text.
      held_out_labels: of those held out, as text; None where they are not shown.
      what: "labels", or what they are called.
    """

    examples: Examples
    labels: Sequence[str]
    held_out_labels: Sequence[str] | None
    what: str


def sentences(result: AuditResult) -> list[str]:
    """What was found besides wrong labels; nothing on what was not."""
    checks = result.checks
    order = (("inputs", checks.order.inputs), ("doubts about labels", checks.order.margins))
    return told(checks.copies, checks.leaks, checks.outlying, order, checks.sources, "labels")


def told(
    copies: Copies,
    leaks: Copies | None,
    outlying: Outlying,
    order: Sequence[tuple[str, OrderEffect]],
    sources: Sources | None,
    what: str,
) -> list[str]:
    """What was found, in sentences; `order` by what successive examples may have in common."""
    found = []
    if len(copies.first):
        found.append(
            f"{count(len(copies.first), 'pair of examples is', 'pairs of examples are')} the same or nearly,"
            f" {int(copies.same.sum())} to the last digit, {int(copies.across.sum())} with two different {what}."
        )
    if leaks is not None and len(leaks.first):
        share = percent(len(leaks.first) / leaks.looked_at)
        found.append(
            f"{len(leaks.first)} of the {leaks.looked_at} held-out examples ({share}) are copies of audited ones, or"
            " nearly: what is measured on them is too good."
        )
    unlike = int(outlying.is_outlying.sum())
    if unlike:
        found.append(
            f"{count(unlike, 'example is', 'examples are')} unlike all others; {percent(RATE)} of such findings are"
            " expected to be false."
        )
    common, p_value = most_alike(order)
    if p_value <= _NOTABLE:
        found.append(
            f"Examples that follow one another are more alike in their {common} than in random orders (p ="
            f" {p_value:.2g}): perhaps they are no independent draws. If so, part them by their origin before you train"
            " on some and measure on others."
        )
    if sources is not None:
        worse = np.flatnonzero(sources.q_value <= _NOTABLE)
        if len(worse):
            names = ", ".join(sources.names[place] for place in worse[:5].tolist())
            found.append(f"The {what} are more in doubt than elsewhere where {sources.column} is {names}.")
    return found


def beyond_labels(result: AuditResult) -> str:
    """The section."""
    checks, examples = result.checks, result.examples
    names = examples.class_names
    shown = Shown(
        examples,
        [names[code] for code in examples.labels.tolist()],
        [names[code] for code in examples.held_out_labels.tolist()],
        "labels",
    )
    order = [
        ("have the label of the one before", checks.order.labels),
        ("inputs, serial correlation within the classes", checks.order.inputs),
        ("margins, serial correlation within the classes", checks.order.margins),
    ]
    return beyond(
        "Beyond the labels",
        copies_part(checks.copies, shown),
        leaks_part(checks.leaks, shown),
        outlying_part(checks.outlying, shown),
        order_part(order),
        sources_part(checks.sources, "share of contradicted labels"),
        _unseen_sources(result.unseen_sources),
        _classes(result),
    )


def beyond(title: str, *parts: str) -> str:
    """The section of these parts."""
    return report.section(
        title,
        report.paragraph(
            "What else may be wrong with the data. Each finding has the number of false alarms that chance makes of it."
        ),
        *parts,
    )


def copies_part(copies: Copies, shown: Shown) -> str:
    """Pairs of audited examples."""
    about = (
        "Pairs that are nearer to each other than independent draws of a smooth density are, by the gaps between the"
        f" distances of an example to its nearest neighbours. Where there is none, one is found in {percent(LEVEL)} of"
        " such data sets."
    )
    if shown.examples.feature_names is not None:
        about += (
            f" With its columns shuffled the same rule finds {count(copies.by_chance, 'copy', 'copies')} by chance;"
            " rows of few values are told only where these are few."
        )
    if not len(copies.first):
        return report.subsection("Copies (none)", report.paragraph(about))
    order = np.lexsort((copies.p_value, ~copies.across))[:_SHOWN]
    if len(order) < len(copies.first):
        about += f" Here are {len(order)} of them, different {shown.what} first."
    first = copies.first[order].tolist()
    return report.subsection(
        f"Copies ({count(len(copies.first), 'pair', 'pairs')}, {int(copies.across.sum())} with different {shown.what})",
        report.paragraph(about),
        _pairs(copies, order, [shown.examples.names[i] for i in first], [shown.labels[i] for i in first], shown),
    )


def leaks_part(leaks: Copies | None, shown: Shown) -> str:
    """Pairs of a held-out example and an audited one."""
    if leaks is None:
        return ""
    about = f"Held-out examples that are copies of audited ones, by the same rule, among {leaks.looked_at}."
    if not len(leaks.first):
        return report.subsection("Copies among the held-out examples (none)", report.paragraph(about))
    order = np.lexsort((leaks.p_value, ~leaks.across))[:_SHOWN]
    first = leaks.first[order].tolist()
    labels = None if shown.held_out_labels is None else [shown.held_out_labels[i] for i in first]
    return report.subsection(
        f"Copies among the held-out examples ({len(leaks.first)})",
        report.paragraph(about),
        _pairs(leaks, order, [f"held-out {place}" for place in first], labels, shown),
    )


def _pairs(
    copies: Copies, order: Int[np.ndarray, " shown"], called: list[str], labels: list[str] | None, shown: Shown
) -> Html:
    second = copies.second[order].tolist()
    return report.table(
        [
            Column("example", called),
            *([] if labels is None else [Column("label", labels)]),
            Column("copy of", [shown.examples.names[i] for i in second]),
            Column("its label", [shown.labels[i] for i in second]),
            Column("distance", copies.distance[order].tolist(), "{:.3g}".format),
            Column("p", copies.p_value[order].tolist(), probability),
        ]
    )


def outlying_part(found: Outlying, shown: Shown) -> str:
    """Examples that are unlike all others."""
    about = (
        "Examples that the others tell nothing of: by their leverage in the audit's model, where it stands out of a"
        f" tail that falls like a power. Of such findings {percent(RATE)} are expected to be false."
    )
    members = np.flatnonzero(found.is_outlying)
    if not len(members):
        return report.subsection("Outlying examples (none)", report.paragraph(about))
    first = members[np.argsort(found.p_value[members])][:_SHOWN].tolist()
    examples = shown.examples
    called, labels = [examples.names[i] for i in first], [shown.labels[i] for i in first]
    leverage = found.leverage[first].tolist()
    if examples.feature_names is not None:
        drawn = report.table(
            [
                Column("example", called),
                Column("label", labels),
                Column("leverage", leverage, "{:.3f}".format),
                Column("p", found.p_value[first].tolist(), probability),
            ]
        )
    else:
        rows = zip(report.data_uris(examples.x[first]), called, labels, leverage, strict=True)
        drawn = report.gallery(
            Picture(uri, name=f"example {name}", label=label, number=f"leverage {value:.3f}")
            for uri, name, label, value in rows
        )
    return report.subsection(f"Outlying examples ({len(members)})", report.paragraph(about), drawn)


def order_part(rows: Sequence[tuple[str, OrderEffect]]) -> str:
    """What successive examples have in common."""
    about = (
        "Whether examples that follow one another in the data have more in common than in 199 random orders. Labels in"
        " order are harmless if you shuffle; inputs or doubts that go together come of frames of one video, visits of"
        " one patient, a batch of one annotator: a random split then leaks."
    )
    table = report.table(
        [
            Column("", [name for name, _ in rows]),
            Column("here", [effect.observed for _, effect in rows], "{:.4f}".format),
            Column("in random order", [effect.expected for _, effect in rows], "{:.4f}".format),
            Column("p", [effect.p_value for _, effect in rows], "{:.3f}".format),
        ]
    )
    return report.subsection("Does the order tell anything?", report.paragraph(about), table)


def sources_part(sources: Sources | None, doubt: str) -> str:
    """How the sources differ; `doubt` says by what."""
    if sources is None:
        return ""
    about = (
        f"By {sources.column}, the {doubt}, beside what it would be if the labels of a class were alike everywhere. Of"
        " the sources with q below 5 % one in twenty is expected to be false."
    )
    table = report.table(
        [
            Column(sources.column, list(sources.names)),
            Column("examples", sources.sizes.tolist()),
            Column("in doubt", sources.doubt.tolist(), "{:.3f}".format),
            Column("expected", sources.expected.tolist(), "{:.3f}".format),
            Column("p", sources.p_value.tolist(), "{:.3f}".format),
            Column("q", sources.q_value.tolist(), "{:.3f}".format),
        ]
    )
    return report.subsection("Sources", report.paragraph(about), table)


def _unseen_sources(found: UnseenSources | None) -> str:
    if found is None:
        return ""
    about = (
        f"What is predicted right of each {found.column} where each of its examples alone is left out, and where all of"
        " them are: where that is much less, the others do not tell what is right here. The change without it is that"
        " of the outputs for all other examples, root mean square."
    )
    table = report.table(
        [
            Column(found.column, list(found.names)),
            Column("examples", found.sizes.tolist()),
            Column("right", found.right.tolist(), percent),
            Column("right, unseen", found.unseen.tolist(), percent),
            Column("change without it", np.sqrt(found.output_change).tolist(), "{:.4f}".format),
        ]
    )
    return report.subsection("Sources left out", report.paragraph(about), table)


def _classes(result: AuditResult) -> str:
    classes, names = result.checks.classes, result.examples.class_names
    small = int(((classes.sizes > 0) & (classes.sizes < _SMALL_CLASS)).sum())
    about = (
        f"The largest class has {classes.imbalance:.3g} times the examples of the smallest; in their uncertainty they"
        f" are like {classes.effective:.3g} classes of equal sizes."
    )
    if small:
        about += f" {count(small, 'class has', 'classes have')} fewer than {_SMALL_CLASS} examples: hardly to be told."
    about += (
        " Behind ± stand two standard errors of the share that is wrong. Suspected are labels that are wrong with a"
        " probability above one half; of these so many are expected to be right."
    )
    suspected = classes.suspected.copy()
    np.fill_diagonal(suspected, 0)
    taken_for = [names[j] if suspected[i, j] else "" for i, j in enumerate(suspected.argmax(1).tolist())]
    order = np.argsort(-np.nan_to_num(classes.wrong), kind="stable")[:_CLASSES_SHOWN]
    of = lambda values: [values[i] for i in order.tolist()]
    table = report.table(
        [
            Column("class", of(names)),
            Column("examples", of(classes.sizes.tolist())),
            Column("wrong", of(classes.wrong.tolist()), lambda share: known(share, percent)),
            Column("±", of((2 * classes.error).tolist()), lambda share: known(share, percent)),
            Column("suspected", of(suspected.sum(1).tolist())),
            Column("of these right", of(classes.false_alarms.tolist()), "{:.1f}".format),
            Column("mostly taken for", of(taken_for)),
        ]
    )
    return report.subsection("Classes and their rates", report.paragraph(about), table)
