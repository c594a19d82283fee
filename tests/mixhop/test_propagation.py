"""Normalised graphs, products with them by every backend, and mixing of powers, beside dense matrices of NumPy."""

import functools
from itertools import combinations
from typing import get_args

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from infotheory_dl import mixhop
from infotheory_dl.mixhop import _slots, mixing
from infotheory_dl.mixhop.propagation import Backend, propagate_core
from tests.mixhop import cases

BACKENDS = [backend for backend in get_args(Backend) if backend != "auto"]
PROPAGATE = jax.jit(mixhop.propagate, static_argnames="backend")
MIX = jax.jit(mixhop.mix, static_argnames=("powers", "order"))


def adjacency(seed, size=24, directed=False, weighted=False):
    """A random graph, with a node that has no edges and one that has most of them."""
    random = np.random.default_rng(seed)
    matrix = (random.random((size, size)) < 0.15).astype(float)
    matrix[3] = random.random(size) < 0.8
    if weighted:
        matrix *= random.uniform(0.5, 2, (size, size))
    if not directed:
        matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    matrix[-1] = matrix[:, -1] = 0
    return matrix


def written_out(graph):
    dense = np.zeros((graph.num_nodes, graph.num_nodes))
    dense[graph.receivers, graph.senders] = graph.weights
    return dense


def test_the_normalised_adjacency_is_the_published_one():
    np.testing.assert_allclose(written_out(cases.graph()), cases.small()["A_hat"], rtol=1e-12)


@pytest.mark.parametrize("normalization", ["symmetric", "row", "none"])
@pytest.mark.parametrize("self_loops", [True, False])
@pytest.mark.parametrize("directed", [True, False])
def test_every_normalisation_is_its_definition(normalization, self_loops, directed):
    matrix = adjacency(0, directed=directed, weighted=True)
    graph = mixhop.normalize(matrix, normalization=normalization, self_loops=self_loops, directed=directed)
    expected = matrix + self_loops * np.eye(len(matrix))
    degrees = expected.sum(1)
    inverse = np.where(degrees > 0, 1 / np.where(degrees > 0, degrees, 1), 0)
    if normalization == "symmetric":
        expected = np.sqrt(inverse)[:, None] * expected * np.sqrt(inverse)
    elif normalization == "row":
        expected = inverse[:, None] * expected
    np.testing.assert_allclose(written_out(graph), expected, rtol=1e-12)
    np.testing.assert_array_equal(written_out(graph.reversed), written_out(graph).T)
    assert (graph.transposed is None) == (normalization != "row" and not directed)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("directed", [True, False])
def test_every_backend_multiplies_and_pulls_back_as_a_dense_matrix_does(backend, directed):
    graph = mixhop.normalize(adjacency(1, directed=directed), directed=directed)
    x, cotangent = np.random.default_rng(2).normal(size=(2, 24, 4))

    @jax.jit
    def both(graph, x, cotangent):
        value, pull_back = jax.vjp(lambda x: mixhop.propagate(graph, x, backend=backend), x)
        return value, *pull_back(cotangent)

    value, gradient = both(graph, x, cotangent)
    np.testing.assert_allclose(value, written_out(graph) @ x, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, written_out(graph).T @ cotangent, rtol=1e-12, atol=1e-14)


def test_no_gradient_of_a_symmetric_graph_scatters():
    graph = cases.graph()
    program = jax.make_jaxpr(jax.grad(lambda x: jnp.square(mixhop.propagate(graph, x)).sum()))(jnp.ones((24, 2)))
    assert "gather" in str(program)
    assert "scatter" not in str(program)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, jnp.bfloat16, jnp.float16])
def test_products_keep_the_dtype_and_sum_half_precision_in_single(dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(24, 2)), dtype)
    # the edge computes with half precision in single; the core keeps it
    product = jax.jit(propagate_core)(cases.graph(), x)
    assert product.dtype == dtype
    expected = jax.jit(propagate_core)(cases.graph(), x.astype(float))
    tolerance = {2: 4e-3 if dtype == jnp.bfloat16 else 5e-4, 4: 1e-6, 8: 1e-15}[np.dtype(dtype).itemsize]
    np.testing.assert_allclose(product.astype(float), expected, rtol=2 * tolerance, atol=tolerance)


def test_products_of_many_columns_or_none_keep_their_shape():
    graph = cases.graph()
    x = np.random.default_rng(0).normal(size=(24, 3, 2))
    np.testing.assert_allclose(
        mixhop.propagate(graph, x), np.einsum("ij,jkl->ikl", written_out(graph), x), rtol=1e-12, atol=1e-14
    )
    assert mixhop.propagate(graph, x[:, 0, 0]).shape == (24,)
    assert mixhop.propagate(graph, x[:, 0, :0]).shape == (24, 0)


def test_models_side_by_side_share_the_graph():
    x = np.random.default_rng(0).normal(size=(5, 24, 2))
    of_many = jax.jit(jax.vmap(mixhop.propagate, in_axes=(None, 0)))(cases.graph(), x)
    np.testing.assert_allclose(of_many, written_out(cases.graph()) @ x, rtol=1e-12, atol=1e-14)


def test_an_infinite_feature_reaches_its_neighbours_alone():
    graph = cases.graph()
    x = np.ones((24, 1))
    x[0] = np.inf
    reached = ~np.isfinite(np.asarray(mixhop.propagate(graph, x))[:, 0])
    np.testing.assert_array_equal(reached, written_out(graph)[:, 0] > 0)


@settings(max_examples=20, derandomize=True)
@given(lengths=st.lists(st.integers(0, 1400), min_size=1, max_size=12))
def test_rows_of_any_lengths_are_summed(lengths):
    """Longer rows than a bucket takes are cut into pieces, whose sums are added up."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    columns = np.random.default_rng(0).integers(0, 50, starts[-1]).astype(np.int32)
    values = np.random.default_rng(1).normal(size=starts[-1])
    slots = _slots.make_slots(starts, columns)
    weights = [np.append(values, 0)[entries] for entries in slots.entries]
    rows = np.concatenate([of_slots.sum(0) for of_slots in weights])
    summed = rows[slots.places]
    np.add.at(summed, slots.parents, rows[slots.piece_places])
    np.testing.assert_allclose(summed, np.add.reduceat(np.append(values, 0), starts[:-1]) * (np.array(lengths) > 0))
    assert all(len(entries) <= 512 for entries in slots.entries)
    assert len(slots.entries) <= 7


def test_a_row_longer_than_any_bucket_is_multiplied():
    random = np.random.default_rng(0)
    matrix = sparse.random_array((3, 2000), density=0.8, rng=random).tocsr()
    features = mixhop.sparse_rows(matrix)
    kernel = random.normal(size=(2000, 2))
    value, pull_back = jax.vjp(mixhop.project, features, jnp.asarray(kernel))
    np.testing.assert_allclose(value, matrix @ kernel, rtol=1e-12)
    cotangent = jnp.asarray(random.normal(size=(3, 2)))
    to_features, to_kernel = pull_back(cotangent)
    np.testing.assert_allclose(to_kernel, matrix.T @ cotangent, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(to_features.values, (cotangent @ kernel.T)[features.rows, features.columns], rtol=1e-12)


def test_fewest_slots_are_left_empty():
    """The choice of the buckets, beside all choices."""
    lengths = np.random.default_rng(0).permutation(np.repeat([1, 2, 3, 5, 8, 16, 24, 40], [9, 1, 7, 2, 5, 4, 1, 2]))
    sizes = np.unique(lengths)
    slots = lambda caps: np.asarray(caps)[np.searchsorted(caps, lengths)].sum()
    fewest = min(slots([*chosen, sizes[-1]]) for chosen in combinations(sizes[:-1], 5))
    assert slots(_slots._caps(lengths)) == fewest


CONTAINERS = {
    "array": lambda matrix: matrix,
    "list": lambda matrix: matrix.tolist(),
    "csr": sparse.csr_array,
    "csc matrix": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "edges": lambda matrix: tuple(np.nonzero(matrix)[::-1]),
    "weighted edges": lambda matrix: (*np.nonzero(matrix)[::-1], matrix[np.nonzero(matrix)]),
    "edges given twice": lambda matrix: tuple(np.tile(np.nonzero(matrix)[::-1], 2)),
    "JAX": jnp.asarray,
    "truth values": lambda matrix: matrix.astype(bool),
    "networkx": networkx.from_numpy_array,
    "self-loops of weight one": lambda matrix: matrix + np.diag(np.arange(24) % 2),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_graph_is_the_same_whatever_holds_it(container):
    matrix = cases.small()["A"].astype(float)
    graph = mixhop.normalize(CONTAINERS[container](matrix), num_nodes=24)
    np.testing.assert_array_equal(written_out(graph), written_out(cases.graph()))


def test_edges_of_weights_add_up_and_edges_of_one_direction_may_stand_for_both():
    weighted = mixhop.normalize(([0, 1, 0, 1], [1, 0, 1, 0], [2.0, 2.0, 3.0, 3.0]), normalization="none")
    np.testing.assert_array_equal(written_out(weighted), [[1, 5], [5, 1]])
    once = mixhop.normalize(([0, 1], [1, 2]), num_nodes=4, symmetrize=True)
    both = mixhop.normalize(([0, 1, 1, 2], [1, 0, 2, 1]), num_nodes=4)
    np.testing.assert_array_equal(written_out(once), written_out(both))


def test_a_node_receives_from_the_senders_of_its_edges():
    forms = [([0], [1]), np.array([[0, 0], [1, 0]]), networkx.DiGraph([(0, 1)])]
    for form in forms:
        graph = mixhop.normalize(form, directed=True, normalization="none", self_loops=False)
        np.testing.assert_array_equal(mixhop.propagate(graph, np.array([1.0, 0.0])), [0, 1])


@pytest.mark.parametrize("powers", [(0, 1, 2), (2, 0), (3, 1), (1,), (0,)])
@pytest.mark.parametrize("is_sparse", [True, False])
def test_both_orders_of_mixing_are_the_definition(powers, is_sparse):
    random = np.random.default_rng(0)
    graph, matrix = cases.graph(), written_out(cases.graph())
    x = cases.small()["X"].astype(float)
    kernels = [random.normal(size=(10, width)) for width in (3, 0, 2)[: len(powers)]]
    expected = np.concatenate(
        [np.linalg.matrix_power(matrix, power) @ x @ kernel for power, kernel in zip(powers, kernels, strict=True)], 1
    )
    given = mixhop.sparse_rows(x) if is_sparse else x
    for order in ("auto", "project", "propagate"):
        np.testing.assert_allclose(MIX(graph, given, kernels, powers=powers, order=order), expected, rtol=1e-10)


def test_mixing_propagates_as_few_columns_as_it_can(monkeypatch):
    seen = []
    monkeypatch.setattr(
        mixing, "propagate_core", lambda graph, x, backend: seen.append(x.shape[1]) or propagate_core(graph, x)
    )

    def widths(num_inputs, widths):
        seen.clear()
        kernels = [jnp.ones((num_inputs, width)) for width in widths]
        jax.eval_shape(
            functools.partial(mixhop.mix, powers=(0, 1, 2)), cases.graph(), jnp.ones((24, num_inputs)), kernels
        )
        return list(seen)

    assert widths(10, (4, 3, 5)) == [5, 8]
    assert widths(2, (4, 3, 5)) == [2, 2]
    assert widths(10, (4, 3, 0)) == [3]
    assert widths(2, (4, 3, 0)) == [2]
    assert widths(10, (4, 0, 0)) == []


@settings(max_examples=10, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_renumbered_nodes_are_renumbered_in_the_output(seed):
    order = np.random.default_rng(seed).permutation(24)
    matrix, x = cases.small()["A"], cases.small()["X"].astype(float)
    ours = PROPAGATE(cases.graph(), x)
    renumbered = mixhop.normalize(matrix[np.ix_(order, order)])
    np.testing.assert_allclose(mixhop.propagate(renumbered, x[order]), ours[order], rtol=1e-12, atol=1e-15)


def test_sparse_rows_are_dropped_and_normalised_as_dense_ones():
    x = cases.small()["X"].astype(float) * np.linspace(1, 2, 10)
    features = mixhop.sparse_rows(x)
    np.testing.assert_array_equal(mixhop.to_dense(features), x)
    np.testing.assert_allclose(
        mixhop.to_dense(mixhop.unit_rows(features)), mixhop.unit_rows(x), rtol=1e-12, err_msg="node 0 has no features"
    )
    dropped = np.asarray(mixhop.to_dense(mixhop.sparse_dropout(jax.random.key(0), features, 0.5)))
    assert set(np.unique(dropped[x > 0] / x[x > 0])) == {0, 2}
    keys = jax.random.split(jax.random.key(1), 400)
    kept = jax.vmap(lambda key: mixhop.sparse_dropout(key, features, 0.3).values)(keys)
    np.testing.assert_allclose(kept.mean(0), features.values, rtol=0.2)


def test_the_weighted_sum_is_one_of_segments():
    outputs, weights = np.arange(14.0).reshape(2, 7), np.log([1.0, 3.0])
    with pytest.warns(UserWarning, match="1 of 7 columns of the last layer are not used"):
        summed = mixhop.weighted_sum(outputs, weights, 3)
    np.testing.assert_allclose(summed, 0.25 * outputs[:, :3] + 0.75 * outputs[:, 3:6])


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mixhop.normalize(np.ones((2, 3))), ValueError, r"adjacency must be square \(nodes, nodes\), got sh"),
        (lambda: mixhop.normalize(np.ones(3)), ValueError, r"adjacency must have 2 axes \(nodes, nodes\)"),
        (lambda: mixhop.normalize([["a"]]), TypeError, "adjacency must hold real numbers"),
        (lambda: mixhop.normalize(np.zeros((0, 0))), ValueError, "adjacency must not be empty"),
        (lambda: mixhop.normalize(([0], [3]), num_nodes=3), ValueError, r"receivers must lie in \[0, 3\), got 3 at"),
        (lambda: mixhop.normalize(([-1], [0])), ValueError, r"senders must lie in \[0, 1\), got -1 at index 0"),
        (lambda: mixhop.normalize(([0, 1], [1])), ValueError, "senders, receivers and weights must have one length"),
        (lambda: mixhop.normalize(([0],)), ValueError, r"edges must be \(senders, receivers\) or .*, got 1"),
        (lambda: mixhop.normalize(([0], [1], [np.nan])), ValueError, "weights has 1 of 1 entries that are NaN"),
        (lambda: mixhop.normalize(-np.ones((2, 2))), ValueError, "weights must not be negative, got -1, with normali"),
        (
            lambda: mixhop.normalize(np.array([[0, 2.0], [1, 0]])),
            ValueError,
            r"symmetric, got 2 at \(0, 1\) and 1 at \(1, 0\): symmetrize=True .* directed=True",
        ),
        (lambda: mixhop.normalize(np.eye(2), normalization="rows"), ValueError, "unknown normalization 'rows'"),
        (lambda: mixhop.propagate(cases.graph(), np.ones((3, 2))), ValueError, r"x must have the shape \(24, 2\), a r"),
        (lambda: mixhop.propagate(cases.graph(), np.ones(24), backend="csr"), ValueError, "unknown backend 'csr'"),
        (lambda: mix((-1,)), ValueError, "powers must not be negative, got -1"),
        (lambda: mix((1, 1)), ValueError, r"powers must differ from each other, got \(1, 1\)"),
        (lambda: mix(()), ValueError, "powers must be at least one, got none"),
        (lambda: mix((1.0,)), TypeError, r"powers must be a whole number, got 1\.0"),
        (lambda: mix((1,), kernels=2), ValueError, "kernels must be one for each of the 1 powers, got 2"),
        (lambda: mix((1,), rows=3), ValueError, r"inputs must have the shape \(24, 10\), a row for each node"),
        (lambda: mix((1,), inputs=4), ValueError, r"kernels\[0\] must have the shape \(4, 2\), a row for each column"),
        (lambda: mix((1,), bias=np.ones(3)), ValueError, r"bias must have the shape \(2,\)"),
        (lambda: mix((1,), order="first"), ValueError, "unknown order 'first'"),
        (lambda: mixhop.weighted_sum(np.ones((4, 2)), np.ones(1), 3), ValueError, "each of the 3 classes, got 2: wid"),
        (lambda: mixhop.weighted_sum(np.ones((4, 6)), np.ones(1), 3), ValueError, r"weights must have the shape \(2,"),
        (lambda: mixhop.sparse_rows([[np.inf]]), ValueError, "matrix has 1 of 1 entries that are NaN or infinite"),
        (lambda: mixhop.sparse_dropout(KEY, SPARSE, 1.0), ValueError, r"rate must lie in \[0, 1\), got 1\.0"),
        (lambda: mixhop.project(SPARSE, np.ones((3, 2))), ValueError, r"kernel must have the shape \(2, 2\), a row"),
        (lambda: network(powers=(1, 1)), ValueError, "powers must differ"),
        (lambda: network(widths=((4,), (2, 3))), ValueError, "widths must be one for each of the 2 powers, got 1"),
        (lambda: network(widths=((0, 0), (2, 3))), ValueError, r"widths must not all be 0, got \(0, 0\)"),
        (lambda: network(widths=((-1, 2), (2, 3))), ValueError, r"widths\[0\] must be at least 0, got -1"),
        (lambda: network(widths=()), ValueError, "widths must be those of at least one layer, got none"),
        (lambda: network(widths=((4, 4), (1, 1))), ValueError, "needs a column for each of the 3 classes, got 2"),
        (lambda: network(hidden_dropout=1.0), ValueError, r"hidden_dropout must lie in \[0, 1\), got 1\.0"),
        (lambda: network(head="sum"), ValueError, "unknown head 'sum'"),
        (lambda: network(activation="elu"), ValueError, "unknown activation 'elu'"),
        (lambda: network(activated=(True,)), ValueError, "activated must be one truth value for each of the 2 layers"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


KEY = jax.random.key(0)
SPARSE = mixhop.sparse_rows(np.eye(2))


def mix(powers, kernels=None, rows=24, inputs=10, **settings):
    matrices = [np.ones((10, 2))] * (len(powers) if kernels is None else kernels)
    return mixhop.mix(cases.graph(), np.ones((rows, inputs)), matrices, powers, **settings)


def network(**settings):
    settings = {"powers": (0, 1), "widths": ((4, 4), (3, 3)), "num_classes": 3} | settings
    return mixhop.MixHop(**settings).init(KEY, cases.graph(), np.ones((24, 2)))
