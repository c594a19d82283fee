"""The graph of variables and factors, for a figure or for other programs. Needs networkx, and matplotlib to draw."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from infotheory_dl._validation import edge, require_count
from infotheory_dl.corex._linear.model import LinearCorex
from infotheory_dl.corex.preprocessing import Preprocessing

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

_NODE = 60
_WIDEST = 3.0
_ASIDE = 4.0


@edge
def factor_graph(
    models: LinearCorex | Sequence[LinearCorex],
    *,
    names: Sequence[str] | None = None,
    max_parents: int = 1,
    min_information: float = 0.0,
) -> "networkx.DiGraph":
    """Builds the graph of which factor explains which variable.

    Args:
      models: one fit, or the layers of `fit_hierarchy`.
      names: of the variables; by default those of the columns, or their numbers if they have none.
      max_parents: edges into each variable, those with the most mutual information.
      min_information: nats that an edge must have.

    Returns:
      Edges from factors to variables with the attributes `information` (nats) and `sign` (of the correlation); nodes
      (layer, number) with the attributes `layer`, `label` and, for factors, `total_correlation`. networkx writes it
      as GraphML, JSON and the like.

    Raises:
      ValueError: if there are not as many names as variables, or max_parents is not positive.
      ModuleNotFoundError: if networkx is not installed.
    """
    import networkx

    layers = [models] if isinstance(models, LinearCorex) else list(models)
    num_variables = layers[0].weights.shape[1]
    labels = _variable_names(layers[0].preprocessing, num_variables) if names is None else list(names)
    if len(labels) != num_variables:
        raise ValueError(f"names must be one for each of the {num_variables} variables, got {len(labels)}")
    require_count(1, max_parents=max_parents)

    graph = networkx.DiGraph()
    for variable, label in enumerate(labels):
        graph.add_node((0, variable), layer=0, label=label)
    for layer, model in enumerate(layers, start=1):
        for factor, explained in enumerate(np.asarray(model.total_correlations).tolist()):
            graph.add_node((layer, factor), layer=layer, label=f"Z{layer}.{factor}", total_correlation=explained)
        information = np.asarray(model.mutual_informations)
        positive = np.asarray(model.moments.correlations) >= 0
        for variable, parents in enumerate(np.argsort(-information, axis=0)[:max_parents].T):
            for factor in parents:
                if information[factor, variable] >= min_information:
                    graph.add_edge(
                        (layer, int(factor)),
                        (layer - 1, variable),
                        information=float(information[factor, variable]),
                        sign=1 if positive[factor, variable] else -1,
                    )
    return graph


def _variable_names(preprocessing: Preprocessing, num_variables: int) -> list[str]:
    if preprocessing.columns is None:
        return [str(i) for i in range(num_variables)]
    kept = range(num_variables) if preprocessing.kept is None else np.asarray(preprocessing.kept).tolist()
    return [preprocessing.columns.names[place] for place in kept]


def draw_factor_graph(graph: "networkx.DiGraph", axes: "Axes | None" = None) -> "Axes":
    """Draws the graph: variables below, every factor above the middle of what it explains.

    The width of an edge is its information; a dashed one is a negative correlation.

    Args:
      graph: of `factor_graph`.
      axes: where to draw; by default those of a new figure, which is `axes.figure` of the result.

    Returns:
      The axes.

    Raises:
      ModuleNotFoundError: if matplotlib is not installed.
    """
    places = _places(graph)
    if axes is None:
        from matplotlib.figure import Figure

        width = max(4.0, 0.25 * sum(layer == 0 for layer, _ in places))
        axes = Figure(figsize=(width, 4.0), layout="constrained").add_subplot()
    strongest = max((link["information"] for *_, link in graph.edges(data=True)), default=1.0) or 1.0
    for parent, child, link in graph.edges(data=True):
        axes.plot(
            *zip(places[parent], places[child], strict=True),
            color=f"C{_lineage(graph, parent)[0][1] % 10}",
            linewidth=_WIDEST * link["information"] / strongest,
            linestyle="-" if link["sign"] > 0 else "--",
            zorder=1,
        )
    for node, (across, up) in places.items():
        attributes = graph.nodes[node]
        axes.scatter(across, up, s=_NODE, color="white", edgecolor="black", zorder=2)
        axes.annotate(
            attributes["label"],
            (across, up),
            xytext=(0, -8 if node[0] == 0 else 6),
            textcoords="offset points",
            rotation=90 if node[0] == 0 else 0,
            ha="center",
            va="top" if node[0] == 0 else "bottom",
        )
    axes.margins(0.05, 0.25)
    axes.set_axis_off()
    return axes


def _places(graph: "networkx.DiGraph") -> dict[tuple[int, int], tuple[float, float]]:
    """Across: variables by their strongest ancestors, factors in the middle of their children. Up: the layer."""
    order = sorted((node for node in graph if node[0] == 0), key=lambda node: _lineage(graph, node))
    places = {node: (float(place), 0.0) for place, node in enumerate(order)}
    for node in sorted(node for node in graph if node[0] > 0):
        below = [places[child][0] for child in graph.successors(node)]
        # a factor without children stands aside
        across = float(np.mean(below)) if below else max(across for across, _ in places.values()) + _ASIDE
        places[node] = (across, float(node[0]))
    return places


def _lineage(graph: "networkx.DiGraph", node: tuple[int, int]) -> list[tuple[int, int]]:
    """The strongest parents above a node, from the highest down to the node itself."""
    parents = list(graph.predecessors(node))
    if not parents:
        return [node]
    strongest = max(parents, key=lambda parent: graph.edges[parent, node]["information"])
    return [*_lineage(graph, strongest), node]
