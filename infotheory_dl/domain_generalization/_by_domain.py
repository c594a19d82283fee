"""Algorithms that look at the gradients of single domains, or take steps on them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Int

from infotheory_dl.domain_generalization import objectives
from infotheory_dl.domain_generalization._states import (
    DomainState,
    Parts,
    RowsOfStep,
    Settings,
    Setup,
    reported,
    rows_of,
)
from infotheory_dl.domain_generalization.objectives._rows import require_domains
from infotheory_dl.training import Batch, Metrics, NetworkState, descend, forward
from infotheory_dl.types import Key, Params


def masked(rule: Callable[..., Any], names: tuple[str, ...], setup: Setup) -> Parts:
    """The parts of an algorithm that follows gradients on whose sign the domains agree.

    Args:
      rule: makes one gradient of those of all domains.
      names: the settings that it takes.
      setup: of the algorithm.
    """

    def combine(state: DomainState, gradients: Callable[[Params], Any]) -> Any:
        found, told = gradients(state.network.params)
        return rule(found, **{name: state.settings[name] for name in names}), jnp.zeros(()), told

    return _of_gradients(combine, setup)


def iga(setup: Setup) -> Parts:
    """The parts of the algorithm that penalises the variance of the gradients of the domains."""

    def combine(state: DomainState, gradients: Callable[[Params], Any]) -> Any:
        def loss(params: Params) -> Any:
            found, told = gradients(params)
            penalty = objectives.iga_penalty(found)
            return told[0].mean() + state.settings["penalty_weight"] * penalty, (penalty, told)

        gradient, (penalty, told) = jax.grad(loss, has_aux=True)(state.network.params)
        return gradient, state.settings["penalty_weight"] * penalty, told

    return _of_gradients(combine, setup)


def _of_gradients(combine: Callable[..., Any], setup: Setup) -> Parts:
    def step(state: DomainState, batch: Batch, key: Key) -> tuple[DomainState, Metrics]:
        rows, settings = rows_of(state, batch), state.settings
        network_key, optimizer_key = jax.random.split(key)
        keys = jax.random.split(network_key, len(rows.domains))

        def gradients(params: Params) -> Any:
            of_domain = jax.value_and_grad(_risk(setup, state.network), has_aux=True)
            (risks, (logits, collections)), found = jax.vmap(of_domain, in_axes=(None, 0, 0, 0, 0))(
                params, keys, rows.inputs, rows.labels, rows.mask
            )
            # each domain has moved what the network keeps in its own way
            return found, (risks, logits, jax.tree.map(lambda leaf: leaf.mean(0).astype(leaf.dtype), collections))

        gradient, penalty, (risks, logits, collections) = combine(state, gradients)
        optimizer = setup.optimizer(settings["learning_rate"], settings["weight_decay"])
        moved = descend(optimizer_key, optimizer, state.network, gradient, collections)
        metrics = reported(risks.mean() + penalty, penalty, risks, logits, rows)
        return DomainState(moved, settings, state.steps + 1, ()), metrics

    return Parts(_no_memory, step)


def mldg(setup: Setup) -> Parts:
    """The parts of the algorithm that learns steps on some domains which help on others, by first derivatives."""

    def step(state: DomainState, batch: Batch, key: Key) -> tuple[DomainState, Metrics]:
        rows, settings = rows_of(state, batch), state.settings
        draw_key, network_key, optimizer_key = jax.random.split(key, 3)
        count = len(rows.domains)
        require_domains(labels=rows.labels)
        order = setup.draw(draw_key, state.steps) if setup.draw else draw_order(draw_key, rows, settings)
        optimizer = setup.optimizer(settings["learning_rate"], settings["weight_decay"])
        # a step may be of some of the domains, of which one is left to learn from
        num_test = jnp.minimum(settings["num_test_domains"].astype(int), count - 1)

        def add(total: Any, place: Array) -> Any:
            """The gradients of a pair of domains: where there is one, before a step on the first, and after it."""
            first, second = order[place], order[count - num_test + place % num_test]
            mask = rows.mask[first] & rows.mask[second]
            keys = jax.random.split(jax.random.fold_in(network_key, place))

            def of(state: NetworkState, key: Key, domain: Array) -> Any:
                risk = jax.value_and_grad(_risk(setup, state), has_aux=True)
                return risk(state.params, key, rows.inputs[domain], rows.labels[domain], mask)

            def both(total: Any) -> Any:
                gradient, loss, risk, right, collections = total
                here = state.network._replace(collections=collections)
                (before, (logits, changed)), first_gradient = of(here, keys[0], first)
                fresh = here._replace(optimizer=optimizer.init(here.params))
                stepped = descend(optimizer_key, optimizer, fresh, first_gradient, changed)
                (after, (_, changed)), second_gradient = of(stepped, keys[1], second)
                weight = settings["test_weight"]
                gradient = jax.tree.map(
                    lambda total, one, other: total + (one + weight * other) / count,
                    gradient,
                    first_gradient,
                    second_gradient,
                )
                accuracy = ((logits.argmax(-1) == rows.labels[first]) & mask).sum() / mask.sum()
                pairs = count - num_test
                return (
                    gradient,
                    loss + (before + weight * after) / count,
                    risk + before / pairs,
                    right + (accuracy / pairs).astype(right.dtype),
                    changed,
                )

            return lax.cond(place < count - num_test, both, lambda total: total, total), None

        zero = jnp.zeros((), settings["learning_rate"].dtype)
        start = jax.tree.map(jnp.zeros_like, state.network.params), zero, zero, zero, state.network.collections
        (gradient, loss, risk, right, collections), _ = lax.scan(add, start, jnp.arange(count - 1))
        moved = descend(optimizer_key, optimizer, state.network, gradient, collections)
        metrics = {"loss": loss, "risk": risk, "penalty": zero, "accuracy": right}
        return DomainState(moved, settings, state.steps + 1, ()), metrics

    return Parts(_no_memory, step)


def draw_order(key: Key, rows: RowsOfStep, settings: Settings) -> Int[Array, " domains"]:
    """A random order of the domains: the last ones of it are those to test on."""
    return jax.random.permutation(key, len(rows.domains))


def fish(setup: Setup) -> Parts:
    """The parts of the algorithm that goes some of the way that a step on each domain in turn has gone."""

    def step(state: DomainState, batch: Batch, key: Key) -> tuple[DomainState, Metrics]:
        rows, settings = rows_of(state, batch), state.settings
        optimizer = setup.optimizer(settings["learning_rate"], settings["weight_decay"])

        def descend_on(inner: NetworkState, domain: Any) -> Any:
            key, inputs, labels, mask = domain
            network_key, optimizer_key = jax.random.split(key)
            (risk, (logits, collections)), gradient = jax.value_and_grad(_risk(setup, inner), has_aux=True)(
                inner.params, network_key, inputs, labels, mask
            )
            return descend(optimizer_key, optimizer, inner, gradient, collections), (risk, logits)

        keys = jax.random.split(key, len(rows.domains))
        inner, (risks, logits) = lax.scan(descend_on, state.network, (keys, rows.inputs, rows.labels, rows.mask))
        params = optax.incremental_update(inner.params, state.network.params, settings["meta_rate"])
        metrics = reported(risks.mean(), 0.0, risks, logits, rows)
        return DomainState(inner._replace(params=params), settings, state.steps + 1, ()), metrics

    return Parts(_no_memory, step)


def _risk(setup: Setup, state: NetworkState) -> Callable[..., Any]:
    """The risk of one domain by the parameters."""

    def risk(params: Params, key: Key, inputs: Any, labels: Array, mask: Array) -> Any:
        (_, logits), collections = forward(key, setup.network, state._replace(params=params), inputs, mask)
        return objectives.domain_risks(logits[None], labels[None], mask=mask[None])[0], (logits, collections)

    return risk


def _no_memory(key: Key, params: Params, representations: Array) -> tuple[()]:
    return ()
