"""Points that are there twice, the same or nearly, are told from neighbours by chance."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from infotheory_dl.information.neighbours import near_copies
from infotheory_dl.information.neighbours._nearest import leading_directions, nearest

SIZE = 300
# smooth densities of 300 points and 6 columns: one program for all
DENSITIES = {
    "normal": lambda random: random.normal(size=(SIZE, 6)),
    "uniform": lambda random: random.uniform(size=(SIZE, 6)),
    "long tails": lambda random: random.standard_t(3, size=(SIZE, 6)),
    "correlated": lambda random: random.normal(size=(SIZE, 2)) @ random.normal(size=(2, 6)),
    "two scales": lambda random: random.normal(size=(SIZE, 6)) * np.where(np.arange(SIZE) % 2, 1, 0.01)[:, None],
}


def found(p_values, level=0.05):
    return false_discovery_control(p_values) <= level


def brute_force(points, others, count, alike):
    distances = np.linalg.norm(points[:, None] - others, axis=-1)
    if alike:
        np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :count]


@pytest.mark.parametrize("density", DENSITIES)
def test_of_independent_draws_hardly_a_point_is_a_copy(density):
    random = np.random.default_rng(0)
    p_values = np.stack([near_copies(DENSITIES[density](random)).p_value for _ in range(20)])
    assert (p_values <= 0.01).mean() <= 0.01
    # of 20 sets one in the mean has a false alarm; four or more have a probability of 2 %
    assert sum(found(values).any() for values in p_values) <= 3


def test_copies_up_to_small_changes_are_found():
    random = np.random.default_rng(1)
    points = random.normal(size=(SIZE, 6))
    points[:10] = points[20:30] + 0.003 * random.normal(size=(10, 6))
    points[10:12] = points[40]
    result = near_copies(points)
    copied = np.zeros(SIZE, bool)
    copied[[*range(12), *range(20, 30), 40]] = True
    np.testing.assert_array_equal(found(result.p_value), copied)
    np.testing.assert_array_equal(result.neighbour[:10], np.arange(20, 30))
    np.testing.assert_array_equal(result.copies[[0, 10, 11, 40]], [1, 2, 2, 2])
    assert (result.p_value[[10, 11, 40]] == 0).all()


def test_copies_of_other_points_are_found():
    random = np.random.default_rng(2)
    others, points = random.normal(size=(2, SIZE, 6))
    points[:5] = others[10:15] + 0.003
    result = near_copies(points, others)
    np.testing.assert_array_equal(np.flatnonzero(found(result.p_value)), np.arange(5))
    np.testing.assert_array_equal(result.neighbour[:5], np.arange(10, 15))


def test_what_is_near_in_the_directions_of_most_spread_alone_is_no_copy():
    random = np.random.default_rng(3)
    points = random.normal(size=(SIZE, 400)) * np.where(np.arange(400) < 64, 1.2, 1.0)
    points[0, :64] = points[1, :64]
    points[2] = points[3] + 0.01 * random.normal(size=400)
    result = near_copies(points)
    np.testing.assert_array_equal(np.flatnonzero(found(result.p_value)), [2, 3])


def test_units_offsets_order_and_precision_are_of_no_account():
    random = np.random.default_rng(4)
    points = random.normal(size=(SIZE, 6))
    points[0] = points[1] + 0.003
    expected = near_copies(points)
    order = random.permutation(SIZE)
    moved = near_copies(1e3 * points[order][:, ::-1] + 1e5)
    np.testing.assert_allclose(moved.p_value, expected.p_value[order], rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(moved.distance, 1e3 * expected.distance[order], rtol=1e-6)
    np.testing.assert_allclose(near_copies(points.astype(np.float32)).p_value, expected.p_value, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("alike", [True, False])
def test_neighbours_are_those_of_all_pairs(alike):
    random = np.random.default_rng(5)
    others = random.normal(size=(SIZE, 6))
    points = others if alike else random.normal(size=(SIZE, 6))
    result = nearest(points, others, 24, alike=alike)
    np.testing.assert_allclose(result.distances, brute_force(points, others, 24, alike), rtol=1e-12)


def test_of_more_points_than_groups_the_nearest_is_found_and_most_of_the_others(monkeypatch):
    monkeypatch.setattr("infotheory_dl.information.neighbours._nearest._GROUPS", 128)
    points = np.random.default_rng(6).normal(size=(SIZE, 6))
    result = nearest(points, points, 5, alike=True)
    expected = brute_force(points, points, 5, True)
    np.testing.assert_allclose(result.distances[:, 0], expected[:, 0], rtol=1e-12)
    assert (np.abs(result.distances / expected - 1) < 1e-12).all(1).mean() > 0.7


def test_the_directions_of_most_spread_are_those_of_the_singular_vectors():
    random = np.random.default_rng(7)
    points = random.normal(size=(200, 40)) * 0.8 ** np.arange(40)
    points -= points.mean(0)
    directions = leading_directions(points, 3)
    expected = np.linalg.svd(points, full_matrices=False)[2][:3]
    np.testing.assert_allclose(np.abs(np.sum(directions.T * expected, axis=1)), 1, atol=1e-6)


def test_wrong_calls_are_told(as_a_user_sees):
    points = np.random.default_rng(8).normal(size=(30, 2))
    with pytest.raises(ValueError, match="the distances to 20 others or more, got 10 points"):
        near_copies(points[:10])
    with pytest.raises(ValueError, match="as many columns, got 2 and 3"):
        near_copies(points, np.ones((30, 3)))
    with pytest.raises(ValueError, match="among"):
        near_copies(points, np.full((30, 2), np.nan))
