"""The section of the report on the network that is really trained."""

import numpy as np

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.report.galleries import gallery
from infotheory_dl.report import Html, Points, percent, signed

_SHOWN = 12


def trained_network(result: AuditResult) -> str:
    """The section; nothing where it was not asked for."""
    trained = result.trained
    if trained is None:
        return ""
    rows, n = trained.rows, len(result.examples.labels)
    drawn = "the audited examples" if len(rows) == n else f"{len(rows):,} of the {n:,} audited examples"
    text = (
        f"A small network was really trained on {drawn}, with the labels as given. The derivative of its training by"
        " the weight of an example tells how far its weights, and its outputs on held-out examples, would differ"
        " without it. Its units are smooth (GELU), where those of the audit's other small networks are ReLU: no"
        " derivative sees what happens at kinks."
    )
    measures = {
        "right on the held-out examples": percent(trained.accuracy),
        "rank correlation of the output change with minus the margin": signed(trained.margin_correlation),
        "rank correlation with the output change of the linearized network": signed(trained.linearized_correlation),
    }
    if (checked := trained.agreement) is not None:
        measures[f"rank correlation with really leaving out {len(checked.examples)} of them"] = signed(
            float(checked.output_change)
        )
    if trained.output_standard_error is not None:
        relative = np.median(trained.output_standard_error / trained.output_change)
        measures["standard error of an output change, median"] = percent(relative)
    contradicted = result.scores.margins[rows] < 0
    logarithm = np.log10(np.maximum(trained.output_change, np.finfo(np.float32).tiny))
    groups = [
        Points(label, result.scores.margins[rows][members], logarithm[members])
        for label, members in (("predicted", ~contradicted), ("contradicted", contradicted))
        if members.any()
    ]
    more, less = _most_different(result)
    return report.section(
        "The network that is really trained",
        report.paragraph(text),
        report.measures(measures),
        report.figures(_chart(groups)),
        report.subsection(
            "Where they differ most",
            report.paragraph("In the trained network they change more than the margin lets expect:"),
            gallery(result, rows[more], "trained"),
            report.paragraph("They change less:"),
            gallery(result, rows[less], "trained"),
        ),
    )


def _chart(groups: list[Points]) -> Html:
    return report.point_chart(
        groups,
        title="output change of the trained network, over the margin",
        x_label="margin, without the example",
        y_label="output change (logarithm)",
    )


def _most_different(result: AuditResult) -> tuple[np.ndarray, np.ndarray]:
    """The examples, by their places in `rows`, whose ranks by the trained network and by the margin differ most."""
    assert result.trained is not None
    ranks = lambda values: np.argsort(np.argsort(values))
    difference = ranks(result.trained.output_change) - ranks(-result.scores.margins[result.trained.rows])
    order = np.argsort(-difference, kind="stable")
    shown = min(_SHOWN, len(order) // 2)
    return order[:shown], order[::-1][:shown]
