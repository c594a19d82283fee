"""Graphs that are drawn with a chosen homophily: how often neighbours are of one class."""

import jax
import numpy as np
from jaxtyping import Float

from infotheory_dl._validation import edge, require_count, require_within
from infotheory_dl.data.graphs.nodes import NodeData
from infotheory_dl.types import AnyArray, Key

# of the published graphs: nodes that receive one edge only, and the circle of the classes' features
_FIRST_NODES = 40
_RADIUS = 300.0
_VARIANCE_ALONG, _VARIANCE_ACROSS = 24_500.0, 7_000.0


@edge
def homophilous_graph(
    key: Key, homophily: float, *, num_nodes: int = 5000, num_classes: int = 10, edges_per_node: int = 6
) -> NodeData:
    """Draws a graph that grows node by node, and prefers nodes of many edges and, by the homophily, of its own class.

    Every node has a class at random. It is joined to `edges_per_node` earlier ones, each with a probability in
    proportion to its edges times h for the same class; of the 1 - h for others, a class at twice the distance on the
    circle of classes has half the share. Features are two numbers, Gaussian around the place of the class on a circle,
    so that neighbouring classes overlap. As in the published graphs the first node has no edge, and the next 39 have
    one each.

    Args:
      key: source of randomness.
      homophily: h, in [0, 1].
      num_nodes: more than 40.
      num_classes: at least two.
      edges_per_node: edges to earlier nodes, at most 39.

    Returns:
      The nodes, without a split.

    Raises:
      ValueError: if a setting is out of its range.

    Source: Abu-El-Haija et al., 2019, after Karimi et al., 2018; distances and covariances were found in its graphs.
    """
    from scipy import sparse

    require_within("[0, 1]", homophily=homophily)
    require_count(_FIRST_NODES + 1, num_nodes=num_nodes)
    require_count(2, num_classes=num_classes)
    require_count(1, _FIRST_NODES - 1, edges_per_node=edges_per_node)
    key_labels, key_features, key_edges = jax.random.split(key, 3)
    labels = np.asarray(jax.random.randint(key_labels, (num_nodes,), 0, num_classes, np.int32))

    distances = np.abs(np.arange(num_classes) - np.arange(num_classes)[:, None])
    shares = np.where(distances == 0, 0.0, 0.5 ** np.minimum(distances, num_classes - distances))
    shares = (1 - homophily) * shares / shares.sum(1, keepdims=True) + homophily * np.eye(num_classes)

    random = np.random.default_rng(np.asarray(jax.random.key_data(key_edges)).tolist())
    degrees = np.zeros(num_nodes)
    degrees[1] = 1  # more than it has, else nobody would be joined to it
    edges = []
    for node in range(2, num_nodes):
        count = 1 if node < _FIRST_NODES else edges_per_node
        weights = shares[labels[node], labels[:node]] * degrees[:node]
        # too few of the classes that have a share: then others too
        weights = weights if np.count_nonzero(weights) >= count else weights + 1e-9 * degrees[:node]
        # the least of exponential times are a draw without replacement
        with np.errstate(divide="ignore"):
            times = random.exponential(size=node) / weights
        chosen = np.argpartition(times, count - 1)[:count]
        edges.append(np.stack([np.full(count, node), chosen]))
        degrees[chosen] += 1
        degrees[node] += count
    ends = np.concatenate(edges, axis=1)
    ones = np.ones(2 * ends.shape[1])
    both = np.concatenate([ends, ends[::-1]], axis=1)
    adjacency = sparse.coo_array((ones, tuple(both)), shape=(num_nodes, num_nodes)).tocsr()
    adjacency.sort_indices()

    angles = class_angles(num_classes)[labels]
    out, along = np.stack([np.sin(angles), np.cos(angles)], 1), np.stack([np.cos(angles), -np.sin(angles)], 1)
    noise = np.asarray(jax.random.normal(key_features, (2, num_nodes, 1), np.float32))
    features = _RADIUS * out + np.sqrt(_VARIANCE_ACROSS) * noise[0] * out + np.sqrt(_VARIANCE_ALONG) * noise[1] * along
    names = tuple(map(str, range(num_classes)))
    return NodeData(adjacency, features.astype(np.float32), labels, names, name=f"homophily {homophily:g}")


@edge
def class_angles(num_classes: int) -> Float[np.ndarray, " classes"]:
    """The places of classes on the circle that their features lie around."""
    return 2 * np.pi * np.arange(num_classes) / num_classes


@edge
def radial_features(
    x: Float[AnyArray, "nodes 2"], *, num_centers: int = 50, radius: float = _RADIUS, scale: float = 1e-5
) -> Float[np.ndarray, "nodes centers"]:
    """Computes exp(-scale ‖x - c‖²) for centres c on a circle.

    Args:
      x: features of two numbers.
      num_centers: centres.
      radius: of the circle.
      scale: of the squared distances.

    Source: Abu-El-Haija et al., 2019.
    """
    require_count(1, num_centers=num_centers)
    angles = class_angles(num_centers)
    centers = radius * np.stack([np.sin(angles), np.cos(angles)], 1)
    points = np.asarray(x)
    squares = np.square(points[:, None].astype(float) - centers).sum(-1)
    return np.exp(-scale * squares).astype(points.dtype)
