"""What large graphs need: nodes shared by devices, parts, samples, many small graphs; each beside the whole graph."""

import functools

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import pytest

from infotheory_dl import mixhop
from tests.devices import run_on_eight_devices
from tests.mixhop import cases
from tests.mixhop.test_propagation import adjacency, written_out

at = lambda batches, place: jax.tree.map(lambda leaf: leaf[place], batches)


def test_nodes_that_eight_devices_share_give_what_one_gives():
    run_on_eight_devices(
        """
import jax, jax.numpy as jnp, numpy as np
from infotheory_dl import mixhop

random = np.random.default_rng(0)
dense = (random.random((27, 27)) < 0.2) * random.uniform(0.5, 2, (27, 27))
dense[3] = 1.0
x, labels, mask = random.normal(size=(27, 6)), random.integers(0, 3, 27), np.arange(27) < 10
network = mixhop.MixHop((0, 1, 2), ((4, 3, 5), (0, 3, 3)), 3)

@jax.jit
def gradient(params, graph, x, labels, mask):
    def total(params):
        losses, logits, _ = mixhop.node_loss(network, {"params": params}, graph, x, labels, mask, l2=1e-3)
        return losses.total, logits
    (total, logits), slopes = jax.value_and_grad(total, has_aux=True)(params)
    return total, logits, slopes

for directed in (False, True):
    matrix = dense if directed else np.maximum(dense, dense.T)
    graph = mixhop.normalize(matrix, directed=directed)
    params = jax.jit(network.init)(jax.random.key(0), graph, x)["params"]
    shared = mixhop.shard_graph(graph)
    assert shared.num_nodes == 32 and len(shared.mask.sharding.device_set) == 8
    given = [mixhop.shard_nodes(shared, array) for array in (x, labels, mask)]
    total, logits, slopes = gradient(params, shared, *given)
    assert len(logits.sharding.device_set) == 8
    expected = gradient(params, graph, x, labels, mask)
    np.testing.assert_allclose(total, expected[0], rtol=1e-10)
    np.testing.assert_allclose(logits[:27], expected[1], rtol=1e-8, atol=1e-10)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10), slopes, expected[2])
    # a device sees the columns that are multiplied, and no more
    text = gradient.lower(params, shared, *given).compile().as_text()
    assert "all-gather" in text
"""
    )


@pytest.mark.parametrize("directed", [True, False])
def test_parts_of_a_graph_are_normalised_on_their_own(directed):
    matrix = adjacency(0, size=50, directed=directed, weighted=True)
    batches = mixhop.cluster_batches(matrix, 4, directed=directed)
    assert sorted(batches.nodes[batches.graphs.mask].tolist()) == list(range(50))
    x = np.random.default_rng(1).normal(size=(50, 3))

    def step(carry, batch):
        value, pull_back = jax.vjp(lambda x: mixhop.propagate(batch.graphs, x), jnp.asarray(x)[batch.nodes])
        return carry, (value, *pull_back(value))

    _, (values, gradients) = jax.lax.scan(step, None, batches)
    for place in range(4):
        nodes = np.asarray(batches.nodes[place])[np.asarray(batches.graphs.mask[place])]
        of_part = written_out(mixhop.normalize(matrix[np.ix_(nodes, nodes)], directed=directed))
        np.testing.assert_allclose(values[place][: len(nodes)], of_part @ x[nodes], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            gradients[place][: len(nodes)], of_part.T @ (of_part @ x[nodes]), rtol=1e-10, atol=1e-12
        )
        np.testing.assert_array_equal(values[place][len(nodes) :], 0)


def test_parts_keep_neighbours_together():
    """Of a long ladder only the rungs between parts are cut."""
    ladder = networkx.to_numpy_array(networkx.grid_2d_graph(2, 40))
    order = np.random.default_rng(0).permutation(80)
    batches = mixhop.cluster_batches(ladder[np.ix_(order, order)], 4, self_loops=False, normalization="none")
    assert ladder.sum() - batches.graphs.weights.sum() <= 2 * 3 * 3


def test_a_network_of_a_part_does_not_see_what_fills_up():
    matrix, x = adjacency(0), np.random.default_rng(0).normal(size=(24, 3))
    batches = mixhop.cluster_batches(matrix, 5)
    assert not batches.graphs.mask.all()
    network = mixhop.MixHop((0, 1), ((3, 3), (2, 2)), 2)
    apply = jax.jit(network.apply)
    variables = jax.jit(network.init)(jax.random.key(0), mixhop.normalize(matrix), x)
    batch = at(batches, int(np.argmin(batches.graphs.mask.sum(1))))
    nodes = np.asarray(batch.nodes)[np.asarray(batch.graphs.mask)]
    alone = mixhop.normalize(matrix[np.ix_(nodes, nodes)])
    ours = apply(variables, batch.graphs, x[batch.nodes])[: len(nodes)]
    np.testing.assert_allclose(ours, apply(variables, alone, x[nodes]), rtol=1e-10, atol=1e-12)


def test_small_graphs_side_by_side_are_as_each_alone():
    matrices = [adjacency(seed, size) for seed, size in enumerate((6, 4, 9, 5, 4))]
    batches = mixhop.small_graph_batches(matrices, 2)
    x = np.random.default_rng(0).normal(size=(28, 2))
    starts = np.cumsum([0, 6, 4, 9, 5, 4])
    pooled = []
    for place in range(3):
        batch = at(batches, place)
        rows = mixhop.propagate(batch.graphs, x[batch.nodes])
        pooled.append(mixhop.pool_nodes(rows, batch.graph_ids, 2))
    expected = [
        (written_out(mixhop.normalize(matrix)) @ x[start : start + len(matrix)]).mean(0)
        for start, matrix in zip(starts, matrices, strict=False)
    ]
    np.testing.assert_allclose(np.concatenate(pooled)[:5], expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(pooled[2][1], 0)


@functools.cache
def sampled_graph():
    return mixhop.normalize(adjacency(3, size=40))


def test_samples_of_all_neighbours_are_exact():
    graph, x = sampled_graph(), np.random.default_rng(0).normal(size=(40, 5))
    network = mixhop.MixHop((0, 2, 1), ((4, 3, 5), (1, 3, 3)), 3, batch_norm=False, head="dense")
    variables = jax.jit(network.init)(jax.random.key(0), graph, x)
    nodes = np.array([7, 0, 39])
    fan_out = int(np.bincount(graph.receivers).max())
    sampled = mixhop.sample_neighbors(jax.random.key(1), graph, nodes, fan_out=fan_out, num_hops=4)

    @jax.jit
    def loss(variables, graph, x, chosen):
        logits = network.apply(variables, graph, x)
        return jnp.square(logits[chosen]).sum(), logits[chosen]

    exact, ours = (
        jax.value_and_grad(loss, has_aux=True)(variables, *given)
        for given in ((graph, x, nodes), (sampled, x[sampled.nodes], np.arange(3)))
    )
    np.testing.assert_allclose(ours[0][1], exact[0][1], rtol=1e-10)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10), ours[1], exact[1])


def test_samples_of_few_neighbours_are_unbiased_and_share_a_program():
    graph, random = sampled_graph(), np.random.default_rng(0)
    x, nodes = random.normal(size=(40, 2)), np.array([3, 20, 5])
    kernels = [np.eye(2), np.eye(2), np.eye(2)]
    exact = mixhop.mix(graph, x, kernels, (0, 1, 2))[nodes]
    mixed = jax.jit(lambda sampled, x: mixhop.mix(sampled, x, kernels, (0, 1, 2)))
    draws = []
    for seed in range(600):
        sampled = mixhop.sample_neighbors(jax.random.key(seed), graph, nodes, fan_out=2, num_hops=2)
        draws.append(mixed(sampled, x[sampled.nodes]))
    deviation = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert (np.abs(np.mean(draws, axis=0) - exact) <= 4 * deviation + 1e-12).all()
    assert deviation[:, 2:].max() > 0
    assert mixed._cache_size() == 1


def test_propagated_features_make_nodes_examples():
    graph, x = cases.graph(), cases.small()["X"].astype(float)
    features = mixhop.propagated_features(graph, mixhop.sparse_rows(x), (0, 2))
    matrix = written_out(graph)
    np.testing.assert_allclose(features, np.stack([x, matrix @ matrix @ x], 1), rtol=1e-10, atol=1e-12)
    network = mixhop.SIGN((0, 2), 4, 3)
    variables = jax.jit(network.init)(jax.random.key(0), graph, x)
    apply = jax.jit(network.apply)
    whole = apply(variables, graph, x)
    np.testing.assert_allclose(apply(variables, None, features[5:9]), whole[5:9], rtol=1e-10)


def test_the_linear_classifier_of_propagated_features_is_its_definition():
    graph, x = cases.graph(), cases.small()["X"].astype(float)
    network = mixhop.SGC(3, normalize_rows=False)
    variables = jax.jit(network.init)(jax.random.key(0), graph, x)
    kernel, bias = (variables["params"]["layer_0"][name] for name in ("power_2", "bias"))
    matrix = written_out(graph)
    np.testing.assert_allclose(network.apply(variables, graph, x), matrix @ matrix @ x @ kernel + bias, rtol=1e-10)


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mixhop.cluster_batches(np.eye(3), 4), r"num_batches must lie in \[1, 3\], the number of nodes, got 4"),
        (lambda: mixhop.small_graph_batches([], 2), r"len\(adjacencies\) must be at least 1, got 0"),
        (lambda: mixhop.pool_nodes(np.ones((3, 2)), [0, 1], 2), "x and graph_ids must have one length, got 3 and 2"),
        (lambda: sample([40]), r"nodes must lie in \[0, 40\), got 40"),
        (lambda: sample([1, 1]), "nodes must differ from each other, got 1 at 2 places"),
        (lambda: sample([]), "nodes must not be empty"),
        (lambda: sample([1], fan_out=0), "fan_out must be at least 1, got 0"),
        (lambda: mix(sample([1], num_hops=1)), "graph must be sampled with num_hops=2 at least, got 1"),
        (lambda: mix(sample([1]), order="propagate"), "order must be 'auto' or 'project' where the graph is sampled"),
        (lambda: network(sample([1], num_hops=3)), "graph must be sampled with num_hops=4, the highest power of each"),
        (lambda: mixhop.propagated_features(cases.graph(), np.ones((24, 2)), (1, 1)), "powers must differ"),
        (lambda: mixhop.shard_nodes(mixhop.shard_graph(cases.graph()), np.ones(3)), r"x must have the shape \(24,\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def sample(nodes, **settings):
    settings = {"fan_out": 2, "num_hops": 2} | settings
    return mixhop.sample_neighbors(jax.random.key(0), sampled_graph(), nodes, **settings)


def mix(graph, **settings):
    return mixhop.mix(graph, np.ones((graph.num_nodes, 3)), [np.ones((3, 2))] * 2, (0, 2), **settings)


def network(graph):
    module = mixhop.MixHop((0, 2), ((2, 2), (2, 2)), 2)
    return module.init(jax.random.key(0), graph, np.ones((graph.num_nodes, 3)))
