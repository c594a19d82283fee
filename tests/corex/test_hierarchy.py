"""Layers of factors, and the graph and the figure of them."""

import sys

import jax
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from infotheory_dl.corex import linear

GROUPS = np.repeat(np.arange(4), 4)


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    top = np.repeat(rng.normal(size=(200, 2)), 2, axis=1)
    x = (top + 0.7 * rng.normal(size=(200, 4)))[:, GROUPS] + 0.5 * rng.normal(size=(200, 16))
    x[0, 0] = np.nan
    return linear.fit_hierarchy(jax.random.key(0), x, (4, 2), missing="mean", tolerance=1e-3)


def test_groups_of_groups_are_found(models):
    variables, groups = linear.hierarchy_clusters(models)
    assert adjusted_rand_score(variables, GROUPS) == 1
    assert adjusted_rand_score(groups, GROUPS // 2) == 1


def test_the_graph_has_the_strongest_parents_and_their_information(models):
    networkx = pytest.importorskip("networkx")
    graph = linear.factor_graph(models, names=[f"question {i}" for i in range(16)])
    assert len(graph) == 16 + 4 + 2
    assert graph.nodes[0, 3]["label"] == "question 3"
    assert graph.number_of_edges() == 16 + 4
    assert networkx.is_forest(graph.to_undirected())
    for (layer, factor), (below, variable), edge in graph.edges(data=True):
        assert below == layer - 1
        information = np.asarray(models[below].mutual_informations[:, variable])
        assert factor == information.argmax()
        assert edge["information"] == information.max()
        assert edge["sign"] == np.sign(models[below].moments.correlations[factor, variable])
    assert linear.factor_graph(models[0], max_parents=4).number_of_edges() == 64
    assert linear.factor_graph(models[0], min_information=np.inf).number_of_edges() == 0


def test_the_figure_shows_every_node_and_edge(models):
    pytest.importorskip("networkx")
    axes = linear.draw_factor_graph(linear.factor_graph(models))
    assert len(axes.texts) == len(axes.collections) == 22
    assert len(axes.lines) == 20
    # every factor stands above the middle of its children, and no two nodes at one place
    places = [tuple(nodes.get_offsets()[0]) for nodes in axes.collections]
    assert len(set(places)) == 22
    axes.figure.savefig("/dev/null", format="png")
    alone = linear.draw_factor_graph(linear.factor_graph(models[0], min_information=np.inf), axes)
    assert alone is axes


def test_neither_networkx_nor_pyplot_is_imported_with_the_room():
    import subprocess

    code = "import sys, infotheory_dl.corex.linear; assert not {'networkx', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_impossible_layers_and_names_are_refused_in_words(models, as_a_user_sees):
    with pytest.raises(ValueError, match="a hierarchy needs at least one layer, got none"):
        linear.fit_hierarchy(jax.random.key(0), np.eye(3), ())
    pytest.importorskip("networkx")
    with pytest.raises(ValueError, match="names must be one for each of the 16 variables, got 2"):
        linear.factor_graph(models, names=["a", "b"])
    with pytest.raises(ValueError, match="max_parents must be at least 1, got 0"):
        linear.factor_graph(models, max_parents=0)
