"""The report of an audit: one HTML page that needs nothing beside it."""

from collections.abc import Callable
from html import escape
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from infotheory_dl.audit._style import STYLE
from infotheory_dl.audit.charts import Line, Row, distribution_chart, line_chart
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.pictures import data_uris
from infotheory_dl.audit.run import AuditResult
from infotheory_dl.metrics import spearman_correlation

_SUSPECTS_SHOWN, _SUSPECTS_AT_MOST = 24, 240
_EXTREMES_SHOWN = 16
_MEMORISED_SHOWN = 16
_FEATURES_SHOWN = 8
_CLASSES_SHOWN = 30
_TOLERATED_LOSS = 0.01

Gallery = Literal["suspects", "informative", "memorised"]


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
    sentences = [f"By the audit's own estimate {_percent(errors.error_rate)} of the labels are wrong."]
    if flips:
        sentences[0] += f" In truth {flips} of {n} ({_percent(flips / n)}) were flipped on purpose, unknown to it."
    contradicted, repairs = int((result.scores.margins < 0).sum()), int(errors.repaired.sum())
    if repairs:
        sentence = (
            f"{_count(contradicted, 'label is', 'labels are')} contradicted by the network trained without the example,"
            f" {repairs} clearly enough for a repair. Of the repairs {_percent(errors.expected_precision)} are expected"
            " to be right"
        )
        if flips:
            right = errors.suggested == examples.true_labels
            sentence += (
                f"; {_percent(right[errors.repaired].mean())} are, and"
                f" {_percent((errors.repaired & right)[examples.flipped].mean())} of the flipped labels come right"
            )
        sentences.append(sentence + ".")
    else:
        sentences.append(
            f"{_count(contradicted, 'label is', 'labels are')} contradicted by the network trained without the example,"
            f" none clearly enough for a repair that is right in {_percent(result.settings.precision)} of the cases."
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
            f"A network trained with the repaired labels is right on {_percent(result.repair.repaired.mean())} of the"
            f" {len(examples.held_out_labels)} held-out examples, against {_percent(result.repair.given.mean())} with"
            " the labels as given."
        )
    if result.summarization:
        fraction, accuracy, whole = _smallest_sufficient(result)
        if fraction < 1:
            sentences.append(
                f"The {round(fraction * n)} most informative examples ({_percent(fraction)}) suffice: a network trained"
                f" on them is right on {_percent(accuracy)} of the held-out examples, one trained on all of them on"
                f" {_percent(whole)}."
            )
        else:
            sentences.append("No part of the examples that was tried can be left out without a loss of accuracy.")
    if result.generalization:
        found = result.generalization
        shares = found.training_error, found.ghost_error, found.gap, found.bound
        training, ghost, gap, bound = (_percent(share.mean()) for share in shares)
        sentences.append(
            f"Trained on {found.train_size} of the examples, the linearized network errs on {training} of them and on"
            f" {ghost} of others, by the labels as given: a gap of {gap}. The information in its predictions bounds the"
            f" gap by {bound}, by an estimate from {found.runs} runs without training."
        )
    return sentences


def _header(result: AuditResult, title: str) -> str:
    examples, errors = result.examples, result.label_errors
    n, flips = len(examples.labels), int(examples.flipped.sum())
    networks = _count(result.settings.num_networks, "random network", "random networks")
    scope = (
        f"{n} of {examples.available} examples in {len(examples.class_names)} classes, scored by the kernel of"
        f" {networks}. {len(examples.held_out_labels)} other examples serve to measure on."
    )
    if flips:
        scope += f" {_percent(flips / n)} of the labels were flipped on purpose, to see whether the audit finds them."
    figures = [(_percent(errors.error_rate), "of the labels are wrong, by the audit's estimate")]
    figures.append((str(int(errors.repaired.sum())), "labels to be repaired"))
    if result.detection:
        figures.append((f"{result.detection[0].average_precision:.3f}", "average precision in finding the flips"))
    if result.summarization:
        fraction, accuracy, whole = _smallest_sufficient(result)
        text = f"of the examples suffice for {_percent(accuracy)} accuracy; all give {_percent(whole)}"
        figures.append((_percent(fraction), text))
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
        f" The rule of repair: margins below {_signed(errors.threshold)}, the highest threshold at which"
        f" {_percent(result.settings.precision)} of the suggested labels are expected to be right. The expectation is"
        " that of a model of two numbers, fitted to the given labels: the class probabilities are"
        f" softmax({errors.sharpness:.1f} × prediction), and {_percent(errors.error_rate)} of the labels are replaced"
        " by another."
    )
    parts = [f"<h2>Suspected label errors</h2>\n<p>{text}{rule if len(repaired) else ''}</p>"]
    for heading, members in (("To be repaired", repaired), ("In doubt, not repaired", doubtful)):
        if len(members):
            extent = f"{len(members)}, the most suspect first" if len(members) > 1 else "1"
            first, rest = members[:_SUSPECTS_SHOWN], members[_SUSPECTS_SHOWN:_SUSPECTS_AT_MOST]
            parts.append(f"<h3>{heading} ({extent})</h3>\n{_gallery(result, first, 'suspects')}")
            if len(rest):
                gallery = _gallery(result, rest, "suspects")
                parts.append(f"<details><summary>the next {len(rest)}</summary>{gallery}</details>")
    if not len(repaired) and not len(doubtful):
        parts.append("<p>No label is contradicted.</p>")
    return "\n".join(parts)


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


def _extremes(result: AuditResult) -> str:
    function, weights, margins = result.scores.function, result.scores.weights, result.scores.margins
    trusted = np.flatnonzero(margins >= 0)
    order = trusted[np.argsort(-function[trusted])]
    top = np.argsort(-function)[:_EXTREMES_SHOWN]
    doubted = int((margins[top] < 0).sum())
    agreement = float(spearman_correlation(function, weights))
    text = (
        "The function score is the mean squared change of the outputs on the held-out examples when an example is left"
        " out; the weights score is the squared change of the weights. Their ranks correlate at"
        f" {agreement:.2f}. Of the {len(top)} examples with the largest function score {doubted} have a contradicted"
        " label and stand above; here are the others."
    )
    return (
        f"<h2>Most and least informative</h2>\n<p>{text}</p>\n"
        f"<h3>Most informative</h3>\n{_gallery(result, order[:_EXTREMES_SHOWN], 'informative')}\n"
        f"<h3>Least informative</h3>\n{_gallery(result, order[::-1][:_EXTREMES_SHOWN], 'informative')}"
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
        f"{chart('function score', result.scores.function)}{chart('weights score', result.scores.weights)}</div>"
    )


def _sweep(result: AuditResult) -> str:
    sweep = result.sweep
    if sweep is None:
        return ""
    values, what = sweep.agreement, "rank correlation"
    meaning = "how their ranks agree with those of the audit"
    if sweep.average_precision is not None:
        values, what, meaning = sweep.average_precision, "average precision", "how well they find the flips"
    lines = [Line(name, sweep.times, values[:, i]) for i, name in enumerate(("margin", "function", "weights"))]
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
        f"<tr><td>{name}</td><td>{_percent(values.mean())}</td><td>{_percent(values.min())} to"
        f" {_percent(values.max())}</td></tr>"
        for name, values in kinds
    )
    seeds = _count(result.settings.seeds, "training", "trainings")
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
    supersamples = _count(len(found.entries), "set", "sets")
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
    written = lambda values: _percent(values.mean()) + (f" ± {_percent(values.std())}" if several else "")
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
    return f"{section}\n<h3>Most memorised</h3>\n<p>{about}</p>\n{_gallery(result, memorised, 'memorised')}"


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


def _gallery(result: AuditResult, indices: Int[np.ndarray, " shown"], kind: Gallery) -> str:
    """Examples as images, or as rows of a table, each with its labels and its margin, score or information."""
    if result.examples.feature_names is not None:
        return _rows(result, indices, kind)
    examples, names = result.examples, result.examples.class_names
    heading, write = _measure(result, kind)
    items = []
    for i, uri in zip(indices.tolist(), data_uris(examples.x[indices]), strict=True):
        given, suggested = names[examples.labels[i]], names[result.label_errors.suggested[i]]
        labels = f"{given} → {suggested}" if kind == "suspects" else given
        number = f"{heading} {write(i)}" if kind == "suspects" else write(i)
        verdict = _verdict(result, i) if kind == "suspects" or examples.flipped[i] else None
        note = "" if verdict is None else f'<span class="verdict {verdict[0]}">{escape(verdict[1])}</span>'
        items.append(
            f'<li><img src="{uri}" alt="example {examples.indices[i]}"><span class="labels">{escape(labels)}</span>'
            f'<span class="number">{number}</span>{note}</li>'
        )
    return f'<ul class="grid">{"".join(items)}</ul>'


def _rows(result: AuditResult, indices: Int[np.ndarray, " shown"], kind: Gallery) -> str:
    examples, names = result.examples, result.examples.class_names
    assert examples.feature_names is not None
    columns: list[tuple[str, Callable[[int], str]]] = [
        ("example", lambda i: str(examples.indices[i])),
        ("label", lambda i: names[examples.labels[i]]),
    ]
    if kind == "suspects":
        columns.append(("suggested", lambda i: names[result.label_errors.suggested[i]]))
    columns.append(_measure(result, kind))
    if kind == "suspects" and examples.flipped.any():
        columns.append(("", lambda i: (_verdict(result, i) or ("", ""))[1]))
    for j, feature in enumerate(examples.feature_names[:_FEATURES_SHOWN]):
        columns.append((feature, lambda i, j=j: f"{examples.x[i, j]:.4g}"))  # type: ignore[misc]
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(write(i))}</td>' for _, write in columns)}</tr>" for i in indices.tolist()
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _measure(result: AuditResult, kind: Gallery) -> tuple[str, Callable[[int], str]]:
    """The number that stands beside an example: what it is, and how it is written."""
    if kind == "suspects":
        return "margin", lambda i: _signed(result.scores.margins[i])
    if kind == "informative":
        return "score", lambda i: _relative(result, i)
    assert result.generalization is not None
    information = result.generalization.pair_information
    return "information", lambda i: f"{information[i]:.2f} nats"


def _verdict(result: AuditResult, i: int) -> tuple[str, str] | None:
    """Whether a suspicion is right, where the flips are known."""
    examples: Examples = result.examples
    if not examples.flipped.any():
        return None
    if not examples.flipped[i]:
        return "no", "✗ not flipped"
    if result.label_errors.suggested[i] == examples.true_labels[i]:
        return "yes", "✓ flipped"
    return "no", f"✗ flipped, was {examples.class_names[examples.true_labels[i]]}"


def _smallest_sufficient(result: AuditResult) -> tuple[float, float, float]:
    """The smallest kept share that loses no more than a point of accuracy, its accuracy, and that of all."""
    assert result.summarization is not None
    accuracies = result.summarization.most.mean(1)
    sufficient = np.flatnonzero(accuracies >= accuracies[0] - _TOLERATED_LOSS)[-1]
    return float(result.summarization.fractions[sufficient]), float(accuracies[sufficient]), float(accuracies[0])


def _relative(result: AuditResult, i: int) -> str:
    """The function score of an example in units of the median one."""
    return f"{result.scores.function[i] / np.median(result.scores.function):.2g} × median"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + "\u00a0%"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"
