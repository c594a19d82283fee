import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infotheory_dl.data import one_hot, pixel_moments, standardize, targets, unstandardize

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 3, 2), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int8, np.uint8, np.float32, np.float16])
def test_moments_and_standardized_values_do_not_depend_on_the_type(dtype):
    numbers = np.random.default_rng(0).integers(0, 100, (50, 3))
    moments = pixel_moments(numbers.astype(dtype), per="pixel")
    np.testing.assert_allclose(moments.mean, numbers.mean(0), rtol=1e-15)
    np.testing.assert_allclose(moments.std, numbers.std(0), rtol=1e-14)
    standardized = standardize(numbers.astype(dtype), *moments)
    eps = 1e-14 if dtype == np.float64 else 2e-3 if dtype == np.float16 else 1e-6
    np.testing.assert_allclose(standardized, (numbers - numbers.mean(0)) / numbers.std(0), atol=eps)


@given(offset=st.floats(-1e12, 1e12), exponent=st.integers(-200, 200))
def test_units_and_offsets_do_not_change_standardized_values(offset, exponent):
    z = np.random.default_rng(0).normal(size=(20, 2))
    z = (z - z.mean(0)) / z.std(0)
    for x in (10.0**exponent * z, z + offset):
        moments = pixel_moments(x, per="pixel")
        # what is lost is what the numbers themselves do not hold
        np.testing.assert_allclose(standardize(x, *moments), z, atol=1e-13 + 1e-15 * abs(offset))
        np.testing.assert_allclose(unstandardize(standardize(x, *moments), *moments), x, rtol=1e-12)


def test_large_whole_numbers_do_not_wrap():
    capital = np.array([[1], [3], [5]]) * 10**17
    np.testing.assert_allclose(pixel_moments(capital).std, np.sqrt(8 / 3) * 1e17, rtol=1e-15)
    np.testing.assert_allclose(standardize(capital, *pixel_moments(capital)).ravel(), np.array([-1, 0, 1]) * 1.5**0.5)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_whole_numbers_beyond_double_precision_keep_their_differences(dtype):
    steps = np.random.default_rng(0).integers(0, 50, (40, 2))
    z = standardize(steps, *pixel_moments(steps, per="pixel"), dtype=float)
    lowest, highest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    for offset in (2**60 + 1, lowest, highest - 49):
        x = np.array([[offset + int(step) for step in row] for row in steps], dtype)
        np.testing.assert_allclose(standardize(x, *pixel_moments(x, per="pixel"), dtype=float), z, atol=1e-12)
    # the difference of the two has 65 bits
    ends = np.array([lowest, highest, highest, lowest], dtype)
    np.testing.assert_allclose(standardize(ends, *pixel_moments(ends), dtype=float), [-1, 1, 1, -1], rtol=1e-15)


@pytest.mark.parametrize("x", [[-1.7e308, 1.7e308, 1.7e308, -1.7e308], [-1e-307, 1e-307, 1e-307, -1e-307]])
def test_the_largest_and_smallest_numbers_do_not_overflow(x):
    moments, z = pixel_moments(np.array(x)), np.array([-1.0, 1, 1, -1])
    np.testing.assert_allclose(standardize(np.array(x), *moments), z, rtol=1e-12)
    np.testing.assert_allclose(unstandardize(z, *moments), x, rtol=1e-12)


def test_the_mean_is_known_beyond_double_precision():
    x = 2.0**52 + np.random.default_rng(0).integers(0, 9, 30)
    assert pixel_moments(x).remainder != 0
    np.testing.assert_allclose(standardize(x, *pixel_moments(x)).mean(), 0, atol=1e-14)


def test_a_constant_column_of_a_number_that_is_rounded_is_constant():
    x = np.full((1000, 2), 0.1)
    assert pixel_moments(x, per="pixel").std.tolist() == [1, 1]
    assert not standardize(x, *pixel_moments(x, per="pixel")).any()


def test_missing_values_are_left_out_of_the_moments():
    x = np.random.default_rng(0).normal(size=(30, 3))
    x[[0, 4, 5], [0, 0, 1]] = np.nan
    x[:, 2] = np.nan
    moments = pixel_moments(x, per="pixel")
    np.testing.assert_allclose(moments.mean[:2], np.nanmean(x[:, :2], 0), rtol=1e-14)
    np.testing.assert_allclose(moments.std[:2], np.nanstd(x[:, :2], 0), rtol=1e-14)
    assert np.isnan(moments.mean[2])
    assert moments.std[2] == 1


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
