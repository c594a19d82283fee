"""Whether the derivatives of a training are to be trusted: those that explode, or do not exist, are refused."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infotheory_dl._validation import is_concrete
from infotheory_dl.sample_information._passes import (
    Pass,
    Plan,
    Problem,
    end,
    first_batch,
    first_model,
    numbers_of,
    of_each_model,
    push,
    squared_norm,
    weights_of,
)
from infotheory_dl.sample_information.removal import StepSizeError

_FEW = 10
# what steps of a training that is tame make of what enters the first of them
_MOST_AMPLIFIED = 10


def require_tame(plan: Plan, problem: Problem, passed: Pass, weight_change: Any, output_change: Any) -> None:
    """Raises a StepSizeError if a training diverges or its derivatives explode, a ValueError if it has none.

    Leaving one of many examples out does not move the weights, or the outputs, further than the whole training has. A
    derivative that says so for the mean example is one of steps that amplify whatever enters them, or of a training
    that begins near its end, which amplify nothing. Few examples may pull against one another, each further than they
    get together.
    """
    if not all(map(is_concrete, jax.tree.leaves((passed, weight_change, output_change)))):
        return
    if not np.isfinite(passed.travelled).all() or not np.isfinite(passed.outputs).all():
        raise StepSizeError("the training diverges: take a smaller learning rate")
    changes = {"weights": (weight_change, passed.travelled), "outputs": (output_change, passed.output_travelled)}
    is_finite = all(np.isfinite(change).all() for change, _ in changes.values())
    if not is_finite and _breaks_at_once(plan, first_model(problem)):
        raise ValueError(
            "the first step has no finite derivative: its optimizer takes the root of a moment that is zero. Of"
            " optax.adam and its like set eps_root, such as 1e-8"
        )
    if not np.any(output_change):
        _require_derivatives(plan, problem)
    leeway = 1 + (_FEW / (len(problem.weights) - 1)) ** 2
    for name, (change, travelled) in changes.items():
        mean = np.asarray(change, float).mean(-1)
        far = ~(mean <= leeway * np.maximum(travelled, np.finfo(np.float32).tiny))
        if far.any() and not (is_finite and np.max(_amplification(plan, problem)) <= _MOST_AMPLIFIED):
            raise StepSizeError(
                f"the derivatives of the training explode: leaving an example out would move the {name} by"
                f" {np.sqrt(np.max(mean)):.3g}, further than the whole training, {np.sqrt(np.min(travelled)):.3g}. The"
                " steps amplify what enters them: take a smaller learning rate, or fewer of them"
            )


def _require_derivatives(plan: Plan, problem: Problem) -> None:
    """Raises a ValueError if no weight changes what is trained, or measured, to first order."""
    signs = jax.random.rademacher(jax.random.key(0), (1, len(problem.weights)), problem.weights.dtype)
    _, pushed = push(plan, problem, signs, midway=False, keep=False)
    if not np.any(pushed.weight_change):
        raise ValueError(
            "the derivative of the training by the weights of the examples is zero: what it makes of the gradients has"
            " none, such as their signs in optax.sign_sgd or optax.lion"
        )
    if not np.any(pushed.output_change):
        raise ValueError(
            "the derivative of what is measured is zero: classes, and whether they are right, do not change to first"
            " order. Measure a loss, or the outputs"
        )


@functools.partial(jax.jit, static_argnames="plan")
@of_each_model
def _amplification(plan: Plan, problem: Problem) -> Float[Array, ""]:
    """How many times larger at the end is what random changes of a batch's weights bring into the weights at first."""
    leaves, structure = jax.tree.flatten(problem.state)
    of_weights = {id(leaf) for leaf in jax.tree.leaves(weights_of(problem.state))}
    places = [place for place, leaf in enumerate(leaves) if id(leaf) in of_weights]

    def end_of(weights):
        whole = [*leaves]
        for place, leaf in zip(places, weights, strict=True):
            whole[place] = leaf
        state = jax.tree.unflatten(structure, whole)
        return end(plan, problem._replace(state=state), problem.weights)[0]

    batch = first_batch(plan.course, problem)
    weights = jnp.asarray(batch.weights)
    signs = jax.random.rademacher(problem.key, weights.shape, weights.dtype)
    step = lambda weights: plan.course.step(problem.state, batch._replace(weights=weights), problem.key)[0]
    _, entering = jax.jvp(lambda weights: jax.tree.leaves(weights_of(step(weights))), (weights,), (signs,))
    _, leaving = jax.jvp(end_of, ([leaves[place] for place in places],), (entering,))
    return jnp.sqrt(squared_norm(leaving) / squared_norm(entering))


def _breaks_at_once(plan: Plan, problem: Problem) -> bool:
    first = first_batch(plan.course, problem)

    def one_step(weights):
        return numbers_of(plan.course.step(problem.state, first._replace(weights=weights), problem.key)[0])

    weights = jnp.asarray(first.weights)
    _, change = jax.jvp(one_step, (weights,), (jnp.ones_like(weights),))
    return not all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(change))
