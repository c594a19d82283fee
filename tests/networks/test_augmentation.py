import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.networks import augmented, flip_and_crop

IMAGES = np.random.default_rng(0).integers(1, 256, (300, 5, 7, 2), dtype=np.uint8)


def test_every_image_is_one_of_the_crops_of_itself_or_its_mirror_image():
    changed = np.asarray(flip_and_crop(jax.random.key(0), IMAGES, margin=1))
    assert changed.shape == IMAGES.shape
    assert changed.dtype == IMAGES.dtype

    def crops(image):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
        return [padded[row : row + 5, column : column + 7] for row in range(3) for column in range(3)]

    kinds = [
        [np.array_equal(new, crop) for crop in [*crops(old), *crops(old[:, ::-1])]]
        for new, old in zip(changed, IMAGES, strict=True)
    ]
    np.testing.assert_array_equal(np.sum(kinds, axis=1), 1)
    # each of the 18 kinds comes as often as the others: expected 16.7 times of 300, with a standard deviation of 4
    assert np.abs(np.sum(kinds, axis=0) - 300 / 18).max() < 4 * 4


def test_the_margin_is_of_zeros():
    changed = np.asarray(flip_and_crop(jax.random.key(0), IMAGES))
    zeros = (changed == 0).all(-1)
    rows, columns = zeros.all(2).sum(1), zeros.all(1).sum(1)
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (0, 4)
    np.testing.assert_array_equal(zeros.sum((1, 2)), 35 - (5 - rows) * (7 - columns))


def test_without_a_margin_images_are_only_flipped():
    changed = np.asarray(flip_and_crop(jax.random.key(0), IMAGES, margin=0))
    flips = (changed != IMAGES).any((1, 2, 3))
    np.testing.assert_array_equal(changed[flips], IMAGES[flips][:, :, ::-1])
    assert 110 < flips.sum() < 190


def test_a_key_gives_the_same_images_again_and_another_key_others():
    first, again, other = (flip_and_crop(jax.random.key(seed), IMAGES) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_an_augmented_network_is_given_changed_images_the_mask_and_a_key_of_its_own():
    train = jax.jit(augmented(lambda *given: (given, {}), margin=2))
    mask, key = jnp.arange(300) < 200, jax.random.key(3)
    (variables, images, given_mask, network_key), _ = train({"params": 1.0}, IMAGES, mask, key)
    assert variables == {"params": 1.0}
    np.testing.assert_array_equal(given_mask, mask)
    image_key, expected_key = jax.random.split(key)
    assert network_key == expected_key
    np.testing.assert_array_equal(images, flip_and_crop(image_key, IMAGES, margin=2))


def test_what_cannot_be_cropped_is_refused(as_a_user_sees):
    with pytest.raises(ValueError, match="margin must be at least 0, got -1"):
        flip_and_crop(jax.random.key(0), IMAGES, margin=-1)
    with pytest.raises(ValueError, match=r"4 axes \(examples, height, width, channels\), got shape \(300, 5\)"):
        flip_and_crop(jax.random.key(0), IMAGES[:, :, 0, 0])
