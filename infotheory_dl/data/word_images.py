"""Images of words, letter beside letter: factors that are correlated, as letters in words are."""

import importlib.util
import itertools
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from infotheory_dl._validation import edge, require_choice, require_count, require_not_negative, require_same_length
from infotheory_dl.data.datasets import load
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, Key, Scalar

Resample = Literal["none", "words", "all"]
LetterSource = Literal["rendered", "emnist"]

WORD_LETTERS = ("sabpdftl", "aoeiusnr", "tnysdemr")
"""The most frequent letters of English three-letter words at each position, as in the published benchmark."""

MONOSPACE_FONTS = (
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
)
"""Those that matplotlib ships; the first is that of images that do not vary."""

# the words of these letters in the list of American English of Debian's package wamerican
_ENGLISH = """
sat say sad sot son soy sos sod set see sit sin sis sim sir sun sue sum aid aim air ass ant any and art are arm bat
ban bay bad bar bot boy bet bed bee bit bin bid but bun buy bus bud bum bur brr pat pan pay pas pad par pot pod pet
pen pee per pit pin pis pie put pun pus pry day dad dam dot don dos doe den din dis did die dim dun dud due dry fat
fan fad far foe for fen fey fed fee fem fer fit fin fie fir fun fum fur fry tat tan tad tam tar tot ton toy toe tom
tor ten tee tit tin tie tun try lat lay lad lam lot let led lee lit lid lie
"""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_SIDE = 28
_POINTS = 24


@concise
class WordGrid(NamedTuple):
    """All words of some letters at each position, and which of them are words of the language.

    Attributes:
      words: every combination, the last position first to change.
      labels: which of its position's letters each word has.
      valid: whether a word stands in the dictionary: those to train on, the others to test.
      letters: of each position.
    """

    words: np.ndarray
    labels: Int[np.ndarray, "words positions"]
    valid: Bool[np.ndarray, " words"]
    letters: tuple[str, ...]


@concise
class WordImages(NamedTuple):
    """Images of words.

    Attributes:
      images: in [0, 1], white on black, 28 pixels high and as wide for each letter.
      words: what they show.
      letters: of each position, from 0 for a to 25 for z.
    """

    images: Float[np.ndarray, "samples height width"]
    words: np.ndarray
    letters: Int[np.ndarray, "samples positions"]


def word_grid(letters: Sequence[str] = WORD_LETTERS, *, dictionary: Collection[str] | None = None) -> WordGrid:
    """Makes all words of some letters at each position: a full factorial design, though letters in words are dependent.

    Args:
      letters: of each position.
      dictionary: the words that are valid; by default English ones of three letters, which are known of the default
        letters alone.

    Returns:
      The words, with the valid ones marked.

    Raises:
      ValueError: if there are no letters, one is not of a to z or stands twice at a position, or a dictionary is
        needed.

    Source: the published benchmark of Ver Steeg et al., 2017 (its letters; the dictionary was another).
    """
    letters = tuple(letters)
    if not letters or not all(letters):
        raise ValueError(f"letters must have some for each position, got {letters!r}")
    _require_letters("letters", letters)
    if repeated := [one for one in letters if len(set(one)) < len(one)]:
        raise ValueError(f"letters of a position must differ, got {repeated[0]!r}")
    if dictionary is None:
        if len(letters) != len(WORD_LETTERS) or not all(map(set.issubset, map(set, letters), map(set, WORD_LETTERS))):
            raise ValueError("words of other letters than the default ones need a dictionary, a set of valid words")
        dictionary = _ENGLISH.split()
    words = np.array(["".join(word) for word in itertools.product(*letters)])
    labels = np.array(list(itertools.product(*(range(len(one)) for one in letters))))
    return WordGrid(words, labels, np.isin(words, list(dictionary)), letters)


@edge
def words(
    words: Sequence[str] | np.ndarray | None = None,
    *,
    key: Key | None = None,
    resample: Resample = "none",
    source: LetterSource = "rendered",
    fonts: Sequence[str] = MONOSPACE_FONTS,
    jitter: int = 2,
    rotation: Scalar = 5.0,
    noise: Scalar = 0.0,
    num_samples: int | None = None,
    frequencies: Float[AnyArray, " words"] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> WordImages:
    """Draws images of words, each letter of 28 by 28 pixels, beside each other.

    Args:
      words: of one length; by default the valid ones of `word_grid`.
      key: source of randomness; needed where anything is drawn.
      resample: "none" for one fixed image of every letter, "words" for new images in every word, the same for a letter
        that stands in it twice, "all" for a new image in every place.
      source: "rendered" from fonts, or "emnist": handwritten letters of the set emnist/letters of tensorflow-datasets,
        which must be prepared.
      fonts: of rendered letters: names of those that matplotlib ships, or paths of files. One is drawn for each new
        image; images that are fixed have the first.
      jitter: of new rendered images, the most pixels that they are moved by in each direction.
      rotation: of new rendered images, the most degrees that they are turned by.
      noise: of new rendered images, the standard deviation of noise on the pixels, which stay in [0, 1].
      num_samples: how many words are drawn, with replacement; by default each is taken once, in order.
      frequencies: of the words, up to a factor; by default all are drawn equally often.
      data_dir: folder of the prepared sets, as in `load`.

    Returns:
      The images, the words and their letters.

    Raises:
      ValueError: if the words differ in length, or have other letters than a to z, or a setting is out of its range.
      FileNotFoundError: if a font is absent, or EMNIST is not prepared; it says what to install or to do.
      ImportError: if Pillow is absent.

    Source: the published benchmark of Ver Steeg et al., 2017; drawing by fonts is ours.
    """
    require_choice("resample", resample, get_args(Resample))
    require_choice("source", source, get_args(LetterSource))
    require_count(0, jitter=jitter)
    require_count(1, num_samples=num_samples)
    require_not_negative(rotation=rotation, noise=noise, frequencies=frequencies)
    chosen = _valid() if words is None else _as_words(words)
    if frequencies is not None:
        require_same_length(words=chosen, frequencies=frequencies)
        if num_samples is None:
            raise ValueError("frequencies say how often words are drawn; give num_samples, how many")
        if np.sum(frequencies) == 0:
            raise ValueError("frequencies must not all be zero")
    if key is None and (num_samples is not None or resample != "none"):
        raise ValueError("words and images are drawn with a key, give key=jax.random.key(seed)")
    if not fonts:
        raise ValueError("fonts must name one at least")

    key_words, key_letters = jax.random.split(jax.random.key(0) if key is None else key)
    if num_samples is not None:
        shares = None if frequencies is None else np.asarray(frequencies, np.float32) / np.sum(frequencies)
        chosen = chosen[np.asarray(jax.random.choice(key_words, len(chosen), (num_samples,), p=shares))]
    letters = np.array([[ord(letter) - ord("a") for letter in word] for word in chosen])
    # places with one number show one image
    numbers = {
        "none": letters,
        "words": np.arange(len(letters))[:, None] * 26 + letters,
        "all": np.arange(letters.size).reshape(letters.shape),
    }[resample]
    _, first, image_of = np.unique(numbers, return_index=True, return_inverse=True)
    shown, varied = letters.ravel()[first], resample != "none"
    if source == "emnist":
        images = _handwritten(key_letters, shown, data_dir, varied)
    else:
        images = _rendered(key_letters, shown, fonts, *((jitter, rotation, noise) if varied else (0, 0.0, 0.0)))
    placed = images[image_of.reshape(letters.shape)].transpose(0, 2, 1, 3)
    return WordImages(placed.reshape(len(letters), _SIDE, -1), chosen, letters)


def _valid() -> np.ndarray:
    grid = word_grid()
    return grid.words[grid.valid]


def _rendered(
    key: Key, letters: np.ndarray, fonts: Sequence[str], jitter: int, rotation: Scalar, noise: Scalar
) -> np.ndarray:
    """Images of letters, each moved and turned by chance."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ImportError("images of words are drawn by Pillow: pip install pillow") from error

    faces = [ImageFont.truetype(_font_file(font), _POINTS) for font in fonts]
    key_font, key_shift, key_angle, key_noise = jax.random.split(key, 4)
    fixed = jitter == rotation == noise == 0
    face_of = np.zeros(len(letters), int)
    if not fixed:
        face_of = np.asarray(jax.random.randint(key_font, (len(letters),), 0, len(faces), np.int32))
    glyphs: dict[tuple[int, int], Any] = {}
    for face, letter in zip(face_of.tolist(), letters.tolist(), strict=True):
        if (face, letter) not in glyphs:
            image = Image.new("L", (_SIDE, _SIDE))
            middle = (_SIDE / 2, _SIDE / 2)
            ImageDraw.Draw(image).text(middle, chr(ord("a") + letter), fill=255, font=faces[face], anchor="mm")
            glyphs[face, letter] = image
    drawn = [glyphs[place] for place in zip(face_of.tolist(), letters.tolist(), strict=True)]
    if not fixed:
        shifts = np.asarray(jax.random.randint(key_shift, (len(letters), 2), -jitter, jitter + 1, np.int32))
        angles = np.asarray(jax.random.uniform(key_angle, (len(letters),), np.float32, -1, 1)) * float(rotation)
        drawn = [
            image.rotate(angle, Image.Resampling.BILINEAR, translate=tuple(shift))
            for image, angle, shift in zip(drawn, angles.tolist(), shifts.tolist(), strict=True)
        ]
    images = np.stack([np.asarray(image) for image in drawn]).astype(np.float32) / 255
    if noise:
        images += float(noise) * np.asarray(jax.random.normal(key_noise, images.shape, np.float32))
    return images.clip(0, 1)


def _font_file(font: str) -> str:
    """The file of a font; matplotlib is not imported for it."""
    if Path(font).suffix:
        if not Path(font).is_file():
            raise FileNotFoundError(f"there is no font {font}")
        return font
    package = importlib.util.find_spec("matplotlib")
    folders = (package.submodule_search_locations if package else None) or []
    files = [Path(folder, "mpl-data", "fonts", "ttf", f"{font}.ttf") for folder in folders]
    if not any(file.is_file() for file in files):
        raise FileNotFoundError(
            f"the font {font} is absent: pip install matplotlib, which ships DejaVu fonts, or give fonts the path of"
            " a .ttf file"
        )
    return str(next(file for file in files if file.is_file()))


def _handwritten(key: Key, letters: np.ndarray, data_dir: str | os.PathLike[str] | None, varied: bool) -> np.ndarray:
    """Images of EMNIST, of each letter the first of the set, or any."""
    images = load("emnist/letters", data_dir=data_dir)
    # the set counts letters from one, and has rows and columns exchanged
    places = [np.flatnonzero(images.y == letter + 1) for letter in range(26)]
    if absent := sorted({chr(ord("a") + letter) for letter in letters if len(places[letter]) == 0}):
        raise ValueError(f"emnist/letters has no image of {', '.join(absent)}; prepare it again")
    shares = np.zeros(len(letters))
    if varied:
        shares = np.asarray(jax.random.uniform(key, (len(letters),), np.float32))
    chosen = [places[letter][int(share * len(places[letter]))] for letter, share in zip(letters, shares, strict=True)]
    return images.x[chosen, :, :, 0].swapaxes(1, 2).astype(np.float32) / 255


def _as_words(words: Sequence[str] | np.ndarray) -> np.ndarray:
    if isinstance(words, str) or len(words) == 0 or not all(isinstance(word, str) for word in words):
        raise ValueError(f"words must be a list of words, got {words!r}")
    _require_letters("words", words)
    shortest, longest = min(words, key=len), max(words, key=len)
    if len(shortest) != len(longest):
        raise ValueError(
            f"words must have one length, got {str(shortest)!r} of {len(shortest)} letters and {str(longest)!r} of"
            f" {len(longest)}"
        )
    return np.array(list(words))


def _require_letters(name: str, words: Sequence[str] | np.ndarray) -> None:
    for word in words:
        if not word or any(letter not in _ALPHABET for letter in word):
            raise ValueError(f"{name} must be of the letters a to z, got {str(word)!r}; lower case is word.lower()")
