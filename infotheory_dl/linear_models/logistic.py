"""Logistic regression: fitted, and applied."""

import functools
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from infotheory_dl._validation import (
    class_labels,
    edge,
    is_concrete,
    require_distributions,
    require_finite,
    require_indices,
    require_not_empty,
    require_not_negative,
    require_rank,
    require_shape,
    warn,
)
from infotheory_dl.linear_models._newton import Problem, minimise, whitening_factor
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels, Scalar

Penalty: TypeAlias = float | int | np.number | Real[AnyArray, "..."]

# above so many features the inverse of a matrix of them costs more than it saves
_MOST_WHITENED = 2048


@concise
class LogisticRegression(NamedTuple):
    """Fitted regressions. Two classes have one output, the logit of the second; more have one for each class.

    Attributes:
      coefficients: of the features.
      intercept: of the outputs; of several classes they add up to zero; of one that no example has, minus infinity.
      converged: whether the gradient is zero, to the tolerance, at a finite optimum.
      iterations: Newton steps.
      loss: mean loss and penalties, nats.
    """

    coefficients: Float[Array, "*problems features outputs"]
    intercept: Float[Array, "*problems outputs"]
    converged: Bool[Array, "*problems"]
    iterations: Int[Array, "*problems"]
    loss: Float[Array, "*problems"]


@edge
def fit(
    x: Real[AnyArray, "examples features"],
    y: AnyLabels,
    *,
    num_classes: int | None = None,
    l2: Penalty = 0.0,
    l1: Penalty = 0.0,
    weights: Real[AnyArray, "*weight_problems examples"] | None = None,
    tolerance: Scalar | None = None,
    max_iterations: int = 100,
) -> LogisticRegression:
    """Fits logistic regressions, multinomial for more than two classes, as many as there are problems, in one program.

    It minimises Σ wᵢ lossᵢ / Σ wᵢ + l2/2 ‖W‖² + l1 ‖W‖₁ over the coefficients W and the intercept, which has no
    penalty; the loss is the cross-entropy. With scikit-learn's C, and N for the sum of the weights, its L2 penalty is
    l2 = 1/(C N) and its L1 penalty l1 = 1/(C N).

    Problems differ in labels, penalties or weights: y, l2, l1 and weights may have axes in front, which are broadcast
    as NumPy does it. 25 labels of shape (25, 1, examples) and four penalties are 100 problems; weights of zero leave
    examples out, so that folds are problems too. `jax.vmap` adds others, such as inputs for each problem.

    Args:
      x: inputs. Offset and scale of a column do not matter: the solver works on centred columns of unit variance, and
        returns the optimum of the objective above.
      y: labels of one problem, (examples,), in any form that people hold them in; of several, (..., examples), integers
        in [0, num_classes); or, in floating point, distributions over the classes, (..., examples, classes).
      num_classes: default as many as occur; of integers of several problems, one more than the largest.
      l2: factor of half the squared norm of the coefficients.
      l1: factor of the sum of their absolute values. Where it is not the number 0, the solver for it is taken.
      weights: of the examples, not negative; default all alike.
      tolerance: of the gradient, or what the L1 penalty leaves of it, over the standard deviation of the column;
        default eps^(2/3), which is 4e-11 in double and 2e-5 in single precision.
      max_iterations: Newton steps at most.

    Returns:
      The regressions, with the axes of the problems in front. A class without weight has probability zero. Without
      penalty the coefficients of a constant column are zero, those of several classes add up to zero.

    Raises:
      ValueError: if shapes do not fit, a value is NaN or infinite, a label is out of range, a penalty or weight is
        negative, or the weights of a problem are all zero; without `num_classes` also if one class only occurs, or more
        than a third as many as examples.

    Warns:
      UserWarning: if a problem has not converged, as where a hyperplane separates the classes and no penalty holds the
        coefficients.

    Source: Bertsekas, 1982 (projected Newton steps); Böhning, 1992 (metric of the conjugate gradients).
    """
    x, targets = _checked_data(x, y, num_classes)
    weights = np.ones(len(x)) if weights is None else weights
    _require_settings(len(x), l2, l1, weights)
    model = fit_core(
        x,
        targets,
        *(jnp.asarray(setting, x.dtype) for setting in (l2, l1, weights)),
        tolerance=jnp.finfo(x.dtype).eps ** (2 / 3) if tolerance is None else tolerance,
        max_iterations=max_iterations,
        sparse=not (isinstance(l1, float | int) and l1 == 0),
    )
    _warn_unless_converged(model, max_iterations)
    return model


@edge
def logits(
    model: LogisticRegression, x: Real[AnyArray, "examples features"]
) -> Float[Array, "*problems examples outputs"]:
    """Computes x W + b for every problem: of two classes the logit of the second, of more one for each class."""
    return jnp.asarray(x) @ model.coefficients + model.intercept[..., None, :]


@edge
def probabilities(
    model: LogisticRegression, x: Real[AnyArray, "examples features"]
) -> Float[Array, "*problems examples classes"]:
    """Computes the probabilities of the classes for every problem."""
    outputs = logits(model, x)
    if outputs.shape[-1] == 1:
        return jax.nn.sigmoid(jnp.concatenate([-outputs, outputs], axis=-1))
    return jax.nn.softmax(outputs)


@functools.partial(jax.jit, static_argnames=("max_iterations", "sparse"))
def fit_core(
    x: Float[Array, "examples features"],
    targets: Float[Array, "*label_problems examples outputs"],
    l2: Float[Array, "*l2_problems"],
    l1: Float[Array, "*l1_problems"],
    weights: Float[Array, "*weight_problems examples"],
    *,
    tolerance: Scalar,
    max_iterations: int,
    sparse: bool,
) -> LogisticRegression:
    """`fit` without checks."""
    mean, scale = x.mean(0), x.std(0)
    # of a constant column only rounding is left
    varies = scale > 4 * jnp.finfo(x.dtype).eps * jnp.abs(mean)
    scale = jnp.where(varies, scale, 1)
    features = jnp.where(varies, (x - mean) / scale, 0).T
    design = jnp.concatenate([features, jnp.ones_like(features[:1])])

    def fit_one(targets, l2, l1, weights):
        return _fit_one(design, mean, scale, targets, l2, l1, weights, tolerance, max_iterations, sparse)

    arguments = (targets, 2), (l2, 0), (l1, 0), (weights, 1)
    shapes = [argument.shape[: argument.ndim - rank] for argument, rank in arguments]
    problems = jnp.broadcast_shapes(*shapes)
    padded = [(1,) * (len(problems) - len(shape)) + shape for shape in shapes]
    program = fit_one
    # an axis that an argument does not have is not copied: what depends on it alone is computed once
    for axis in reversed(range(len(problems))):
        program = jax.vmap(program, in_axes=[0 if shape[axis] == problems[axis] else None for shape in padded])
    squeezed = []
    for (argument, rank), shape in zip(arguments, padded, strict=True):
        kept = tuple(size for size, common in zip(shape, problems, strict=True) if size == common)
        squeezed.append(argument.reshape(kept + argument.shape[argument.ndim - rank :]))
    return program(*squeezed)


def _fit_one(design, mean, scale, targets, l2, l1, weights, tolerance, max_iterations, sparse) -> LogisticRegression:
    outputs = targets.shape[-1]
    weights, targets = weights / weights.sum(), targets.T
    shares = targets @ weights
    unpenalised = jnp.zeros((1,), scale.dtype)
    ridge = jnp.concatenate([l2 / scale**2, unpenalised])
    lasso = jnp.concatenate([l1 / scale, unpenalised])

    # a class without weight has its optimum at infinity: large numbers stand for it, so that zero times them is zero
    large = jnp.sqrt(jnp.finfo(scale.dtype).max)
    absent, certain = shares <= 0, (shares >= 1) & (outputs == 1)
    offset = jnp.where(absent, -large, jnp.where(certain, large, 0))
    present = offset == 0
    share = jnp.where(present, shares, 0.5)
    level = jnp.log(share / (1 - share)) if outputs == 1 else jnp.log(share)
    level = jnp.where(present, level - (jnp.mean(level, where=present) if outputs > 1 else 0), 0)
    start = jnp.zeros((outputs, len(design)), scale.dtype).at[:, -1].set(level)

    whitened = not sparse and len(design) <= _MOST_WHITENED
    whitening = whitening_factor(design, ridge, outputs) if whitened else None
    problem = Problem(design, targets, weights, ridge, lasso, offset, whitening)
    end, settled = minimise(problem, start, tolerance, max_iterations)

    coefficients = (end.parameters[:, :-1] / scale).T
    intercept = end.parameters[:, -1] - mean @ coefficients
    if outputs > 1:
        intercept -= jnp.mean(intercept, where=present)
    intercept = jnp.where(present, intercept, jnp.where(absent, -jnp.inf, jnp.inf))
    return LogisticRegression(coefficients, intercept, settled, end.iterations, end.value)


def _checked_data(x: AnyArray, y: AnyLabels, num_classes: int | None) -> tuple[Array, Array]:
    """The inputs in floating point, and the labels as distributions: for two classes the probability of the second."""
    require_rank("x", x, 2, "(examples, features)")
    require_not_empty(x=x)
    require_finite(x=x)
    x = jnp.asarray(x)
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)
    if np.ndim(y) < 2 and is_concrete(y):
        labels = class_labels(y, name="y", num_classes=num_classes, num_examples=len(x), to_learn=num_classes is None)
        targets = _one_hot(labels.codes, len(labels.names), x)
    elif jnp.issubdtype(y.dtype, jnp.floating):
        classes = y.shape[-1] if num_classes is None else num_classes
        require_shape("y", y, (*y.shape[:-2], len(x), classes), "distributions over the classes of every example")
        require_distributions(y=y)
        targets = jnp.asarray(y, x.dtype)
    else:
        require_shape("y", y, (*y.shape[:-1], len(x)), "labels of every example")
        if num_classes is None:
            if not is_concrete(y):
                raise ValueError("num_classes must be given where labels are traced")
            num_classes = int(np.max(y)) + 1
        require_indices(num_classes, y=y)
        targets = _one_hot(y, num_classes, x)
    return x, targets[..., 1:] if targets.shape[-1] == 2 else targets


def _one_hot(codes: AnyArray, num_classes: int, x: Array) -> Array:
    return jax.nn.one_hot(codes, max(2, num_classes), dtype=x.dtype)


def _require_settings(num_examples: int, l2: Penalty, l1: Penalty, weights: AnyArray) -> None:
    require_not_negative(l2=l2, l1=l1, weights=weights)
    require_shape("weights", weights, (*np.shape(weights)[:-1], num_examples), "one for every example")
    if is_concrete(weights) and not (np.sum(weights, -1) > 0).all():
        raise ValueError("weights must be positive somewhere in every problem, got one where all are 0")


def _warn_unless_converged(model: LogisticRegression, max_iterations: int) -> None:
    if is_concrete(model.converged) and not bool(model.converged.all()):
        failed, problems = int((~model.converged).sum()), model.converged.size
        warn(
            f"{failed} of {problems} logistic regressions did not converge in {max_iterations} steps: classes that a"
            " hyperplane separates have no optimum without a penalty, set l2 or l1; otherwise raise max_iterations"
        )
