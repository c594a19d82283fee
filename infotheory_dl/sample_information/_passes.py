"""Passes through a training: how the trained weights and outputs change with the weights of the examples.

A forward pass follows one change of the weights of examples to all that is trained. A reverse pass brings one number
that is made of the trained weights or outputs back to the weights of all examples.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, Float, Int, PyTree, Shaped
from jaxtyping import Key as Keys

from infotheory_dl._blocks import map_examples
from infotheory_dl._validation import is_concrete, require_count, require_finite, require_not_empty, require_within
from infotheory_dl.sample_information.problem import require_examples
from infotheory_dl.training import Batch, Data, Schedule, State, System
from infotheory_dl.training._smooth import require_smooth
from infotheory_dl.training.engine import count_examples
from infotheory_dl.training.unrolling import Course, course_of, unroll
from infotheory_dl.types import Params, Scalar

Measure: TypeAlias = Callable[[State, Any], Any]
"""`measure(state, reference)`: numbers of a trained state, one row for each row of the reference data."""

# enough for products of matrices
_AT_ONCE = 16
# what the passes side by side may make in a step: on CPUs no more than the caches bear, beyond which a pass of the
# papers' CNN takes four times as long; on accelerators a part of their memory
_BYTES_AT_ONCE, _BYTES_ON_ACCELERATORS = 192 * 2**20, 2**32


class Plan(NamedTuple):
    """What fixes the compiled program.

    Attributes:
      course: of the training.
      measure: what is looked at.
      at_once: passes side by side.
    """

    course: Course
    measure: Measure
    at_once: int


class Problem(NamedTuple):
    """What it runs on.

    Attributes:
      key: of the training; or of several ones, whose states have a leading axis.
      state: before it.
      data, shared: of the training.
      reference: what `measure` is given.
      weights: of the examples, where the derivatives are taken.
    """

    key: Keys[Array, "*models"]
    state: State
    data: Data
    shared: Any
    reference: Any
    weights: Float[Array, " examples"]


class Pass(NamedTuple):
    """Where passes go through.

    Attributes:
      outputs: what `measure` finds at the end, (references, outputs).
      travelled: squared norm of the way from the first weights to the trained ones.
      output_travelled: that of the outputs.
    """

    outputs: Float[Array, "references outputs"]
    travelled: Float[Array, ""]
    output_travelled: Float[Array, ""]


class Pushed(NamedTuple):
    """What forward passes bring.

    Attributes:
      weight_change: squared norm of the change of the weights.
      output_change: that of the outputs, mean over the reference data.
      output_changes: the changes of the outputs; None unless they are kept.
    """

    weight_change: Float[Array, " passes"]
    output_change: Float[Array, " passes"]
    output_changes: Float[Array, "passes references outputs"] | None


def checked(
    key: Keys[Array, "*models"],
    system: System,
    state: State,
    data: Data,
    reference: Any,
    *,
    measure: Measure | None,
    shared: Any,
    num_epochs: int,
    batch_size: int | Schedule | None,
    passes_at_once: int | None,
    weight: Scalar = 1.0,
    differentiated: bool = True,
) -> tuple[Plan, Problem]:
    """Checks a training that is to be differentiated, or run again, and lays it out with all examples at one weight."""
    if not isinstance(system, System):
        raise TypeError(
            f"system must be a training.System, such as training.supervised gives, got {type(system).__name__}"
        )
    require_count(1, passes_at_once=passes_at_once)
    for name, tree in {"state": state, "data": data, "reference": reference}.items():
        _require_arrays(name, tree)
    require_finite(state=numbers_of(state), data=numbers_of(data), reference=numbers_of(reference))
    require_not_empty(**{f"reference[{place}]": leaf for place, leaf in enumerate(jax.tree.leaves(reference))})
    require_within("(0, 1]", weight=weight)
    measure = measure or system.predict
    if measure is None:
        raise ValueError("the system does not say what its outputs are: give measure(state, reference)")
    course = course_of(system.step, data, num_epochs, batch_size)
    num_examples = count_examples(data)
    require_examples(num_examples)
    data, shared, reference = jax.tree.map(jnp.asarray, (data, shared, reference))
    weights = jnp.full(num_examples, weight, jnp.result_type(*jax.tree.leaves(weights_of(state))))
    problem = Problem(key, jax.tree.map(jnp.asarray, state), data, shared, reference, weights)
    first = first_model(problem)
    of_step = first.state, jax.eval_shape(functools.partial(first_batch, course), first), first.key
    with _noted("state is what system.init(variables) makes; data what the step takes, of training.supervised (x, y)"):
        jax.eval_shape(course.step, *of_step)
    require_smooth(course.step, *of_step, differentiated=differentiated)
    if differentiated:
        _require_company(course, first)
    plan = Plan(course, measure, passes_at_once or passes_side_by_side(course, *of_step))
    with _noted(
        "measure(state, reference) is given the reference as it is; by default it is the inputs of the network"
    ):
        outputs = _shaped_outputs(plan, problem)
    if differentiated and not jnp.issubdtype(outputs.dtype, jnp.inexact):
        raise TypeError(
            f"measure must return numbers that have derivatives, such as losses or logits, got {outputs.dtype}: classes"
            " and whether they are right have none"
        )
    return plan, problem


@contextlib.contextmanager
def _noted(note: str) -> Iterator[None]:
    """Tells with an error of the user's functions what they are given."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise


def _require_arrays(name: str, tree: Any) -> None:
    leaves = jax.tree.leaves(tree)
    others = {type(leaf).__name__ for leaf in leaves if not hasattr(leaf, "dtype")}
    if others or not leaves:
        held = f"{name} of {' and '.join(sorted(others))}" if others else "none"
        raise TypeError(f"{name} must be arrays, or a tree of them, got {held}: of a list take np.asarray")


def passes_side_by_side(course: Course, state: State, batch: Batch, key: Any) -> int:
    """How many passes go side by side, from what a step makes of a state, a batch and a key, or of their shapes."""
    bytes_at_once = _BYTES_AT_ONCE if jax.default_backend() == "cpu" else _BYTES_ON_ACCELERATORS
    step = jax.make_jaxpr(lambda *given: course.step(*given)[0])(state, batch, key)
    return int(np.clip(bytes_at_once // max(1, _bytes_made(step.jaxpr)), 1, _AT_ONCE))


def _bytes_made(program: core.Jaxpr) -> int:
    """Of all that a program computes; what is in loops is counted once."""

    def made(equation: core.JaxprEqn) -> int:
        inner = sum(map(_bytes_made, core.jaxprs_in_params(equation.params)))
        results: list[Any] = [variable.aval for variable in equation.outvars]
        return inner or sum(result.size * result.dtype.itemsize for result in results)

    return sum(map(made, program.eqns))


def first_model(problem: Problem) -> Problem:
    """The problem of the first model, or of the only one."""
    if problem.key.ndim == 0:
        return problem
    for leaf in jax.tree.leaves(problem.state):
        if leaf.shape[:1] != problem.key.shape:
            raise ValueError(f"the states of {len(problem.key)} keys must be as many, got a leaf of shape {leaf.shape}")
    return problem._replace(key=problem.key[0], state=jax.tree.map(lambda leaf: leaf[0], problem.state))


def shape_of_outputs(plan: Plan, problem: Problem) -> tuple[int, int]:
    """How many references and outputs are measured."""
    references, outputs = _shaped_outputs(plan, problem).shape
    return references, outputs


def _shaped_outputs(plan: Plan, problem: Problem) -> jax.ShapeDtypeStruct:
    return jax.eval_shape(lambda problem: measured(plan, problem, problem.state), first_model(problem))


def _require_company(course: Course, problem: Problem) -> None:
    """Raises a ValueError if an example is alone in a batch whose step divides by the sum of its weights."""
    if not all(map(is_concrete, jax.tree.leaves(problem))):
        return
    sizes = np.array([len(problem.weights)])
    if course.schedule is not None:
        sizes = np.asarray(_batch_sizes(course, problem.key))
    if not (sizes == 1).any():
        return
    batch = first_batch(course, problem)
    batch = batch._replace(mask=jnp.arange(len(batch.mask)) == 0)
    if not _moves(course, problem, batch):
        raise ValueError(
            f"in {np.mean(sizes == 1):.0%} of the steps an example is alone in its batch, whose loss is divided by the"
            " sum of the weights: no weight but zero changes such a step, and the derivative is not that of leaving it"
            " out. Take a batch_size that leaves no batch of one, or training.supervised(..., weighting='fixed')"
        )


@functools.partial(jax.jit, static_argnames="course")
def _batch_sizes(course: Course, key: Keys[Array, ""]) -> Int[Array, "epochs batches"]:
    assert course.schedule is not None
    return jax.lax.map(lambda epoch: course.schedule(key, epoch).mask.sum(1), jnp.arange(course.num_epochs))


def _moves(course: Course, problem: Problem, batch: Batch) -> bool:
    """Whether the derivative of a step by the weights of its batch is more than the rounding of a zero."""
    weights = jnp.asarray(batch.weights)
    step = lambda weights: numbers_of(course.step(problem.state, batch._replace(weights=weights), problem.key)[0])
    after, change = jax.jvp(step, (weights,), (jnp.ones_like(weights),))
    whole = jax.tree.map(jnp.subtract, after, numbers_of(problem.state))
    return bool(squared_norm(change) > jnp.finfo(weights.dtype).eps * squared_norm(whole))


def weights_of(state: State) -> Params:
    """The parameters of a state that has them under this name, else all that is not whole in it."""
    return state.params if hasattr(state, "params") else numbers_of(state)


def end(plan: Plan, problem: Problem, weights: Float[Array, " examples"]) -> tuple[Params, Array]:
    """The trained weights, and what is measured at the end, as (references, outputs)."""
    state = unroll(plan.course, problem.key, problem.state, problem.data, problem.shared, weights)
    return weights_of(state), measured(plan, problem, state)


def measured(plan: Plan, problem: Problem, state: State) -> Shaped[Array, "references outputs"]:
    """What is measured of a state."""
    outputs = jnp.asarray(plan.measure(state, problem.reference))
    return outputs.reshape(len(outputs), -1) if outputs.ndim else outputs[None, None]


def of_each_model(passes):
    """The function of a problem whose key and state are those of one model, for those of many too."""

    @functools.wraps(passes)
    def of_all(plan, problem, *arrays, **settings):
        def of_one(own):
            key, state = own
            return passes(plan, problem._replace(key=key, state=state), *arrays, **settings)

        own = problem.key, problem.state
        return jax.lax.map(of_one, own) if problem.key.ndim else of_one(own)

    return of_all


@functools.partial(jax.jit, static_argnames=("plan", "midway", "keep"))
@of_each_model
def push(
    plan: Plan, problem: Problem, members: Int[Array, " passes"] | Array, *, midway: bool, keep: bool
) -> tuple[Pass, Pushed]:
    """Forward passes: the changes when the weights of some examples fall by one, to first order.

    Args:
      plan, problem: of `checked`.
      members: the example of each pass, or the members of its group, (passes, examples), as truth values.
      midway: whether the derivative of each pass is taken where its own examples are half-way.
      keep: whether to return the changes of the outputs.
    """
    through = functools.partial(end, plan, problem)

    def one(member):
        is_member = jnp.arange(len(problem.weights)) == member if member.ndim == 0 else member
        change = -is_member.astype(problem.weights.dtype)
        start = problem.weights + change / 2 if midway else problem.weights
        _, (params, outputs) = jax.jvp(through, (start,), (change,))
        return Pushed(squared_norm(params), jnp.square(outputs).sum(-1).mean(), outputs if keep else None)

    return _passed(plan, problem, *through(problem.weights)), map_examples(one, (members,), plan.at_once)


@functools.partial(jax.jit, static_argnames=("plan", "of_weights", "of_outputs"))
@of_each_model
def pull(
    plan: Plan, problem: Problem, *, of_weights: int, of_outputs: int | None
) -> tuple[Pass, Float[Array, "passes examples"]]:
    """Reverse passes: how much numbers at the end change when the weight of each example falls by one.

    Args:
      plan, problem: of `checked`.
      of_weights: how many sums of the trained weights with random signs come first, others in each model.
      of_outputs: how many sums of the outputs with random signs follow; None for every output by itself.
    """
    (params, outputs), back = jax.vjp(functools.partial(end, plan, problem), problem.weights)
    leaves, structure = jax.tree.flatten(params)
    # another number than the training draws by
    weight_key, output_key = jax.random.split(jax.random.fold_in(problem.key, jnp.uint32(2**32 - 1)))
    if of_outputs is None:
        factors = jnp.eye(outputs.size, dtype=outputs.dtype).reshape(outputs.size, *outputs.shape)
    else:
        factors = jax.random.rademacher(output_key, (of_outputs, *outputs.shape), outputs.dtype)

    def one(key, is_of_weights, factors):
        of_leaves = zip(jax.random.split(key, len(leaves)), leaves, strict=True)
        signs = [is_of_weights * jax.random.rademacher(key, leaf.shape, leaf.dtype) for key, leaf in of_leaves]
        return -back((jax.tree.unflatten(structure, signs), factors))[0]

    count = of_weights + len(factors)
    is_of_weights = (jnp.arange(count) < of_weights).astype(problem.weights.dtype)
    factors = jnp.concatenate([jnp.zeros((of_weights, *outputs.shape), outputs.dtype), factors])
    rows = map_examples(one, (jax.random.split(weight_key, count), is_of_weights, factors), plan.at_once)
    return _passed(plan, problem, params, outputs), rows


def first_batch(course: Course, problem: Problem) -> Batch:
    """A batch like those of the training."""
    indices = jnp.arange(len(problem.weights))
    mask = jnp.ones(len(indices), bool)
    if course.schedule is not None:
        scheduled = course.schedule(problem.key, jnp.int32(0))
        indices, mask = scheduled.indices[0], scheduled.mask[0]
    rows = jax.tree.map(lambda leaf: leaf[indices], problem.data)
    return Batch(rows, mask, indices, problem.shared, problem.weights[indices])


def _passed(plan: Plan, problem: Problem, params: Params, outputs: Array) -> Pass:
    way = jax.tree.map(jnp.subtract, params, weights_of(problem.state))
    of_outputs = jnp.square(outputs - measured(plan, problem, problem.state)).sum(-1).mean()
    return Pass(outputs, squared_norm(way), of_outputs)


def numbers_of(tree: Any) -> PyTree[Float[Any, "..."]]:
    """The leaves that are not whole."""
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]


def squared_norm(tree: Params) -> Float[Array, ""]:
    """That of all numbers of a tree."""
    return jnp.stack([jnp.square(leaf).sum() for leaf in jax.tree.leaves(tree)]).sum()
