import numpy as np
import pytest

from infotheory_dl.data import (
    corrupt_split_legacy,
    load,
    read_noisy_labels,
    save_noisy_labels,
    uniform_transition,
)
from tests.conftest import reference

PUBLISHED = reference("label_noise_noise")


def published(seed):
    prefix = f"corrupt/seed{seed}/"
    return {key.removeprefix(prefix): array for key, array in PUBLISHED.items() if key.startswith(prefix)}


@pytest.mark.parametrize("seed", [42, 3])
def test_split_and_noise_are_the_published_ones(seed):
    case = published(seed)
    noise = corrupt_split_legacy(seed, case["clean"], case["T"], size=300)
    np.testing.assert_array_equal(noise.train, case["train_idx"])
    np.testing.assert_array_equal(noise.validation, case["val_idx"])
    np.testing.assert_array_equal(noise.labels, case["noisy"])
    corrupted = np.concatenate([noise.train, noise.validation])
    np.testing.assert_array_equal(noise.flipped[corrupted], case["is_corrupted_train_then_val"])


def test_validation_labels_can_stay_clean_without_changing_the_others():
    case = published(42)
    noisy, half_clean = (
        corrupt_split_legacy(42, case["clean"], case["T"], clean_validation=clean) for clean in (False, True)
    )
    assert noisy.flipped[noisy.validation].any()
    np.testing.assert_array_equal(half_clean.labels[noisy.validation], case["clean"][noisy.validation])
    np.testing.assert_array_equal(half_clean.labels[noisy.train], noisy.labels[noisy.train])
    np.testing.assert_array_equal(np.sort(np.concatenate([noisy.train, noisy.validation])), np.arange(500))


def test_split_and_noise_are_the_published_ones_of_mnist_itself(shared_data):
    case = reference("label_noise_mnist_split")
    # prepared sets are shuffled: entry i is the place of record i in the original file
    with np.load(shared_data / "tfds_original_index.npz") as places:
        original = places["mnist_train"]
    labels = np.empty(60000, np.int32)
    labels[original] = load("mnist", "train", data_dir=shared_data / "tfds").y
    noise = corrupt_split_legacy(int(case["seed"]), labels, uniform_transition(10, float(case["p"])), size=1000)
    validation = noise.validation[:2000]
    np.testing.assert_array_equal(noise.train, case["train_idx"])
    np.testing.assert_array_equal(validation, case["val_idx"])
    np.testing.assert_array_equal(labels[noise.train], case["y_train_clean"])
    np.testing.assert_array_equal(noise.labels[noise.train], case["y_train_noisy"])
    np.testing.assert_array_equal(noise.labels[validation], case["y_val_noisy"])


def test_noisy_labels_come_back_from_their_file(tmp_path):
    clean = np.array([0, 1, 2, 1, 0])
    save_noisy_labels(tmp_path / "some.npz", np.array([2, 2, 1]), np.array([4, 2, 0]))
    noise = read_noisy_labels(tmp_path / "some.npz", clean)
    np.testing.assert_array_equal(noise.labels, [1, 1, 2, 1, 2])
    np.testing.assert_array_equal(noise.flipped, [True, False, False, False, True])
    save_noisy_labels(tmp_path / "all.npz", noise.labels)
    np.testing.assert_array_equal(read_noisy_labels(tmp_path / "all.npz", clean).labels, noise.labels)


def test_what_is_impossible_is_named(as_a_user_sees, tmp_path):
    labels, transition = np.arange(10) % 2, uniform_transition(2, 0.1)
    with pytest.raises(ValueError, match=r"size must lie in \[1, 8\], the examples to train on, got 9"):
        corrupt_split_legacy(0, labels, transition, size=9)
    with pytest.raises(ValueError, match=r"fraction must leave examples in both parts of 10, got 1.0"):
        corrupt_split_legacy(0, labels, transition, fraction=1.0)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got 2 at index 0"):
        corrupt_split_legacy(0, labels + 2, transition)
    with pytest.raises(ValueError, match="indices must differ from each other, got 3 at 2 places"):
        save_noisy_labels(tmp_path / "twice.npz", labels[:2], np.array([3, 3]))
    save_noisy_labels(tmp_path / "ten.npz", labels)
    with pytest.raises(ValueError, match=r"ten.npz has labels of examples up to 9, but there are only 9"):
        read_noisy_labels(tmp_path / "ten.npz", labels[:9])
    np.savez(tmp_path / "other.npz", x=labels)
    with pytest.raises(ValueError, match=r"other.npz holds \['x'\], not 'index' and 'label'; save_noisy_labels writes"):
        read_noisy_labels(tmp_path / "other.npz", labels)
