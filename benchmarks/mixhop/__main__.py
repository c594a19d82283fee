"""MixHop: products with sparse matrices, and what a step of training takes, by the size of the graph.

`python -m benchmarks.mixhop --help` lists the parts; without a part all of them run.
"""

import functools
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from benchmarks.harness import (
    Part,
    Report,
    Row,
    Timing,
    announce,
    machine,
    main,
    measure,
    of_peer,
    peak_memory,
    reset_peak_memory,
    timed,
)
from benchmarks.mixhop import geometric, published
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import mixhop
from infotheory_dl.data import graphs
from infotheory_dl.mixhop.propagation import Backend

# where the graphs of others lie, see CONTRIBUTING
GRAPHS = Path(os.environ.get("INFOTHEORY_DL_TEST_DATA", "data"), "graphs")
BACKENDS: tuple[Backend, ...] = ("ell", "segment_sum", "bcoo", "dense")


@dataclass(frozen=True)
class Products:
    """Products of the adjacency of a random graph with columns."""

    edges: tuple[int, ...] = (5_000, 50_000, 500_000, 5_000_000)
    """In one direction; the matrix has twice as many entries, and one for each node."""
    degree: int = 10
    columns: int = 64
    backends: tuple[Backend, ...] = BACKENDS
    dense_up_to: int = 10_000
    """Nodes of the largest graph whose matrix is written out."""
    repeats: int = 7


def products(settings: Products) -> Report:
    """Milliseconds of A x and of its gradient, by the backend."""

    def rows_of(edges: int) -> Iterator[Row]:
        num_nodes = 2 * edges // settings.degree
        graph = mixhop.normalize(random_adjacency(num_nodes, edges))
        entries = (np.asarray(graph.receivers), np.asarray(graph.senders))
        matrix = sparse.csr_array((np.asarray(graph.weights), entries), shape=(num_nodes, num_nodes))
        x = np.random.default_rng(1).normal(size=(num_nodes, settings.columns)).astype(np.float32)
        # two numbers of each entry, and the columns once in and once out
        floor = machine().floor(2 * matrix.nnz * settings.columns, 8 * matrix.nnz + 8 * x.size)

        def row(program: str, forward: Timing, backward: Timing | None = None) -> Row:
            return {
                "edges": edges,
                "entries": matrix.nnz,
                "program": program,
                "ms": 1e3 * forward.fastest,
                "CPU ms": 1e3 * forward.processor,
                "gradient ms": backward and 1e3 * backward.fastest,
                "gradient CPU ms": backward and 1e3 * backward.processor,
                "taken / floor": forward.fastest / floor,
            }

        announce(f"{matrix.nnz:,} entries, SciPy")
        yield row("SciPy", measure(lambda: matrix @ x, repeats=settings.repeats)[1])
        given = jnp.asarray(x)
        for backend in settings.backends:
            if backend == "dense" and num_nodes > settings.dense_up_to:
                continue
            announce(f"{matrix.nnz:,} entries, {backend}")
            timings = (
                measure(functools.partial(program, graph, given), repeats=settings.repeats)[1]
                for program in (_product(backend), _gradient(backend))
            )
            yield row(f"ours, {backend}", *timings)

    rows = itertools.chain.from_iterable(map(rows_of, settings.edges))
    return Report(f"Milliseconds of a product with {settings.columns} columns, and of its gradient alone", rows)


@dataclass(frozen=True)
class Steps:
    """A step of training one network on a citation graph, with the accuracies after it."""

    graph: str | None = "cora.npz"
    """A file in that folder, see `data.graphs.read_graph`; None draws one."""
    steps: int = 20
    repeats: int = 5


@dataclass(frozen=True)
class Seeds:
    """Trainings of many seeds with the settings released for Cora, as one program."""

    graph: str | None = "cora.npz"
    """As in `Steps`."""
    seeds: tuple[int, ...] = (1, 10, 100)
    axes: tuple[Literal["map", "vmap"], ...] = ("map", "vmap")
    """Whether seeds go one after the other or side by side."""
    steps: int = 50
    repeats: int = 1


@dataclass(frozen=True)
class Growth:
    """A step of training by the size of a random graph, with dense features."""

    edges: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    """Each in both directions."""
    degree: int = 10
    features: int = 64
    widths: tuple[tuple[int, ...], ...] = ((22, 21, 21), (2, 2, 2))
    repeats: int = 3


def steps(settings: Steps) -> Report:
    """Milliseconds of a step of one network, and of the passes that evaluate it."""
    nodes = _citations(settings.graph)
    graph, features = mixhop.normalize(nodes.adjacency), mixhop.sparse_rows(nodes.features)
    widths = (24, 18, 18), (0, nodes.num_classes, nodes.num_classes)
    network = mixhop.MixHop((0, 1, 2), widths, nodes.num_classes)
    params = jax.jit(network.init)(jax.random.key(0), graph, features)["params"]
    masks = nodes.train, nodes.validation, nodes.test
    given = jax.tree.map(jnp.asarray, (graph, features, nodes.labels, masks))

    def ours(carry: Any, key: Any) -> Any:
        params, (graph, features, labels, masks) = carry

        def total(params: Any) -> Any:
            losses, _, _ = mixhop.node_loss(
                network, {"params": params}, graph, features, labels, masks[0], l2=5e-3, lasso=5e-3, key=key
            )
            return losses.total

        params = jax.tree.map(lambda value, slope: value - slope, params, jax.grad(total)(params))
        logits: Any = network.apply({"params": params}, graph, features)
        is_right = logits.argmax(1) == labels
        accuracies = [(is_right & mask).sum() / mask.sum() for mask in masks[1:]]
        return (params, carry[1]), jnp.stack(accuracies)

    keys = jax.random.split(jax.random.key(1), settings.steps)
    in_one_program = jax.jit(lambda params, given: jax.lax.scan(ours, (params, given), keys))

    entries = graph.receivers, graph.senders, graph.weights
    arrays = published.Citations(*entries, features.rows, features.columns, *given[2:])
    kernels = published.initial_params(features.shape, widths, nodes.num_classes)

    def plainly() -> Any:
        reached = kernels
        for key in keys:
            reached = published.step(features.shape, nodes.num_classes, reached, key, arrays)
            seen = [published.accuracy(features.shape, nodes.num_classes, part, reached, arrays) for part in (1, 2)]
        return reached, seen

    def of_geometric() -> Row:
        dense = np.asarray(mixhop.to_dense(features), np.float32)
        edges = np.stack([np.asarray(graph.senders), np.asarray(graph.receivers)]).astype(int)
        step = geometric.training_step(dense, edges, np.asarray(nodes.labels, int), np.asarray(nodes.train))
        return row("PyTorch Geometric, its example, without evaluation", step, 1)

    def row(program: str, call: Callable[[], Any], number: int) -> Row:
        announce(program)
        _, timing = measure(call, repeats=settings.repeats)
        return {
            "program": program,
            "ms": 1e3 * timing.fastest / number,
            "CPU ms": 1e3 * timing.processor / number,
            "compilation": timing.compilation,
        }

    def rows() -> Iterator[Row]:
        yield row("ours", functools.partial(in_one_program, params, given), settings.steps)
        yield row("the published step, plainly", plainly, settings.steps)
        yield of_peer(of_geometric)

    return Report(f"Milliseconds of a step of one network on {nodes.name}, evaluations included", rows())


def seeds(settings: Seeds) -> Report:
    """Seconds of whole trainings by the number of seeds, evaluations and stopping included."""
    nodes = _citations(settings.graph)
    graph, features = mixhop.normalize(nodes.adjacency), mixhop.sparse_rows(nodes.features)
    network = mixhop.MixHop((0, 1, 2), ((24, 18, 18), (0, *(nodes.num_classes,) * 2)), nodes.num_classes)
    masks = nodes.train, nodes.validation, nodes.test

    def row(number: int, axis: Literal["map", "vmap"]) -> Row:
        announce(f"{number} seeds, {axis}")

        def call() -> mixhop.NodeRuns:
            return mixhop.train_nodes(
                jax.random.key(0),
                network,
                graph,
                features,
                np.asarray(nodes.labels),
                masks,
                num_seeds=number,
                num_steps=settings.steps,
                patience=settings.steps,
                axis=axis,
            )

        _, timing = measure(call, repeats=settings.repeats)
        return {
            "seeds": number,
            "axis": axis,
            "seconds": timing.fastest,
            "seeds a second": number / timing.fastest,
            "CPU ms of a seed's step": 1e3 * timing.processor / (number * settings.steps),
            "compilation": timing.compilation,
        }

    title = f"Trainings of {settings.steps} steps on {nodes.name}"
    return Report(title, itertools.starmap(row, itertools.product(settings.seeds, settings.axes)))


def growth(settings: Growth) -> Report:
    """Seconds and memory of a step by the size of the graph."""

    def row(edges: int) -> Row:
        announce(f"{edges:,} edges")
        num_nodes = 2 * edges // settings.degree
        adjacency = random_adjacency(num_nodes, edges)
        graph, making = timed(lambda: mixhop.normalize(adjacency))
        del adjacency
        num_classes = settings.widths[-1][0]
        network = mixhop.MixHop((0, 1, 2), settings.widths, num_classes)
        x = jax.random.normal(jax.random.key(0), (num_nodes, settings.features), jnp.float32)
        labels = jnp.arange(num_nodes) % num_classes
        mask = jnp.arange(num_nodes) % 10 == 0
        params = jax.jit(network.init)(jax.random.key(1), graph, x)["params"]

        @jax.jit
        def step(params: Any, graph: mixhop.Graph, x: Any, labels: Any, mask: Any, key: Any) -> Any:
            total = lambda params: (
                mixhop.node_loss(network, {"params": params}, graph, x, labels, mask, l2=5e-4, key=key)[0].total
            )
            return jax.tree.map(lambda value, slope: value - 0.1 * slope, params, jax.grad(total)(params))

        reset_peak_memory()
        _, timing = measure(lambda: step(params, graph, x, labels, mask, jax.random.key(2)), repeats=settings.repeats)
        return {
            "edges": edges,
            "entries": len(graph.weights),
            "seconds": timing.fastest,
            "CPU seconds": timing.processor,
            "GiB": peak_memory(),
            "seconds to normalise": making,
        }

    title = f"A step of training on random graphs, {settings.features} features, layers of {settings.widths}"
    return Report(title, map(row, settings.edges))


def _citations(name: str | None) -> graphs.NodeData:
    if name is not None:
        return graphs.read_graph(GRAPHS / name)
    nodes = graphs.homophilous_graph(jax.random.key(0), 0.5, num_nodes=300, num_classes=3)
    x = graphs.radial_features(nodes.features, num_centers=20) > 0.5
    split = graphs.split_by_class(jax.random.key(1), np.asarray(nodes.labels), num_validation=50, num_test=50)
    return nodes._replace(features=x.astype(np.float32), **split._asdict())


def random_adjacency(num_nodes: int, edges: int) -> sparse.csr_array:
    """A graph whose edges are drawn at random."""
    random = np.random.default_rng(0)
    ends = random.integers(0, num_nodes, (2, edges))
    ends = ends[:, ends[0] != ends[1]]
    matrix = sparse.coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(num_nodes, num_nodes)).tocsr()
    matrix.data[:] = 1
    return matrix.maximum(matrix.T).tocsr()


def _product(backend: Backend) -> Callable[..., Any]:
    return jax.jit(lambda graph, x: mixhop.propagate(graph, x, backend=backend))


def _gradient(backend: Backend) -> Callable[..., Any]:
    def gradient(graph, cotangent):
        _, pull_back = jax.vjp(lambda x: mixhop.propagate(graph, x, backend=backend), jnp.zeros_like(cotangent))
        return pull_back(cotangent)

    return jax.jit(gradient)


PARTS = {
    "steps": Part(
        steps,
        Steps(),
        Steps(graph=None, steps=2, repeats=1),
        table=Table(("machine", "program"), ("ms", "CPU ms", "compilation")),
    ),
    "seeds": Part(
        seeds,
        Seeds(),
        Seeds(graph=None, seeds=(2,), axes=("map",), steps=2),
        table=Table(
            ("machine", "seeds", "axis"), ("seconds", "seeds a second", "CPU ms of a seed's step", "compilation")
        ),
    ),
    "growth": Part(
        growth,
        Growth(),
        Growth(edges=(500,), features=4, widths=((2, 2, 2), (2, 2, 2)), repeats=1),
        table=Table(("edges",), ("seconds", "CPU seconds", "GiB", "seconds to normalise"), where=ON_CPU),
    ),
    "products": Part(
        products,
        Products(),
        Products(edges=(500,), columns=4, repeats=1),
        table=Table(("machine", "entries", "program"), ("ms", "CPU ms", "gradient ms", "gradient CPU ms")),
    ),
}

if __name__ == "__main__":
    main("mixhop", __doc__, PARTS)
