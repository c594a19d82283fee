"""Images of words: the published grid, fixed and new images of letters, and what is refused."""

import importlib.util
import sys

import jax
import numpy as np
import pytest

from infotheory_dl import data
from tests.conftest import reference
from tests.data.test_datasets import prepare

KEY = jax.random.key(0)


def glyph(images, position):
    return images.images[..., 28 * position : 28 * (position + 1)]


def test_the_grid_is_the_published_one():
    case, grid = reference("minsyn_words"), data.word_grid()
    assert grid.letters == tuple(case["letters"].tolist())
    np.testing.assert_array_equal(grid.labels, case["labels_all"])
    assert set(grid.words[grid.valid]) == set(case["valid"])
    assert set(grid.words[~grid.valid]) == set(case["invalid"])


def test_images_that_do_not_vary_are_the_reference_glyphs_side_by_side():
    case = reference("minsyn_words")
    glyphs = dict(zip(case["glyph_chars"].tolist(), case["glyphs"], strict=True))
    drawn = data.words(data.word_grid().words)
    assert drawn.images.shape == (512, 28, 84)
    assert drawn.images.dtype == np.float32
    expected = [np.hstack([glyphs[letter] for letter in word]) for word in drawn.words]
    # another release of FreeType may draw edges a little otherwise
    np.testing.assert_allclose(drawn.images, np.stack(expected) / 255, atol=0.02)
    np.testing.assert_array_equal(drawn.letters[0], [ord(letter) - 97 for letter in "sat"])


def test_words_may_be_of_any_length():
    drawn = data.words(["a", "z"])
    assert drawn.images.shape == (2, 28, 28)
    assert data.words(["letters"]).images.shape == (1, 28, 196)


def test_new_images_are_the_same_within_a_word_or_new_everywhere():
    by_word = data.words(["sees", "sees"], key=KEY, resample="words")
    first, last = glyph(by_word, 0), glyph(by_word, 3)
    np.testing.assert_array_equal(first, last)
    assert np.abs(first[0] - first[1]).max() > 0.1
    anew = data.words(["sees", "sees"], key=KEY, resample="all", noise=0.1)
    assert np.abs(glyph(anew, 0) - glyph(anew, 3)).max() > 0.1
    assert anew.images.min() >= 0
    assert anew.images.max() <= 1


def test_new_images_are_moved_no_further_than_asked_for():
    moved = data.words(["i"] * 50, key=KEY, resample="all", jitter=3, rotation=0, fonts=data.MONOSPACE_FONTS[:1])
    still = data.words(["i"]).images[0]
    found = set()
    for image in moved.images:
        shifts = [
            (down, right)
            for down in range(-3, 4)
            for right in range(-3, 4)
            if np.allclose(np.roll(still, (down, right), (0, 1)), image, atol=0.01)
        ]
        found |= set(shifts)
        assert shifts
    assert {down for down, _ in found} == {right for _, right in found} == set(range(-3, 4))


def test_words_are_drawn_by_their_frequencies():
    drawn = data.words(["ab", "cd", "ef"], key=KEY, num_samples=4000, frequencies=[1, 0, 3])
    assert set(drawn.words) == {"ab", "ef"}
    np.testing.assert_allclose((drawn.words == "ef").mean(), 0.75, atol=0.03)


def test_letters_written_by_hand_come_from_the_prepared_set(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 28, 28, 1), dtype=np.uint8)
    folder = prepare(tmp_path, images[..., 0], np.array([1, 2, 1, 2, 1, 2]), name="emnist", shape=(28, 28, 1))
    (tmp_path / "emnist" / "letters").mkdir()
    folder.rename(tmp_path / "emnist" / "letters" / folder.name)
    fixed = data.words(["ab", "ba"], source="emnist", data_dir=tmp_path)
    expected = images[:2, :, :, 0].swapaxes(1, 2) / 255
    np.testing.assert_allclose(glyph(fixed, 0), expected, rtol=1e-6)
    anew = data.words(["ab"] * 40, key=KEY, resample="all", source="emnist", data_dir=tmp_path)
    assert len(np.unique(glyph(anew, 0).reshape(40, -1), axis=0)) == 3


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: data.words(["cat", "horse"]), ValueError, "one length, got 'cat' of 3 letters and 'horse' of 5"),
        (lambda: data.words(["Cat"]), ValueError, "words must be of the letters a to z, got 'Cat'; lower case is"),
        (lambda: data.words(["é"]), ValueError, "words must be of the letters a to z, got 'é'"),
        (lambda: data.words([]), ValueError, "words must be a list of words"),
        (lambda: data.words("cat"), ValueError, "words must be a list of words, got 'cat'"),
        (lambda: data.words(resample="all"), ValueError, r"drawn with a key, give key=jax\.random\.key\(seed\)"),
        (lambda: data.words(key=KEY, frequencies=np.ones(135)), ValueError, "give num_samples, how many"),
        (lambda: data.words(["ab"], key=KEY, num_samples=2, frequencies=[0]), ValueError, "frequencies must not all"),
        (lambda: data.words(resample="some"), ValueError, "resample"),
        (lambda: data.words(fonts=["NoFont"]), FileNotFoundError, "NoFont is absent: pip install matplotlib"),
        (lambda: data.words(fonts=["no.ttf"]), FileNotFoundError, "there is no font no.ttf"),
        (lambda: data.words(fonts=[]), ValueError, "fonts must name one at least"),
        (lambda: data.words(source="emnist", data_dir="nowhere"), FileNotFoundError, "emnist/letters is not prepared"),
        (lambda: data.word_grid(("ab", "c")), ValueError, "need a dictionary"),
        (lambda: data.word_grid(("aa",), dictionary={"a"}), ValueError, "letters of a position must differ, got 'aa'"),
        (lambda: data.word_grid(("aB",), dictionary={"a"}), ValueError, "letters must be of the letters a to z"),
        (lambda: data.grue_bleen(KEY, 0), ValueError, "num_samples must be at least 1, got 0"),
        (lambda: data.grue_bleen(KEY, 1, flip=2.0), ValueError, r"flip must lie in \[0, 1\], got 2\.0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_what_draws_is_named_where_it_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        data.words()
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install matplotlib"):
        data.words()


def test_a_grid_of_other_letters_takes_a_dictionary():
    grid = data.word_grid(("cb", "au", "tds", "s"), dictionary=["cats", "buds", "bats", "else"])
    assert len(grid.words) == 12
    assert set(grid.words[grid.valid]) == {"cats", "buds", "bats"}


def test_grue_tells_the_colour_with_the_time_alone():
    drawn = data.grue_bleen(KEY, 4000, pixels=3, flip=0.1, agreement=0.3)
    np.testing.assert_array_equal(drawn.colour, drawn.grue ^ drawn.time)
    np.testing.assert_allclose((drawn.colour == drawn.time).mean(), 0.3, atol=0.03)
    np.testing.assert_allclose((drawn.x[:, :3] != drawn.colour[:, None]).mean(0), 0.1, atol=0.03)
    np.testing.assert_allclose((drawn.x[:, 3:] != drawn.time[:, None]).mean(0), 0.1, atol=0.03)
