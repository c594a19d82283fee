"""The page of an audit of numbers, and what it found in sentences."""

from typing import Any

import numpy as np
from jaxtyping import Int

from infotheory_dl import report
from infotheory_dl.audit.regression._run import RATE, RegressionAudit
from infotheory_dl.audit.regression.cards import review, target_order, verdict
from infotheory_dl.audit.regression.next_steps import next_steps
from infotheory_dl.audit.report.checks import (
    Shown,
    beyond,
    copies_part,
    leaks_part,
    order_part,
    outlying_part,
    sources_part,
    told,
)
from infotheory_dl.audit.report.galleries import writer
from infotheory_dl.audit.report.next_steps import Written
from infotheory_dl.report import Column, Html, Picture, Points, count, nats, percent, probability, signed, with_minus

_SHOWN, _EXTREMES = 48, 12
_POINTS = 1500
_FEATURES = 8


def _number(value: float) -> str:
    return with_minus(f"{value:.5g}")


def regression_findings(result: RegressionAudit) -> list[str]:
    """What an audit of numbers found, in sentences."""
    residuals, checks = result.residuals, result.checks
    outlying = int(residuals.is_outlying.sum())
    of_whom = "targets in line" if residuals.in_line else "targets"
    if residuals.told:
        sentences = [
            f"Networks trained without an example predict {percent(residuals.explained)} of the variance of the"
            f" {of_whom}; what is left has a standard deviation of {_number(residuals.error)}."
        ]
    else:
        better = "hardly better" if residuals.gain > 0 else "no better"
        sentences = [
            "These inputs tell nothing of the targets: networks trained without an example predict them"
            f" {better} than their mean does ({nats(residuals.gain)} nats). Usual causes: x and y are not in the same"
            " order, or features on scales of their own. Targets are held against little more than their own"
            " distribution."
        ]
    if residuals.crowded:
        sentences.append(
            "Half of the targets or more have one value: what the others vary by cannot be told, and no target is said"
            " to be out of line. If they are classes, audit them without --task regression, by audit.run."
        )
    elif outlying:
        sentences.append(
            f"{count(outlying, 'target is', 'targets are')} out of line; {percent(RATE)} of such findings are expected"
            " to be false where the tails of the others fall exponentially."
        )
    else:
        sentences.append("No target is out of line.")
    if result.detection:
        found, exchanged = result.detection[0], result.exchanged
        right = int((residuals.is_outlying & exchanged).sum())
        sentences.append(
            f"In truth {int(exchanged.sum())} targets were exchanged on purpose; {right} of them are among those out of"
            f" line. Their residuals rank them first with an average precision of {found.average_precision:.3f} (AUROC"
            f" {found.area_under_roc:.4f})."
        )
    order = (("inputs", checks.inputs), ("residuals", checks.residuals))
    return sentences + told(checks.copies, checks.leaks, checks.outlying, order, checks.sources, "targets")


def render(result: RegressionAudit, *, title: str, facts: dict[str, Any], written: Written) -> str:
    """Writes the page.

    Args:
      result: of `run_regression`.
      title: name of the data set.
      facts: what to list under settings and versions.
      written: what stands beside the page.

    Returns:
      HTML.
    """
    checks, examples = result.checks, result.examples
    shown = Shown(examples, [_number(value) for value in result.targets.tolist()], None, "targets")
    order = [("inputs, serial correlation", checks.inputs), ("residuals, serial correlation", checks.residuals)]
    return report.page(
        f"Audit of {title}",
        _header(result, title),
        next_steps(result, written),
        _suspects(result, written.decisions),
        _fit(result),
        _information(result),
        beyond(
            "Beyond the targets",
            copies_part(checks.copies, shown),
            leaks_part(checks.leaks, shown),
            outlying_part(checks.outlying, shown),
            order_part(order),
            sources_part(checks.sources, "mean absolute residual in units of the noise"),
        ),
        _computed_how(result, facts, written),
    )


def _header(result: RegressionAudit, title: str) -> str:
    examples, residuals = result.examples, result.residuals
    scope = f"{len(result.targets)} of {examples.available} examples with numbers to be predicted, compared by the"
    scope += f" {result.representation}."
    exchanged = int(result.exchanged.sum())
    if exchanged:
        scope += f" {exchanged} of the targets were exchanged on purpose, to see whether the audit finds them."
    figures = [
        (str(int(residuals.is_outlying.sum())), "targets out of line"),
        (percent(max(0.0, residuals.explained)), "of the variance is predicted without the example"),
        (_number(residuals.error), "standard deviation of what is left"),
    ]
    if result.detection:
        precision = result.detection[0].average_precision
        figures.append((f"{precision:.3f}", "average precision in finding the exchanged targets"))
    return report.header(
        f"Audit of {title}", " ".join([scope, *examples.notices]), figures, regression_findings(result)
    )


def _suspects(result: RegressionAudit, export: str) -> str:
    about = (
        "Each target is predicted by a network trained without its example. What it deviates by is in units of the"
        " noise, which the greatest deviations do not move, and of what the others leave open of this example. Out of"
        f" line are those beyond the tails of the others, {percent(RATE)} of them falsely. They are no part of the fit"
        " by which they are told. Beside each stands the example whose inputs are most like it, of those in line, with"
        " the features in which the two differ most. Look, and decide: what you decide is exported as a table, which"
        " the next audit reads."
    )
    members, rest = target_order(result)
    heading = f"Out of line ({len(members)})" if len(members) else "Out of line (none)"
    plain = report.joined(
        report.subsection(heading, _examples(result, members[:_SHOWN]) if len(members) else ""),
        report.details(f"the next {len(rest)}, not out of line", _examples(result, rest)),
    )
    return report.section("Suspected targets", report.paragraph(about), review(result, plain, export))


def _examples(result: RegressionAudit, members: Int[np.ndarray, " members"]) -> Html:
    examples, residuals = result.examples, result.residuals
    rows = members.tolist()
    called = [examples.names[i] for i in rows]
    if examples.feature_names is None:
        drawn = zip(rows, called, report.data_uris(examples.x[members]), strict=True)
        return report.gallery(
            Picture(
                uri,
                name=f"example {name}",
                label=f"{_number(result.targets[i])} → {_number(residuals.predictions[i])}",
                number=f"{signed(residuals.standardized[i])} sd",
                verdict=verdict(result, i),
            )
            for i, name, uri in drawn
        )
    columns = [
        Column("example", called),
        Column("target", result.targets[members].tolist(), _number),
        Column("predicted", residuals.predictions[members].tolist(), _number),
        Column("deviation, sd", residuals.standardized[members].tolist(), signed),
        Column("p", residuals.p_value[members].tolist(), probability),
        Column("information, nats", result.information[members].tolist(), "{:.2g}".format),
    ]
    if result.detection:
        columns.append(Column("", [(verdict(result, i) or ("",))[0] for i in rows]))
    for j, feature in enumerate(examples.feature_names[:_FEATURES]):
        columns.append(Column(feature, examples.x[members, j].tolist(), writer(examples, j, numbers=_number)))
    return report.table(columns)


def _fit(result: RegressionAudit) -> str:
    residuals, outlying = result.residuals, result.residuals.is_outlying
    rows = np.linspace(0, len(outlying) - 1, min(_POINTS, len(outlying))).astype(int)
    shown = np.union1d(rows, np.flatnonzero(outlying)[:_POINTS])
    groups = [
        Points(name, residuals.predictions[members], result.targets[members])
        for name, members in (("others", shown[~outlying[shown]]), ("out of line", shown[outlying[shown]]))
        if len(members)
    ]
    bars = {"others": residuals.standardized[~outlying], "out of line": residuals.standardized[outlying]}
    return report.section(
        "Targets and predictions",
        report.figures(
            report.point_chart(
                groups,
                title="Targets over their predictions by networks trained without the example",
                x_label="predicted",
                y_label="given",
                has_units=True,
            ),
            report.histogram(
                {name: values for name, values in bars.items() if len(values)},
                title="How many targets deviate how far",
                x_label="deviation, in standard deviations of the noise",
            ),
        ),
    )


def _information(result: RegressionAudit) -> str:
    order = np.argsort(-result.information)
    trusted = order[~result.residuals.is_outlying[order]]
    about = (
        "The information of an example in nats: half the mean squared change of the outputs when it is left out, over"
        f" the variance of the noise. The median is {_number(float(np.median(result.information)))}. Targets out of"
        " line stand above; here are the others."
    )
    return report.section(
        "Most and least informative",
        report.paragraph(about),
        report.subsection("Most informative", _examples(result, trusted[:_EXTREMES])),
        report.subsection("Least informative", _examples(result, trusted[::-1][:_EXTREMES])),
    )


def _computed_how(result: RegressionAudit, facts: dict[str, Any], written: Written) -> Html:
    """The last section, closed at first."""
    lines = [
        f"Examples are compared by the {result.representation}. The model that is linear in its weights is trained in"
        f" closed form to the end, with the weight decay {result.solution.weight_decay:.3g} on the mean loss: by"
        " default that of least leave-one-out error.",
        "Deviation: the target less its prediction by the fit to all other examples, times the root of one minus its"
        f" leverage, over the standard deviation of the noise, {_number(result.residuals.noise)}: by the median, so"
        " that great deviations do not move it, and no less than that of rounding to the steps between targets.",
        "Out of line: on either side the deviations beyond the third quartile are taken to fall exponentially. Targets"
        " out of line are replaced by their predictions and all is predicted anew, twice. At first, targets"
        " that are out of line of their own distribution are moved to the next that is not. Where half of the targets"
        " or more have one value none is out of line.",
        "What is predicted: over the targets in line, or over all where they gain more by it."
        f" Here {'in line' if result.residuals.in_line else 'all'}.",
        "Output change: the mean squared change of the outputs on the held-out examples when the example is left out."
        " Weight change: the squared change of the weights.",
    ]
    source = "The deviations are leave-one-out residuals (Allen, 1974); the information is by Harutyunyan et al., 2021."
    command = [report.paragraph("The command:"), report.block(written.command)] if written.command else []
    return report.section(
        "What is computed how",
        report.element("ul", *(report.element("li", line) for line in lines), class_="findings"),
        report.paragraph(source, kind="note"),
        *command,
        report.subsection("Settings and versions", report.facts(facts)),
        folded=True,
    )
