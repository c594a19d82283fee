"""Networks of nodes, flax modules: `network.init(key, graph, inputs)`, then `network.apply(variables, graph, inputs)`.

Kernels lie under "layer_0", "layer_1", … by the name "power_j" of their power. A network trains with `train=True` and a
key of dropout.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from infotheory_dl._validation import require_choice, require_count, require_shape, require_within
from infotheory_dl.mixhop.features import SparseRows, project_core, sparse_dropout, unit_rows
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.mixhop.mixing import (
    AnyGraph,
    Order,
    mix_core,
    propagate_blocks,
    require_powers,
    require_segments,
    weighted_sum_core,
)
from infotheory_dl.mixhop.propagation import Backend
from infotheory_dl.mixhop.sampling import SampledGraph
from infotheory_dl.mixhop.sharding import ShardedGraph
from infotheory_dl.networks import batch_moments
from infotheory_dl.types import AnyArray, Params

Activation: TypeAlias = Literal["relu", "tanh"]
Head: TypeAlias = Literal["weighted_sum", "dense"]
Inputs: TypeAlias = Float[AnyArray, "nodes features"] | SparseRows

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": nn.relu, "tanh": jnp.tanh}


class Offset(nn.Module):
    """Batch norm over all nodes with an offset and without a scale, as published.

    Attributes:
      running_average: whether the network predicts with running moments instead of those of the nodes it is given. They
        are in the collection "batch_stats".
      momentum: weight of the old running moments.
      epsilon: added to the variance.
    """

    running_average: bool = False
    momentum: float = 0.999
    epsilon: float = 1e-3

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "nodes features"], mask: Bool[AnyArray, " nodes"] | None, train: bool
    ) -> Float[Array, "nodes features"]:
        """Normalises every feature by the moments of the nodes that the mask keeps."""
        shape, dtype = inputs.shape[-1:], inputs.dtype
        offset = self.param("offset", nn.initializers.zeros, shape, dtype)
        mean, var, _ = batch_moments(inputs, mask)
        if self.running_average:
            running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, dtype)
            running_var = self.variable("batch_stats", "var", jnp.ones, shape, dtype)
            if not train:
                mean, var = running_mean.value, running_var.value
            elif not self.is_initializing():
                running_mean.value += (1 - self.momentum) * (mean - running_mean.value)
                running_var.value += (1 - self.momentum) * (var - running_var.value)
        return (inputs - mean) * jax.lax.rsqrt(var + self.epsilon) + offset


class Mixing(nn.Module):
    """The layer: columns A^j H W_j of every power j, side by side; see `mix`.

    Attributes:
      powers: j.
      widths: columns of each, 0 for none.
      use_bias: whether a number is added to each column.
      order, backend: of `mix`.
    """

    powers: tuple[int, ...]
    widths: tuple[int, ...]
    use_bias: bool = False
    order: Order = "auto"
    backend: Backend = "auto"

    @nn.compact
    def __call__(self, graph: AnyGraph, inputs: Inputs) -> Float[Array, "chosen outputs"]:
        """Columns for every node.

        Raises:
          ValueError: if powers and widths do not fit, or there is not one row of inputs for each node.
        """
        require_powers(self.powers, self.widths)
        require_shape("inputs", inputs, (graph.num_nodes, *inputs.shape[1:]), "a row for each node")
        kernels = [
            self.param(f"power_{power}", glorot, (inputs.shape[1], width), inputs.dtype)
            for power, width in zip(self.powers, self.widths, strict=True)
        ]
        bias = self.param("bias", nn.initializers.zeros, (sum(self.widths),), inputs.dtype) if self.use_bias else None
        return mix_core(graph, inputs, kernels, self.powers, bias=bias, order=self.order, backend=self.backend)


class MixHop(nn.Module):
    """Layers that mix powers of the adjacency, and a head that makes classes of the last one's columns.

    Dropout and rows of unit length; in every layer batch norm, the activation, and dropout before the next.

    Attributes:
      powers: of the adjacency, in every layer.
      widths: for each layer the number of columns of each power; one number for the only power.
      num_classes: the number of classes.
      head: "weighted_sum" of segments of the last layer's columns, or a "dense" layer without bias.
      activation: "relu" or "tanh".
      activated: for each layer, whether batch norm and the activation follow; by default after all but the last before
        a weighted sum.
      input_dropout, hidden_dropout: shares that are dropped while the network trains, in [0, 1).
      normalize_rows: whether the rows of the inputs are brought to unit length, after dropout.
      batch_norm: whether batch norm stands before the activation.
      running_average: of batch norm, see `Offset`.
      use_bias: of the layers; the published networks have none.
      order, backend: of `mix`.

    Source: Abu-El-Haija et al., 2019, and its published code.
    """

    powers: tuple[int, ...]
    widths: tuple[tuple[int, ...] | int, ...]
    num_classes: int
    head: Head = "weighted_sum"
    activation: Activation = "relu"
    activated: tuple[bool, ...] | None = None
    input_dropout: float = 0.5
    hidden_dropout: float = 0.9
    normalize_rows: bool = True
    batch_norm: bool = True
    running_average: bool = False
    use_bias: bool = False
    order: Order = "auto"
    backend: Backend = "auto"

    @property
    def layer_widths(self) -> tuple[tuple[int, ...], ...]:
        """The widths, for each layer a number for each power."""
        return tuple((widths,) if isinstance(widths, int) else tuple(widths) for widths in self.widths)

    @nn.compact
    def __call__(self, graph: AnyGraph, inputs: Inputs, *, train: bool = False) -> Float[Array, "chosen classes"]:
        """Logits of every node, or of those that a graph was sampled around.

        Raises:
          ValueError: if a setting does not fit the others, or the inputs have not one row for each node.
          TypeError: if a power is no whole number.

        Warns:
          UserWarning: if columns of the last layer are left out of the weighted sum.
        """
        activated = self._checked()
        hidden: Any = prepared(self, inputs, train)
        for layer, widths in enumerate(self.layer_widths):
            mixing = Mixing(self.powers, widths, self.use_bias, self.order, self.backend, name=f"layer_{layer}")
            part = hops_of_layer(graph, layer, len(self.widths), max(self.powers))
            columns = mixing(part, hidden)
            if activated[layer]:
                if self.batch_norm:
                    columns = Offset(self.running_average, name=f"norm_{layer}")(columns, mask_of(part, columns), train)
                columns = ACTIVATIONS[self.activation](columns)
            if layer + 1 < len(self.widths) or self.head == "dense":
                columns = nn.Dropout(self.hidden_dropout, deterministic=not train)(columns)
            hidden = columns
        return Classes(self.num_classes, self.head, name="head")(hidden)

    def penalized(self, params: Params) -> list[Array]:
        """The kernels whose size a loss may penalise: of the layers and of a dense head."""
        head = [params["head"]["kernel"]] if self.head == "dense" else []
        return kernels_of(params) + head

    def _checked(self) -> tuple[bool, ...]:
        """For each layer whether it is activated; an error if a setting does not fit the others."""
        require_choice("head", self.head, ("weighted_sum", "dense"))
        require_choice("activation", self.activation, tuple(ACTIVATIONS))
        require_within("[0, 1)", input_dropout=self.input_dropout, hidden_dropout=self.hidden_dropout)
        require_count(1, num_classes=self.num_classes)
        if not self.widths:
            raise ValueError("widths must be those of at least one layer, got none")
        for widths in self.layer_widths:
            require_powers(self.powers, widths)
        if self.activated is None:
            return (True,) * (len(self.widths) - 1) + (self.head == "dense",)
        if len(self.activated) != len(self.widths):
            raise ValueError(
                f"activated must be one truth value for each of the {len(self.widths)} layers, got {self.activated}"
            )
        return self.activated


class GCN(MixHop):  # type: ignore[misc]
    """Graph convolution, A H W in every layer: `MixHop` of the one power 1.

    Source: Kipf and Welling, 2017.
    """

    powers: tuple[int, ...] = dataclasses.field(default=(1,), kw_only=True)


class MLP(MixHop):  # type: ignore[misc]
    """Dense layers that know nothing of the graph: `MixHop` of the one power 0."""

    powers: tuple[int, ...] = dataclasses.field(default=(0,), kw_only=True)


class Classes(nn.Module):
    """The head: columns to classes.

    Attributes:
      num_classes: the number of classes.
      head: "weighted_sum" or "dense".
      use_bias: of a dense head.
    """

    num_classes: int
    head: Head
    use_bias: bool = False

    @nn.compact
    def __call__(self, columns: Float[Array, "nodes columns"]) -> Float[Array, "nodes classes"]:
        """Logits of every node."""
        if self.head == "weighted_sum":
            num_segments = require_segments(columns.shape[1], self.num_classes)
            weights = self.param("weights", nn.initializers.zeros, (num_segments,), columns.dtype)
            return weighted_sum_core(columns, weights, self.num_classes)
        logits = columns @ self.param("kernel", glorot, (columns.shape[1], self.num_classes), columns.dtype)
        if self.use_bias:
            logits += self.param("bias", nn.initializers.zeros, (self.num_classes,), columns.dtype)
        return logits


class NGCN(nn.Module):
    """Several networks of two layers of graph convolution, each on one power of the adjacency, and a head over them.

    The towers' logits are in the collection "intermediates", by the name "towers": each tower is to have a loss of its
    own, and none comes to it from the head. The head is a weighted sum of the towers' probabilities, or a dense layer.

    Attributes:
      powers: of the adjacency; every one has a tower in each replica.
      num_classes: the number of classes.
      replicas: towers of each power.
      width: hidden units of a tower.
      head, activation, input_dropout, hidden_dropout, normalize_rows, running_average, backend: as in `MixHop`; every
        tower has dropout of its own.

    Source: Abu-El-Haija et al., 2020. Its published code trains the towers of the last power only.
    """

    powers: tuple[int, ...]
    num_classes: int
    replicas: int = 3
    width: int = 10
    head: Head = "weighted_sum"
    activation: Activation = "relu"
    input_dropout: float = 0.7
    hidden_dropout: float = 0.9
    normalize_rows: bool = True
    running_average: bool = False
    backend: Backend = "auto"

    @nn.compact
    def __call__(
        self, graph: Graph | ShardedGraph, inputs: Inputs, *, train: bool = False
    ) -> Float[Array, "nodes classes"]:
        """Logits of every node.

        Raises:
          ValueError: if a setting does not fit the others, or the inputs have not one row for each node.
          TypeError: if a power is no whole number.
        """
        require_powers(self.powers)
        require_choice("head", self.head, ("weighted_sum", "dense"))
        require_choice("activation", self.activation, tuple(ACTIVATIONS))
        require_within("[0, 1)", input_dropout=self.input_dropout, hidden_dropout=self.hidden_dropout)
        require_count(1, num_classes=self.num_classes, replicas=self.replicas, width=self.width)
        require_shape("inputs", inputs, (graph.num_nodes, *inputs.shape[1:]), "a row for each node")
        # towers are ordered by replica, and in each by power
        towers = [(replica, power) for replica in range(self.replicas) for power in self.powers]
        powers = [power for _, power in towers]

        first = self._kernels("layer_0", inputs.shape[1], self.width, inputs.dtype)
        blocks = [_projected(prepared(self, inputs, train), first[power][replica]) for replica, power in towers]
        hidden = jnp.concatenate(propagate_blocks(graph, blocks, powers, self.backend), axis=1)
        hidden = Offset(self.running_average, name="norm_0")(hidden, mask_of(graph, hidden), train)
        hidden = nn.Dropout(self.hidden_dropout, deterministic=not train)(ACTIVATIONS[self.activation](hidden))

        second = self._kernels("layer_1", self.width, self.num_classes, inputs.dtype)
        parts = jnp.split(hidden, len(towers), axis=1)
        blocks = [part @ second[power][replica] for part, (replica, power) in zip(parts, towers, strict=True)]
        logits = jnp.stack(propagate_blocks(graph, blocks, powers, self.backend))
        self.sow("intermediates", "towers", logits)

        seen = jax.lax.stop_gradient(logits)
        seen = jax.nn.softmax(seen) if self.head == "weighted_sum" else nn.relu(seen)
        columns = jnp.moveaxis(seen, 0, 1).reshape(graph.num_nodes, -1)
        return Classes(self.num_classes, self.head, use_bias=True, name="head")(columns)

    def penalized(self, params: Params) -> list[Array]:
        """The kernels whose size a loss may penalise: those of the towers."""
        return kernels_of(params)

    def _kernels(self, name: str, num_inputs: int, width: int, dtype: Any) -> dict[int, Array]:
        """The kernels of the towers of a layer, for each power one for each replica."""
        return Stacked(self.powers, (self.replicas, num_inputs, width), dtype, name=name)()


class Stacked(nn.Module):
    """Kernels of several replicas, by their powers.

    Attributes:
      powers: names of the kernels.
      shape: (replicas, inputs, outputs).
      dtype: of the kernels.
    """

    powers: tuple[int, ...]
    shape: tuple[int, int, int]
    dtype: Any

    @nn.compact
    def __call__(self) -> dict[int, Array]:
        """The kernels."""
        return {power: self.param(f"power_{power}", glorot, self.shape, self.dtype) for power in self.powers}


def hops_of_layer(graph: AnyGraph, layer: int, num_layers: int, highest: int) -> AnyGraph:
    """What a layer multiplies by: of a sampled graph its hops, otherwise the graph."""
    if not isinstance(graph, SampledGraph):
        return graph
    if len(graph.hops) != num_layers * highest:
        raise ValueError(
            f"graph must be sampled with num_hops={num_layers * highest}, the highest power of each of {num_layers}"
            f" layers, got {len(graph.hops)}"
        )
    return graph.of_layer(layer, num_layers, highest)


def mask_of(graph: AnyGraph, rows: Array) -> Any:
    """Which of the rows are nodes; of a sampled graph there may be fewer rows than nodes."""
    return None if graph.mask is None else graph.mask[: len(rows)]


def prepared(module: Any, inputs: Inputs, train: bool) -> Inputs:
    """The inputs after dropout, of non-zeros alone where they are sparse, and with rows of unit length if asked for."""
    rate = module.input_dropout
    if train and rate:
        if isinstance(inputs, SparseRows):
            inputs = sparse_dropout(module.make_rng("dropout"), inputs, rate)
        else:
            inputs = nn.Dropout(rate, deterministic=False, parent=module)(inputs)
    return unit_rows(inputs) if module.normalize_rows else inputs


def glorot(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """U(-b, b) with b² = 6 / (inputs + outputs), of kernels with any axes before these two."""
    limit = math.sqrt(6 / (shape[-2] + shape[-1]))
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def _projected(inputs, kernel):
    return project_core(inputs, kernel) if isinstance(inputs, SparseRows) else jnp.asarray(inputs) @ kernel


def kernels_of(params: Params) -> list[Array]:
    """The kernels of all layers, layer by layer."""
    return [
        kernel
        for layer in sorted((name for name in params if name.startswith("layer_")), key=lambda name: int(name[6:]))
        for name, kernel in params[layer].items()
        if name.startswith("power_")
    ]
