"""Sets of several domains: digits with misleading colours, turned digits, Gaussian classes."""

import jax
import numpy as np
import pytest

from infotheory_dl import data
from infotheory_dl.data.domains.digits import color, turn
from tests.conftest import reference

KEY = jax.random.key(0)
DIGITS = data.load("digits")
IMAGES, LABELS = np.round(DIGITS.x * (255 / 16)), DIGITS.y


@pytest.mark.parametrize("noise", ["0.1", "0.2", "0.9"])
def test_colours_and_labels_are_those_of_domainbed(noise):
    case = reference("domain_generalization_colored_mnist")
    drawn = case[f"env{noise}/u_label"], case[f"env{noise}/u_color"]
    x, y = color(case["images"], case["digits"], *drawn, np.full(16, float(noise)), 0.25)
    np.testing.assert_array_equal(np.moveaxis(x, -1, 1), case[f"env{noise}/x"])
    np.testing.assert_array_equal(y, case[f"env{noise}/y"])


def test_turned_digits_are_those_of_domainbed():
    case = reference("domain_generalization_colored_mnist")
    for angle in (0, 15, 30, 45, 60, 75):
        turned = np.stack([turn(image, angle) for image in case["images"][:6]])
        np.testing.assert_allclose(turned, case[f"rot{angle}"], atol=1 / 255 + 1e-6)


def test_colours_tell_of_labels_as_they_should():
    found = data.colored_digits(KEY, np.tile(IMAGES, (4, 1, 1, 1)), np.tile(LABELS, 4))
    assert found.names == ("+80%", "+60%", "-80%")
    colors = found.x[..., 1].any((1, 2)).astype(int)
    for domain, noise in enumerate((0.1, 0.2, 0.9)):
        own = found.domains == domain
        np.testing.assert_allclose((colors == found.y)[own].mean(), 1 - noise, atol=0.03)
    assert not found.x[colors == 1, ..., 0].any()
    assert found.x.max() == 1


def test_the_domains_of_irm_are_of_the_sizes_and_half_the_height_that_are_asked_for():
    found = data.colored_digits(KEY, IMAGES, LABELS, sizes=(500, 500, 200), half_size=True)
    assert found.x.shape == (1200, 4, 4, 2)
    np.testing.assert_array_equal(np.bincount(found.domains), [500, 500, 200])


def test_every_image_is_turned_once():
    found = data.rotated_digits(KEY, IMAGES[:60], LABELS[:60], angles=(0, 90))
    assert found.names == ("0°", "90°")
    upright = np.sort(IMAGES[:60].sum((1, 2, 3)) / 255)
    np.testing.assert_allclose(np.sort(found.x.sum((1, 2, 3))), upright, rtol=1e-5)
    np.testing.assert_array_equal(np.sort(found.y), np.sort(LABELS[:60]))


def test_labels_of_gaussian_domains_are_wrong_at_the_rate_that_is_asked_for():
    drawn = data.gaussian_domains(KEY, failure="underfitting", wrong=0.4)
    for part in drawn:
        assert abs((part.predictions != part.labels).mean() - 0.4) < 0.06
    assert {*drawn.train.domains} == {*drawn.validation.domains} == {0, 1, 2}
    assert {*drawn.unseen.domains} == {3}


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_drawn_is_told():
    for call, text in (
        (lambda: data.colored_digits(KEY, IMAGES, LABELS, color_noise=(0.1, 2.0)), "color_noise must lie in"),
        (lambda: data.colored_digits(KEY, IMAGES, LABELS, sizes=(1, 2)), "sizes must be 3 that add up to 1797"),
        (lambda: data.colored_digits(KEY, np.zeros((2, 4, 4, 3)), [1, 2]), "images must have one channel"),
        (lambda: data.rotated_digits(KEY, IMAGES[:3], LABELS[:3]), "num_domains must lie in"),
        (lambda: data.gaussian_domains(KEY, failure="other"), "unknown failure 'other'"),
        (lambda: data.gaussian_domains(KEY, num_features=6), "num_features must be at least 7"),
        (lambda: data.gaussian_domains(KEY, num_sources=1), "num_sources must be at least 2"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
