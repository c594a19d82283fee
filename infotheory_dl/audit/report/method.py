"""The last section of the report: what is computed how, by which command, settings and versions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.report.next_steps import Written
from infotheory_dl.audit.report.sentences import scored_by
from infotheory_dl.report import Html, percent, signed


def computed_how(result: AuditResult, facts: Mapping[str, Any], written: Written) -> Html:
    """The section, closed at first."""
    lines = [report.element("li", sentence) for sentence in _definitions(result)]
    command = [report.paragraph("The command:"), report.block(written.command)] if written.command else []
    source = (
        "The scores are those of Harutyunyan et al., “Estimating informativeness of samples with smooth unique"
        " information”, ICLR 2021. The margins are leave-one-out residuals (Allen, 1974)."
    )
    return report.section(
        "What is computed how",
        report.element("ul", *lines, class_="findings"),
        report.paragraph(source, kind="note"),
        *command,
        report.subsection("Settings and versions", report.facts(facts)),
        folded=True,
    )


def _definitions(result: AuditResult) -> list[str]:
    errors, settings = result.label_errors, result.settings
    moment = "the end of training" if np.isinf(settings.time) else f"step {settings.time:g} of training"
    told = [
        f"Examples are compared by {scored_by(result)}. The model that is linear in its weights is trained in closed"
        f" form to {moment}, with the weight decay {result.weight_decay:.3g} on the mean loss. By default that is the"
        " one with the least leave-one-out error.",
        "Margin: what a network trained without the example predicts for its label, less the largest prediction for"
        " another class. The suggested class is the one with the largest prediction.",
        "Output change: the mean squared change of the outputs on the held-out examples when the example is left out."
        " Weight change: the squared change of the weights.",
    ]
    if not errors.told:
        return told
    told.append(
        "Probability of an error, by a model fitted to the labels as given: the true class has the probabilities"
        f" softmax({errors.sharpness:.1f} × prediction + bias), and {percent(errors.error_rate)} of the labels are"
        " replaced by another. The interval of the rate has 95\u00a0% confidence."
    )
    if np.isfinite(errors.threshold):
        told.append(
            f"Repairs: margins below {signed(errors.threshold)}, the highest threshold at which"
            f" {percent(settings.precision)} of the suggested labels are expected to be right, at the lowest rate of"
            " wrong labels that the labels allow; of those the labels whose suggestion is more likely right than not."
        )
    told.append(
        "Beside a suspect stand the examples of both classes that are nearest to it, by the inputs as the networks see"
        " them, of those whose label is not contradicted. Of a table the features are shown that speak most for the"
        " suggested one: nearer to its example than to the other."
    )
    return told
