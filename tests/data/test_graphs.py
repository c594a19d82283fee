"""Graphs of files, of users and of draws: the facts that are known of them, and what is refused."""

import os
import pickle
from collections import defaultdict

import jax
import networkx
import numpy as np
import polars as pl
import pytest
from scipy import sparse

from infotheory_dl.data import graphs

FACTS = {
    "cora": (2708, 5278, (2708, 1433), 49216, [351, 217, 418, 818, 426, 298, 180], 0, (140, 500, 1000)),
    "citeseer": (3327, 4552, (3327, 3703), 105165, [249, 590, 668, 701, 596, 508], 15, (120, 500, 1000)),
}


@pytest.mark.parametrize("name", FACTS)
def test_citation_graphs_have_the_facts_that_are_known_of_them(name, shared_data):
    nodes, edges, shape, entries, counts, unknown, split = FACTS[name]
    data = graphs.read_graph(shared_data / "graphs" / f"{name}.npz")
    assert (data.num_nodes, data.adjacency.nnz / 2) == (nodes, edges)
    assert (data.features.shape, data.features.nnz) == (shape, entries)
    assert np.bincount(data.labels[data.labels >= 0]).tolist() == counts
    assert (data.labels == -1).sum() == unknown
    assert tuple(int(mask.sum()) for mask in (data.train, data.validation, data.test)) == split


def test_pubmed_is_not_read_without_the_features_that_it_lacks(shared_data):
    path = shared_data / "graphs" / "pubmed_graph_only.npz"
    with pytest.raises(
        ValueError, match=r"pubmed_graph_only.npz: it has features of 1,060 of its 19,717 nodes only, f"
    ):
        graphs.read_graph(path)
    alone = graphs.read_graph(path, graph_only=True)
    assert alone.features is None
    assert alone.adjacency.nnz + alone.num_nodes == 108365
    given = graphs.read_graph(path, features=np.ones((19717, 2), np.float32))
    assert given.features.shape == (19717, 2)


def planetoid_files(folder, *, protocol=2, hostile=None):
    """A small citation graph in the files of Planetoid: ten nodes, 8 missing; nodes 7 and 9 are listed, 9 first."""
    random = np.random.default_rng(0)
    features = (random.random((10, 6)) < 0.5).astype(np.float32)
    features[8] = 0
    labels = np.eye(3, dtype=np.int32)[[0, 1, 2, 0, 1, 2, 0, 1, 0, 2]]
    listed = [9, 7]
    neighbours = defaultdict(list, {i: [(i + 1) % 10, i, (i + 1) % 10] for i in range(10)})
    parts = {
        "x": sparse.csr_matrix(features[:3]),
        "tx": sparse.csr_matrix(features[listed]),
        "allx": sparse.csr_matrix(features[:7]),
        "y": labels[:3],
        "ty": labels[listed],
        "ally": labels[:7],
        "graph": neighbours,
    }
    for part, value in parts.items():
        content = hostile if part == "graph" and hostile is not None else pickle.dumps(value, protocol)
        (folder / f"ind.small.{part}").write_bytes(content)
    (folder / "ind.small.test.index").write_text("".join(f"{node}\n" for node in listed))
    return features, labels.argmax(1)


@pytest.mark.parametrize("protocol", range(5))
def test_raw_files_of_planetoid_are_put_together(tmp_path, protocol):
    features, labels = planetoid_files(tmp_path, protocol=protocol)
    data = graphs.read_planetoid(tmp_path, "small")
    np.testing.assert_array_equal(data.features.toarray(), features)
    np.testing.assert_array_equal(data.labels, np.where(np.arange(10) == 8, -1, labels))
    np.testing.assert_array_equal(np.flatnonzero(data.train), [0, 1, 2])
    np.testing.assert_array_equal(np.flatnonzero(data.test), [7, 9])
    ring = np.roll(np.eye(10), 1, axis=0)
    np.testing.assert_array_equal(data.adjacency.toarray(), ring + ring.T)


def test_a_whole_citation_graph_goes_through_the_raw_files(tmp_path, shared_data):
    expected = graphs.read_graph(shared_data / "graphs" / "citeseer.npz")
    with np.load(shared_data / "graphs" / "citeseer.npz") as arrays:
        listed = arrays["test_index_order"]
    first = int(listed.min())
    one_hot = np.eye(6, dtype=np.int32)[expected.labels] * (expected.labels >= 0)[:, None]
    starts, columns = expected.adjacency.indptr, expected.adjacency.indices
    parts = {
        "x": sparse.csr_matrix(expected.features[:120]),
        "tx": sparse.csr_matrix(expected.features[listed]),
        "allx": sparse.csr_matrix(expected.features[:first]),
        "y": one_hot[:120],
        "ty": one_hot[listed],
        "ally": one_hot[:first],
        "graph": {i: columns[starts[i] : starts[i + 1]].tolist() for i in range(expected.num_nodes)},
    }
    for part, value in parts.items():
        (tmp_path / f"ind.citeseer.{part}").write_bytes(pickle.dumps(value, 2))
    np.savetxt(tmp_path / "ind.citeseer.test.index", listed, "%d")
    data = graphs.read_planetoid(tmp_path, "citeseer")
    assert (data.features != expected.features).nnz == 0
    assert (data.adjacency != expected.adjacency).nnz == 0
    for part in ("labels", "train", "validation", "test"):
        np.testing.assert_array_equal(getattr(data, part), getattr(expected, part))


class Hostile:
    """Runs a command when it is unpickled by whoever lets it."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "name"),
    [(os.mkdir, "mkdir"), (eval, "eval"), (exec, "exec"), (__import__, "__import__"), (getattr, "getattr")],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_names_anything_else_is_refused_and_nothing_of_it_runs(tmp_path, function, name, protocol):
    trace = tmp_path / "it_ran"
    argument = str(trace) if function is os.mkdir else f"__import__('os').mkdir({str(trace)!r})"
    hostile = pickle.dumps([Hostile(function, argument)], protocol)
    planetoid_files(tmp_path, hostile=hostile)
    with pytest.raises(ValueError, match=rf"ind.small.graph is not read: of pickles only arrays.*{name}"):
        graphs.read_planetoid(tmp_path, "small")
    assert not trace.exists()
    if function in (os.mkdir, eval, exec):
        pickle.loads(hostile)
        assert trace.exists(), "it runs where it is let"


@pytest.mark.parametrize(
    "content",
    [
        # the attribute of a class, its constructor with any arguments, and a state of an object in the list
        b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.tofile\x93.",
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cnumpy\ndtype\n(S'O'\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntb.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nlist\nc__builtin__\nobject\nNtR.",
        b"ccopy_reg\n_reconstructor\n(cscipy.sparse.csr\ncsr_matrix\nc__builtin__\nobject\nNtR(lb.",
        b"not a pickle",
        b"",
        b"\x80\x02]q\x00(K\x01K\x02",
        b"cos\nsystem\n(S'true'\ntR.",
    ],
)
def test_a_damaged_or_odd_pickle_is_refused_in_words(tmp_path, content):
    planetoid_files(tmp_path, hostile=content)
    with pytest.raises(ValueError, match=r"ind\.small\.graph (is not read|must hold a dictionary)"):
        graphs.read_planetoid(tmp_path, "small")


def test_files_of_planetoid_that_do_not_fit_are_refused(tmp_path):
    planetoid_files(tmp_path)
    (tmp_path / "ind.small.test.index").write_text("7\n")
    with pytest.raises(ValueError, match=r"must fit each other, got .* and 1 listed nodes"):
        graphs.read_planetoid(tmp_path, "small")
    (tmp_path / "ind.small.test.index").write_text("seven\n")
    with pytest.raises(ValueError, match="must hold the numbers of nodes, one a line"):
        graphs.read_planetoid(tmp_path, "small")
    with pytest.raises(FileNotFoundError):
        graphs.read_planetoid(tmp_path, "large")


RING = np.roll(np.eye(4), 1, 0) + np.roll(np.eye(4), -1, 0)
FILES = {
    "dense": {"adjacency": RING},
    "edges": dict(zip(("senders", "receivers"), np.nonzero(RING), strict=True)),
    "weighted edges": dict(zip(("senders", "receivers", "weights"), (*np.nonzero(RING), np.ones(8)), strict=True)),
    "by rows": {"adj_indptr": np.arange(0, 9, 2), "adj_indices": np.array([1, 3, 0, 2, 1, 3, 0, 2], np.int16)},
}


@pytest.mark.parametrize("form", FILES)
def test_arrays_of_a_file_are_a_graph_in_every_form(form, tmp_path):
    rest = {"features": np.eye(4), "labels": [0, 1, -1, 1], "train_mask": [True, False, False, False]}
    np.savez(tmp_path / "ring.npz", **FILES[form], **rest)
    data = graphs.read_graph(tmp_path / "ring.npz")
    np.testing.assert_array_equal(data.adjacency.toarray(), RING)
    np.testing.assert_array_equal(data.labels, [0, 1, -1, 1])
    assert data.class_names == ("0", "1")
    assert (data.name, data.train.sum(), data.test) == ("ring", 1, None)


@pytest.mark.parametrize("names", [["a", "b", "c", "d"], [10, 20, 30, 40], None])
def test_a_table_of_edges_names_the_rows_of_a_table_of_features(names, tmp_path):
    senders, receivers = np.nonzero(RING)
    of = lambda ends: ends if names is None else [names[end] for end in ends]
    pl.DataFrame({"from": of(senders), "to": of(receivers), "weight": [2.0] * 8}).write_csv(tmp_path / "edges.csv")
    table = {"x1": [0.5, 1.5, 2.5, 3.5], "kind": ["u", "v", "u", None]}
    if names is not None:
        table = {"who": names} | table
    pl.DataFrame(table).write_csv(tmp_path / "nodes.csv")
    node = None if names is None else "who"
    data = graphs.read_graph(tmp_path / "edges.csv", features=tmp_path / "nodes.csv", node=node)
    np.testing.assert_array_equal(data.adjacency.toarray(), 2 * RING)
    np.testing.assert_array_equal(data.features[:, 0], [0.5, 1.5, 2.5, 3.5])
    assert data.node_names == (None if names is None else tuple(map(str, names)))


def test_an_npz_file_of_edges_takes_its_features_from_a_table(tmp_path):
    np.savez(tmp_path / "ring.npz", **FILES["edges"])
    (tmp_path / "nodes.csv").write_text("x,kind\n0.5,a\n1.5,b\n2.5,a\n3.5,b\n")
    data = graphs.read_graph(tmp_path / "ring.npz", features=tmp_path / "nodes.csv", label="kind")
    np.testing.assert_array_equal(data.features, [[0.5], [1.5], [2.5], [3.5]])
    assert (data.class_names, data.labels.tolist()) == (("a", "b"), [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("classes", "names"), [("abc", ("a", "b", "c")), ("789", ("7", "8", "9"))], ids=["text", "numbers"]
)
@pytest.mark.parametrize("label", ["kind", 1])
def test_nodes_whose_class_is_not_written_in_the_table_are_of_unknown_class(classes, names, label, tmp_path):
    (tmp_path / "edges.csv").write_text("from,to\n0,1\n1,0\n2,3\n3,2\n")
    written = [classes[0], "", classes[2], classes[1]]
    rows = [f"{x},{kind}" for x, kind in zip((0.5, 1.5, 2.5, 3.5), written, strict=True)]
    (tmp_path / "nodes.csv").write_text("\n".join(["x,kind", *rows]) + "\n")
    data = graphs.read_graph(tmp_path / "edges.csv", features=tmp_path / "nodes.csv", label=label)
    assert (data.class_names, data.labels.tolist()) == (names, [0, -1, 2, 1])
    assert data.features.shape == (4, 1)
    with pytest.raises(ValueError, match=r"there is no column 'sort' of labels; it has 'x', 'kind'"):
        graphs.read_graph(tmp_path / "edges.csv", features=tmp_path / "nodes.csv", label="sort")


def test_graphs_of_networkx_keep_the_names_of_their_nodes():
    graph = networkx.Graph([("b", "a"), ("a", "c")])
    data = graphs.as_nodes(graph, np.eye(3), ["x", None, "y"], train=[0], test=[2])
    assert data.node_names == ("b", "a", "c")
    np.testing.assert_array_equal(data.adjacency.toarray(), [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(data.labels, [0, -1, 1])
    np.testing.assert_array_equal(data.test, [False, False, True])


@pytest.mark.parametrize("homophily", [0.0, 0.3, 0.6, 0.9])
def test_graphs_that_are_drawn_have_the_facts_of_the_published_ones(homophily, shared_data):
    published = graphs.read_graph(shared_data / "graphs" / f"synthetic_h{homophily:.1f}.npz")
    drawn = graphs.homophilous_graph(jax.random.key(0), homophily)
    assert published.adjacency.nnz == drawn.adjacency.nnz == 2 * 29798
    ours, theirs = (distances_of(data) for data in (drawn, published))
    np.testing.assert_allclose(ours, theirs, atol=0.015)
    degrees, published_degrees = (np.diff(data.adjacency.indptr) for data in (drawn, published))
    assert degrees.min() == published_degrees.min() == 0
    assert 100 < degrees.max() < 320
    # heavy tails: shares of nodes of few and of many edges
    for quantile in (0.25, 0.5, 0.75, 0.9, 0.99):
        np.testing.assert_allclose(
            np.quantile(degrees, quantile), np.quantile(published_degrees, quantile), rtol=0.1, atol=1
        )
    assert set(np.bincount(drawn.labels) // 100) <= {4, 5}
    for label in range(10):
        a, b = (data.features[data.labels == label] for data in (drawn, published))
        np.testing.assert_allclose(a.mean(0), b.mean(0), atol=30)
        np.testing.assert_allclose(np.cov(a.T), np.cov(b.T), atol=5500)


def distances_of(data):
    """How often the ends of an edge are so many classes apart."""
    rows = np.repeat(np.arange(data.num_nodes), np.diff(data.adjacency.indptr))
    apart = (data.labels[data.adjacency.indices] - data.labels[rows]) % 10
    return np.bincount(apart, minlength=10) / len(apart)


def test_radial_features_are_one_at_their_centre():
    centers = np.array([[0.0, 300.0], [300.0, 0.0]])
    features = graphs.radial_features(centers, num_centers=4)
    np.testing.assert_allclose(features[0, 0], 1)
    np.testing.assert_allclose(features[1, 1], 1)
    np.testing.assert_allclose(features[0, 2], np.exp(-1e-5 * 600**2))


def test_random_splits_have_equally_many_nodes_of_every_class():
    labels = np.repeat([0, 1, 2, -1], [30, 40, 50, 20])
    split = graphs.split_by_class(jax.random.key(0), labels, per_class=10, num_validation=20, num_test=60)
    np.testing.assert_array_equal(np.bincount(labels[split.train]), [10, 10, 10])
    assert (split.validation.sum(), split.test.sum()) == (20, 60)
    assert not (np.sum(split, axis=0) > 1).any()
    assert (labels[np.any(split, axis=0)] >= 0).all()
    thirds = graphs.split_by_shares(jax.random.key(1), labels)
    assert [int(part.sum()) for part in thirds] == [40, 40, 40]
    np.testing.assert_array_equal(np.sum(thirds, axis=0), labels >= 0)
    again = graphs.split_by_shares(jax.random.key(1), labels)
    np.testing.assert_array_equal(thirds.train, again.train)


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: graphs.as_nodes(RING, np.ones((3, 2))), ValueError, r"features must have the shape \(4, 2\), a row f"),
        (lambda: graphs.as_nodes(RING, [[np.nan]] * 4), ValueError, "features has 4 of 4 entries that are NaN"),
        (lambda: graphs.as_nodes(RING, labels=[0, 1]), ValueError, r"labels must have the shape \(4,\), one for each"),
        (lambda: graphs.as_nodes(RING, labels=[0, 1, 2, 1], num_classes=2), ValueError, r"lie in \[0, 2\), got 2"),
        (lambda: graphs.as_nodes(RING, labels=[-1] * 4), ValueError, "known of at least 1 of the 4 nodes, got none"),
        (lambda: graphs.as_nodes(RING, train=[True, False]), ValueError, "train must"),
        (lambda: graphs.as_nodes(RING, train=[7]), ValueError, r"mask of the 4 nodes, or their numbers in \[0, 4\)"),
        (lambda: graphs.as_nodes(RING, train=[False] * 4), ValueError, "train must hold at least 1 of the 4 nodes"),
        (
            lambda: graphs.as_nodes(RING, train=[1], test=[1, 2]),
            ValueError,
            "train and test must not share nodes, got 1",
        ),
        (
            lambda: graphs.as_nodes(RING, labels=[0, 1, -1, 1], test=[2]),
            ValueError,
            "test must hold nodes of known classes, got 1 without a label",
        ),
        (lambda: graphs.homophilous_graph(KEY, 1.5), ValueError, r"homophily must lie in \[0, 1\]"),
        (lambda: graphs.split_by_class(KEY, [0, 1], per_class=2), ValueError, "at most the 1 nodes of the smallest cl"),
        (lambda: graphs.split_by_class(KEY, [0, 1], per_class=1), ValueError, "must be at most 0 nodes, got 1500"),
        (lambda: graphs.split_by_shares(KEY, [0, 1, 0], shares=(1, 1, 1)), ValueError, "at most 1 together"),
        (lambda: graphs.split_by_shares(KEY, [-1, -1]), ValueError, "known of some nodes, got -1 of all"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.usefixtures("as_a_user_sees")
def test_files_that_hold_no_graph_are_refused_in_words(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    with pytest.raises(ValueError, match=r"a\.npz: it has no graph but x: give adjacency, or senders and receivers"):
        graphs.read_graph(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", adj_indptr=[0, 1], adj_indices=[4])
    with pytest.raises(ValueError, match=r"b\.npz: adj_indptr and adj_indices are no matrix by rows"):
        graphs.read_graph(tmp_path / "b.npz")
    with pytest.raises(ValueError, match=r"give a graph as \.npz, or its edges as \.csv"):
        graphs.read_graph(tmp_path / "graph.json")
    with pytest.raises(ValueError, match="label and node name columns of a table of features: give its path"):
        graphs.read_graph(tmp_path / "a.npz", label="y")
    (tmp_path / "edges.csv").write_text("a,b\n0,1\n1,9\n")
    with pytest.raises(ValueError, match="give the path of the table of the nodes' features by features="):
        graphs.read_graph(tmp_path / "edges.csv")
    (tmp_path / "nodes.csv").write_text("x,z\n0.5,1\n1.5,2\n2.5,3\n")
    with pytest.raises(ValueError, match=r"edges\.csv: column 'b' must hold a number in \[0, 3\), got 9 at row 1"):
        graphs.read_graph(tmp_path / "edges.csv", features=tmp_path / "nodes.csv")


KEY = jax.random.key(0)
