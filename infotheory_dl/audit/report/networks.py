"""Sections of the report on networks: what can be left out, whether they generalize, whether they are linear."""

from infotheory_dl import report
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit.generalization import Generalization
from infotheory_dl.audit.report.galleries import gallery
from infotheory_dl.report import Column, Line, count, percent

_MEMORISED_SHOWN = 16


def training(result: AuditResult) -> str:
    summary, repair = result.summarization, result.repair
    if summary is None or repair is None:
        return ""
    named = (("most informative", summary.most), ("random", summary.random), ("least informative", summary.least))
    lines = [Line(name, summary.fractions, values.mean(1), values.min(1), values.max(1)) for name, values in named]
    drawing = report.line_chart(
        lines, title="accuracy by kept share", x_label="share kept", y_label="held-out accuracy", percent=True
    )
    kinds = [("labels as given", repair.given), ("labels repaired", repair.repaired)]
    kinds += [("examples to be repaired dropped", repair.dropped)]
    kinds += [] if repair.true is None else [("labels before the flips", repair.true)]
    seeds = count(result.settings.seeds, "training", "trainings")
    text = (
        "Networks were trained on parts of the examples, with the repaired labels and as many steps for every part. The"
        " most informative examples are found in rounds: the least informative twentieth leaves, the others are scored"
        " again. To keep the least informative is to drop the top."
        f" Each point is the mean of {seeds}, the band their range."
    )
    names, accuracies = zip(*kinds, strict=True)
    ranges = [f"{percent(values.min())} to {percent(values.max())}" for values in accuracies]
    table = report.table(
        [
            Column("trained with", names),
            Column("held-out accuracy", [values.mean() for values in accuracies], percent),
            Column("range", ranges, right=True),
        ],
        sort=False,
    )
    return report.section(
        "What can be left out",
        report.paragraph(text),
        report.figures(drawing),
        report.subsection(
            "What repairs are worth", report.paragraph("The same networks, trained on all examples."), table
        ),
    )


def generalization(result: AuditResult) -> str:
    found = result.generalization
    if found is None:
        return ""
    n, runs = found.train_size, found.runs
    supersamples = count(len(found.entries), "set", "sets")
    text = (
        "How far does the error on what a network was trained on speak for other examples? The audited examples were"
        f" put at random into {supersamples} of {n} pairs. On each, {runs} runs of the linearized network were computed"
        " in closed form, each trained on one example of every pair, chosen by coins. An error is a label as given that"
        " the network does not predict. If the two predictions for a pair hold the information I about which one was"
        " trained on, the mean of √(2 I) over the pairs bounds the gap between the errors."
    )
    note = (
        f"The bound is an estimate, for the linearized network trained on {n} examples, not for a network trained on"
        f" all. From {runs} runs it comes out too large: the information of a pair whose predictions take r values by"
        f" about (r − 1) / {2 * runs} nats."
    )
    several = len(found.entries) > 1
    note += " ± is the spread over the sets." if several else ""
    rows = [
        (f"error on the {n} examples that were trained on", found.training_error),
        ("error on the others of the pairs", found.ghost_error),
        ("gap", found.gap),
        ("bound on the gap", found.bound),
        ("the bound less its bias, to first order", found.corrected),
    ]
    written = lambda values: percent(values.mean()) + (f" ± {percent(values.std())}" if several else "")
    return report.section(
        "Does it generalize?",
        report.paragraph(text),
        report.measures({name: written(values) for name, values in rows}),
        report.paragraph(note, kind="note"),
        _most_memorised(result, found),
    )


def _most_memorised(result: AuditResult, found: Generalization) -> str:
    memorised = found.most_memorised(_MEMORISED_SHOWN)
    if not len(memorised):
        return ""
    contradicted = int((result.scores.margins[memorised] < 0).sum())
    about = (
        "The pairs with the most information, and of each the example whose own prediction has more of it. With ln 2 ="
        " 0.69 nats the predictions always tell which one was trained on: it is learned by heart. Of these"
        f" {len(memorised)} examples {contradicted} have a contradicted label."
    )
    return report.subsection("Most memorised", report.paragraph(about), gallery(result, memorised, "memorised"))


def linearization(result: AuditResult) -> str:
    quality = result.linearization
    if quality is None:
        return ""
    text = (
        "One of the networks was trained by gradient descent to tell one class from the others, and its linearization"
        " by the same steps. On held-out examples:"
    )
    measures = {
        "correlation of the outputs": f"{float(quality.correlation):.4f}",
        "relative difference of the outputs": f"{float(quality.relative_error):.2g}",
        "distance of the weights, relative to their norm": f"{float(quality.weight_distance):.2g}",
        "alignment of the kernel before and after": f"{float(quality.kernel_alignment):.4f}",
    }
    return report.section("Does the linearization hold?", report.paragraph(text), report.measures(measures))
