"""The domains of the data, each as one that a model has not seen."""

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.domain_generalization.page import overview
from infotheory_dl.domain_generalization.report import findings


def unseen_domains(result: AuditResult) -> str:
    """What goes wrong in each domain when it is not trained on; nothing where the data have no domains."""
    if result.domains is None:
        return ""
    found = [sentence for name, diagnosis in result.domains for sentence in findings(diagnosis, unseen=name)]
    note = (
        "The model is a logistic regression on the features of the other domains. infotheory-dl domains tells more, and"
        " takes the representations and predictions of your own."
    )
    return report.joined(
        overview(list(result.domains)),
        report.element("ul", *(report.element("li", sentence) for sentence in found), class_="findings"),
        report.paragraph(note, kind="note"),
    )
