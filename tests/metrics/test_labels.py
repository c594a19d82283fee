"""Margins and forgetting against their definitions, written out example by example."""

import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl import metrics

RNG = np.random.default_rng(0)
LOGITS, LABELS = RNG.normal(size=(6, 9, 3)).round(1), RNG.integers(0, 3, 9)


def test_margins_compare_the_given_label_with_the_best_other():
    predictions = np.array([[0.2, 0.9, 0.1], [0.5, 0.4, 0.3], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(metrics.label_margins(predictions, np.array([0, 0, 1])), [-0.7, 0.1, -1.0])


def test_a_single_column_speaks_for_label_one_above_a_half():
    np.testing.assert_allclose(metrics.label_margins(np.array([[0.9], [0.9]]), np.array([1, 0])), [0.8, -0.8])


def test_the_area_under_the_margin_follows_the_log():
    expected = [
        np.mean([epoch[i, LABELS[i]] - np.delete(epoch[i], LABELS[i]).max() for epoch in LOGITS]) for i in range(9)
    ]
    np.testing.assert_allclose(metrics.area_under_margin(LOGITS, LABELS), expected, rtol=1e-12)


def test_forgetting_counts_the_turns_from_right_to_wrong_and_never_right_the_most():
    correct = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 0, 1], [1, 0, 0, 1, 1, 0], [0] * 6], bool).T
    np.testing.assert_array_equal(metrics.forgetting_events(correct), [0, 2, 2, 6])
    np.testing.assert_array_equal(metrics.forgetting_events(jnp.asarray(correct[:, :2])), [0, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.label_margins(np.ones((2, 3)), np.array([0, 3])), r"lie in \[0, 3\), got 3 at index 1"),
        (lambda: metrics.label_margins(np.ones((2, 3)), np.zeros(3, int)), "one for each of the 2 examples, got 3"),
        (lambda: metrics.area_under_margin(LOGITS, LABELS + 1), r"labels must lie in \[0, 3\), got 3 at index"),
        (
            lambda: metrics.area_under_margin(LOGITS[..., :1], 0 * LABELS),
            r"two classes at least, got \(6, 9, 1\)",
        ),
        (lambda: metrics.forgetting_events(np.ones((0, 3), bool)), r"correct must not be empty, got shape \(0, 3\)"),
    ],
)
def test_impossible_input_is_refused_in_words(as_a_user_sees, call, message):
    with pytest.raises(ValueError, match=message):
        call()
