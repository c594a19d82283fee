"""Loops over blocks of examples against the same functions of all examples at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl._blocks import (
    block_rows,
    map_blocks,
    map_examples,
    per_example_gradients,
    per_example_jacobians,
    sum_blocks,
)

ROWS = np.random.default_rng(0).normal(size=(7, 3))
TREE = {"x": ROWS, "y": np.arange(7)}


@pytest.mark.parametrize(
    ("at_most", "multiple", "shape"), [(7, 1, (1, 7)), (5, 1, (2, 4)), (3, 2, (3, 4)), (1, 1, (7, 1))]
)
def test_blocks_are_few_and_of_one_size_and_the_last_example_fills_them_up(at_most, multiple, shape):
    rows = np.asarray(block_rows(7, at_most, multiple=multiple))
    assert rows.shape == shape
    np.testing.assert_array_equal(rows.ravel()[:7], np.arange(7))
    assert (rows.ravel()[7:] == 6).all()


@pytest.mark.parametrize("batch_size", [None, 100, 7, 3, 1])
def test_blocks_make_no_difference_to_what_is_mapped_or_summed(batch_size):
    doubled = map_blocks(lambda tree: {"z": 2 * tree["x"], "y": tree["y"]}, (TREE,), batch_size)
    np.testing.assert_array_equal(doubled["z"], 2 * ROWS)
    np.testing.assert_array_equal(doubled["y"], np.arange(7))
    products = map_examples(lambda row, y: y * row.sum(), (ROWS, TREE["y"]), batch_size)
    np.testing.assert_allclose(products, np.arange(7) * ROWS.sum(1), rtol=1e-12)
    gram = sum_blocks(lambda mask, rows: (mask[:, None] * rows).T @ rows, (ROWS,), batch_size)
    np.testing.assert_allclose(gram, ROWS.T @ ROWS, rtol=1e-12)


def test_a_function_of_blocks_is_traced_once_for_all_of_them():
    sizes = []

    def total(mask, rows):
        sizes.append(len(rows))
        return jnp.where(mask[:, None], rows, 0).sum(0)

    single = jnp.asarray(ROWS, jnp.float32)
    result = jax.jit(lambda rows: sum_blocks(total, (rows,), 3))(single)
    assert set(sizes) == {3}
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, ROWS.sum(0), rtol=1e-5)


def test_derivatives_of_single_examples_are_those_of_the_formula():
    params = {"w": jnp.asarray(ROWS[0]), "b": jnp.asarray(0.5)}
    targets = jnp.arange(7.0)
    network = lambda p, x: jnp.stack([x @ p["w"] + p["b"], p["b"] * x[:, 0]], axis=1)
    loss = lambda p, x, y: (network(p, x[None])[0, 0] - y) ** 2 / 2
    errors = ROWS @ ROWS[0] + 0.5 - targets
    gradients = per_example_gradients(loss, params, jnp.asarray(ROWS), targets)
    np.testing.assert_allclose(gradients["w"], errors[:, None] * ROWS, rtol=1e-12)
    np.testing.assert_allclose(gradients["b"], errors, rtol=1e-12)
    jacobians = per_example_jacobians(network, params, jnp.asarray(ROWS))
    np.testing.assert_allclose(jacobians["w"], np.stack([ROWS, 0 * ROWS], axis=1))
    np.testing.assert_allclose(jacobians["b"], np.stack([np.ones(7), ROWS[:, 0]], axis=1))
