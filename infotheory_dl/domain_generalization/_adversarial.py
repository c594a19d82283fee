"""Algorithms with a discriminator that tells the domains of representations apart, and a featurizer that hides them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array

from infotheory_dl.domain_generalization import objectives
from infotheory_dl.domain_generalization._states import (
    DomainState,
    Parts,
    Setup,
    adam,
    by_domain,
    flat_rows,
    reported,
    rows_of,
)
from infotheory_dl.training import Batch, Metrics, NetworkState, as_network, begin, descend, forward
from infotheory_dl.types import Key, Params, Scalar

_SECOND_DECAY = 0.9


class Adversary(NamedTuple):
    """The discriminator under training.

    Attributes:
      network: the discriminator, with its optimizer.
      embedding: a vector for each class, added to the representations; None without any. It is trained likewise.
    """

    network: NetworkState
    embedding: NetworkState | None


def adversarial(setup: Setup, *, conditional: bool) -> Parts:
    """The parts of dann, or, conditional on the class, of cdann.

    A step is one of the discriminator or, after so many of them, one of the network: which, says the number of the
    step, and the other is not computed.
    """
    network, discriminator = setup.network, as_network(setup.discriminator)

    def optimizer(rate: Scalar, decay: Scalar, momentum: Scalar) -> optax.GradientTransformation:
        second = {"second_decay": _SECOND_DECAY} if setup.optimizer is adam else {}
        return setup.optimizer(rate, decay, momentum=momentum, **second)

    def begin_adversary(key: Key, params: Params, representations: Array) -> Adversary:
        draw_key, embedding_key = jax.random.split(key)
        any_rate = optimizer(0.0, 0.0, 0.0)
        drawn = begin(discriminator, any_rate, discriminator.init(draw_key, representations))
        if not conditional:
            return Adversary(drawn, None)
        shape = setup.num_classes, representations.shape[-1]
        embedding = jax.random.normal(embedding_key, shape, representations.dtype)
        return Adversary(drawn, NetworkState(embedding, any_rate.init(embedding)))

    def step(state: DomainState, batch: Batch, key: Key) -> tuple[DomainState, Metrics]:
        rows, settings, adversary = rows_of(state, batch), state.settings, state.memory
        inputs, labels, mask = flat_rows((rows.inputs, rows.labels, rows.mask))
        domains = jnp.repeat(rows.domains, rows.labels.shape[1])
        network_key, adversary_key, *optimizer_keys = jax.random.split(key, 4)
        classes = jax.nn.one_hot(labels, setup.num_classes, dtype=inputs.dtype) * mask[:, None]
        if conditional:
            # every class that there is counts alike
            weights = classes @ (1 / jnp.maximum(classes.sum(0), 1)) / setup.num_classes
        else:
            weights = mask / mask.sum()

        def hidden_loss(moved: Any, representations: Array) -> tuple[Array, Any]:
            """The loss of the discriminator."""
            params, embedding = moved
            given = representations if embedding is None else representations + embedding[labels]

            def losses(given: Array) -> tuple[Array, Any]:
                logits, collections = forward(
                    adversary_key, discriminator, adversary.network._replace(params=params), given, mask
                )
                each = optax.softmax_cross_entropy_with_integer_labels(logits, domains)
                each = jnp.where(mask, each, 0)
                return each.sum(), (each, collections)

            def slope() -> Array:
                found, _ = jax.grad(losses, has_aux=True)(given)
                return (found**2).sum() / mask.sum()

            _, (each, collections) = losses(given)
            weight = settings["gradient_penalty"]
            steep = lax.cond(weight > 0, slope, lambda: jnp.zeros((), given.dtype))
            return weights @ each + weight * steep, collections

        def run(params: Params) -> Any:
            outputs, collections = forward(network_key, network, state.network._replace(params=params), inputs, mask)
            representations, logits = outputs
            shaped = by_domain(logits, rows.labels)
            return representations, shaped, objectives.domain_risks(shaped, rows.labels, mask=rows.mask), collections

        adversary_params = (
            adversary.network.params,
            None if adversary.embedding is None else adversary.embedding.params,
        )

        def move_adversary() -> tuple[NetworkState, Adversary, Metrics]:
            representations, logits, risks, collections = run(state.network.params)
            (loss, kept), gradient = jax.value_and_grad(hidden_loss, has_aux=True)(
                adversary_params, lax.stop_gradient(representations)
            )
            own = optimizer(
                settings["discriminator_learning_rate"], settings["discriminator_weight_decay"], settings["momentum"]
            )
            moved = descend(optimizer_keys[0], own, adversary.network, gradient[0], kept)
            embedding = adversary.embedding
            if embedding is not None:
                embedding = descend(optimizer_keys[1], own, embedding, gradient[1], None)
            metrics = reported(loss, loss, risks, logits, rows)
            return state.network._replace(collections=collections), Adversary(moved, embedding), metrics

        def move_network() -> tuple[NetworkState, Adversary, Metrics]:
            def loss(params: Params) -> tuple[Array, Any]:
                representations, logits, risks, collections = run(params)
                told, _ = hidden_loss(adversary_params, representations)
                risk = risks @ (rows.mask.sum(1) / rows.mask.sum())
                total = risk - settings["penalty_weight"] * told
                return total, (collections, reported(total, told, risks, logits, rows))

            gradient, (collections, metrics) = jax.grad(loss, has_aux=True)(state.network.params)
            own = optimizer(settings["learning_rate"], settings["weight_decay"], settings["momentum"])
            return descend(optimizer_keys[0], own, state.network, gradient, collections), adversary, metrics

        own_steps = settings["discriminator_steps"]
        is_adversarys = (state.steps + 1) % (1 + own_steps) < own_steps
        moved, adversary, metrics = lax.cond(is_adversarys, move_adversary, move_network)
        return DomainState(moved, settings, state.steps + 1, adversary), metrics

    return Parts(begin_adversary, step)
