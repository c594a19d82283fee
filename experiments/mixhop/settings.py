"""Settings and presets of the MixHop experiment, and the paper's numbers."""

import dataclasses
from pathlib import Path
from typing import Literal, NamedTuple

Part = Literal["planetoid", "splits", "homophily", "architectures", "deltas"]
Network = Literal["MLP", "P = {1}", "even", "released"]
"""Powers of the adjacency, and widths: that of no power but 0, of 1, of 0, 1 and 2 evenly, and as released."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the experiment; those of the paper by default."""

    parts: tuple[Part, ...] = ("planetoid", "splits", "homophily", "architectures", "deltas")
    data_dir: Path | None = None
    """The folder of `cora.npz`, `citeseer.npz` and `synthetic_h0.0.npz` to `synthetic_h0.9.npz`."""
    datasets: tuple[str, ...] = ("cora", "citeseer")
    """Citation graphs; "drawn" is a small graph that needs no file."""
    networks: tuple[Network, ...] = ("MLP", "P = {1}", "even", "released")
    """Those of the tables; each has its own among them."""
    num_seeds: int = 100
    """Of the published split."""
    num_steps: int | None = None
    """At most, of every training; None leaves it to the preset."""
    num_splits: int = 10
    per_class: int = 100
    """Nodes of each class to train on in random splits."""
    num_rest: tuple[int, int] = (500, 1000)
    """Nodes to choose by and to measure on in random splits."""
    seeds_of_split: int = 4
    homophily: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    drawn_nodes: int | None = None
    """Graphs of every homophily are drawn anew with so many nodes; None reads the published ones."""
    homophily_seeds: int = 10
    hidden_dropout: float = 0.2
    """On graphs of every homophily, where the paper does not say it."""
    wide: int = 200
    """Columns of each power and layer before the network is shrunk."""
    wide_seeds: int = 2
    retrained_seeds: int = 20
    delta_seeds: int = 3
    delta_width: int = 20
    """Columns of the kernel that all powers share."""
    seed: int = 0
    output: Path = Path("results/mixhop/paper")


PRESETS = {
    "smoke": Settings(
        datasets=("drawn",),
        networks=("even",),
        num_seeds=2,
        num_steps=5,
        num_splits=2,
        per_class=10,
        num_rest=(60, 60),
        seeds_of_split=2,
        homophily=(0.5,),
        drawn_nodes=300,
        homophily_seeds=2,
        wide=20,
        wide_seeds=1,
        retrained_seeds=2,
        delta_seeds=1,
        delta_width=5,
        output=Path("results/mixhop/smoke"),
    ),
    "laptop": Settings(
        datasets=("cora",),
        num_seeds=20,
        num_splits=3,
        seeds_of_split=2,
        homophily=(0.0, 0.3, 0.6, 0.9),
        homophily_seeds=3,
        wide_seeds=1,
        retrained_seeds=10,
        delta_seeds=1,
        output=Path("results/mixhop/laptop"),
    ),
    "paper": Settings(),
}


class Script(NamedTuple):
    """How the released scripts train on a graph.

    Attributes:
      widths: of both layers, of the powers 0, 1 and 2; they are what the paper's authors had learned.
      learning_rate: of the first step.
      penalty: factor of both penalties, which the released code keeps equal.
    """

    widths: tuple[tuple[int, int, int], tuple[int, int, int]]
    learning_rate: float
    penalty: float


SCRIPTS = {
    "cora": Script(((24, 18, 18), (0, 7, 7)), 1.0, 5e-3),
    "citeseer": Script(((20, 20, 20), (6, 6, 6)), 0.25, 5e-2),
    "drawn": Script(((8, 8, 8), (0, 4, 4)), 1.0, 5e-3),
}

# test accuracy in %, and its spread, of the better half of 100 seeds by validation accuracy
PLANETOID = {
    "cora": {"P = {1}": (81.1, 0.84), "even": (81.8, 0.62), "released": (81.9, 0.40)},
    "citeseer": {"P = {1}": (70.7, 0.73), "even": (71.4, 0.81), "released": (71.4, 0.81)},
}
SPLITS = {
    "cora": {"MLP": (69.0, 1.1), "P = {1}": (86.1, 0.34), "even": (87.0, 0.51)},
    "citeseer": {"MLP": (70.6, 1.0), "P = {1}": (76.7, 0.43), "even": (76.3, 0.41)},
}
# how many times as many delta operators at low homophily as at high, read off the paper's figure 3
DELTA_RATIO = 2.5
