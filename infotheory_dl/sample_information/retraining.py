"""The ground truth of sample information: networks really trained without the examples."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num, PyTree, Real

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_count,
    require_finite,
    require_not_negative,
    require_positive,
    require_same_shape,
    require_shape,
)
from infotheory_dl.metrics import pearson_correlation, spearman_correlation
from infotheory_dl.results import concise
from infotheory_dl.sample_information._examples import checked_examples
from infotheory_dl.sample_information.problem import checked_indices
from infotheory_dl.sample_information.removal import StepSizeError
from infotheory_dl.training import half_squared_error, masked_mean, train
from infotheory_dl.types import AnyArray, ApplyFn, Params, Scalar

Groups: TypeAlias = Sequence[Sequence[int] | Int[AnyArray, " _"]] | np.ndarray
"""Indices of the examples of each group."""


@concise
class RetrainedLeaveOneOut(NamedTuple):
    """What training without an example, or a group of them, really changes, (without it) minus (with all).

    Attributes:
      weight_change: squared norm of the change of the weights.
      output_change: squared norm of the change of the outputs, mean over the reference inputs.
      output_changes: the changes of the outputs themselves.
      diverged: whether a training without the group overflowed; its changes are those of the last finite step.
      params: the weights trained on all examples.
      weight_changes: a tree like the parameters with an axis of groups in front, if asked for.
    """

    weight_change: Float[Array, " groups"]
    output_change: Float[Array, " groups"]
    output_changes: Float[Array, "groups references outputs"]
    diverged: Bool[Array, " groups"]
    params: Params
    weight_changes: PyTree[Float[Array, "groups ..."]] | None


@concise
class Agreement(NamedTuple):
    """How well an estimate agrees with the truth, over all their entries.

    Attributes:
      pearson: correlation of the values.
      spearman: correlation of the ranks.
    """

    pearson: Float[Array, ""]
    spearman: Float[Array, ""]


@edge
def retrain_leave_one_out(
    apply_fn: ApplyFn,
    params: Params,
    inputs: Num[AnyArray, "examples ..."],
    targets: Float[AnyArray, "examples outputs"],
    reference_inputs: Num[AnyArray, "references ..."],
    *,
    num_steps: int,
    learning_rate: Scalar,
    weight_decay: Scalar = 0.0,
    groups: Groups | None = None,
    keep_weight_changes: bool = False,
    models_at_once: int | None = None,
) -> RetrainedLeaveOneOut:
    """Trains the network on all n examples and again without each of them, from the same weights w0.

    Each training is full-batch gradient descent on the mean of ½‖f - y‖² over the examples that are left, plus
    weight_decay/2 ‖w - w0‖²: what `leave_one_out` calls discrete dynamics with rescaled regularization.

    Args:
      apply_fn: the network.
      params: the initial weights w0.
      inputs: of the training examples.
      targets: y, one column for each output.
      reference_inputs: where the outputs are compared.
      num_steps: updates of each training.
      learning_rate: step size on the mean loss.
      weight_decay: penalty on the mean loss, towards the initial weights.
      groups: indices of the examples to leave out together; default each example by itself.
      keep_weight_changes: returns the changes of the weights too: n times the memory of the network.
      models_at_once: trainings side by side, to bound the memory; default 1 on CPUs and 64 on accelerators.

    Returns:
      The changes, and the weights trained on all examples.

    Raises:
      ValueError: if shapes do not fit, an argument holds NaN or infinity, a group is empty, names an absent example or
        leaves none, or a setting is out of its range.
      TypeError: if the parameters are not floating-point.
      StepSizeError: if the training on all examples diverges.

    Source: Harutyunyan et al., 2021 (the retraining that their scores are compared with).
    """
    inputs, targets = checked_examples(apply_fn, params, inputs, targets)
    require_finite(reference_inputs=reference_inputs)
    require_count(1, num_steps=num_steps)
    require_positive(learning_rate=learning_rate)
    require_not_negative(weight_decay=weight_decay)
    members = membership(np.arange(len(inputs))[:, None] if groups is None else groups, len(inputs))
    if models_at_once is None and jax.default_backend() != "cpu":
        models_at_once = 64
    retrained, diverged = _retrain(
        params,
        inputs,
        targets,
        jnp.asarray(reference_inputs),
        members,
        learning_rate,
        weight_decay,
        apply_fn=apply_fn,
        num_steps=num_steps,
        keep_weight_changes=keep_weight_changes,
        models_at_once=models_at_once,
    )
    if is_concrete(diverged) and diverged:
        raise StepSizeError(f"training on all examples diverges with learning_rate={learning_rate}: take a smaller one")
    return retrained


@functools.partial(jax.jit, static_argnames=("apply_fn", "num_steps", "keep_weight_changes", "models_at_once"))
def _retrain(
    params,
    inputs,
    targets,
    reference_inputs,
    groups,
    learning_rate,
    weight_decay,
    *,
    apply_fn,
    num_steps,
    keep_weight_changes,
    models_at_once,
):
    def descend_without(group):
        def objective(weights, inputs, targets):
            penalty = weight_decay / 2 * _squared_norm(jax.tree.map(jnp.subtract, weights, params))
            return masked_mean(half_squared_error(apply_fn(weights, inputs), targets), ~group) + penalty

        def step(weights, batch, key):
            gradient = jax.grad(objective)(weights, *batch.data)
            return optax.apply_updates(weights, jax.tree.map(lambda leaf: -learning_rate * leaf, gradient)), {}

        # nothing is drawn: any key will do
        training = train(jax.random.key(0), step, params, (inputs, targets), num_epochs=num_steps)
        return training.state, training.diverged

    trained, all_diverged = descend_without(jnp.zeros(len(inputs), bool))
    outputs = apply_fn(trained, reference_inputs)

    def leave_out(group):
        weights, diverged = descend_without(group)
        weight_changes = jax.tree.map(jnp.subtract, weights, trained)
        output_changes = apply_fn(weights, reference_inputs) - outputs
        return RetrainedLeaveOneOut(
            weight_change=_squared_norm(weight_changes),
            output_change=jnp.square(output_changes).sum(-1).mean(),
            output_changes=output_changes,
            diverged=diverged,
            params=None,
            weight_changes=weight_changes if keep_weight_changes else None,
        )

    return lax.map(leave_out, groups, batch_size=models_at_once)._replace(params=trained), all_diverged


@edge
def agreement(estimate: Real[AnyArray, "*shape"], truth: Real[AnyArray, "*shape"]) -> Agreement:
    """Correlates an estimate with the truth, entry by entry: scores of examples, or all their changes of outputs.

    Args:
      estimate: e.g. the `output_change` of `leave_one_out`.
      truth: e.g. those of `retrain_leave_one_out`.

    Returns:
      The correlations; NaN if one of the arrays is constant.

    Raises:
      ValueError: if the shapes differ, there are fewer than two entries, or one is NaN or infinite.
    """
    require_same_shape(estimate=estimate, truth=truth)
    x, y = estimate.ravel(), truth.ravel()
    return Agreement(pearson_correlation(x, y), spearman_correlation(x, y))


@edge
def linear_datamodeling_score(
    output_changes: Float[AnyArray, "examples references outputs"],
    group_changes: Float[AnyArray, "groups references outputs"],
    groups: Groups,
) -> Float[Array, ""]:
    """Tells how well the changes of single examples add up to those of groups: the mean rank correlation over groups.

    Args:
      output_changes: estimated change of each reference output without each example.
      group_changes: the real changes without each group, from `retrain_leave_one_out`; the customary groups are random
        halves of the examples.
      groups: indices of the examples of each group.

    Returns:
      Spearman's correlation over the groups between the sum over the members and the real change, mean over the
      reference outputs; in [-1, 1].

    Raises:
      ValueError: if there are fewer than two groups, a group is empty, names an absent example or leaves none, shapes
        do not fit, or a change is NaN or infinite.

    Source: Park et al., 2023 (the linear datamodeling score of TRAK).
    """
    members = membership(groups, len(output_changes))
    if len(members) != len(group_changes) or len(members) < 2:
        raise ValueError(f"group_changes must be of the {len(members)} groups, at least 2, got {len(group_changes)}")
    require_shape("group_changes", group_changes, (len(members), *output_changes.shape[1:]), "as output_changes")
    require_finite(output_changes=output_changes, group_changes=group_changes)
    sums = jnp.tensordot(members.astype(output_changes.dtype), output_changes, axes=1)
    correlations = jax.vmap(jax.vmap(spearman_correlation, in_axes=-1), in_axes=-1)(sums, jnp.asarray(group_changes))
    return correlations.mean()


def membership(groups: Sequence[Any] | np.ndarray, num_examples: int) -> Bool[np.ndarray, "groups examples"]:
    """Which examples are in which group, as a matrix.

    Raises:
      ValueError: if there is no group, or one is empty, names an absent example, or leaves none.
    """
    if isinstance(groups, Mapping) or not np.iterable(groups) or not len(groups) or not all(map(np.iterable, groups)):
        raise ValueError(f"groups must be lists of indices, at least one, such as [[0], [1, 2]], got {groups!r}")
    members = np.zeros((len(groups), num_examples), bool)
    for place, (row, group) in enumerate(zip(members, groups, strict=True)):
        row[checked_indices(f"group {place}", group, num_examples)] = True
        if row.all():
            raise ValueError(f"a group must leave at least one of the {num_examples} examples, got all of them")
    return members


def _squared_norm(tree: Params) -> Float[Array, ""]:
    return jnp.stack([jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)]).sum()
