"""Heads that each read one factor, a decoder that reads all jointly, and the system that trains an encoder for them."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

from infotheory_dl._blocks import sum_blocks
from infotheory_dl.minsyn._families import Family, cross_entropies
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
)
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params

Reader: TypeAlias = Literal["independent", "joint", "free_additive"]

# added to the variance of the means that a batch is standardised by, as batch norm does
_EPSILON = 1e-5


class Decoders(NamedTuple):
    """What reads codes.

    Attributes:
      init: `init(key, num_factors)` draws their variables: of the `heads`, with an axis of factors, and of the `joint`
        decoder.
      heads: `heads(variables, codes, margin)`: what each factor says alone, natural parameters.
      joint: `joint(variables, codes, margin)`: what all say together.
    """

    init: Callable[[Key, int], Params]
    heads: Callable[[Params, Array, Array], Array]
    joint: Callable[[Params, Array, Array], Array]


class AutoencoderState(NamedTuple):
    """A restart under training.

    Attributes:
      encoder: from which the means of the codes come.
      decoders: of `Decoders`, and `log_noise`, that of the standard deviation of the noise on each code.
    """

    encoder: NetworkState
    decoders: NetworkState


@concise
class Codes(NamedTuple):
    """How the means that the encoder gives are standardised, and what noise is added.

    Attributes:
      mean, std: of the means.
      noise: standard deviation of the noise on the standardised codes.
    """

    mean: Float[Array, " factors"]
    std: Float[Array, " factors"]
    noise: Float[Array, " factors"]


@concise
class Losses(NamedTuple):
    """-log of what readers say of each variable, means over the samples, nats.

    Attributes:
      independent: the reader that adds up what the heads say.
      joint: the decoder of all factors.
      margin: the margins, which know of no factor.
    """

    independent: Float[Array, " variables"]
    joint: Float[Array, " variables"]
    margin: Float[Array, " variables"]


def mlp(variables: Params) -> ApplyFn:
    """The dense network that has such variables."""
    from infotheory_dl.networks import MLP

    layers = variables["params"]
    *widths, outputs = (layers[f"Dense_{place}"]["bias"].shape[-1] for place in range(len(layers)))
    return MLP(tuple(widths), outputs).apply


@functools.lru_cache(maxsize=32)
def decoders_of(
    family: Family, num_variables: int, head_widths: tuple[int, ...], joint_widths: tuple[int, ...]
) -> Decoders:
    """Dense decoders."""
    from infotheory_dl.networks import MLP

    num_outputs = family.parameters * num_variables
    head, joint = MLP(head_widths, num_outputs), MLP(joint_widths, num_outputs)

    def init(key: Key, num_factors: int) -> Params:
        key_heads, key_joint = jax.random.split(key)
        of_one = lambda key: head.init(key, jnp.zeros((1, 1)))
        return {
            "heads": jax.vmap(of_one)(jax.random.split(key_heads, num_factors)),
            "joint": joint.init(key_joint, jnp.zeros((1, num_factors))),
        }

    return Decoders(
        init, functools.partial(heads_say, family, head.apply), functools.partial(jointly_said, family, joint.apply)
    )


def heads_say(family: Family, apply: ApplyFn, variables: Params, codes: Array, margin: Array) -> Array:
    """What each factor says alone: natural parameters (samples, factors, moments, variables)."""
    outputs = jax.vmap(apply, in_axes=(0, 1), out_axes=1)(variables, codes[..., None])
    return family.of_head(outputs.reshape(*codes.shape, family.parameters, -1), family.natural(margin))


def jointly_said(family: Family, apply: ApplyFn, variables: Params, codes: Array, margin: Array) -> Array:
    """What all factors say together: natural parameters (samples, moments, variables)."""
    outputs = apply(variables, codes)
    return family.of_head(outputs.reshape(len(codes), family.parameters, -1), family.natural(margin))


def added_up(family: Family, said: Array, margin: Array) -> Array:
    """The natural parameters of the reader who takes the factors to be independent given each variable."""
    of_margin = family.natural(margin)
    return family.proper(of_margin + (said - of_margin).sum(1))


@functools.lru_cache(maxsize=32)  # with the same functions the engine finds its program compiled
def system_of(
    family: Family,
    encoder: Network,
    decoders: Decoders,
    optimizer: optax.GradientTransformation,
    reader: Reader,
    head_share: float,
    learns_noise: bool,
    batch_size: int,
) -> System:
    """The system whose data are the values, and whose `shared` are margin, capacity weight and noise to evaluate with.

    Args:
      family: of the variables.
      encoder, decoders, optimizer: what is trained, and how.
      reader: whose loss trains the encoder.
      head_share: weight of the reader's loss in what trains the heads; that of their own is one less it.
      learns_noise: whether the noise is trained.
      batch_size: samples at once in an evaluation.
    """

    def init(variables: Params, *, key: Key, noise: Array) -> AutoencoderState:
        drawn = decoders.init(key, len(noise)) | {"log_noise": jnp.log(noise)}
        drawn = jax.tree.map(lambda leaf: leaf.astype(noise.dtype), drawn)
        return AutoencoderState(
            begin(encoder, optimizer, variables), begin(Network(lambda *_: drawn, lambda *_: None), optimizer, drawn)
        )

    def step(state: AutoencoderState, batch: Batch, key: Key) -> tuple[AutoencoderState, Metrics]:
        from infotheory_dl.networks import batch_moments

        margin, capacity_weight, _ = batch.shared
        statistics = family.statistics(batch.data)
        encoder_key, noise_key, *optimizer_keys = jax.random.split(key, 4)
        weights = batch.mask.astype(statistics.dtype) / batch.mask.sum()
        loss_of = lambda natural: jnp.tensordot(weights, cross_entropies(family, natural, statistics), 1).sum()

        def objective(params):
            of_encoder, of_decoders = params
            inputs = family.inputs(statistics, margin)
            outputs, collections = forward(
                encoder_key, encoder, state.encoder._replace(params=of_encoder), inputs, batch.mask
            )
            mean, variance, _ = batch_moments(outputs, batch.mask)
            log_noise = of_decoders["log_noise"]
            noise = jnp.exp(log_noise if learns_noise else lax.stop_gradient(log_noise))
            drawn = jax.random.normal(noise_key, outputs.shape, outputs.dtype)
            codes = (outputs - mean) * lax.rsqrt(variance + _EPSILON) + noise * drawn
            still = lax.stop_gradient(codes)

            capacity = capacities(noise).sum()
            said = decoders.heads(of_decoders["heads"], still, margin)
            alone = jax.vmap(loss_of, in_axes=1)(said).sum()
            if reader == "joint":
                read = loss_of(decoders.joint(of_decoders["joint"], codes, margin))
                apart = alone
            else:
                heads = _of_share(head_share, of_decoders["heads"])
                read = loss_of(added_up(family, decoders.heads(heads, codes, margin), margin))
                apart = (1 - head_share) * alone + loss_of(decoders.joint(of_decoders["joint"], still, margin))
            # the parts train different variables, and are added up for one gradient
            return read + apart + capacity_weight * capacity, (read, capacity, collections)

        params = state.encoder.params, state.decoders.params
        (of_encoder, of_decoders), (read, capacity, collections) = jax.grad(objective, has_aux=True)(params)
        encoded = descend(optimizer_keys[0], optimizer, state.encoder, of_encoder, collections)
        decoded = descend(optimizer_keys[1], optimizer, state.decoders, of_decoders, None)
        return AutoencoderState(encoded, decoded), {"loss": read, "capacity": capacity}

    def evaluate(state: AutoencoderState, values: Array, shared: tuple[Array, Array, Array]) -> Metrics:
        margin, _, drawn = shared
        means = lambda rows: encoder.apply(state.encoder.variables, family.inputs(family.statistics(rows), margin))
        total = sum_blocks(lambda mask, rows: mask.astype(rows.dtype) @ means(rows), (values,), batch_size)
        mean = total / len(values)
        squares = sum_blocks(
            lambda mask, rows: mask.astype(rows.dtype) @ (means(rows) - mean) ** 2, (values,), batch_size
        )
        params = state.decoders.params
        codes_of = Codes(mean, jnp.sqrt(squares / len(values) + _EPSILON), jnp.exp(params["log_noise"]))

        def losses(mask: Array, rows: Array, normals: Array) -> Losses:
            statistics = family.statistics(rows)
            codes = (means(rows) - codes_of.mean) / codes_of.std + codes_of.noise * normals
            loss_of = lambda natural: mask.astype(rows.dtype) @ cross_entropies(family, natural, statistics)
            said = decoders.heads(params["heads"], codes, margin)
            together = decoders.joint(params["joint"], codes, margin)
            return Losses(loss_of(added_up(family, said, margin)), loss_of(together), loss_of(family.natural(margin)))

        summed = sum_blocks(losses, (values, drawn), batch_size)
        return {"losses": jax.tree.map(lambda total: total / len(values), summed), "codes": codes_of}

    return System(init, step, evaluate)


def capacities(noise: Float[AnyArray, "*restarts factors"]) -> Float[Array, "*restarts factors"]:
    """What standardised codes with noise can tell, were they Gaussian: log(1 + 1 / variance) / 2, nats."""
    return jnp.log1p(1 / noise**2) / 2


def _of_share(share: float, params: Params) -> Params:
    """The same values, whose derivatives are multiplied by the share."""
    return jax.tree.map(lambda leaf: share * leaf + (1 - share) * lax.stop_gradient(leaf), params)
