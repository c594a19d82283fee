"""Batches of several domains: what is in them, and in which order."""

import jax
import numpy as np
import pytest

from infotheory_dl import domain_generalization as dg

SIZES = {"num_domains": 3, "num_rows": 10}


def rows_of(schedule, epochs, key=0):
    """Of all steps of so many epochs, (steps, domains, batch)."""
    found = [jax.jit(schedule)(jax.random.key(key), epoch) for epoch in range(epochs)]
    assert all(part.mask.all() for part in found)
    return np.concatenate([part.indices for part in found])


def test_every_row_of_a_domain_comes_once_in_each_pass_in_new_orders():
    rows = rows_of(dg.domain_minibatches(**SIZES, batch_size=4, num_steps=5), 2)
    for domain in range(3):
        passes = rows[:, domain].reshape(4, 10)
        np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(10) + 10 * domain, (4, 1)))
        assert len(np.unique(passes, axis=0)) == 4


def test_the_length_of_an_epoch_changes_nothing():
    long, short = (rows_of(dg.domain_minibatches(**SIZES, batch_size=4, num_steps=n), 12 // n) for n in (6, 3))
    np.testing.assert_array_equal(long, short)


def test_some_domains_may_be_drawn_for_each_step():
    schedule = dg.domain_minibatches(**SIZES, batch_size=4, num_steps=200, domains_per_batch=2)
    domains = rows_of(schedule, 1) // 10
    np.testing.assert_array_equal(domains, np.repeat(domains[..., :1], 4, axis=2))
    first, second = domains[..., 0].T
    assert (first != second).all()
    # each is in two thirds of the steps, but for four standard errors
    shares = [np.mean((first == domain) | (second == domain)) for domain in range(3)]
    np.testing.assert_allclose(shares, 2 / 3, atol=4 * np.sqrt(2 / 9 / 200))


def test_a_smaller_domain_comes_again_from_its_beginning():
    np.testing.assert_array_equal(dg.domain_rows(np.array([1, 0, 1, 1, 1, 0])), [[1, 5, 1, 5], [0, 2, 3, 4]])


@pytest.mark.usefixtures("as_a_user_sees")
def test_impossible_batches_are_told():
    with pytest.raises(ValueError, match=r"domains_per_batch must lie in \[1, 3\], the number of domains, got 4"):
        dg.domain_minibatches(**SIZES, batch_size=4, num_steps=5, domains_per_batch=4)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        dg.domain_minibatches(**SIZES, batch_size=0, num_steps=5)
    with pytest.raises(ValueError, match="domains"):
        dg.domain_rows(np.zeros(0, int))
