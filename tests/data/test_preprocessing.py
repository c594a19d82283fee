import numpy as np
import pytest

from infotheory_dl.data import one_hot, pixel_moments, standardize, targets

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 3, 2), dtype=np.uint8)


def test_standardisation_is_its_formula_in_single_precision_for_integers():
    standardized = standardize(IMAGES, 0.456, 0.224, scale=255.0)
    assert standardized.dtype == np.float32
    np.testing.assert_allclose(standardized, (IMAGES / 255 - 0.456) / 0.224, atol=1e-5)


def test_floating_point_inputs_keep_their_dtype():
    for dtype in (np.float32, np.float64):
        images = IMAGES.astype(dtype)
        assert standardize(images, *pixel_moments(images)).dtype == dtype


@pytest.mark.parametrize(("per", "axes"), [("set", None), ("channel", (0, 1, 2)), ("pixel", 0)])
def test_inputs_standardised_by_their_own_moments_have_mean_zero_and_variance_one(per, axes):
    images = IMAGES.astype(float)
    standardized = standardize(images, *pixel_moments(images, per=per))
    np.testing.assert_allclose(standardized.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(standardized.var(axis=axes), 1, rtol=1e-12)


def test_a_constant_pixel_becomes_zero():
    images = np.ones((3, 2, 2, 1)) * np.arange(4.0).reshape(2, 2, 1)
    assert not standardize(images, *pixel_moments(images, per="pixel")).any()


def test_two_classes_have_one_target_and_more_have_one_each():
    np.testing.assert_array_equal(targets(np.array([0, 1, 1]), 2), [[0], [1], [1]])
    np.testing.assert_array_equal(targets(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(one_hot(np.array([1, 0]), 2), [[0, 1], [1, 0]])


def test_centred_targets_of_balanced_classes_have_mean_zero():
    np.testing.assert_array_equal(targets(np.array([0, 1]), 2, centered=True), [[-0.5], [0.5]])
    centred = targets(np.arange(10), 10, centered=True, dtype=np.float64)
    np.testing.assert_allclose(centred, np.eye(10) - 0.1, rtol=1e-15)
    assert centred.dtype == np.float64


def test_wrong_labels_and_settings_are_named(as_a_user_sees):
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\), got 3 at index 1"):
        targets(np.array([0, 3, 5]), 3)
    with pytest.raises(ValueError, match=r"labels must be whole numbers or names of classes, got 0\.5 at index 0"):
        one_hot(np.array([0.5, 1.0]), 3)
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        targets(np.array([0]), 1)
    with pytest.raises(ValueError, match="unknown per 'row'; choose one of 'set', 'channel', 'pixel'"):
        pixel_moments(IMAGES, per="row")
    with pytest.raises(ValueError, match=r"std must be positive, got 0\.0"):
        standardize(IMAGES, 0.0, 0.0)
