"""What a network would have learned from other examples: by derivatives of its training, and by really training it."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from infotheory_dl._validation import edge, is_concrete, require_choice, require_rank, require_shape, require_within
from infotheory_dl.results import concise
from infotheory_dl.sample_information._passes import (
    Measure,
    Plan,
    Problem,
    checked,
    measured,
    pull,
    push,
    shape_of_outputs,
    squared_norm,
    weights_of,
)
from infotheory_dl.sample_information._tame import require_tame
from infotheory_dl.sample_information.removal import StepSizeError
from infotheory_dl.sample_information.retraining import Groups, RetrainedLeaveOneOut, membership
from infotheory_dl.training import Data, Schedule, State, System, train_many
from infotheory_dl.types import AnyArray, Key, Scalar


@concise
class Datamodels(NamedTuple):
    """Linear models of what is measured of a trained network, in the weights of its examples.

    Attributes:
      outputs: what is measured of the network with all examples at the weights of the derivative.
      output_changes: the changes when the weight of each example falls from one to zero.
      weight: of all examples where the derivative is taken.
    """

    outputs: Float[Array, "references outputs"]
    output_changes: Float[Array, "examples references outputs"]
    weight: Float[Array, ""]

    def without(self, groups: Groups) -> Float[Array, "groups references outputs"]:
        """The predicted changes when each of the groups, indices of examples, is left out, from all at weight one."""
        members = membership(groups, len(self.output_changes)).astype(self.output_changes.dtype)
        return jnp.tensordot(members, self.output_changes, axes=1)

    def at(self, weights: Float[AnyArray, "models examples"]) -> Float[Array, "models references outputs"]:
        """What is predicted to be measured of networks whose examples have other weights, of any size."""
        require_rank("weights", weights, 2, "(models, examples)")
        require_shape("weights", weights, (len(weights), len(self.output_changes)), "(models, examples)")
        return self.outputs - jnp.tensordot(jnp.asarray(weights) - self.weight, self.output_changes, axes=1)


@concise
class Unlearned(NamedTuple):
    """What would be measured of a network that had been trained without a group of examples.

    Attributes:
      outputs: with all examples.
      first_order: without each group, by the derivative with all examples.
      second_order: by the derivative where the weights of the group are a half.
      retrained: by really training without it, if that was asked for.
      error: of the second order, relative to the change that there really is: the root of the ratio of their mean
        squares. One is as good as no change at all.
      first_order_error: the same of the first order.
    """

    outputs: Float[Array, "references outputs"]
    first_order: Float[Array, "groups references outputs"]
    second_order: Float[Array, "groups references outputs"]
    retrained: Float[Array, "groups references outputs"] | None
    error: Float[Array, " groups"] | None
    first_order_error: Float[Array, " groups"] | None


@edge
def datamodels(
    key: Key,
    system: System,
    state: State,
    data: Data,
    reference: Any,
    *,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    shared: Any = None,
    measure: Measure | None = None,
    fraction: Scalar = 0.0,
    method: Literal["auto", "forward", "reverse"] = "auto",
    passes_at_once: int | None = None,
) -> Datamodels:
    """Computes how anything that is measured of a trained network depends on the weight of each example.

    Args:
      key, system, state, data, num_epochs, batch_size, shared: of the training, as in `trained_information`.
      reference: what `measure` is given, such as inputs and labels of a test set.
      measure: `measure(state, reference)`, differentiable, one row of numbers for each row of the reference data, such
        as losses of `network.apply(state.variables, inputs)`; default the outputs of the system.
      fraction: of the examples, that groups to be predicted leave out. The derivative is taken at the mean weight of
        theirs, 1 - fraction, where all of them are nearest; with weighting="rescaled" that changes the scale alone.
      method: "forward", one pass for each example, or "reverse", one for each number that is measured; "auto" takes the
        fewer ones.
      passes_at_once: as in `trained_information`.

    Returns:
      The models.

    Raises:
      ValueError, StepSizeError: as in `trained_information`.

    Source: Ilyas et al., 2022 (datamodels); Ilyas and Engstrom, 2025 (by derivatives through trainings).
    """
    require_choice("method", method, ("auto", "forward", "reverse"))
    require_within("[0, 1)", fraction=fraction)
    plan, problem = checked(
        key,
        system,
        state,
        data,
        reference,
        measure=measure,
        shared=shared,
        num_epochs=num_epochs,
        batch_size=batch_size,
        passes_at_once=passes_at_once,
        weight=1 - fraction,
    )
    num_examples = len(problem.weights)
    shape = shape_of_outputs(plan, problem)
    count = int(np.prod(shape))
    if method == "auto":
        method = "forward" if num_examples <= count else "reverse"
    if method == "forward":
        passed, pushed = push(plan, problem, jnp.arange(num_examples), midway=False, keep=True)
        changes, weight_change = pushed.output_changes, pushed.weight_change
    else:
        passed, rows = pull(plan, problem, of_weights=0, of_outputs=None)
        changes = jnp.moveaxis(rows.reshape(*shape, -1), -1, 0)
        weight_change = jnp.zeros(num_examples)
    assert changes is not None
    require_tame(plan, problem, passed, weight_change, jnp.square(changes).sum(-1).mean(-1))
    return Datamodels(passed.outputs, changes, problem.weights[0])


@edge
def unlearn(
    key: Key,
    system: System,
    state: State,
    data: Data,
    reference: Any,
    groups: Groups,
    *,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    shared: Any = None,
    measure: Measure | None = None,
    retrain: bool = False,
    passes_at_once: int | None = None,
) -> Unlearned:
    """Predicts what would be measured of a network that had never seen a group of examples, from two forward passes.

    Args:
      key, system, state, data, num_epochs, batch_size, shared: of the training, as in `trained_information`.
      reference, measure: as in `datamodels`; default the outputs of the system.
      groups: indices of the examples of each group.
      retrain: whether to train without each group, too, and tell the errors.
      passes_at_once: as in `trained_information`.

    Returns:
      The predictions, to first and to second order in the weights of the group.

    Raises:
      ValueError, StepSizeError: as in `trained_information`; and if a group is empty, names an absent example or leaves
        none.
    """
    plan, problem = checked(
        key,
        system,
        state,
        data,
        reference,
        measure=measure,
        shared=shared,
        num_epochs=num_epochs,
        batch_size=batch_size,
        passes_at_once=passes_at_once,
    )
    members = membership(groups, len(problem.weights))
    passed, first = push(plan, problem, jnp.asarray(members), midway=False, keep=True)
    _, second = push(plan, problem, jnp.asarray(members), midway=True, keep=True)
    for order in (first, second):
        require_tame(plan, problem, passed, order.weight_change, order.output_change)
    retrained = None
    errors: list[Any] = [None, None]
    if retrain:
        trained = retrained_without(plan, problem, members)
        if is_concrete(trained.diverged) and trained.diverged.any():
            without = np.flatnonzero(trained.diverged)[0]
            raise StepSizeError(f"the training without groups[{without}] diverges: take a smaller learning rate")
        retrained = passed.outputs + trained.output_changes
        errors = [
            jnp.sqrt(jnp.square(guess.output_changes - trained.output_changes).sum(-1).mean(-1) / trained.output_change)
            for guess in (second, first)
        ]
    first_order, second_order = (passed.outputs + order.output_changes for order in (first, second))
    return Unlearned(passed.outputs, first_order, second_order, retrained, *errors)


@edge
def retrain_without(
    key: Key,
    system: System,
    state: State,
    data: Data,
    reference: Any,
    groups: Groups,
    *,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    shared: Any = None,
    measure: Measure | None = None,
    models_at_once: int | None = None,
) -> RetrainedLeaveOneOut:
    """Really trains a network without each group: the truth behind `trained_information`, `datamodels` and `unlearn`.

    The groups have weight zero; batches, their order and whatever else is drawn stay as they are with all examples.

    Args:
      key, system, state, data, num_epochs, batch_size, shared: of the training, as in `trained_information`.
      reference, measure: as in `datamodels`; default the outputs of the system.
      groups: indices of the examples to leave out together.
      models_at_once: trainings side by side, to bound the memory; default that of `training.train_many`.

    Returns:
      The changes, and the weights trained on all examples.

    Raises:
      ValueError: as in `unlearn`, but for what has no derivative.
      StepSizeError: if the training on all examples diverges.
    """
    plan, problem = checked(
        key,
        system,
        state,
        data,
        reference,
        measure=measure,
        shared=shared,
        num_epochs=num_epochs,
        batch_size=batch_size,
        passes_at_once=None,
        differentiated=False,
    )
    return retrained_without(plan, problem, membership(groups, len(problem.weights)), models_at_once)


def retrained_without(
    plan: Plan, problem: Problem, members: Bool[np.ndarray, "groups examples"], models_at_once: int | None = None
) -> RetrainedLeaveOneOut:
    """The core of `retrain_without`."""
    weights = jnp.concatenate([problem.weights[None], jnp.where(members, 0, problem.weights)])
    count = len(weights)
    training = train_many(
        jnp.broadcast_to(problem.key, (count,)),
        plan.course.step,
        jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *jnp.shape(leaf))), problem.state),
        problem.data,
        shared=problem.shared,
        num_epochs=plan.course.num_epochs,
        batch_size=plan.course.schedule,
        weights=weights,
        models_at_once=models_at_once,
    )
    if is_concrete(training.diverged) and training.diverged[0]:
        raise StepSizeError("training on all examples diverges: take a smaller learning rate")
    return _changes(plan, problem, training.state, training.diverged[1:])


@functools.partial(jax.jit, static_argnames="plan")
def _changes(plan, problem, states, diverged):
    params = weights_of(states)
    outputs = jax.lax.map(functools.partial(measured, plan, problem), states).astype(problem.weights.dtype)
    weight_change = jax.vmap(lambda leaves: squared_norm(jax.tree.map(lambda a, b: a - b[0], leaves, params)))(params)
    changes = outputs[1:] - outputs[0]
    return RetrainedLeaveOneOut(
        weight_change=weight_change[1:],
        output_change=jnp.square(changes).sum(-1).mean(-1),
        output_changes=changes,
        diverged=diverged,
        params=jax.tree.map(lambda leaf: leaf[0], params),
        weight_changes=None,
    )
