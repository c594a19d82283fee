"""Supersamples and selections against the published draws and the definition of their layout."""

from itertools import product

import jax
import numpy as np
import pytest

from infotheory_dl.data import load
from infotheory_dl.fcmi import (
    draw_selection,
    draw_selection_legacy,
    enumerate_selections,
    ghost_rows,
    legacy_indices,
    make_supersample,
    make_supersample_legacy,
    training_rows,
)
from tests.conftest import reference

PUBLISHED = reference("fcmi_indices")
SIZES = (75, 250, 1000, 4000)


def published_labels(seed):
    """Labels of a training file whose fours and nines give the published draws of one seed.

    Of the pool, the draws show 2n examples and tell the size. The others are placed anywhere between them: the order of
    the pool is that of the file's permutation, and positions in the pool are drawn by a second generator.
    """
    order = np.random.RandomState(seed).permutation(60000)[:48000]
    size = int(PUBLISHED[f"seed{seed}_pool"])
    drawn = np.random.RandomState(seed).choice(size, 8000, replace=False)
    place_in_order = np.argsort(order)[np.searchsorted(np.sort(order), PUBLISHED[f"seed{seed}_n4000_index"])]
    places = np.full(size, -1)
    places[drawn] = place_in_order
    taken, free = set(place_in_order.tolist()), -1
    for position in range(size):
        if places[position] < 0:
            free += 1
            while free in taken:
                free += 1
            places[position] = free
        free = places[position]
    assert (np.diff(places) > 0).all()
    labels = np.zeros(60000, np.int64)
    labels[order[places]] = 4
    labels[PUBLISHED[f"seed{seed}_n4000_index"]] = np.where(PUBLISHED[f"seed{seed}_n4000_label"], 9, 4)
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_legacy_indices_are_the_published_ones(seed):
    labels = published_labels(seed)
    for n in SIZES:
        indices = legacy_indices(seed, labels, n)
        np.testing.assert_array_equal(indices, PUBLISHED[f"seed{seed}_n{n}_index"])
        inputs = np.arange(60000)[:, None]
        supersample = make_supersample_legacy(seed, inputs, labels, n)
        np.testing.assert_array_equal(supersample.inputs[:, 0], indices)
        np.testing.assert_array_equal(supersample.labels, PUBLISHED[f"seed{seed}_n{n}_label"])


def test_legacy_indices_are_the_published_ones_of_mnist_itself(shared_data):
    # prepared sets are shuffled: entry i is the place of record i in the original file
    with np.load(shared_data / "tfds_original_index.npz") as places:
        original = places["mnist_train"]
    labels = np.empty(60000, np.int32)
    labels[original] = load("mnist", "train", data_dir=shared_data / "tfds").y
    for seed, n in product(range(5), SIZES):
        np.testing.assert_array_equal(legacy_indices(seed, labels, n), PUBLISHED[f"seed{seed}_n{n}_index"])


@pytest.mark.parametrize("n", SIZES)
def test_legacy_selections_are_the_published_ones(n):
    np.testing.assert_array_equal(draw_selection_legacy(PUBLISHED["mask_seeds"], n), PUBLISHED[f"masks_n{n}"])


def test_a_supersample_holds_different_examples_of_the_chosen_classes():
    x, y = np.arange(100)[:, None], np.arange(100) % 10
    inputs, labels = make_supersample(jax.random.key(0), x, y, 8, classes=(9, 4))
    assert inputs.shape == (16, 1)
    assert len(np.unique(inputs)) == 16
    np.testing.assert_array_equal(np.array([9, 4])[labels], inputs[:, 0] % 10)
    smaller = make_supersample(jax.random.key(0), x, y, 3, classes=(9, 4))
    np.testing.assert_array_equal(smaller.inputs, inputs[:6])


def test_training_and_ghost_rows_part_the_supersample():
    selection = np.array([[0, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(training_rows(selection), [[0, 3, 5], [1, 2, 4]])
    np.testing.assert_array_equal(ghost_rows(selection), [[1, 2, 4], [0, 3, 5]])


def test_designs_are_what_they_say():
    key = jax.random.key(0)
    coins = draw_selection(key, 400, 50)
    np.testing.assert_allclose(coins.mean(), 0.5, atol=5 * 0.5 / np.sqrt(20000))
    antithetic = draw_selection(key, 6, 50, design="antithetic")
    np.testing.assert_array_equal(antithetic[::2] + antithetic[1::2], np.ones((3, 50)))
    paired = np.asarray(draw_selection(key, 8, 3, design="paired")).reshape(2, 4, 3)
    np.testing.assert_array_equal(paired[:, 1:] != paired[:, :1], np.broadcast_to(np.eye(3, dtype=bool), (2, 3, 3)))


def test_enumeration_has_every_selection_once():
    assert {tuple(row) for row in enumerate_selections(4).tolist()} == set(product((0, 1), repeat=4))


def test_impossible_supersamples_and_selections_are_named(as_a_user_sees):
    key, x, y = jax.random.key(0), np.zeros((100, 1)), np.arange(100) % 10
    with pytest.raises(ValueError, match="n = 11 rows needs 2n = 22 examples, but the pool has 20"):
        make_supersample(key, x, y, 11, classes=(4, 9))
    with pytest.raises(ValueError, match="n = 41 rows needs 2n = 82 examples, but the pool has 80"):
        make_supersample_legacy(0, x, y, 41, classes=None)
    with pytest.raises(ValueError, match="n = 0 rows needs"):
        make_supersample(key, x, y, 0)
    with pytest.raises(ValueError, match="a multiple of 2 in the antithetic design of 3 rows, got 5"):
        draw_selection(key, 5, 3, design="antithetic")
    with pytest.raises(ValueError, match="a multiple of 4 in the paired design of 3 rows, got 5"):
        draw_selection(key, 5, 3, design="paired")
    with pytest.raises(ValueError, match="unknown design 'balanced'; choose one of 'iid', 'antithetic', 'paired'"):
        draw_selection(key, 5, 3, design="balanced")
    with pytest.raises(ValueError, match="runs must be at least 1, got 0"):
        draw_selection(key, 0, 3)
    with pytest.raises(
        ValueError, match=r"n must lie in \[1, 10\], the rows of which all selections can be enumerated, got 11"
    ):
        enumerate_selections(11)
