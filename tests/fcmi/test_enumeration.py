"""Exact bounds from designed runs against theory and against sums over all selections by hand."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.fcmi import bounds, draw_selection, enumerate_selections
from infotheory_dl.fcmi.bounds import conditional_fcmi, exact_fcmi, fcmi, generalization_gap, zero_one_losses


def nearest_neighbour_runs(seed, n):
    """Predictions of the nearest training example in a plane, for every selection of n rows; and the true labels."""
    rng = np.random.default_rng(seed)
    inputs, labels = rng.normal(size=(2 * n, 2)), rng.integers(0, 2, 2 * n)
    distances = np.linalg.norm(inputs[:, None] - inputs, axis=-1)
    selection = np.asarray(enumerate_selections(n))
    chosen = 2 * np.arange(n) + selection
    nearest = np.take_along_axis(chosen, distances[:, chosen].argmin(-1).T, axis=1)
    return labels[nearest], selection, labels


def test_joint_information_equals_the_entropy_of_all_predictions():
    predictions, selection, _ = nearest_neighbour_runs(0, 5)
    # training is a function of the selection: I(predictions; S) = H(predictions)
    _, counts = np.unique(predictions, axis=0, return_counts=True)
    expected = -(counts / 32 * np.log(counts / 32)).sum()
    bound = exact_fcmi(predictions, selection, num_classes=2)
    np.testing.assert_allclose(bound.per_example, [expected], rtol=1e-13)
    np.testing.assert_allclose(bound.value, np.sqrt(2 / 5 * expected), rtol=1e-13)
    np.testing.assert_allclose(bounds.squared_gap(bound.per_example[0], num_examples=5), 8 / 5 * (expected + 2))


def test_the_bound_does_not_decrease_in_the_size_of_the_subsets_and_starts_at_fcmi():
    predictions, selection, labels = nearest_neighbour_runs(1, 5)
    values = [float(exact_fcmi(predictions, selection, num_classes=2, subset_size=m).value) for m in range(1, 6)]
    assert (np.diff(values) >= -1e-12).all()
    single = fcmi(predictions, selection, num_classes=2)
    np.testing.assert_allclose(values[0], single.value, rtol=1e-12)
    gap = generalization_gap(zero_one_losses(predictions, labels), selection)
    assert abs(float(gap.value)) <= values[0]
    assert float(jnp.square(gap.ghost_loss - gap.training_loss).mean()) <= values[-1]


def test_random_training_counts_every_repeat():
    rng = np.random.default_rng(2)
    selection = np.tile(np.asarray(enumerate_selections(2)), (3, 1))
    predictions = rng.integers(0, 3, (12, 4))
    # I(f; S) over the twelve runs, each as likely
    runs = [(tuple(f), tuple(s)) for f, s in zip(predictions.tolist(), selection.tolist(), strict=True)]
    share = lambda values, value: values.count(value) / 12
    outputs, selections = zip(*runs, strict=True)
    expected = sum(np.log(share(runs, (f, s)) / share(outputs, f) / share(selections, s)) / 12 for f, s in runs)
    bound = exact_fcmi(predictions, selection, num_classes=3)
    np.testing.assert_allclose(bound.per_example, [expected], rtol=1e-12)
    batch = exact_fcmi(np.stack([predictions, predictions]), selection, num_classes=3)
    np.testing.assert_allclose(batch.per_supersample, [bound.value] * 2, rtol=1e-12)


def test_constant_predictions_are_bounded_by_exactly_zero():
    selection = enumerate_selections(3)
    assert exact_fcmi(jnp.ones((8, 6), int), selection, num_classes=2).value == 0
    paired = draw_selection(jax.random.key(0), 8, 3, design="paired")
    assert conditional_fcmi(jnp.ones((8, 6), int), paired, num_classes=2).value == 0


def test_conditional_information_of_all_pairs_is_the_sum_over_the_rest_by_hand():
    predictions, selection, _ = nearest_neighbour_runs(3, 3)
    number = {tuple(row): run for run, row in enumerate(selection.tolist())}
    paired = list(product((0, 1), repeat=3))
    designed = np.concatenate([np.array(base) ^ np.eye(4, 3, k=-1, dtype=int) for base in paired])
    runs = np.array([number[tuple(row)] for row in designed.tolist()])
    bound = conditional_fcmi(predictions[runs], designed, num_classes=2)
    for row in range(3):
        differs = [
            (predictions[run][2 * row : 2 * row + 2] != predictions[run ^ (1 << row)][2 * row : 2 * row + 2]).any()
            for run in range(8)
        ]
        np.testing.assert_allclose(bound.per_example[row], np.mean(differs) * np.log(2), atol=1e-14)
    assert bound.value >= fcmi(predictions, selection, num_classes=2).value - 1e-12


def test_repeats_tell_randomness_from_memory():
    rng = np.random.default_rng(4)
    design = np.asarray(draw_selection(jax.random.key(0), 10, 1, design="paired"))
    selection = np.tile(design, (200, 1))
    chance = rng.integers(0, 2, (2000, 2))
    memorised = np.concatenate([selection, 1 - selection], axis=1)
    noise = conditional_fcmi(chance, selection, num_classes=2, repeats=200).per_example
    np.testing.assert_allclose(noise, 3 / 800, atol=0.004)
    memory = conditional_fcmi(memorised, selection, num_classes=2, repeats=200).per_example
    np.testing.assert_allclose(memory, np.log(2), rtol=1e-14)


def test_runs_of_another_design_are_named(as_a_user_sees):
    selection, predictions = np.asarray(enumerate_selections(2)), np.zeros((4, 4), int)
    with pytest.raises(ValueError, match=r"each of the 2\^2 = 4 selections equally often, but of 4 runs"):
        exact_fcmi(predictions, np.ones((4, 2), int), num_classes=2)
    with pytest.raises(
        ValueError, match=r"n must lie in \[1, 10\], the rows of which all selections can be enumerated, got 11"
    ):
        exact_fcmi(np.zeros((4, 22), int), np.zeros((4, 11), int), num_classes=2)
    with pytest.raises(ValueError, match=r"subset_size must lie in \[1, 2\], the number of rows, got 3"):
        exact_fcmi(predictions, selection, num_classes=2, subset_size=3)
    with pytest.raises(ValueError, match="2 rows and 1 repeats has a multiple of 3 runs, got 4"):
        conditional_fcmi(predictions, selection, num_classes=2)
    with pytest.raises(ValueError, match="blocks of one and its changes in every single row"):
        conditional_fcmi(predictions[1:], selection[1:], num_classes=2)
