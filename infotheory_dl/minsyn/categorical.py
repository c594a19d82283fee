"""Categorical MinSyn: factors of a few states each, which a decoder without synergy reads.

The states of a factor have probabilities given x, from a network. What a state says of a variable, its expert, follows
from these by counting, and the reader adds up what the experts say: neither has a parameter of its own. Factors are
good for such a reader only if each of them tells something without the others.
"""

import functools
import os
from typing import NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Real

from infotheory_dl import results
from infotheory_dl._blocks import map_blocks
from infotheory_dl._validation import (
    edge,
    require_count,
    require_distributions,
    require_not_negative,
    require_positive,
    require_rank,
    require_same_length,
    require_shape,
    require_within,
)
from infotheory_dl.data import Moments, unstandardize
from infotheory_dl.minsyn._families import Family, Variables
from infotheory_dl.minsyn._reading import Reading, encoder, read, reading_of_given, setting_of, system_of
from infotheory_dl.minsyn._restarts import best_restart
from infotheory_dl.minsyn._variables import family_of, read_more, read_table
from infotheory_dl.results import concise, save
from infotheory_dl.training import (
    AnyNetwork,
    EngineOptions,
    Evaluation,
    Network,
    as_network,
    draw_states,
    gather,
    train_many,
)
from infotheory_dl.types import AnyArray, Key, Params, Scalar

__all__ = ["CategoricalMinSyn", "Reading", "fit", "load", "predict", "read_by_experts", "save", "transform"]


@concise
class CategoricalMinSyn(NamedTuple):
    """A fitted categorical MinSyn.

    Attributes:
      variables: of the network that gives the responsibilities, those of the best restart.
      reading: of the training data by it.
      losses: of all restarts.
      best: the restart with the least loss among those that did not diverge.
      diverged: which restarts became infinite or NaN; their losses are those of their last finite step.
      moments: by which Gaussian variables are standardised; None for others.
    """

    variables: Params
    reading: Reading
    losses: Float[Array, " restarts"]
    best: Int[Array, ""]
    diverged: Bool[Array, " restarts"]
    moments: Moments | None


@edge
def read_by_experts(
    responsibilities: Float[AnyArray, "samples factors states"],
    x: Real[AnyArray, "samples variables"],
    *,
    variables: Variables = "binary",
    num_levels: int | None = None,
    capacity_weight: Scalar = 0.0,
    smoothing: Scalar = 0.1,
) -> Reading:
    """Computes experts and reader of given responsibilities, and the loss of MinSyn, in closed form.

    With q the responsibilities, of binary variables p(x_i=1 | z_j=k) = (sum_l q_ljk x_li + a p_i) / (sum_l q_ljk + a),
    and the reader's logit of x_li is logit p_i + sum_jk q_ljk [logit p(x_i=1 | z_j=k) - logit p_i]. With states that
    are certain this is p(x_i) prod_j p(z_j | x_i) / sum_x' p(x') prod_j p(z_j | x'), what `information.synergy` calls
    the independent decoder.

    Args:
      responsibilities: the probability of each state, q(z_j = k | x).
      x: the samples.
      variables: "binary", 0 and 1 or probabilities of 1; "categorical", codes from 0; "gaussian", real numbers, whose
        experts have one variance for all states of a factor.
      num_levels: of categorical variables; by default as many as the largest code says.
      capacity_weight: of I(Z_j; X) in the loss.
      smoothing: the weight of the margin in every state, in samples: a.

    Returns:
      The reading; it differentiates with respect to the responsibilities.

    Raises:
      ValueError: if the shapes do not fit, responsibilities are no distributions, values are not of the kind, Gaussian
        variables do not vary, or a setting is out of its range.

    Source: ours, from the abstract of Ver Steeg et al., 2017.
    """
    require_rank("responsibilities", responsibilities, 3, "(samples, factors, states)")
    require_same_length(responsibilities=responsibilities, x=x)
    require_distributions(responsibilities=responsibilities)
    _require_settings(responsibilities.shape[2], smoothing, capacity_weight)
    table = read_table(x, responsibilities.shape[1], variables, num_levels)
    q = jnp.asarray(responsibilities)
    values = jnp.asarray(table.values, q.dtype)
    setting = setting_of(table.family, values, smoothing, capacity_weight)
    return reading_of_given(table.family, values, q, setting)


@edge
def fit(
    key: Key,
    x: Real[AnyArray, "samples variables"],
    num_factors: int,
    *,
    num_states: int = 8,
    variables: Variables = "binary",
    num_levels: int | None = None,
    network: AnyNetwork | None = None,
    restarts: int = 16,
    capacity_weight: Scalar = 0.0,
    initial_capacity_weight: Scalar | Float[AnyArray, " restarts"] = 3.0,
    noise: Scalar | Float[AnyArray, " restarts"] = 1.0,
    temperature: Scalar | Float[AnyArray, " restarts"] = 1.0,
    smoothing: Scalar = 0.1,
    learning_rate: float = 0.1,
    weight_decay: float = 0.2,
    num_steps: int = 1600,
    batch_size: int | None = None,
    decay: float = 0.99,
    **options: Unpack[EngineOptions],
) -> CategoricalMinSyn:
    """Finds factors of a few states that a reader without synergy reads best, by Adam from many random starts.

    Minimises the loss of `read_by_experts` with q = softmax(f(x)). Its poor optima have states that stand for several
    causes. Three things lead out of them: Gumbel noise on f, which makes states certain while they are sought; a high
    price of capacity at first, so that states part only for what tells much; and decay of the weights, which keeps them
    from what single samples have in common by chance.

    Args:
      key: source of randomness, for the starts, the noise and the order of the samples.
      x: samples, as `read_by_experts` takes them; binary variables, 0 and 1 or probabilities, by default.
      num_factors: number of factors.
      num_states: of each factor.
      variables, num_levels: as in `read_by_experts`.
      network: f, as `training.as_network` takes it, from centred variables (indicators of all levels but the first of
        categorical ones) to num_factors * num_states outputs; by default linear maps.
      restarts: random starts; the one with the least loss is kept.
      capacity_weight: of I(Z_j; X). The number of states bounds it already.
      initial_capacity_weight: the one of the first step, which goes to `capacity_weight` in 0.7 of the steps; of each
        restart, or of all.
      noise: standard Gumbel noise on the outputs is multiplied by it at first, and it goes to zero likewise.
      temperature: outputs are divided by it at first, and it goes to one likewise.
      smoothing: as in `read_by_experts`.
      learning_rate, weight_decay: of Adam with decoupled decay.
      num_steps: of Adam.
      batch_size: samples in a step; by default all. Experts then follow from running means over the steps before.
      decay: of the running means; as much less as lets them span no more than one pass over the samples.
      options: see `training.EngineOptions`.

    Returns:
      The best restart, and the losses of all.

    Raises:
      ValueError: if samples or settings are out of their range, see `read_by_experts`, or the network has another
        number of outputs.
      TypeError: if the network cannot draw its variables.

    Warns:
      UserWarning: if there are more factors than variables, or a restart diverged.

    Source: ours, from the abstract of Ver Steeg et al., 2017; Jang et al., 2017 (Gumbel noise).
    """
    require_count(1, restarts=restarts, num_steps=num_steps, batch_size=batch_size)
    require_within("[0, 1)", decay=decay)
    require_not_negative(initial_capacity_weight=initial_capacity_weight, noise=noise, weight_decay=weight_decay)
    require_positive(temperature=temperature, learning_rate=learning_rate)
    _require_settings(num_states, smoothing, capacity_weight)
    table = read_table(x, num_factors, variables, num_levels)
    family, values = table.family, jnp.asarray(table.values)
    num_samples = len(values)
    batch_size = None if batch_size is None or batch_size >= num_samples else batch_size
    per_epoch = 1 if batch_size is None else -(-num_samples // batch_size)
    num_epochs = -(-num_steps // per_epoch)
    setting = setting_of(family, values, smoothing, capacity_weight, batch_size)
    inputs = family.inputs(family.statistics(values[:1]), setting.margin)
    network = _encoder_network(network, num_factors * num_states, inputs)
    system = system_of(
        family,
        network,
        (num_factors, num_states),
        _adam(learning_rate, weight_decay),
        num_epochs * per_epoch,
        min(decay, 1 - 1 / per_epoch),
        batch_size,
    )
    at_first = {"noise": noise, "temperature": temperature, "capacity_weight": initial_capacity_weight}
    for name, value in at_first.items():
        if np.shape(value) not in ((), (restarts,)):
            raise ValueError(
                f"{name} must be one number, or one for each of {restarts} restarts, got {np.shape(value)}"
            )
    keys_init, keys_train = jax.random.split(key, (2, restarts))
    states = draw_states(
        keys_init,
        network,
        system,
        inputs,
        sums=jnp.zeros((restarts, num_factors, num_states, *setting.margin.shape), values.dtype),
        **{name: jnp.broadcast_to(jnp.asarray(value, values.dtype), (restarts,)) for name, value in at_first.items()},
    )
    training = train_many(
        keys_train,
        system.step,
        states,
        values,
        shared=setting,
        num_epochs=num_epochs,
        batch_size=batch_size,
        evaluation=Evaluation(system.evaluate, epochs=(num_epochs,)),
        **options,
    )
    of_restarts = (training.state.network.variables, training.evaluations["reading"])
    (found, readings), diverged = gather((of_restarts, training.diverged))
    losses = readings.loss[:, 0]
    best = best_restart(losses, diverged)
    return CategoricalMinSyn(
        variables=jax.tree.map(lambda leaf: jnp.asarray(leaf[best]), found),
        reading=jax.tree.map(lambda leaf: jnp.asarray(leaf[best, 0]), readings),
        losses=jnp.asarray(losses),
        best=jnp.asarray(best),
        diverged=jnp.asarray(diverged),
        moments=table.moments,
    )


@edge
def transform(
    model: CategoricalMinSyn,
    x: Real[AnyArray, "samples variables"],
    *,
    network: AnyNetwork | None = None,
    batch_size: int | None = None,
) -> Float[Array, "samples factors states"]:
    """Computes the probabilities of the states of all factors; `.argmax(-1)` are codes.

    Args:
      model: the fit.
      x: samples of its variables.
      network: the one that it was fitted with, if it was given one.
      batch_size: samples at once; by default all.

    Returns:
      The responsibilities.

    Raises:
      ValueError: if the variables are others, or values are not of their kind.
    """
    family, margin = family_of(model.reading.margin, model.moments), model.reading.margin
    values = jnp.asarray(read_more(x, family, model.moments, margin.shape[-1]))
    shape = model.reading.state_probabilities.shape
    of_outputs = _linear_maps(shape[0] * shape[1]) if network is None else as_network(network)
    return _encoded(family, of_outputs, shape, model.variables, margin, values, batch_size)


@edge
def predict(
    model: CategoricalMinSyn, responsibilities: Float[AnyArray, "samples factors states"]
) -> Float[AnyArray, "samples variables *levels"]:
    """Reads variables from factors as the reader without synergy does.

    Args:
      model: the fit.
      responsibilities: of `transform`, or states that are certain, one-hot.

    Returns:
      The probability of 1 of binary variables, of more levels that of each, the mean of Gaussian ones in their units.

    Raises:
      ValueError: if factors and states are others, or the responsibilities are no distributions.
    """
    shape = model.reading.state_probabilities.shape
    require_rank("responsibilities", responsibilities, 3, "(samples, factors, states)")
    require_shape("responsibilities", responsibilities, (len(responsibilities), *shape), "of the fit's factors")
    require_distributions(responsibilities=responsibilities)
    family = family_of(model.reading.margin, model.moments)
    _, _, _, _, experts, margin = model.reading
    mean = _mean_read(family, jnp.asarray(responsibilities, margin.dtype), experts, margin)
    return mean if model.moments is None else unstandardize(mean, *model.moments)


def load(path: str | os.PathLike[str]) -> CategoricalMinSyn:
    """Reads a fit from a file of `save`.

    Args:
      path: of the file.

    Returns:
      The fit.

    Raises:
      ValueError: if the file holds no such fit.
      OSError: if it cannot be opened.
    """
    return results.load(path, CategoricalMinSyn)


# optax makes new functions for the same settings, for which the engine would compile anew
_adam = functools.lru_cache(maxsize=32)(lambda rate, decay: optax.adamw(rate, weight_decay=decay))


@functools.partial(jax.jit, static_argnames=("family", "network", "shape", "batch_size"))
def _encoded(
    family: Family,
    network: Network,
    shape: tuple[int, ...],
    variables: Params,
    margin: Array,
    values: Array,
    batch_size: int | None,
) -> Array:
    encode = encoder(family, network, variables, margin, shape)
    return map_blocks(lambda rows: encode(rows)[0], (values,), batch_size)


@functools.partial(jax.jit, static_argnames="family")
def _mean_read(family: Family, q: Array, experts: Array, margin: Array) -> Array:
    return family.mean(read(family, q, experts, margin))


@functools.lru_cache(maxsize=32)
def _linear_maps(num_outputs: int) -> Network:
    """Linear maps with a bias: pure functions, for which flax need not be there."""

    def init(key: Key, inputs: Array) -> Params:
        kernel = 0.3 * jax.random.normal(key, (inputs.shape[-1], num_outputs), inputs.dtype)
        return {"kernel": kernel, "bias": jnp.zeros(num_outputs, inputs.dtype)}

    return Network(init, lambda variables, inputs: inputs @ variables["kernel"] + variables["bias"])


def _encoder_network(network: AnyNetwork | None, num_outputs: int, inputs: Array) -> Network:
    """The network, of which is checked that it has so many outputs."""
    if network is None:
        return _linear_maps(num_outputs)
    network = as_network(network)
    outputs = jax.eval_shape(lambda key: network.apply(network.init(key, inputs), inputs), jax.random.key(0))
    require_shape("outputs of the network", outputs, (1, num_outputs), "one for each state of each factor")
    return network


def _require_settings(num_states: int, smoothing: Scalar, capacity_weight: Scalar) -> None:
    require_count(2, num_states=num_states)
    require_positive(smoothing=smoothing)
    require_not_negative(capacity_weight=capacity_weight)
