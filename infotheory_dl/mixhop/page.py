"""What networks say of the nodes of a graph as one HTML page."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from infotheory_dl import report
from infotheory_dl.mixhop.losses import column_norms
from infotheory_dl.mixhop.report import (
    NodeReport,
    class_columns,
    node_columns,
    power_columns,
    verdict,
)
from infotheory_dl.report import Bar, Column, Html, Line, count, percent

_NODES_SHOWN = 500


def render(found: NodeReport, *, title: str, facts: Mapping[str, Any]) -> str:
    """Writes the page.

    Args:
      found: of `evaluate_nodes`.
      title: name of the graph.
      facts: what to list under settings and versions.

    Returns:
      HTML.
    """
    return report.page(
        f"Nodes of {title}",
        report.header(f"Nodes of {title}", scope(found), _figures(found), findings(found)),
        _classes(found),
        _powers(found),
        _homophily(found),
        _training(found),
        _nodes(found),
        report.section("Settings and versions", report.facts(facts), _files()),
    )


def scope(found: NodeReport) -> str:
    """What was read, and what of it is used for what."""
    nodes = found.nodes
    masks = [nodes.train, nodes.validation, nodes.test]
    sizes = [0 if mask is None else int(mask.sum()) for mask in masks]
    joined = (nodes.adjacency + nodes.adjacency.T).tocoo()
    num_edges = int((joined.row <= joined.col).sum())
    split = "drawn at random" if found.is_drawn else "as given"
    return (
        f"{nodes.num_nodes} nodes, {num_edges} edges, {nodes.num_classes} classes; the split is {split}:"
        f" {sizes[0]} nodes to train on, {sizes[1]} to choose by, {sizes[2]} to test on."
    )


def _figures(found: NodeReport) -> list[tuple[str, str]]:
    return [
        (percent(found.accuracy.value), f"accuracy, mean of {count(len(found.runs.best_step), 'seed', 'seeds')}"),
        (f"{percent(found.accuracy.low)} to {percent(found.accuracy.high)}", "95% interval, for other nodes and seeds"),
        (report.known(float(found.homophily.adjusted)), "adjusted homophily: 0 where classes tell nothing of edges"),
    ]


def findings(found: NodeReport) -> list[str]:
    """What was found, in sentences."""
    where = (
        "the test nodes" if found.nodes.test is not None else "the nodes that steps were chosen by, a little too high"
    )
    accuracy = found.accuracy
    sentences = [
        f"A network is right on {percent(accuracy.value)} of {where} (95% interval {percent(accuracy.low)} to"
        f" {percent(accuracy.high)}, for other nodes and other seeds)."
    ]
    known = [
        (of_class.value, name)
        for of_class, name in zip(found.classes, found.nodes.class_names, strict=True)
        if of_class
    ]
    if len(known) > 1:
        worst = min(known)
        sentences.append(f"The class {worst[1]} is predicted worst: {percent(worst[0])} of its nodes are found.")
    for words in ("earns its columns", "costs accuracy", "not shown to matter"):
        powers = [str(rival.power) for rival in found.rivals if verdict(rival.gain) == words]
        if powers:
            named = f"power {powers[0]}" if len(powers) == 1 else f"each of the powers {_listed(powers)}"
            sentences.append(f"{words.capitalize()}: {named}.")
    adjusted = float(found.homophily.adjusted)
    if np.isfinite(adjusted):
        kind = (
            "neighbours tend to be of one class"
            if adjusted > 0.1
            else "neighbours tend to be of different classes"
            if adjusted < -0.1
            else "that is about as often as by chance"
        )
        sentences.append(f"{percent(float(found.homophily.edges))} of the edges join nodes of one class; {kind}.")
    diverged = int(found.runs.diverged.sum())
    if diverged:
        sentences.append(f"{count(diverged, 'training', 'trainings')} diverged; the steps before count.")
    return sentences


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _classes(found: NodeReport) -> Html:
    bars = [
        Bar(name, of_class.value, of_class.low, of_class.high)
        for name, of_class in zip(found.nodes.class_names, found.classes, strict=True)
        if of_class is not None
    ]
    confusion = report.heat_map(
        found.confusion,
        title="true classes by predicted ones",
        limits=(0.0, 1.0),
        labels=found.nodes.class_names,
        key="share of a true class (rows) that is predicted as another",
    )
    bar_chart = report.bar_chart(bars, title="accuracy of each class", x_label="accuracy, with 95% intervals")
    return report.section(
        "Classes",
        report.paragraph("Means over seeds. The intervals are for other nodes of the class and other seeds."),
        report.table(class_columns(found)),
        report.figures(bar_chart, confusion),
    )


def _powers(found: NodeReport) -> Html:
    text = (
        "A power j of the adjacency lets a layer see neighbours j steps away, power 0 the node itself. A network"
        " without one of them, its columns given to the others, was trained from as many seeds. A power earns its"
        " columns where the whole network is more often right, by more than other nodes and other seeds would explain."
    )
    bars = [
        Bar(f"power {rival.power}", 100 * rival.gain.value, 100 * rival.gain.low, 100 * rival.gain.high)
        for rival in found.rivals
    ]
    drawings = [_norms(found)]
    if bars:
        label = "points of accuracy that are lost without it, with 95% intervals"
        drawings.insert(0, report.bar_chart(bars, title="what powers are worth", x_label=label))
    return report.section(
        "Powers of the adjacency",
        report.paragraph(text) if bars else "",
        report.table(power_columns(found)),
        report.figures(*drawings),
        report.paragraph("Norms: of the kernels' columns in the first layer, the strongest first, means over seeds."),
    )


def _norms(found: NodeReport) -> Html:
    kernels = found.runs.variables["params"]["layer_0"]
    lines = []
    for power, width in zip(found.network.powers, found.network.layer_widths[0], strict=True):
        if width:
            norms = -np.sort(-np.asarray(column_norms(kernels[f"power_{power}"]), float), axis=1).mean(0)
            lines.append(Line(f"power {power}", np.arange(1, width + 1), norms))
    return report.line_chart(lines, title="norms of columns", x_label="column", y_label="norm")


def _homophily(found: NodeReport) -> Html:
    nodes = found.nodes
    labels = np.asarray(nodes.labels)
    senders = nodes.adjacency.tocoo()
    known = (labels[senders.row] >= 0) & (labels[senders.col] >= 0) & (senders.row != senders.col)
    counts = np.zeros((nodes.num_classes,) * 2)
    np.add.at(counts, (labels[senders.row[known]], labels[senders.col[known]]), 1)
    with np.errstate(invalid="ignore"):
        shares = counts / counts.sum(1, keepdims=True)
    measures = {
        "edges between nodes of one class": report.known(float(found.homophily.edges), percent),
        "neighbours of a node's own class, mean over nodes": report.known(float(found.homophily.nodes), percent),
        "adjusted for how often that is by chance": report.known(float(found.homophily.adjusted)),
    }
    key = "share of the edges of a class (rows) that lead to another"
    return report.section(
        "Classes of neighbours",
        report.measures(measures),
        report.figures(
            report.heat_map(shares, title="classes of neighbours", limits=(0.0, 1.0), labels=nodes.class_names, key=key)
        ),
    )


def _training(found: NodeReport) -> Html:
    runs = found.runs
    lines = []
    for label, values in (("validation", runs.validation_accuracies), ("test", runs.test_accuracies)):
        # as far as all seeds have gone
        values = values[:, : int(runs.last_step.min())].astype(float)
        if np.isfinite(values).all():
            mean, spread = values.mean(0), values.std(0)
            lines.append(Line(label, np.arange(1, len(mean) + 1), mean, mean - spread, mean + spread))
    chart = report.line_chart(lines, title="accuracy over steps", x_label="step", y_label="accuracy", percent=True)
    rows = [
        Column("seed", list(range(len(runs.best_step))), str),
        Column("best step", runs.best_step.tolist(), str),
        Column("last step", runs.last_step.tolist(), str),
        Column("validation accuracy", runs.validation_accuracy.tolist(), percent),
        Column("test accuracy", runs.test_accuracy.tolist(), lambda value: report.known(value, percent)),
    ]
    return report.section(
        "Training",
        report.paragraph(
            "Of every seed the first step of the best validation accuracy is kept; nothing depends on the test nodes."
            " The bands are standard deviations over seeds."
        ),
        report.figures(chart),
        report.details("every seed", report.table(rows)),
    )


def _nodes(found: NodeReport) -> Html:
    columns = node_columns(found)
    unknown = np.flatnonzero(np.asarray(found.nodes.labels) < 0)
    uncertain = np.argsort(found.probabilities.max(1), kind="stable")
    shown = (unknown if len(unknown) else uncertain)[:_NODES_SHOWN].tolist()
    what = "Nodes of unknown class" if len(unknown) else "Nodes, the least certain first"
    table = [Column(name.replace("_", " "), [values[node] for node in shown]) for name, values in columns.items()]
    total = len(unknown) if len(unknown) else found.nodes.num_nodes
    note = f"The first {_NODES_SHOWN} of {total} nodes; nodes.csv has all." if total > _NODES_SHOWN else ""
    return report.section(
        what,
        report.paragraph(
            "Probabilities are means over the seeds; agreement is the share of seeds that predict the same."
        ),
        report.table(table),
        report.paragraph(note, kind="note"),
    )


def _files() -> Html:
    names = {
        "nodes.csv": " has every node, ",
        "classes.csv": " every class, ",
        "powers.csv": " every power, ",
        "architecture.json": " the network.",
    }
    parts = [part for name, text in names.items() for part in (report.code(name), text)]
    return report.paragraph(report.sentence("Beside this page: ", *parts), kind="note")
