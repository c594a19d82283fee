"""MinSyn as an autoencoder: continuous factors with noise, each read by a head of its own.

Heads learn what their factor says of the variables, by their own likelihood. The reader adds up what they say, as if
factors were independent given each variable, and trains the encoder alone. So factors gain nothing by telling jointly
what none tells by itself. Another reader in its place, of all factors jointly, makes an ordinary autoencoder.
"""

import functools
import os
from typing import Any, Literal, NamedTuple, Unpack, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Real

from infotheory_dl import results
from infotheory_dl._blocks import map_blocks
from infotheory_dl._validation import (
    edge,
    require_choice,
    require_count,
    require_finite,
    require_not_negative,
    require_positive,
    require_rank,
    require_shape,
)
from infotheory_dl.data import Moments, unstandardize
from infotheory_dl.minsyn._decoding import (
    Codes,
    Losses,
    Reader,
    added_up,
    capacities,
    decoders_of,
    heads_say,
    jointly_said,
    mlp,
    system_of,
)
from infotheory_dl.minsyn._families import Family, Variables
from infotheory_dl.minsyn._restarts import best_restart
from infotheory_dl.minsyn._variables import family_of, margin_of, read_more, read_table
from infotheory_dl.results import concise, save
from infotheory_dl.training import AnyNetwork, EngineOptions, Evaluation, as_network, draw_states, gather, train_many
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params, Scalar

__all__ = ["AutoencoderMinSyn", "Codes", "Losses", "Reader", "fit", "load", "predict", "save", "transform"]


@concise
class AutoencoderMinSyn(NamedTuple):
    """A fitted MinSyn autoencoder.

    Attributes:
      encoder: variables of the encoder.
      heads: variables of the heads, with an axis of factors.
      joint: variables of the decoder that reads all factors together.
      codes: how the means that the encoder gives are standardised, and what noise is added.
      losses: of the readers, on the training data with one draw of the noise.
      margin: moments of each variable: of discrete ones the probabilities of the levels, of Gaussian ones the mean and
        the variance in standard units.
      objectives: of all restarts, the loss that the encoder was trained by, with the capacity.
      best: the restart with the least among those that did not diverge, which the others are of.
      diverged: which restarts became infinite or NaN.
      moments: by which Gaussian variables are standardised; None for others.
    """

    encoder: Params
    heads: Params
    joint: Params
    codes: Codes
    losses: Losses
    margin: Float[Array, "moments variables"]
    objectives: Float[Array, " restarts"]
    best: Int[Array, ""]
    diverged: Bool[Array, " restarts"]
    moments: Moments | None

    @property
    def variable_informations(self) -> Float[Array, " variables"]:
        """By how much the independent reader knows each variable better than its margin does, nats."""
        return self.losses.margin - self.losses.independent

    @property
    def synergies(self) -> Float[Array, " variables"]:
        """What the independent reader loses of each variable beside the joint decoder, nats.

        An estimate of the synergy S_CI, from above as far as the heads are not what they could be, from below as far as
        the joint decoder is not; negative where it is worse than the heads.
        """
        return self.losses.independent - self.losses.joint

    @property
    def capacities(self) -> Float[Array, " factors"]:
        """What each factor can tell, were its mean Gaussian, nats."""
        return capacities(self.codes.noise)


@edge
def fit(
    key: Key,
    x: Real[AnyArray, "samples variables"],
    num_factors: int,
    *,
    variables: Variables = "gaussian",
    num_levels: int | None = None,
    reader: Reader = "independent",
    tie: Literal["hard", "soft"] = "hard",
    encoder: AnyNetwork | None = None,
    widths: tuple[int, ...] = (256, 128),
    head_widths: tuple[int, ...] = (64,),
    capacity_weight: Scalar | None = None,
    noise: Scalar = 0.1,
    restarts: int = 1,
    learning_rate: float = 1e-3,
    batch_size: int = 128,
    num_epochs: int = 200,
    **options: Unpack[EngineOptions],
) -> AutoencoderMinSyn:
    """Trains an encoder of continuous factors for a reader, by Adam.

    A factor is z_j = mu_j(x) + sigma_j * noise, with mu_j standardised over the batch. Its head says p(x_i | z_j). The
    loss of the encoder is the reader's -log p(x_i | z), summed over the variables, and capacity_weight times
    sum_j log(1 + 1 / sigma_j²) / 2.

    Args:
      key: source of randomness, for the starts, the noise and the order of the samples.
      x: samples.
      num_factors: number of factors.
      variables: "gaussian", which are standardised first, "binary", 0 and 1 or probabilities of 1, or "categorical",
        codes from 0.
      num_levels: of categorical variables; by default as many as the largest code says.
      reader: "independent" adds up what the heads say, each trained by its own likelihood; "free_additive" too, with
        heads that are trained by the sum, which allows synergy; "joint" is a decoder of all factors, which makes an
        ordinary autoencoder.
      tie: of the independent reader's heads: "hard", by their own likelihood alone, or "soft", in equal parts by it and
        by the reader's.
      encoder: mu, as `training.as_network` takes it, from centred variables (indicators of all levels but the first of
        categorical ones) to num_factors outputs; by default dense layers of the `widths`.
      widths: of the encoder's hidden layers, and in reverse of the joint decoder's.
      head_widths: of each head's hidden layers.
      capacity_weight: by default 1e-3 for each variable. Zero leaves the noise as it is, which otherwise is learned.
      noise: standard deviation of the noise, sigma, at the start.
      restarts: random starts; the one with the least loss is kept.
      learning_rate, batch_size, num_epochs: of Adam.
      options: see `training.EngineOptions`.

    Returns:
      The best restart. Whatever the reader, it has heads and a joint decoder, so that `synergies` tells their
      difference.

    Raises:
      ValueError: if there are fewer than two samples, values are not of their kind, Gaussian variables do not vary, or
        a setting is out of its range, or the encoder has another number of outputs.
      TypeError: if the encoder cannot draw its variables.

    Warns:
      UserWarning: if there are more factors than variables, or a restart diverged.

    Source: ours, from the abstract of Ver Steeg et al., 2017.
    """
    require_choice("reader", reader, get_args(Reader))
    require_choice("tie", tie, ("hard", "soft"))
    if tie == "soft" and reader != "independent":
        raise ValueError(f"tie='soft' is of the heads of reader='independent', got reader={reader!r}")
    require_count(1, restarts=restarts, num_epochs=num_epochs)
    require_count(2, batch_size=batch_size)
    for name, sizes in {"widths": widths, "head_widths": head_widths}.items():
        for place, size in enumerate(sizes):
            require_count(1, **{f"{name}[{place}]": size})
    require_positive(noise=noise, learning_rate=learning_rate)
    require_not_negative(capacity_weight=capacity_weight)
    table = read_table(x, num_factors, variables, num_levels)
    family, values = table.family, jnp.asarray(table.values)
    weight = 1e-3 * values.shape[1] if capacity_weight is None else capacity_weight
    margin = margin_of(family, values, 0.1, batch_size)
    inputs = family.inputs(family.statistics(values[:1]), margin)
    network = as_network(_dense(tuple(widths), num_factors) if encoder is None else encoder)
    outputs = jax.eval_shape(lambda key: network.apply(network.init(key, inputs), inputs), key)
    require_shape("outputs of the encoder", outputs, (1, num_factors), "one for each factor")

    system = system_of(
        family,
        network,
        decoders_of(family, values.shape[1], tuple(head_widths), tuple(widths[::-1])),
        _adam(learning_rate),
        reader,
        1.0 if reader == "free_additive" else 0.5 if tie == "soft" else 0.0,
        bool(np.any(np.asarray(weight) > 0)),
        max(batch_size, 1024),
    )
    key_noise, key_init, key_decoders, key_train = jax.random.split(key, 4)
    states = draw_states(
        jax.random.split(key_init, restarts),
        network,
        system,
        inputs,
        key=jax.random.split(key_decoders, restarts),
        noise=jnp.full((restarts, num_factors), noise, values.dtype),
    )
    normals = jax.random.normal(key_noise, (len(values), num_factors), values.dtype)
    training = train_many(
        jax.random.split(key_train, restarts),
        system.step,
        states,
        values,
        shared=(margin, jnp.asarray(weight, values.dtype), normals),
        num_epochs=num_epochs,
        batch_size=batch_size,
        evaluation=Evaluation(system.evaluate, epochs=(num_epochs,)),
        **options,
    )
    found = (training.state.encoder.variables, training.state.decoders.params, training.evaluations)
    (of_encoder, of_decoders, evaluations), diverged = gather((found, training.diverged))
    losses, codes = jax.tree.map(lambda leaf: leaf[:, 0], (evaluations["losses"], evaluations["codes"]))
    trained_by = losses.joint if reader == "joint" else losses.independent
    objectives = trained_by.sum(1) + weight * np.asarray(capacities(codes.noise)).sum(1)
    best = best_restart(objectives, diverged)
    kept = jax.tree.map(lambda leaf: jnp.asarray(leaf[best]), (of_encoder, of_decoders, codes, losses))
    variables_of_encoder, variables_of_decoders, codes, losses = kept
    return AutoencoderMinSyn(
        encoder=variables_of_encoder,
        heads=variables_of_decoders["heads"],
        joint=variables_of_decoders["joint"],
        codes=codes,
        losses=losses,
        margin=margin,
        objectives=jnp.asarray(objectives),
        best=jnp.asarray(best),
        diverged=jnp.asarray(diverged),
        moments=table.moments,
    )


@edge
def transform(
    model: AutoencoderMinSyn,
    x: Real[AnyArray, "samples variables"],
    *,
    encoder: AnyNetwork | None = None,
    batch_size: int | None = None,
) -> Float[Array, "samples factors"]:
    """Computes the codes of samples, less their noise: of mean zero and variance one over the training data.

    Args:
      model: the fit.
      x: samples of its variables.
      encoder: the one that it was fitted with, if it was given one.
      batch_size: samples at once; by default all.

    Returns:
      The codes.

    Raises:
      ValueError: if the variables are others, or values are not of their kind.
    """
    family = family_of(model.margin, model.moments)
    values = jnp.asarray(read_more(x, family, model.moments, model.margin.shape[-1]))
    apply = mlp(model.encoder) if encoder is None else as_network(encoder).apply
    return _encoded(family, apply, model.encoder, model.codes, model.margin, values, batch_size)


@edge
def predict(
    model: AutoencoderMinSyn,
    codes: Float[AnyArray, "samples factors"],
    *,
    reader: Literal["independent", "joint"] = "independent",
) -> Float[AnyArray, "samples variables *levels"]:
    """Reads variables from codes.

    Args:
      model: the fit.
      codes: of `transform`, or others.
      reader: "independent" adds up what the heads say, "joint" is the decoder of all factors.

    Returns:
      The probability of 1 of binary variables, of more levels that of each, the mean of Gaussian ones in their units.

    Raises:
      ValueError: if the number of factors is another, a code is NaN or infinite, or the reader is unknown.
    """
    require_choice("reader", reader, ("independent", "joint"))
    require_rank("codes", codes, 2, "(samples, factors)")
    require_shape("codes", codes, (len(codes), len(model.codes.noise)), "of the fit's factors")
    require_finite(codes=codes)
    family, codes = family_of(model.margin, model.moments), jnp.asarray(codes, model.margin.dtype)
    mean = _mean_read(family, model.heads if reader == "independent" else model.joint, codes, model.margin, reader)
    return mean if model.moments is None else unstandardize(mean, *model.moments)


def load(path: str | os.PathLike[str]) -> AutoencoderMinSyn:
    """Reads a fit from a file of `save`.

    Args:
      path: of the file.

    Returns:
      The fit.

    Raises:
      ValueError: if the file holds no such fit.
      OSError: if it cannot be opened.
    """
    return results.load(path, AutoencoderMinSyn)


@functools.partial(jax.jit, static_argnames=("family", "apply", "batch_size"))
def _encoded(
    family: Family,
    apply: ApplyFn,
    variables: Params,
    codes: Codes,
    margin: Array,
    values: Array,
    batch_size: int | None,
) -> Array:
    def of_block(rows: Array) -> Array:
        return (apply(variables, family.inputs(family.statistics(rows), margin)) - codes.mean) / codes.std

    return map_blocks(of_block, (values,), batch_size)


@functools.partial(jax.jit, static_argnames=("family", "reader"))
def _mean_read(family: Family, variables: Params, codes: Array, margin: Array, reader: str) -> Array:
    say = heads_say if reader == "independent" else jointly_said
    said = say(family, mlp(variables), variables, codes, margin)
    return family.mean(added_up(family, said, margin) if reader == "independent" else said)


@functools.lru_cache(maxsize=32)
def _dense(widths: tuple[int, ...], num_outputs: int) -> Any:
    from infotheory_dl.networks import MLP

    return MLP(widths, num_outputs)


# optax makes new functions for the same settings, for which the engine would compile anew
_adam = functools.lru_cache(maxsize=32)(optax.adam)
