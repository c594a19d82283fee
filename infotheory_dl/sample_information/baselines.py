"""The cheap scores of training examples that others rank by. Each returns one number for each example."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Shaped

from infotheory_dl._blocks import map_blocks, map_examples, per_example_gradients
from infotheory_dl._validation import (
    class_labels,
    edge,
    is_concrete,
    require_count,
    require_finite,
    require_not_negative,
    require_rank,
)
from infotheory_dl.linearization import KernelEigen, kernel_eigen
from infotheory_dl.linearization.eigen import require_eigen
from infotheory_dl.metrics.labels import area_under_margin, checked_log, forgettings
from infotheory_dl.sample_information._examples import Loss, checked_examples, loss_of_example
from infotheory_dl.training import half_squared_error
from infotheory_dl.types import AnyArray, AnyLabels, ApplyFn, Params

__all__ = [
    "area_under_margin",
    "el2n",
    "example_loss",
    "forgetting_events",
    "gradient_norm",
    "knn_shapley",
    "leverage",
    "tracin",
]

Scalar = float | Float[AnyArray, ""]

_REFERENCES_AT_ONCE = 64


@edge
def example_loss(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Shaped[AnyArray, "examples ..."],
    *,
    loss: Loss = half_squared_error,
    batch_size: int = 128,
) -> Float[Array, " examples"]:
    """Computes the loss of every example.

    Args:
      apply_fn: the network.
      params: its parameters.
      inputs: rows that the network accepts.
      targets: whatever the loss takes, one row for each example.
      loss: loss of one example, `loss(outputs, target)`; ½‖outputs - target‖² by default.
      batch_size: examples at once.

    Returns:
      The losses: large for examples that the network does not fit.

    Raises:
      ValueError: if the arguments do not fit together, or hold NaN or infinity.
      TypeError: if a parameter is not floating-point.
    """
    inputs, targets = checked_examples(apply_fn, params, inputs, targets, loss)
    return _example_losses(apply_fn, loss, batch_size, params, inputs, targets)


@edge
def gradient_norm(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Shaped[AnyArray, "examples ..."],
    *,
    loss: Loss = half_squared_error,
    batch_size: int = 128,
) -> Float[Array, " examples"]:
    """Computes the length of the gradient of every example's loss (GraNd, of one network).

    Args:
      apply_fn, params, inputs, targets, loss, batch_size: as in `example_loss`, which see for the errors too. The
        published score is the mean over networks early in training.

    Returns:
      ‖grad l_i‖.

    Source: Paul et al., 2021 (GraNd).
    """
    inputs, targets = checked_examples(apply_fn, params, inputs, targets, loss)
    return jnp.sqrt(_squared_gradient_norms(apply_fn, loss, batch_size, params, inputs, targets))


@edge
def el2n(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Float[AnyArray, "examples outputs"],
    *,
    batch_size: int = 128,
) -> Float[Array, " examples"]:
    """Computes the distance between the predicted probabilities and the one-hot target of every example.

    Args:
      apply_fn: the network; its outputs are logits, at least two.
      params, inputs, batch_size: as in `example_loss`, which see for the errors too. The published score is the mean
        over networks early in training.
      targets: one-hot rows.

    Returns:
      ‖softmax(f(x_i)) - y_i‖.

    Source: Paul et al., 2021 (EL2N).
    """
    inputs, targets = checked_examples(apply_fn, params, inputs, targets)
    if targets.shape[1] < 2:
        raise ValueError("el2n needs logits of at least 2 classes, got 1 output; for regression use example_loss")
    return jnp.sqrt(_example_losses(apply_fn, _brier, batch_size, params, inputs, targets))


@edge
def tracin(
    apply_fn: ApplyFn,
    checkpoints: Params,
    inputs: Float[AnyArray, "examples ..."],
    targets: Shaped[AnyArray, "examples ..."],
    reference_inputs: Float[AnyArray, "references ..."] | None = None,
    reference_targets: Shaped[AnyArray, "references ..."] | None = None,
    *,
    learning_rates: Scalar | Float[AnyArray, " checkpoints"] = 1.0,
    loss: Loss = half_squared_error,
    batch_size: int = 128,
) -> Float[Array, " examples"]:
    """Sums products of loss gradients over checkpoints (TracIn; with one checkpoint, Grad-Dot).

    Args:
      apply_fn: the network.
      checkpoints: parameters with an axis of checkpoints in front of every leaf.
      inputs, targets, loss, batch_size: as in `example_loss`, which see for the errors too.
      reference_inputs: examples whose mean loss is looked at; by default each example looks at its own loss.
      reference_targets: their targets.
      learning_rates: of the checkpoints.

    Returns:
      sum_t learning_rate_t grad l_i · grad L, with L the mean reference loss, or l_i itself (self-influence: large for
      outliers and wrong labels). A positive score says that the example lowers L.

    Source: Pruthi et al., 2020.
    """
    first = jax.tree.map(lambda leaf: leaf[0], checkpoints)
    require_finite(checkpoints=checkpoints, learning_rates=learning_rates)
    inputs, targets = checked_examples(apply_fn, first, inputs, targets, loss)
    if (reference_inputs is None) != (reference_targets is None):
        raise ValueError("reference_inputs and reference_targets must be given together")
    references = None
    if reference_inputs is not None and reference_targets is not None:
        references = checked_examples(apply_fn, first, reference_inputs, reference_targets, loss)
    num_checkpoints = len(jax.tree.leaves(checkpoints)[0])
    rates = jnp.broadcast_to(learning_rates, num_checkpoints)
    return _gradient_products(apply_fn, loss, batch_size, checkpoints, rates, (inputs, targets), references)


@edge(half=False)
def leverage(
    kernel: KernelEigen | Float[AnyArray, "rows rows"], num_outputs: int = 1, *, weight_decay: Scalar = 0.0
) -> Float[Array, " examples"]:
    """Computes how far each example's predictions follow its own targets, trace of (K (K + n weight_decay)⁻¹)_ii.

    Args:
      kernel: of n training examples, (n num_outputs) rows, example-major, or its `kernel_eigen`.
      num_outputs: rows of one example.
      weight_decay: penalty on the mean loss.

    Returns:
      The leverages, in [0, num_outputs]; their sum is the number of effective parameters.

    Raises:
      ValueError: if the kernel is not square and symmetric, does not divide into examples, or holds NaN or infinity.
    """
    if isinstance(kernel, KernelEigen):
        require_eigen(kernel)
    else:
        kernel = kernel_eigen(kernel)
    eigenvalues, vectors = kernel.eigenvalues, kernel.eigenvectors
    if len(eigenvalues) % num_outputs:
        raise ValueError(f"a kernel of {len(eigenvalues)} rows does not divide into examples of {num_outputs} outputs")
    require_not_negative(weight_decay=weight_decay)
    shift = len(eigenvalues) // num_outputs * weight_decay
    # without weight decay the matrix is the projection on the range of the kernel, which rounding must not widen
    null = eigenvalues <= len(eigenvalues) * jnp.finfo(kernel.dtype).eps * eigenvalues.max()
    followed = jnp.where(null, 0, eigenvalues / jnp.where(null, 1, eigenvalues + shift))
    of_rows = jnp.matmul(vectors**2, followed, precision=jax.lax.Precision.HIGHEST)
    return of_rows.reshape(-1, num_outputs).sum(1).astype(kernel.dtype)


@edge
def knn_shapley(
    features: Float[AnyArray, "examples features"],
    labels: AnyLabels,
    reference_features: Float[AnyArray, "references features"],
    reference_labels: AnyLabels,
    *,
    num_neighbors: int = 5,
) -> Float[Array, " examples"]:
    """Computes the exact Shapley values of the examples for the accuracy of a nearest-neighbour classifier.

    The value of a set of examples is the mean over the references of the fraction of `num_neighbors` votes, by the
    nearest in the set, that are right. Sorted by distance the values follow from one another, O(n log n) for a
    reference.

    Args:
      features: of the training examples; distances are Euclidean.
      labels: their classes.
      reference_features: of the examples to be classified.
      reference_labels: their classes.
      num_neighbors: votes.

    Returns:
      The Shapley values, low or negative for wrong labels. They add up to the value of the whole training set.

    Raises:
      ValueError: if the shapes do not fit, an argument holds NaN or infinity, or there is no neighbour.

    Source: Jia et al., 2019 (theorem 1).
    """
    for name, rows in {"features": features, "reference_features": reference_features}.items():
        require_rank(name, rows, 2, "(examples, features)")
        require_finite(**{name: rows})
    if features.shape[1] != reference_features.shape[1]:
        raise ValueError(f"features and reference_features differ: {features.shape[1]}, {reference_features.shape[1]}")
    require_count(1, num_neighbors=num_neighbors)
    if is_concrete(labels) and is_concrete(reference_labels):
        known = class_labels(labels, num_examples=len(features))
        others = class_labels(reference_labels, name="reference_labels", num_examples=len(reference_features))
        # a class may be of references alone
        both = [*known.names[known.codes].tolist(), *others.names[others.codes].tolist()]
        labels, reference_labels = np.split(class_labels(both).codes, [len(features)])
    arrays = (features, labels, reference_features, reference_labels)
    return _nearest_neighbour_values(*map(jnp.asarray, arrays), num_neighbors)


@edge
def forgetting_events(
    logits: Float[AnyArray, "epochs examples classes"], labels: Integer[AnyArray, " examples"]
) -> Integer[Array, " examples"]:
    """Counts how often each example turns from right to wrong between one epoch and the next.

    Args:
      logits, labels: as in `area_under_margin`, which see for the errors too.

    Returns:
      The counts of `metrics.forgetting_events`, which see for the source.
    """
    logits, labels = checked_log(logits, labels)
    return forgettings(logits.argmax(-1) == labels)


def _brier(outputs: Array, target: Array) -> Array:
    return jnp.sum((jax.nn.softmax(outputs) - target) ** 2)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _example_losses(
    apply_fn: ApplyFn, loss: Loss, batch_size: int, params: Params, inputs: Array, targets: Array
) -> Array:
    return map_examples(functools.partial(loss_of_example(apply_fn, loss), params), (inputs, targets), batch_size)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _squared_gradient_norms(
    apply_fn: ApplyFn, loss: Loss, batch_size: int, params: Params, inputs: Array, targets: Array
) -> Array:
    def squared_norms(*rows: Array) -> Array:
        gradients = per_example_gradients(loss_of_example(apply_fn, loss), params, *rows)
        of_leaves = [jnp.square(leaf).reshape(len(leaf), -1).sum(1) for leaf in jax.tree.leaves(gradients)]
        return functools.reduce(jnp.add, of_leaves)

    return map_blocks(squared_norms, (inputs, targets), batch_size)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _gradient_products(
    apply_fn: ApplyFn,
    loss: Loss,
    batch_size: int,
    checkpoints: Params,
    rates: Array,
    examples: tuple[Array, Array],
    references: tuple[Array, Array] | None,
) -> Array:
    def at_checkpoint(params: Params) -> Array:
        if references is None:
            return _squared_gradient_norms(apply_fn, loss, batch_size, params, *examples)
        direction = jax.grad(lambda p: _example_losses(apply_fn, loss, batch_size, p, *references).mean())(params)
        # the products of all gradients with one direction are one forward derivative
        return jax.jvp(lambda p: _example_losses(apply_fn, loss, batch_size, p, *examples), (params,), (direction,))[1]

    return jnp.sum(rates[:, None] * jax.lax.map(at_checkpoint, checkpoints), axis=0)


@functools.partial(jax.jit, static_argnums=4)
def _nearest_neighbour_values(
    features: Array, labels: Array, reference_features: Array, reference_labels: Array, num_neighbors: int
) -> Array:
    n = len(features)
    # distances from a common centre lose the fewest digits in the expanded square
    centre = features.mean(0)
    features, reference_features = features - centre, reference_features - centre
    squared_lengths = jnp.sum(features**2, axis=1)
    place = jnp.arange(1, n + 1)
    weight = jnp.minimum(num_neighbors, place) / (num_neighbors * place).astype(features.dtype)

    def values(reference: Array, label: Array) -> Array:
        products = jnp.matmul(features, reference, precision=jax.lax.Precision.HIGHEST)
        nearest_first = jnp.argsort(squared_lengths - 2 * products)
        right = (labels[nearest_first] == label).astype(features.dtype)
        steps = (right - jnp.append(right[1:], 0)) * weight
        return jnp.zeros(n, features.dtype).at[nearest_first].set(jnp.cumsum(steps[::-1])[::-1])

    return map_examples(values, (reference_features, reference_labels), _REFERENCES_AT_ONCE).mean(0)
