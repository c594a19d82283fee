"""What trained networks say of a graph's nodes: predictions, accuracy of each class, and which powers they need."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from infotheory_dl import data
from infotheory_dl._validation import require_count
from infotheory_dl.data.graphs import NodeData, split_by_shares
from infotheory_dl.mixhop.analysis import Homophily, homophily
from infotheory_dl.mixhop.architecture import split_width
from infotheory_dl.mixhop.features import SparseRows
from infotheory_dl.mixhop.graph import Graph, normalize
from infotheory_dl.mixhop.networks import MixHop
from infotheory_dl.mixhop.nodes import NodeRuns, node_features, predict_nodes, train_nodes
from infotheory_dl.mixhop.schedules import PresetName
from infotheory_dl.report import Column, percent
from infotheory_dl.types import Key

# of nodes without a split: to train on, to choose by, to measure on
_SHARES = (0.6, 0.2, 0.2)
_NORMAL = 1.959964


class Interval(NamedTuple):
    """A share with its 95% interval.

    Attributes:
      value: the share.
      low, high: ends of the interval.
    """

    value: float
    low: float
    high: float


class Rival(NamedTuple):
    """A network without one of the powers, with as many columns, trained as the whole one.

    Attributes:
      power: that it lacks.
      accuracy: of its seeds, on the nodes that are measured on.
      gain: by how much the whole network is more often right.
    """

    power: int
    accuracy: float
    gain: Interval


class NodeReport(NamedTuple):
    """What was found.

    Attributes:
      nodes: the graph, with the masks that were used.
      is_drawn: whether the split was drawn here.
      measured: the nodes that accuracies are measured on: those to test on, or, without any, those to choose by.
      network: that was trained.
      runs: its trainings.
      probabilities: of each node and class, the mean over the seeds.
      agreement: for each node the share of seeds that predict what the mean does.
      accuracy: mean of the seeds.
      classes: of each class, on nodes of it; None where there is none to measure on.
      confusion: (classes, classes), of the nodes of each true class the shares that are predicted as each.
      rivals: networks without a power.
      homophily: of nodes of known classes.
    """

    nodes: NodeData
    is_drawn: bool
    measured: np.ndarray
    network: MixHop
    runs: NodeRuns
    probabilities: np.ndarray
    agreement: np.ndarray
    accuracy: Interval
    classes: tuple[Interval | None, ...]
    confusion: np.ndarray
    rivals: tuple[Rival, ...]
    homophily: Homophily


def with_split(key: Key, nodes: NodeData) -> tuple[NodeData, bool]:
    """The nodes with a split, and whether it had to be drawn.

    Raises:
      ValueError: if the graph lacks features or labels, or has masks of training nodes alone.
    """
    if nodes.features is None or nodes.labels is None:
        what = "features" if nodes.features is None else "labels"
        raise ValueError(f"{nodes.name} has no {what}: a network of nodes is trained on both")
    if nodes.num_classes < 2:
        raise ValueError(f"labels must be of at least 2 classes, got {nodes.num_classes}")
    if nodes.train is None:
        return nodes._replace(**split_by_shares(key, nodes.labels, shares=_SHARES)._asdict()), True
    if nodes.validation is None:
        raise ValueError("train_mask alone does not say by which nodes to choose: give val_mask too, or no mask")
    return nodes, False


def make_network(nodes: NodeData, inputs: Any, powers: Sequence[int], width: int) -> MixHop:
    """The network of two layers of these powers, each with an even share of the columns.

    Dense features are of units that differ: they were standardised, and none is dropped.
    """
    is_sparse = isinstance(inputs, SparseRows)
    require_count(len(powers), hidden=width)
    first = tuple(split_width(width, np.ones(len(powers))).tolist())
    return MixHop(
        tuple(powers),
        (first, (nodes.num_classes,) * len(powers)),
        nodes.num_classes,
        input_dropout=0.5 if is_sparse else 0.0,
        hidden_dropout=0.9 if is_sparse else 0.5,
        normalize_rows=is_sparse,
    )


def prepared_features(nodes: NodeData) -> Any:
    """The features as they train: what is mostly zeros as it is, other columns by their mean and deviation."""
    inputs = node_features(nodes.features, nodes.num_nodes)
    if isinstance(inputs, SparseRows):
        return inputs
    features = np.asarray(nodes.features)
    return node_features(
        data.standardize(features, *data.pixel_moments(features, per="pixel"), dtype=np.float32), nodes.num_nodes
    )


def evaluate_nodes(
    key: Key,
    nodes: NodeData,
    *,
    network: MixHop | None,
    powers: Sequence[int],
    width: int,
    num_seeds: int,
    preset: PresetName | None,
    num_steps: int | None,
    directed: bool,
    symmetrize: bool,
    compare: bool,
    on_stage: Callable[[str], None],
) -> NodeReport:
    """Trains the network, and those that lack a power, and measures all.

    Args:
      key: source of randomness.
      nodes: the graph.
      network: to train; None makes one of `powers` and `width`.
      powers: of the adjacency.
      width: columns of the first layer.
      num_seeds: trainings of each network, at least 2.
      preset: of `train_nodes`; by default that of the paper for dense features, else the released one.
      num_steps: at most.
      directed, symmetrize: of `normalize`.
      compare: whether networks that lack a power are trained too.
      on_stage: is told what is done next.
    """
    require_count(2, seeds=num_seeds)
    split_key, train_key = jax.random.split(key)
    nodes, is_drawn = with_split(split_key, nodes)
    if symmetrize:
        nodes = nodes._replace(adjacency=nodes.adjacency.maximum(nodes.adjacency.T).tocsr())
    graph = normalize(nodes.adjacency, directed=directed)
    inputs = prepared_features(nodes)
    network = make_network(nodes, inputs, powers, width) if network is None else network
    preset = preset or ("released" if isinstance(inputs, SparseRows) else "paper")
    settings: dict[str, Any] = {"preset": preset, "num_seeds": num_seeds}
    if num_steps is not None:
        settings["num_steps"] = num_steps
    measured = nodes.validation if nodes.test is None else nodes.test
    assert measured is not None
    assert nodes.labels is not None

    on_stage(f"training {num_seeds} seeds")
    runs, logits = _trained(train_key, network, graph, inputs, nodes, settings)
    probabilities = np.asarray(jax.nn.softmax(logits)).mean(0)
    predicted = np.asarray(logits.argmax(-1))
    right = predicted == nodes.labels
    rivals = []
    if compare and len(network.powers) > 1:
        for place, power in enumerate(network.powers):
            on_stage(f"training without power {power}")
            others = _without(network, place)
            _, of_rival = _trained(train_key, others, graph, inputs, nodes, settings)
            of_rival = np.asarray(of_rival.argmax(-1)) == nodes.labels
            accuracy = float(of_rival[:, measured].mean())
            rivals.append(Rival(power, accuracy, gain_interval(right[:, measured], of_rival[:, measured])))
    counts = np.zeros((nodes.num_classes,) * 2)
    np.add.at(counts, (np.broadcast_to(nodes.labels, predicted.shape)[:, measured], predicted[:, measured]), 1)
    with np.errstate(invalid="ignore"):
        confusion = counts / counts.sum(1, keepdims=True)
    return NodeReport(
        nodes,
        is_drawn,
        measured,
        network,
        runs,
        probabilities,
        (predicted == probabilities.argmax(1)).mean(0),
        share_interval(right[:, measured]),
        tuple(_of_class(right, measured & (nodes.labels == code)) for code in range(nodes.num_classes)),
        confusion,
        tuple(rivals),
        homophily(graph, nodes.labels, num_classes=nodes.num_classes),
    )


def _trained(
    key: Key, network: MixHop, graph: Graph, inputs: Any, nodes: NodeData, settings: dict[str, Any]
) -> tuple[NodeRuns, Any]:
    assert nodes.labels is not None
    masks = (nodes.train, nodes.validation, nodes.test)
    runs = train_nodes(key, network, graph, inputs, nodes.labels, masks, **settings)
    return runs, predict_nodes(network, runs.variables, graph, inputs)


def _without(network: MixHop, place: int) -> MixHop:
    """The network without one of its powers, whose columns go evenly to the others."""
    keep = [other for other in range(len(network.powers)) if other != place]
    widths = []
    for of_layer in network.layer_widths:
        shares = [of_layer[other] for other in keep]
        shares = shares if any(shares) else [1] * len(keep)
        widths.append(tuple(split_width(sum(of_layer), np.array(shares)).tolist()))
    return network.clone(powers=tuple(network.powers[other] for other in keep), widths=tuple(widths))


def _of_class(right: np.ndarray, nodes: np.ndarray) -> Interval | None:
    return share_interval(right[:, nodes]) if nodes.any() else None


def share_interval(right: np.ndarray) -> Interval:
    """The share of what is right over seeds and nodes, with an interval for other nodes and other seeds.

    It is Wilson's, for as many nodes as there are, or as few as would have the variance of both together.

    Args:
      right: (seeds, nodes).
    """
    num_nodes = right.shape[1]
    share = float(right.mean())
    of_seeds = _variance_of_seeds(right)
    spread = share * (1 - share)
    size = num_nodes if spread == 0 else spread / (spread / num_nodes + of_seeds)
    middle = (share + _NORMAL**2 / (2 * size)) / (1 + _NORMAL**2 / size)
    half = _NORMAL / (1 + _NORMAL**2 / size) * np.sqrt(spread / size + _NORMAL**2 / (4 * size**2))
    return Interval(share, float(max(0.0, middle - half)), float(min(1.0, middle + half)))


def gain_interval(right: np.ndarray, rival: np.ndarray) -> Interval:
    """By how much one network is more often right than another on the same nodes, for other nodes and other seeds.

    Args:
      right: (seeds, nodes), of the one.
      rival: of the other.
    """
    differences = right.mean(0) - rival.mean(0)
    variance = differences.var(ddof=1) / len(differences) if len(differences) > 1 else np.inf
    for of_network in (right, rival):
        variance += _variance_of_seeds(of_network)
    mean, half = float(differences.mean()), float(_NORMAL * np.sqrt(variance))
    return Interval(mean, mean - half, mean + half)


def _variance_of_seeds(right: np.ndarray) -> float:
    """The variance of the mean over seeds, larger for few of them as Student's distribution is wider than a normal."""
    from scipy import stats

    num_seeds = len(right)
    wider = float(stats.t.ppf(0.975, num_seeds - 1)) / _NORMAL
    return float(right.mean(1).var(ddof=1)) / num_seeds * wider**2


def power_columns(found: NodeReport) -> list[Column]:
    """What each power has in the network, and what is lost without it."""
    widths = np.array(found.network.layer_widths)
    rivals = {rival.power: rival for rival in found.rivals}
    columns = [
        Column("power", list(found.network.powers), str),
        Column("columns", [" then ".join(map(str, of_power)) for of_power in widths.T.tolist()]),
    ]
    if rivals:
        chosen = [rivals[power] for power in found.network.powers]
        columns += [
            Column("accuracy without it", [rival.accuracy for rival in chosen], percent),
            Column("lost without it", [points(rival.gain) for rival in chosen], right=True),
            Column("", [verdict(rival.gain) for rival in chosen]),
        ]
    return columns


def verdict(gain: Interval) -> str:
    """Whether a power has earned its columns, as far as the data tell."""
    if gain.low > 0:
        return "earns its columns"
    return "costs accuracy" if gain.high < 0 else "not shown to matter"


def points(interval: Interval) -> str:
    """A difference of accuracies in points, with its interval."""
    value, low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in interval)
    return f"{value} ({low} to {high})"


def class_columns(found: NodeReport) -> list[Column]:
    """Accuracy of each class."""
    labels = np.asarray(found.nodes.labels)
    measured = [int((found.measured & (labels == code)).sum()) for code in range(found.nodes.num_classes)]
    assert found.nodes.train is not None
    trained = [int((found.nodes.train & (labels == code)).sum()) for code in range(found.nodes.num_classes)]
    return [
        Column("class", list(found.nodes.class_names)),
        Column("trained on", trained, str),
        Column("measured on", measured, str),
        Column(
            "accuracy", ["—" if of_class is None else percent(of_class.value) for of_class in found.classes], right=True
        ),
        Column(
            "95% interval",
            [
                "" if of_class is None else f"{percent(of_class.low)} to {percent(of_class.high)}"
                for of_class in found.classes
            ],
            right=True,
        ),
    ]


def node_columns(found: NodeReport) -> dict[str, list[Any]]:
    """Every node: what it is for, its class, and what is predicted."""
    nodes = found.nodes
    names, labels = nodes.class_names, np.asarray(nodes.labels)
    use = np.full(nodes.num_nodes, "", object)
    for part in ("train", "validation", "test"):
        mask = getattr(nodes, part)
        if mask is not None:
            use[mask] = part
    predicted = found.probabilities.argmax(1)
    return {
        "node": list(nodes.node_names) if nodes.node_names is not None else list(range(nodes.num_nodes)),
        "part": use.tolist(),
        "label": ["" if code < 0 else names[code] for code in labels.tolist()],
        "prediction": [names[code] for code in predicted.tolist()],
        "probability": [f"{value:.4f}" for value in found.probabilities.max(1).tolist()],
        "agreement_of_seeds": [f"{value:.2f}" for value in found.agreement.tolist()],
    }
