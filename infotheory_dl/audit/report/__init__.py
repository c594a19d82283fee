"""The report of an audit: one HTML page that needs nothing beside it."""

from typing import Any

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.detection import of_audit
from infotheory_dl.audit.report import checks, domains, information, labels, networks
from infotheory_dl.audit.report.sentences import findings, smallest_sufficient
from infotheory_dl.report import count, percent

__all__ = ["findings", "render"]


def render(result: AuditResult, *, title: str, facts: dict[str, Any]) -> str:
    """Writes the page.

    Args:
      result: of `run`.
      title: name of the data set.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    return report.page(
        f"Audit of {title}",
        _header(result, title),
        labels.suspects(result),
        labels.detection(result),
        labels.robustness(result),
        checks.beyond_labels(result),
        information.extremes(result),
        information.distributions(result),
        information.earlier_times(result),
        networks.training(result),
        networks.generalization(result),
        networks.linearization(result),
        domains.unseen_domains(result),
        _settings(facts),
    )


def _header(result: AuditResult, title: str) -> str:
    examples, errors = result.examples, result.label_errors
    n, flips = len(examples.labels), int(examples.flipped.sum())
    scored_by = count(result.settings.num_networks, "random network", "random networks")
    scope = (
        f"{n} of {examples.available} examples in {len(examples.class_names)} classes, scored by the kernel of"
        f" {scored_by}. {len(examples.held_out_labels)} other examples serve to measure on."
    )
    if flips:
        scope += f" {percent(flips / n)} of the labels were flipped on purpose, to see whether the audit finds them."
    scope = " ".join([scope, *examples.notices])
    low, high = map(percent, errors.interval)
    rate = f"of the labels are wrong, by the audit's estimate: between {low} and {high}"
    figures = [(percent(errors.error_rate), rate) if errors.told else ("?", "labels are wrong: it cannot be told")]
    figures.append((str(int(errors.repaired.sum())), "labels to be repaired"))
    if result.detection:
        figures.append(
            (f"{of_audit(result.detection).average_precision:.3f}", "average precision in finding the flips")
        )
    if result.summarization:
        fraction, accuracy, whole = smallest_sufficient(result)
        text = f"of the examples suffice for {percent(accuracy)} accuracy; all give {percent(whole)}"
        figures.append((percent(fraction), text))
    return report.header(f"Audit of {title}", scope, figures, findings(result))


def _settings(facts: dict[str, Any]) -> str:
    note = report.sentence(
        "Beside this page: ",
        report.code("scores.csv"),
        " has a row for every example, ",
        report.code("config.json"),
        " the settings. The scores are those of Harutyunyan et al., “Estimating informativeness of samples with smooth"
        " unique information”, ICLR 2021.",
    )
    return report.section("Settings and versions", report.facts(facts), report.paragraph(note, kind="note"))
