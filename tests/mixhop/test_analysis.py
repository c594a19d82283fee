"""The theorems of MixHop by their constructions, the count of its delta operators, and homophily."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infotheory_dl import mixhop
from infotheory_dl.data import graphs
from tests.mixhop import cases

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "identity": lambda values: values}
MIXING = jax.jit(mixhop.neighborhood_mixing, static_argnums=3)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_delta_operator_is_that_of_the_reference(activation):
    arrays = cases.small()
    ours = jax.jit(functools.partial(mixhop.delta_operator, activation=activation))(cases.graph(), arrays["delta/X"])
    np.testing.assert_allclose(ours, arrays[f"delta/{activation}"], rtol=1e-9, atol=1e-12)


def test_mixing_of_neighbourhoods_is_that_of_the_reference():
    arrays = cases.small()
    ours = MIXING(cases.graph(), arrays["delta/X"], arrays["mixing/alpha"], "tanh")
    np.testing.assert_allclose(ours, arrays["mixing/tanh"], rtol=1e-9, atol=1e-12)


@jax.jit
def two_layers(graph, x, weights):
    """Activations of a first layer that copies every power, and a second that sums them by the weights."""
    identity = jnp.eye(x.shape[1])
    powers = tuple(range(len(weights)))
    hidden = mixhop.mix(graph, x, [identity] * len(powers), powers)
    second = jnp.concatenate([weight * identity for weight in weights])
    return {name: mixhop.mix(graph, act(hidden), [second], (0,)) for name, act in ACTIVATIONS.items()}


@settings(max_examples=10, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_two_layers_of_mixhop_represent_the_delta_operator_and_any_mixing(seed):
    random = np.random.default_rng(seed)
    x, weights = random.normal(size=(24, 3)), random.normal(size=3)
    for given_weights in (jnp.array([0.0, 1.0, -1.0]), jnp.asarray(weights)):
        represented = two_layers(cases.graph(), x, given_weights)
        for name, output in represented.items():
            expected = MIXING(cases.graph(), x, given_weights, name)
            np.testing.assert_allclose(output, expected, rtol=1e-12, atol=1e-13)


def test_no_graph_convolution_represents_the_delta_operator():
    """Theorem 1. If one did on all graphs, its kernels' product would have equal rows, and its output rank one."""
    size = int(cases.reference("mixhop_tables")["theorem1/n"])
    rows = []
    for first in range(size):
        for second in range(first + 1, size):
            graph = mixhop.normalize(([first, second], [second, first]), num_nodes=size)
            rows.append(np.eye(size) - np.asarray(mixhop.propagate(graph, np.eye(size))))
    rank = np.linalg.matrix_rank(np.concatenate(rows))
    assert rank == size - 1 == cases.reference("mixhop_tables")["theorem1/stack_rank"]
    # what all of these send to zero has equal rows
    np.testing.assert_allclose(np.concatenate(rows) @ np.ones((size, 1)), 0, atol=1e-12)
    delta = mixhop.delta_operator(cases.graph(), np.eye(24), "identity")
    assert np.linalg.matrix_rank(delta) > 1


def test_delta_operators_are_counted_as_in_the_reference():
    arrays = cases.small()
    count = mixhop.count_delta_operators(arrays["delta_count/W"], int(arrays["delta_count/num_powers"]))
    assert count == arrays["delta_count/count"]


def test_a_feature_counts_once_for_a_column_that_weighs_its_copies_with_both_signs():
    kernel = np.array([[5.0, 5.0], [0.1, 4.0], [-5.0, 5.0], [0.2, 0.1], [0.1, -4.0], [0.1, 0.2]])
    assert mixhop.count_delta_operators(kernel, 3) == 1  # copies are two rows apart
    assert mixhop.count_delta_operators(kernel, 1) == 0


def test_homophily_is_its_definition():
    random = np.random.default_rng(0)
    labels = random.integers(-1, 3, 24)
    matrix = cases.small()["A"].astype(float)
    known = labels >= 0
    within = matrix[np.ix_(known, known)]
    classes = labels[known]
    same = classes[:, None] == classes
    degrees = within.sum(1)
    chance = np.square([degrees[classes == label].sum() / degrees.sum() for label in range(3)]).sum()
    measured = mixhop.homophily(cases.graph(), labels)
    share = (within * same).sum() / within.sum()
    np.testing.assert_allclose(measured.edges, share)
    np.testing.assert_allclose(
        measured.nodes, ((within * same).sum(1)[degrees > 0] / degrees[degrees > 0]).mean(), rtol=1e-12
    )
    np.testing.assert_allclose(measured.adjusted, (share - chance) / (1 - chance))


def test_homophily_of_published_graphs_is_the_measured_one(shared_data):
    for nominal, measured in ((0.0, 0.0001), (0.4, 0.3951), (0.9, 0.8969)):
        data = graphs.read_graph(shared_data / "graphs" / f"synthetic_h{nominal}.npz")
        graph = mixhop.normalize(data.adjacency)
        assert len(graph.weights) == 64596
        assert round(float(mixhop.homophily(graph, data.labels).edges), 4) == measured


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mixhop.homophily(cases.graph(), [0, 1]), r"labels must have the shape \(24,\), one for each node"),
        (lambda: mixhop.homophily(cases.graph(), [-2] * 24), r"num_classes must be at least 1"),
        (lambda: mixhop.homophily(cases.graph(), [3] * 24, num_classes=2), r"labels must lie in \[-1, 2\), got 3"),
        (lambda: mixhop.delta_operator(cases.graph(), np.ones((24, 1)), "elu"), "unknown activation 'elu'"),
        (lambda: mixhop.delta_operator(cases.graph(), np.ones((3, 1)), "relu"), r"x must have the shape \(24, 1\)"),
        (lambda: mixhop.count_delta_operators(np.ones((4, 2)), 3), "as many rows for each of the 3 powers, got 4"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
