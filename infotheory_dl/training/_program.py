"""What the training engine runs on the device: the epochs of all models, from one epoch to another, as one program."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl.results import concise
from infotheory_dl.training.parallel import on_each_device
from infotheory_dl.types import AnyArray, Key

State: TypeAlias = Any
"""A pytree of arrays: whatever a system carries from step to step."""

Data: TypeAlias = Any
"""A pytree of arrays whose first axis counts the same examples."""

Metrics: TypeAlias = dict[str, Any]
"""Named arrays, or pytrees of them, that a step or an evaluation reports."""


class Batch(NamedTuple):
    """The examples of one step.

    Attributes:
      data: rows of the training data; their leading axes are those of `indices`.
      mask: False where a row is repeated only to fill a short batch.
      indices: where in the training data the rows lie, for a step that knows something of single examples.
      shared: what the training is given of arrays without an axis of examples, such as a graph; None without any.
      weights: of the examples, where the training is given any; they say nothing of the mask. None stands for ones.
    """

    data: Data
    mask: Bool[Array, " *batch"]
    indices: Int[Array, " *batch"]
    shared: Any = None
    weights: Float[Array, " *batch"] | None = None


class Minibatches(NamedTuple):
    """The batches of one epoch.

    Attributes:
      indices: rows of the training set, (steps, batch), or (steps, domains, batch), or whatever the step understands.
      mask: the same shape, False where a row is repeated only to fill a short batch.
    """

    indices: Int[Array, "steps *batch"]
    mask: Bool[Array, "steps *batch"]


Step: TypeAlias = Callable[[State, Batch, Key], tuple[State, Metrics]]
Evaluate: TypeAlias = Callable[..., Metrics]
"""`evaluate(state, data)`, or `evaluate(state, data, shared)` in a training with shared arrays."""

Schedule: TypeAlias = Callable[[Key, Array], Minibatches]
"""`schedule(key, epoch)`: the batches of an epoch, counted from 0. The key is the same in all epochs of a training."""


@concise
class Best(NamedTuple):
    """The best evaluated epoch; of equal ones the first, or the latest if the evaluation says so.

    Attributes:
      state: the state after that epoch.
      epoch: its number, counted from 1; 0, with the initial state, before the first evaluation.
      score: the metric that is maximised, or minus the one that is minimised.
    """

    state: State
    epoch: Int[Array, "*models"]
    score: Float[Array, "*models"]


@concise
class TrainingState(NamedTuple):
    """A training under way and, at its end, its result. With many models all but `epoch` have a leading axis of models.

    Every draw derives from `key` and the numbers of the epoch and the step, so a training goes on from these alone.

    Attributes:
      epoch: epochs done.
      key: the key of the model.
      state: the state of the system; of a diverged model, the one after its last finite epoch.
      diverged: whether an epoch made the state infinite or NaN.
      metrics: what the steps reported, (epochs, steps, ...); NaN (0 in integers) in the epochs to come.
      evaluations: what the evaluations reported, (evaluations, ...), likewise.
      best: the best evaluated epoch; None if none is selected.
    """

    epoch: Int[Array, ""]
    key: Keys[Array, "*models"]
    state: State
    diverged: Bool[Array, "*models"]
    metrics: Metrics
    evaluations: Metrics
    best: Best | None


class Chosen(NamedTuple):
    """What a model trains on; with many models both have a leading axis of them.

    Attributes:
      subset: rows of the training data; None for all.
      weights: of the rows of the training data, those outside the subset too; None for ones.
    """

    subset: Int[AnyArray, "*models rows"] | None = None
    weights: Float[AnyArray, "*models examples"] | None = None


class Program(NamedTuple):
    """What a training is compiled for: with equal programs and shapes it is compiled once.

    Attributes:
      step: one update of one model.
      schedule: the batches of an epoch; None makes the whole training set one batch.
      evaluate: what to report of a state.
      selection: the metric of the evaluations to select the best epoch by, and the sign that makes larger better.
      patience: how many evaluations without a better one end the training of a model; None for no end.
      tie: which of equally good epochs is the best.
      num_epochs: epochs to be recorded.
      models_at_once: how many models go side by side on a device; the rest follow.
      mesh: the devices that share the models; None leaves everything where it is.
    """

    step: Step
    schedule: Schedule | None
    evaluate: Evaluate
    selection: tuple[str, Literal[1, -1]] | None
    patience: int | None
    tie: Literal["first", "latest"]
    num_epochs: int
    models_at_once: int
    mesh: Mesh | None


class Common(NamedTuple):
    """The arrays that all models read.

    Attributes:
      data: rows to train on.
      shared: what has no rows; None without any.
      evaluation_data: what to evaluate on.
      evaluation_epochs: after which epochs.
    """

    data: Data
    shared: Any
    evaluation_data: Data
    evaluation_epochs: Int[AnyArray, " evaluations"]


@functools.partial(jax.jit, static_argnames="program")
def begin(
    program: Program,
    common: Common,
    keys: Keys[Array, " models"],
    states: State,
    chosen: Chosen,
) -> TrainingState:
    """The models before their first epoch, in arrays of their own: the epochs will overwrite them."""

    def begin_one(model, common):
        key, state, chosen = model
        one_epoch = functools.partial(_one_epoch, program, gatherer(program.schedule, common, chosen))
        _, metrics = jax.eval_shape(one_epoch, state, key, jnp.int32(0))
        evaluation = jax.eval_shape(functools.partial(_report, program), common, state)
        best = None
        if program.selection is not None:
            score = jax.eval_shape(functools.partial(_score, program.selection), evaluation)
            best = Best(state, jnp.int32(0), jnp.full((), -jnp.inf, score.dtype))
        return TrainingState(
            epoch=None,  # type: ignore[arg-type]  # one for all models
            key=key,
            state=state,
            diverged=jnp.array(False),
            metrics=_blank(metrics, program.num_epochs),
            evaluations=_blank(evaluation, len(common.evaluation_epochs)),
            best=best,
        )

    # a weak type would be strong after an epoch, and the next chunk another program
    states = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), states)
    models = _for_each_model(program, begin_one, jax.tree.map(jnp.copy, (keys, states, chosen)), common)
    return models._replace(epoch=jnp.int32(0))


@functools.partial(jax.jit, static_argnames="program", donate_argnames="training")
def advance(
    program: Program,
    common: Common,
    training: TrainingState,
    chosen: Chosen,
    until: Int[Array, ""],
) -> TrainingState:
    """The models, trained from the epoch they are at to the epoch `until`. Chunks of all lengths are one program."""

    def advance_one(model, given):
        training, chosen = model
        common, start, until = given
        one_epoch = functools.partial(_one_epoch, program, gatherer(program.schedule, common, chosen))

        def goes_on(carry):
            epoch, training = carry
            return (epoch < until) & _any_model(~_is_out_of_patience(program, common, training, epoch))

        def advance_epoch(carry):
            epoch, training = carry
            stopped = _is_out_of_patience(program, common, training, epoch)
            state, metrics = one_epoch(training.state, training.key, epoch)
            diverged = training.diverged | ~(stopped | _is_finite(state))
            training = training._replace(
                state=_where(stopped | diverged, training.state, state),
                diverged=diverged,
                metrics=_record(training.metrics, epoch, metrics, unless=stopped),
            )
            return epoch + 1, _evaluate(program, common, training, epoch + 1, stopped)

        return lax.while_loop(goes_on, advance_epoch, (start, training))[1]

    models = (training._replace(epoch=None), chosen)  # type: ignore[arg-type]
    trained = _for_each_model(program, advance_one, models, (common, training.epoch, until))
    return trained._replace(epoch=until)


def _for_each_model(program, function, models, given):
    """`function(model, given)` of every model: the devices share them, side by side or one after the other."""

    def on_one_device(models, given):
        of_one = lambda model: function(model, given)
        if program.models_at_once == 1:
            return lax.map(of_one, models)
        if program.models_at_once >= len(jax.tree.leaves(models)[0]):
            return jax.vmap(of_one)(models)
        return lax.map(of_one, models, batch_size=program.models_at_once)

    return on_each_device(on_one_device, program.mesh)(models, given)


@jax.custom_batching.custom_vmap
def _any_model(flag):
    """Whether the flag of any model side by side is up: one answer for all, so that they go through the same epochs.

    An answer for each would make the epoch theirs too, and every evaluation, due or not, would be computed.
    """
    return flag


@_any_model.def_vmap
def _any_of_many(axis_size, in_batched, flags):
    return flags.any(), False


def gatherer(schedule: Schedule | None, common: Common, chosen: Chosen) -> Callable[..., Batch]:
    """The function that makes the batch of a step from what the schedule says; without one it takes no arguments."""
    subset, weights = chosen

    def gather(indices, mask):
        indices = indices if subset is None else subset[indices]
        # None of weights is no leaf
        rows, own = jax.tree.map(lambda leaf: leaf.at[indices].get(mode="promise_in_bounds"), (common.data, weights))
        return Batch(rows, mask, indices, common.shared, own)

    if schedule is not None:
        return gather
    size = len(jax.tree.leaves(common.data)[0]) if subset is None else len(subset)
    everything = gather(jnp.arange(size), jnp.ones(size, bool))
    return lambda: everything


def _one_epoch(program, gather, state, key, epoch):
    """The state after one more epoch, and the metrics of its steps."""
    schedule_key, step_key = jax.random.split(key)
    step_key = jax.random.fold_in(step_key, epoch)
    scheduled = () if program.schedule is None else program.schedule(schedule_key, epoch)
    num_steps = len(scheduled.mask) if scheduled else 1

    def one_step(state, numbered):
        number, scheduled = numbered
        return program.step(state, gather(*scheduled), jax.random.fold_in(step_key, number))

    return lax.scan(one_step, state, (jnp.arange(num_steps), scheduled))


def _evaluate(program, common, training, epoch, stopped):
    """The training after the evaluation, and the selection, that may be due after so many epochs if it goes on."""
    if not len(common.evaluation_epochs):
        return training

    def evaluate(evaluations, best):
        evaluation = _report(program, common, training.state)
        if best is not None:
            score = _score(program.selection, evaluation)
            # a score of NaN is not greater than any
            is_better = score > best.score if program.tie == "first" else score >= best.score
            best = _where(~stopped & is_better, Best(training.state, epoch, score), best)
        place = jnp.searchsorted(common.evaluation_epochs, epoch)
        return _record(evaluations, place, evaluation, unless=stopped), best

    is_due = (common.evaluation_epochs == epoch).any()
    evaluations, best = lax.cond(is_due, evaluate, lambda *unchanged: unchanged, training.evaluations, training.best)
    return training._replace(evaluations=evaluations, best=best)


def _report(program, common, state):
    """The evaluation of a state; what is shared is given to it only where there is something."""
    shared = () if common.shared is None else (common.shared,)
    return program.evaluate(state, common.evaluation_data, *shared)


def _is_out_of_patience(program, common, training, epoch):
    """Whether so many evaluations, as many as the patience, have come since the best one."""
    if program.patience is None:
        return jnp.array(False)
    since = (common.evaluation_epochs > training.best.epoch) & (common.evaluation_epochs <= epoch)
    return since.sum() >= program.patience


def _score(selection, evaluation):
    name, sign = selection
    if name not in evaluation:
        raise ValueError(
            f"the evaluation reports no {name!r} to select by; it reports {', '.join(map(repr, evaluation))}"
        )
    score = jnp.asarray(evaluation[name])
    if score.shape:
        raise ValueError(f"the metric to select by must be one number per model, got {name!r} of shape {score.shape}")
    return sign * score.astype(jnp.result_type(score, jnp.float32))


def _is_finite(state):
    floating = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.array([jnp.isfinite(leaf).all() for leaf in floating], bool).all()


def _where(condition, yes, no):
    return jax.tree.map(functools.partial(jnp.where, condition), yes, no)


def _blank(metrics, length):
    """Records yet to be made: NaN, or 0 where the type has none."""

    def blank(metric):
        missing = jnp.nan if jnp.issubdtype(metric.dtype, jnp.inexact) else 0
        return jnp.full((length, *metric.shape), missing, metric.dtype)

    return jax.tree.map(blank, metrics)


def _record(records, place, metrics, *, unless):
    """The records with one more, unless the flag is up: then it falls out of them, which costs no copy of the rest."""

    def record(records, metric):
        return records.at[jnp.where(unless, len(records), place)].set(metric, mode="drop")

    return jax.tree.map(record, records, metrics)
