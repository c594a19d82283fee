"""Which changes of a series are more than chance."""

import jax
import numpy as np
import pytest

from infotheory_dl.corex import temporal
from infotheory_dl.corex._temporal import significance
from tests.corex.series import AFTER, BEFORE, modular

KEY = jax.random.key(0)
SETTINGS = {"decay": 0.3, "l1": 0.1, "max_iterations": 300}
CHANGING = np.stack([modular(t, 60, BEFORE if t < 2 else AFTER) for t in range(4)])
STEADY = np.stack([modular(t, 60, BEFORE) for t in range(4)])
pytestmark = pytest.mark.filterwarnings("ignore:the last stage of the fit did not settle")


def test_the_change_is_found_and_none_where_there_is_none():
    changing, steady = (temporal.change_test(KEY, x, 3, **SETTINGS) for x in (CHANGING, STEADY))
    np.testing.assert_array_equal(changing.change_points, [1])
    assert changing.p_values[1] == 1 / 20
    assert changing.variable_p_values[1].min() == 1 / 20
    assert steady.change_points.size == 0
    assert steady.p_values.min() > 0.05
    np.testing.assert_allclose(
        changing.changes.scores, temporal.changes(changing.model, of="correlations").scores, rtol=1e-10
    )
    assert changing.p_values.shape == (3,)
    assert changing.null.shape == (19,)


def test_trends_and_units_are_no_change():
    shifted = 1e3 * STEADY + 5e3 * np.arange(4)[:, None, None]
    plain, moved = (temporal.change_test(KEY, x, 3, **{**SETTINGS, "decay": 0.0}) for x in (STEADY, shifted))
    np.testing.assert_allclose(moved.changes.scores, plain.changes.scores, rtol=1e-6)
    np.testing.assert_array_equal(moved.p_values, plain.p_values)


def test_blocks_hold_neighbours_together_and_do_not_cross_change_points():
    random = np.random.default_rng(0)
    segments = [np.arange(40), np.arange(40, 100)]
    for _ in range(5):
        order = significance._order(random, segments, 10)
        np.testing.assert_array_equal(np.sort(order[:40]), segments[0])
        np.testing.assert_array_equal(np.sort(order), np.arange(100))
        assert (np.diff(order) == 1).mean() > 0.85


@pytest.mark.usefixtures("as_a_user_sees")
def test_impossible_tests_of_changes_are_refused_in_words():
    with pytest.raises(ValueError, match="num_permutations must be at least 1, got 0"):
        temporal.change_test(KEY, STEADY, 3, num_permutations=0)
    with pytest.raises(ValueError, match="a change needs at least 2 periods, got 1"):
        temporal.change_test(KEY, STEADY[:1], 3)
    with pytest.raises(ValueError, match=r"block must lie in \[1, 120\], half of the samples, got 121"):
        temporal.change_test(KEY, STEADY, 3, block=121)
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), got 1"):
        temporal.change_test(KEY, STEADY, 3, level=1.0)
