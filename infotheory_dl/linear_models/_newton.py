"""The solver: truncated Newton steps, projected onto an orthant where there is an L1 penalty.

One loop serves every case. It never writes a Hessian out: conjugate gradients need its products alone, which are two
products with the data, and under `vmap` two products for all problems together. Examples are the last axis of every
array: a product of few outputs with many examples is several times as fast on a processor as one of many with few.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, Int

_SUFFICIENT_DECREASE = 1e-4
_SMALLEST_STEP = 1e-10
# a step that changes a logit by more says that the optimum is not there yet, or nowhere: where a hyperplane separates
# the classes every step adds about one, however flat the objective
_SMALL_CHANGE = 1e-2
# near an optimum one or two steps make the change small; the slope of one at infinity sinks into rounding in the end
_MOST_FLAT = 5
_MAX_PRODUCTS = 100
_DAMPING = 1e-6


class Problem(NamedTuple):
    """One regression; the last row of the design, of ones, belongs to the intercept.

    Attributes:
      design: centred features of unit variance, and ones.
      targets: probabilities of the classes; of two classes those of the second alone.
      weights: of the examples; they add up to one.
      ridge: factors of the squares of the parameters, halved.
      lasso: factors of their absolute values.
      offset: what is added to the logits: large numbers for classes that no example has.
      whitening: W with WᵀW about the inverse of the Hessian for each class; None for a diagonal one.
    """

    design: Float[Array, "parameters examples"]
    targets: Float[Array, "outputs examples"]
    weights: Float[Array, " examples"]
    ridge: Float[Array, " parameters"]
    lasso: Float[Array, " parameters"]
    offset: Float[Array, " outputs"]
    whitening: Float[Array, "parameters parameters"] | None


class State(NamedTuple):
    """Where the solver is.

    Attributes:
      parameters: in units of the design.
      logits: of the examples.
      value: the objective.
      slope: the steepest slope of the objective, of the sub-differential the part nearest to zero.
      change: of the logits by the last step, at most.
      flat: steps since the slope was first within the tolerance; rounding may lift it again.
      stuck: whether no step decreased the objective.
      iterations: steps so far.
    """

    parameters: Float[Array, "outputs parameters"]
    logits: Float[Array, "outputs examples"]
    value: Float[Array, ""]
    slope: Float[Array, "outputs parameters"]
    change: Float[Array, ""]
    flat: Int[Array, ""]
    stuck: Bool[Array, ""]
    iterations: Int[Array, ""]


def whitening_factor(
    design: Float[Array, "parameters examples"], ridge: Float[Array, " parameters"], outputs: int
) -> Float[Array, "parameters parameters"]:
    """The inverse root of the Hessian that all classes being equally likely would give, the same for every class.

    Conjugate gradients in its metric see features that depend on each other no more. Only the scale of the weights of
    the examples differs from problem to problem, and is left out, so that problems share the factor where they share
    the penalty.
    """
    classes = max(2, outputs)
    curvature = (classes - 1) / classes**2
    gram = design @ design.T * (curvature / design.shape[1])
    # directions without variance, which no penalty holds, keep a positive curvature
    floor = curvature * jnp.sqrt(jnp.finfo(design.dtype).eps)
    identity = jnp.eye(len(gram), dtype=gram.dtype)
    factor = jnp.linalg.cholesky(gram + jnp.diag(ridge + floor))
    return solve_triangular(factor, identity, lower=True)


def minimise(
    problem: Problem, start: Float[Array, "outputs parameters"], tolerance: Float[Array, ""], max_iterations: int
) -> tuple[State, Bool[Array, ""]]:
    """Minimises the objective; returns where the solver ended and whether that is the minimum.

    Each step solves (H + s I) d = -g by conjugate gradients, to a residual that shrinks with g. So does s, which keeps
    a singular H from blowing up the step, and costs no speed in the end (Li, Fukushima, Qi and Yamashita, 2004).

    With an L1 penalty the objective is smooth within an orthant. Parameters that are held at zero stay there; those
    that a step of their own would bring across zero take that step; the others go along d. All stop where they would
    leave the orthant. Such steps, halved until the objective decreases, converge (Bertsekas, 1982).
    """

    def is_flat(state: State) -> Array:
        return jnp.abs(state.slope).max() <= tolerance

    def settled(state: State) -> Array:
        return is_flat(state) & (state.change <= _SMALL_CHANGE)

    def goes_on(state: State) -> Array:
        return ~settled(state) & (state.flat <= _MOST_FLAT) & ~state.stuck & (state.iterations < max_iterations)

    def counted(state: State) -> State:
        return state._replace(flat=state.flat + (is_flat(state) | (state.flat > 0)))

    advance = lambda state: counted(_advance(problem, state))
    end = lax.while_loop(goes_on, advance, counted(_begin(problem, start)))
    return end, settled(end)


def _begin(problem: Problem, parameters: Array) -> State:
    logits = parameters @ problem.design + problem.offset[:, None]
    value, slope = _value(problem, parameters, logits), _slope(problem, parameters, logits)
    return State(
        parameters, logits, value, slope, jnp.zeros_like(value), jnp.asarray(0), jnp.asarray(False), jnp.asarray(0)
    )


def _advance(problem: Problem, state: State) -> State:
    lasso = problem.lasso
    curvature = _curvature(problem, state.logits)
    at_zero = (lasso > 0) & (state.parameters == 0)
    # where a step of its own would bring a parameter across zero, the others must not count on it
    own_step = state.slope / curvature
    crosses = (lasso > 0) & (jnp.abs(state.parameters) <= own_step * jnp.sign(state.parameters)) & ~at_zero
    coupled = ~(at_zero & (state.slope == 0)) & ~crosses & ~_references(problem, at_zero, state.slope)
    orthant = jnp.where(at_zero, -jnp.sign(state.slope), jnp.sign(state.parameters))

    direction = _solve(problem, state, coupled, curvature)
    direction = jnp.where(crosses, -own_step, direction)

    def after(step: Array) -> tuple[Array, Array]:
        parameters = state.parameters + step * direction
        parameters = jnp.where((lasso > 0) & (parameters * orthant < 0), 0, parameters)
        return parameters, (parameters - state.parameters) @ problem.design

    def rejected(trial: tuple[Array, tuple[Array, Array]]) -> Array:
        step, (parameters, change) = trial
        promised = (state.slope * (state.parameters - parameters)).sum()
        increase, rounding = _increase(problem, state, parameters, change)
        # negated, so that an increase that is NaN is rejected too
        enough = increase <= rounding - _SUFFICIENT_DECREASE * jnp.maximum(promised, 0)
        return ~enough & (step > _SMALLEST_STEP)

    one = jnp.ones_like(state.value)
    halve = lambda trial: (trial[0] / 2, after(trial[0] / 2))
    step, (parameters, change) = lax.while_loop(rejected, halve, (one, after(one)))
    stuck = step <= _SMALLEST_STEP
    parameters = jnp.where(stuck, state.parameters, parameters)
    change = jnp.where(stuck, 0, change)
    logits = state.logits + change
    if len(change) > 1:
        change -= change.mean(0)
        parameters = _centred(problem, parameters)
    value = _value(problem, parameters, logits)
    change = jnp.where(problem.weights > 0, jnp.abs(change), 0).max()
    slope = _slope(problem, parameters, logits)
    return State(parameters, logits, value, slope, change, state.flat, stuck, state.iterations + 1)


def _increase(problem: Problem, state: State, parameters: Array, change: Array) -> tuple[Array, Array]:
    """What the objective grows by, and what rounding can make of that.

    Near the optimum the difference of two values is all rounding, and steps that undo each other would pass. So it is
    summed from differences that are exact to their own size.
    """
    exact = jnp.log1p((_probabilities(state.logits) * jnp.expm1(change)).sum(0)) - (problem.targets * change).sum(0)
    far = _losses(problem.targets, state.logits + change) - _losses(problem.targets, state.logits)
    size = jnp.abs(change).max(0)
    of_losses = problem.weights * jnp.where(size < 1, exact, far)
    step = parameters - state.parameters
    of_squares = problem.ridge / 2 * step * (parameters + state.parameters)
    of_magnitudes = problem.lasso * (jnp.abs(parameters) - jnp.abs(state.parameters))
    summed = problem.weights @ size + jnp.abs(of_squares).sum() + jnp.abs(of_magnitudes).sum()
    return of_losses.sum() + of_squares.sum() + of_magnitudes.sum(), 4 * jnp.finfo(summed.dtype).eps * summed


def _centred(problem: Problem, parameters: Array) -> Array:
    """Subtracts one of the classes from all where this decreases an L1 penalty; the loss does not notice."""
    present = (problem.offset == 0)[:, None]
    # of every class less each of the classes, which is the first axis
    differences = (parameters - parameters[:, None]) * present
    lasso, ridge = problem.lasso, problem.ridge
    penalty = lambda values: lasso * jnp.abs(values).sum(-2) + ridge / 2 * (values**2).sum(-2)
    penalties = jnp.where(present, penalty(differences), jnp.inf)
    least = penalties.argmin(0)
    centred = jnp.take_along_axis(differences, least[None, None], axis=0)[0]
    better = penalties.min(0) <= penalty(parameters)
    return jnp.where((lasso > 0) & better, centred, parameters)


def _references(problem: Problem, at_zero: Array, slope: Array) -> Array:
    """For each feature one class that stays at zero for this step, so that the classes cannot all move together.

    The loss has no curvature in that direction. Nothing is lost, since `_centred` moves them so.
    """
    at_zero = at_zero & (problem.offset == 0)[:, None]
    if len(slope) == 1:
        return jnp.zeros_like(at_zero)
    least = jnp.where(at_zero, jnp.abs(slope), jnp.inf).argmin(0)
    return at_zero & (jnp.arange(len(slope))[:, None] == least) & (problem.ridge == 0)


def _solve(problem: Problem, state: State, coupled: Array, curvature: Array) -> Array:
    """Conjugate gradients for (H + s I) d = -slope among the coupled parameters, zero elsewhere."""
    probabilities = _probabilities(state.logits)
    weighted = problem.weights * probabilities
    steepest = jnp.abs(state.slope).max()
    ridge = problem.ridge + _DAMPING * steepest

    def product(vector: Array) -> Array:
        logits = vector @ problem.design
        if len(logits) == 1:
            changes = weighted * (1 - probabilities) * logits
        else:
            changes = weighted * (logits - (probabilities * logits).sum(0))
        return jnp.where(coupled, changes @ problem.design.T + ridge * vector, 0)

    def precondition(residual: Array) -> Array:
        if problem.whitening is None:
            return residual / curvature
        return (residual @ problem.whitening.T) @ problem.whitening

    norm = jnp.linalg.norm
    slope = jnp.where(coupled, _between_classes(problem, state.slope), 0)
    accuracy = jnp.minimum(0.1, jnp.sqrt(steepest)) * norm(slope)

    def unsolved(carry):
        _, residual, _, _, count = carry
        return (norm(residual) > accuracy) & (count < _MAX_PRODUCTS)

    def improve(carry):
        solution, residual, search, energy, count = carry
        image = product(search)
        curved = (search * image).sum()
        step = energy / jnp.where(curved > 0, curved, jnp.inf)
        solution, residual = solution + step * search, residual - step * image
        preconditioned = precondition(residual)
        new_energy = (residual * preconditioned).sum()
        search = preconditioned + new_energy / jnp.where(energy > 0, energy, jnp.inf) * search
        return solution, residual, search, new_energy, count + 1

    first = precondition(-slope)
    carry = jnp.zeros_like(slope), -slope, first, (-slope * first).sum(), 0
    return lax.while_loop(unsolved, improve, carry)[0]


def _between_classes(problem: Problem, slope: Array) -> Array:
    """The slope without what rounding leaves of it where all classes move together.

    The loss has no curvature there, and in single precision conjugate gradients would look for it in vain. Where an L1
    penalty is, `_references` holds the classes.
    """
    if len(slope) == 1:
        return slope
    present = (problem.offset == 0)[:, None]
    common = jnp.mean(slope, axis=0, where=present)
    return jnp.where((problem.lasso == 0) & present, slope - common, slope)


def _value(problem: Problem, parameters: Array, logits: Array) -> Array:
    penalty = parameters**2 @ problem.ridge / 2 + jnp.abs(parameters) @ problem.lasso
    return problem.weights @ _losses(problem.targets, logits) + penalty.sum()


def _slope(problem: Problem, parameters: Array, logits: Array) -> Array:
    """The gradient; where the L1 penalty has a kink, the part of it that the penalty does not hold."""
    errors = problem.weights * (_probabilities(logits) - problem.targets)
    gradient = errors @ problem.design.T + problem.ridge * parameters
    lasso = problem.lasso
    held = jnp.where(parameters == 0, jnp.clip(-gradient, -lasso, lasso), lasso * jnp.sign(parameters))
    return jnp.where((problem.offset == 0)[:, None], gradient + held, 0)


def _curvature(problem: Problem, logits: Array) -> Array:
    """About the diagonal of the Hessian: as if the variance of the features were one among any examples."""
    probabilities = _probabilities(logits)
    return ((probabilities * (1 - probabilities)) @ problem.weights)[:, None] + problem.ridge


def _losses(targets: Array, logits: Array) -> Array:
    if len(logits) == 1:
        return (jax.nn.softplus(logits) - targets * logits)[0]
    return jax.nn.logsumexp(logits, axis=0) - (targets * logits).sum(0)


def _probabilities(logits: Array) -> Array:
    return jax.nn.sigmoid(logits) if len(logits) == 1 else jax.nn.softmax(logits, axis=0)
