"""Networks that propagate the features before they learn anything, to compare with; nodes are examples then."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_choice, require_shape, require_within
from infotheory_dl.mixhop.features import SparseRows, to_dense
from infotheory_dl.mixhop.graph import Graph
from infotheory_dl.mixhop.mixing import AnyGraph, require_powers
from infotheory_dl.mixhop.networks import (
    ACTIVATIONS,
    Activation,
    Classes,
    Inputs,
    Mixing,
    Stacked,
    kernels_of,
    prepared,
)
from infotheory_dl.mixhop.propagation import Backend, propagate_core
from infotheory_dl.mixhop.sharding import ShardedGraph
from infotheory_dl.types import AnyArray, Params


class SGC(nn.Module):
    """A linear classifier of the features after some steps of propagation: A^power X W + b.

    Attributes:
      num_classes: the number of classes.
      power: of the adjacency.
      input_dropout: share of the features that is dropped while the network trains, in [0, 1).
      normalize_rows: whether the rows of the inputs are brought to unit length.
      backend: of `mix`.

    Source: Wu et al., 2019.
    """

    num_classes: int
    power: int = 2
    input_dropout: float = 0.0
    normalize_rows: bool = True
    backend: Backend = "auto"

    @nn.compact
    def __call__(self, graph: AnyGraph, inputs: Inputs, *, train: bool = False) -> Float[Array, "chosen classes"]:
        """Logits of every node, or of those that a graph was sampled around; errors are those of `MixHop`."""
        require_within("[0, 1)", input_dropout=self.input_dropout)
        mixing = Mixing((self.power,), (self.num_classes,), use_bias=True, backend=self.backend, name="layer_0")
        return mixing(graph, prepared(self, inputs, train))

    def penalized(self, params: Params) -> list[Array]:
        """The kernels whose size a loss may penalise."""
        return kernels_of(params)


class SIGN(nn.Module):
    """A dense network of features that were propagated beforehand, A^j X of every power j: nodes are plain examples.

    Attributes:
      powers: j.
      width: hidden units of each power.
      num_classes: the number of classes.
      activation, hidden_dropout: as in `MixHop`.
      input_dropout: of the propagated features.
      backend: of `propagate`.

    Source: Frasca et al., 2020.
    """

    powers: tuple[int, ...]
    width: int
    num_classes: int
    activation: Activation = "relu"
    input_dropout: float = 0.0
    hidden_dropout: float = 0.5
    backend: Backend = "auto"

    @nn.compact
    def __call__(
        self,
        graph: Graph | ShardedGraph | None,
        inputs: Inputs | Float[AnyArray, "nodes powers features"],
        *,
        train: bool = False,
    ) -> Float[Array, "nodes classes"]:
        """Logits of every node.

        Args:
          graph: None where the inputs have been propagated by `propagated_features`.
          inputs: features of the nodes, or those of any nodes after propagation.
          train: whether the network trains.
        """
        require_powers(self.powers)
        require_choice("activation", self.activation, tuple(ACTIVATIONS))
        require_within("[0, 1)", input_dropout=self.input_dropout, hidden_dropout=self.hidden_dropout)
        examples: Any = inputs if graph is None else propagated_core(graph, inputs, self.powers, self.backend)
        dropout = lambda rate, values: nn.Dropout(rate, deterministic=not train)(values)
        examples = dropout(self.input_dropout, examples)
        kernels = Stacked(self.powers, (1, examples.shape[2], self.width), examples.dtype, name="layer_0")()
        hidden = jnp.concatenate([examples[:, i] @ kernels[power][0] for i, power in enumerate(self.powers)], axis=1)
        hidden = dropout(self.hidden_dropout, ACTIVATIONS[self.activation](hidden))
        return Classes(self.num_classes, "dense", use_bias=True, name="head")(hidden)

    def penalized(self, params: Params) -> list[Array]:
        """The kernels whose size a loss may penalise."""
        return [*kernels_of(params), params["head"]["kernel"]]


@edge
def propagated_features(
    graph: Graph | ShardedGraph,
    features: Float[AnyArray, "nodes features"] | SparseRows,
    powers: tuple[int, ...],
    *,
    backend: Backend = "auto",
) -> Float[Array, "nodes powers features"]:
    """Computes A^j X of every power, once: for `SIGN`, whose examples then are nodes that know nothing of each other.

    Args:
      graph: the normalised adjacency A.
      features: X.
      powers: j, different whole numbers.
      backend: of `propagate`.

    Raises:
      ValueError: if there is not one row of features for each node, or the powers are none, negative or not different.

    Source: Frasca et al., 2020.
    """
    require_powers(powers)
    require_shape("features", features, (graph.num_nodes, *features.shape[1:]), "a row for each node")
    return propagated_core(graph, features, tuple(powers), backend)


@functools.partial(jax.jit, static_argnames=("powers", "backend"))
def propagated_core(
    graph: Graph | ShardedGraph, features: Any, powers: tuple[int, ...], backend: Backend = "auto"
) -> Array:
    """The core of `propagated_features`."""
    propagated = [to_dense(features) if isinstance(features, SparseRows) else jnp.asarray(features)]
    for _ in range(max(powers)):
        propagated.append(propagate_core(graph, propagated[-1], backend))
    return jnp.stack([propagated[power] for power in powers], axis=1)
