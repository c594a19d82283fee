"""The report of an audit: one HTML page that needs nothing beside it."""

from html import escape
from typing import Any

import numpy as np

from infotheory_dl.audit._format import count, known, percent, signed
from infotheory_dl.audit._run import AuditResult
from infotheory_dl.audit._style import STYLE
from infotheory_dl.audit.charts import Line, Row, distribution_chart, line_chart
from infotheory_dl.audit.galleries import Gallery, gallery, ranked
from infotheory_dl.audit.robustness import COMPARED_METHODS, Robustness, coverage
from infotheory_dl.metrics import spearman_correlation

_EXTREMES_SHOWN = 16
_MEMORISED_SHOWN = 16
_CLASSES_SHOWN = 30
_TOLERATED_LOSS = 0.01


def render(result: AuditResult, *, title: str, facts: dict[str, Any]) -> str:
    """Writes the page.

    Args:
      result: of `run`.
      title: name of the data set.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    sections = [
        _header(result, title),
        _suspects(result),
        _detection(result),
        _robustness(result),
        _extremes(result),
        _distributions(result),
        _sweep(result),
        _training(result),
        _generalization(result),
        _linearization(result),
        _settings(result, facts),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Audit of {escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + "\n</main>\n</body>\n</html>\n"
    )


def findings(result: AuditResult) -> list[str]:
    """What the audit found, in sentences."""
    examples, errors = result.examples, result.label_errors
    n, flips = len(examples.labels), int(examples.flipped.sum())
    sentences = [f"By the audit's own estimate {percent(errors.error_rate)} of the labels are wrong."]
    if flips:
        sentences[0] += f" In truth {flips} of {n} ({percent(flips / n)}) were flipped on purpose, unknown to it."
    contradicted, repairs = int((result.scores.margins < 0).sum()), int(errors.repaired.sum())
    if repairs:
        sentence = (
            f"{count(contradicted, 'label is', 'labels are')} contradicted by the network trained without the example,"
            f" {repairs} clearly enough for a repair. Of the repairs {percent(errors.expected_precision)} are expected"
            " to be right"
        )
        if flips:
            right = errors.suggested == examples.true_labels
            sentence += (
                f"; {percent(right[errors.repaired].mean())} are, and"
                f" {percent((errors.repaired & right)[examples.flipped].mean())} of the flipped labels come right"
            )
        sentences.append(sentence + ".")
    else:
        sentences.append(
            f"{count(contradicted, 'label is', 'labels are')} contradicted by the network trained without the example,"
            f" none clearly enough for a repair that is right in {percent(result.settings.precision)} of the cases."
        )
    if result.detection:
        ours = result.detection[0]
        best = max(result.detection[3:], key=lambda found: found.average_precision)
        sentences.append(
            f"The margin ranks the flipped labels first with an average precision of {ours.average_precision:.3f}"
            f" (AUROC {ours.area_under_roc:.4f}); the best of the others, {best.method}, with"
            f" {best.average_precision:.3f} ({best.area_under_roc:.4f})."
        )
    if result.repair and repairs:
        sentences.append(
            f"A network trained with the repaired labels is right on {percent(result.repair.repaired.mean())} of the"
            f" {len(examples.held_out_labels)} held-out examples, against {percent(result.repair.given.mean())} with"
            " the labels as given."
        )
    if result.summarization:
        fraction, accuracy, whole = _smallest_sufficient(result)
        if fraction < 1:
            sentences.append(
                f"The {round(fraction * n)} most informative examples ({percent(fraction)}) suffice: a network trained"
                f" on them is right on {percent(accuracy)} of the held-out examples, one trained on all of them on"
                f" {percent(whole)}."
            )
        else:
            sentences.append("No part of the examples that was tried can be left out without a loss of accuracy.")
    if result.robustness:
        robust = result.robustness
        counts = (found.sum(1).tolist() for found in (robust.candidates, robust.candidates & robust.suspected))
        plain, limit, _ = zip(map(percent, robust.accuracy), *counts, strict=True)
        sentences.append(
            f"With the labels as given, a network trained by LIMIT is right on {limit[0]} of the held-out examples, one"
            f" trained plainly on {plain[0]}. The one takes {count(limit[1], 'label', 'labels')} to be wrong,"
            f" {limit[2]} of them with the audit; the other {plain[1]}, {plain[2]} with it."
        )
    if result.generalization:
        found = result.generalization
        shares = found.training_error, found.ghost_error, found.gap, found.bound
        training, ghost, gap, bound = (percent(share.mean()) for share in shares)
        sentences.append(
            f"Trained on {found.train_size} of the examples, the linearized network errs on {training} of them and on"
            f" {ghost} of others, by the labels as given: a gap of {gap}. The information in its predictions bounds the"
            f" gap by {bound}, by an estimate from {found.runs} runs without training."
        )
    return sentences


def _header(result: AuditResult, title: str) -> str:
    examples, errors = result.examples, result.label_errors
    n, flips = len(examples.labels), int(examples.flipped.sum())
    networks = count(result.settings.num_networks, "random network", "random networks")
    scope = (
        f"{n} of {examples.available} examples in {len(examples.class_names)} classes, scored by the kernel of"
        f" {networks}. {len(examples.held_out_labels)} other examples serve to measure on."
    )
    if flips:
        scope += f" {percent(flips / n)} of the labels were flipped on purpose, to see whether the audit finds them."
    scope = " ".join([scope, *examples.notices])
    figures = [(percent(errors.error_rate), "of the labels are wrong, by the audit's estimate")]
    figures.append((str(int(errors.repaired.sum())), "labels to be repaired"))
    if result.detection:
        figures.append((f"{result.detection[0].average_precision:.3f}", "average precision in finding the flips"))
    if result.summarization:
        fraction, accuracy, whole = _smallest_sufficient(result)
        text = f"of the examples suffice for {percent(accuracy)} accuracy; all give {percent(whole)}"
        figures.append((percent(fraction), text))
    cards = "".join(f"<div><b>{escape(number)}</b>{escape(text)}</div>" for number, text in figures)
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(result))
    return (
        f'<h1>Audit of {escape(title)}</h1>\n<p class="lead">{escape(scope)}</p>\n<div class="figures">{cards}</div>\n'
        f'<ul class="findings">{items}</ul>'
    )


def _suspects(result: AuditResult) -> str:
    margins, errors = result.scores.margins, result.label_errors
    order = np.argsort(margins)
    repaired = order[errors.repaired[order]]
    doubtful = order[(margins < 0)[order] & ~errors.repaired[order]]
    text = (
        "The margin of an example is what a network trained without it predicts for its label, minus the largest"
        " prediction for another class. Below zero the label is contradicted."
    )
    rule = (
        f" The rule of repair: margins below {signed(errors.threshold)}, the highest threshold at which"
        f" {percent(result.settings.precision)} of the suggested labels are expected to be right. The expectation is"
        " that of a model of two numbers, fitted to the given labels: the class probabilities are"
        f" softmax({errors.sharpness:.1f} × prediction), and {percent(errors.error_rate)} of the labels are replaced"
        " by another."
    )
    parts = [f"<h2>Suspected label errors</h2>\n<p>{text}{rule if len(repaired) else ''}</p>"]
    parts.append(ranked(result, "To be repaired", repaired, "suspects"))
    parts.append(ranked(result, "In doubt, not repaired", doubtful, "suspects"))
    if not len(repaired) and not len(doubtful):
        parts.append("<p>No label is contradicted.</p>")
    return "\n".join(filter(None, parts))


def _detection(result: AuditResult) -> str:
    if not result.detection:
        return ""
    flips = int(result.examples.flipped.sum())
    kinds = ("ours", "others")
    rows = "".join(
        f'<tr class="{kinds[min(i, 3) // 3]}"><td>{escape(found.method)}</td>'
        f"<td>{found.area_under_roc:.4f}</td>"
        f"<td>{found.average_precision:.4f}</td><td>{found.precision:.3f}</td></tr>"
        for i, found in enumerate(result.detection)
    )
    return (
        "<h2>How well the flips are found</h2>\n<p>Each score ranks all examples; the flips are known. The first three"
        " scores are the audit's. The classifiers below are cross-validated in five folds and rank by their margin; the"
        " area under the margin is that of one training.</p>\n"
        '<div class="scroll"><table><thead><tr><th>score</th><th>AUROC</th><th>average precision</th>'
        f"<th>precision at {flips}</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _robustness(result: AuditResult) -> str:
    robust = result.robustness
    if robust is None:
        return ""
    text = (
        "A small network was trained in three ways on four fifths of the examples, with the labels as given; those of"
        " the last fifth chose the epoch. The plain way is the cross-entropy. By LIMIT the network sees no label: a"
        " second one predicts its gradients from the inputs. By leave-one-out they follow from what the kernel of"
        " random networks and all other labels say of an example. Each way then takes some labels to be wrong. The"
        " audit takes those to be wrong that are so with a probability above one half. Under an example on which they"
        " differ stand those of the three that suspect it."
    )
    note = (
        "A label that the plain network has learned by heart it does not suspect. Leave-one-out is of the same kind as"
        " the audit: that the two agree says less than that LIMIT and the audit do."
    )
    names = "".join(f"<th>{name}</th>" for name in ("", *COMPARED_METHODS.values(), "the audit"))
    cells = "".join(
        f"<tr><td>{measure}</td>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for measure, values in _robustness_rows(result, robust)
    )
    votes = robust.candidates.sum(0)
    order = np.lexsort((result.scores.margins, -votes))
    by_all = votes == len(COMPARED_METHODS)
    parts: tuple[tuple[str, np.ndarray, Gallery], ...] = (
        ("Suspected by all three and by the audit", by_all & robust.suspected, "suspects"),
        ("Suspected by the audit, not by all three", ~by_all & robust.suspected, "disputed"),
        ("Suspected by some of the three, not by the audit", (votes > 0) & ~robust.suspected, "disputed"),
    )
    galleries = [ranked(result, heading, order[members[order]], kind) for heading, members, kind in parts]
    return (
        f"<h2>Do classifiers that ignore wrong labels agree?</h2>\n<p>{text}</p>\n"
        f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></div>\n'
        f'<p class="note">{note}</p>\n' + "\n".join(filter(None, galleries))
    )


def _robustness_rows(result: AuditResult, robust: Robustness) -> list[tuple[str, list[str]]]:
    """What is measured of each method, and of the audit, the last."""
    unknown, flipped = float("nan"), result.examples.flipped
    percentages = lambda values, of_audit: [known(value, percent) for value in (*values, of_audit)]
    rows = [
        ("right on the held-out examples", percentages(robust.accuracy, unknown)),
        ("labels taken to be wrong", [str(number) for number in (*robust.candidates.sum(1), robust.suspected.sum())]),
        ("of these, by the audit too", percentages(robust.overlap, unknown)),
    ]
    if robust.precision is not None and robust.recall is not None:
        rows += [
            ("of these, flipped", percentages(robust.precision, float(coverage(flipped, robust.suspected)))),
            ("of the flips, taken to be wrong", percentages(robust.recall, float(coverage(robust.suspected, flipped)))),
        ]
    rows.append(("rank correlation with the margin", [known(value) for value in (*robust.agreement, unknown)]))
    if robust.detection and result.detection:
        found = (*robust.detection, result.detection[0])
        rows += [
            ("AUROC in finding the flips", [f"{one.area_under_roc:.4f}" for one in found]),
            ("average precision", [f"{one.average_precision:.4f}" for one in found]),
        ]
    return rows


def _extremes(result: AuditResult) -> str:
    output_change, weight_change, margins = result.scores[:3]
    trusted = np.flatnonzero(margins >= 0)
    order = trusted[np.argsort(-output_change[trusted])]
    top = np.argsort(-output_change)[:_EXTREMES_SHOWN]
    doubted = int((margins[top] < 0).sum())
    agreement = float(spearman_correlation(output_change, weight_change))
    text = (
        "The output change is the mean squared change of the outputs on the held-out examples when an example is left"
        " out; the weight change is the squared change of the weights. Their ranks correlate at"
        f" {agreement:.2f}. Of the {len(top)} examples with the largest output change {doubted} have a contradicted"
        " label and stand above; here are the others."
    )
    return (
        f"<h2>Most and least informative</h2>\n<p>{text}</p>\n"
        f"<h3>Most informative</h3>\n{gallery(result, order[:_EXTREMES_SHOWN], 'informative')}\n"
        f"<h3>Least informative</h3>\n{gallery(result, order[::-1][:_EXTREMES_SHOWN], 'informative')}"
    )


def _distributions(result: AuditResult) -> str:
    examples = result.examples
    shown = min(len(examples.class_names), _CLASSES_SHOWN)
    flipped = examples.flipped

    def chart(caption: str, values: np.ndarray) -> str:
        rows = [
            Row(name, values[(examples.labels == c) & ~flipped], values[(examples.labels == c) & flipped])
            for c, name in enumerate(examples.class_names[:shown])
        ]
        marked = "flipped label" if flipped.any() else ""
        drawing = distribution_chart(rows, title=f"{caption} by class", x_label=caption, marked_label=marked)
        return f"<figure>{drawing}</figure>"

    note = f" The first {shown} classes are shown." if shown < len(examples.class_names) else ""
    return (
        "<h2>Information by class</h2>\n<p>For each given label: the middle half of the scores as a box, 5 to 95 % as a"
        f' line, the median as a stroke.{note}</p>\n<div class="charts">'
        f"{chart('output change', result.scores.output_change)}"
        f"{chart('weight change', result.scores.weight_change)}</div>"
    )


def _sweep(result: AuditResult) -> str:
    sweep = result.sweep
    if sweep is None:
        return ""
    values, what = sweep.agreement, "rank correlation"
    meaning = "how their ranks agree with those of the audit"
    if sweep.average_precision is not None:
        values, what, meaning = sweep.average_precision, "average precision", "how well they find the flips"
    lines = [
        Line(name, sweep.times, values[:, i]) for i, name in enumerate(("margin", "output change", "weight change"))
    ]
    moment = "the end of training" if np.isinf(result.settings.time) else f"step {result.settings.time:g}"
    drawing = line_chart(
        lines, title=f"{what} over training time", x_label="steps of training", y_label=what, log_x=True
    )
    return (
        f"<h2>Earlier times</h2>\n<p>The audit scores at {moment}. The same eigendecomposition gives the scores of"
        f" every earlier time, and {meaning}.</p>\n<figure>{drawing}</figure>"
    )


def _training(result: AuditResult) -> str:
    summary, repair = result.summarization, result.repair
    if summary is None or repair is None:
        return ""
    named = (("most informative", summary.most), ("random", summary.random), ("least informative", summary.least))
    lines = [Line(name, summary.fractions, values.mean(1), values.min(1), values.max(1)) for name, values in named]
    drawing = line_chart(
        lines, title="accuracy by kept share", x_label="share kept", y_label="held-out accuracy", percent=True
    )
    kinds = [("labels as given", repair.given), ("labels repaired", repair.repaired)]
    kinds += [("examples to be repaired dropped", repair.dropped)]
    kinds += [] if repair.true is None else [("labels before the flips", repair.true)]
    rows = "".join(
        f"<tr><td>{name}</td><td>{percent(values.mean())}</td><td>{percent(values.min())} to"
        f" {percent(values.max())}</td></tr>"
        for name, values in kinds
    )
    seeds = count(result.settings.seeds, "training", "trainings")
    return (
        "<h2>What can be left out</h2>\n<p>Networks were trained on parts of the examples, with the repaired labels and"
        " as many steps for every part. The most informative examples are found in rounds: the least informative"
        " twentieth leaves, the others are scored again. To keep the least informative is to drop the top."
        f" Each point is the mean of {seeds}, the band their range.</p>\n<figure>{drawing}</figure>\n"
        "<h3>What repairs are worth</h3>\n<p>The same networks, trained on all examples.</p>\n"
        '<div class="scroll"><table><thead><tr><th>trained with</th><th>held-out accuracy</th><th>range</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _generalization(result: AuditResult) -> str:
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
    cells = "".join(f"<tr><td>{name}</td><td>{written(values)}</td></tr>" for name, values in rows)
    section = (
        f"<h2>Does it generalize?</h2>\n<p>{text}</p>\n"
        f'<div class="scroll"><table><tbody>{cells}</tbody></table></div>\n<p class="note">{note}</p>'
    )
    memorised = found.most_memorised(_MEMORISED_SHOWN)
    if not len(memorised):
        return section
    contradicted = int((result.scores.margins[memorised] < 0).sum())
    about = (
        "The pairs with the most information, and of each the example whose own prediction has more of it. With ln 2 ="
        " 0.69 nats the predictions always tell which one was trained on: it is learned by heart. Of these"
        f" {len(memorised)} examples {contradicted} have a contradicted label."
    )
    return f"{section}\n<h3>Most memorised</h3>\n<p>{about}</p>\n{gallery(result, memorised, 'memorised')}"


def _linearization(result: AuditResult) -> str:
    quality = result.linearization
    if quality is None:
        return ""
    rows = [
        ("correlation of the outputs", f"{float(quality.correlation):.4f}"),
        ("relative difference of the outputs", f"{float(quality.relative_error):.2g}"),
        ("distance of the weights, relative to their norm", f"{float(quality.weight_distance):.2g}"),
        ("alignment of the kernel before and after", f"{float(quality.kernel_alignment):.4f}"),
    ]
    cells = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows)
    return (
        "<h2>Does the linearization hold?</h2>\n<p>One of the networks was trained by gradient descent to tell one"
        " class from the others, and its linearization by the same steps. On held-out examples:</p>\n"
        f'<div class="scroll"><table><tbody>{cells}</tbody></table></div>'
    )


def _settings(result: AuditResult, facts: dict[str, Any]) -> str:
    items = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items())
    return (
        "<h2>Settings and versions</h2>\n"
        f"<dl>{items}</dl>\n"
        '<p class="note">Beside this page: <code>scores.csv</code> has a row for every example,'
        " <code>config.json</code> the settings. The scores are those of Harutyunyan et al., “Estimating"
        " informativeness of samples with smooth unique information”, ICLR 2021.</p>"
    )


def _smallest_sufficient(result: AuditResult) -> tuple[float, float, float]:
    """The smallest kept share that loses no more than a point of accuracy, its accuracy, and that of all."""
    assert result.summarization is not None
    accuracies = result.summarization.most.mean(1)
    sufficient = np.flatnonzero(accuracies >= accuracies[0] - _TOLERATED_LOSS)[-1]
    return float(result.summarization.fractions[sufficient]), float(accuracies[sufficient]), float(accuracies[0])
