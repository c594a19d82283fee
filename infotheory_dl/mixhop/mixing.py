"""The layer of MixHop, as a pure function: powers of the adjacency, each with columns of its own, side by side."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_choice, require_count, require_shape, warn
from infotheory_dl._validation.edge import whole_number
from infotheory_dl.mixhop.features import SparseRows, project_core, to_dense
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.mixhop.propagation import Backend, propagate_core
from infotheory_dl.mixhop.sampling import SampledGraph, sampled_product
from infotheory_dl.mixhop.sharding import ShardedGraph
from infotheory_dl.types import AnyArray

AnyGraph: TypeAlias = Graph | ShardedGraph | SampledGraph
"""The normalised adjacency of nodes: whole, shared by devices, or sampled around some of them."""

Order: TypeAlias = Literal["auto", "project", "propagate"]


@edge
def mix(
    graph: AnyGraph,
    inputs: Float[AnyArray, "nodes inputs"] | SparseRows,
    kernels: Sequence[Float[AnyArray, "inputs _"]],
    powers: Sequence[int],
    *,
    bias: Float[AnyArray, " outputs"] | None = None,
    order: Order = "auto",
    backend: Backend = "auto",
) -> Float[Array, "chosen outputs"]:
    """Computes the columns A^j H W_j of every power j, side by side in the order in which the powers are given.

    Args:
      graph: the normalised adjacency A, of which no power is formed; of a sampled one, the outputs are those of the
        chosen nodes.
      inputs: H, dense or sparse.
      kernels: W_j, one for each power; a kernel without columns gives none.
      powers: j, different whole numbers.
      bias: one number for each column of the result.
      order: "project" multiplies by the kernels first, and then propagates only columns that still need it,
        "propagate" the other way round. "auto" takes what propagates fewer columns, sum of j times the width of W_j
        or the largest j times that of H, and projects sparse inputs and those of sampled nodes first.
      backend: of `propagate`.

    Raises:
      ValueError: if the shapes do not fit, or the powers are none, negative or not different.
      TypeError: if a power is no whole number.

    Source: Abu-El-Haija et al., 2019, equation 2.
    """
    require_powers(powers)
    require_choice("order", order, ("auto", "project", "propagate"))
    if len(kernels) != len(powers):
        raise ValueError(f"kernels must be one for each of the {len(powers)} powers, got {len(kernels)}")
    require_shape("inputs", inputs, (graph.num_nodes, *inputs.shape[1:]), "a row for each node")
    for place, kernel in enumerate(kernels):
        shape = (inputs.shape[1], *jnp.shape(kernel)[1:])
        require_shape(f"kernels[{place}]", kernel, shape, "a row for each column of the inputs")
    if isinstance(graph, SampledGraph):
        if len(graph.hops) < max(powers):
            raise ValueError(f"graph must be sampled with num_hops={max(powers)} at least, got {len(graph.hops)}")
        if order == "propagate":
            raise ValueError("order must be 'auto' or 'project' where the graph is sampled, got 'propagate'")
    if bias is not None:
        require_shape("bias", bias, (sum(jnp.shape(kernel)[1] for kernel in kernels),), "one for each column")
    return _mix(graph, inputs, list(kernels), tuple(powers), bias=bias, order=order, backend=backend)


def mix_core(
    graph: AnyGraph,
    inputs: AnyArray | SparseRows,
    kernels: Sequence[AnyArray],
    powers: Sequence[int],
    *,
    bias: AnyArray | None = None,
    order: Order = "auto",
    backend: Backend = "auto",
) -> Array:
    """The core of `mix`."""
    kernels = [jnp.asarray(kernel) for kernel in kernels]
    widths = [kernel.shape[1] for kernel in kernels]
    used = [power for power, width in zip(powers, widths, strict=True) if width]
    if order == "auto":
        cost = sum(power * width for power, width in zip(powers, widths, strict=True))
        is_projected = isinstance(inputs, SparseRows) or isinstance(graph, SampledGraph)
        is_projected |= cost <= max(used, default=0) * inputs.shape[1]
        order = "project" if is_projected else "propagate"
    if order == "project" or isinstance(graph, SampledGraph):
        columns = _project_first(graph, inputs, kernels, powers, backend)
    else:
        columns = _propagate_first(graph, inputs, kernels, powers, max(used, default=0), backend)
    mixed = jnp.concatenate(columns, axis=1)
    return mixed if bias is None else mixed + bias


_mix = jax.jit(mix_core, static_argnames=("powers", "order", "backend"))


def _project_first(graph, inputs, kernels, powers, backend):
    kernel = jnp.concatenate(kernels, axis=1)
    projected = project_core(inputs, kernel) if isinstance(inputs, SparseRows) else jnp.asarray(inputs) @ kernel
    return propagate_blocks(graph, _parted(projected, [kernel.shape[1] for kernel in kernels]), powers, backend)


def propagate_blocks(
    graph: AnyGraph, blocks: Sequence[Array], powers: Sequence[int], backend: Backend = "auto"
) -> list[Array]:
    """Every block of columns multiplied by its power of the adjacency; step by step, all that still need it at once."""
    descending = sorted(range(len(powers)), key=lambda place: -powers[place])
    moving: list[int] = []
    columns: Any = None
    for power in range(powers[descending[0]], -1, -1):
        joining = [place for place in descending if powers[place] == power]
        # of sampled nodes, those that are left after the hops of higher powers
        num_rows = graph.reached(power) if isinstance(graph, SampledGraph) else graph.num_nodes
        joined = [blocks[place][:num_rows] for place in joining]
        columns = jnp.concatenate(joined if columns is None else [columns, *joined], axis=1)
        moving += joining
        if power == 0:
            break
        if isinstance(graph, SampledGraph):
            columns = sampled_product(graph, columns, power - 1)
        elif columns.shape[1]:
            columns = propagate_core(graph, columns, backend)
    parts = dict(zip(moving, _parted(columns, [blocks[place].shape[1] for place in moving]), strict=True))
    return [parts[place] for place in range(len(powers))]


def _parted(columns, widths):
    """The columns in blocks of these widths."""
    ends = [sum(widths[: place + 1]) for place in range(len(widths))]
    return [columns[:, end - width : end] for end, width in zip(ends, widths, strict=True)]


def _propagate_first(graph: Any, inputs, kernels, powers, highest, backend):
    propagated = [to_dense(inputs) if isinstance(inputs, SparseRows) else jnp.asarray(inputs)]
    for _ in range(highest):
        propagated.append(propagate_core(graph, propagated[-1], backend))
    # a kernel without columns has no need of its power
    return [propagated[min(power, highest)] @ kernel for power, kernel in zip(powers, kernels, strict=True)]


@edge
def weighted_sum(
    outputs: Float[AnyArray, "nodes columns"], weights: Float[AnyArray, " segments"], num_classes: int
) -> Float[Array, "nodes classes"]:
    """Sums segments of columns, one column for each class in each, by weights that are a softmax.

    Columns past the last whole segment are unused.

    Args:
      outputs: of a last layer, at least one column for each class.
      weights: of the segments, before the softmax.
      num_classes: the number of classes.

    Raises:
      ValueError: if there are fewer columns than classes, or not a weight for each segment.

    Source: Abu-El-Haija et al., 2019.
    """
    num_segments = require_segments(outputs.shape[1], num_classes)
    require_shape("weights", weights, (num_segments,), "one for each whole segment of as many columns as classes")
    return weighted_sum_core(jnp.asarray(outputs), jnp.asarray(weights), num_classes)


def weighted_sum_core(outputs: Array, weights: Array, num_classes: int) -> Array:
    """The core of `weighted_sum`."""
    segments = outputs[:, : len(weights) * num_classes].reshape(len(outputs), len(weights), num_classes)
    return (segments * jax.nn.softmax(weights)[:, None]).sum(1)


def require_segments(num_columns: int, num_classes: int) -> int:
    """The number of whole segments of columns; an error says that there is none, a warning that columns are left."""
    require_count(1, num_classes=num_classes)
    if num_columns < num_classes:
        raise ValueError(
            f"the weighted sum needs a column for each of the {num_classes} classes, got {num_columns}: widen the last"
            " layer"
        )
    if left := num_columns % num_classes:
        warn(
            f"{left} of {num_columns} columns of the last layer are not used: the weighted sum takes as many whole"
            f" segments of {num_classes} classes as there are; choose a multiple of {num_classes}"
        )
    return num_columns // num_classes


def require_powers(powers: Sequence[int], widths: Sequence[int] | None = None) -> None:
    """Raises an error that says why these are no powers, or no widths of theirs."""
    for power in powers:
        if whole_number("powers", power) < 0:
            raise ValueError(f"powers must not be negative, got {power}")
    if not powers:
        raise ValueError("powers must be at least one, got none")
    if len(set(powers)) < len(powers):
        raise ValueError(f"powers must differ from each other, got {tuple(powers)}")
    if widths is None:
        return
    if len(widths) != len(powers):
        raise ValueError(f"widths must be one for each of the {len(powers)} powers, got {len(widths)}")
    require_count(0, **{f"widths[{place}]": width for place, width in enumerate(widths)})
    if not any(widths):
        raise ValueError(f"widths must not all be 0, got {tuple(widths)}")
