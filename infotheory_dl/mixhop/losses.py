"""What a network of nodes is trained to minimise: a cross-entropy on some nodes, and penalties on its kernels."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from infotheory_dl._validation import edge, is_concrete, require_all, require_shape
from infotheory_dl.mixhop.mixing import AnyGraph
from infotheory_dl.mixhop.sampling import SampledGraph
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key, Params, Scalar

# of the squared weights of the segments of a weighted sum, as published
_HEAD_PENALTY = 1e-3


@concise
class Losses(NamedTuple):
    """The parts of a loss, which add up to `total`; in nats, but for the penalties.

    Attributes:
      cross_entropy: of the network's logits, the mean over the nodes of the mask.
      towers: the sum of those of the towers of an `NGCN`; 0 of others.
      l2: the penalty on the squared kernels.
      lasso: the penalty on the norms of their columns.
      head: the penalty on the weights of a weighted sum.
      total: what is minimised.
    """

    cross_entropy: Float[Array, ""]
    towers: Float[Array, ""]
    l2: Float[Array, ""]
    lasso: Float[Array, ""]
    head: Float[Array, ""]
    total: Float[Array, ""]


@edge
def node_loss(
    network: Any,
    variables: Params,
    graph: AnyGraph,
    inputs: Any,
    labels: Int[AnyArray, " nodes"],
    mask: Bool[AnyArray, " nodes"],
    *,
    l2: Scalar = 0.0,
    lasso: Scalar = 0.0,
    key: Key | None = None,
) -> tuple[Losses, Float[Array, "nodes classes"], dict[str, Any]]:
    """Computes the loss of a network of nodes: cross-entropy + l2 · Σ‖W‖² + lasso · Σ‖W[:, c]‖ + that of the head.

    Args:
      network: a flax module of this room.
      variables: flax's.
      graph: of the nodes.
      inputs: features of the nodes.
      labels: classes of the nodes; what they are where the mask is False is of no account.
      mask: the nodes that the cross-entropy is a mean over.
      l2: factor of the sum of the squared kernels; without the half of other conventions.
      lasso: factor of the sum of the norms of the kernels' columns.
      key: for dropout, while the network trains; None where it predicts.

    Returns:
      The loss, the logits of all nodes, and the collections that a network with running moments has changed.

    Raises:
      ValueError: if labels or mask are not one for each node that the network has logits of, the mask is empty, or a
        label that it holds is none of the network's classes.

    Source: Abu-El-Haija et al., 2019 and 2020, and their published code.
    """
    labels, mask = jnp.asarray(labels), jnp.asarray(mask)
    num_nodes = graph.reached(0) if isinstance(graph, SampledGraph) else graph.num_nodes
    require_shape("labels", labels, (num_nodes,), "one for each node")
    require_shape("mask", mask, (num_nodes,), "a truth value for each node")
    if is_concrete(mask) and not mask.any():
        raise ValueError(f"mask must hold at least 1 of the {num_nodes} nodes, got none")
    if is_concrete(mask) and is_concrete(labels):
        is_class = lambda codes: (codes >= 0) & (codes < network.num_classes)
        require_all(is_class, f"lie in [0, {network.num_classes}) where the mask is", labels=labels[mask])
    mutable = ["intermediates"] + [name for name in variables if name != "params" and key is not None]
    dropout = {} if key is None else {"rngs": {"dropout": key}}
    logits, changed = network.apply(variables, graph, inputs, train=key is not None, mutable=mutable, **dropout)
    changed = dict(changed)
    towers = changed.pop("intermediates", {}).get("towers", ())
    cross_entropies = [_cross_entropy(of_towers, labels, mask) for of_towers in towers]
    cross_entropy = _cross_entropy(logits, labels, mask)
    losses = penalties(network, variables["params"], l2=l2, lasso=lasso)
    towers_sum = sum((of_towers.sum() for of_towers in cross_entropies), jnp.zeros_like(cross_entropy))
    total = cross_entropy + towers_sum + sum(losses)
    return Losses(cross_entropy, towers_sum, *losses, total), logits, changed


def penalties(network: Any, params: Params, *, l2: Scalar, lasso: Scalar) -> tuple[Array, Array, Array]:
    """The penalties on squares and on columns of kernels, and on the weights of a head."""
    kernels = network.penalized(params)
    squares = jnp.asarray(l2 * sum(jnp.square(kernel).sum() for kernel in kernels))
    columns = jnp.asarray(lasso * sum(column_norms(kernel).sum() for kernel in kernels))
    weights = params.get("head", {}).get("weights")
    head = jnp.zeros_like(squares) if weights is None else _HEAD_PENALTY * jnp.square(weights).mean()
    return squares, columns, head


@edge
def column_norms(kernel: Float[AnyArray, "*batch inputs columns"]) -> Float[Array, "*batch columns"]:
    """Computes the Euclidean norm of every column; its gradient at a column of zeros is zero."""
    squares = jnp.square(jnp.asarray(kernel)).sum(-2)
    is_zero = squares == 0
    return jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, squares)))


def _cross_entropy(logits, labels, mask):
    """The mean over the nodes of the mask, of the logits of one network, or of each of several."""
    # labels of other nodes may be none, and must not index from the end
    known = jnp.broadcast_to(jnp.where(mask, labels, 0), logits.shape[:-1])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, known)
    return jnp.where(mask, losses, 0).sum(-1) / mask.sum()
