"""The subcommand `infotheory-dl mixhop`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from infotheory_dl._files import csv_table, require_writable, write_or_keep, write_together
from infotheory_dl.data.graphs import read_graph
from infotheory_dl.mixhop.architecture import architecture_text, load_architecture
from infotheory_dl.mixhop.networks import MixHop
from infotheory_dl.mixhop.page import findings, render, scope
from infotheory_dl.mixhop.report import NodeReport, class_columns, evaluate_nodes, node_columns, power_columns
from infotheory_dl.mixhop.schedules import PresetName
from infotheory_dl.report import Stages, ran_with, terminal_table


@dataclass(frozen=True)
class Config:
    """Predicts the classes of a graph's nodes from features and neighbours, and tells how far neighbours matter.

    Attributes:
      graph: an .npz file with an adjacency or senders and receivers, features, labels (-1 where unknown), and
        train_mask, val_mask and test_mask if there are any; or a table of edges, .csv, .tsv or .parquet.
      features: beside a table of edges, or an .npz file without features, the table with a row for each node.
      label: the column of that table with the classes.
      node: its column with the names of the nodes, as the edges have them; by default nodes are numbered from 0.
      output: folder of the page and the tables.
      powers: of the adjacency that every layer sees; 0 is the node itself.
      hidden: columns of the first layer, of all powers together.
      architecture: a network from architecture.json, in place of powers and hidden.
      seeds: trainings of each network.
      preset: settings of the training; by default the paper's for dense features, the released ones for sparse.
      steps: at most, of each training; by default the preset's.
      directed: whether edges go in one direction.
      symmetrize: whether an edge that is given in one direction stands for both.
      compare: whether networks without each power are trained too, to tell which powers matter.
      seed: of all that is drawn.
    """

    graph: Path
    features: Path | None = None
    label: str | None = None
    node: str | None = None
    output: Path = Path("results/mixhop")
    powers: tuple[int, ...] = (0, 1, 2)
    hidden: int = 60
    architecture: Path | None = None
    seeds: int = 10
    preset: PresetName | None = None
    steps: int | None = None
    directed: bool = False
    symmetrize: bool = False
    compare: bool = True
    seed: int = 0


def main(config: Config, console: Console) -> None:
    """Trains, prints what was found and writes all."""
    folder = require_writable(config.output)
    network = None if config.architecture is None else load_architecture(config.architecture)
    if network is not None and not isinstance(network, MixHop):
        raise ValueError(f"{config.architecture} must hold a MixHop, got a {type(network).__name__}")
    with Stages(console) as stages:
        stages.begin("reading the graph")
        nodes = read_graph(config.graph, features=config.features, label=config.label, node=config.node)
        found = evaluate_nodes(
            jax.random.key(config.seed),
            nodes,
            network=network,
            powers=config.powers,
            width=config.hidden,
            num_seeds=config.seeds,
            preset=config.preset,
            num_steps=config.steps,
            directed=config.directed,
            symmetrize=config.symmetrize,
            compare=config.compare,
            on_stage=stages.begin,
        )
        stages.begin("writing the page and the tables")
        contents = _files(found)
        contents["report.html"] = render(found, title=config.graph.stem, facts=ran_with(asdict(config)))
    console.print(f"\n{scope(found)}", soft_wrap=True)
    for sentence in findings(found):
        console.print(f"• {sentence}")
    console.print(terminal_table(class_columns(found)))
    console.print(terminal_table(power_columns(found)))
    folder = write_or_keep(folder, lambda folder: write_together(folder, contents))
    console.print(f"{', '.join(sorted(contents))} are in {folder.resolve()}", soft_wrap=True)


def _files(found: NodeReport) -> dict[str, str | bytes]:
    nothing = (None,) * 3
    classes: dict[str, Any] = {"class": list(found.nodes.class_names)}
    for place, name in enumerate(("accuracy", "low", "high")):
        classes[name] = [(of_class or nothing)[place] for of_class in found.classes]
    powers: dict[str, Any] = {"power": list(found.network.powers)}
    for layer, widths in enumerate(found.network.layer_widths):
        powers[f"columns_layer_{layer + 1}"] = list(widths)
    if found.rivals:
        powers["accuracy_without"] = [rival.accuracy for rival in found.rivals]
        for place, name in enumerate(("lost", "lost_low", "lost_high")):
            powers[name] = [rival.gain[place] for rival in found.rivals]
    return {
        "nodes.csv": csv_table(node_columns(found)),
        "classes.csv": csv_table(classes),
        "powers.csv": csv_table(powers),
        "architecture.json": architecture_text(found.network),
    }
