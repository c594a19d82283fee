"""MixHop: products with sparse matrices, and what a step of training takes, by the size of the graph.

`python -m benchmarks.mixhop --help` lists the parts; without a part all of them run.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from benchmarks.harness import Part, Report, Row, announce, machine, main
from benchmarks.tables import ON_CPU, Table
from infotheory_dl import mixhop
from infotheory_dl.mixhop.propagation import Backend

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
                "ms": 1e3 * forward.wall,
                "CPU ms": 1e3 * forward.processor,
                "gradient ms": backward and 1e3 * backward.wall,
                "gradient CPU ms": backward and 1e3 * backward.processor,
                "taken / floor": forward.wall / floor,
            }

        announce(f"{matrix.nnz:,} entries, SciPy")
        yield row("SciPy", clocked(lambda: matrix @ x, settings.repeats))
        given = jnp.asarray(x)
        for backend in settings.backends:
            if backend == "dense" and num_nodes > settings.dense_up_to:
                continue
            announce(f"{matrix.nnz:,} entries, {backend}")
            timings = (
                clocked(functools.partial(program, graph, given), settings.repeats)
                for program in (_product(backend), _gradient(backend))
            )
            yield row(f"ours, {backend}", *timings)

    rows = itertools.chain.from_iterable(map(rows_of, settings.edges))
    return Report(f"Milliseconds of a product with {settings.columns} columns, and of its gradient alone", rows)


@dataclass(frozen=True)
class Timing:
    """Fastest of some calls: seconds on the wall, and of all cores."""

    wall: float
    processor: float


def clocked(program: Callable[[], Any], repeats: int) -> Timing:
    """The fastest of some calls after a first one."""
    jax.block_until_ready(program())
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        jax.block_until_ready(program())
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return Timing(min(walls), min(processors))


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
    "products": Part(
        products,
        Products(),
        Products(edges=(500,), columns=4, repeats=1),
        table=Table(("entries", "program"), ("ms", "CPU ms", "gradient ms"), where=ON_CPU),
    ),
}

if __name__ == "__main__":
    main("mixhop", __doc__, PARTS)
