"""Losses for wrong labels, one value for each example, summed over the classes.

All take logits and labels, which are classes or soft; what they share is said at `cross_entropy`. P stands for the
probabilities softmax(logits), y for the label as a distribution. Label smoothing is the cross-entropy of smoothed
labels, `cross_entropy(logits, optax.smooth_labels(one_hot, alpha))`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_not_negative,
    require_shape,
    require_within,
    warn,
)
from infotheory_dl.data.label_noise import require_transition
from infotheory_dl.label_noise._labels import Labels, checked_rows
from infotheory_dl.types import AnyArray, Scalar

__all__ = [
    "active_passive",
    "backward_correction",
    "bi_tempered",
    "bootstrapping",
    "cross_entropy",
    "dmi",
    "early_learning_regularization",
    "forward_correction",
    "generalized_cross_entropy",
    "mean_absolute_error",
    "mean_squared_error",
    "normalized_cross_entropy",
    "symmetric_cross_entropy",
]

_DETERMINANT_FLOOR = 1e-3
_NEWTON_STEPS = 12


@edge
def cross_entropy(logits: Float[AnyArray, "examples classes"], labels: Labels) -> Float[Array, " examples"]:
    """Cross-entropy, -y · log P, in nats.

    Args:
      logits: of at least two classes; large ones are safe in single precision.
      labels: classes in [0, classes), or distributions over them.

    Returns:
      The losses, in the dtype of the logits.

    Raises:
      ValueError: if a shape does not fit, a logit is NaN or infinite, or a label is neither a class nor a distribution,
        naming the first.
    """
    logits, targets = checked_rows(logits, labels)
    return optax.softmax_cross_entropy(logits, targets)


@edge
def mean_squared_error(logits: Float[AnyArray, "examples classes"], labels: Labels) -> Float[Array, " examples"]:
    """Squared error of the probabilities, ‖y - P‖² (Brier score)."""
    logits, targets = checked_rows(logits, labels)
    return jnp.square(targets - jax.nn.softmax(logits)).sum(-1)


@edge
def mean_absolute_error(logits: Float[AnyArray, "examples classes"], labels: Labels) -> Float[Array, " examples"]:
    """Absolute error of the probabilities, ‖y - P‖₁, which for a class y is 2 (1 - P_y).

    Source: Ghosh, Kumar and Sastry, 2017.
    """
    return _absolute_error(*checked_rows(logits, labels))


@edge
def generalized_cross_entropy(
    logits: Float[AnyArray, "examples classes"], labels: Labels, *, q: Scalar = 0.7
) -> Float[Array, " examples"]:
    """Generalized cross-entropy, (1 - P_y^q) / q; of soft labels the mean over y.

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      q: in (1e-6, 1]; the limit 0 is the cross-entropy, 1 is half of the absolute error.

    Source: Zhang and Sabuncu, 2018.
    """
    require_within("(1e-6, 1]", q=q)
    logits, targets = checked_rows(logits, labels)
    # the power of a probability that has underflown would have no finite gradient
    return -(targets * jnp.expm1(q * jax.nn.log_softmax(logits))).sum(-1) / q


@edge
def symmetric_cross_entropy(
    logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    alpha: Scalar = 0.1,
    beta: Scalar = 1.0,
    log_zero: float = -4.0,
) -> Float[Array, " examples"]:
    """Symmetric cross-entropy, alpha (-y · log P) + beta (-P · log y).

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      alpha: weight of the cross-entropy, 0.1 for CIFAR-10 in the paper.
      beta: weight of the reverse cross-entropy.
      log_zero: the least value of log y, in place of the logarithm of zero.

    Source: Wang et al., 2019.
    """
    require_not_negative(alpha=alpha, beta=beta)
    require_within("(-inf, 0)", log_zero=log_zero)
    logits, targets = checked_rows(logits, labels)
    log_targets = jnp.log(jnp.maximum(targets, math.exp(log_zero)))
    reverse = -(jax.nn.softmax(logits) * log_targets).sum(-1)
    return optax.softmax_cross_entropy(logits, targets) * alpha + reverse * beta


@edge
def normalized_cross_entropy(logits: Float[AnyArray, "examples classes"], labels: Labels) -> Float[Array, " examples"]:
    """Cross-entropy as a share of that of all classes, -y · log P / (-sum_k log P_k), in [0, 1].

    Source: Ma et al., 2020.
    """
    return _normalized_cross_entropy(*checked_rows(logits, labels))


@edge
def active_passive(
    logits: Float[AnyArray, "examples classes"], labels: Labels, *, alpha: Scalar = 1.0, beta: Scalar = 1.0
) -> Float[Array, " examples"]:
    """Normalized cross-entropy and absolute error, alpha NCE + beta MAE.

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      alpha: weight of the active loss, which raises the probability of the label.
      beta: weight of the passive loss, which lowers those of the others.

    Source: Ma et al., 2020.
    """
    require_not_negative(alpha=alpha, beta=beta)
    logits, targets = checked_rows(logits, labels)
    return _normalized_cross_entropy(logits, targets) * alpha + _absolute_error(logits, targets) * beta


@edge
def forward_correction(
    logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    transition: Float[AnyArray, "classes classes"],
    *,
    floor: float = 0.0,
) -> Float[Array, " examples"]:
    """Cross-entropy of the noisy labels under the noisy probabilities, -y · log(P T), so that P speaks of clean labels.

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      transition: T[i, j] = p(noisy j | clean i).
      floor: P is kept in [floor, 1 - floor] and has no gradient outside; 1e-10 in the published code.

    Returns:
      The losses; infinite, with no gradient, for a label that T gives no class.

    Raises:
      ValueError: if the transition is not a matrix of distributions over the classes, naming the first bad row, or the
        floor is not in [0, 1/2).

    Source: Patrini et al., 2017.
    """
    require_within("[0, 0.5)", floor=floor)
    logits, targets = checked_rows(logits, labels)
    transition = _transition(transition, logits)
    possible = (transition > 0).any(0)
    log_clean = jax.nn.log_softmax(logits)
    if floor > 0:
        log_clean = jnp.clip(log_clean, math.log(floor), math.log1p(-floor))
    log_noisy = logsumexp(log_clean[:, :, None], axis=1, b=jnp.where(possible, transition, 1))
    return -jnp.where(targets > 0, targets * jnp.where(possible, log_noisy, -jnp.inf), 0).sum(-1)


@edge
def backward_correction(
    logits: Float[AnyArray, "examples classes"], labels: Labels, transition: Float[AnyArray, "classes classes"]
) -> Float[Array, " examples"]:
    """Cross-entropy whose mean over the noisy labels is that of the clean label, -y · T⁻¹ log P.

    It is unbiased and not bounded from below.

    Args:
      logits, labels, transition: as in `forward_correction`.

    Raises:
      ValueError: as in `forward_correction`, and if the transition is singular.

    Source: Patrini et al., 2017.
    """
    logits, targets = checked_rows(logits, labels)
    transition = _transition(transition, logits)
    if is_concrete(transition) and np.linalg.cond(np.asarray(transition)) > 1 / jnp.finfo(transition.dtype).eps:
        raise ValueError("backward correction needs a transition with an inverse: this one is singular")
    corrected = jnp.linalg.solve(transition, jax.nn.log_softmax(logits).T).T
    return -(targets * corrected).sum(-1)


@edge
def bootstrapping(
    logits: Float[AnyArray, "examples classes"], labels: Labels, *, weight: Scalar = 0.95, hard: bool = False
) -> Float[Array, " examples"]:
    """Cross-entropy of labels that are mixed with the predictions, -(weight y + (1 - weight) z) · log P.

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      weight: of the labels, in [0, 1]; in the paper 0.95, and 0.8 with hard predictions.
      hard: whether z is the most likely class instead of P. Gradients pass through P.

    Source: Reed et al., 2015.
    """
    require_within("[0, 1]", weight=weight)
    logits, targets = checked_rows(logits, labels)
    predicted = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1]) if hard else jax.nn.softmax(logits)
    mixed = weight * targets + (1 - weight) * predicted.astype(logits.dtype)
    return optax.softmax_cross_entropy(logits, mixed)


@edge
def bi_tempered(
    logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    loss_temperature: Scalar = 0.8,
    softmax_temperature: Scalar = 1.2,
) -> Float[Array, " examples"]:
    """Bi-tempered logistic loss: bounded for outliers, with tails of the probabilities that are heavy.

    With log_t(x) = (x^(1 - t) - 1) / (1 - t) and exp_t its inverse, P = exp_t2(logits - normalizer) and the loss is
    sum_k y_k (log_t1 y_k - log_t1 P_k) - (y_k^(2 - t1) - P_k^(2 - t1)) / (2 - t1).

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      loss_temperature: t1, in [0, 1]; 1 makes it the relative entropy KL(y ‖ P), for a class the cross-entropy.
      softmax_temperature: t2, at least 1; 1 makes P the softmax.

    Source: Amid et al., 2019.
    """
    require_within("[0, 1]", loss_temperature=loss_temperature)
    require_within("[1, inf)", softmax_temperature=softmax_temperature)
    logits, targets = checked_rows(logits, labels)
    log_probabilities = _tempered_log_softmax(logits, softmax_temperature)
    power = 2 - loss_temperature
    log_targets = jnp.log(jnp.where(targets > 0, targets, 1))
    surprise = _power(log_targets, loss_temperature) - _power(log_probabilities, loss_temperature)
    return (targets * surprise - (targets**power - jnp.exp(power * log_probabilities)) / power).sum(-1)


@edge
def dmi(
    logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    *,
    mask: Bool[AnyArray, " examples"] | None = None,
) -> Float[Array, ""]:
    """Determinant-based mutual information of a whole batch, -log(|det(Yᵀ P)| + 1e-3).

    The joint matrix is not divided by the size of the batch, which only shifts the value. Where the determinant
    vanishes, as in a batch that misses a class, the gradient is zero; and its sign is arbitrary at random weights, so
    that training has to start from a classifier that cross-entropy has trained.

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      mask: False where a row only fills up a short batch.

    Returns:
      One value for the batch.

    Warns:
      UserWarning: if there are fewer examples than classes, whose determinant is zero.

    Source: Xu et al., 2019.
    """
    logits, targets = checked_rows(logits, labels)
    num_examples, num_classes = logits.shape
    if num_examples < num_classes:
        warn(
            f"the determinant of {num_classes} classes vanishes in a batch of {num_examples} examples: dmi has no"
            " gradient"
        )
    if mask is not None:
        targets = targets * jnp.asarray(mask)[:, None]
    joint = targets.T @ jax.nn.softmax(logits)
    # beyond half the range of exponents the inverse, and with it the gradient, would overflow
    smallest = math.log(jnp.finfo(logits.dtype).tiny) / 2
    regular = jnp.linalg.slogdet(lax.stop_gradient(joint))[1] > smallest
    log_determinant = jnp.linalg.slogdet(jnp.where(regular, joint, jnp.eye(num_classes, dtype=joint.dtype)))[1]
    floor = math.log(_DETERMINANT_FLOOR)
    return -jnp.logaddexp(jnp.where(regular, log_determinant, -jnp.inf), floor)


@edge
def early_learning_regularization(
    logits: Float[AnyArray, "examples classes"],
    labels: Labels,
    memory: Float[AnyArray, "examples classes"],
    *,
    weight: Scalar = 3.0,
    momentum: Scalar = 0.7,
) -> tuple[Float[Array, " examples"], Float[Array, "examples classes"]]:
    """Cross-entropy that holds on to what was predicted early, -y · log P + weight log(1 - P · t).

    The memory t is a running mean of the predictions, t <- momentum t + (1 - momentum) P, updated before it is used;
    no gradient passes through it. P is kept in [1e-4, 1 - 1e-4] in both.

    Args:
      logits, labels: as in `cross_entropy`, which see for the errors too.
      memory: the rows of these examples; zeros at first.
      weight: of the regularization; in the paper 3 for CIFAR-10, 1 with asymmetric noise, 7 for CIFAR-100.
      momentum: in [0, 1); in the paper 0.7, and 0.9 with asymmetric noise or CIFAR-100.

    Returns:
      The losses and the new rows of the memory. `early_learning.early_learning` trains with them.

    Source: Liu et al., 2020.
    """
    require_not_negative(weight=weight)
    require_within("[0, 1)", momentum=momentum)
    logits, targets = checked_rows(logits, labels)
    require_shape("memory", memory, logits.shape, "that of logits")
    predicted = jnp.clip(jax.nn.softmax(logits), 1e-4, 1 - 1e-4)
    latest = predicted / predicted.sum(-1, keepdims=True)
    remembered = lax.stop_gradient(jnp.asarray(memory) * momentum + latest * (1 - momentum))
    regularization = jnp.log1p(-(predicted * remembered).sum(-1))
    return optax.softmax_cross_entropy(logits, targets) + regularization * weight, remembered


def _absolute_error(logits: Array, targets: Array) -> Array:
    return jnp.abs(targets - jax.nn.softmax(logits)).sum(-1)


def _normalized_cross_entropy(logits: Array, targets: Array) -> Array:
    log_probabilities = jax.nn.log_softmax(logits)
    return (targets * log_probabilities).sum(-1) / log_probabilities.sum(-1)


def _power(log_value: Array, temperature: Scalar) -> Array:
    """log_t(x), given log x."""
    order = jnp.asarray(1 - temperature, log_value.dtype)
    return jnp.where(order == 0, log_value, jnp.expm1(order * log_value) / jnp.where(order == 0, 1, order))


@jax.jit
def _tempered_log_softmax(logits: Array, temperature: Scalar) -> Array:
    """log exp_t(logits - normalizer), t >= 1, whose exponentials add up to one."""
    order = jnp.asarray(temperature - 1, logits.dtype)

    def log_probabilities(logits: Array, normalizer: Array) -> Array:
        distance = normalizer - logits
        return -jnp.where(order == 0, distance, jnp.log1p(order * distance) / jnp.where(order == 0, 1, order))

    def newton_step(logits: Array, normalizer: Array) -> Array:
        # log_t of the sum is convex in the normalizer: the steps are monotone from below, and at t = 1 one is exact
        log_terms = log_probabilities(logits, normalizer)
        log_sum = logsumexp(log_terms, axis=-1, keepdims=True)
        log_slope = logsumexp(temperature * log_terms, axis=-1, keepdims=True)
        return normalizer + _power(log_sum, temperature) * jnp.exp(temperature * log_sum - log_slope)

    constant = lax.stop_gradient(logits)
    start = constant.max(-1, keepdims=True)
    solution = lax.fori_loop(0, _NEWTON_STEPS, lambda _, normalizer: newton_step(constant, normalizer), start)
    # one step more that is differentiated: at the solution its derivative is that of the implicit function
    return log_probabilities(logits, newton_step(logits, solution))


def _transition(transition: AnyArray, logits: Array) -> Array:
    transition = require_transition(transition, num_classes=logits.shape[1])
    return jnp.asarray(transition, logits.dtype)
