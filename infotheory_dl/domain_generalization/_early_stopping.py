"""The original's probes: gradient descent that stops once it no longer classifies more of some rows right.

They are what scikit-learn's `MLPClassifier` without a hidden layer, with the original's settings, does.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl.linear_models import LogisticRegression
from infotheory_dl.types import AnyArray, Key

_LEARNING_RATE = 1e-3
_MOMENTUM = 0.9
_BATCH = 200
_DECAY = 1e-4
_MAX_EPOCHS = 1000
_PATIENCE = 10
_SMALLEST_GAIN = 1e-4


class Head(NamedTuple):
    """A linear layer. Two classes have one output, the logit of the second.

    Attributes:
      weights: of the features.
      bias: of the outputs.
    """

    weights: Float[Array, "features outputs"]
    bias: Float[Array, " outputs"]

    def outputs(self, x: Array) -> Array:
        """The logits."""
        return x @ self.weights + self.bias


class _Descent(NamedTuple):
    """Where the descent is.

    Attributes:
      head: now.
      velocity: of its parameters.
      best: the one that has classified most rows right.
      accuracy: of that one.
      idle: epochs since the accuracy has last increased.
      epoch: epochs so far.
    """

    head: Head
    velocity: Head
    best: Head
    accuracy: Float[Array, ""]
    idle: Int[Array, ""]
    epoch: Int[Array, ""]


def early_stopped_probes(
    key: Key,
    x: Float[AnyArray, "examples features"],
    targets: Int[np.ndarray, "probes examples"],
    fitted_to: Bool[np.ndarray, "probes examples"],
    stopped_by: Bool[np.ndarray, "probes examples"],
) -> LogisticRegression:
    """Fits the probes, one after the other, as `converged_probes` does all at once.

    Args:
      key: source of randomness: of the first parameters and of the batches.
      x: the inputs.
      targets: what each probe is to tell, from 0.
      fitted_to: the examples of each probe.
      stopped_by: the examples whose accuracy ends its descent.
    """
    num_classes = np.where(fitted_to, targets, 0).max(1) + 1
    most = int(num_classes.max())
    num_outputs = 1 if most == 2 else most
    x = jnp.asarray(x)
    coefficients = np.zeros((len(targets), x.shape[1], num_outputs), x.dtype)
    intercept = np.full((len(targets), num_outputs), 0 if num_outputs == 1 else -np.inf, x.dtype)
    epochs, keys = np.zeros(len(targets), int), jax.random.split(key, len(targets))
    for classes in np.unique(num_classes):
        chosen = np.flatnonzero(num_classes == classes)
        ends = _descents(keys[chosen], x, targets[chosen], fitted_to[chosen], stopped_by[chosen], int(classes))
        weights, bias = np.asarray(ends.best.weights), np.asarray(ends.best.bias)
        if classes == 2 < most:
            # a logit of the second class, as two that add up to zero
            weights, bias = (np.concatenate([-part / 2, part / 2], axis=-1) for part in (weights, bias))
        coefficients[chosen, :, : weights.shape[-1]], intercept[chosen, : bias.shape[-1]] = weights, bias
        epochs[chosen] = ends.epoch
    return LogisticRegression(
        jnp.asarray(coefficients),
        jnp.asarray(intercept),
        jnp.asarray(epochs < _MAX_EPOCHS),
        jnp.asarray(epochs),
        jnp.full(len(targets), jnp.nan, x.dtype),
    )


@functools.partial(jax.jit, static_argnames="classes")
def _descents(
    keys: Keys[Array, " probes"], x: Array, targets: AnyArray, fitted_to: AnyArray, stopped_by: AnyArray, classes: int
) -> _Descent:
    def one(given: tuple[Key, Array, Array, Array]) -> _Descent:
        key, target, is_fitted, is_stop = given
        key_start, key_batches = jax.random.split(key)
        outputs = 1 if classes == 2 else classes
        reach = jnp.sqrt(6 / (x.shape[1] + outputs))
        drawn = jax.random.uniform(key_start, (x.shape[1] + 1, outputs), x.dtype, -reach, reach)

        def order(epoch: Array) -> Array:
            places = jax.random.uniform(jax.random.fold_in(key_batches, epoch), is_fitted.shape)
            return jnp.argsort(jnp.where(is_fitted, places, 2))

        return descend(
            Head(drawn[:-1], drawn[-1]), x, target, is_fitted.sum(), is_stop, order, batch=min(_BATCH, len(x))
        )

    return lax.map(one, (keys, jnp.asarray(targets), jnp.asarray(fitted_to), jnp.asarray(stopped_by)))


def descend(
    start: Head,
    x: Float[Array, "examples features"],
    targets: Int[Array, " examples"],
    num_fitted: Int[Array, ""],
    stopped_by: Bool[Array, " examples"],
    order: Callable[[Int[Array, ""]], Int[Array, " examples"]],
    *,
    batch: int,
) -> _Descent:
    """Descends from a given head.

    Args:
      start: the head.
      x: the inputs.
      targets: classes.
      num_fitted: how many examples are fitted to.
      stopped_by: the examples whose accuracy ends the descent.
      order: `order(epoch)`, the examples in the order of an epoch, those that are fitted to first.
      batch: examples of an update.
    """
    num_batches = -(-num_fitted // batch)

    def update(place: Array, state: tuple[Head, Head, Array]) -> tuple[Head, Head, Array]:
        head, velocity, rows = state
        chosen = lax.dynamic_slice(rows, (place * batch,), (batch,))
        weights = ((place * batch + jnp.arange(batch)) < num_fitted).astype(x.dtype)
        weights /= weights.sum()
        logits = head.outputs(x[chosen])
        if logits.shape[1] == 1:
            errors = jax.nn.sigmoid(logits) - targets[chosen, None]
        else:
            errors = jax.nn.softmax(logits) - jax.nn.one_hot(targets[chosen], logits.shape[1], dtype=x.dtype)
        errors *= weights[:, None]
        # the decay is over the number of examples too
        decay = _DECAY * head.weights * weights.max()
        slope = Head(x[chosen].T @ errors + decay, errors.sum(0))
        velocity = jax.tree.map(lambda v, g: _MOMENTUM * v - _LEARNING_RATE * g, velocity, slope)
        head = jax.tree.map(lambda p, v, g: p + _MOMENTUM * v - _LEARNING_RATE * g, head, velocity, slope)
        return head, velocity, rows

    def epoch(state: _Descent) -> _Descent:
        rows = jnp.pad(order(state.epoch), (0, batch))
        head, velocity, _ = lax.fori_loop(0, num_batches, update, (state.head, state.velocity, rows))
        logits = head.outputs(x)
        predicted = (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(1)
        accuracy = ((predicted == targets) & stopped_by).sum() / stopped_by.sum()
        accuracy = accuracy.astype(x.dtype)
        idle = jnp.where(accuracy < state.accuracy + _SMALLEST_GAIN, state.idle + 1, 0)
        best = jax.tree.map(lambda new, old: jnp.where(accuracy > state.accuracy, new, old), head, state.best)
        return _Descent(head, velocity, best, jnp.maximum(accuracy, state.accuracy), idle, state.epoch + 1)

    goes_on = lambda state: (state.idle <= _PATIENCE) & (state.epoch < _MAX_EPOCHS)
    zero = jnp.asarray(0)
    begin = _Descent(start, jax.tree.map(jnp.zeros_like, start), start, jnp.asarray(-jnp.inf, x.dtype), zero, zero)
    return lax.while_loop(goes_on, epoch, begin)
