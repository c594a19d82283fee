import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.networks import image_dictionary, random_convolution, random_layer
from infotheory_dl.networks.feature_maps import pooled

KEY = jax.random.key(0)


def test_a_feature_is_the_mean_of_a_filter_over_a_part_of_the_image():
    features = random_convolution(KEY, (8, 8, 1), num_maps=3, grid=4)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1))
    made = np.asarray(features.apply_fn(features.params, images)).reshape(2, 4, 4, 3)
    kernel = np.asarray(features.params)[:, :, 0]
    padded = np.pad(images[..., 0], [(0, 0), (1, 1), (1, 1)])
    place = lambda row, column: np.maximum(
        np.einsum("nij,ijm->nm", padded[:, row : row + 3, column : column + 3], kernel), 0
    )
    expected = np.mean([place(row, column) for row in (2, 3) for column in (6, 7)], axis=0)
    np.testing.assert_allclose(made[:, 1, 3], expected, rtol=1e-6)


def test_large_images_are_averaged_down():
    features = random_convolution(KEY, (96, 64, 3), num_maps=2)
    image = np.random.default_rng(0).normal(size=(1, 96, 64, 3)).astype(np.float32)
    small = image.reshape(1, 48, 2, 32, 2, 3).mean((2, 4))
    of_small = random_convolution(KEY, (48, 32, 3), num_maps=2)
    np.testing.assert_allclose(
        features.apply_fn(features.params, image), of_small.apply_fn(of_small.params, small), rtol=1e-5
    )


@pytest.mark.parametrize("size", [3, 7, 10])
def test_parts_of_a_grid_are_as_equal_as_they_can_be(size):
    maps = jnp.arange(size, dtype=float)[None, :, None, None] * jnp.ones((1, 1, size, 1))
    parts = np.asarray(pooled(maps, 4))[0, :, 0, 0]
    assert len(parts) == min(4, size)
    np.testing.assert_allclose(parts + parts[::-1], size - 1)


def test_a_layer_has_random_directions_and_offsets():
    features = random_layer(KEY, 3, num_features=6)
    rows = np.random.default_rng(0).normal(size=(4, 3))
    weights, offsets = map(np.asarray, features.params)
    np.testing.assert_allclose(
        features.apply_fn(features.params, rows), np.maximum(rows @ weights + offsets, 0), rtol=1e-6
    )


def test_the_same_settings_are_one_program():
    first, second = (random_convolution(key, (8, 8, 1), num_maps=3) for key in jax.random.split(KEY))
    assert first.apply_fn == second.apply_fn
    assert hash(first.apply_fn) == hash(second.apply_fn)
    assert first.apply_fn != random_convolution(KEY, (8, 8, 1), num_maps=3, grid=2).apply_fn


@pytest.fixture(scope="module")
def dictionary():
    images = np.random.default_rng(0).normal(size=(6, 9, 8, 3))
    return images, image_dictionary(KEY, images, num_patches=4, window=3, grid=2)


def test_a_dictionary_tells_how_like_its_patches_an_image_is(dictionary):
    images, features = dictionary
    made = np.asarray(features.apply_fn(features.params, images)).reshape(6, 2, 2, 8)
    kernel = np.asarray(features.params).reshape(27, 4)

    def part(image, sign):
        """The mean over the first rows and columns of the grid."""
        found = []
        for row, column in np.ndindex(4, 3):
            patch = image[row : row + 3, column : column + 3].ravel()
            likeness = (patch - patch.mean()) @ kernel / np.sqrt(patch.var() + 0.02)
            found.append(np.maximum(sign * likeness - 0.5, 0))
        return np.mean(found, axis=0)

    for sign, columns in ((1, slice(0, 4)), (-1, slice(4, 8))):
        expected = (part(images[2], sign) + part(images[2][:, ::-1], sign)) / 2
        np.testing.assert_allclose(made[2, 0, 0, columns], expected, rtol=1e-6, atol=1e-9)


def test_mirror_images_are_one_to_a_dictionary(dictionary):
    images, features = dictionary
    apply_fn = lambda values: features.apply_fn(features.params, values)
    np.testing.assert_allclose(apply_fn(images), apply_fn(images[:, :, ::-1]), rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("as_a_user_sees")
def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match=r"patches of 6x6 pixels do not fit into images of \(5, 9\)"):
        image_dictionary(KEY, np.ones((2, 5, 9, 3)))
