"""A training as a differentiable function of the weights of its examples, and of the state that it begins with.

What reverse mode must keep of a training of T steps is the state before every one of them. Here it is the states before
some √T segments, and, while one of them is gone through again, those of its √T steps: 2 √T in all, for a second run of
the training.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl._validation import edge, require_count
from infotheory_dl.training import _program
from infotheory_dl.training._program import Chosen, Common, Data, Minibatches, Schedule, State, Step
from infotheory_dl.training.engine import count_examples, minibatches, require_weights
from infotheory_dl.types import AnyArray, Key


class Course(NamedTuple):
    """What a training of one model runs, apart from its arrays: with equal ones a program is compiled once.

    Attributes:
      step: one update.
      schedule: the batches of an epoch; None makes the whole training set one batch.
      num_epochs: passes over the training set.
    """

    step: Step
    schedule: Schedule | None
    num_epochs: int


def course_of(step: Step, data: Data, num_epochs: int, batch_size: int | Schedule | None) -> Course:
    """The course of a training with these settings of `train`, which are checked."""
    require_count(1, num_epochs=num_epochs)
    num_examples = count_examples(data)
    schedule = batch_size if batch_size is None or callable(batch_size) else minibatches(num_examples, batch_size)
    return Course(step, schedule, num_epochs)


@edge
def unrolled(
    key: Key,
    step: Step,
    state: State,
    data: Data,
    weights: Float[AnyArray, " examples"],
    *,
    shared: Any = None,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
) -> State:
    """The state that `train` ends with, as a function that is differentiable in both modes, also many times.

    Reverse mode keeps as many states as twice the root of the number of steps, and runs every step three times; forward
    mode keeps one. Apply `jax.grad` or `jax.jvp` to a function of `weights`, or of `state`, that calls this one. What
    whole numbers of the state depend on has no derivative.

    Args:
      key, step, state, data, shared, num_epochs, batch_size: as in `train`.
      weights: of the examples, see `train`.

    Returns:
      The state after the last epoch. One that is not finite is returned as it is.

    Raises:
      ValueError: as in `train`.
    """
    course = course_of(step, data, num_epochs, batch_size)
    require_weights(weights, count_examples(data))
    return unroll(course, key, state, data, shared, jnp.asarray(weights))


def unroll(
    course: Course, key: Key, state: State, data: Data, shared: Any, weights: Float[Array, " examples"]
) -> State:
    """The core of `unrolled`."""
    data, shared = jax.tree.map(jnp.asarray, (data, shared))
    common = Common(data, shared, None, None)  # type: ignore[arg-type]  # nothing is evaluated
    gather = _program.gatherer(course.schedule, common, Chosen(weights=weights))
    batches, keys = _all_steps(course, key)
    num_steps = len(keys)
    num_segments, length = segments(num_steps)
    numbers = jnp.arange(num_segments * length)

    def laid_out(leaf):
        # what fills the last segment up is the last step again, and goes for nothing
        return leaf[jnp.minimum(numbers, num_steps - 1)].reshape(num_segments, length, *leaf.shape[1:])

    # a weak type would be strong after a step
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), state)

    def one_step(state, numbered):
        number, key, scheduled = numbered
        batch = gather(*scheduled)
        if num_steps == num_segments * length:
            return course.step(state, batch, key)[0], None
        either = functools.partial(jax.tree.map, functools.partial(jnp.where, number < num_steps))
        # beyond its end a training may have no finite derivative, such as of a learning rate that ends in a root
        return either(course.step(either(state, first), batch, key)[0], state), None

    # in a scan nothing can be merged with what is computed outside
    checkpoint = functools.partial(jax.checkpoint, prevent_cse=False)

    def one_segment(state, steps):
        return lax.scan(checkpoint(one_step), state, steps)

    steps = numbers.reshape(num_segments, length), *jax.tree.map(laid_out, (keys, batches))
    return lax.scan(checkpoint(one_segment), first, steps)[0]


def segments(num_steps: int) -> tuple[int, int]:
    """How many segments of how many steps: up to a tenth more than fewest, if that spares steps that go for nothing."""
    root = math.sqrt(num_steps)
    candidates = [(-(-num_steps // length), length) for length in range(1, math.ceil(root) + 1)]
    few_enough = 1.1 * min(map(sum, candidates))
    return min((c for c in candidates if sum(c) <= few_enough), key=lambda c: (c[0] * c[1] - num_steps, sum(c)))


def _all_steps(course: Course, key: Key) -> tuple[Minibatches | tuple[()], Array]:
    """The batches and the keys of all steps, as the engine draws them epoch by epoch."""
    schedule_key, step_key = jax.random.split(key)
    epochs = jnp.arange(course.num_epochs)
    batches: Any = ()
    steps_of_epoch = 1
    if course.schedule is not None:
        batches = lax.map(functools.partial(course.schedule, schedule_key), epochs)
        steps_of_epoch = batches.mask.shape[1]
        batches = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batches)
    keys_of_epochs = jax.vmap(functools.partial(jax.random.fold_in, step_key))(epochs)
    fold = jax.vmap(jax.vmap(jax.random.fold_in, in_axes=(None, 0)), in_axes=(0, None))
    return batches, fold(keys_of_epochs, jnp.arange(steps_of_epoch)).ravel()
