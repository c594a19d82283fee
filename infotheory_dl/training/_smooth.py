"""Whether the steps of a system look at the weights of the examples, and have derivatives by them."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from infotheory_dl._validation import warn
from infotheory_dl.training._program import Batch, State, Step

# their derivative is zero wherever there is one
_FLAT = frozenset({"sign", "round", "floor", "ceil"})
# whose jaxprs have the arguments and the results of the equation
_CALLS = ("jaxpr", "call_jaxpr")


def require_smooth(step: Step, state: State, batch: Batch, key: Any, *, differentiated: bool = True) -> None:
    """Checks that the step looks at the weights of the examples, and that its derivative by them says what it does.

    Args:
      step: of a system.
      state, batch, key: what it is given, or their shapes.
      differentiated: whether the derivative matters.

    Raises:
      ValueError: if the step does not look at the weights, or whole numbers of the state depend on numbers that are
        not.

    Warns:
      UserWarning: if the step rounds, or takes signs, of what depends on the weights.
    """
    given = (state, batch, key)
    traced, shapes = jax.make_jaxpr(lambda *given: step(*given)[0], return_shape=True)(*given)
    is_weight = _are_weights(given)
    if not any(_follow(traced.jaxpr, is_weight, set())):
        raise ValueError(
            "the training does not look at batch.weights, so that no example's weight changes it: take a system of"
            " training.supervised, or weight the loss of the step by batch.weights"
        )
    if not differentiated:
        return
    of_state = len(jax.tree.leaves(state))
    is_varied = [
        weight or (place < of_state and jnp.issubdtype(leaf.dtype, jnp.inexact))
        for place, (weight, leaf) in enumerate(zip(is_weight, jax.tree.leaves(given), strict=True))
    ]
    passed: set[str] = set()
    depends = _follow(traced.jaxpr, is_varied, passed)
    after = jax.tree_util.tree_leaves_with_path(shapes)
    for (path, leaf), varied in zip(after, depends, strict=True):
        if varied and not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise ValueError(
                f"state{jax.tree_util.keystr(path)}, of {leaf.dtype}, depends on the parameters, and whole numbers have"
                " no derivative: this training is not differentiable"
            )
    if passed:
        warn(
            f"the training takes {' and '.join(sorted(passed))} of what depends on the weights of the examples, whose"
            " derivative is zero: what passes through it alone is not seen"
        )


def _are_weights(given: tuple[State, Batch, Any]) -> list[bool]:
    """Which leaves of what a step is given are the weights of the examples."""
    paths = (path for path, _ in jax.tree_util.tree_leaves_with_path(given))
    return [jax.tree_util.keystr(path) == "[1].weights" for path in paths]


def _follow(
    jaxpr: core.Jaxpr, varied: Sequence[bool], passed: set[str], used: Sequence[bool] | None = None
) -> list[bool]:
    """Which results depend on the arguments that vary.

    Args:
      jaxpr: a program.
      varied: whether each argument varies.
      passed: gets the names of the flat functions on the way to results that are used.
      used: whether each result is; default all are.
    """
    depends = dict(zip(jaxpr.invars, varied, strict=True))

    def varies(variable: Any) -> bool:
        return not isinstance(variable, core.Literal) and depends.get(variable, False)

    for equation, used_here in zip(jaxpr.eqns, _used_results(jaxpr, used), strict=True):
        given = list(map(varies, equation.invars))
        inner = next((equation.params[call] for call in _CALLS if call in equation.params), None)
        inner = inner.jaxpr if isinstance(inner, core.ClosedJaxpr) else inner
        if any(used_here) and any(given) and equation.primitive.name in _FLAT:
            passed.add(equation.primitive.name)
        if equation.primitive.name == "cond":
            results = _follow_branches(equation.params["branches"], given, passed, used_here)
        elif inner is None or len(inner.invars) != len(given):
            results = [any(given)] * len(equation.outvars)
        elif equation.primitive.name == "scan":
            results = _follow_scan(inner, given, passed, equation.params)
        else:
            results = _follow(inner, given, passed, used_here)
        depends.update(zip(equation.outvars, results, strict=True))
    return list(map(varies, jaxpr.outvars))


def _follow_branches(
    branches: Sequence[core.ClosedJaxpr], given: list[bool], passed: set[str], used: Sequence[bool]
) -> list[bool]:
    of_choice, *arguments = given
    results = [_follow(branch.jaxpr, arguments, passed, used) for branch in branches]
    return [of_choice or any(of_branches) for of_branches in zip(*results, strict=True)]


def _follow_scan(step: core.Jaxpr, given: list[bool], passed: set[str], settings: dict[str, Any]) -> list[bool]:
    carry = slice(settings["num_consts"], settings["num_consts"] + settings["num_carry"])
    while True:  # what a step varies, the next one is given
        results = _follow(step, given, passed)
        carried = [before or after for before, after in zip(given[carry], results, strict=False)]
        if carried == given[carry]:
            return results
        given = [*given[: carry.start], *carried, *given[carry.stop :]]


def _used_results(jaxpr: core.Jaxpr, used: Sequence[bool] | None) -> list[list[bool]]:
    """Whether each result of each equation is used, for what is used of all."""
    wanted = {
        variable
        for variable, flag in zip(jaxpr.outvars, used or [True] * len(jaxpr.outvars), strict=True)
        if flag and not isinstance(variable, core.Literal)
    }
    found = []
    for equation in reversed(jaxpr.eqns):
        flags = [variable in wanted for variable in equation.outvars]
        if any(flags):
            wanted |= {variable for variable in equation.invars if not isinstance(variable, core.Literal)}
        found.append(flags)
    return found[::-1]
