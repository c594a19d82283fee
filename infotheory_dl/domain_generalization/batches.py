"""Batches with an axis of domains, as the schedules of the training engine."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from infotheory_dl._validation import edge, require_count, require_not_empty, require_rank
from infotheory_dl.training import Minibatches, Schedule
from infotheory_dl.types import AnyArray, Key


@edge
def domain_rows(domains: Int[AnyArray, " rows"]) -> Int[np.ndarray, "domains longest"]:
    """The rows of each domain, as many of each: those of a smaller domain come again from its beginning.

    Args:
      domains: that of each row; those that there are count, in their order.

    Raises:
      ValueError: if there are no rows.
    """
    require_rank("domains", domains, 1, "(rows,)")
    require_not_empty(domains=domains)
    domains = np.asarray(domains)
    longest = int(np.unique(domains, return_counts=True)[1].max())
    return rows_of_each(domains, np.ones(len(domains), bool), longest)


def rows_of_each(
    domains: Int[np.ndarray, " rows"], among: Bool[np.ndarray, " rows"], length: int
) -> Int[np.ndarray, "domains length"]:
    """So many rows of each domain, those that are chosen over and over."""
    of_each = [np.flatnonzero(among & (domains == number)) for number in np.unique(domains[among])]
    return np.stack([np.resize(rows, length) for rows in of_each])


@edge
@functools.cache  # the same settings give the same function, and a second training finds its program compiled
def domain_minibatches(
    num_domains: int, num_rows: int, *, batch_size: int, num_steps: int, domains_per_batch: int | None = None
) -> Schedule:
    """The schedule whose batches have as many rows of every domain, each of which is gone through over and over.

    What the engine calls an epoch is a number of steps. Each domain has an order of its own in each pass through it,
    and passes go on from epoch to epoch, whose length changes nothing. The training set is `domain_rows`, one domain
    after the other: it is the `subset` of the training.

    Args:
      num_domains: of the training set.
      num_rows: of each of them there.
      batch_size: rows of each domain in a step; a smaller domain is taken whole.
      num_steps: of an epoch.
      domains_per_batch: how many of the domains, drawn anew for each step, are in it; default all.

    Raises:
      ValueError: if a number is less than one, or there are fewer domains than are to be in a step.
    """
    require_count(1, num_domains=num_domains, num_rows=num_rows, batch_size=batch_size, num_steps=num_steps)
    require_count(1, num_domains, "the number of domains", domains_per_batch=domains_per_batch)
    size = min(batch_size, num_rows)
    num_passes = (num_steps * size - 1) // num_rows + 2

    def schedule(key: Key, epoch: Int[Array, ""]) -> Minibatches:
        order_key, domain_key = jax.random.split(key)
        steps = epoch * num_steps + jnp.arange(num_steps)
        places = steps[:, None] * size + jnp.arange(size)
        first_pass = places[0, 0] // num_rows

        def order(domain: Array, number: Array) -> Array:
            own_key = jax.random.fold_in(jax.random.fold_in(order_key, domain), first_pass + number)
            return domain * num_rows + jax.random.permutation(own_key, num_rows)

        numbers = jnp.arange(num_domains)
        orders = jax.vmap(lambda domain: jax.vmap(functools.partial(order, domain))(jnp.arange(num_passes)))(numbers)
        if domains_per_batch is None:
            chosen = jnp.broadcast_to(numbers, (num_steps, num_domains))
        else:
            draw = lambda step: jax.random.permutation(jax.random.fold_in(domain_key, step), num_domains)
            chosen = jax.vmap(draw)(steps)[:, :domains_per_batch]
        passes, offsets = (part[:, None] for part in (places // num_rows - first_pass, places % num_rows))
        indices = orders[chosen[..., None], passes, offsets]
        return Minibatches(indices, jnp.ones(indices.shape, bool))

    return schedule
