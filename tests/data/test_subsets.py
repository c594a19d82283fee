import jax
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infotheory_dl.data import first, random_subset, select_classes, stratified_folds, train_validation_split

LABELS = np.array([4, 9, 0, 4, 4, 9, 7, 9, 4])
INPUTS = np.arange(9 * 6.0).reshape(9, 2, 3)


def is_part_of_the_set(subset) -> bool:
    return np.array_equal(subset.x, INPUTS[subset.indices]) and np.array_equal(subset.y, LABELS[subset.indices])


def test_selected_classes_are_numbered_in_the_order_given():
    nines_and_fours = select_classes(INPUTS, LABELS, (9, 4))
    np.testing.assert_array_equal(nines_and_fours.indices, [0, 1, 3, 4, 5, 7, 8])
    np.testing.assert_array_equal(nines_and_fours.y, [1, 0, 1, 1, 0, 0, 1])
    np.testing.assert_array_equal(nines_and_fours.x, INPUTS[nines_and_fours.indices])


def test_a_class_without_examples_or_given_twice_is_an_error():
    with pytest.raises(ValueError, match=r"no example has the label 3; the labels are \[0, 4, 7, 9\]"):
        select_classes(INPUTS, LABELS, (4, 3))
    with pytest.raises(ValueError, match=r"different labels, got \(4, 4\)"):
        select_classes(INPUTS, LABELS, (4, 4))


def test_the_first_examples_are_the_head():
    head = first(INPUTS, LABELS, 3)
    np.testing.assert_array_equal(head.indices, [0, 1, 2])
    assert is_part_of_the_set(head)


def test_a_random_subset_has_no_example_twice_and_holds_the_smaller_ones():
    large, small = (random_subset(jax.random.key(0), INPUTS, LABELS, size) for size in (7, 4))
    assert is_part_of_the_set(large)
    assert len(set(large.indices.tolist())) == 7
    np.testing.assert_array_equal(large.indices[:4], small.indices)


def test_every_example_is_as_likely_to_be_drawn():
    draws = [random_subset(jax.random.key(seed), INPUTS, LABELS, 3).indices for seed in range(600)]
    frequencies = np.bincount(np.concatenate(draws), minlength=9) / 600
    np.testing.assert_allclose(frequencies, 1 / 3, atol=5 * np.sqrt(2 / 9 / 600))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_stratified_subsets_keep_the_share_of_every_class(labels, data):
    labels = np.array(labels)
    size = data.draw(st.integers(1, len(labels)))
    subset = random_subset(jax.random.key(size), labels, labels, size, stratified=True)
    assert len(set(subset.indices.tolist())) == size
    shares = np.bincount(labels, minlength=5) * size / len(labels)
    assert np.abs(np.bincount(subset.y, minlength=5) - shares).max() < 1


@pytest.mark.parametrize("stratified", [False, True])
def test_training_and_validation_sets_part_the_examples(stratified):
    training, validation = train_validation_split(
        jax.random.key(1), INPUTS, LABELS, validation_fraction=1 / 3, stratified=stratified
    )
    assert len(validation.y) == 3
    assert is_part_of_the_set(training)
    assert is_part_of_the_set(validation)
    np.testing.assert_array_equal(np.sort(np.concatenate([training.indices, validation.indices])), np.arange(9))


def test_too_many_or_no_examples_are_an_error():
    for size in (0, 10):
        with pytest.raises(ValueError, match=rf"size must lie in \[1, 9\], the number of examples, got {size}"):
            random_subset(jax.random.key(0), INPUTS, LABELS, size)
        with pytest.raises(ValueError, match=rf"size must lie in \[1, 9\], the number of examples, got {size}"):
            first(INPUTS, LABELS, size)
    with pytest.raises(ValueError, match=r"a validation share of 0\.01 of 9 examples leaves one part empty"):
        train_validation_split(jax.random.key(0), INPUTS, LABELS, validation_fraction=0.01)


@settings(max_examples=30, derandomize=True)
@example(labels=[0, 0, 0, 0, 0, 1, 2], num_folds=3)
@given(labels=st.lists(st.integers(0, 3), min_size=7, max_size=40), num_folds=st.integers(2, 7))
def test_every_fold_has_its_share_of_every_class(labels, num_folds):
    folds = stratified_folds(jax.random.key(num_folds), np.array(labels), num_folds)
    counts = np.zeros((num_folds, 4))
    np.add.at(counts, (folds, labels), 1)
    assert np.ptp(counts.sum(1)) <= 1
    assert np.ptp(counts, axis=0).max() <= 1


def test_as_many_folds_as_examples_leave_out_one_each():
    assert sorted(stratified_folds(jax.random.key(0), LABELS, 9)) == list(range(9))
    with pytest.raises(ValueError, match=r"num_folds must lie in \[2, 9\], the number of examples, got 10"):
        stratified_folds(jax.random.key(0), LABELS, 10)
