"""Sets of several domains: digits with misleading colours, turned digits, Gaussian classes, stained tissue, folders."""

import itertools

import jax
import numpy as np
import pytest
from PIL import Image

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
        (lambda: data.rotated_digits(KEY, IMAGES, LABELS[:3]), "one for each image"),
        (lambda: data.colored_digits(KEY, IMAGES, LABELS + 1), r"digits must lie in \[0, 10\)"),
        (lambda: data.gaussian_domains(KEY, failure="other"), "unknown failure 'other'"),
        (lambda: data.gaussian_domains(KEY, num_features=6), "num_features must be at least 7"),
        (lambda: data.gaussian_domains(KEY, num_sources=1), "num_sources must be at least 2"),
        (lambda: data.stain_hospitals(KEY, num_sources=1), "num_sources must be at least 2"),
        (lambda: data.stain_hospitals(KEY, num_examples=7), "num_examples must be at least 8"),
        (lambda: data.stain_hospitals(KEY, shift=-1.0), "shift must be finite and not negative"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_as_many_colours_and_labels_are_right_as_in_domainbed():
    expected = reference("domain_generalization_colored_mnist")["full_stats"]
    of_digits = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    digits = np.repeat(np.arange(10), of_digits)
    # the one pixel of an image is the place of its digit among them
    found = data.colored_digits(KEY, (digits + 1)[:, None, None], digits)
    shown = np.rint(255 * found.x[:, 0, 0].max(-1)).astype(int) - 1
    for domain, (number, ones, colored, clean) in enumerate(expected):
        own = found.domains == domain
        colors, y = found.x[own, 0, 0].argmax(-1), found.y[own]
        shares = y.mean(), (colors == y).mean(), ((shown[own] < 5) == y).mean()
        assert own.sum() == number
        np.testing.assert_allclose(shares, (ones, colored, clean), atol=0.01)


@pytest.fixture(scope="module")
def hospitals():
    return data.stain_hospitals(KEY, num_examples=400)


def channels(images):
    return images.x.mean((1, 2))


def test_hospitals_stain_differently_and_tumours_are_darker(hospitals):
    assert hospitals.train.x.shape == (1200, 32, 32, 3)
    assert [part.domains.tolist() for part in hospitals[2:]] == [[3] * 400, [4] * 400]
    np.testing.assert_array_equal(np.bincount(hospitals.validation.domains), [100] * 3)
    of_hospitals = [channels(hospitals.train.taken(hospitals.train.domains == place)).mean(0) for place in range(3)]
    assert np.linalg.norm(of_hospitals[0] - of_hospitals[1]) > 0.05
    for part in hospitals:
        for place in np.unique(part.domains):
            own = part.taken(part.domains == place)
            assert own.y.mean() == 0.5
            assert channels(own)[own.y == 1].mean() < channels(own)[own.y == 0].mean() - 0.03
        assert part.x.min() >= 0
        assert part.x.max() <= 1


def test_the_same_key_draws_the_same_patches_and_no_patch_is_drawn_twice(hospitals):
    again = data.stain_hospitals(KEY, num_examples=400)
    jax.tree.map(np.testing.assert_array_equal, again, hospitals)
    assert len(np.unique(hospitals.train.x.sum((1, 2, 3), float))) == 1200


def test_hospitals_without_a_shift_are_alike():
    drawn = data.stain_hospitals(KEY, num_examples=400, shift=0.0)
    means = np.stack([channels(drawn.train.taken(drawn.train.domains == place)) for place in range(3)])
    error = means.std(1) / np.sqrt(400)
    assert (np.abs(means.mean(1) - means.mean((0, 1))) < 3.5 * error).all()


def save_image(path, color, size=4):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size, len(color)), color, np.uint8).squeeze()).save(path)


def test_folders_of_domains_are_read(tmp_path):
    for domain, kinds in (("photo", ("cat", "dog")), ("sketch", ("dog",))):
        for kind in kinds:
            save_image(tmp_path / domain / kind / "0.png", [51, 102, 255] if domain == "photo" else [51])
    found = data.read_image_domains(tmp_path)
    assert (found.names, found.class_names) == (("photo", "sketch"), ("cat", "dog"))
    assert found.y.tolist() == [0, 1, 1]
    assert found.domains.tolist() == [0, 0, 1]
    np.testing.assert_allclose(found.x[:, 0, 0], [[0.2, 0.4, 1.0]] * 2 + [[0.2] * 3], rtol=1e-6)
    assert data.read_image_domains(tmp_path, image_size=2).x.shape == (3, 2, 2, 3)


@pytest.fixture
def camelyon(tmp_path):
    """Two patches of each part of each hospital; the red of each is ten times its hospital."""
    lines = [",patient,node,x_coord,y_coord,tumor,slide,center,split"]
    for row, (hospital, split, tumor) in enumerate(itertools.product(range(5), (0, 1), (0, 1))):
        lines.append(f"{row},{hospital:03d},{row},7,8,{tumor},0,{hospital},{split}")
        stem = f"patient_{hospital:03d}_node_{row}"
        save_image(tmp_path / "patches" / stem / f"patch_{stem}_x_7_y_8.png", [10 * hospital, tumor, 0])
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return tmp_path


def test_camelyon_is_read_in_the_parts_of_wilds(camelyon):
    found = data.read_camelyon(KEY, camelyon)
    expected = {"train": [0, 3, 4], "validation": [0, 3, 4], "unseen": [1], "test": [2]}
    for name, hospitals in expected.items():
        part = getattr(found, name)
        assert np.unique(part.domains).tolist() == hospitals
        assert len(part.y) == (6 if len(hospitals) == 3 else 4)
        np.testing.assert_allclose(part.x[:, 0, 0, 0] * 25.5, part.domains, rtol=1e-6)
        np.testing.assert_allclose(part.x[:, 0, 0, 1] * 255, part.y, rtol=1e-6)
    few = data.read_camelyon(KEY, camelyon, num_examples=1)
    assert [len(part.y) for part in few] == [3, 3, 1, 1]


@pytest.mark.usefixtures("as_a_user_sees")
def test_folders_that_are_not_as_they_should_be_are_told(camelyon, tmp_path):
    table = camelyon / "metadata.csv"
    lost = next((camelyon / "patches").rglob("*.png"))

    def told(text, read, *given):
        with pytest.raises(ValueError, match=text):
            read(*given)

    other = tmp_path / "other"
    told("this is no folder", data.read_image_domains, other)
    save_image(other / "photo" / "cat" / "0.png", [1])
    told("folders of two domains at least, each with a folder for each class, got 1", data.read_image_domains, other)
    save_image(other / "sketch" / "cat" / "0.png", [1], size=5)
    told("two classes at least, got 'cat' alone", data.read_image_domains, other)
    save_image(other / "sketch" / "dog" / "0.png", [1], size=5)
    told("those of photo are 4 x 4, of sketch 5 x 5", data.read_image_domains, other)
    told("there is no metadata.csv; give the folder camelyon17_v1.0", data.read_camelyon, KEY, other)
    lost.unlink()
    told(f"names patches/.*{lost.name}, which is not there", data.read_camelyon, KEY, camelyon)
    table.write_text(table.read_text().replace("center", "hospital"))
    told("lacks the columns center", data.read_camelyon, KEY, camelyon)
