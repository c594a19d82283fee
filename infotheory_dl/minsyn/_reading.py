"""Experts of states and the reader without synergy, by sums over the samples, and the system that trains for them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from infotheory_dl._blocks import sum_blocks
from infotheory_dl.minsyn._families import Family, cross_entropies
from infotheory_dl.minsyn._variables import margin_of
from infotheory_dl.results import concise
from infotheory_dl.training import (
    Batch,
    Metrics,
    Network,
    NetworkState,
    System,
    begin,
    descend,
    forward,
    masked_mean,
)
from infotheory_dl.types import Key, Params

# the part of the steps in which noise, temperature and capacity come to their ends
_ANNEALED = 0.7

Encode: TypeAlias = Callable[..., tuple[Array, Array]]
"""`encode(values, *others)`: the responsibilities of samples, (samples, factors, states), and their logarithms."""


@concise
class Reading(NamedTuple):
    """What experts and the reader tell of variables, by responsibilities for samples.

    Moments are, of discrete variables, the probabilities of the levels, and of Gaussian ones the mean and the variance
    in standard units.

    Attributes:
      loss: what is minimised: the mean over samples of the reader's -log p_CI(x_i | z), summed over the variables, and
        `capacity_weight` times the sum of what the factors tell; nats.
      variable_informations: by how much the reader knows each variable better than its margin does: I_CI(X_i; Z), of
        the samples, nats. Negative where it is misled.
      factor_informations: I(Z_j; X) of each factor, nats.
      state_probabilities: of each factor.
      experts: moments of each variable given each state.
      margin: moments of each variable.
    """

    loss: Float[Array, ""]
    variable_informations: Float[Array, " variables"]
    factor_informations: Float[Array, " factors"]
    state_probabilities: Float[Array, "factors states"]
    experts: Float[Array, "factors states moments variables"]
    margin: Float[Array, "moments variables"]


class Setting(NamedTuple):
    """What all restarts share.

    Attributes:
      margin: moments of each variable.
      smoothing: weight of the margin in every state, relative to the samples.
      capacity_weight: of I(Z_j; X).
    """

    margin: Float[Array, "moments variables"]
    smoothing: Float[Array, ""]
    capacity_weight: Float[Array, ""]


class CategoricalState(NamedTuple):
    """A restart under training.

    Attributes:
      network: that gives the responsibilities.
      step: steps done.
      shares: running mean of the responsibilities, less than a mean by what the first steps had no past.
      sums: likewise of their products with the statistics.
      noise: what Gumbel noise is multiplied by at the first step.
      temperature: what outputs are divided by at the first step.
      capacity_weight: the one at the first step.
    """

    network: NetworkState
    step: Int[Array, ""]
    shares: Float[Array, "factors states"]
    sums: Float[Array, "factors states moments variables"]
    noise: Float[Array, ""]
    temperature: Float[Array, ""]
    capacity_weight: Float[Array, ""]


def setting_of(
    family: Family, values: Array, smoothing: Any, capacity_weight: Any, batch_size: int | None = None
) -> Setting:
    """What the samples and the settings of a fit amount to."""
    margin = margin_of(family, values, smoothing, batch_size)
    as_array = lambda number: jnp.asarray(number, values.dtype)
    return Setting(margin, as_array(smoothing) / len(values), as_array(capacity_weight))


def encoder(family: Family, network: Network, variables: Params, margin: Array, shape: tuple[int, ...]) -> Encode:
    """The responsibilities by a network as it predicts."""

    def encode(values: Array) -> tuple[Array, Array]:
        outputs = network.apply(variables, family.inputs(family.statistics(values), margin))
        log_q = jax.nn.log_softmax(outputs.reshape(-1, *shape))
        return jnp.exp(log_q), log_q

    return encode


def read(family: Family, q: Array, experts: Array, margin: Array) -> Float[Array, "samples moments variables"]:
    """The natural parameters of the reader: those of the margin, and what the experts add to them."""
    of_margin = family.natural(margin)
    added = jnp.tensordot(q, family.natural(experts) - of_margin, 2)
    return family.proper(of_margin + added)


def reading(
    family: Family, encode: Encode, arrays: tuple[Array, ...], setting: Setting, batch_size: int | None = None
) -> Reading:
    """Experts, reader and loss of all samples, in two passes.

    Args:
      family: of the variables.
      encode: gives the responsibilities for `arrays`.
      arrays: the values first.
      setting: margin, smoothing and capacity.
      batch_size: samples at once; default all.
    """
    margin, smoothing, capacity_weight = setting
    num_samples = len(arrays[0])

    def count(mask: Array, values: Array, *others: Array) -> tuple[Array, ...]:
        q, log_q = encode(values, *others)
        weights = mask.astype(q.dtype) / num_samples
        shares, sums = _means(q, family.statistics(values), weights)
        return shares, sums, _negative_entropies(q, log_q, weights)

    shares, sums, negative_entropies = sum_blocks(count, arrays, batch_size)
    experts = family.experts(shares, sums, margin, smoothing)

    def compare(mask: Array, values: Array, *others: Array) -> tuple[Array, Array]:
        statistics = family.statistics(values)
        q, _ = encode(values, *others)
        weights = mask.astype(q.dtype) / num_samples
        losses = cross_entropies(family, read(family, q, experts, margin), statistics)
        return weights @ losses, weights @ cross_entropies(family, family.natural(margin), statistics)

    losses, of_margin = sum_blocks(compare, arrays, batch_size)
    informations = _entropies(shares) + negative_entropies
    loss = losses.sum() + capacity_weight * informations.sum()
    return Reading(loss, of_margin - losses, informations, shares, experts, margin)


@functools.partial(jax.jit, static_argnames="family")
def reading_of_given(family: Family, values: Array, q: Array, setting: Setting) -> Reading:
    """The reading of responsibilities that are given."""
    encode = lambda values, q: (q, jnp.log(jnp.where(q > 0, q, 1)))
    return reading(family, encode, (values, q), setting)


@functools.lru_cache(maxsize=32)  # with the same functions the engine finds its program compiled
def system_of(
    family: Family,
    network: Network,
    shape: tuple[int, int],
    optimizer: optax.GradientTransformation,
    num_steps: int,
    decay: float,
    batch_size: int | None,
) -> System:
    """The system whose data are the values and whose `shared` is a `Setting`."""

    def init(variables: Params, *, sums: Array, **at_first: Array) -> CategoricalState:
        state = begin(network, optimizer, variables)
        return CategoricalState(state, jnp.int32(0), jnp.zeros(shape, sums.dtype), sums, **at_first)

    def step(state: CategoricalState, batch: Batch, key: Key) -> tuple[CategoricalState, Metrics]:
        margin, smoothing, capacity_weight = batch.shared
        statistics = family.statistics(batch.data)
        inputs = family.inputs(statistics, margin)
        network_key, noise_key, optimizer_key = jax.random.split(key, 3)
        warmth = 1 - jnp.minimum(state.step / (_ANNEALED * num_steps), 1).astype(inputs.dtype)
        capacity_weight += warmth * (state.capacity_weight - capacity_weight)
        noise = warmth * state.noise * jax.random.gumbel(noise_key, (len(inputs), *shape), inputs.dtype)
        weights = batch.mask.astype(inputs.dtype) / batch.mask.sum()
        seen = 1 - jnp.asarray(decay, inputs.dtype) ** (state.step + 1)

        def objective(params):
            before = state.network._replace(params=params)
            outputs, collections = forward(network_key, network, before, inputs, batch.mask)
            log_q = jax.nn.log_softmax((outputs.reshape(-1, *shape) + noise) / state.temperature**warmth)
            q = jnp.exp(log_q)
            now = _means(q, statistics, weights)
            running = jax.tree.map(
                lambda past, new: decay * past + (1 - decay) * lax.stop_gradient(new), (state.shares, state.sums), now
            )
            # running means, with the derivative that those of the batch would have if it were the whole set
            shares, sums = jax.tree.map(lambda mean, new: mean / seen + (new - lax.stop_gradient(new)), running, now)
            reader = read(family, q, family.experts(shares, sums, margin, smoothing), margin)
            loss = masked_mean(cross_entropies(family, reader, statistics).sum(-1), batch.mask)
            informations = _entropies(shares) + _negative_entropies(q, log_q, weights)
            loss += capacity_weight * informations.sum()
            return loss, (loss, running, collections)

        gradient, (loss, running, collections) = jax.grad(objective, has_aux=True)(state.network.params)
        moved = descend(optimizer_key, optimizer, state.network, gradient, collections)
        shares, sums = running
        return state._replace(network=moved, step=state.step + 1, shares=shares, sums=sums), {"loss": loss}

    def evaluate(state: CategoricalState, values: Array, setting: Setting) -> Metrics:
        encode = encoder(family, network, state.network.variables, setting.margin, shape)
        return {"reading": reading(family, encode, (values,), setting, batch_size)}

    return System(init, step, evaluate)


def _means(q: Array, statistics: Array, weights: Array) -> tuple[Array, Array]:
    """The mean responsibilities, and those of their products with the statistics."""
    weighted = q * weights[:, None, None]
    return weighted.sum(0), jnp.tensordot(weighted, statistics, ((0,), (0,)))


def _entropies(shares: Array) -> Float[Array, " factors"]:
    # a state that no sample has any more has no derivative
    return -(shares * jnp.log(jnp.maximum(shares, jnp.finfo(shares.dtype).tiny))).sum(-1)


def _negative_entropies(q: Array, log_q: Array, weights: Array) -> Float[Array, " factors"]:
    return jnp.tensordot(weights, (q * log_q).sum(-1), 1)
