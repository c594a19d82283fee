"""Sections of the report on what was looked for besides wrong labels: copies, outlying examples, order, sources."""

import numpy as np
from jaxtyping import Int

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.checks import Copies
from infotheory_dl.audit.checks.copies import LEVEL
from infotheory_dl.audit.checks.order import OrderEffect
from infotheory_dl.audit.checks.outlying import RATE
from infotheory_dl.report import Column, Html, Picture, count, known, percent

_SHOWN = 24
_CLASSES_SHOWN = 100
_NOTABLE = 0.05
_SMALL_CLASS = 10


def sentences(result: AuditResult) -> list[str]:
    """What was found besides wrong labels; nothing on what was not."""
    checks, told = result.checks, []
    copies, leaks = checks.copies, checks.leaks
    if len(copies.first):
        told.append(
            f"{count(len(copies.first), 'pair of examples is', 'pairs of examples are')} the same or nearly,"
            f" {int(copies.same.sum())} to the last digit, {int(copies.across.sum())} with two different labels."
        )
    if leaks is not None and len(leaks.first):
        share = percent(len(leaks.first) / leaks.looked_at)
        told.append(
            f"{len(leaks.first)} of the {leaks.looked_at} held-out examples ({share}) are copies of audited ones, or"
            " nearly: what is measured on them is too good."
        )
    outlying = int(checks.outlying.is_outlying.sum())
    if outlying:
        told.append(
            f"{count(outlying, 'example is', 'examples are')} unlike all others; {percent(RATE)} of such findings are"
            " expected to be false."
        )
    for effect, what in ((checks.order.inputs, "inputs"), (checks.order.margins, "doubts about labels")):
        if effect.p_value <= _NOTABLE:
            told.append(
                f"Examples that follow one another are alike in their {what} within the classes"
                f" (p = {effect.p_value:.2g}): they are no independent draws. Part them by their origin before you"
                " train on some and measure on others."
            )
            break
    sources = checks.sources
    if sources is not None:
        worse = np.flatnonzero((sources.q_value <= _NOTABLE) & (sources.contradicted > sources.expected))
        if len(worse):
            names = ", ".join(sources.names[place] for place in worse[:5].tolist())
            told.append(f"Labels are contradicted more often than elsewhere where {sources.column} is {names}.")
    return told


def beyond_labels(result: AuditResult) -> str:
    """The section."""
    return report.section(
        "Beyond the labels",
        report.paragraph(
            "What else may be wrong with the data. Each finding has the number of false alarms that chance makes of it."
        ),
        _copies(result),
        _leaks(result),
        _outlying(result),
        _order(result),
        _sources(result),
        _classes(result),
    )


def _copies(result: AuditResult) -> str:
    copies, names = result.checks.copies, result.examples.class_names
    about = (
        "Pairs that are nearer to each other than independent draws of a smooth density are, by the gaps between the"
        f" distances of an example to its nearest neighbours. Where there is none, one is found in {percent(LEVEL)} of"
        " such data sets."
    )
    if copies.by_chance or result.examples.feature_names is not None:
        about += (
            " With the columns shuffled within the classes the same rule finds"
            f" {count(copies.by_chance, 'copy', 'copies')} by chance; rows of few values are told only where these are"
            " few."
        )
    if not len(copies.first):
        return report.subsection("Copies (none)", report.paragraph(about))
    called = result.examples.names
    order = np.lexsort((copies.p_value, ~copies.across))[:_SHOWN]
    label = lambda places: [names[code] for code in result.examples.labels[places].tolist()]
    table = _table_of_pairs(copies, order, [called[i] for i in copies.first[order]], label(copies.first[order]), result)
    shown = "" if len(order) == len(copies.first) else f" Here are {len(order)} of them, different labels first."
    return report.subsection(
        f"Copies ({count(len(copies.first), 'pair', 'pairs')}, {int(copies.across.sum())} with different labels)",
        report.paragraph(about + shown),
        table,
    )


def _leaks(result: AuditResult) -> str:
    leaks = result.checks.leaks
    if leaks is None:
        return ""
    about = f"Held-out examples that are copies of audited ones, by the same rule, among {leaks.looked_at}."
    if not len(leaks.first):
        return report.subsection("Copies among the held-out examples (none)", report.paragraph(about))
    order = np.lexsort((leaks.p_value, ~leaks.across))[:_SHOWN]
    names, first = result.examples.class_names, leaks.first[order]
    labels = [names[code] for code in result.examples.held_out_labels[first].tolist()]
    return report.subsection(
        f"Copies among the held-out examples ({len(leaks.first)})",
        report.paragraph(about),
        _table_of_pairs(leaks, order, [f"held-out {place}" for place in first.tolist()], labels, result),
    )


def _table_of_pairs(
    copies: Copies, order: Int[np.ndarray, " shown"], called: list[str], labels: list[str], result: AuditResult
) -> Html:
    second = copies.second[order]
    of_second = result.examples.labels[second].tolist()
    return report.table(
        [
            Column("example", called),
            Column("label", labels),
            Column("copy of", [result.examples.names[i] for i in second.tolist()]),
            Column("its label", [result.examples.class_names[code] for code in of_second]),
            Column("distance", copies.distance[order].tolist(), "{:.3g}".format),
            Column("p", copies.p_value[order].tolist(), "{:.1g}".format),
        ]
    )


def _outlying(result: AuditResult) -> str:
    found, examples = result.checks.outlying, result.examples
    about = (
        "Examples that the others tell nothing of: by their leverage in the audit's model, where it stands out of a"
        f" tail that falls like a power. Of such findings {percent(RATE)} are expected to be false."
    )
    members = np.flatnonzero(found.is_outlying)
    members = members[np.argsort(found.p_value[members])]
    if not len(members):
        return report.subsection("Outlying examples (none)", report.paragraph(about))
    shown = members[:_SHOWN].tolist()
    called = [examples.names[i] for i in shown]
    labels = [examples.class_names[code] for code in examples.labels[shown].tolist()]
    leverage = found.leverage[shown].tolist()
    if examples.feature_names is not None:
        drawn = report.table(
            [
                Column("example", called),
                Column("label", labels),
                Column("leverage", leverage, "{:.3f}".format),
                Column("p", found.p_value[shown].tolist(), "{:.1g}".format),
            ]
        )
    else:
        rows = zip(report.data_uris(examples.x[shown]), called, labels, leverage, strict=True)
        drawn = report.gallery(
            Picture(uri, name=f"example {name}", label=label, number=f"leverage {value:.3f}", verdict=None)
            for uri, name, label, value in rows
        )
    return report.subsection(f"Outlying examples ({len(members)})", report.paragraph(about), drawn)


def _order(result: AuditResult) -> str:
    order = result.checks.order
    rows: list[tuple[str, OrderEffect]] = [
        ("have the label of the one before", order.labels),
        ("inputs, serial correlation within the classes", order.inputs),
        ("margins, serial correlation within the classes", order.margins),
    ]
    about = (
        "Whether examples that follow one another in the data have more in common than in 199 random orders. Labels in"
        " order are harmless if you shuffle; inputs or margins that go together within a class come of frames of one"
        " video, visits of one patient, a batch of one annotator: a random split then leaks."
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


def _sources(result: AuditResult) -> str:
    sources = result.checks.sources
    if sources is None:
        return ""
    about = (
        f"Contradicted labels by {sources.column}, beside what they would be if the labels of a class were alike"
        " everywhere. Of the sources with q below 5 % one in twenty is expected to be false."
    )
    table = report.table(
        [
            Column(sources.column, list(sources.names)),
            Column("examples", sources.sizes.tolist()),
            Column("contradicted", sources.contradicted.tolist(), percent),
            Column("expected", sources.expected.tolist(), percent),
            Column("p", sources.p_value.tolist(), "{:.3f}".format),
            Column("q", sources.q_value.tolist(), "{:.3f}".format),
        ]
    )
    return report.subsection("Sources", report.paragraph(about), table)


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
        " Suspected are labels that are wrong with a probability above one half; of these so many are expected to be"
        " right."
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
