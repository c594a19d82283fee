"""Stochastic gradient Langevin dynamics: an optimizer for optax, and the variance of gradients that its bound needs.

The noise is what the bound of Negrea et al. assumes: √(2 η / β) ξ with ξ ~ N(0, 1), learning rate η and inverse
temperature β. The code behind the published figures draws ξ with standard deviation 1/β instead, for β from 10 to
16,000: its trainings are nearly free of noise, and the published values of the bound do not hold for them.
`noise="original"` is there to reproduce those figures, and for nothing else.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from infotheory_dl._blocks import per_example_gradients, sum_blocks
from infotheory_dl._validation import edge, require_choice, require_count, require_positive
from infotheory_dl.results import concise
from infotheory_dl.training import Batch, Data, Metrics, NetworkState, System
from infotheory_dl.types import AnyArray, Key, Params, Scalar

__all__ = [
    "Annealing",
    "LangevinState",
    "Losses",
    "Noise",
    "TrackedState",
    "annealing",
    "gradient_variance",
    "histories",
    "langevin",
    "langevin_update",
    "track_gradient_variance",
]

Noise: TypeAlias = Literal["paper", "original"]

Losses: TypeAlias = Callable[[Params, Data], Any]
"""The loss of each example, by the network as it predicts."""


class Annealing(NamedTuple):
    """How the settings change while a model trains: two functions of the number of updates made so far.

    Attributes:
      learning_rate: η.
      inverse_temperature: β.
    """

    learning_rate: Callable[[Any], Array]
    inverse_temperature: Callable[[Any], Array]


@concise
class LangevinState(NamedTuple):
    """State of the optimizer `langevin`.

    Attributes:
      updates: those made so far.
    """

    updates: Int[Array, ""]


@concise
class TrackedState(NamedTuple):
    """State of a system whose gradients are looked at.

    Attributes:
      state: of the system.
      rows: the training set of the model, as rows of the data.
      updates: those made so far.
      variance: the latest variance of the gradients.
    """

    state: NetworkState
    rows: Int[Array, " rows"]
    updates: Int[Array, ""]
    variance: Float[Array, ""]

    @property
    def variables(self) -> Params:
        """What the network is applied with."""
        return self.state.variables


@edge
def annealing(learning_rate: float = 0.004, *, period: int = 100, coldest: float = 4000.0) -> Annealing:
    """The paper's schedule: after t updates η = η₀ 0.9^⌊t/period⌋ and β = 10 exp(t/period), within [100, coldest].

    β is 10 before the first update. The defaults are those of MNIST; for CIFAR-10 they are 0.01, 300 and 16,000.

    Args:
      learning_rate: η₀.
      period: in updates.
      coldest: the largest inverse temperature.

    Raises:
      ValueError: if a setting is not positive.

    Source: Harutyunyan et al., 2021 (f-CMI, appendix), after Li et al., 2020.
    """
    require_positive(learning_rate=learning_rate, period=period, coldest=coldest)

    def learning_rate_after(count):
        return learning_rate * jnp.power(0.9, count // period)

    def inverse_temperature_after(count):
        return jnp.where(count == 0, 10.0, jnp.clip(10 * jnp.exp(count / period), 100, coldest))

    return Annealing(learning_rate_after, inverse_temperature_after)


@edge
def histories(schedule: Annealing, num_updates: int) -> tuple[Float[Array, " values"], Float[Array, " values"]]:
    """Learning rates and inverse temperatures after 0, 1, …, num_updates updates, as `bounds.sgld` takes them."""
    counts = jnp.arange(num_updates + 1)
    return jax.vmap(schedule.learning_rate)(counts), jax.vmap(schedule.inverse_temperature)(counts)


def langevin(schedule: Annealing, *, noise: Noise = "paper") -> optax.GradientTransformationExtraArgs:
    """The optimizer w ← w - η g + √(2 η / β) ξ. `training.supervised` gives it the keys of its noise.

    Args:
      schedule: η and β by the number of updates, as `annealing` makes them.
      noise: "paper", or "original" for β times less of it.

    Raises:
      ValueError: if the noise is unknown.

    Source: Welling and Teh, 2011; Harutyunyan et al., 2021 (f-CMI, section 5).
    """
    require_choice("noise", noise, ("paper", "original"))

    def init(params: Params) -> LangevinState:
        return LangevinState(jnp.int32(0))

    def update(
        gradient: Params, state: LangevinState, params: Params | None = None, *, key: Key, **others: Any
    ) -> tuple[Params, LangevinState]:
        rate, inverse_temperature = (function(state.updates) for function in schedule)
        normals = optax.tree.random_like(key, gradient, jax.random.normal)
        change = langevin_update(gradient, normals, rate, inverse_temperature, noise=noise)
        return change, LangevinState(state.updates + 1)

    return optax.GradientTransformationExtraArgs(init, update)


@edge
def langevin_update(
    gradient: Params, normals: Params, learning_rate: Scalar, inverse_temperature: Scalar, *, noise: Noise = "paper"
) -> Params:
    """What one update adds to the parameters: √(2 η / β) ξ - η g.

    Args:
      gradient: g.
      normals: ξ, with the structure of the gradient.
      learning_rate, inverse_temperature: η and β.
      noise: as in `langevin`.
    """
    scale = jnp.sqrt(2 * learning_rate / inverse_temperature)
    if noise == "original":
        scale = scale / inverse_temperature

    def change(slope, normal):
        return (scale * normal - learning_rate * slope).astype(slope.dtype)

    return jax.tree.map(change, gradient, normals)


@edge
def gradient_variance(losses: Losses, params: Params, data: Data, *, batch_size: int = 50) -> Float[Array, ""]:
    """Mean squared distance of the gradients of single examples from their mean: the trace of their covariance.

    Two passes over the examples keep the digits that a difference of squares would lose.

    Args:
      losses: `losses(params, data)`, one for each example.
      params: where to differentiate.
      data: the examples.
      batch_size: gradients held at once.

    Source: Negrea et al., 2019 (data-dependent estimates of the noise); Harutyunyan et al., 2021 (f-CMI, section 5).
    """
    num_examples = len(jax.tree.leaves(data)[0])

    def loss(params, row):
        return losses(params, jax.tree.map(lambda leaf: leaf[None], row))[0]

    def summed(mask, rows):
        return jax.tree.map(lambda slopes: jnp.tensordot(mask, slopes, 1), per_example_gradients(loss, params, rows))

    def squared_distances(mask, rows):
        squares = jax.tree.map(
            lambda slopes, middle: jnp.square(slopes - middle), per_example_gradients(loss, params, rows), mean
        )
        return sum(jnp.tensordot(mask, leaf, 1).sum() for leaf in jax.tree.leaves(squares))

    arrays = (jax.tree.map(jnp.asarray, data),)
    mean = jax.tree.map(lambda sums: sums / num_examples, sum_blocks(summed, arrays, batch_size))
    return sum_blocks(squared_distances, arrays, batch_size) / num_examples


@edge
def track_gradient_variance(
    system: System, losses: Losses, *, num_examples: int = 100, every: int = 1, batch_size: int = 50
) -> System:
    """The same system, whose steps report besides the `gradient_variance` at the weights that they arrive at.

    In a training of it `shared` has to be the training data, of which a step otherwise sees only its batch.

    Args:
      system: of `training.supervised`.
      losses: `losses(variables, data)`, one for each example.
      num_examples: examples drawn without replacement, each time, from the training set of the model.
      every: the variance is computed after updates 1, 1 + every, 1 + 2 every, …, and held between them.
      batch_size: gradients held at once.

    Returns:
      A system whose `init` takes the variables and the rows of the model's training set. Equal arguments give the same
      one, for which nothing is compiled anew.

    Raises:
      ValueError: if a count is less than 1.

    Source: Harutyunyan et al., 2021 (f-CMI, section 5).
    """
    require_count(1, num_examples=num_examples, every=every, batch_size=batch_size)
    return _track_gradient_variance(system, losses, num_examples, every, batch_size)


@functools.lru_cache(maxsize=32)
def _track_gradient_variance(system: System, losses: Losses, num_examples: int, every: int, batch_size: int) -> System:
    def init(variables: Params, rows: Int[AnyArray, " rows"]) -> TrackedState:
        state = system.init(variables)
        dtype = jnp.result_type(*jax.tree.leaves(state.params))
        return TrackedState(state, jnp.asarray(rows), jnp.int32(0), jnp.zeros((), dtype))

    def variance(state, rows, data, key):
        drawn = jax.random.choice(key, rows, (min(num_examples, len(rows)),), replace=False)
        return gradient_variance(
            lambda params, data: losses(state._replace(params=params).variables, data),
            state.params,
            jax.tree.map(lambda leaf: leaf[drawn], data),
            batch_size=batch_size,
        )

    def step(tracked: TrackedState, batch: Batch, key: Key) -> tuple[TrackedState, Metrics]:
        step_key, draw_key = jax.random.split(key)
        state, metrics = system.step(tracked.state, batch, step_key)
        value = lax.cond(
            tracked.updates % every == 0,
            lambda: variance(state, tracked.rows, batch.shared, draw_key),
            lambda: tracked.variance,
        )
        return TrackedState(state, tracked.rows, tracked.updates + 1, value), {**metrics, "gradient_variance": value}

    def evaluate(tracked: TrackedState, data: Data, *shared: Any) -> Metrics:
        return system.evaluate(tracked.state, data, *shared)

    return System(init, step, evaluate)
