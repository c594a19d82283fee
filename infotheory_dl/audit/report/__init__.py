"""The report of an audit: one HTML page that needs nothing beside it."""

from typing import Any

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.detection import of_audit
from infotheory_dl.audit.report import checks, classes, domains, information, labels, networks, predictions, trained
from infotheory_dl.audit.report.method import computed_how
from infotheory_dl.audit.report.next_steps import Written, next_steps, worst
from infotheory_dl.audit.report.sentences import findings, scored_by, smallest_sufficient
from infotheory_dl.report import percent

__all__ = ["Written", "findings", "render", "worst"]

_NOTHING_TOLD = Written()


def render(result: AuditResult, *, title: str, facts: dict[str, Any], written: Written = _NOTHING_TOLD) -> str:
    """Writes the page.

    Args:
      result: of `run`.
      title: name of the data set.
      facts: what to list under settings and versions.
      written: what stands beside the page.

    Returns:
      HTML.
    """
    return report.page(
        f"Audit of {title}",
        _header(result, title),
        next_steps(result, written),
        labels.suspects(result, written.decisions),
        classes.overview(result),
        labels.detection(result),
        labels.robustness(result),
        predictions.given_predictions(result),
        checks.beyond_labels(result),
        information.extremes(result),
        information.distributions(result),
        information.earlier_times(result),
        trained.trained_network(result),
        networks.training(result),
        networks.generalization(result),
        networks.linearization(result),
        domains.unseen_domains(result),
        computed_how(result, facts, written),
    )


def _header(result: AuditResult, title: str) -> str:
    examples, errors = result.examples, result.label_errors
    n, flips = len(examples.labels), int(examples.flipped.sum())
    measured = len(examples.held_out_labels)
    scope = (
        f"{n:,} of {examples.available:,} examples in {len(examples.class_names)} classes, scored by"
        f" {scored_by(result)}. "
    )
    if len(examples.measured):
        scope += f"{measured:,} of them, which no trained network sees, serve to measure on."
    else:
        scope += f"{measured:,} other examples serve to measure on."
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
    found = smallest_sufficient(result) if result.summarization else None
    if found is not None:
        most, random, whole = map(percent, (found.most, found.random, found.whole))
        text = f"of the examples suffice, drawn at random, for {random} accuracy; all give {whole}"
        if found.chosen:
            text = (
                f"of the examples, the most informative, suffice for {most} accuracy; random ones {random}, all {whole}"
            )
        figures.append((percent(found.fraction), text))
    return report.header(f"Audit of {title}", scope, figures, findings(result))
