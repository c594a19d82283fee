"""What a graph is like, and what networks of nodes do with the powers of its adjacency."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import edge, require_all, require_choice, require_count, require_shape
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.mixhop.propagation import propagate_core
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

Nonlinearity: TypeAlias = Literal["relu", "tanh", "identity"] | Callable[[Array], Array]

_NONLINEARITIES: dict[Any, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "identity": lambda values: values,
}


@concise
class Homophily(NamedTuple):
    """How often neighbours are of one class; among nodes of known classes, without self-loops. NaN without any edge.

    Attributes:
      edges: the share of edges between nodes of one class.
      nodes: the mean over the nodes with neighbours of the share of these that are of the node's class.
      adjusted: (edges - c) / (1 - c), with the share c that there would be by chance, given how many edges the nodes of
        each class have: 0 where classes tell nothing of edges, 1 where all edges are within them.
    """

    edges: Float[Array, ""]
    nodes: Float[Array, ""]
    adjusted: Float[Array, ""]


@edge
def homophily(graph: Graph, labels: Int[AnyArray, " nodes"], *, num_classes: int | None = None) -> Homophily:
    """Measures how often neighbours are of one class.

    Args:
      graph: whose entries are the edges, whatever their weights.
      labels: classes from 0, or -1 where unknown.
      num_classes: the number of classes; by default one more than the largest label.

    Raises:
      ValueError: if there is not one label for each node, or one is less than -1 or no class.

    Source: Pei et al., 2020 (nodes); Platonov et al., 2023 (adjusted).
    """
    require_shape("labels", labels, (graph.num_nodes,), "one for each node")
    if num_classes is None:
        num_classes = int(labels.max()) + 1
    require_count(1, num_classes=num_classes)
    require_all(lambda codes: (codes >= -1) & (codes < num_classes), f"lie in [-1, {num_classes})", labels=labels)
    return _homophily(graph, jnp.asarray(labels), num_classes)


@functools.partial(jax.jit, static_argnums=2)
def _homophily(graph, labels, num_classes):
    of_receivers, of_senders = labels[graph.receivers], labels[graph.senders]
    counts = ((of_receivers >= 0) & (of_senders >= 0) & (graph.receivers != graph.senders)).astype(float)
    same = counts * (of_receivers == of_senders)
    share = same.sum() / counts.sum()

    of_nodes = lambda values: jax.ops.segment_sum(values, graph.receivers, graph.num_nodes, indices_are_sorted=True)
    degrees = of_nodes(counts)
    shares = jnp.where(degrees > 0, of_nodes(same) / jnp.where(degrees > 0, degrees, 1), 0)
    # an edge of unknown classes counts nothing, wherever it is counted
    ends = jnp.zeros(num_classes).at[of_receivers].add(counts).at[of_senders].add(counts)
    by_chance = jnp.square(ends / ends.sum()).sum()
    return Homophily(share, shares.sum() / (degrees > 0).sum(), (share - by_chance) / (1 - by_chance))


@edge
def neighborhood_mixing(
    graph: Graph,
    x: Float[AnyArray, "nodes features"],
    weights: Sequence[float] | Float[AnyArray, " powers"],
    activation: Nonlinearity,
) -> Float[Array, "nodes features"]:
    """Computes the sum over j of a_j σ(A^j x), which two layers of MixHop can represent for any a and σ.

    Args:
      graph: the normalised adjacency A.
      x: features of the nodes.
      weights: a_0, a_1, …
      activation: σ, "relu", "tanh", "identity" or a function.

    Raises:
      ValueError: if there is not one row of features for each node, or the activation is unknown.

    Source: Abu-El-Haija et al., 2019, definition 2.
    """
    require_shape("x", x, (graph.num_nodes, *x.shape[1:]), "a row for each node")
    if not callable(activation):
        require_choice("activation", activation, tuple(_NONLINEARITIES))
        activation = _NONLINEARITIES[activation]
    propagated, mixed = jnp.asarray(x), jnp.zeros_like(x)
    for power, weight in enumerate(weights):
        propagated = propagate_core(graph, propagated) if power else propagated
        mixed += weight * activation(propagated)
    return mixed


@edge
def delta_operator(
    graph: Graph, x: Float[AnyArray, "nodes features"], activation: Nonlinearity
) -> Float[Array, "nodes features"]:
    """Computes σ(A x) - σ(A² x), near neighbours against those of two steps, which no graph convolution represents.

    Args:
      graph: the normalised adjacency A.
      x: features of the nodes.
      activation: σ, as in `neighborhood_mixing`.

    Source: Abu-El-Haija et al., 2019, definition 1 and theorems 1 and 2.
    """
    return neighborhood_mixing(graph, x, (0.0, 1.0, -1.0), activation)


@edge
def count_delta_operators(kernel: Float[AnyArray, "inputs outputs"], num_powers: int) -> Int[Array, ""]:
    """Counts the features whose copies in several powers a column of a second layer weighs with both signs.

    Only weights above the median of their column, in absolute value, count. The first layer is to have one kernel for
    all powers, so that its columns are copies of the same features, side by side.

    Args:
      kernel: of one power of the second layer.
      num_powers: of the first layer.

    Raises:
      ValueError: if the rows are not equally many for each power.

    Source: Abu-El-Haija et al., 2019, figure 3.
    """
    require_count(1, num_powers=num_powers)
    kernel = jnp.asarray(kernel)
    if kernel.shape[0] % num_powers:
        raise ValueError(f"kernel must have as many rows for each of the {num_powers} powers, got {kernel.shape[0]}")
    sizes = jnp.abs(kernel)
    signs = jnp.where(sizes > jnp.median(sizes, axis=0), jnp.sign(kernel), 0)
    signs = signs.reshape(num_powers, -1, kernel.shape[1])
    return ((signs > 0).any(0) & (signs < 0).any(0)).sum()
