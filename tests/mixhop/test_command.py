"""The subcommand `infotheory-dl mixhop`: from files to a page and tables, and what it is careful about."""

import csv
import json

import jax
import numpy as np
import pytest

from infotheory_dl import cli
from infotheory_dl.data.graphs import homophilous_graph, radial_features, split_by_class
from infotheory_dl.mixhop.report import gain_interval, share_interval, verdict
from tests.files_page import require_described
from tests.report.reader import Page

NODES = homophilous_graph(jax.random.key(0), homophily=0.9, num_nodes=150, num_classes=3, edges_per_node=3)
FEATURES = radial_features(NODES.features, num_centers=6)
SHORT = ("--seeds", "2", "--steps", "3", "--powers", "0", "1", "--hidden", "4")


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def run(*arguments):
    cli.main(["mixhop", *map(str, arguments)])


def fail(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def save_arrays(path, **arrays):
    senders, receivers = NODES.adjacency.nonzero()
    given = {"senders": senders, "receivers": receivers, "features": FEATURES, "labels": NODES.labels} | arrays
    np.savez(path, **given)
    return path


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory):
    """What the command writes of a graph with a split, whose last nodes are of unknown class."""
    folder = tmp_path_factory.mktemp("arrays")
    split = split_by_class(jax.random.key(1), NODES.labels[:140], per_class=10, num_validation=40, num_test=50)
    unused = np.zeros(10, bool)
    names = ("train_mask", "val_mask", "test_mask")
    masks = {name: np.append(mask, unused) for name, mask in zip(names, split, strict=True)}
    labels = np.where(np.arange(150) < 140, NODES.labels, -1)
    path = save_arrays(folder / "graph.npz", labels=labels, num_classes=3, **masks)
    run("--graph", path, "--output", folder / "out", *SHORT)
    return folder / "out"


def test_every_node_is_predicted_and_named_by_what_it_is_for(of_arrays):
    require_described("mixhop", of_arrays)
    rows = rows_of(of_arrays / "nodes.csv")
    assert [row["node"] for row in rows] == list(map(str, range(150)))
    assert [sum(row["part"] == part for row in rows) for part in ("train", "validation", "test")] == [30, 40, 50]
    assert {row["label"] for row in rows[140:]} == {""}
    assert {row["prediction"] for row in rows} <= {"0", "1", "2"}
    assert all(1 / 3 <= float(row["probability"]) <= 1 for row in rows)
    assert {row["agreement_of_seeds"] for row in rows} <= {"0.00", "0.50", "1.00"}


def test_classes_and_powers_have_intervals_around_what_was_measured(of_arrays):
    for name, value in (("classes", "accuracy"), ("powers", "lost")):
        low, high = ("low", "high") if name == "classes" else ("lost_low", "lost_high")
        for row in rows_of(of_arrays / f"{name}.csv"):
            assert float(row[low]) <= float(row[value]) <= float(row[high])
    assert [row["columns_layer_1"] for row in rows_of(of_arrays / "powers.csv")] == ["2", "2"]
    text = (of_arrays / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    for words in ("Powers of the adjacency", "Classes of neighbours", "Nodes of unknown class", "points of accuracy"):
        assert words in page.text
    assert text.count("<svg") >= 5


def test_a_table_of_edges_trains_the_network_of_a_file(of_arrays, tmp_path, capsys):
    senders, receivers = NODES.adjacency.nonzero()
    lines = [f"n{a},n{b}" for a, b in zip(senders, receivers, strict=True) if a < b]
    (tmp_path / "edges.csv").write_text("\n".join(["from,to", *lines]) + "\n")
    heads = ["id", *(f"x{i}" for i in range(6)), "class"]
    rows = [",".join([f"n{i}", *map(str, FEATURES[i]), "abc"[NODES.labels[i]]]) for i in range(150)]
    (tmp_path / "nodes.csv").write_text("\n".join([",".join(heads), *rows]) + "\n")
    run(
        *("--graph", tmp_path / "edges.csv", "--features", tmp_path / "nodes.csv", "--label", "class", "--node", "id"),
        *("--symmetrize", "--architecture", of_arrays / "architecture.json", "--no-compare"),
        *("--output", tmp_path / "out", "--seeds", "2", "--steps", "3"),
    )
    told = capsys.readouterr().out
    assert f"150 nodes, {len(lines)} edges, 3 classes; the split is drawn at random: 90 nodes to train on, 30" in told
    written = json.loads((tmp_path / "out" / "architecture.json").read_text())
    assert written == json.loads((of_arrays / "architecture.json").read_text())
    assert rows_of(tmp_path / "out" / "nodes.csv")[3]["node"] == "n3"
    assert "lost" not in rows_of(tmp_path / "out" / "powers.csv")[0]


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({}, ("--seeds", "1"), "seeds must be at least 2, got 1"),
        ({}, ("--powers", "0", "0"), "powers must differ from each other"),
        ({}, ("--hidden", "2"), "hidden must be at least 3, got 2"),
        ({"train_mask": np.arange(150) < 9}, (), "train_mask alone does not say by which nodes to choose"),
        ({"labels": np.zeros(150, int)}, (), "labels must be of at least 2 classes, got 1"),
        ({"receivers": np.zeros(3, int), "senders": np.arange(3)}, (), "symmetrize"),
    ],
)
def test_what_does_not_fit_ends_with_one_message(arrays, options, words, tmp_path, capsys):
    path = save_arrays(tmp_path / "graph.npz", **arrays)
    assert words in fail(capsys, "--graph", path, "--output", tmp_path / "out", *options)


def test_a_share_has_an_interval_for_other_nodes_and_other_seeds():
    # Wilson's interval of 8 of 10, where seeds agree, and of all of them
    agreed = np.tile(np.arange(10) < 8, (5, 1))
    np.testing.assert_allclose(share_interval(agreed), [0.8, 0.49016, 0.94332], atol=1e-5)
    np.testing.assert_allclose(share_interval(np.ones((5, 10), bool)), [1, 0.72247, 1], atol=1e-5)
    # nodes alike, seeds that differ: as wide as the seeds say
    of_seeds = np.tile((np.arange(4) % 2 == 0)[:, None], (1, 1000))
    value, low, high = share_interval(of_seeds)
    assert value == 0.5
    assert low < 0.1 < 0.9 < high


def test_a_power_earns_its_columns_only_beyond_chance():
    random = np.random.default_rng(0)
    whole = random.random((10, 500)) < 0.8
    better, same = (random.random((10, 500)) < share for share in (0.6, 0.8))
    assert verdict(gain_interval(whole, better)) == "earns its columns"
    assert verdict(gain_interval(better, whole)) == "costs accuracy"
    assert verdict(gain_interval(whole, same)) == "not shown to matter"
